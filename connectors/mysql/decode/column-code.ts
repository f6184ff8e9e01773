// Code templates: how one column of a row image is passed over, and how it is written into the
// column of its field. The code runs inside the loops of row-code.ts, where `bytes` is the event,
// `view` a DataView of it, `p` the place, `end` the end of the images and `row` the row.
//
// Names by field f: `b` builder, `v` values (of 64 and 128 bits: 32-bit words), `o` offsets, `y`
// bytes, `w` a DataView of them, `n` bytes used. `tail` is the last place from which four bytes can
// be read. A value that its field cannot hold ends the loop: `break rows` after
// `status` and `column` are set.

import { layoutOf, type ColumnType } from '../../../runtime/data/type.ts'
import { charsetKind } from './charset.ts'
import { decimalShape } from './decimal.ts'
import type { MapColumn } from './events.ts'
import { ColumnCode } from './table-map.ts'

/** A column of the image and the field that takes it. */
export interface ColumnTarget {
  /** Index in the table map. */
  readonly index: number
  readonly column: MapColumn
  /** Index in the schema; -1: nobody takes it. */
  readonly field: number
  /** Of the field; `null` without one. */
  readonly type: ColumnType | null
}

/** How a decode call ended; the numbers stand in generated code. */
export const Status = {
  done: 0,
  /** The key of an update changed: the caller decodes both images as rows of their own. */
  keyChanged: 1,
  /** `column` has a value that its field cannot hold. */
  unrepresentable: 2,
  /** The bytes break the grammar. */
  corrupt: 3,
} as const

/** Bytes of a value of a fixed width; `null` for the others. */
function fixedWidth({ type, meta }: MapColumn): number | null {
  switch (type) {
    case ColumnCode.tiny:
    case ColumnCode.year:
      return 1
    case ColumnCode.short:
      return 2
    case ColumnCode.int24:
    case ColumnCode.date:
    case ColumnCode.newDate:
    case ColumnCode.time:
      return 3
    case ColumnCode.long:
    case ColumnCode.float:
    case ColumnCode.timestamp:
      return 4
    case ColumnCode.longlong:
    case ColumnCode.double:
    case ColumnCode.datetime:
      return 8
    case ColumnCode.bit:
      return (meta + 7) >> 3
    case ColumnCode.newDecimal:
      return decimalShape(meta >> 8, meta & 0xff).bytes
    case ColumnCode.timestamp2:
      return 4 + fractionBytes(meta)
    case ColumnCode.datetime2:
      return 5 + fractionBytes(meta)
    case ColumnCode.time2:
      return 3 + fractionBytes(meta)
    case ColumnCode.enum:
    case ColumnCode.set:
      return meta
    default:
      return null
  }
}

/** Bytes of the length in front of a value of a variable width; `null` for an unknown type. */
function lengthBytes({ type, meta }: MapColumn): number | null {
  switch (type) {
    case ColumnCode.varchar:
    case ColumnCode.varcharCompressed:
    case ColumnCode.string:
    case ColumnCode.varString:
      return meta < 256 ? 1 : 2
    case ColumnCode.blob:
    case ColumnCode.blobCompressed:
    case ColumnCode.tinyBlob:
    case ColumnCode.mediumBlob:
    case ColumnCode.longBlob:
    case ColumnCode.json:
    case ColumnCode.geometry:
    case ColumnCode.vector:
      return meta
    default:
      return null
  }
}

/** @returns false for a type whose values have an unknown size: nothing behind it can be read */
export function isReadable(column: MapColumn): boolean {
  return fixedWidth(column) !== null || lengthBytes(column) !== null
}

function fractionBytes(digits: number): number {
  return (digits + 1) >> 1
}

const LITTLE_ENDIAN: Readonly<Record<number, string>> = {
  1: 'bytes[p]',
  2: 'view.getUint16(p, true)',
  3: '(bytes[p] | (bytes[p + 1] << 8) | (bytes[p + 2] << 16))',
  4: 'view.getUint32(p, true)',
}

