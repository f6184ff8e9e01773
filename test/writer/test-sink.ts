// Writers of one sink over stores in memory, with a lake that takes what they prepare as the
// committer would: it checks every delete against the files, and reads the live rows back.

import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { expect } from 'vitest'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import type { DataFileRecord } from '../../connectors/parquet/table/data-file-record.ts'
import { readEpochDeletes } from '../../connectors/iceberg/epoch-deletes.ts'
import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import type { IcebergWriterOptions } from '../../connectors/iceberg/writer/options.ts'
import { heldDataFiles } from '../../connectors/iceberg/writer/writer-state.ts'
import type { ErrorRecord } from '../../runtime/base/errors.ts'
import { gatherRows, withKeyHash } from '../../runtime/flow/exchange.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { Control, Shown } from '../../runtime/data/element.ts'
import { keyGroupOf, writerOf } from '../../runtime/data/key-hash.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { PreparedEpoch, SinkWriter, WriterState } from '../../runtime/sink.ts'
import { memoryStore } from '../index/memory-store.ts'

interface LakeFile {
  readonly record: DataFileRecord
  readonly deleted: Set<number>
}

interface Checkpoint {
  readonly states: readonly WriterState[]
  readonly nextFileId: number
  readonly held: ReadonlyMap<string, number>
  readonly lake: ReadonlyMap<string, ReadonlyMap<number, LakeFile>>
}

export type LakeCell = number | bigint | string | boolean | null | undefined
export type LakeRow = Record<string, LakeCell>

export class TestSink {
  readonly warehouse = memoryStore()
  readonly state = memoryStore()
  readonly schemas = new Map<string, TableSchema>()
  readonly parked = new Map<string, ErrorRecord>()
  writers: SinkWriter<IcebergCommittable>[] = []
  epoch = 0
  /** What the writers reported last. */
  prepared: PreparedEpoch<IcebergCommittable>[] = []
  private readonly options: Partial<IcebergWriterOptions>
  private lake = new Map<string, Map<number, LakeFile>>()
  private held = new Map<string, number>()
  private sent = new Map<string, number>()
  private checkpoints: Checkpoint[] = []
  private starts = 0

  constructor(options: Partial<IcebergWriterOptions> = {}) {
    this.options = options
  }

  async open(count = 1): Promise<void> {
    this.starts++
    const last = this.checkpoints.at(-1)
    this.writers = []
    for (let index = 0; index < count; index++) {
      this.writers.push(
        await createIcebergWriter({
          mode: 'upsert',
          warehouse: this.warehouse,
          state: this.state,
          states: structuredClone(last?.states ?? []),
          firstFileId: (last?.nextFileId ?? 1) + index,
          fileSuffix: `s${this.starts}`,
          ...this.options,
          index,
          count,
        }),
      )
    }
  }

  async control(element: Control): Promise<void> {
    if (element.kind === 'schema') this.schemas.set(element.schema.table, element.schema)
    if (element.kind === 'backfill') this.parked.delete(element.table)
    for (const writer of this.writers) await writer.write(element)
  }

  async write(batch: ChangeBatch): Promise<void> {
    this.sent.set(batch.table, (this.sent.get(batch.table) ?? 0) + batch.rows)
    const schema = this.schemas.get(batch.table)!
    if (this.writers.length === 1 || schema.key === null) {
      await this.writers[0]!.write(batch)
      return
    }
    const hashed = withKeyHash(batch, schema)
    const hashes = hashed.keyHash!
    const words = hashes.length / batch.rows
    for (const [writer, sink] of this.writers.entries()) {
      const rows: number[] = []
      for (let row = 0; row < batch.rows; row++) {
        const owner = writerOf(keyGroupOf(hashes[row * words]!), this.writers.length)
        if (owner === writer) rows.push(row)
      }
      if (rows.length > 0) await sink.write(gatherRows(hashed, Int32Array.from(rows)))
    }
  }

  /** A chunk row that lost against the log, for the writer that owns its key. */
  async fill(writer: number, batch: ChangeBatch): Promise<void> {
    this.sent.set(batch.table, (this.sent.get(batch.table) ?? 0) + batch.rows)
    await this.writers[writer]!.fill(batch)
  }

  /** Ends the epoch, but for its checkpoint: a crash follows. */
  async prepareInVain(shows: Shown = 'all'): Promise<void> {
    for (const writer of this.writers) await writer.prepare(this.epoch + 1, shows)
  }

  /** Ends the epoch, checks its counts, and commits it to the lake. */
  async prepare(shows: Shown = 'all'): Promise<void> {
    this.epoch++
    this.prepared = []
    for (const writer of this.writers) this.prepared.push(await writer.prepare(this.epoch, shows))
    this.checkCounts()
    for (const { parked } of this.prepared) {
      for (const { table, reason } of parked) this.parked.set(table, reason)
    }
    const tables = new Set(
      this.prepared.flatMap(({ committables }) => committables.map((c) => c.table)),
    )
    for (const table of tables) if (!this.parked.has(table)) await this.commit(table)
    await this.saveCheckpoint()
  }

