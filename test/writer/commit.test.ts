// What two writers prepare goes through the real committer into a SQLite catalog, DDL, TRUNCATE and
// deletion vectors included, and comes back by the table's own metadata.

import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { expect, onTestFinished, test } from 'vitest'
import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import { randomId63 } from '../../runtime/base/clock.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Control } from '../../runtime/data/element.ts'
import { keyGroupOf, writerOf } from '../../runtime/data/key-hash.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { gatherRows, withKeyHash } from '../../runtime/flow/exchange.ts'
import type { SinkWriter } from '../../runtime/sink.ts'
import type { IcebergCommitter } from '../../connectors/iceberg/committer.ts'
import { Lake } from '../iceberg/lake.ts'
import { batchOf, field, schemaOf, type TestRow } from './batches.ts'

const TABLE = 'shop.orders'
const first = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'int' }, { nullable: false }),
  field(2, 'name', { kind: 'string' }),
])
const second = schemaOf(TABLE, 1, [
  field(1, 'id', { kind: 'long' }, { nullable: false }),
  field(2, 'title', { kind: 'string' }),
  field(3, 'price', { kind: 'decimal', precision: 12, scale: 2 }),
])

const row = (op: Op, id: number, name?: string): TestRow => {
  return { op, values: { id, name, title: name, price: 100n } }
}

async function readRows(lake: Lake): Promise<Map<number, unknown>> {
  const rows = new Map<number, unknown>()
  const { files } = await lake.scan(TABLE)
  for (const { path, deleted } of files) {
    const file = new Uint8Array(await lake.warehouse.get(path)).buffer
    const read = await parquetReadObjects({
      file,
      metadata: parquetMetadata(file),
      compressors: { ZSTD: (page) => zstdDecompressSync(page) },
    })
    for (const [position, values] of read.entries()) {
      if (deleted?.has(position) === true) continue
      expect(rows.has(Number(values['id']))).toBe(false)
      rows.set(Number(values['id']), values['name'] ?? values['title'])
    }
  }
  return rows
}

/** Two writers and a committer over one lake. */
class Sink {
  readonly lake: Lake
  readonly writers: SinkWriter<IcebergCommittable>[] = []
  private readonly committer: IcebergCommitter

  private constructor(lake: Lake) {
    this.lake = lake
    this.committer = lake.committer()
  }

  static async open(): Promise<Sink> {
    const sink = new Sink(await Lake.open())
    const { warehouse, state } = sink.lake
    for (const index of [0, 1]) {
      const names = { index, count: 2, firstFileId: 1 + index, fileSuffix: 't' }
      const stores = { warehouse, state, states: [] }
      sink.writers.push(await createIcebergWriter({ mode: 'upsert', ...names, ...stores }))
    }
    return sink
  }

  async close(): Promise<void> {
    for (const writer of this.writers) await writer.close()
    await this.committer.close()
    await this.lake.close()
  }

  async control(element: Control): Promise<void> {
    for (const writer of this.writers) await writer.write(element)
  }

  async send(schema: TableSchema, rows: readonly TestRow[]): Promise<void> {
    const batch: ChangeBatch = withKeyHash(batchOf(schema, rows, 1n), schema)
    const words = batch.keyHash!.length / batch.rows
    for (const [index, writer] of this.writers.entries()) {
      const mine = rows.flatMap((_, at) => {
        const owner = writerOf(keyGroupOf(batch.keyHash![at * words]!), this.writers.length)
        return owner === index ? [at] : []
      })
      if (mine.length > 0) await writer.write(gatherRows(batch, Int32Array.from(mine)))
    }
  }

  async prepare(epoch: number): Promise<IcebergCommittable[]> {
    const committables: IcebergCommittable[] = []
    for (const writer of this.writers)
      committables.push(...(await writer.prepare(epoch)).committables)
    return committables
  }

