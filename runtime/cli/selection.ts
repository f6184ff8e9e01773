// Whether the patterns of a pipeline mean what somebody wrote them for. A name that matches nothing
// is a slip of the pen: of a table, and its rows never come; of a column to be left out, and it is
// copied. So a name must match; a pattern that matches nothing yet is only warned of.

import { type ErrorName, PipelineError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { SinkParts } from '../checkpoint/sink-parts.ts'
import { tableKey } from '../data/schema.ts'
import { literalName } from '../job/config/glob.ts'
import type {
  DatabaseSourceConfig,
  KafkaSourceConfig,
  PipelineConfig,
  PipelinePart,
  SourceConfig,
} from '../job/config/pipeline-config.ts'
import {
  columnSelector,
  sourceSelector,
  tableSelector,
  topicSelector,
} from '../job/config/selector.ts'
import type { DiscoveredTable, Finding } from '../source.ts'
import { announcementFaults } from './announcements.ts'
import { partitionFaults } from './partitioning.ts'
import { routeFaults } from './route-faults.ts'
import { saidOfPart, saidOnce, sinkParts } from './sink-parts.ts'

export interface SelectionFault {
  /** What `run` ends with; `null`: it only warns. */
  readonly error: ErrorName | null
  readonly name: string
  readonly message: string
  /** SQL that may repair it. */
  readonly fix: string | null
  readonly hint?: string
}

/**
 * @param tables  all that `source.tables` matches, those that are excluded and all columns included
 */
export function selectionFaults(
  config: PipelineConfig,
  tables: readonly DiscoveredTable[],
): readonly SelectionFault[] {
  const { source, sink, parts } = config
  if (parts !== undefined) {
    const sinks = sinkParts(config)
    return saidOnce(parts.flatMap((part) => faultsOfPart(part, tables, sinks)))
  }
  if (source.type === 'kafka') {
    return [...topicFaults(source, tables), ...routeFaults(config, tables)]
  }
  return [
    ...partitionFaults(config, tables),
    ...announcementFaults(config, tables),
    ...source.tables.flatMap((pattern, index) => tableFaults(source, tables, pattern, index)),
    ...source.tablesExclude.flatMap((pattern, index) => excludeFaults(tables, pattern, index)),
    ...source.columnsExclude.flatMap((pattern, index) => [
      ...columnFaults(tables, pattern, index),
      ...(sink.mode === 'upsert' ? keyFaults(source, tables, pattern, index) : []),
    ]),
    ...routeFaults(config, tables),
  ]
}

function faultsOfPart(
  part: PipelinePart,
  tables: readonly DiscoveredTable[],
  sinks: SinkParts | null,
): readonly SelectionFault[] {
  const { source } = part
  const own = tables.filter((table) => sinks?.of(tableKey(table)).includes(part.part) === true)
  const rest = selectionFaults({ ...part, routes: [] }, tables).filter(
    ({ name }) => !name.startsWith('sink.'),
  )
  const ofSink = source.type === 'kafka' ? [] : partitionFaults(part, own)
  const named = ofSink.map((fault) => saidOfPart(part.part, fault))
  return [...rest, ...named, ...routeFaults(part, own)]
}

export function selectionFindings(faults: readonly SelectionFault[]): Finding[] {
  return faults.map(({ error, name, message, fix }) => {
    return { name, ok: false, warning: error === null, message, fix }
  })
}

/** @throws PipelineError of the first fault that is no warning, with the others as its detail */
export function requireSelection(faults: readonly SelectionFault[], log: Log): void {
  for (const { error, name, message } of faults) {
    if (error === null) log.warn(`${name} ${message}`)
  }
  const [first, ...others] = faults.filter(({ error }) => error !== null)
  if (first === undefined || first.error === null) return
  const sql = first.fix === null ? [] : [`If it exists: ${first.fix}`]
  const lines = [...sql, ...others.map(({ name, message }) => `${name} ${message}`)]
  throw new PipelineError(first.error, `${first.name} ${first.message}`, {
    ...(lines.length === 0 ? {} : { detail: lines.join('\n') }),
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  })
}

/**
 * A start with such patterns is refused here: the source says it only once it has made what it
 * reads the log with, and a slot that nobody reads keeps the log until the server's disk is full.
 */
export function selectsNone(source: SourceConfig, tables: readonly DiscoveredTable[]): boolean {
  const selects = sourceSelector(source)
  return !tables.some(({ namespace, name }) => selects(namespace, name))
}

function tableFaults(
  source: DatabaseSourceConfig,
  tables: readonly DiscoveredTable[],
  pattern: string,
  index: number,
): SelectionFault[] {
  const selects = tableSelector([pattern])
  if (tables.some(({ namespace, name }) => selects(namespace, name))) return []
  const name = `source.tables[${index}]`
  const [namespace, table] = literalName(pattern) ?? []
  if (namespace === undefined || table === undefined) {
    return [{ error: null, name, message: `"${pattern}" matches no table yet`, fix: null }]
  }
  if (source.type === 'postgres') {
    const message =
      `there is no table "${pattern}" that could be copied ` +
      '(views, single partitions, unlogged and foreign tables cannot)'
    return [{ error: 'TABLE_MISSING', name, message, fix: null }]
  }
  // MySQL shows a table only to those who may do something with it.
  const message = `there is no table "${pattern}", or the user may not see it`
  const account = `'${source.connection.username.replaceAll("'", "''")}'@'%'`
  const fix = `GRANT SELECT ON ${backtick(namespace)}.${backtick(table)} TO ${account};`
  return [{ error: 'TABLE_MISSING', name, message, fix }]
}

/** A topic may be made when its first record is; a user sees only those that it may describe. */
function topicFaults(
  { topics, topicsExclude }: KafkaSourceConfig,
  tables: readonly DiscoveredTable[],
): SelectionFault[] {
  const unmatched = (pattern: string): boolean => {
    const selects = topicSelector([pattern])
    return !tables.some(({ name }) => selects(name))
  }
  const included = topics.flatMap((pattern, index): SelectionFault[] => {
    if (!unmatched(pattern)) return []
    const name = `source.topics[${index}]`
    if (literalName(pattern, false) === null) {
      return [{ error: null, name, message: `"${pattern}" matches no topic yet`, fix: null }]
    }
    const message = `there is no topic "${pattern}", or the user may not describe it`
    return [{ error: 'TABLE_MISSING', name, message, fix: null }]
  })
  const excluded = topicsExclude.flatMap((pattern, index): SelectionFault[] => {
    if (!unmatched(pattern)) return []
    const message = `"${pattern}" matches none of the topics of source.topics`
    return [{ error: null, name: `source.topics_exclude[${index}]`, message, fix: null }]
  })
  return [...included, ...excluded]
}

function excludeFaults(
  tables: readonly DiscoveredTable[],
  pattern: string,
  index: number,
): SelectionFault[] {
  const selects = tableSelector([pattern])
  if (tables.some(({ namespace, name }) => selects(namespace, name))) return []
  const name = `source.tables_exclude[${index}]`
  const message = `"${pattern}" matches none of the tables of source.tables`
  return [{ error: null, name, message, fix: null }]
}

function columnFaults(
  tables: readonly DiscoveredTable[],
  pattern: string,
  index: number,
): SelectionFault[] {
  const selects = columnSelector([pattern])
  const found = tables.some(({ namespace, name, columns }) =>
    columns.some((column) => selects(namespace, name, column.name)),
  )
  if (found) return []
  const error = literalName(pattern) === null ? null : 'TABLE_MISSING'
  const message = `"${pattern}" matches no column, so it leaves nothing out`
  return [{ error, name: `source.columns_exclude[${index}]`, message, fix: null }]
}

function keyFaults(
  source: DatabaseSourceConfig,
  tables: readonly DiscoveredTable[],
  pattern: string,
  index: number,
): SelectionFault[] {
  const selected = tableSelector(source.tables, source.tablesExclude)
  const excludes = columnSelector([pattern])
  return tables.flatMap(({ namespace, name, key }): SelectionFault[] => {
    const lost = (key ?? []).find((column) => excludes(namespace, name, column))
    if (lost === undefined || !selected(namespace, name)) return []
    const message = `"${pattern}" leaves out ${lost}, a key column of ${namespace}.${name}`
    const hint = 'Take the column out of `source.columns_exclude`, or use `mode: changelog`.'
    const what = `source.columns_exclude[${index}]`
    return [{ error: 'TABLE_WITHOUT_KEY', name: what, message, fix: null, hint }]
  })
}

function backtick(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}
