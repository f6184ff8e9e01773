// Row images from a tiny encoder of our own: what is encoded is what is decoded, however the
// batches are cut; and bytes that are no images are refused with a typed error, whatever they are.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import { ChangeBuilder } from '../../connectors/mysql/decode/change-builder.ts'
import { lakeTypes } from '../../connectors/mysql/decode/column-plan.ts'
import {
  RowsOp,
  type MapColumn,
  type RowsEvent,
  type TableMap,
} from '../../connectors/mysql/decode/events.ts'
import { ColumnCode } from '../../connectors/mysql/decode/table-map.ts'
import { TableDecoder } from '../../connectors/mysql/decode/table-decoder.ts'
import { cellOf, type Cell } from './decode-replay.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 3000 }

function column(name: string, type: number, parts: Partial<MapColumn> = {}): MapColumn {
  const plain = {
    meta: 0,
    nullable: false,
    unsigned: false,
    charset: null,
    labels: [],
    invisible: false,
  }
  return { ...plain, name, type, ...parts }
}

/** The usual table of ten columns. */
const orders: readonly MapColumn[] = [
  column('id', ColumnCode.longlong),
  column('customer', ColumnCode.long),
  column('status', ColumnCode.varchar, { meta: 64, charset: 'utf8mb4' }),
  column('amount', ColumnCode.newDecimal, { meta: (12 << 8) | 2 }),
  column('price', ColumnCode.double, { nullable: true }),
  column('note', ColumnCode.varchar, { meta: 256, charset: 'utf8mb4', nullable: true }),
  column('created', ColumnCode.datetime2, { meta: 6 }),
  column('updated', ColumnCode.timestamp2, { meta: 6 }),
  column('flag', ColumnCode.tiny),
  column('payload', ColumnCode.varchar, { meta: 320, charset: 'utf8mb4' }),
]

function decoderOf(columns: readonly MapColumn[], key: readonly number[] = [0]): TableDecoder {
  const table: TableMap = {
    id: 1,
    database: 'd',
    name: 'orders',
    columns,
    primaryKey: key,
    full: true,
  }
  const fields = columns.map((each, index): Field => {
    const { name, nullable } = each
    const parts = { id: index + 1, elementId: null, comment: null, initialDefault: null }
    return {
      ...parts,
      identity: String(index),
      name: name ?? '',
      nullable,
      type: lakeTypes(each)[0]!,
    }
  })
  const schema: TableSchema = {
    table: 'd.orders',
    version: 0,
    fields,
    key: key.length === 0 ? null : key,
    comment: null,
    lastFieldId: 99,
  }
  return new TableDecoder(
    table,
    schema,
    columns.map((_, index) => index),
    [],
  )
}

function eventOf(decoder: TableDecoder, op: RowsOp, bytes: Uint8Array): RowsEvent {
  const image = new Uint8Array(decoder.table.columns.length).fill(1)
  const header = { type: 30, timestampS: 0, serverId: 1, size: 0, endPos: 0, flags: 0 }
  const presence = { image, after: image, full: true }
  const rows = {
    op,
    table: decoder.table,
    bytes,
    start: 0,
    end: bytes.length,
    presence,
    partial: false,
  }
  return { ...header, kind: 'rows', ...rows }
}

/** Decodes all of an event, taking batches where they are full. */
function decodeAll(
  decoder: TableDecoder,
  event: RowsEvent,
  rowsMax: number,
  bytesMax: number,
): Cell[][] {
  const builder = new ChangeBuilder(decoder.schema, { rowsMax, bytesMax })
  const rows: Cell[][] = []
  const take = (): void => {
    if (builder.rows > 0) rows.push(...rowsOf(builder.view(), rows.length))
    builder.reset()
  }
  for (let at = event.start; at < event.end;) {
    builder.beginTransaction(77n, 5n, new TextEncoder().encode('gtid'))
    at = decoder.decode(event, at, builder, rows.length + builder.rows)
    if (decoder.failure !== null) throw decoder.failure
    if (builder.full) take()
  }
  take()
  return rows
}

