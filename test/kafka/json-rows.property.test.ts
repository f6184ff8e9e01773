// Rows as JSON: every value of every type is told exactly, by another way of formatting it, and a
// parser reads what was written.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonRows, type Envelope } from '../../connectors/kafka/encode/json-rows.ts'
import type { Bytes } from '../../connectors/kafka/encode/record-batch.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { batchOf, field, schemaOf, UNCHANGED, type CellValue } from '../writer/batches.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 5000 }

function textOf(bytes: Bytes | null): string {
  if (bytes === null) throw new Error('a row has no value')
  return Buffer.from(bytes.bytes.subarray(bytes.start, bytes.end)).toString()
}

function rowsOf(types: readonly ColumnType[], envelope: Envelope = 'none') {
  const fields = types.map((type, at) => field(at + 1, `c${at}`, type))
  const schema = schemaOf('shop.orders', 0, fields)
  const names = { namespace: 'shop', table: 'orders' }
  return { schema, rows: new JsonRows({ schema, envelope, pipeline: 'p', ...names }) }
}

const LONG = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
/** Microseconds that a Date can show: the year 9999 is far enough. */
const MOMENT = { min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }

function isoOf(us: bigint): string {
  const ms = us >= 0n ? us / 1000n : -((999n - us) / 1000n)
  const rest = String(us - ms * 1000n).padStart(3, '0')
  const text = new Date(Number(ms)).toISOString().slice(0, -1)
  return `${text}${rest}`.replace(/\.?0+$/, (zeros) => (zeros.startsWith('.') ? '' : ''))
}

function decimalOf(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const at = digits.length - scale
  const point = scale === 0 ? '' : `.${digits.slice(at)}`
  return `"${unscaled < 0n ? '-' : ''}${digits.slice(0, at)}${point}"`
}

/** By type: what a value is written as. */
const cells = fc.oneof(
  fc.bigInt(LONG).map((value) => [{ kind: 'long' }, value, String(value)] as const),
  fc.integer().map((value) => [{ kind: 'int' }, value, String(value)] as const),
  fc.boolean().map((value) => [{ kind: 'boolean' }, value, String(value)] as const),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map(
      (value) => [{ kind: 'double' }, value, Object.is(value, -0) ? '-0' : String(value)] as const,
    ),
  fc
    .string({ unit: 'binary' })
    .filter((text) => text.isWellFormed())
    .map((value) => [{ kind: 'string' }, value, JSON.stringify(value)] as const),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), fc.nat(18))
    .map(([value, scale]) => {
      return [{ kind: 'decimal', precision: 18, scale }, value, decimalOf(value, scale)] as const
    }),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), fc.nat(38))
    .map(([value, scale]) => {
      return [{ kind: 'decimal', precision: 38, scale }, value, decimalOf(value, scale)] as const
    }),
  fc.bigInt(MOMENT).map((value) => [{ kind: 'timestamptz' }, value, `"${isoOf(value)}Z"`] as const),
  fc.bigInt(MOMENT).map((value) => [{ kind: 'timestamp' }, value, `"${isoOf(value)}"`] as const),
  fc
    .integer({ min: -719_162, max: 2_932_896 })
    .map(
      (value) =>
        [
          { kind: 'date' },
          value,
          `"${new Date(value * 86_400_000).toISOString().slice(0, 10)}"`,
        ] as const,
    ),
)

test('every value is told exactly', () => {
  const property = fc.property(fc.array(cells, { minLength: 1, maxLength: 6 }), (row) => {
    const { schema, rows } = rowsOf(row.map(([type]) => type as ColumnType))
    const values = Object.fromEntries(row.map(([, value], at) => [`c${at}`, value as CellValue]))
    const batch = batchOf(schema, [{ op: Op.insert, values }], 1n)
    const text = textOf(rows.value(batch, 0, 0))
    expect(text).toBe(`{${row.map(([, , json], at) => `"c${at}":${json}`).join()}}`)
    expect(Object.keys(JSON.parse(text) as object)).toHaveLength(row.length)
    expect(textOf(rows.key(batch, 0))).toBe(`{"c0":${row[0]?.[2]}}`)
  })
  fc.assert(property, limits)
})

test('null, what JSON has no number for, and what is beyond all calendars', () => {
  const told = (type: ColumnType, value: CellValue): string => {
    const { schema, rows } = rowsOf([type])
    return textOf(rows.value(batchOf(schema, [{ op: Op.insert, values: { c0: value } }], 1n), 0, 0))
  }
  expect(told({ kind: 'long' }, undefined)).toBe('{"c0":null}')
  expect(told({ kind: 'double' }, Number.NaN)).toBe('{"c0":"NaN"}')
  expect(told({ kind: 'double' }, -Infinity)).toBe('{"c0":"-Infinity"}')
  expect(told({ kind: 'float' }, Math.fround(0.1))).toBe('{"c0":0.1}')
  expect(told({ kind: 'time' }, 86_399_999_999n)).toBe('{"c0":"23:59:59.999999"}')
  expect(told({ kind: 'time' }, 0n)).toBe('{"c0":"00:00:00"}')
  expect(told({ kind: 'timestamptz' }, 2n ** 63n - 1n)).toBe(
    '{"c0":"294247-01-10T04:00:54.775807Z"}',
  )
  expect(told({ kind: 'date' }, -1_000_000)).toBe('{"c0":"-0768-02-04"}')
})

test('Debezium says what happened, and where', () => {
  const { schema, rows } = rowsOf([{ kind: 'long' }, { kind: 'string' }], 'debezium')
  const all = [
    { op: Op.insert, values: { c0: 1n, c1: 'a' } },
    { op: Op.update, values: { c0: 1n, c1: UNCHANGED } },
    { op: Op.delete, values: { c0: 1n, c1: UNCHANGED } },
  ] as const
  const batch = batchOf(schema, all, 7n)
  const told = all.map((_, row) => JSON.parse(textOf(rows.value(batch, row, 1234))) as object)
  const source = { connector: 'millrace', name: 'p', schema: 'shop', table: 'orders', txId: 'tx7' }
  expect(told).toMatchObject([
    { before: null, after: { c0: 1, c1: 'a' }, op: 'c', ts_ms: 1234, transaction: null },
    { before: null, after: { c0: 1, c1: '__debezium_unavailable_value' }, op: 'u' },
    { before: { c0: 1, c1: null }, after: null, op: 'd' },
  ])
  expect(told[1]).toMatchObject({
    source: { ...source, ts_ms: 1000, ts_us: 1_000_007, pos: `${'0'.repeat(31)}7-00000001` },
  })
})

test('a value that the log left out is no value', () => {
  const values: Record<string, CellValue> = { c0: 1n, c1: UNCHANGED }
  for (const [envelope, kind] of [
    ['none', 'string'],
    ['debezium', 'long'],
  ] as const) {
    const { schema, rows } = rowsOf([{ kind: 'long' }, { kind }], envelope)
    expect(rows.value(batchOf(schema, [{ op: Op.update, values }], 1n), 0, 0)).toBeNull()
  }
})
