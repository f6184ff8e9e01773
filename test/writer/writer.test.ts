import { expect, test } from 'vitest'
import { createLog } from '../../runtime/base/log.ts'
import { Op } from '../../runtime/data/batch.ts'
import { batchOf, field, schemaOf, UNCHANGED, type TestRow } from './batches.ts'
import { TestSink } from './test-sink.ts'

const TABLE = 'shop.orders'
const schema = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'int' }, { nullable: false }),
  field(2, 'name', { kind: 'string' }),
])

async function sinkOf(options: ConstructorParameters<typeof TestSink>[0] = {}): Promise<TestSink> {
  const sink = new TestSink(options)
  await sink.open()
  await sink.control({ kind: 'schema', schema })
  return sink
}

const row = (op: Op, id: number, name?: string): TestRow => ({ op, values: { id, name } })

test('many changes of one key in one batch leave its last row, dead rows only under a delete', async () => {
  const sink = await sinkOf()
  const rows = [Op.insert, Op.update, Op.update, Op.delete, Op.insert].map((op, at) =>
    row(op, 7, `v${at}`),
  )
  await sink.write(batchOf(schema, rows, 1n))
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([{ id: 7, name: 'v4' }])
  expect(sink.files(TABLE)[0]!.rows - sink.deletedRows(TABLE)).toBe(1)
  await sink.write(batchOf(schema, [row(Op.delete, 7)], 2n))
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([])
})

test('a file whose rows are all deleted again in its epoch is not kept', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a'), row(Op.insert, 2, 'b')], 1n))
  await sink.write(batchOf(schema, [row(Op.delete, 1), row(Op.delete, 2)], 2n))
  await sink.prepare()
  expect(sink.prepared[0]!.committables).toEqual([])
  expect(sink.warehouse.objects.size).toBe(0)
})

test('two keys swap inside one transaction', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'one'), row(Op.insert, 2, 'two')], 1n))
  await sink.prepare()
  const swap = [
    row(Op.delete, 1),
    row(Op.insert, 0, 'one'),
    row(Op.delete, 2),
    row(Op.insert, 1, 'two'),
  ]
  await sink.write(batchOf(schema, [...swap, row(Op.delete, 0), row(Op.insert, 2, 'one')], 2n))
  await sink.prepare()
  const rows = await sink.read(TABLE)
  expect(rows.sort((a, b) => Number(a['id']) - Number(b['id']))).toEqual([
    { id: 1, name: 'two' },
    { id: 2, name: 'one' },
  ])
})

test('an epoch without changes writes nothing and leaves the state as it was', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a')], 1n))
  await sink.prepare()
  const before = JSON.stringify(sink.prepared[0]!.state)
  const paths = [...sink.state.objects.keys(), ...sink.warehouse.objects.keys()]
  await sink.prepare()
  expect(sink.prepared[0]!.committables).toEqual([])
  expect(JSON.stringify(sink.prepared[0]!.state)).toBe(before)
  expect([...sink.state.objects.keys(), ...sink.warehouse.objects.keys()]).toEqual(paths)
})

test('a hot key is folded in the batch before it is written', async () => {
  const sink = await sinkOf()
  for (let batch = 0; batch < 5; batch++) {
    const rows = Array.from({ length: 200 }, (_, at) => row(Op.update, at % 4, `${batch}/${at}`))
    await sink.write(batchOf(schema, rows, BigInt(batch + 1)))
  }
  await sink.prepare()
  expect(sink.files(TABLE)[0]!.rows).toBe(5 * 4)
  expect((await sink.read(TABLE)).map(({ name }) => name)).toEqual([
    '4/196',
    '4/197',
    '4/198',
    '4/199',
  ])
})

test('append carries new rows and counts the rest as absorbed', async () => {
  const sink = await sinkOf({ mode: 'append' })
  const rows = [
    row(Op.insert, 1, 'a'),
    row(Op.update, 1, 'b'),
    row(Op.delete, 1),
    row(Op.read, 1, 'c'),
  ]
  await sink.write(batchOf(schema, rows, 1n))
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([
    { id: 1, name: 'a' },
    { id: 1, name: 'c' },
  ])
  expect(sink.prepared[0]!.counts[0]).toMatchObject({ read: 4, written: 2, absorbed: 2 })
})

test('append keeps the rows of before a TRUNCATE, and says so once', async () => {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const sink = new TestSink({ mode: 'append', log: createLog({ level: 'warn', write }) })
  await sink.open(2)
  await sink.control({ kind: 'schema', schema })
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a')], 1n))
  await sink.control({ kind: 'truncate', table: TABLE, order: 2n })
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([{ id: 1, name: 'a' }])
  expect(lines).toEqual([expect.stringContaining('this mode keeps the rows of before')])
})

