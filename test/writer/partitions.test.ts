// Partitioned tables in the writer: which file a row goes to, what an epoch says of its partitions,
// and what becomes of them when the structure of the table changes.

import { expect, onTestFinished, test } from 'vitest'
import { partitionTotals } from '../../connectors/parquet/table/data-file-record.ts'
import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import { decodeSingleValue } from '../../connectors/parquet/encode/single-value.ts'
import { randomId63 } from '../../runtime/base/clock.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { PartitionField, Transform } from '../../runtime/data/partition/transform.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { ObjectStore, ObjectWriter } from '../../runtime/object-store.ts'
import { Lake } from '../iceberg/lake.ts'
import { memoryStore } from '../index/memory-store.ts'
import { batchOf, field, schemaOf, type RowValues } from './batches.ts'
import { TestSink } from './test-sink.ts'

const TABLE = 'shop.events'
const DAY_US = 86_400_000_000n
const by = (column: string, transform: Transform = { kind: 'identity' }): PartitionField => ({
  column,
  transform,
})
const DAY: Transform = { kind: 'day' }

const events = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'int' }, { nullable: false }),
  field(2, 'ts', { kind: 'timestamptz' }),
  field(3, 'place', { kind: 'string' }),
])

async function openSink(
  mode: 'append' | 'changelog' | 'upsert',
  fields: readonly PartitionField[],
  more: object = {},
): Promise<TestSink> {
  const sink = new TestSink({ mode, partitionBy: () => fields, ...more })
  await sink.open()
  await sink.control({ kind: 'schema', schema: events })
  return sink
}

async function insert(sink: TestSink, rows: readonly RowValues[], schema = events): Promise<void> {
  await sink.write(
    batchOf(
      schema,
      rows.map((values) => ({ op: Op.insert, values })),
      1n,
    ),
  )
}

const decode = (kind: 'date' | 'string', value: string | null): unknown =>
  value === null ? null : decodeSingleValue({ kind }, Buffer.from(value, 'base64'))

test('each file holds the rows of one partition, and an epoch one file for each', async () => {
  const sink = await openSink('append', [by('ts', DAY), by('place')])
  const places = ['a', 'b/..', '', undefined]
  const rows = Array.from({ length: 500 }, (_, id): RowValues => {
    const day = BigInt((id * 7) % 11) - 5n
    return { id, ts: id % 13 === 0 ? undefined : day * DAY_US - 1n, place: places[id % 4] }
  })
  await insert(sink, rows.slice(0, 250))
  await insert(sink, rows.slice(250))
  await sink.prepare()
  const keyOf = ({ ts, place }: Record<string, unknown>): string => {
    const day = typeof ts === 'bigint' ? Number(ts / DAY_US) - (ts < 0n ? 1 : 0) : null
    return JSON.stringify([day, place ?? null])
  }
  const wanted = Map.groupBy(rows, keyOf)
  const files = sink.files(TABLE)
  expect(files.length).toBe(wanted.size)
  const ids: unknown[] = []
  for (const { path, partition, rows: count } of files) {
    const [day, place] = partition!
    const key = JSON.stringify([decode('date', day ?? null), decode('string', place ?? null)])
    expect(wanted.get(key)?.length).toBe(count)
    const folder = path.replace(/\/[^/]*$/, '')
    expect(files.filter((file) => file.path.startsWith(`${folder}/`))).toHaveLength(1)
    expect(folder).toMatch(/^shop\/events\/data\/ts_day=[^/]+\/place=[^/]*$/)
  }
  for (const { id } of await sink.read(TABLE)) ids.push(id)
  expect(ids.toSorted((left, right) => Number(left) - Number(right))).toEqual(
    rows.map(({ id }) => id),
  )
  const totals = [...partitionTotals(sink.prepared[0]!.committables).values()]
  expect(totals.reduce((sum, total) => sum + total.rows, 0)).toBe(500)
  expect(totals.map((total) => total.files)).toEqual(files.map(() => 1))
  expect(sink.prepared[0]!.committables[0]!.spec).toEqual([
    { sourceId: 2, fieldId: 1000, name: 'ts_day', transform: 'day' },
    { sourceId: 3, fieldId: 1001, name: 'place', transform: 'identity' },
  ])
})

test('files of upsert tables lie in one folder: an index finds them by their ids', async () => {
  const sink = await openSink('upsert', [by('place')])
  await insert(sink, [
    { id: 1, place: 'a' },
    { id: 2, place: 'b' },
  ])
  await sink.prepare()
  const paths = sink.files(TABLE).map(({ path }) => path)
  expect(paths).toEqual(['1', '2'].map((id) => `shop/events/data/0000000${id}-s1.parquet`))
})

