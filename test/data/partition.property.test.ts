// Partition transforms against vectors made with Iceberg's Java library, and against a slow model
// that computes with whole numbers of any size and with JavaScript's own calendar.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { partitionPath } from '../../connectors/iceberg/partition-path.ts'
import { formatPartitionValue } from '../../connectors/parquet/table/partition-text.ts'
import {
  encodeSingleValue,
  type SingleValue,
} from '../../connectors/parquet/encode/single-value.ts'
import { columnBuilder, type FixedBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { applyTransform } from '../../runtime/data/partition/apply.ts'
import { RowGroups } from '../../runtime/data/partition/groups.ts'
import { daysOfMonth, monthOfDay, timeRangeOf } from '../../runtime/data/partition/time-range.ts'
import { timeRangeOfPartition } from '../../runtime/data/partition/time-range.ts'
import { parseTransform, resultTypeOf } from '../../runtime/data/partition/transform.ts'
import type { Transform } from '../../runtime/data/partition/transform.ts'
import { partitionKey, partitionTupleAt } from '../../runtime/data/partition/value.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const LIMIT = { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 1_000_000 }

function vectors<T>(name: string): T[] {
  const text = readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
}

function parseType(text: string): PrimitiveType {
  const decimal = /^decimal\((\d+), (\d+)\)$/.exec(text)
  if (decimal === null) return { kind: text } as PrimitiveType
  return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) }
}

function parseValue(type: PrimitiveType, text: string): SingleValue {
  switch (type.kind) {
    case 'boolean':
      return text === 'true'
    case 'int':
    case 'date':
    case 'double':
      return Number(text)
    case 'float':
      return Math.fround(Number(text))
    case 'decimal':
      return BigInt(text.replace('.', ''))
    case 'string':
      return text
    case 'uuid':
    case 'binary':
      return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'))
    default:
      return BigInt(text)
  }
}

/** `undefined` is null. */
function columnOf(type: PrimitiveType, values: readonly (SingleValue | undefined)[]): Column {
  const builder = columnBuilder(type)
  builder.reserveRows(values.length)
  for (const [row, value] of values.entries()) {
    if (value === undefined) builder.setNull(row)
    else if (builder.layout === 'bytes') {
      const bytes = Buffer.from(value as string)
      builder.setBytes(row, bytes, 0, bytes.length)
    } else setFixed(builder as FixedBuilder, row, value)
  }
  return builder.view(values.length)
}

