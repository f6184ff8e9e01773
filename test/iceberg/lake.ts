// A lake in a temporary folder, and the writer's side of a commit: data files, epoch deletes and
// intents, made by hand so that a test says exactly what is committed.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { randomId63, systemClock, type Clock } from '../../runtime/base/clock.ts'
import type { Catalog, CatalogTable } from '../../runtime/catalog.ts'
import {
  columnBuilder,
  BytesBuilder,
  type FixedBuilder,
} from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { TableCommit } from '../../runtime/sink.ts'
import { sqliteCatalog } from '../../connectors/iceberg/catalog-sqlite.ts'
import type {
  DataFileRecord,
  FileMetricsRecord,
} from '../../connectors/parquet/table/data-file-record.ts'
import type { IcebergIntent, IcebergTableIntent } from '../../connectors/iceberg/commit-work.ts'
import {
  createIcebergCommitter,
  type IcebergCommitter,
} from '../../connectors/iceberg/committer.ts'
import type { IcebergCommitterOptions } from '../../connectors/iceberg/committer.ts'
import { encodeEpochDeletes } from '../../connectors/iceberg/epoch-deletes.ts'
import { lakeFields, type TableMode } from '../../connectors/parquet/table/fields.ts'
import { dataFilePath } from '../../connectors/iceberg/layout.ts'
import { readTable, type ScannedTable } from '../../connectors/iceberg/scan.ts'
import { ParquetEncoder } from '../../connectors/parquet/encode/encoder.ts'
import { localStore } from '../../connectors/storage/local.ts'

export type CellValue = number | bigint | string | boolean | null
export type RowValues = Readonly<Record<string, CellValue>>

export interface TableEpochSpec {
  readonly table: string
  readonly schemas?: readonly TableSchema[]
  readonly truncated?: boolean
  readonly files?: readonly DataFileRecord[]
  /** Positions by file id; one map a writer. */
  readonly deletes?: readonly ReadonlyMap<number, readonly number[]>[]
}

export const PIPELINE = 'shop'
export const NO_METRICS: FileMetricsRecord = {
  columnSizes: {},
  valueCounts: {},
  nullCounts: {},
  nanCounts: {},
  lowerBounds: {},
  upperBounds: {},
  splitOffsets: [4],
}

export function targetOf(table: string): CatalogTable {
  const dot = table.indexOf('.')
  return { namespace: table.slice(0, dot), name: table.slice(dot + 1) }
}

export class Lake {
  readonly folder: string
  readonly warehouse: ObjectStore
  readonly state: ObjectStore
  readonly catalog: Catalog
  readonly catalogPath: string
  mode: TableMode = 'upsert'
  timeline = 1
  fence = '1'
  epoch = 0
  #nextFileId = 1
  #nextObject = 0
  /** As the checkpoint knows them. */
  readonly known = new Map<string, { uuid: string | null; lastIntent: bigint | null }>()

  constructor(folder: string) {
    this.folder = folder
    this.warehouse = localStore(join(folder, 'warehouse'))
    this.state = localStore(join(folder, 'state'))
    this.catalogPath = join(folder, 'catalog.db')
    this.catalog = sqliteCatalog({ uri: `sqlite:///${this.catalogPath}`, name: 'lake' })
  }

  static async open(): Promise<Lake> {
    return new Lake(await mkdtemp(join(tmpdir(), 'millrace-lake-')))
  }

  committer(options: Partial<IcebergCommitterOptions> = {}): IcebergCommitter {
    const { warehouse, state, catalog, mode } = this
    const target = targetOf
    return createIcebergCommitter({
      pipeline: PIPELINE,
      warehouse,
      state,
      catalog,
      mode,
      target,
      garbageGraceMs: null,
      ...options,
    })
  }

  nextFileId(): number {
    return this.#nextFileId++
  }

