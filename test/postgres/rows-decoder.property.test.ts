// The loops that decode many rows at once against the kernels, which decode value by value: both
// read the same bytes, cut anywhere, and must make the same batches and fail alike.

import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import type { Client } from 'pg'
import { expect, test } from 'vitest'
import { CopyReader } from '../../connectors/postgres/decode/copy.ts'
import { compileDecoder } from '../../connectors/postgres/decode/generate.ts'
import { LogParser, Stop } from '../../connectors/postgres/decode/log-parser.ts'
import { compileRows } from '../../connectors/postgres/decode/rows-decoder.ts'
import { decodedFields, LogTable } from '../../connectors/postgres/log-table.ts'
import type { TableShape } from '../../connectors/postgres/shape.ts'
import { DeliveredCommits } from '../../connectors/postgres/snapshot.ts'
import { TableBatch } from '../../connectors/postgres/table-batch.ts'
import { Wire } from '../../connectors/postgres/wire.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { firstSchema } from '../../runtime/data/evolution.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { valueAt } from './harness.ts'
import * as send from './messages.ts'
import { columnKinds, int8Kind, type ColumnKind, type Sent } from './wire-values.ts'

const OID = 70_000
const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 3) * 1000

interface TestColumn extends ColumnKind {
  readonly nullable: boolean
  /** The table has it, the lake does not take it. */
  readonly excluded: boolean
}

/** A value, null, or unchanged. */
type Cell = Sent | null | undefined

interface Table {
  readonly shape: TableShape
  readonly schema: TableSchema
  readonly columns: readonly TestColumn[]
}

function tableOf(columns: readonly TestColumn[]): Table {
  const taken = columns.map((column, at) => ({ ...column, attnum: at + 1 }))
  const shape: TableShape = {
    oid: OID,
    kind: 'r',
    columns: taken.map(({ attnum }) => ({ attnum, name: `c${attnum}`, type: 0, modifier: -1 })),
    wires: new Map(
      taken
        .filter(({ excluded }) => !excluded)
        .map(({ attnum, kind, list }) => {
          return [attnum, { kind, list: list === true, asText: list === true }]
        }),
    ),
    keyColumns: Int32Array.of(0),
    source: {
      namespace: 'public',
      name: 't',
      incarnation: '1',
      comment: null,
      key: ['1'],
      columns: taken.map(({ attnum, type, nullable, excluded }) => ({
        identity: String(attnum),
        name: `c${attnum}`,
        type,
        // What no column fills is null.
        nullable: nullable || excluded,
        comment: null,
        sourceType: '',
        existing: { kind: 'null' },
      })),
    },
  }
  const first = firstSchema(shape.source, { firstFieldId: 1, keyed: true })
  if (first.kind !== 'evolved') throw new Error('no schema')
  return { shape, schema: first.schema, columns }
}

const tables = fc
  .array(
    fc.record({
      index: fc.nat(columnKinds.length - 1),
      nullable: fc.boolean(),
      excluded: fc.nat(9).map((number) => number === 0),
    }),
    { maxLength: 7 },
  )
  .map((columns) => {
    const key = { ...int8Kind, nullable: false, excluded: false }
    return tableOf([
      key,
      ...columns.map(({ index, ...rest }) => ({ ...columnKinds[index]!, ...rest })),
    ])
  })

interface Odds {
  /** Nulls where none may be, and values that the lake cannot hold. */
  readonly wrong: boolean
  readonly unchanged: boolean
}

function cellsOf(column: TestColumn, { wrong, unchanged }: Odds): fc.Arbitrary<Cell> {
  const { nullable, refused = [], usual } = column
  return fc.oneof(
    { weight: 30, arbitrary: usual },
    { weight: nullable ? 6 : 0, arbitrary: fc.constant(null) },
    { weight: unchanged ? 3 : 0, arbitrary: fc.constant(undefined) },
    { weight: wrong && !nullable ? 1 : 0, arbitrary: fc.constant(null) },
    { weight: wrong && refused.length > 0 ? 1 : 0, arbitrary: fc.constantFrom(...refused, null) },
  )
}

