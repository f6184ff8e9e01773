// Code templates that both wire forms share: how a field's builder is opened and closed around a
// loop of rows, and how null, unchanged and bytes are written. The code runs inside the loops of
// rows-code.ts, where `bytes` is the wire, `view` a DataView of it, [p, e) the value, `l` its
// length and `row` the row.
//
// Names by field f: `b` builder, `v` values (of 64 and 128 bits: 32-bit words), `o` offsets, `y`
// bytes, `w` a DataView of them, `n` bytes used. `tail` is the last place from which four bytes of
// the wire can be read. `break rows` leaves the row to the kernels, one call a value.

import { layoutOf, type ColumnType } from '../../../runtime/data/type.ts'
import { canFail, kernelCall, type Call, type DecodedField } from './generate.ts'

/** A field that a column of the tuple fills. */
export interface ValueTarget {
  /** Index in the schema. */
  readonly field: number
  readonly decoded: DecodedField
  readonly call: Call
  /** A value without a place in the lake becomes null. */
  readonly forgiving: boolean
}

/** @returns `null` when the field cannot take what the wire has */
export function valueTarget(
  field: number,
  decoded: DecodedField,
  unrepresentableAsNull: boolean,
): ValueTarget | null {
  const call = kernelCall(decoded)
  if (call === null) return null
  const forgiving =
    unrepresentableAsNull && decoded.nullable && decoded.type.kind !== 'list' && canFail(decoded)
  return { field, decoded, call, forgiving }
}

/** Which arrays of a builder the code of a field uses. */
function storageOf(type: ColumnType): 'values' | 'words2' | 'words4' | 'bytes' | 'list' {
  switch (layoutOf(type)) {
    case 'bytes':
      return 'bytes'
    case 'list':
      return 'list'
    case 'int64':
      return 'words2'
    case 'int128':
    case 'uuid16':
      return 'words4'
    default:
      return 'values'
  }
}

/** Rows have been reserved, so that only the bytes of a field are replaced within a loop. */
export function openCode(field: number, type: ColumnType): string {
  const builder = `const b${field} = columns[${field}]`
  switch (storageOf(type)) {
    case 'bytes':
      return `${builder}, o${field} = b${field}.offsets
let y${field} = b${field}.bytes, w${field} = views[${field}], n${field} = b${field}.bytesLength
if (w${field}.buffer !== y${field}.buffer) w${field} = viewOf(y${field})`
    case 'words2':
    case 'words4':
      return `${builder}, v${field} = b${field}.pairs`
    case 'values':
      return `${builder}, v${field} = b${field}.values`
    case 'list':
      return builder
  }
}

/** Takes back what the row that was left half written has put in. */
export function closeCode(field: number, type: ColumnType): string {
  switch (storageOf(type)) {
    case 'bytes':
      return `b${field}.bytesLength = o${field}[row]; views[${field}] = w${field}`
    case 'list':
      return `endList(b${field}, row)`
    default:
      return ''
  }
}

/** Makes a row null, or unchanged, whichever `mark` says. */
export function absentCode(
  field: number,
  type: ColumnType,
  mark: 'markNull' | 'markUnchanged',
): string {
  return `${fillerCode(field, type)}; b${field}.${mark}(row)`
}

function fillerCode(field: number, type: ColumnType): string {
  switch (storageOf(type)) {
    case 'bytes':
      return `o${field}[row + 1] = n${field}`
    case 'list':
      return `b${field}.endRow(row)`
    case 'words2':
      return `v${field}[row * 2] = 0; v${field}[row * 2 + 1] = 0`
    case 'words4':
      return `v${field}.fill(0, row * 4, row * 4 + 4)`
    case 'values':
      return `v${field}[row] = 0`
  }
}

/** The kernel's name for the elements of a list, as the generated code has it. */
export function elementName(field: number): string {
  return `put${field}`
}

/** Calls the kernel, which writes into the builder's arrays, not into bytes that `n` counts. */
export function kernelCode({ field, decoded, call, forgiving }: ValueTarget): string {
  const extra = call.element === null ? call.extra : `, ${elementName(field)}`
  const put = `${call.kernel}(b${field}, row, bytes, p, e${extra})`
  if (!forgiving) return put
  return `try { ${put} } catch (error) {
if (!(error instanceof UnrepresentableValue)) throw error
${absentCode(field, decoded.type, 'markNull')} }`
}

/** Code that may end with `break done`; where it does not, the kernel takes the value. */
export function orKernel(target: ValueTarget, attempt: string): string {
  return `done: { ${attempt}
${kernelCode(target)} }`
}

/** Writes a whole double below 2^53 as the two words of a row. */
export function wordsCode(field: number, value: string): string {
  return `v${field}[row * 2] = ${value}; v${field}[row * 2 + 1] = Math.floor(${value} / 4294967296)`
}

/** Makes room for `count` more bytes. */
export function roomCode(field: number, count: string): string {
  return `if (n${field} + ${count} > y${field}.length) {
b${field}.bytesLength = n${field}; b${field}.reserveBytes(${count})
y${field} = b${field}.bytes; w${field} = viewOf(y${field}) }`
}

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

/**
 * Copies [from, e), four bytes at a time, which is three times faster than byte by byte. Up to
 * three bytes too many are moved: there is room for them, and the next value overwrites them. At
 * the very end of the wire's memory they are not there to be read.
 */
export function copyCode(field: number, from: string): string {
  const f = field
  return `{ const c = e - ${from}
${roomCode(f, 'c + 4')}
if (c <= ${WORD_COPY_BYTES_MAX} && e <= tail) {
for (let i = 0; i < c; i += 4) w${f}.setInt32(n${f} + i, view.getInt32(${from} + i, true), true)
} else y${f}.set(bytes.subarray(${from}, e), n${f})
n${f} += c; o${f}[row + 1] = n${f} }`
}