function setFixed(builder: FixedBuilder, row: number, value: SingleValue): void {
  const { values } = builder
  if (builder.layout === 'int128') {
    const wide = values as BigInt64Array
    wide[2 * row] = BigInt.asIntN(64, value as bigint)
    wide[2 * row + 1] = (value as bigint) >> 64n
  } else if (builder.layout === 'uuid16') {
    ;(values as Uint8Array).set(value as Uint8Array, 16 * row)
  } else if (values instanceof BigInt64Array) values[row] = value as bigint
  else values[row] = Number(value)
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

function valueAt(column: Column, row: number): string | null {
  return partitionTupleAt([column], row)[0] ?? null
}

interface TransformVector {
  readonly transform: string
  readonly type: string
  readonly value: string
  readonly result: string | null
  readonly 'result-type': string
  readonly human: string
}

test('every golden vector of Iceberg comes out, among other rows and behind a null', () => {
  const all = vectors<TransformVector>('partition-transform.jsonl')
  expect(all.length).toBeGreaterThan(1000)
  for (const vector of all) {
    const type = parseType(vector.type)
    const transform = parseTransform(vector.transform)!
    const resultType = resultTypeOf(transform, type)
    expect(resultType, vector.transform).toEqual(parseType(vector['result-type']))
    const value = parseValue(type, vector.value)
    const result = applyTransform(transform, columnOf(type, [value, undefined, value]), 3)
    expect(result.type).toEqual(resultType)
    const wanted =
      vector.result === null
        ? null
        : base64(encodeSingleValue(resultType, parseValue(resultType, vector.result)))
    const found = [0, 1, 2].map((row) => valueAt(result, row))
    expect({ vector, found }).toEqual({ vector, found: [wanted, null, wanted] })
    if (type.kind === 'float' || type.kind === 'double') continue
    const human = formatPartitionValue({ transform, type: resultType }, wanted)
    expect({ vector, human }).toEqual({ vector, human: vector.human })
  }
})

interface PathVector {
  readonly s: string | null
  readonly path: string
}

test('folders of partitions are spelled as Iceberg spells them', () => {
  const bound = (name: string, transform: Transform, type: PrimitiveType): object => ({
    field: { name },
    transform,
    type,
  })
  const fields = [
    bound('s', { kind: 'identity' }, { kind: 'string' }),
    bound('ts_day', { kind: 'day' }, { kind: 'date' }),
    bound('h', { kind: 'hour' }, { kind: 'int' }),
    bound('b_trunc', { kind: 'truncate', width: 2 }, { kind: 'binary' }),
    bound('d_bucket', { kind: 'bucket', buckets: 16 }, { kind: 'int' }),
  ] as unknown as Parameters<typeof partitionPath>[0]
  const int = (value: number): string => base64(encodeSingleValue({ kind: 'int' }, value))
  for (const { s, path } of vectors<PathVector>('partition-path.jsonl')) {
    const text = s === null ? null : base64(Buffer.from(s))
    expect(partitionPath(fields, [text, int(19_782), int(474_768), '3q0=', int(3)])).toBe(path)
  }
})

test('no value leaves its folder, or makes a name that a file system refuses', () => {
  const fields = [
    { field: { name: 's' }, transform: { kind: 'identity' }, type: { kind: 'string' } },
  ] as unknown as Parameters<typeof partitionPath>[0]
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 9000 }), fc.constant('/../..'))
  fc.assert(
    fc.property(text, text, (left, right) => {
      const paths = [left, right].map((value) =>
        partitionPath(fields, [base64(Buffer.from(value))]),
      )
      for (const path of paths) {
        expect(path).toMatch(/^s=[\w.*+%~-]*$/)
        expect(path.length).toBeLessThanOrEqual(200)
      }
      const same = Buffer.from(left).equals(Buffer.from(right))
      expect(paths[0] === paths[1]).toBe(same)
    }),
    LIMIT,
  )
})

// The slow model.

const floorDiv = (value: bigint, by: bigint): bigint => {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}

function murmur3(bytes: Uint8Array): number {
  const U32 = 0xffff_ffffn
  const rotate = (value: bigint, by: bigint): bigint =>
    ((value << by) | (value >> (32n - by))) & U32
  const scramble = (block: bigint): bigint =>
    (rotate((block * 0xcc9e2d51n) & U32, 15n) * 0x1b873593n) & U32
  let hash = 0n
  const whole = bytes.length - (bytes.length % 4)
  const little = (from: number, to: number): bigint =>
    Array.from(bytes.subarray(from, to)).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
  for (let at = 0; at < whole; at += 4) {
    hash = (rotate(hash ^ scramble(little(at, at + 4)), 13n) * 5n + 0xe6546b64n) & U32
  }
  if (whole < bytes.length) hash ^= scramble(little(whole, bytes.length))
  hash ^= BigInt(bytes.length)
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & U32
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & U32
  return Number(hash ^ (hash >> 16n))
}

function hashInput(type: PrimitiveType, value: SingleValue): Uint8Array {
  if (typeof value === 'number') return encodeSingleValue({ kind: 'long' }, BigInt(value))
  return encodeSingleValue(type, value)
}