/** Code that passes over a value. */
export function skipCode(column: MapColumn): string {
  const width = fixedWidth(column)
  if (width !== null) return `p += ${width}`
  const bytes = lengthBytes(column) ?? 0
  return `p += ${bytes} + ${LITTLE_ENDIAN[bytes]}`
}

/** Code that marks a null. */
export function nullCode({ field, type }: ColumnTarget): string {
  if (type === null) return ''
  return `${fillerCode(field, type)}; b${field}.markNull(row)`
}

function fillerCode(field: number, type: ColumnType): string {
  switch (storageOf(type)) {
    case 'bytes':
      return `o${field}[row + 1] = n${field}`
    case 'words2':
      return `v${field}[row * 2] = 0; v${field}[row * 2 + 1] = 0`
    case 'words4':
      return `v${field}.fill(0, row * 4, row * 4 + 4)`
    case 'uuid':
      return `v${field}.fill(0, row * 16, row * 16 + 16)`
    case 'values':
      return `v${field}[row] = 0`
  }
}

/** Which arrays of a builder the code of a field uses. */
export function storageOf(type: ColumnType): 'values' | 'words2' | 'words4' | 'bytes' | 'uuid' {
  switch (layoutOf(type)) {
    case 'bytes':
    case 'list':
      return 'bytes'
    case 'int64':
      return 'words2'
    case 'int128':
      return 'words4'
    case 'uuid16':
      return 'uuid'
    default:
      return 'values'
  }
}

function fail(index: number): string {
  return `{ status = ${Status.unrepresentable}; column = ${index}; break rows }`
}

const CORRUPT = `{ status = ${Status.corrupt}; break rows }`

/** Code that writes the value at `p` into row `row` of the field and passes over it. */
export function decodeCode(target: ColumnTarget): string {
  const { column, field, index, type } = target
  if (type === null) return skipCode(column)
  const v = `v${field}`
  switch (column.type) {
    case ColumnCode.tiny:
      if (type.kind === 'boolean') {
        return `if (bytes[p] > 1) ${fail(index)}\n${v}[row] = bytes[p]; p += 1`
      }
      return `${v}[row] = ${column.unsigned ? 'bytes[p]' : '(bytes[p] << 24) >> 24'}; p += 1`
    case ColumnCode.year:
      return `${v}[row] = bytes[p] === 0 ? 0 : 1900 + bytes[p]; p += 1`
    case ColumnCode.short:
      return `${v}[row] = view.get${column.unsigned ? 'Uint' : 'Int'}16(p, true); p += 2`
    case ColumnCode.int24:
      if (column.unsigned) return `${v}[row] = ${LITTLE_ENDIAN[3]}; p += 3`
      return `${v}[row] = (${LITTLE_ENDIAN[3]} << 8) >> 8; p += 3`
    case ColumnCode.long:
      if (!column.unsigned) return `${v}[row] = view.getInt32(p, true); p += 4`
      return `${v}[row * 2] = view.getInt32(p, true); ${v}[row * 2 + 1] = 0; p += 4`
    case ColumnCode.longlong:
      return longlongCode(v, column.unsigned)
    case ColumnCode.float:
      return `${v}[row] = view.getFloat32(p, true); p += 4`
    case ColumnCode.double:
      return `${v}[row] = view.getFloat64(p, true); p += 8`
    case ColumnCode.bit:
      return bitCode(v, target)
    case ColumnCode.newDecimal:
      return decimalCode(target)
    case ColumnCode.enum:
      return enumCode(target)
    case ColumnCode.set:
      return setCode(target)
    default:
      return temporalCode(target) ?? bytesCode(target)
  }
}

function longlongCode(v: string, unsigned: boolean): string {
  const count = unsigned ? 4 : 2
  const words = `${v}[row * ${count}] = view.getInt32(p, true)
${v}[row * ${count} + 1] = view.getInt32(p + 4, true)`
  return `${words}${unsigned ? `\n${v}[row * 4 + 2] = 0; ${v}[row * 4 + 3] = 0` : ''}; p += 8`
}