  /** A data file with rows that readers can read. */
  async file(schema: TableSchema, rows: readonly RowValues[]): Promise<DataFileRecord> {
    const fileId = this.nextFileId()
    const path = dataFilePath(targetOf(schema.table), fileId, 'w0')
    const { bytes, metrics } = encodeRows(schema, this.mode, rows)
    await this.warehouse.put(path, bytes)
    const schemaVersion = schema.version
    return { fileId, path, schemaVersion, rows: rows.length, bytes: bytes.length, metrics }
  }

  /** A data file that exists, but that only its manifest describes: for tests of the metadata. */
  async hollowFile(table: string, schemaVersion: number, rows: number): Promise<DataFileRecord> {
    const fileId = this.nextFileId()
    const path = dataFilePath(targetOf(table), fileId, 'w0')
    const bytes = 100 + rows
    await this.warehouse.put(path, new Uint8Array(bytes))
    return { fileId, path, schemaVersion, rows, bytes, metrics: NO_METRICS }
  }

  /** The next epoch's intent. It is durable with its checkpoint, so it may be committed twice. */
  async intent(tables: readonly TableEpochSpec[]): Promise<IcebergIntent> {
    this.epoch++
    const entries: IcebergTableIntent[] = []
    for (const spec of tables) {
      const known = this.known.get(spec.table)
      const deletes = spec.deletes ?? []
      const writers = Math.max(1, deletes.length)
      entries.push({
        table: spec.table,
        snapshotId: randomId63(),
        schemas: spec.schemas ?? [],
        tableUuid: known?.uuid ?? null,
        lastIntent: known?.lastIntent ?? null,
        committables: await Promise.all(
          Array.from({ length: writers }, async (_, writer) => ({
            table: spec.table,
            writer,
            truncated: spec.truncated ?? false,
            files: writer === 0 ? (spec.files ?? []) : [],
            deletes: await this.#writeDeletes(spec.table, deletes[writer]),
          })),
        ),
      })
    }
    return {
      pipeline: PIPELINE,
      timeline: this.timeline,
      epoch: this.epoch,
      fence: this.fence,
      position: { split: 'log', order: BigInt(this.epoch), token: `0/${this.epoch}` },
      sourceTimeUs: 1_700_000_000_000_000n + BigInt(this.epoch),
      tables: entries,
    }
  }

