// What the next run of a pipeline file would do otherwise than the last one: the tables of now
// against those of the newest checkpoint, by the rules that the run itself goes by. It only reads.

import { tablePath } from '../../connectors/iceberg/layout.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type { CheckpointRecord } from '../checkpoint/manifest.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import { evolve } from '../data/evolution.ts'
import { isUnion, namesOf, shownTable, tableKey, type SourceTable } from '../data/schema.ts'
import { formatType } from '../data/type.ts'
import { lakeSchema, type TableRecord } from '../flow/tables.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { requireSameMode } from '../job/mode-change.ts'
import { requireSameSinks } from '../job/sink-change.ts'
import { readRequests } from '../job/requests.ts'
import type { ObjectStore } from '../object-store.ts'
import type { OperatorPlans } from '../operator.ts'
import type { SourceInspector } from '../source.ts'
import { lakeColumnsOf } from './committer-connector.ts'
import { lakeTargets } from './lake-target.ts'
import { operatorPlans } from './operator-plans.ts'
import { routeUnion } from '../job/config/route.ts'
import { requireSameRoute } from '../job/refusals.ts'
import { requireSamePartitions } from './partitioning.ts'
import { sampleTables, type TableSample } from './sampling.ts'
import { partCheckpoint, partOfType, sinkParts } from './sink-parts.ts'

/**
 * KEEP: goes on where it was · ADD: begins · REBACKFILL: all its rows are read again · REMOVE:
 * takes no more rows, and the lake keeps those that it has.
 */
export type TableAction = 'KEEP' | 'ADD' | 'REBACKFILL' | 'REMOVE'

export interface PlanNote {
  readonly kind: 'schema' | 'transform' | 'route' | 'parked' | 'error'
  readonly message: string
  /** Readers of the lake lose something by it. */
  readonly destructive: boolean
}

export interface TablePlan {
  readonly table: string
  readonly into: string
  readonly action: TableAction
  /** Rows that are copied, by the server's statistics; `null`: not known, or none are. */
  readonly rows: number | null
  readonly copies: boolean
  readonly notes: readonly PlanNote[]
}

export interface PipelinePlan {
  /** Epoch of the state; `null`: the pipeline has never run. */
  readonly epoch: number | null
  /** Why the run would end before it begins; []: it would not. */
  readonly refused: readonly ErrorRecord[]
  readonly tables: readonly TablePlan[]
}

/** @returns whether the run would do something that the last one did not */
export function hasChanges({ refused, tables }: PipelinePlan): boolean {
  return refused.length > 0 || tables.some(isChanged)
}

/** A table that is parked stays so: that is no change. */
export function isChanged({ action, notes }: TablePlan): boolean {
  return action !== 'KEEP' || notes.some(({ kind }) => kind !== 'parked')
}

/** @throws PipelineError CONNECT_FAILED, NO_TABLES, STORAGE_FAILED, ... */
export async function planPipeline(
  config: PipelineConfig,
  state: ObjectStore,
  inspector: SourceInspector,
): Promise<PipelinePlan> {
  const checkpoint = await new CheckpointStore(state).peekNewest()
  const estimates = new Map<string, number | null>()
  for (const table of await inspector.discover()) {
    estimates.set(tableKey(table), table.estimatedRows)
  }
  const wish = { tables: null, tablesMax: Infinity, rows: 0, readsForShape: false }
  const { samples } = await sampleTables(config, inspector, wish)
  const requests = await readRequests(state)
  const planner = new Planner(config, checkpoint, (table) =>
    requests.some(({ tables }) => tables === null || isRepaired(table, tables, checkpoint)),
  )
  const tables = samples.map((sample) => planner.plan(sample, estimates.get(sample.table) ?? null))
  const left = planner.removed(new Set(samples.map(({ table }) => table)))
  return {
    epoch: checkpoint?.epoch ?? null,
    refused: checkpoint === null ? [] : await refusals(config, state, checkpoint),
    tables: [...tables, ...left].toSorted((a, b) => (a.table < b.table ? -1 : 1)),
  }
}