  async commit(epoch: number, schemas: readonly TableSchema[]): Promise<void> {
    const { lake } = this
    const known = lake.known.get(TABLE)
    const entry = {
      table: TABLE,
      snapshotId: randomId63(),
      schemas,
      tableUuid: known?.uuid ?? null,
      lastIntent: known?.lastIntent ?? null,
      committables: await this.prepare(epoch),
    }
    const intent = { ...(await lake.intent([])), epoch, tables: [entry] }
    const commits = await this.committer.commit([intent])
    expect(commits.map(({ outcome }) => outcome)).toEqual(['committed'])
    lake.learn(commits)
  }
}

test('two writers and the committer make a table that reads as the model', async () => {
  const sink = await Sink.open()
  onTestFinished(() => sink.close())
  const { lake } = sink
  await sink.control({ kind: 'schema', schema: first })
  await sink.send(
    first,
    Array.from({ length: 100 }, (_, id) => row(Op.insert, id, `n${id}`)),
  )
  await sink.commit(1, [first])
  await sink.send(first, [row(Op.update, 1, 'one'), row(Op.update, 1, 'uno'), row(Op.delete, 2)])
  // The key is widened: rows that were written with the int are found.
  await sink.control({ kind: 'schema', schema: second })
  await sink.send(second, [
    row(Op.update, 3, 'three'),
    row(Op.delete, 4),
    row(Op.insert, 200, 'new'),
  ])
  await sink.commit(2, [second])
  const model = new Map<number, unknown>()
  for (let id = 0; id < 100; id++) if (id !== 2 && id !== 4) model.set(id, `n${id}`)
  model.set(1, 'uno').set(3, 'three').set(200, 'new')
  expect(await readRows(lake)).toEqual(model)

  await sink.send(second, [row(Op.update, 5, 'gone')])
  await sink.control({ kind: 'truncate', table: TABLE, order: 9n })
  await sink.send(second, [row(Op.insert, 6, 'kept'), row(Op.update, 6, 'still')])
  await sink.commit(3, [])
  expect(await readRows(lake)).toEqual(new Map([[6, 'still']]))

  // A repair: what the table held is replaced in the epoch in which it ends.
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.send(second, [row(Op.read, 7, 'seven'), row(Op.read, 8, 'eight')])
  expect(await sink.prepare(4)).toEqual([])
  await sink.send(second, [row(Op.update, 8, 'acht'), row(Op.delete, 7)])
  await sink.control({ kind: 'settled', table: TABLE, order: 10n, done: true })
  await sink.commit(5, [])
  expect(await readRows(lake)).toEqual(new Map([[8, 'acht']]))
})

test('files that a repair holds back come into the table through changes of structure', async () => {
  const sink = await Sink.open()
  onTestFinished(() => sink.close())
  const { lake } = sink
  await sink.control({ kind: 'schema', schema: first })
  await sink.send(first, [row(Op.insert, 1, 'one'), row(Op.insert, 2, 'gone')])
  await sink.commit(1, [first])
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.send(first, [row(Op.read, 1, 'uno'), row(Op.read, 3, 'drei')])
  expect(await sink.prepare(2)).toEqual([])
  // The structure is the lake's at once, while the rows of before wait for the end.
  await sink.control({ kind: 'schema', schema: second })
  await sink.send(second, [row(Op.insert, 4, 'vier'), row(Op.update, 3, 'trois')])
  await sink.commit(3, [second])
  const before = new Map([
    [1, 'one'],
    [2, 'gone'],
  ])
  expect(await readRows(lake)).toEqual(before)
  const third = schemaOf(TABLE, 2, [...second.fields, field(4, 'note', { kind: 'string' })])
  await sink.control({ kind: 'schema', schema: third })
  await sink.send(third, [row(Op.insert, 5, 'fünf')])
  await sink.control({ kind: 'settled', table: TABLE, order: 10n, done: true })
  await sink.commit(4, [third])
  const rows = new Map([
    [1, 'uno'],
    [3, 'trois'],
    [4, 'vier'],
    [5, 'fünf'],
  ])
  expect(await readRows(lake)).toEqual(rows)
  expect((await lake.scan(TABLE)).files.length).toBeGreaterThan(2)
})