  async #writeDeletes(
    table: string,
    deletes: ReadonlyMap<number, readonly number[]> | undefined,
  ): Promise<string | null> {
    if (deletes === undefined) return null
    const path = `deletes/${this.#nextObject++}`
    const positions = new Map(
      [...deletes].map(([fileId, list]) => [fileId, Uint32Array.from(list)]),
    )
    await this.state.put(path, encodeEpochDeletes(new Map([[table, positions]])))
    return path
  }

  /** What the checkpoint learns from a commit. */
  learn(commits: readonly TableCommit[]): void {
    for (const { table, tableUuid, snapshotId } of commits) {
      const before = this.known.get(table)
      const uuid = tableUuid ?? before?.uuid ?? null
      this.known.set(table, { uuid, lastIntent: snapshotId ?? before?.lastIntent ?? null })
    }
  }

  /** Commits one epoch and learns from it. */
  async commit(
    committer: IcebergCommitter,
    ...tables: TableEpochSpec[]
  ): Promise<readonly TableCommit[]> {
    const commits = await committer.commit([await this.intent(tables)])
    this.learn(commits)
    return commits
  }

  async scan(table: string, snapshotId?: bigint): Promise<ScannedTable> {
    const scanned = await readTable(this, targetOf(table), snapshotId)
    if (scanned === null) throw new Error(`no table ${table}`)
    return scanned
  }

  /** Live rows as `file id:position`, sorted. */
  async liveRows(table: string, snapshotId?: bigint): Promise<string[]> {
    const { files } = await this.scan(table, snapshotId)
    const rows: string[] = []
    for (const { fileId, rows: count, deleted } of files) {
      for (let at = 0; at < count; at++) {
        if (deleted === null || !deleted.has(at)) rows.push(`${fileId}:${at}`)
      }
    }
    return rows.toSorted()
  }

  async close(): Promise<void> {
    await this.catalog.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A schema from `name type` texts; `name!` is required, and the first column is the key. */
export function schemaOf(
  table: string,
  columns: readonly (readonly [name: string, type: ColumnType, id?: number])[],
  version = 0,
  firstId = 1,
): TableSchema {
  const fields: Field[] = columns.map(([name, type, id], index) => ({
    id: id ?? firstId + index,
    elementId: null,
    identity: name,
    name: name.replace('!', ''),
    type,
    nullable: !name.endsWith('!'),
    comment: null,
    initialDefault: null,
  }))
  const lastFieldId = Math.max(...fields.map(({ id }) => id))
  return { table, version, fields, key: [0], comment: null, lastFieldId }
}

export const ORDERS = schemaOf('public.orders', [
  ['id!', { kind: 'long' }],
  ['name', { kind: 'string' }],
])

function encodeRows(
  schema: TableSchema,
  mode: TableMode,
  rows: readonly RowValues[],
): { bytes: Buffer; metrics: FileMetricsRecord } {
  const fields = lakeFields(schema, mode)
  const encoder = new ParquetEncoder(
    fields.map(({ id, name, type, nullable }) => ({ id, name, type, required: !nullable })),
  )
  const columns = fields.map((field) => columnOf(field, rows))
  encoder.append(columns, rows.length, null)
  const parts: Uint8Array[] = []
  if (encoder.bufferedRows > 0) parts.push(...encoder.encodeRowGroup().chunks)
  const footer = encoder.finish()
  const { metrics } = footer
  return {
    bytes: Buffer.concat([...parts, ...footer.chunks]),
    metrics: {
      columnSizes: Object.fromEntries(metrics.columnSizes),
      valueCounts: Object.fromEntries(metrics.valueCounts),
      nullCounts: Object.fromEntries(metrics.nullCounts),
      nanCounts: Object.fromEntries(metrics.nanCounts),
      lowerBounds: base64(metrics.lowerBounds),
      upperBounds: base64(metrics.upperBounds),
      splitOffsets: metrics.splitOffsets,
    },
  }
}

function base64(bounds: ReadonlyMap<number, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...bounds].map(([id, bytes]) => [id, Buffer.from(bytes).toString('base64')]),
  )
}

function columnOf(field: Field, rows: readonly RowValues[]): Column {
  const builder = columnBuilder(field.type)
  builder.reserveRows(rows.length)
  for (const [row, values] of rows.entries()) {
    const value = values[field.name] ?? null
    if (builder instanceof BytesBuilder) {
      if (value === null) builder.setNull(row)
      else appendText(builder, row, String(value))
      continue
    }
    const fixed = builder as FixedBuilder
    if (value === null) fixed.setNull(row)
    else if (fixed.layout === 'int64') (fixed.values as BigInt64Array)[row] = BigInt(value)
    else (fixed.values as Int32Array)[row] = Number(value)
  }
  return builder.view(rows.length)
}

function appendText(builder: BytesBuilder, row: number, text: string): void {
  const bytes = Buffer.from(text)
  builder.reserveBytes(bytes.length)
  builder.bytes.set(bytes, builder.bytesLength)
  builder.bytesLength += bytes.length
  builder.offsets[row + 1] = builder.bytesLength
}

/** As `rename_table` of pyiceberg and Java do: the name moves, the files stay. */
export function renameInCatalog(lake: Lake, from: string, to: string): void {
  const database = new DatabaseSync(lake.catalogPath)
  database
    .prepare('UPDATE iceberg_tables SET table_name = ? WHERE table_name = ?')
    .run(targetOf(to).name, targetOf(from).name)
  database.close()
}

/** A clock that stands still until a test moves it; sleeping moves it. */
export function handClock(startMs = 1_700_000_000_000): Clock & { nowMsValue: number } {
  const clock = {
    ...systemClock,
    nowMsValue: startMs,
    nowMs: () => clock.nowMsValue,
    nowUs: () => BigInt(clock.nowMsValue) * 1000n,
    sleep: async (ms: number) => {
      clock.nowMsValue += ms
    },
  }
  return clock
}