function model(transform: Transform, type: PrimitiveType, value: SingleValue): SingleValue {
  switch (transform.kind) {
    case 'bucket':
      return (murmur3(hashInput(type, value)) & 0x7fff_ffff) % transform.buckets
    case 'truncate': {
      const { width } = transform
      if (typeof value === 'string') return Array.from(value).slice(0, width).join('')
      if (value instanceof Uint8Array) return value.slice(0, width)
      const whole = floorDiv(BigInt(value), BigInt(width)) * BigInt(width)
      return typeof value === 'number' ? Number(BigInt.asIntN(32, whole)) : whole
    }
    case 'hour':
      return Number(floorDiv(value as bigint, 3_600_000_000n))
    case 'day':
    case 'month':
    case 'year': {
      const days =
        type.kind === 'date' ? BigInt(value as number) : floorDiv(value as bigint, 86_400_000_000n)
      if (transform.kind === 'day') return Number(days)
      const date = new Date(Number(days) * 86_400_000)
      const years = date.getUTCFullYear() - 1970
      return transform.kind === 'year' ? years : years * 12 + date.getUTCMonth()
    }
    default:
      return value
  }
}

const INT = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 1, 2 ** 31 - 1, -(2 ** 31)))
const LONG = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -100n, max: 100n }),
)
/** What JavaScript's calendar has: 100,000,000 days around 1970. */
const DAYS = fc.oneof(
  fc.integer({ min: -90_000_000, max: 90_000_000 }),
  fc.integer({ min: -800, max: 800 }),
)
const HOUR = 3_600_000_000n
const MICROS = fc.oneof(
  fc.bigInt({ min: -7_000_000_000_000_000_000n, max: 7_000_000_000_000_000_000n }),
  // Around the full hours, where a rounding error would show.
  fc
    .tuple(fc.integer({ min: -1_900_000_000, max: 1_900_000_000 }), fc.integer({ min: -1, max: 1 }))
    .map(([hours, more]) => BigInt(hours) * HOUR + BigInt(more)),
)
const decimalOf = (precision: number): fc.Arbitrary<bigint> => {
  const most = 10n ** BigInt(precision) - 1n
  return fc.oneof(fc.bigInt({ min: -most, max: most }), fc.bigInt({ min: -999n, max: 999n }))
}

const cases: readonly [PrimitiveType, fc.Arbitrary<SingleValue>, Transform['kind'][]][] = [
  [{ kind: 'int' }, INT, ['bucket', 'truncate']],
  [{ kind: 'long' }, LONG, ['bucket', 'truncate']],
  [{ kind: 'decimal', precision: 9, scale: 2 }, decimalOf(9), ['bucket', 'truncate']],
  [{ kind: 'decimal', precision: 18, scale: 2 }, decimalOf(18), ['bucket', 'truncate']],
  [{ kind: 'decimal', precision: 38, scale: 5 }, decimalOf(38), ['bucket', 'truncate']],
  [{ kind: 'string' }, fc.string({ unit: 'grapheme' }), ['bucket', 'truncate']],
  [{ kind: 'binary' }, fc.uint8Array(), ['bucket', 'truncate']],
  [{ kind: 'uuid' }, fc.uint8Array({ minLength: 16, maxLength: 16 }), ['bucket']],
  [{ kind: 'date' }, DAYS, ['bucket', 'year', 'month', 'day']],
  [{ kind: 'time' }, fc.bigInt({ min: 0n, max: 86_399_999_999n }), ['bucket']],
  [{ kind: 'timestamp' }, MICROS, ['bucket', 'year', 'month', 'day', 'hour']],
  [{ kind: 'timestamptz' }, MICROS, ['year', 'month', 'day', 'hour']],
]

const PARAMETER = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  // Beyond 2^30 Java's own truncate of ints overflows; the vectors have that.
  fc.integer({ min: 1, max: 2 ** 30 }),
)

test('transforms give what the model gives, whatever the values', () => {
  const draws = cases.map(([type, arbitrary, kinds]) =>
    fc.record({
      type: fc.constant(type),
      kind: fc.constantFrom(...kinds),
      parameter: PARAMETER,
      values: fc.array(fc.option(arbitrary, { nil: undefined }), { minLength: 1, maxLength: 20 }),
    }),
  )
  fc.assert(
    fc.property(fc.oneof(...draws), ({ type, kind, parameter, values }) => {
      const transform = { kind, buckets: parameter, width: parameter } as Transform
      const column = columnOf(type, values)
      const result = applyTransform(transform, column, values.length)
      for (const [row, value] of values.entries()) {
        const wanted =
          value === undefined
            ? null
            : base64(encodeSingleValue(result.type as PrimitiveType, model(transform, type, value)))
        expect(valueAt(result, row), `${kind} of ${String(value)}`).toBe(wanted)
      }
    }),
    LIMIT,
  )
})