function bigEndian(at: number, count: number): string {
  if (count === 4) return `view.getInt32(p + ${at})`
  const parts = Array.from({ length: count }, (_, index) => {
    const shift = (count - 1 - index) * 8
    return shift === 0 ? `bytes[p + ${at + index}]` : `(bytes[p + ${at + index}] << ${shift})`
  })
  return parts.length === 1 ? (parts[0] ?? '0') : `(${parts.join(' | ')})`
}

function bitCode(v: string, { index, column }: ColumnTarget): string {
  const width = (column.meta + 7) >> 3
  const low = Math.min(4, width)
  const high = width - low
  const highCode = high === 0 ? '0' : bigEndian(0, high)
  // 64 bits with the highest one set exceed a signed long.
  const check = width === 8 ? `if (bytes[p] > 127) ${fail(index)}\n` : ''
  return `${check}${v}[row * 2] = ${bigEndian(high, low)}
${v}[row * 2 + 1] = ${highCode}; p += ${width}`
}

/** Up to here a double holds the unscaled value, and the code needs no call. */
const DECIMAL_INLINE_DIGITS_MAX = 15

function decimalCode(target: ColumnTarget): string {
  const { column, field, index, type } = target
  const shape = decimalShape(column.meta >> 8, column.meta & 0xff)
  const { bytes, precision, groups } = shape
  if (type?.kind === 'string') {
    return `if (p + ${bytes} > end) ${CORRUPT}
${roomCode(field, `${precision + 3}`)}
n${field} = runtime.writeDecimalText(y${field}, n${field}, bytes, p, shapes[${index}])
o${field}[row + 1] = n${field}; p += ${bytes}`
  }
  const count = precision > 18 ? 4 : 2
  if (precision > DECIMAL_INLINE_DIGITS_MAX) {
    return `runtime.writeDecimal(v${field}, row * ${count}, ${count}, bytes, p, shapes[${index}])
p += ${bytes}`
  }
  let at = 0
  let code = `const sign${index} = bytes[p] < 128 ? -1 : 0\nlet d${index} = `
  groups.forEach(({ digits, bytes: width }, group) => {
    const flipped =
      group === 0
        ? ` ^ ${width === 4 ? '-0x80000000' : `0x${(0x80 << (8 * (width - 1))).toString(16)}`}`
        : ''
    const mask = width === 4 ? '' : ` & 0x${(2 ** (8 * width) - 1).toString(16)}`
    const value = `((${bigEndian(at, width)}${flipped} ^ sign${index})${mask})`
    code += group === 0 ? value : `\nd${index} = d${index} * ${10 ** digits} + ${value}`
    at += width
  })
  return `{ ${code}
if (sign${index} < 0) d${index} = -d${index}
${microsCode(`v${field}`, `d${index}`)}; p += ${bytes} }`
}

/** Writes a whole double below 2^53 as two words. */
function microsCode(v: string, value: string): string {
  return `${v}[row * 2] = ${value} | 0; ${v}[row * 2 + 1] = Math.floor(${value} / 4294967296)`
}

/** Microseconds of the fraction of `digits` digits that begins at p + at. */
function fractionCode(at: number, digits: number): string {
  const width = fractionBytes(digits)
  if (width === 0) return '0'
  return `${bigEndian(at, width)} * ${[0, 10_000, 100, 1][width]}`
}