function rowsOf(batch: ChangeBatch, first: number): Cell[][] {
  expect(batch.transactions.count).toBe(1)
  return Array.from({ length: batch.rows }, (_, row) => {
    expect(batch.sequence[row]).toBe(first + row)
    return ['iud'[batch.ops[row]!]!, ...batch.columns.map((each) => cellOf(each, row))]
  })
}

interface Order {
  id: bigint
  customer: number
  status: string
  cents: bigint
  price: number | null
  note: string | null
  created: Date
  micros: number
  flag: number
  payload: string
}

const orderRow: fc.Arbitrary<Order> = fc.record({
  id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  customer: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  status: fc.string({ unit: 'binary', maxLength: 16 }),
  cents: fc.bigInt({ min: -(10n ** 12n) + 1n, max: 10n ** 12n - 1n }),
  price: fc.option(fc.double({ noNaN: true })),
  note: fc.option(fc.string({ unit: 'binary', maxLength: 64 })),
  created: fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  }),
  micros: fc.integer({ min: 0, max: 999_999 }),
  flag: fc.constantFrom(0, 1, -128, 127),
  payload: fc.string({ unit: 'binary', maxLength: 80 }),
})

function encodeOrder(order: Order): Buffer {
  const nulls = (order.price === null ? 1 << 4 : 0) | (order.note === null ? 1 << 5 : 0)
  const fixed = Buffer.alloc(12)
  fixed.writeBigInt64LE(order.id)
  fixed.writeInt32LE(order.customer, 8)
  const price = Buffer.alloc(8)
  price.writeDoubleLE(order.price ?? 0)
  return Buffer.concat([
    Buffer.from([nulls, 0xfc]),
    fixed,
    lengthed(order.status, 1),
    decimalBytes(order.cents),
    order.price === null ? Buffer.alloc(0) : price,
    order.note === null ? Buffer.alloc(0) : lengthed(order.note, 2),
    datetimeBytes(order.created, order.micros),
    timestampBytes(order),
    Buffer.from([order.flag & 0xff]),
    lengthed(order.payload, 2),
  ])
}

function lengthed(text: string, width: 1 | 2): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const length = Buffer.alloc(width)
  length.writeUIntLE(bytes.length, 0, width)
  return Buffer.concat([length, bytes])
}

/** decimal(12,2): one digit, nine digits, two digits. */
function decimalBytes(cents: bigint): Buffer {
  const value = cents < 0n ? -cents : cents
  const bytes = Buffer.alloc(6)
  const whole = value / 100n
  bytes[0] = Number(whole / 1_000_000_000n)
  bytes.writeUInt32BE(Number(whole % 1_000_000_000n), 1)
  bytes[5] = Number(value % 100n)
  if (cents < 0n) for (let at = 0; at < 6; at++) bytes[at] = ~bytes[at]!
  bytes.writeUInt8(bytes.readUInt8(0) ^ 0x80)
  return bytes
}

function datetimeBytes(date: Date, micros: number): Buffer {
  const months = date.getUTCFullYear() * 13 + date.getUTCMonth() + 1
  const day = (months << 5) | date.getUTCDate()
  const clock = (date.getUTCHours() << 12) | (date.getUTCMinutes() << 6) | date.getUTCSeconds()
  const packed = 0x8000000000n | (BigInt(day) << 17n) | BigInt(clock)
  const bytes = Buffer.alloc(8)
  bytes.writeUIntBE(Number(packed), 0, 5)
  bytes.writeUIntBE(micros, 5, 3)
  return bytes
}

function timestampBytes({ customer, micros }: Order): Buffer {
  const bytes = Buffer.alloc(7)
  bytes.writeUInt32BE(Math.abs(customer) || 1)
  bytes.writeUIntBE(micros, 4, 3)
  return bytes
}

function cellsOf(order: Order): Cell[] {
  const secondsOf = BigInt(Math.floor(order.created.getTime() / 1000))
  return [
    String(order.id),
    String(order.customer),
    order.status,
    String(order.cents),
    order.price === null ? null : String(order.price),
    order.note,
    String(secondsOf * 1_000_000n + BigInt(order.micros)),
    String(BigInt(Math.abs(order.customer) || 1) * 1_000_000n + BigInt(order.micros)),
    String(order.flag),
    order.payload,
  ]
}

const cuts = fc.record({
  rowsMax: fc.integer({ min: 2, max: 20 }),
  bytesMax: fc.integer({ min: 1, max: 4000 }),
})

