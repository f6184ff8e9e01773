// A column of a batch: values in Arrow layout as typed arrays over one or more ArrayBuffers. Null,
// value and unchanged are three different things, held in two bitmaps; a reader that ignores
// `unchanged` would write NULL over a value that the source did not send.

import type { ColumnType } from '../type.ts'

/** One bit a row, least significant bit of byte 0 is row 0. */
export type Bitmap = Uint8Array

interface ColumnBase<T extends ColumnType = ColumnType> {
  readonly type: T
  /** Rows; every array below holds at least this many values. */
  readonly length: number
  /** Bit 1: the row has a value (or is unchanged). `null`: every row has one. */
  readonly validity: Bitmap | null
  /**
   * Bit 1: the source did not send the value, and the row keeps the one it had. `null`: none. Where
   * the bit is 1 the validity bit is 1 and the value is a filler (0 or empty).
   */
  readonly unchanged: Bitmap | null
}

/** `boolean`: one byte a row, 0 or 1. */
export interface BoolColumn extends ColumnBase {
  readonly layout: 'bool8'
  readonly values: Uint8Array
}
/** `int`, `date`. */
export interface Int32Column extends ColumnBase {
  readonly layout: 'int32'
  readonly values: Int32Array
}
/** `long`, `time`, `timestamp`, `timestamptz`, `decimal` of up to 18 digits (unscaled). */
export interface Int64Column extends ColumnBase {
  readonly layout: 'int64'
  readonly values: BigInt64Array
}
export interface Float32Column extends ColumnBase {
  readonly layout: 'float32'
  readonly values: Float32Array
}
export interface Float64Column extends ColumnBase {
  readonly layout: 'float64'
  readonly values: Float64Array
}
/**
 * `decimal` of 19 to 38 digits, unscaled: values[2 * row] low 64 bits, values[2 * row + 1] high.
 */
export interface Int128Column extends ColumnBase {
  readonly layout: 'int128'
  readonly values: BigInt64Array
}
/** `uuid`: 16 bytes a row, in the order of the text form. */
export interface UuidColumn extends ColumnBase {
  readonly layout: 'uuid16'
  readonly values: Uint8Array
}
/** `string` (UTF-8) and `binary`: row r is bytes[offsets[r], offsets[r + 1]); offsets[0] is 0. */
export interface BytesColumn extends ColumnBase {
  readonly layout: 'bytes'
  readonly offsets: Int32Array
  readonly bytes: Uint8Array
}
/** `list`: row r is elements [offsets[r], offsets[r + 1]) of `child`; offsets[0] is 0. */
export interface ListColumn extends ColumnBase {
  readonly layout: 'list'
  readonly offsets: Int32Array
  readonly child: Column
}

export type Column =
  | BoolColumn
  | Int32Column
  | Int64Column
  | Float32Column
  | Float64Column
  | Int128Column
  | UuidColumn
  | BytesColumn
  | ListColumn

/** @returns true when `row` is null; false for a value and for an unchanged one */
export function isNull(column: Column, row: number): boolean {
  const validity = column.validity
  return validity !== null && (validity[row >> 3]! & (1 << (row & 7))) === 0
}

/** @returns true when the source did not send the value of `row` */
export function isUnchanged(column: Column, row: number): boolean {
  const unchanged = column.unchanged
  return unchanged !== null && (unchanged[row >> 3]! & (1 << (row & 7))) !== 0
}

/** @returns bytes that a bitmap of `rows` bits takes */
export function bitmapBytes(rows: number): number {
  return (rows + 7) >> 3
}