test('changelog has every change with what, where, when and in which transaction', async () => {
  const sink = await sinkOf({ mode: 'changelog' })
  const wide = schemaOf(
    TABLE,
    1,
    schema.fields.map((f) => ({ ...f, id: f.id + 4 })),
    null,
  )
  await sink.control({ kind: 'schema', schema: wide })
  const rows: TestRow[] = [
    { ...row(Op.insert, 1, 'a'), order: 0x10n },
    { ...row(Op.delete, 1), values: { id: 1, name: UNCHANGED }, order: 0x11n, sequence: 300 },
  ]
  await sink.write(batchOf(wide, rows, 0x10n))
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([
    {
      id: 1,
      name: 'a',
      _op: 'c',
      _pos: `${'10'.padStart(32, '0')}-00000000`,
      _ts: 1_000_016n,
      _tx: 'tx16',
    },
    {
      id: 1,
      name: null,
      _op: 'd',
      _pos: `${'11'.padStart(32, '0')}-0000012c`,
      _ts: 1_000_017n,
      _tx: 'tx17',
    },
  ])
})

test('TRUNCATE in the middle of an epoch keeps only what came behind it', async () => {
  const sink = await sinkOf({ indexMemoryBytes: 1000 })
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'old')], 1n))
  await sink.prepare()
  await sink.write(batchOf(schema, [row(Op.insert, 2, 'gone'), row(Op.delete, 1)], 2n))
  await sink.control({ kind: 'truncate', table: TABLE, order: 3n })
  await sink.write(batchOf(schema, [row(Op.update, 3, 'kept')], 4n))
  await sink.prepare()
  expect(sink.prepared[0]!.committables).toMatchObject([{ truncated: true, deletes: null }])
  expect(await sink.read(TABLE)).toEqual([{ id: 3, name: 'kept' }])
})

test('rows before and behind a schema change lie in files of their own version', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a')], 1n))
  const next = schemaOf(TABLE, 1, [...schema.fields, field(3, 'price', { kind: 'long' })])
  await sink.control({ kind: 'schema', schema: next })
  await sink.write(batchOf(next, [{ op: Op.insert, values: { id: 2, name: 'b', price: 5n } }], 2n))
  await sink.prepare()
  expect(sink.files(TABLE).map(({ schemaVersion }) => schemaVersion)).toEqual([0, 1])
  expect(await sink.read(TABLE)).toEqual([
    { id: 1, name: 'a' },
    { id: 2, name: 'b', price: 5n },
  ])
})

test('a parked table takes back its epoch and counts its rows', async () => {
  const sink = await sinkOf()
  const reason = { error: 'KEY_CHANGED' as const, message: 'm', detail: null, hint: 'h' }
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a'), row(Op.insert, 2, 'b')], 1n))
  await sink.control({ kind: 'park', table: TABLE, reason })
  await sink.write(batchOf(schema, [row(Op.insert, 3, 'c')], 2n))
  await sink.prepare()
  expect(sink.prepared[0]!.committables).toEqual([])
  expect(sink.prepared[0]!.counts[0]).toMatchObject({ read: 3, written: 0, parked: 3 })
  expect(sink.warehouse.objects.size).toBe(0)
})

test('a table whose key changes under live rows is parked by the writer', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a')], 1n))
  await sink.control({ kind: 'schema', schema: schemaOf(TABLE, 1, schema.fields, [1]) })
  await sink.prepare()
  expect(sink.parked.get(TABLE)).toMatchObject({ error: 'KEY_CHANGED' })
  await sink.prepare()
  expect(sink.prepared[0]!.parked).toEqual([])
})

test('a repair shows the old rows until its end, then exactly what was confirmed', async () => {
  const sink = await sinkOf()
  const old = [1, 2, 3, 4].map((id) => row(Op.insert, id, `old${id}`))
  await sink.write(batchOf(schema, old, 1n))
  await sink.prepare()
  // Rows 3 and 4 vanished in a gap of the log; row 1 changes while the table is read again.
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.read, 1, 'chunk1'), row(Op.read, 2, 'chunk2')], 2n))
  await sink.prepare()
  expect((await sink.read(TABLE)).map(({ name }) => name)).toEqual(['old1', 'old2', 'old3', 'old4'])
  await sink.write(batchOf(schema, [row(Op.update, 1, 'log1'), row(Op.insert, 5, 'log5')], 3n))
  await sink.prepare()
  await sink.crash(2)
  await sink.control({ kind: 'schema', schema })
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.delete, 2)], 4n))
  await sink.control({ kind: 'settled', table: TABLE, order: 5n, done: true })
  await sink.prepare()
  expect(new Set((await sink.read(TABLE)).map(({ name }) => name))).toEqual(
    new Set(['log1', 'log5']),
  )
})