/** Distinct rows, and how often they stand behind each other. */
function rowsOf({ columns }: Table, odds: Odds): fc.Arbitrary<Cell[][]> {
  const row = fc.tuple(...columns.map((column) => cellsOf(column, odds)))
  return fc
    .tuple(fc.array(row, { maxLength: 10 }), fc.oneof(fc.constant(1), fc.nat(60)))
    .map(([rows, times]) => Array.from({ length: times }, () => rows).flat())
}

const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 5000 })),
  {
    maxLength: 30,
  },
)

function pieces(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = []
  let start = 0
  for (const length of lengths) {
    if (start < bytes.length) parts.push(bytes.subarray(start, start + length))
    start += length
  }
  if (start < bytes.length) parts.push(bytes.subarray(start))
  return parts
}

function fakeSocket(): EventEmitter {
  return Object.assign(new EventEmitter(), { pause() {}, resume() {}, write() {} })
}

/** Everything that a batch says. */
function said(batch: ChangeBatch): unknown {
  const { rows, ops, columns, transaction, sequence, transactions } = batch
  return {
    ops: [...ops.subarray(0, rows)],
    transaction: [...transaction.subarray(0, rows)],
    sequence: [...sequence.subarray(0, rows)],
    orders: [...transactions.orderLow],
    columns: columns.map((column) =>
      Array.from({ length: rows }, (_, row) => valueAt(column, row)),
    ),
  }
}

// COPY

function copyRow(cells: readonly Cell[]): Buffer {
  const parts = cells.map((cell) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(cell?.binary.length ?? -1)
    return Buffer.concat([length, cell?.binary ?? Buffer.alloc(0)])
  })
  const count = Buffer.alloc(2)
  count.writeInt16BE(cells.length)
  return Buffer.concat([count, ...parts])
}

function copyBytes(bodies: readonly Buffer[], headerApart: boolean): Buffer {
  const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
  const trailer = Buffer.from('ffff', 'hex')
  const [first, ...rest] = [...bodies, trailer]
  const frames = headerApart ? [header, first, ...rest] : [Buffer.concat([header, first]), ...rest]
  return Buffer.concat([
    send.frame('H', Buffer.alloc(3)),
    ...frames.map((body) => send.frame('d', body)),
    send.frame('c', Buffer.alloc(0)),
    send.frame('C', Buffer.from('COPY\0')),
    send.frame('Z', Buffer.from('I')),
  ])
}

interface Outcome {
  readonly batches: unknown[]
  readonly error: unknown
  /** Rows that went to the kernels. */
  readonly single: number
}

async function readCopy(
  table: Table,
  parts: readonly Buffer[],
  asNull: boolean,
  many: boolean,
): Promise<Outcome> {
  let next = 0
  const fields = decodedFields(table.shape, table.schema, 'binary').map((field) =>
    field.column < 0 ? field : { ...field, column: next++ },
  )
  const plan = { title: 'test', fields, unrepresentableAsNull: asNull }
  const rows = many ? compileRows({ ...plan, form: 'copy', columns: next, key: [] }) : null
  const batch = new TableBatch(table.schema, 1)
  const decode = compileDecoder(plan)!(batch.builders)
  let single = 0
  const row: typeof decode = (...values) => {
    single++
    decode(...values)
  }
  const socket = fakeSocket()
  const client = { connection: { stream: socket } } as unknown as Client
  const reader = new CopyReader(client, '', 't', fields, systemClock, new AbortController().signal)
  const stamp = { serial: 0, lsn: 7, time2000Us: 1, latest2000Us: 1, xid: 0 }
  const batches: unknown[] = []
  let error: unknown = null
  try {
    await reader.fill()
    for (const part of parts) {
      socket.emit('data', part)
      while (reader.read(batch, { rows, row }, stamp)) batches.push(said(batch.take()))
      await reader.fill()
    }
  } catch (thrown) {
    const { message, detail } = thrown as { message: string; detail?: string }
    error = { message, detail }
  }
  if (batch.rows > 0) batches.push(said(batch.take()))
  return { batches, error, single }
}

