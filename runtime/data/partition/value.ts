// Partition values as data that can be written down: Iceberg's single-value form in base64, so that
// every type is exact and equal values are equal texts.

import { assert } from '../../base/assert.ts'
import { isNull, type Column } from '../column/column.ts'
import { signStart, wordsOf } from './bucket.ts'

/** `null` for null; else the bytes of Iceberg's Appendix D, "Binary single-value", in base64. */
export type PartitionValue = string | null

/** The values of a partition, in the order of its table's partition fields. */
export type PartitionTuple = readonly PartitionValue[]

/** @returns a text that two tuples of one table share only when they are equal */
export function partitionKey(tuple: PartitionTuple): string {
  // Base64 has neither of the two characters.
  return tuple.map((value) => value ?? '-').join('.')
}

/** @returns the tuple that `partitionKey` made a key of */
export function tupleOfKey(key: string): PartitionTuple {
  return key === '' ? [] : key.split('.').map((value) => (value === '-' ? null : value))
}

/** @returns the values of one row; for one row of a partition, not for each */
export function partitionTupleAt(columns: readonly Column[], row: number): PartitionTuple {
  return columns.map((column) => {
    if (isNull(column, row)) return null
    const { buffer, byteOffset, byteLength } = bytesAt(column, row)
    return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
  })
}

/** @returns the single-value form of a row that is not null */
function bytesAt(column: Column, row: number): Uint8Array {
  switch (column.layout) {
    case 'bytes':
      return column.bytes.subarray(column.offsets[row], column.offsets[row + 1])
    case 'list':
      assert(false, 'no partition is told by a list')
    case 'int128':
      return bigEndian(wordsOf(column.values).subarray(row * 4, row * 4 + 4))
    case 'int64':
      if (column.type.kind !== 'decimal') break
      return bigEndian(wordsOf(column.values).subarray(row * 2, row * 2 + 2))
    case 'uuid16':
      return column.values.subarray(row * 16, row * 16 + 16)
    default:
  }
  const { values } = column
  const width = values.BYTES_PER_ELEMENT
  return new Uint8Array(values.buffer, values.byteOffset + row * width, width)
}

/** The shortest big-endian two's complement of little-endian words. */
function bigEndian(words: Int32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, word] of words.entries()) view.setInt32(bytes.length - 4 * (index + 1), word)
  return bytes.subarray(signStart(bytes, bytes.length))
}
