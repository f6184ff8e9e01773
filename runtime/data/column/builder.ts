// Builders of columns. Generated decoders write into their arrays by row number, so the arrays are
// public: `reserveRows` before the row, then `values[row] = ...` (or `setNull(row)`), rows in
// order. A builder is reused: `view(rows)` looks at what it holds, `reset()` starts over in the
// same memory.

import { bitmapBytes, type Bitmap, type Column, type ListColumn } from './column.ts'
import { layoutOf, type ColumnType, type ListType, type PrimitiveType } from '../type.ts'

const ROWS_AT_START = 1024
/** Bytes of text for each of the rows that a builder begins with. */
const BYTES_PER_ROW = 16

/** Offsets are int32, so the bytes of one column in one batch end here. */
export const COLUMN_BYTES_MAX = 0x7fff_ffff

export type FixedArray = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array

interface FixedLayout<A extends FixedArray> {
  readonly create: (length: number) => A
  /** Array elements a row. */
  readonly stride: number
}

const fixedLayouts = {
  bool8: { create: (length: number) => new Uint8Array(length), stride: 1 },
  int32: { create: (length: number) => new Int32Array(length), stride: 1 },
  int64: { create: (length: number) => new BigInt64Array(length), stride: 1 },
  float32: { create: (length: number) => new Float32Array(length), stride: 1 },
  float64: { create: (length: number) => new Float64Array(length), stride: 1 },
  int128: { create: (length: number) => new BigInt64Array(length), stride: 2 },
  uuid16: { create: (length: number) => new Uint8Array(length), stride: 16 },
} as const satisfies Record<string, FixedLayout<FixedArray>>

/**
 * The two bitmaps that every builder has. Null and unchanged are rare, so bits are set for them.
 */
abstract class BuilderBase<T extends ColumnType> {
  readonly type: T
  /** Rows that fit without growing. */
  capacity = 0
  private readonly rowsAtStart: number
  /** Bit 1: null. Inverted to a validity bitmap by `view`. */
  protected nulls: Bitmap = new Uint8Array(0)
  protected unchanged: Bitmap = new Uint8Array(0)
  protected nullCount = 0
  protected unchangedCount = 0

  constructor(type: T, rowsAtStart: number) {
    this.type = type
    this.rowsAtStart = rowsAtStart
  }

  /** Makes room for rows 0...rows - 1; keeps what is there. Arrays may be replaced. */
  reserveRows(rows: number): void {
    if (rows <= this.capacity) return
    const capacity = Math.max(rows, this.capacity * 2, this.rowsAtStart)
    this.nulls = grown(this.nulls, bitmapBytes(capacity))
    this.unchanged = grown(this.unchanged, bitmapBytes(capacity))
    this.growRows(capacity)
    this.capacity = capacity
  }

  protected abstract growRows(capacity: number): void

  /** Marks `row` as null; its (filler) value is already in place. */
  markNull(row: number): void {
    this.nulls[row >> 3]! |= 1 << (row & 7)
    this.nullCount++
  }

  /** @returns the first of rows [from, to) that is null; -1: none is */
  firstNull(from: number, to: number): number {
    if (this.nullCount === 0) return -1
    for (let row = from; row < to; row++) {
      if ((this.nulls[row >> 3]! & (1 << (row & 7))) !== 0) return row
    }
    return -1
  }

  /** Marks `row` as unchanged; its (filler) value is already in place. */
  markUnchanged(row: number): void {
    this.unchanged[row >> 3]! |= 1 << (row & 7)
    this.unchangedCount++
  }

  protected resetBitmaps(): void {
    if (this.nullCount > 0) this.nulls.fill(0)
    if (this.unchangedCount > 0) this.unchanged.fill(0)
    this.nullCount = 0
    this.unchangedCount = 0
  }

  /** Forgets the marks of `rows` and what follows it; the counts stay, which costs a bitmap. */
  protected truncateBitmaps(rows: number): void {
    if (this.nullCount > 0) clearFrom(this.nulls, rows)
    if (this.unchangedCount > 0) clearFrom(this.unchanged, rows)
  }

