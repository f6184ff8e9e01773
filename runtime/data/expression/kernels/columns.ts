// What generated code asks of a column before its loop: words of wide values, validity.

import { bitmapBytes, type Bitmap, type Column } from '../../column/column.ts'

let allValid: Uint8Array = new Uint8Array(0)

/** @returns a bitmap in any case: of ones where no row is null */
export function validityOf(column: Column): Bitmap {
  if (column.validity !== null) return column.validity
  const length = bitmapBytes(column.length)
  if (allValid.length < length) allValid = new Uint8Array(length * 2).fill(0xff)
  return allValid
}

/** @returns int64 and int128 values as little-endian words of 32 bits */
export function wordsOf(column: Column): Int32Array {
  const { buffer, byteOffset, byteLength } = (column as Extract<Column, { layout: 'int64' }>).values
  return new Int32Array(buffer, byteOffset, byteLength >> 2)
}

const decoder = new TextDecoder('utf-8', { fatal: true })

export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  try {
    decoder.decode(bytes.subarray(start, end))
    return true
  } catch {
    return false
  }
}