test('inserted rows are decoded as they were encoded, however batches are cut', () => {
  const decoder = decoderOf(orders)
  fc.assert(
    fc.property(
      fc.array(orderRow, { minLength: 1, maxLength: 30 }),
      cuts,
      (rows, { rowsMax, bytesMax }) => {
        const event = eventOf(decoder, RowsOp.insert, Buffer.concat(rows.map(encodeOrder)))
        expect(decodeAll(decoder, event, rowsMax, bytesMax)).toEqual(
          rows.map((row) => ['i', ...cellsOf(row)]),
        )
      },
    ),
    limits,
  )
})

test('an update is one row, and a changed key a delete and an insert in its place', () => {
  const [keyed, keyless] = [decoderOf(orders), decoderOf(orders, [])]
  const pair = fc.tuple(orderRow, orderRow, fc.boolean())
  fc.assert(
    fc.property(
      fc.array(pair, { minLength: 1, maxLength: 20 }),
      cuts,
      (pairs, { rowsMax, bytesMax }) => {
        const images = pairs.map(
          ([before, after, same]) => [before, same ? { ...after, id: before.id } : after] as const,
        )
        const bytes = Buffer.concat(images.flat().map(encodeOrder))
        const expected = images.flatMap(([before, after]) =>
          before.id === after.id
            ? [['u', ...cellsOf(after)]]
            : [
                ['d', ...cellsOf(before)],
                ['i', ...cellsOf(after)],
              ],
        )
        const event = eventOf(keyed, RowsOp.update, bytes)
        expect(decodeAll(keyed, event, rowsMax, bytesMax)).toEqual(expected)
        // Without a key each row is told from the others by its old values alone.
        const pairsOfRows = images.flatMap(([before, after]) => [
          ['d', ...cellsOf(before)],
          ['u', ...cellsOf(after)],
        ])
        expect(decodeAll(keyless, event, rowsMax, bytesMax)).toEqual(pairsOfRows)
      },
    ),
    limits,
  )
})

test('updates of a table whose first columns are text are decoded as they were encoded', () => {
  // Names in the generated code once collided: w0 was a null byte and the text of field 0.
  const texts = Array.from({ length: 20 }, (_, index) =>
    column(`t${index}`, ColumnCode.varchar, { meta: 64, charset: 'utf8mb4', nullable: index > 0 }),
  )
  const decoder = decoderOf(texts)
  const image = fc.array(fc.string({ maxLength: 5 }), { minLength: 20, maxLength: 20 })
  const encode = (values: readonly string[]): Buffer =>
    Buffer.concat([Buffer.alloc(3), ...values.map((value) => lengthed(value, 1))])
  fc.assert(
    fc.property(image, image, (before, after) => {
      const same = [before[0]!, ...after.slice(1)]
      const event = eventOf(decoder, RowsOp.update, Buffer.concat([encode(before), encode(same)]))
      expect(decodeAll(decoder, event, 10, 10_000)).toEqual([['u', ...same]])
    }),
    { ...limits, numRuns: 200 },
  )
})

const anyColumn: fc.Arbitrary<MapColumn> = fc
  .record({
    type: fc.constantFrom(
      ...Object.values(ColumnCode).filter((code) => code !== ColumnCode.typedArray),
    ),
    nullable: fc.boolean(),
    unsigned: fc.boolean(),
    charset: fc.constantFrom('utf8mb4', 'latin1', 'ucs2', 'utf16', 'utf32', 'binary', 'ascii'),
    small: fc.integer({ min: 1, max: 4 }),
    digits: fc.integer({ min: 0, max: 6 }),
    wide: fc.integer({ min: 1, max: 700 }),
  })
  .map(({ type, nullable, unsigned, charset, small, digits, wide }) => {
    const meta: Record<number, number> = {
      [ColumnCode.newDecimal]: ((6 + (wide % 30)) << 8) | digits,
      [ColumnCode.bit]: 1 + (wide % 64),
      [ColumnCode.timestamp2]: digits,
      [ColumnCode.datetime2]: digits,
      [ColumnCode.time2]: digits,
      [ColumnCode.enum]: 1 + (wide % 2),
      [ColumnCode.set]: 1 + (wide % 8),
    }
    const long = [
      ColumnCode.varchar,
      ColumnCode.string,
      ColumnCode.varString,
      ColumnCode.varcharCompressed,
    ] as number[]
    const labels = type === ColumnCode.enum || type === ColumnCode.set ? ['a', 'bb'] : []
    return column('c', type, {
      nullable,
      unsigned,
      charset,
      labels,
      meta: meta[type] ?? (long.includes(type) ? wide : small),
    })
  })