test('a changelog may be partitioned by its own columns; a delete has no value but its key', async () => {
  // The first four field ids are those of the changelog's own columns.
  const schema = schemaOf(
    TABLE,
    0,
    events.fields.map((column) => ({ ...column, id: column.id + 4 })),
  )
  const sink = new TestSink({ mode: 'changelog', partitionBy: () => [by('_op'), by('place')] })
  await sink.open()
  await sink.control({ kind: 'schema', schema })
  const at = (op: Op, values: RowValues): { op: Op; values: RowValues } => ({ op, values })
  const rows = [at(Op.insert, { id: 1, place: 'a' }), at(Op.delete, { id: 1 })]
  await sink.write(batchOf(schema, rows, 1n))
  await sink.prepare()
  const partitions = sink
    .files(TABLE)
    .map(({ partition }) => partition?.map((v) => decode('string', v)))
  expect(partitions).toEqual([
    ['c', 'a'],
    ['d', null],
  ])
})

const renamed: TableSchema = {
  ...schemaOf(TABLE, 1, [
    field(1, 'id', { kind: 'long' }, { nullable: false }),
    field(2, 'at', { kind: 'timestamptz' }),
    field(3, 'place', { kind: 'string' }),
  ]),
}

test('a partitioning follows its columns through renames, widening and restarts', async () => {
  const sink = await openSink('append', [by('ts', DAY), by('id')])
  await insert(sink, [{ id: 7, ts: 0n }])
  await sink.prepare()
  await sink.control({ kind: 'schema', schema: renamed })
  await insert(sink, [{ id: 7n, at: DAY_US }], renamed)
  await sink.prepare()
  await sink.crash(2)
  await sink.control({ kind: 'schema', schema: renamed })
  await insert(sink, [{ id: 8n, at: 2n * DAY_US }], renamed)
  await sink.prepare()
  expect(sink.parked.size).toBe(0)
  const days = sink.files(TABLE).map(({ partition }) => decode('date', partition?.[0] ?? null))
  expect(days).toEqual([0, 1, 2])
  const folders = sink.files(TABLE).map(({ path }) => path.split('/')[3])
  expect(folders).toEqual(['ts_day=1970-01-01', 'ts_day=1970-01-02', 'ts_day=1970-01-03'])
})

test.each([
  ['loses its partition column', [events.fields[0]!, events.fields[2]!], /has lost the column/],
  [
    'gets a column with the name of a partition field',
    [...events.fields, field(4, 'TS_Day', { kind: 'int' })],
    /has a column with the name of partition field/,
  ],
])('a table that %s is parked, also when it is read again', async (_, fields, message) => {
  const sink = await openSink('append', [by('ts', DAY)])
  await insert(sink, [{ id: 1, ts: 0n }])
  await sink.prepare()
  const schema = schemaOf(TABLE, 1, fields)
  await sink.control({ kind: 'schema', schema })
  await sink.prepare()
  expect(sink.parked.get(TABLE)).toMatchObject({ error: 'DDL_UNMAPPABLE' })
  expect(sink.parked.get(TABLE)?.message).toMatch(message)
  await sink.control({ kind: 'backfill', table: TABLE, repair: false, floor: null })
  expect(sink.parked.size).toBe(0)
  await insert(sink, [{ id: 2 }], schema)
  await sink.prepare()
  expect(sink.parked.get(TABLE)?.message).toMatch(message)
  // What was undone at the source goes on.
  await sink.control({ kind: 'schema', schema: { ...events, version: 2 } })
  await sink.control({ kind: 'backfill', table: TABLE, repair: false, floor: null })
  await insert(sink, [{ id: 3, ts: 0n }], { ...events, version: 2 })
  await sink.prepare()
  expect(sink.parked.size).toBe(0)
})

test('a partition field never takes the name of a column', async () => {
  const schema = schemaOf(TABLE, 0, [
    field(1, 'id', { kind: 'int' }, { nullable: false }),
    field(2, 'id_bucket', { kind: 'int' }),
    field(3, 'ID_bucket_2', { kind: 'int' }),
  ])
  const sink = new TestSink({
    mode: 'append',
    partitionBy: () => [by('id', { kind: 'bucket', buckets: 4 })],
  })
  await sink.open()
  await sink.control({ kind: 'schema', schema })
  await insert(sink, [{ id: 1 }], schema)
  await sink.prepare()
  expect(sink.prepared[0]!.committables[0]!.spec?.[0]?.name).toBe('id_bucket_3')
})

