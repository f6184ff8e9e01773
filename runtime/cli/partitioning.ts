// `sink.partition_by` against what is there: the columns of the source's tables, and how the tables
// of a pipeline that has run before are partitioned already.

import { CHANGELOG_FIELDS } from '../../connectors/parquet/table/fields.ts'
import { formatField, partitionFault } from '../../connectors/iceberg/partition-spec.ts'
import type { StoredSpec } from '../../connectors/iceberg/writer/table-specs.ts'
import { readSpecs, writerData } from '../../connectors/iceberg/writer/writer-state.ts'
import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import { formatTransform, type PartitionField } from '../data/partition/transform.ts'
import { tableKey, type TableSchema } from '../data/schema.ts'
import type { ColumnType } from '../data/type.ts'
import { literalName } from '../job/config/glob.ts'
import { nearestName } from '../base/nearest.ts'
import { partitioningOf } from '../job/config/partitioning.ts'
import type { PartitionRule, PipelineConfig } from '../job/config/pipeline-config.ts'
import { columnSelector, sourceSelector, tableSelector } from '../job/config/selector.ts'
import { lakeSchema } from '../flow/tables.ts'
import type { ObjectStore } from '../object-store.ts'
import type { DiscoveredTable } from '../source.ts'
import { layoutFaults, requireSameLayout } from './directory.ts'
import { requireSameSink } from './kafka-sink.ts'
import { lakeTargets } from './lake-target.ts'
import { operatorPlans } from './operator-plans.ts'
import type { SelectionFault } from './selection.ts'

/**
 * @returns what writer and committer take: fields by table of the source, for the rules name those
 *          of the lake; {} when no table is partitioned
 */
export function lakePartitioning(config: Pick<PipelineConfig, 'sink' | 'routes'>): {
  partitionBy?: (table: string) => readonly PartitionField[]
} {
  const { sink } = config
  if (sink.type !== 'iceberg' || sink.partitionBy.length === 0) return {}
  const fieldsOf = partitioningOf(sink.partitionBy)
  const targetOf = lakeTargets(config)
  return { partitionBy: (table) => fieldsOf(targetOf(table)) }
}

/** @param tables  all that `source.tables` matches, columns that are left out included */
export function partitionFaults(
  config: PipelineConfig,
  tables: readonly DiscoveredTable[],
): SelectionFault[] {
  const { source, sink } = config
  if (sink.type === 'parquet') return layoutFaults(config, sink, tables)
  if (sink.type === 'kafka') return []
  const selects = sourceSelector(source)
  const targetOf = lakeTargets(config)
  const selected = tables
    .filter(({ namespace, name }) => selects(namespace, name))
    .map((table) => ({ table, target: targetOf(tableKey(table)) }))
  const names = selected.map(({ target }) => tableKey(target))
  const ruled = new Set<DiscoveredTable>()
  return sink.partitionBy.flatMap((rule) => {
    const has = tableSelector([rule.pattern])
    const mine = selected.filter(({ target }) => has(target.namespace, target.name))
    if (mine.length === 0) return [unusedFault(rule, names)]
    // The first rule that has a table counts.
    const fresh = mine.filter(({ table }) => !ruled.has(table))
    for (const { table } of fresh) ruled.add(table)
    return fresh.flatMap(({ table }) => tableFaults(config, table, rule))
  })
}

function unusedFault({ pattern }: PartitionRule, tables: readonly string[]): SelectionFault {
  const near = nearestName(pattern, tables)
  const message = `"${pattern}" matches none of the selected tables${suggested(near)}`
  const error = literalName(pattern) === null ? null : 'TABLE_MISSING'
  return { error, name: 'sink.partition_by', message, fix: null }
}