test('a second repair of a table begins from nothing', async () => {
  const sink = await sinkOf()
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.read, 1, 'first')], 1n))
  await sink.prepare()
  await sink.crash()
  await sink.control({ kind: 'schema', schema })
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.read, 2, 'second')], 2n))
  await sink.control({ kind: 'settled', table: TABLE, order: 3n, done: true })
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([{ id: 2, name: 'second' }])
})

// The state named the file of before the TRUNCATE, because there was one file before and after it.
test('a TRUNCATE during a repair leaves no file of before it in the state', async () => {
  const sink = await sinkOf()
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.read, 1, 'before')], 1n))
  await sink.prepare()
  await sink.control({ kind: 'truncate', table: TABLE, order: 2n })
  await sink.write(batchOf(schema, [row(Op.insert, 2, 'behind')], 3n))
  await sink.prepare()
  await sink.crash()
  await sink.control({ kind: 'schema', schema })
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.control({ kind: 'settled', table: TABLE, order: 4n, done: true })
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([{ id: 2, name: 'behind' }])
})

test('a TRUNCATE during a repair leaves no delete of before it in the state', async () => {
  const sink = await sinkOf()
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.read, 1, 'before'), row(Op.read, 2, 'before')], 1n))
  await sink.write(batchOf(schema, [row(Op.update, 1, 'again')], 2n))
  await sink.prepare()
  await sink.control({ kind: 'truncate', table: TABLE, order: 3n })
  await sink.prepare()
  await sink.crash()
  await sink.control({ kind: 'schema', schema })
  await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  await sink.write(batchOf(schema, [row(Op.insert, 3, 'behind')], 4n))
  await sink.control({ kind: 'settled', table: TABLE, order: 5n, done: true })
  await sink.prepare()
  expect(await sink.read(TABLE)).toEqual([{ id: 3, name: 'behind' }])
})

// Its structure may require columns that the old rows do not have.
test('a table that is re-created while it is repaired, or parked, loses its old rows at once', async () => {
  for (const kind of ['repaired', 'parked']) {
    const sink = await sinkOf()
    await sink.write(batchOf(schema, [row(Op.insert, 1, 'old')], 1n))
    await sink.prepare()
    if (kind === 'repaired') {
      await sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
      await sink.write(batchOf(schema, [row(Op.read, 1, 'again')], 2n))
    } else {
      const moved: TestRow = { op: Op.insert, values: { id: 2, name: UNCHANGED } }
      await sink.write(batchOf(schema, [moved], 2n))
    }
    await sink.prepare()
    expect(await sink.read(TABLE)).toEqual([{ id: 1, name: 'old' }])
    await sink.control({ kind: 'truncate', table: TABLE, order: 3n })
    await sink.control({ kind: 'schema', schema: { ...schema, version: schema.version + 1 } })
    await sink.control({ kind: 'backfill', table: TABLE, repair: false, floor: 3n })
    await sink.prepare()
    expect(await sink.read(TABLE)).toEqual([])
    await sink.crash(2)
    const next = { ...schema, version: schema.version + 1 }
    await sink.control({ kind: 'schema', schema: next })
    await sink.control({ kind: 'backfill', table: TABLE, repair: false, floor: 3n })
    await sink.write(batchOf(next, [row(Op.read, 7, 'new')], 4n))
    await sink.prepare()
    expect(await sink.read(TABLE)).toEqual([{ id: 7, name: 'new' }])
    await sink.control({ kind: 'settled', table: TABLE, order: 5n, done: true })
    await sink.prepare()
    expect(await sink.read(TABLE)).toEqual([{ id: 7, name: 'new' }])
  }
})

test('a chunk between the two halves of a key change does not hide the old row', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'kept')], 1n))
  await sink.prepare()
  await sink.write(batchOf(schema, [{ ...row(Op.delete, 1), sequence: 4 }], 2n))
  await sink.write(batchOf(schema, [row(Op.read, 9, 'chunk')], 0n))
  const moved: TestRow = { op: Op.insert, values: { id: 2, name: UNCHANGED }, sequence: 5 }
  await sink.write(batchOf(schema, [moved], 2n))
  await sink.prepare()
  const names = (await sink.read(TABLE)).map(({ id, name }) => [id, name])
  expect(new Map(names as [number, string][])).toEqual(
    new Map([
      [9, 'chunk'],
      [2, 'kept'],
    ]),
  )
})

test('an insert that lacks a value and follows no delete of its transaction parks the table', async () => {
  const sink = await sinkOf()
  await sink.write(batchOf(schema, [row(Op.insert, 1, 'a')], 1n))
  await sink.write(batchOf(schema, [{ ...row(Op.delete, 1), sequence: 4 }], 2n))
  const moved: TestRow = { op: Op.insert, values: { id: 2, name: UNCHANGED }, sequence: 6 }
  await sink.write(batchOf(schema, [moved], 2n))
  await sink.prepare()
  expect(sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
})