test('bytes that are no row images end in a typed error or in rows, never otherwise', () => {
  fc.assert(
    fc.property(
      fc.array(anyColumn, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(RowsOp.insert, RowsOp.update, RowsOp.delete),
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.boolean(),
      (columns, op, bytes, full) => {
        const readable = columns.filter((each) => lakeTypes(each).length > 0)
        fc.pre(readable.length > 0)
        const decoder = decoderOf(readable)
        const event = eventOf(decoder, op, bytes)
        const image = Uint8Array.from(readable, (_, index) => (full || index % 2 === 0 ? 1 : 0))
        const partial = { ...event, presence: { image, after: image.slice().reverse(), full } }
        try {
          decodeAll(decoder, partial, 100, 10_000)
        } catch (error) {
          if (!(error instanceof PipelineError)) throw error
          expect(['LOG_CORRUPT', 'VALUE_UNREPRESENTABLE', 'UNCHANGED_VALUE_MISSING']).toContain(
            error.error,
          )
        }
      },
    ),
    { ...limits, numRuns: 1000 },
  )
})

test('rows before one that cannot be carried on are in the batch, and those behind it are not', () => {
  const decoder = decoderOf([column('id', ColumnCode.long), column('day', ColumnCode.date)])
  const row = (id: number, day: number): number[] => [
    0xfc,
    id,
    0,
    0,
    0,
    day & 0xff,
    (day >> 8) & 0xff,
    day >> 16,
  ]
  const good = (2020 << 9) | (2 << 5) | 29
  const bytes = Uint8Array.from([
    ...row(1, good),
    ...row(2, good),
    ...row(3, (2021 << 9) | (2 << 5) | 29),
    ...row(4, good),
  ])
  const builder = new ChangeBuilder(decoder.schema)
  builder.beginTransaction(1n, 0n, new Uint8Array(0))
  const at = decoder.decode(eventOf(decoder, RowsOp.insert, bytes), 0, builder, 0)
  expect(decoder.failure).toMatchObject({
    error: 'VALUE_UNREPRESENTABLE',
    message: expect.stringContaining('"day"'),
  })
  expect(at).toBe(16)
  const batch = builder.view()
  expect([...Array(batch.rows).keys()].map((index) => cellOf(batch.columns[0]!, index))).toEqual([
    '1',
    '2',
  ])
})

test('the generated code of the usual table is the one that was reviewed', () => {
  const dumped = mkdtempSync(join(tmpdir(), 'millrace-decoders-'))
  process.env['MILLRACE_DUMP_DECODERS'] = dumped
  try {
    const decoder = decoderOf(orders)
    const builder = new ChangeBuilder(decoder.schema)
    const event = eventOf(decoder, RowsOp.insert, new Uint8Array(0))
    decoder.decode({ ...event, start: 0, end: 0 }, 0, builder, 0)
    expect(readdirSync(dumped)).toEqual([])
    const one = fc.sample(orderRow, { numRuns: 1, seed: 1 })
    builder.beginTransaction(1n, 0n, new Uint8Array(0))
    decoder.decode(eventOf(decoder, RowsOp.insert, encodeOrder(one[0]!)), 0, builder, 0)
  } finally {
    delete process.env['MILLRACE_DUMP_DECODERS']
  }
  const [file = ''] = readdirSync(dumped)
  expect(file).toBe('d.orders.0.full.js')
  const code = readFileSync(join(dumped, file), 'utf8')
  rmSync(dumped, { recursive: true })
  const golden = fileURLToPath(new URL('../golden/mysql/orders.full.txt', import.meta.url))
  // UPDATE_GOLDEN=1 takes the code of now, to be read in the diff.
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, code)
  expect(code).toBe(readFileSync(golden, 'utf8'))
})