/** What the run looks at before it reads a row. */
async function refusals(
  config: PipelineConfig,
  state: ObjectStore,
  checkpoint: CheckpointRecord,
): Promise<ErrorRecord[]> {
  const refused: ErrorRecord[] = []
  for (const look of [
    async () => requireSameMode(checkpoint, config.sink.mode),
    async () => requireSameSinks(checkpoint, sinkParts(config)?.sinks),
    ...(config.parts ?? [config]).map((part) => async () => {
      // Sinks that are others have been said to be; nothing is known of them.
      if ((part.part === undefined) !== (checkpoint.sinks === undefined)) return
      await requireSamePartitions(part, state, partCheckpoint(part, checkpoint))
    }),
    async () => requireSameRoutes(config, checkpoint),
  ]) {
    try {
      await look()
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      refused.push(recordOf(error))
    }
  }
  return refused
}

function requireSameRoutes({ routes }: PipelineConfig, { source }: CheckpointRecord): void {
  for (const record of source.tables) {
    const { table } = record.schema
    if (!isUnion(table)) requireSameRoute(record, routeUnion(routes, namesOf(table)))
  }
}

/** @returns whether a request is for the table, or for one that is repaired with it */
function isRepaired(
  table: string,
  requested: readonly string[],
  checkpoint: CheckpointRecord | null,
): boolean {
  const records = checkpoint?.source.tables ?? []
  const unionOf = (name: string): string | undefined =>
    records.find(({ schema }) => schema.table === name)?.united?.table
  const union = unionOf(table)
  if (union === undefined) return requested.includes(table)
  return requested.some((name) => unionOf(name) === union || name === shownTable(union))
}

class Planner {
  private readonly config: PipelineConfig
  private readonly plans: OperatorPlans
  private readonly records: ReadonlyMap<string, TableRecord>
  private readonly isRequested: (table: string) => boolean
  private readonly targetOf: ReturnType<typeof lakeTargets>
  private readonly lake: CheckpointRecord['lake']
  /** Their readers cannot be told that rows are gone. */
  private readonly hasTopics: boolean
  private readonly isResynced: boolean

  constructor(
    config: PipelineConfig,
    checkpoint: CheckpointRecord | null,
    isRequested: (table: string) => boolean,
  ) {
    this.config = config
    this.plans = operatorPlans(config)
    const records = checkpoint?.source.tables ?? []
    this.records = new Map(records.map((record) => [record.schema.table, record]))
    this.isRequested = isRequested
    const lake = partOfType(config, 'iceberg')
    this.targetOf = lakeTargets(lake ?? config)
    this.lake = checkpoint === null ? [] : partCheckpoint(lake ?? config, checkpoint).lake
    this.hasTopics = partOfType(config, 'kafka') !== null
    this.isResynced = config.parts === undefined && !this.hasTopics
  }

  plan(sample: TableSample, rows: number | null): TablePlan {
    const { table, into, error } = sample
    const record = this.records.get(table)
    const errors = error === null ? [] : [note('error', error.message)]
    if (record === undefined || record.phase === 'dropped') {
      const copies = this.copies()
      return { table, into, action: 'ADD', copies, rows: copies ? rows : null, notes: errors }
    }
    const again = this.isMadeAnew(record, sample.source)
    const notes = [
      ...again,
      ...this.transformNotes(record),
      ...this.routeNotes(record),
      ...(again.length > 0 ? [] : this.schemaNotes(record, sample.source)),
      ...(record.phase === 'parked' ? [this.parkedNote(record)] : []),
      ...(record.phase === 'parked' ? [] : errors),
    ]
    const isCopied = this.copies() && !this.hasTopics
    const rereads = this.isRequested(table) || (again.length > 0 && isCopied)
    if (!rereads) return { table, into, action: 'KEEP', copies: false, rows: null, notes }
    return { table, into, action: 'REBACKFILL', copies: true, rows, notes }
  }

  /** @param present  tables that the pipeline selects, and the source has */
  removed(present: ReadonlySet<string>): TablePlan[] {
    const dead = this.config.onError.deadLetters
    const kept = dead === null ? null : tableKey(dead)
    return [...this.records.values()].flatMap((record): TablePlan[] => {
      const { table } = record.schema
      if (present.has(table) || table === kept || isUnion(table)) return []
      if (record.phase === 'dropped') return []
      const into = this.plans.target(namesOf(table))
      return [{ table, into, action: 'REMOVE', copies: false, rows: null, notes: [] }]
    })
  }

  /** A topic has no rows beside its log. */
  private copies(): boolean {
    const { source } = this.config
    return source.type !== 'kafka' && source.startup !== 'latest'
  }

