// A builder that takes rows back holds what one holds that never had them.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { BytesBuilder, FixedBuilder, ListBuilder } from '../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'

type Value = number | null | 'unchanged'
const values = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(null), fc.constant<Value>('unchanged')),
  { maxLength: 40 },
)

function writeLong(builder: FixedBuilder, row: number, value: Value): void {
  builder.reserveRows(row + 1)
  if (value === null) builder.setNull(row)
  else if (value === 'unchanged') builder.setUnchanged(row)
  else builder.values[row] = BigInt(value)
}

function writeBytes(builder: BytesBuilder, row: number, value: Value): void {
  builder.reserveRows(row + 1)
  if (value === null) builder.setNull(row)
  else if (value === 'unchanged') builder.setUnchanged(row)
  else builder.setBytes(row, new Uint8Array(value).fill(value), 0, value)
}

function writeList(builder: ListBuilder, row: number, value: Value): void {
  builder.reserveRows(row + 1)
  if (value === null) builder.setNull(row)
  else if (value === 'unchanged') builder.setUnchanged(row)
  else {
    for (let element = 0; element < value; element++) {
      writeBytes(builder.child as BytesBuilder, builder.childLength++, element % 3 || null)
    }
    builder.endRow(row)
  }
}

function plain(column: Column): unknown[] {
  return Array.from({ length: column.length }, (_, row): unknown => {
    if (isNull(column, row)) return null
    if (isUnchanged(column, row)) return 'unchanged'
    switch (column.layout) {
      case 'bytes':
        return Buffer.from(
          column.bytes.slice(column.offsets[row], column.offsets[row + 1]),
        ).toString('hex')
      case 'list':
        return plain(column.child).slice(column.offsets[row], column.offsets[row + 1])
      default:
        return column.values[row]
    }
  })
}

test.each([
  ['long', () => columnBuilder({ kind: 'long' }), writeLong],
  ['binary', () => columnBuilder({ kind: 'binary' }), writeBytes],
  ['list', () => columnBuilder({ kind: 'list', element: { kind: 'binary' } }), writeList],
])('rows of %s that are taken back leave nothing behind', (_name, create, write) => {
  const writeRow = write as (builder: unknown, row: number, value: Value) => void
  fc.assert(
    fc.property(values, values, values, (kept, taken, next) => {
      const [builder, model] = [create(), create()]
      for (const [row, value] of [...kept, ...taken].entries()) writeRow(builder, row, value)
      builder.truncate(kept.length)
      for (const [row, value] of next.entries()) writeRow(builder, kept.length + row, value)
      const rows = [...kept, ...next]
      for (const [row, value] of rows.entries()) writeRow(model, row, value)
      expect(plain(builder.view(rows.length))).toEqual(plain(model.view(rows.length)))
    }),
  )
})