  protected validityOf(rows: number): Bitmap | null {
    if (this.nullCount === 0) return null
    const validity = new Uint8Array(bitmapBytes(rows))
    for (let at = 0; at < validity.length; at++) validity[at] = ~this.nulls[at]! & 0xff
    return validity
  }

  protected unchangedOf(rows: number): Bitmap | null {
    return this.unchangedCount === 0 ? null : this.unchanged.slice(0, bitmapBytes(rows))
  }
}

/** Values of a fixed width. `pairs` sees int64 and int128 values as little-endian 32-bit words. */
export class FixedBuilder extends BuilderBase<PrimitiveType> {
  readonly layout: keyof typeof fixedLayouts
  /** Array elements a row: 1, 2 (int128) or 16 (uuid). */
  readonly stride: number
  values: FixedArray
  pairs: Int32Array = new Int32Array(0)

  constructor(type: PrimitiveType, rowsAtStart = ROWS_AT_START) {
    super(type, rowsAtStart)
    this.layout = layoutOf(type) as keyof typeof fixedLayouts
    this.stride = fixedLayouts[this.layout].stride
    this.values = fixedLayouts[this.layout].create(0)
  }

  protected override growRows(capacity: number): void {
    const values = fixedLayouts[this.layout].create(capacity * this.stride)
    // Both arrays have one layout; the compiler cannot see that `set` takes its own kind.
    ;(values as Uint8Array).set(this.values as Uint8Array)
    this.values = values
    this.pairs = new Int32Array(values.buffer, 0, values.byteLength >> 2)
  }

  setNull(row: number): void {
    this.markNull(row)
    this.fillRow(row)
  }

  setUnchanged(row: number): void {
    this.markUnchanged(row)
    this.fillRow(row)
  }

  private fillRow(row: number): void {
    const from = row * this.stride
    if (this.values instanceof BigInt64Array) this.values.fill(0n, from, from + this.stride)
    else this.values.fill(0, from, from + this.stride)
  }

  reset(): void {
    this.resetBitmaps()
  }

  /** Takes back every row from `rows` on, also one that is half written. */
  truncate(rows: number): void {
    this.truncateBitmaps(rows)
  }

  /** The first `rows` rows, over the builder's own memory: valid until the next reset or growth. */
  view(rows: number): Column {
    return {
      type: this.type,
      layout: this.layout,
      length: rows,
      validity: this.validityOf(rows),
      unchanged: this.unchangedOf(rows),
      values: this.values.subarray(0, rows * this.stride),
    } as Column
  }
}

/** Values of any length. Write bytes at `bytesLength`, advance it, then `endRow(row)`. */
export class BytesBuilder extends BuilderBase<PrimitiveType> {
  readonly layout = 'bytes'
  /** offsets[row + 1] is the end of `row`; offsets[0] is 0. */
  offsets: Int32Array = new Int32Array(1)
  bytes: Uint8Array
  bytesLength = 0

  constructor(type: PrimitiveType, rowsAtStart = ROWS_AT_START) {
    super(type, rowsAtStart)
    this.bytes = new Uint8Array(rowsAtStart * BYTES_PER_ROW)
  }

  protected override growRows(capacity: number): void {
    this.offsets = grown(this.offsets, capacity + 1)
  }

  /** Makes room for `count` more bytes behind `bytesLength`; `bytes` may be replaced. */
  reserveBytes(count: number): void {
    const needed = this.bytesLength + count
    if (needed <= this.bytes.length) return
    if (needed > COLUMN_BYTES_MAX) throw new RangeError('a column of one batch exceeds 2 GiB')
    this.bytes = grown(
      this.bytes,
      Math.min(COLUMN_BYTES_MAX, Math.max(needed, this.bytes.length * 2)),
    )
  }

  endRow(row: number): void {
    this.offsets[row + 1] = this.bytesLength
  }

  /** Copies source[start, end) in as the value of `row`. */
  setBytes(row: number, source: Uint8Array, start: number, end: number): void {
    const count = end - start
    this.reserveBytes(count)
    copyBytes(this.bytes, this.bytesLength, source, start, end)
    this.bytesLength += count
    this.offsets[row + 1] = this.bytesLength
  }