function temporalCode({ column, field, index }: ColumnTarget): string | null {
  const v = `v${field}`
  const { meta } = column
  switch (column.type) {
    case ColumnCode.date:
    case ColumnCode.newDate:
      return `{ const d = ${LITTLE_ENDIAN[3]}; const m = d >> 5; const day = d & 31
if (day < 1 || day > monthLength[m]) ${fail(index)}
${v}[row] = dayBefore[m] + day; p += 3 }`
    case ColumnCode.datetime2:
      return `{ const w = view.getUint32(p); const l = bytes[p + 4]
const ym = (w >>> 14) & 0x1ffff; const year = (ym / 13) | 0
const m = (year << 4) | (ym - year * 13)
const day = (w >>> 9) & 31
if (day < 1 || day > monthLength[m]) ${fail(index)}
const s = (dayBefore[m] + day) * 86400 + ((w >>> 4) & 31) * 3600
 + (((w & 15) << 2) | (l >> 6)) * 60 + (l & 63)
${wideMicros(v, fractionCode(5, meta))}; p += ${5 + fractionBytes(meta)} }`
    case ColumnCode.datetime:
      return `{ const t = view.getUint32(p, true) + view.getUint32(p + 4, true) * 4294967296
const date = Math.floor(t / 1000000); const time = t - date * 1000000
const m = (Math.floor(date / 10000) << 4) | (Math.floor(date / 100) % 100); const day = date % 100
if (day < 1 || day > monthLength[m]) ${fail(index)}
const s = (dayBefore[m] + day) * 86400 + Math.floor(time / 10000) * 3600
 + (Math.floor(time / 100) % 100) * 60 + time % 100
${wideMicros(v, '0')}; p += 8 }`
    case ColumnCode.timestamp2:
      return `{ const s = view.getUint32(p); const u = ${fractionCode(4, meta)}
if (s === 0 && u === 0) ${fail(index)}
const t = s * 1000000 + u
${microsCode(v, 't')}; p += ${4 + fractionBytes(meta)} }`
    case ColumnCode.timestamp:
      return `{ const s = view.getUint32(p, true)
if (s === 0) ${fail(index)}
const t = s * 1000000
${microsCode(v, 't')}; p += 4 }`
    case ColumnCode.time2:
      return timeCode(v, meta)
    case ColumnCode.time:
      return `{ const i = (${LITTLE_ENDIAN[3]} << 8) >> 8; const a = i < 0 ? -i : i
const s = ((a / 10000) | 0) * 3600 + (((a / 100) | 0) % 100) * 60 + a % 100
const t = i < 0 ? -s * 1000000 : s * 1000000
${microsCode(v, 't')}; p += 3 }`
    default:
      return null
  }
}

/** Times before 1684 and after 2255 exceed 2^53 microseconds. */
function wideMicros(v: string, micros: string): string {
  return `if (s > -9007199254 && s < 9007199254) { const t = s * 1000000 + ${micros}
${microsCode(v, 't')} } else { runtime.writeMicros(${v}, row * 2, s, ${micros}) }`
}

/** Whole part and fraction are one number, below zero its complement. */
function timeCode(v: string, digits: number): string {
  const width = fractionBytes(digits)
  const scale = 2 ** (8 * width)
  const whole = `(${bigEndian(0, 3)} - 0x800000)`
  const packed = width === 0 ? whole : `${whole} * ${scale} + ${bigEndian(3, width)}`
  return `{ const c = ${packed}; const a = c < 0 ? -c : c
const i = ${width === 0 ? 'a' : `Math.floor(a / ${scale})`}; const f = a - i * ${scale}
const u = (((i >> 12) & 0x3ff) * 3600 + ((i >> 6) & 63) * 60 + (i & 63)) * 1000000
 + f * ${[0, 10_000, 100, 1][width]}
const t = c < 0 ? -u : u
${microsCode(v, 't')}; p += ${3 + width} }`
}

function enumCode({ column, field, index }: ColumnTarget): string {
  const f = field
  const { meta } = column
  return `{ const e = ${LITTLE_ENDIAN[meta]}; p += ${meta}
if (e > ${column.labels.length}) ${CORRUPT}
if (e > 0) { const from = labels[${index}].offsets[e - 1]; const to = labels[${index}].offsets[e]
${moveCode(f, `labels[${index}].bytes`, 'from', 'to')} }
o${f}[row + 1] = n${f} }`
}

function setCode({ column, field, index }: ColumnTarget): string {
  const f = field
  return `if (p + ${column.meta} > end) ${CORRUPT}
${roomCode(f, `labels[${index}].bytes.length + ${column.labels.length}`)}
n${f} = runtime.writeSet(y${f}, n${f}, bytes, p, ${column.meta}, labels[${index}])
if (n${f} < 0) ${CORRUPT}
o${f}[row + 1] = n${f}; p += ${column.meta}`
}

