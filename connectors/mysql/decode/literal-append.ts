// Writes a single value into a row of a column: the default that an insert stored without saying
// so.

import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { assert } from '../../../runtime/base/assert.ts'
import type { Literal } from '../../../runtime/data/literal.ts'

/** Rows are written in order, so a column of bytes grows at its end. */
export function appendLiteral(builder: ColumnBuilder, row: number, value: Literal): void {
  if (builder.layout === 'bytes') {
    assert(typeof value === 'string' || value instanceof Uint8Array, 'text and bytes')
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    builder.setBytes(row, bytes, 0, bytes.length)
    return
  }
  assert(builder.layout !== 'list', 'no column of MySQL is a list')
  const { values } = builder
  if (values instanceof BigInt64Array) {
    assert(typeof value === 'bigint', 'integers, times and decimals are bigint')
    values[row * builder.stride] = BigInt.asIntN(64, value)
    if (builder.stride === 2) values[row * 2 + 1] = value >> 64n
  } else if (value instanceof Uint8Array) {
    values.set(value, row * builder.stride)
  } else {
    values[row] = Number(value)
  }
}