  setNull(row: number): void {
    this.markNull(row)
    this.offsets[row + 1] = this.bytesLength
  }

  setUnchanged(row: number): void {
    this.markUnchanged(row)
    this.offsets[row + 1] = this.bytesLength
  }

  reset(): void {
    this.resetBitmaps()
    this.bytesLength = 0
  }

  /** Takes back every row from `rows` on, also one that is half written. */
  truncate(rows: number): void {
    this.truncateBitmaps(rows)
    this.bytesLength = this.offsets[rows]!
  }

  /** The first `rows` rows, over the builder's own memory: valid until the next reset or growth. */
  view(rows: number): Column {
    return {
      type: this.type,
      layout: 'bytes',
      length: rows,
      validity: this.validityOf(rows),
      unchanged: this.unchangedOf(rows),
      offsets: this.offsets.subarray(0, rows + 1),
      bytes: this.bytes.subarray(0, this.offsets[rows]),
    }
  }
}

/** Lists. Write elements into `child` at `childLength`, advance it, then `endRow(row)`. */
export class ListBuilder extends BuilderBase<ListType> {
  readonly layout = 'list'
  offsets: Int32Array = new Int32Array(1)
  readonly child: FixedBuilder | BytesBuilder
  childLength = 0

  constructor(type: ListType, rowsAtStart = ROWS_AT_START) {
    super(type, rowsAtStart)
    this.child = primitiveBuilder(type.element, rowsAtStart)
  }

  protected override growRows(capacity: number): void {
    this.offsets = grown(this.offsets, capacity + 1)
  }

  endRow(row: number): void {
    this.offsets[row + 1] = this.childLength
  }

  setNull(row: number): void {
    this.markNull(row)
    this.offsets[row + 1] = this.childLength
  }

  setUnchanged(row: number): void {
    this.markUnchanged(row)
    this.offsets[row + 1] = this.childLength
  }

  reset(): void {
    this.resetBitmaps()
    this.childLength = 0
    this.child.reset()
  }

  /** Takes back every row from `rows` on, also one that is half written. */
  truncate(rows: number): void {
    this.truncateBitmaps(rows)
    this.childLength = this.offsets[rows]!
    this.child.truncate(this.childLength)
  }

  /** The first `rows` rows, over the builder's own memory: valid until the next reset or growth. */
  view(rows: number): ListColumn {
    return {
      type: this.type,
      layout: 'list',
      length: rows,
      validity: this.validityOf(rows),
      unchanged: this.unchangedOf(rows),
      offsets: this.offsets.subarray(0, rows + 1),
      child: this.child.view(this.offsets[rows]!),
    }
  }
}

export type ColumnBuilder = FixedBuilder | BytesBuilder | ListBuilder

function primitiveBuilder(
  type: PrimitiveType,
  rowsAtStart: number | undefined,
): FixedBuilder | BytesBuilder {
  return layoutOf(type) === 'bytes'
    ? new BytesBuilder(type, rowsAtStart)
    : new FixedBuilder(type, rowsAtStart)
}

/**
 * @param rowsAtStart  rows that it makes room for at first; fewer where there are many builders
 * @returns an empty builder of columns of `type`
 */
export function columnBuilder(type: ColumnType, rowsAtStart?: number): ColumnBuilder {
  return type.kind === 'list'
    ? new ListBuilder(type, rowsAtStart)
    : primitiveBuilder(type, rowsAtStart)
}

/**
 * Copies source[start, end) to target[at, ...). Short values are copied by hand: a call of
 * `TypedArray.set` with a subarray costs more than the copy below about 40 bytes.
 */
export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start > 40) {
    target.set(source.subarray(start, end), at)
    return
  }
  for (let from = start, to = at; from < end; from++, to++) target[to] = source[from]!
}

function clearFrom(bitmap: Bitmap, row: number): void {
  const at = row >> 3
  if (at >= bitmap.length) return
  bitmap[at]! &= (1 << (row & 7)) - 1
  bitmap.fill(0, at + 1)
}

function grown<A extends Uint8Array | Int32Array>(array: A, length: number): A {
  const larger = array instanceof Int32Array ? new Int32Array(length) : new Uint8Array(length)
  larger.set(array)
  return larger as A
}