/** Makes room for `count` more bytes in the column of field `f`. */
function roomCode(f: number, count: string): string {
  return `if (n${f} + ${count} > y${f}.length) {
b${f}.bytesLength = n${f}; b${f}.reserveBytes(${count})
y${f} = b${f}.bytes; w${f} = runtime.viewOf(y${f}) }`
}

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

/**
 * Copies a value out of the event four bytes at a time, which is three times faster than byte by
 * byte. Up to three bytes too many are moved: there is room for them, and the next value overwrites
 * them. At the very end of the event's memory they are not there to be read.
 */
function copyCode(f: number, from: string, to: string): string {
  return `{ const l = ${to} - ${from}
${roomCode(f, 'l + 4')}
if (l <= ${WORD_COPY_BYTES_MAX} && ${to} <= tail) {
for (let i = 0; i < l; i += 4) w${f}.setInt32(n${f} + i, view.getInt32(${from} + i, true), true)
} else y${f}.set(bytes.subarray(${from}, ${to}), n${f})
n${f} += l }`
}

/** Copies source[from, to) of another array. */
function moveCode(f: number, source: string, from: string, to: string): string {
  return `${roomCode(f, `(${to} - ${from})`)}
for (let i = ${from}; i < ${to}; i++) y${f}[n${f}++] = ${source}[i]`
}

/** Copies a whole array of `length` bytes. */
function setBytesCode(f: number, source: string, length: string): string {
  return `${roomCode(f, length)}
y${f}.set(${source}, n${f}); n${f} += ${length}`
}

function bytesCode(target: ColumnTarget): string {
  const { column, field: f, type } = target
  const width = lengthBytes(column) ?? 0
  const head = `const e = p + ${width} + ${LITTLE_ENDIAN[width]}; p += ${width}
if (e > end) ${CORRUPT}`
  if (type?.kind === 'uuid')
    return `{ ${head}\nruntime.writeUuid(v${f}, row * 16, bytes, p, e); p = e }`
  let body: string
  if (column.type === ColumnCode.json) {
    body = `const l = runtime.json.print(bytes, p, e)
${setBytesCode(f, 'runtime.json.text.subarray(0, l)', 'l')}`
  } else if (
    column.type === ColumnCode.blobCompressed ||
    column.type === ColumnCode.varcharCompressed
  ) {
    body = `const z = runtime.inflateValue(bytes, p, e)
${textCode(target, 'z', '0', 'z.length')}`
  } else {
    body = textCode(target, 'bytes', 'p', 'e')
  }
  // The log leaves out the zero bytes at the end of BINARY(n).
  const padded = column.type === ColumnCode.string && column.charset === 'binary'
  const pad = padded
    ? `\n${roomCode(f, `${column.meta}`)}
for (let left = ${column.meta} - (e - p); left > 0; left--) y${f}[n${f}++] = 0`
    : ''
  return `{ ${head}\n${body}${pad}\no${f}[row + 1] = n${f}; p = e }`
}

function textCode(target: ColumnTarget, source: string, from: string, to: string): string {
  const { column, field: f, index } = target
  const kind = charsetKind(column.charset ?? 'utf8mb4')
  if (kind === 'single') {
    return `${roomCode(f, `(${to} - ${from}) * 3`)}
{ const w = runtime.transcodeSingle(y${f}, n${f}, ${source}, ${from}, ${to}, tables[${index}])
if (w < 0) ${fail(index)}
n${f} = w }`
  }
  if (kind === 'wide') {
    return `${roomCode(f, `(${to} - ${from}) * 2`)}
{ const w = runtime.transcodeWide(y${f}, n${f}, ${source}, ${from}, ${to}, '${column.charset}')
if (w < 0) ${fail(index)}
n${f} = w }`
  }
  return source === 'bytes' ? copyCode(f, from, to) : setBytesCode(f, source, to)
}