test('a decimal that truncating makes too large for its column parks its table', async () => {
  const schema = schemaOf(TABLE, 0, [
    field(1, 'id', { kind: 'int' }, { nullable: false }),
    field(2, 'price', { kind: 'decimal', precision: 4, scale: 2 }),
  ])
  const sink = new TestSink({
    mode: 'append',
    partitionBy: () => [by('price', { kind: 'truncate', width: 5000 })],
  })
  await sink.open()
  await sink.control({ kind: 'schema', schema })
  await insert(sink, [{ id: 1, price: -9999n }], schema)
  await sink.prepare()
  expect(sink.parked.get(TABLE)?.error).toBe('VALUE_UNREPRESENTABLE')
})

test('a partition has one file, also with more partitions than may be open', async () => {
  const sink = await openSink('append', [by('place')], { openFilesMax: 4 })
  const rows = Array.from({ length: 40 }, (_, id): RowValues => ({ id, place: `p${id % 8}` }))
  await insert(sink, rows.slice(0, 20))
  await insert(sink, rows.slice(20))
  await sink.prepare()
  expect(sink.files(TABLE).map(({ rows: count }) => count)).toEqual(Array(8).fill(5))
  const ids = (await sink.read(TABLE)).map(({ id }) => Number(id))
  expect(ids.toSorted((left, right) => left - right)).toEqual(rows.map(({ id }) => id))
})

/** Takes bytes and forgets them; knows how many files are being written. */
class Sinkhole {
  open = 0
  openMax = 0
  readonly paths = new Set<string>()
  readonly store: ObjectStore

  constructor() {
    const create = async (path: string): Promise<ObjectWriter> => {
      let length = 0
      let isOpen = false
      const begin = (): void => {
        if (!isOpen) this.openMax = Math.max(this.openMax, ++this.open)
        isOpen = true
      }
      const end = async (): Promise<void> => {
        await new Promise((resolve) => setImmediate(resolve))
        if (isOpen) this.open--
        isOpen = false
      }
      begin()
      return {
        get length() {
          return length
        },
        unfinished: `${path}.tmp`,
        write: async (bytes) => {
          begin()
          length += bytes.length
        },
        sync: async () => begin(),
        pause: end,
        finish: async () => {
          begin()
          await end()
          this.paths.add(path)
        },
        abort: end,
      }
    }
    this.store = { ...memoryStore(), create }
  }
}

test('LAKE-13: 10,000 partitions of one row each in bounded memory and few open files', async () => {
  const lake = await Lake.open()
  onTestFinished(async () => lake.close())
  const partitions = 10_000
  const holes = new Sinkhole()
  const fields = ['a', 'b'].map((name, at) => field(2 + at, name, { kind: 'string' }))
  const schema = schemaOf(TABLE, 0, [
    field(1, 'id', { kind: 'int' }, { nullable: false }),
    ...fields,
  ])
  const writer = await createIcebergWriter({
    mode: 'append',
    warehouse: holes.store,
    state: lake.state,
    states: [],
    index: 0,
    count: 1,
    firstFileId: 1,
    fileSuffix: 't',
    partitionBy: () => [by('id')],
  })
  await writer.write({ kind: 'schema', schema })
  const before = process.memoryUsage().rss
  let most = 0
  for (let start = 0; start < partitions; start += 5000) {
    const rows = Array.from({ length: 5000 }, (_, at) => {
      const texts = fields.map(({ name }) => [name, `${name} of ${start + at}`])
      return { op: Op.read, values: { id: start + at, ...Object.fromEntries(texts) } as RowValues }
    })
    await writer.write(batchOf(schema, rows, 1n))
    most = Math.max(most, process.memoryUsage().rss)
  }
  const { committables } = await writer.prepare(1)
  most = Math.max(most, process.memoryUsage().rss)
  await writer.close()
  expect((most - before) / 2 ** 20).toBeLessThan(512 * 1.2)
  expect(holes.openMax).toBeLessThanOrEqual(128)
  const totals = [...partitionTotals(committables).values()]
  expect(totals).toHaveLength(partitions)
  expect(totals.every(({ files, rows }) => files === 1 && rows === 1)).toBe(true)
  expect(holes.paths.size).toBe(partitions)

  const table = { table: TABLE, snapshotId: randomId63(), schemas: [schema], tableUuid: null }
  const intent = {
    ...(await lake.intent([])),
    tables: [{ ...table, lastIntent: null, committables }],
  }
  const [commit] = await lake.committer({ mode: 'append' }).commit([intent])
  expect(commit?.outcome).toBe('committed')
  const { metadata, files } = await lake.scan(TABLE)
  expect(files).toHaveLength(partitions)
  expect(metadata.snapshots[0]?.summary).toMatchObject({
    'added-data-files': '10000',
    'changed-partition-count': '10000',
  })
}, 120_000)