  private checkCounts(): void {
    const tables = new Set([
      ...this.sent.keys(),
      ...this.held.keys(),
      ...this.prepared.flatMap(({ counts }) => counts.map(({ table }) => table)),
    ])
    for (const table of tables) {
      const sum = { read: 0, written: 0, stale: 0, absorbed: 0, parked: 0, held: 0, ops: 0 }
      for (const counts of this.prepared.flatMap(({ counts }) => counts)) {
        if (counts.table !== table) continue
        for (const name of ['read', 'written', 'stale', 'absorbed', 'parked', 'held'] as const) {
          expect(counts[name]).toBeGreaterThanOrEqual(0)
          sum[name] += counts[name]
        }
        const { insert, update, delete: removed, read } = counts.ops
        sum.ops += insert + update + removed + read
      }
      const before = this.held.get(table) ?? 0
      expect(sum.read, `rows read of ${table}`).toBe(this.sent.get(table) ?? 0)
      expect(sum.ops).toBe(sum.read)
      expect(sum.written + sum.stale + sum.absorbed + sum.parked + sum.held - before).toBe(sum.read)
      this.held.set(table, sum.held)
    }
    this.sent.clear()
  }

  private async commit(table: string): Promise<void> {
    const mine = this.prepared.flatMap(({ committables }) =>
      committables.filter((c) => c.table === table),
    )
    const files = mine.some(({ truncated }) => truncated)
      ? new Map<number, LakeFile>()
      : new Map(this.lake.get(table) ?? [])
    this.lake.set(table, files)
    for (const { files: added } of mine) {
      for (const record of added) {
        expect(files.has(record.fileId)).toBe(false)
        expect(record.rows).toBeGreaterThan(0)
        expect(this.warehouse.objects.get(record.path)?.length).toBe(record.bytes)
        files.set(record.fileId, { record, deleted: new Set() })
      }
    }
    for (const { deletes } of mine) {
      if (deletes === null) continue
      for (const [fileId, positions] of readEpochDeletes(await this.state.get(deletes), table)) {
        const file = files.get(fileId)
        expect(file, `deletes are of a live file, ${fileId}`).toBeDefined()
        const deleted = new Set(file!.deleted)
        for (const position of positions) {
          expect(position).toBeLessThan(file!.record.rows)
          expect(deleted.has(position), 'a row is deleted once').toBe(false)
          deleted.add(position)
        }
        files.set(fileId, { record: file!.record, deleted })
        positions.dispose()
      }
    }
    // As the committer does: no position of a dead file may come after this.
    for (const [fileId, { record, deleted }] of files) {
      if (deleted.size === record.rows) files.delete(fileId)
    }
  }

  private async saveCheckpoint(): Promise<void> {
    const states = this.prepared.map(
      ({ state }) => JSON.parse(JSON.stringify(state)) as WriterState,
    )
    const nextFileId = Math.max(...states.map((state) => state.nextFileId))
    const lake = new Map([...this.lake].map(([table, files]) => [table, new Map(files)]))
    this.checkpoints.push({ states, nextFileId, held: new Map(this.held), lake })
    if (this.checkpoints.length > 3) this.checkpoints.shift()
    const named = new Set(
      this.checkpoints.flatMap(({ states }) => states.flatMap(({ files }) => files)),
    )
    for (const path of this.state.objects.keys())
      if (!named.has(path)) this.state.objects.delete(path)
    // Nothing is left in the warehouse that neither the lake nor a checkpoint knows.
    const known = new Set(await heldDataFiles(this.state, states))
    for (const { lake } of this.checkpoints) {
      for (const files of lake.values())
        for (const { record } of files.values()) known.add(record.path)
    }
    for (const path of this.warehouse.objects.keys()) {
      if (!known.has(path)) this.warehouse.objects.delete(path)
    }
  }

  /** Kills the writers and opens others on the last checkpoint; what came after it is lost. */
  async crash(count = 1): Promise<void> {
    const last = this.checkpoints.at(-1)
    this.lake = new Map([...(last?.lake ?? [])].map(([table, files]) => [table, new Map(files)]))
    this.held = new Map(last?.held)
    this.sent.clear()
    // As the committer's sweep does.
    const needed = await heldDataFiles(this.state, last?.states ?? [])
    await this.warehouse.removeUnfinished('', new Set(needed))
    await this.open(count)
  }

  /** Rows of the table that wait in the writers. */
  heldRows(table: string): number {
    return this.held.get(table) ?? 0
  }

  files(table: string): DataFileRecord[] {
    return [...(this.lake.get(table)?.values() ?? [])].map(({ record }) => record)
  }

  deletedRows(table: string): number {
    return [...(this.lake.get(table)?.values() ?? [])].reduce(
      (sum, { deleted }) => sum + deleted.size,
      0,
    )
  }

  /** Live rows, files and rows in their order; text as strings, other values as stored. */
  async read(table: string): Promise<LakeRow[]> {
    const rows: LakeRow[] = []
    for (const { record, deleted } of this.lake.get(table)?.values() ?? []) {
      const all = await readFile(this.warehouse.objects.get(record.path)!)
      expect(all).toHaveLength(record.rows)
      rows.push(...all.filter((_, position) => !deleted.has(position)))
    }
    return rows
  }
}

async function readFile(bytes: Uint8Array): Promise<LakeRow[]> {
  const file = new Uint8Array(bytes).buffer
  const metadata = parquetMetadata(file)
  for (const element of metadata.schema) {
    if (element.converted_type !== 'DECIMAL') continue
    delete element.converted_type
    delete element.logical_type
  }
  return (await parquetReadObjects({
    file,
    metadata,
    compressors: { ZSTD: (page) => zstdDecompressSync(page) },
    parsers: {
      timestampFromMicroseconds: (micros: bigint) => micros,
      dateFromDays: (days: number) => days,
    },
  })) as LakeRow[]
}
