// Every layout, with nulls, unchanged values and selections, against plain arrays of values.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { appendRows } from '../../runtime/data/column/append.ts'
import { BytesBuilder, columnBuilder, FixedBuilder } from '../../runtime/data/column/builder.ts'
import type { ColumnBuilder } from '../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

/** Also 'unchanged', which no value here spells. */
type Value = number | bigint | string | readonly number[] | null

const types: readonly ColumnType[] = [
  { kind: 'boolean' },
  { kind: 'int' },
  { kind: 'long' },
  { kind: 'float' },
  { kind: 'double' },
  { kind: 'decimal', precision: 30, scale: 2 },
  { kind: 'uuid' },
  { kind: 'string' },
  { kind: 'list', element: { kind: 'int' } },
]

/** A value for row data `n`, distinguishable by type. */
function valueOf(type: ColumnType, n: number): Exclude<Value, null> {
  switch (type.kind) {
    case 'boolean':
      return n & 1
    case 'long':
      return BigInt(n) * 0x1_0000_0001n
    case 'decimal':
      return (BigInt(n) << 70n) + 7n
    case 'uuid':
      return [n & 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, (n >> 8) & 255]
    case 'string':
      return 'ä'.repeat(n % 40) + n
    case 'list':
      return Array.from({ length: n % 4 }, (_, index) => n + index)
    default:
      return n
  }
}

function put(builder: ColumnBuilder, row: number, value: Value): void {
  builder.reserveRows(row + 1)
  if (value === null) builder.setNull(row)
  else if (value === 'unchanged') builder.setUnchanged(row)
  else if (builder instanceof BytesBuilder) {
    const bytes = Buffer.from(String(value))
    builder.setBytes(row, bytes, 0, bytes.length)
  } else if (builder instanceof FixedBuilder) putFixed(builder, row, value)
  else {
    for (const element of value as readonly number[])
      put(builder.child, builder.childLength++, element)
    builder.endRow(row)
  }
}

function putFixed(builder: FixedBuilder, row: number, value: Value): void {
  const { values, stride } = builder
  if (Array.isArray(value)) (values as Uint8Array).set(value as readonly number[], row * stride)
  else if (values instanceof BigInt64Array && stride === 2) {
    values[row * 2] = BigInt.asIntN(64, value as bigint)
    values[row * 2 + 1] = (value as bigint) >> 64n
  } else if (values instanceof BigInt64Array) values[row] = value as bigint
  else values[row] = value as number
}

function get(column: Column, row: number): Value {
  if (isNull(column, row)) return null
  if (isUnchanged(column, row)) return 'unchanged'
  switch (column.layout) {
    case 'bytes':
      return Buffer.from(
        column.bytes.subarray(column.offsets[row], column.offsets[row + 1]),
      ).toString()
    case 'list': {
      const [start, end] = [column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0]
      return Array.from({ length: end - start }, (_, at) => Number(get(column.child, start + at)))
    }
    case 'int128':
      return BigInt.asUintN(64, column.values[row * 2]!) + (column.values[row * 2 + 1]! << 64n)
    case 'uuid16':
      return [...column.values.subarray(row * 16, row * 16 + 16)]
    default:
      return column.values[row]!
  }
}

const cell = fc.oneof(
  { weight: 8, arbitrary: fc.nat(5000) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant('unchanged' as const) },
)

test('rows arrive in the builder as they were, whole or selected, batch behind batch', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.array(
        fc.tuple(fc.array(cell, { maxLength: 60 }), fc.nat(90), fc.infiniteStream(fc.boolean())),
      ),
      (type, batches) => {
        const target = columnBuilder(type)
        const expected: Value[] = []
        for (const [cells, prefix, choices] of batches) {
          const source = columnBuilder(type)
          const values = cells.map((n): Value => (typeof n === 'number' ? valueOf(type, n) : n))
          values.forEach((value, row) => put(source, row, value))
          source.reserveRows(1)
          const whole = choices.next().value
          const selected = values.flatMap((_, row) => (choices.next().value ? [row] : []))
          const column = source.view(values.length)
          const selection = whole ? null : Int32Array.from(selected)
          const count = whole ? Math.min(prefix, values.length) : selected.length
          appendRows(target, expected.length, column, count, selection)
          expected.push(...(whole ? values.slice(0, count) : selected.map((row) => values[row]!)))
        }
        target.reserveRows(1)
        const column = target.view(expected.length)
        expect(expected.map((_, row) => get(column, row))).toEqual(expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('a builder that starts over shows nothing of what it held', () => {
  for (const type of types) {
    const builder = columnBuilder(type)
    for (let row = 0; row < 20; row++) put(builder, row, row % 2 === 0 ? null : 'unchanged')
    builder.reset()
    for (let row = 0; row < 20; row++) put(builder, row, valueOf(type, row))
    const column = builder.view(20)
    expect(column.validity).toBeNull()
    expect(column.unchanged).toBeNull()
    expect(get(column, 19)).toEqual(valueOf(type, 19))
  }
})