function tableFaults(
  config: PipelineConfig,
  { namespace, name, columns }: DiscoveredTable,
  { pattern, fields }: PartitionRule,
): SelectionFault[] {
  const { source, sink } = config
  // Operators make other columns; what is wrong with those parks the table at its first structure.
  if (operatorPlans(config).of({ namespace, name }) !== null) return []
  const excludes = columnSelector(source.type === 'kafka' ? [] : source.columnsExclude)
  const own = columns.flatMap(({ name: column, lakeType }) =>
    lakeType === null || excludes(namespace, name, column)
      ? []
      : [{ name: column, type: typeOf(lakeType) }],
  )
  const all = sink.mode === 'changelog' ? [...own, ...CHANGELOG_FIELDS] : own
  const fault = partitionFault(fields, all)
  if (fault === null) return []
  const { unknownColumn, index } = fault
  const names = all.map((column) => column.name)
  const near = unknownColumn === null ? null : nearestName(unknownColumn, names)
  const message = `table ${namespace}.${name} ${fault.message}${suggested(near)}`
  const error = unknownColumn === null ? 'CONFIG_VALUE' : 'TABLE_MISSING'
  return [{ error, name: `sink.partition_by."${pattern}"[${index}]`, message, fix: null }]
}

function suggested(name: string | null): string {
  return name === null ? '' : ` (did you mean "${name}"?)`
}

/** The type that `formatType` has spelled; of a list only that it is one. */
function typeOf(lakeType: string): ColumnType {
  const [, kind = '', precision, scale] = /^(\w+)(?:\((\d+), (\d+)\))?/.exec(lakeType) ?? []
  switch (kind) {
    case 'list':
      return { kind, element: { kind: 'string' } }
    case 'decimal':
      return { kind, precision: Number(precision), scale: Number(scale) }
    default:
      return { kind } as ColumnType
  }
}

/**
 * A table of the lake keeps its partitioning for life: another one is another table.
 *
 * @throws PipelineError CONFIG_UNSUPPORTED
 */
export async function requireSamePartitions(
  config: PipelineConfig,
  state: ObjectStore,
  { source, writers }: Pick<Checkpoint, 'source' | 'writers'>,
): Promise<void> {
  requireSameSink(config, { writers })
  if (config.sink.type === 'parquet') {
    requireSameLayout(config.sink, writers)
    return
  }
  if (config.sink.type === 'kafka') return
  // Where all is read again, the writers begin with nothing, and the lake is asked at the commit.
  if (writers.length === 0) return
  const stored = await readSpecs(state, writers.map(writerData))
  const byTable = new Map(stored.map((spec) => [spec.table, spec]))
  const { partitionBy = () => [] } = lakePartitioning(config)
  for (const record of source.tables) {
    // The table that it is a part of has a record of its own.
    if (record.united !== undefined) continue
    const { table } = record.schema
    const fields = partitionBy(table)
    const before = byTable.get(table) ?? { table, spec: [], written: [] }
    if (!isSame(before, fields, lakeSchema(record))) throw changed(before, fields)
  }
}

/** As it was written, or by the same columns under the names that they have now. */
function isSame(
  { spec, written }: StoredSpec,
  fields: readonly PartitionField[],
  schema: TableSchema,
): boolean {
  if (fields.length !== spec.length) return false
  return fields.every((field, index) => {
    if (formatField(field) === written[index]) return true
    const column = schema.fields.find(({ name }) => name === field.column)
    const before = spec[index]
    return column?.id === before?.sourceId && formatTransform(field.transform) === before?.transform
  })
}

function changed({ table, written }: StoredSpec, fields: readonly PartitionField[]): PipelineError {
  const now = listed(fields.map(formatField))
  const message = `sink.partition_by has ${now} for ${table}, which was begun with ${listed(written)}`
  return new PipelineError('CONFIG_UNSUPPORTED', message, {
    detail: 'A lake table keeps its partitioning for life. Nothing was read or written.',
    hint:
      `Set it to ${listed(written)} again; or run \`millrace drop FILE\` and begin anew; or give the ` +
      'other partitioning a pipeline with a name and a catalog of its own.',
  })
}

function listed(fields: readonly string[]): string {
  return fields.length === 0 ? 'no partitions' : `[${fields.join(', ')}]`
}