test('an hour beyond 32 bits is refused, and null is none', () => {
  const far = columnOf({ kind: 'timestamp' }, [9_000_000_000_000_000_000n])
  expect(() => applyTransform({ kind: 'hour' }, far, 1)).toThrow(/beyond the hours/)
  expect(applyTransform({ kind: 'day' }, far, 1)).toMatchObject({
    values: Int32Array.of(104_166_666),
  })
  const none = columnOf({ kind: 'timestamp' }, [undefined])
  expect(valueAt(applyTransform({ kind: 'hour' }, none, 1), 0)).toBeNull()
})

test('rows are grouped by equal values, each group in the order of its rows', () => {
  const groups = new RowGroups()
  const few = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<(T | undefined)[]> =>
    fc
      .array(arbitrary, { minLength: 1, maxLength: 4 })
      .chain((some) =>
        fc.array(fc.constantFrom(...some, undefined), { minLength: 1, maxLength: 60 }),
      )
  const column = fc.oneof(
    ...cases.map(([type, arbitrary]) => few(arbitrary).map((values) => ({ type, values }))),
    few(fc.constantFrom(0, -0, Number.NaN, 1.5)).map((values) => ({
      type: { kind: 'double' } as const,
      values,
    })),
  )
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 3 }), fc.boolean(), (drawn, some) => {
      const rows = Math.min(...drawn.map(({ values }) => values.length))
      const columns = drawn.map(({ type, values }) => columnOf(type, values))
      const selection = some ? Int32Array.from({ length: rows >> 1 }, (_, at) => at * 2) : null
      const count = selection?.length ?? rows
      groups.split(columns, selection, count)
      const wanted = new Map<string, number[]>()
      for (let place = 0; place < count; place++) {
        const row = selection?.[place] ?? place
        const key = partitionKey(partitionTupleAt(columns, row))
        wanted.set(key, [...(wanted.get(key) ?? []), row])
      }
      const found = Array.from({ length: groups.count }, (_, group) => [
        ...groups.rows.subarray(groups.starts[group], groups.starts[group + 1]),
      ])
      expect(found).toEqual([...wanted.values()])
    }),
    LIMIT,
  )
})

test('the calendar is that of JavaScript, in both directions', () => {
  fc.assert(
    fc.property(DAYS, (days) => {
      const date = new Date(days * 86_400_000)
      const month = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
      expect(monthOfDay(days)).toBe(month)
      expect(daysOfMonth(month)).toBe(days - date.getUTCDate() + 1)
    }),
    { numRuns: 2000 },
  )
})

test('a time lies in the range of its partition and in no other', () => {
  const units = fc.constantFrom<Transform['kind']>('year', 'month', 'day', 'hour')
  const type = { kind: 'timestamptz' } as const
  fc.assert(
    fc.property(units, MICROS, (kind, micros) => {
      const transform = { kind } as Transform
      const column = applyTransform(transform, columnOf(type, [micros]), 1)
      const value = Number(column.layout === 'int32' ? column.values[0] : Number.NaN)
      const { startUs, endUs } = timeRangeOfPartition(transform, type, valueAt(column, 0))!
      expect(startUs <= micros && micros < endUs).toBe(true)
      expect(timeRangeOf(transform, type, value + 1)!.startUs).toBe(endUs)
    }),
    { numRuns: 2000 },
  )
  expect(timeRangeOf({ kind: 'identity' }, { kind: 'date' }, 1)?.startUs).toBe(86_400_000_000n)
  expect(timeRangeOf({ kind: 'bucket', buckets: 4 }, { kind: 'long' }, 1)).toBeNull()
  expect(timeRangeOf({ kind: 'identity' }, { kind: 'timestamp' }, 1)).toBeNull()
  expect(timeRangeOfPartition({ kind: 'day' }, type, null)).toBeNull()
})