const copies = tables.chain((table) =>
  fc.record({
    table: fc.constant(table),
    rows: rowsOf(
      { ...table, columns: table.columns.filter(({ excluded }) => !excluded) },
      { wrong: true, unchanged: false },
    ),
    cuts,
    headerApart: fc.boolean(),
    asNull: fc.boolean(),
  }),
)

test('COPY: many rows at once are what they are one by one, and fail alike', async () => {
  await fc.assert(
    fc.asyncProperty(copies, async ({ table, rows, cuts: lengths, headerApart, asNull }) => {
      const parts = pieces(copyBytes(rows.map(copyRow), headerApart), lengths)
      const many = await readCopy(table, parts, asNull, true)
      const single = await readCopy(table, parts, asNull, false)
      expect({ ...many, single: 0 }).toEqual({ ...single, single: 0 })
      // Only the first row, which may lie in the frame of the header, and one that fails.
      if (many.error === null) expect(many.single).toBeLessThanOrEqual(1)
    }),
    { interruptAfterTimeLimit, numRuns: 2000 },
  )
})

test('COPY: bytes that no server sends end as they do one by one', async () => {
  const broken = fc.tuple(copies, fc.nat(), fc.nat(), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(broken, async ([{ table, rows, asNull }, number, place, byte]) => {
      // The length of the frame stays: one too long would wait for ever.
      const bodies = rows.slice(0, 20).map(copyRow)
      const body = bodies[number % Math.max(1, bodies.length)] ?? Buffer.alloc(1)
      body[place % body.length] = byte
      const many = await readCopy(table, [copyBytes(bodies, true)], asNull, true)
      const single = await readCopy(table, [copyBytes(bodies, true)], asNull, false)
      expect({ ...many, single: 0 }).toEqual({ ...single, single: 0 })
    }),
    { interruptAfterTimeLimit, numRuns: 2000 },
  )
})

test('a table of more columns than V8 optimises code for goes to the kernels', () => {
  const compiles = (count: number): boolean => {
    const columns = Array.from({ length: count }, () => ({
      ...int8Kind,
      nullable: false,
      excluded: false,
    }))
    const { shape, schema } = tableOf(columns)
    const fields = decodedFields(shape, schema, 'text')
    const plan = { title: 'test', fields, unrepresentableAsNull: false, columns: count, key: [0] }
    return compileRows({ ...plan, form: 'log' }) !== null
  }
  expect([40, 200].map(compiles)).toEqual([true, false])
})

// The log

const textOf = (cells: readonly Cell[]): send.Cell[] =>
  cells.map((cell) => (cell === null || cell === undefined ? cell : cell.text))

const OPS = ['insert', 'insert', 'insert', 'update', 'moved', 'delete'] as const

function message(op: (typeof OPS)[number], row: readonly send.Cell[]): Buffer {
  const keyOnly = row.map((cell, at) => (at === 0 ? cell : null))
  switch (op) {
    case 'insert':
      return send.insert(OID, row)
    case 'update':
      return send.update(OID, row)
    case 'moved':
      return send.update(OID, row, { kind: 'K', row: ['1', ...row.slice(1).map(() => null)] })
    case 'delete':
      return send.remove(OID, 'K', keyOnly)
  }
}