  /** MySQL counts the lives of a table in its log alone. */
  private isMadeAnew(record: TableRecord, now: SourceTable | null): PlanNote[] {
    const { source } = this.config
    if (now === null || source.type === 'mysql' || now.incarnation === record.incarnation) return []
    if (source.type !== 'kafka' && this.hasTopics) {
      return [note('schema', 'made anew in the source: the table parks if its topic has rows')]
    }
    if (source.type !== 'kafka') {
      return [note('schema', 'made anew in the source: its rows of before leave the lake', true)]
    }
    return source.onRecreate === 'from_beginning'
      ? [note('schema', 'the topic was made anew, and is read from its beginning')]
      : [note('schema', 'the topic was made anew: the table parks (`on_recreate: stop`)')]
  }

  private transformNotes(record: TableRecord): PlanNote[] {
    const { source, sink } = this.config
    const names = namesOf(record.schema.table)
    if ((this.plans.of(names)?.semantics ?? null) === record.semantics) return []
    if (sink.mode !== 'upsert') {
      return [note('transform', 'changed: it counts for rows from now on, and others stay')]
    }
    if (source.type === 'kafka') {
      return [note('transform', 'changed: the run is refused, since a topic is not read again')]
    }
    const again = this.isRequested(record.schema.table)
    return [note('transform', again ? 'changed' : `changed: the table parks${this.until()}`)]
  }

  /** A topic is not filled anew, nor one of several sinks. */
  private until(): string {
    return this.isResynced ? ' until it is resynced' : ''
  }

  private parkedNote({ reason }: TableRecord): PlanNote {
    const message = `is parked, and stays so${this.until()}: ${reason?.message ?? '?'}`
    return note('parked', message)
  }

  /** Where the lake's table lies tells the name under which it was begun. */
  private routeNotes({ schema: { table } }: TableRecord): PlanNote[] {
    const known = this.lake.find((one) => one.table === table)?.metadataLocation ?? null
    if (known === null) return []
    const target = this.targetOf(table)
    if (known.includes(`/${tablePath(target)}/metadata/`)) return []
    const so = `${tableKey(target)} is not the lake table so far, which stays`
    return [note('route', `changed: ${so}; the table parks${this.until()}`)]
  }

  private schemaNotes(record: TableRecord, now: SourceTable | null): PlanNote[] {
    // What a parked table was, its repair does not go on with.
    if (now === null || record.phase === 'parked') return []
    const { mode } = this.config.sink
    const table = aligned(now, record, this.config.source.type === 'mysql')
    const options = { keyed: mode === 'upsert', ...lakeColumnsOf(this.config) }
    let output: SourceTable
    try {
      output = this.plans.of(table)?.plan(table).output ?? table
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return [note('transform', `${error.message}: the table parks`)]
    }
    const next = evolve(lakeSchema(record), output, 'carried', options)
    switch (next.kind) {
      case 'same':
        return []
      case 'unmappable':
        return [note('schema', `${next.reason}: the table parks${this.until()}`)]
      case 'evolved':
        return next.changes.map((change) =>
          record.united === undefined
            ? note('schema', change, change.startsWith('drop '))
            : note('schema', changeOfPart(change, this.until())),
        )
    }
  }
}

/** What a change of one table is to the table of the lake that it shares with others. */
function changeOfPart(change: string, until: string): string {
  if (change.startsWith('drop ')) return `${change}: it stays for the tables that share it`
  if (!change.startsWith('rename ')) return change
  return `${change}: all tables that share it park${until}`
}

/**
 * The table of now with what only the log knows left open: identities are those of the checkpoint
 * where names and types say so (`byName`), and a new column is taken for one that is null so far.
 */
function aligned(now: SourceTable, { schema }: TableRecord, byName: boolean): SourceTable {
  const renamed = new Map<string, string>()
  const columns = now.columns.map((column) => {
    const field = schema.fields.find((one) => one.name === column.name)
    const identity = byName ? (field?.identity ?? `new:${column.name}`) : column.identity
    renamed.set(column.identity, identity)
    const widened = field !== undefined && formatType(field.type) === formatType(column.type)
    return widened
      ? { ...column, identity }
      : { ...column, identity, existing: { kind: 'null' } as const }
  })
  const key = now.key?.map((identity) => renamed.get(identity) ?? identity) ?? null
  return { ...now, columns, key }
}

function note(kind: PlanNote['kind'], message: string, destructive = false): PlanNote {
  return { kind, message, destructive }
}
