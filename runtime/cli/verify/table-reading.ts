// One reading of a table on both sides, in the form in which they are compared: the columns of the
// source, found in the lake by their names.

import { scanRows } from '../../../connectors/iceberg/row-scan.ts'
import { readTable, type ScannedTable } from '../../../connectors/iceberg/scan.ts'
import type { IcebergField } from '../../../connectors/iceberg/schema.ts'
import { present } from '../../base/assert.ts'
import { PipelineError } from '../../base/errors.ts'
import type { Order } from '../../data/position.ts'
import type { Field, SourceTable, TableSchema } from '../../data/schema.ts'
import { formatType } from '../../data/type.ts'
import type { TableScan } from '../../source.ts'
import { StructureDifference } from './comparison.ts'
import type { ComparedColumns, Reading, SideRows } from './comparison.ts'
import type { VerifiedLake } from './lake-progress.ts'

/** A commit that removes the files of the snapshot that is being opened makes it be opened anew. */
const OPEN_ATTEMPTS = 5

export interface ReadingParts {
  readonly table: string
  readonly lake: VerifiedLake
  /** As the newest checkpoint has it: it knows the defaults of columns that older files lack. */
  readonly schema: TableSchema
  /** `null`: the source does not have the table. */
  readonly scan: TableScan | null
  /** Columns that are not compared. */
  readonly passedOver: ReadonlySet<string>
  /** Waits until the lake has all that the rows of the source show. */
  arrive(high: Order): Promise<unknown>
  /** Waits until a change of structure that is under way has reached the lake. */
  settle(): Promise<void>
}

/** @throws StructureDifference · PipelineError TABLE_WITHOUT_KEY */
export async function openReading(parts: ReadingParts): Promise<Reading> {
  const { scan, table } = parts
  if (scan === null) {
    await parts.settle()
    throw new StructureDifference(['the source has no such table'])
  }
  const columns = comparedColumns(table, scan.table)
  let version = ''
  const onOpen = (lake: ScannedTable | null): void => {
    version = `${lake?.metadata.tableUuid} ${lake?.snapshotId}`
  }
  return {
    columns,
    source: () => sourceRows(scan),
    lake: () => lakeRows(parts, scan, columns, onOpen),
    lakeVersion: () => version,
  }
}

function comparedColumns(table: string, { columns, key }: SourceTable): ComparedColumns {
  const indexes = (key ?? []).map((identity) =>
    columns.findIndex((column) => column.identity === identity),
  )
  if (indexes.length === 0 || indexes.includes(-1)) {
    throw new PipelineError('TABLE_WITHOUT_KEY', `table "${table}" has no key to compare rows by`)
  }
  return {
    names: columns.map(({ name }) => name),
    types: columns.map(({ type }) => type),
    key: indexes,
  }
}

async function* sourceRows(scan: TableScan): AsyncGenerator<SideRows> {
  for await (const { rows, columns } of scan.batches) yield { rows, columns, placeOf: NOWHERE }
}

/** Rows of a database have no place that would tell of a change. */
const NOWHERE = (): string => ''

async function* lakeRows(
  parts: ReadingParts,
  scan: TableScan,
  columns: ComparedColumns,
  onOpen: (lake: ScannedTable | null) => void,
): AsyncGenerator<SideRows> {
  await parts.arrive(await scan.high())
  const lake = await openLake(parts)
  onOpen(lake)
  try {
    const compared = lake?.fields.filter(({ name }) => !parts.passedOver.has(name))
    const lines = structureDifferences(scan.table, compared ?? null)
    if (lines.length > 0) {
      await parts.settle()
      throw new StructureDifference(lines)
    }
    const fields = fieldsOf(parts.schema, lake?.fields ?? [], columns)
    for await (const slice of scanRows(parts.lake.warehouse, lake?.files ?? [], fields)) {
      const { rows, positions, file } = slice
      yield { rows, columns: slice.columns, placeOf: (row) => `${file.uri}:${positions[row]}` }
    }
  } finally {
    for (const { deleted } of lake?.files ?? []) deleted?.dispose()
  }
}

async function openLake({ lake, table }: ReadingParts): Promise<ScannedTable | null> {
  const target = lake.targetOf(table)
  for (let attempt = 1; ; attempt++) {
    const location = await lake.catalog.load(target)
    try {
      return await readTable(lake, target)
    } catch (error) {
      const moved = (await lake.catalog.load(target)) !== location
      const vanished =
        error instanceof PipelineError && ['STORAGE_FAILED', 'LAKE_FORMAT'].includes(error.error)
      if (!vanished || !moved || attempt === OPEN_ATTEMPTS) throw error
    }
  }
}

/** @param lake  `null`: the lake has no such table */
function structureDifferences(source: SourceTable, lake: readonly IcebergField[] | null): string[] {
  if (lake === null) return ['the lake has no such table']
  const known = new Map(lake.map((field) => [field.name, field]))
  const names = new Set(source.columns.map(({ name }) => name))
  const missing = source.columns.flatMap(({ name, type }) => {
    const field = known.get(name)
    if (field === undefined) return [`column "${name}" is missing in the lake`]
    const wanted = formatType(type)
    const found = field.type === null ? 'another type' : formatType(field.type)
    return wanted === found ? [] : [`column "${name}" is ${wanted}, but ${found} in the lake`]
  })
  const extra = lake.filter(({ name }) => !names.has(name))
  return [...missing, ...extra.map(({ name }) => `column "${name}" is in the lake only`)]
}

/** The lake's columns in the order of the source's, with the defaults that the pipeline knows. */
function fieldsOf(
  schema: TableSchema,
  lake: readonly IcebergField[],
  columns: ComparedColumns,
): Field[] {
  return columns.names.map((name, index) => {
    const { id, elementId } = present(
      lake.find((field) => field.name === name),
      'columns of equal structures have one name',
    )
    const type = present(columns.types[index], 'a column has a type')
    const initialDefault = schema.fields.find((field) => field.id === id)?.initialDefault ?? null
    return {
      id,
      elementId,
      identity: name,
      name,
      type,
      nullable: true,
      comment: null,
      initialDefault,
    }
  })
}