function parseLog(
  table: Table,
  parts: readonly Buffer[],
  asNull: boolean,
  many: boolean,
): Outcome & { stops: string[] } {
  const socket = fakeSocket()
  const wire = new Wire({ connection: { stream: socket } } as unknown as Client, systemClock)
  const parser = new LogParser(0, 'slot', new DeliveredCommits(1000, []))
  const logTable = new LogTable(table.shape, asNull)
  logTable.use(table.schema)
  if (!many) logTable.decodeRows = null
  parser.announce(OID, logTable)
  const batches: unknown[] = []
  const stops: string[] = []
  let single = 0
  const open = (): void => {
    logTable.open(0)
    const { decode } = logTable
    logTable.decode = (...values) => {
      single++
      decode?.(...values)
    }
  }
  const flush = (): void => {
    const batch = logTable.take(false)
    if (batch !== null) batches.push(said(batch))
  }
  let error: unknown = null
  try {
    for (const part of parts) {
      socket.emit('data', part)
      for (;;) {
        const stop = parser.step(wire)
        for (const batch of parser.ready.splice(0)) batches.push(said(batch))
        if (stop === Stop.bytes) break
        if (stop === Stop.open) open()
        if (stop !== Stop.null && stop !== Stop.unreadable) continue
        flush()
        const { column, reasonKey, reason, sequence } = parser
        const why = reason instanceof Error ? reason.message : reason
        stops.push(`${stop} ${column} ${reasonKey} ${why} ${sequence}`)
        logTable.use(null)
      }
    }
  } catch (thrown) {
    error = (thrown as Error).message
  }
  flush()
  return { batches, error, single, stops }
}

const logs = tables.chain((table) =>
  fc.boolean().chain((wrong) =>
    fc.record({
      table: fc.constant(table),
      wrong: fc.constant(wrong),
      rows: rowsOf(table, { wrong, unchanged: wrong }),
      ops: fc.array(fc.constantFrom(...OPS), { minLength: 1, maxLength: 20 }),
      cuts,
      asNull: fc.boolean(),
    }),
  ),
)

function logBytes(
  rows: readonly (readonly Cell[])[],
  ops: readonly (typeof OPS)[number][],
): Buffer {
  return Buffer.concat([
    send.begin(100, 5, 9),
    ...rows.map((row, at) => {
      const sent = message(ops[at % ops.length]!, textOf(row))
      // Another transaction from time to time.
      if (at % 7 !== 6) return sent
      const lsn = 1000 * (at + 1)
      return Buffer.concat([sent, send.commit(lsn, lsn + 8, at), send.begin(lsn, at, at)])
    }),
  ])
}

test('log: many rows at once are what they are one by one, and stop alike', () => {
  fc.assert(
    fc.property(logs, ({ table, wrong, rows, ops, cuts: lengths, asNull }) => {
      const parts = pieces(logBytes(rows, ops), lengths)
      const many = parseLog(table, parts, asNull, true)
      const single = parseLog(table, parts, asNull, false)
      expect({ ...many, single: 0 }).toEqual({ ...single, single: 0 })
      if (!wrong && !ops.includes('moved')) expect(many.single).toBe(0)
    }),
    { interruptAfterTimeLimit, numRuns: 2000 },
  )
})

/** Where a row says what its values are: all but the values, and the length of the frame. */
function places(frame: Buffer): number[] {
  const found = Array.from({ length: 33 }, (_, at) => at + 5)
  for (let at = 38; at < frame.length;) {
    found.push(at)
    if (frame[at++] !== 0x74) continue
    found.push(at, at + 1, at + 2, at + 3)
    at += 4 + frame.readInt32BE(at)
  }
  return found
}

test('log: bytes that no server sends end as they do one by one', () => {
  const broken = fc.tuple(
    logs,
    fc.constantFrom('insert', 'update', 'delete'),
    fc.nat(),
    fc.nat(255),
  )
  fc.assert(
    fc.property(broken, ([{ table, rows, asNull }, op, number, byte]) => {
      const frames = rows.slice(0, 20).map((row) => message(op, textOf(row)))
      const frame = frames[number % Math.max(1, frames.length)] ?? Buffer.alloc(38)
      const among = places(frame)
      frame[among[number % among.length]!] = byte
      const bytes = Buffer.concat([send.begin(100, 5, 9), ...frames])
      const many = parseLog(table, [bytes], asNull, true)
      const single = parseLog(table, [bytes], asNull, false)
      expect({ ...many, single: 0 }).toEqual({ ...single, single: 0 })
    }),
    { interruptAfterTimeLimit, numRuns: 2000 },
  )
})
