// Code templates: how one value of a record is read and written into its column. The code runs in
// the loops of generate.ts, where `bytes` is the batch, `view` a DataView of it, `p` the place,
// `end` the end of the record and `row` the row.
//
// Names by target f: `b` builder, `v` values (of 64 and 128 bits: 32-bit words), `o` offsets, `y`
// bytes, `w` a DataView of them, `n` bytes used. `x` is the number read last, `h` its upper half,
// `e` a place. `tail` is the last place from which four bytes can be read. What cannot be read ends
// with `break fields`, after `status` and `column` are set. Reading may go past `end`, into the
// next record, as long as nothing is believed of it: the end of the loop finds `p` behind `end`.

import { layoutOf, type ColumnType, type PrimitiveType } from '../../../../runtime/data/type.ts'
import { unwrap } from '../columns.ts'
import type { AvroFixed, AvroPrimitive, AvroType } from '../schema.ts'
import { jsonNodeOf, type JsonNode } from './json-text.ts'
import { symbolsOf, type Symbols } from './runtime.ts'
import { Verdict } from './verdict.ts'

/** A type in the bytes, and the column or list that takes its values. */
export interface Target {
  /** Ends the names of its builder and arrays. */
  readonly f: string
  /** The row, as source text. */
  readonly row: string
  /** Of the structure: for messages, and of its view. */
  readonly column: number
  readonly type: ColumnType
  /** Unwrapped. */
  readonly avro: AvroType
}

/** What generated code needs besides numbers, by index. */
export class Constants {
  readonly symbols: Symbols[] = []
  readonly nodes: JsonNode[] = []
}

/** Which arrays of a builder the code of a target uses. */
type Storage = 'values' | 'words2' | 'words4' | 'uuid' | 'bytes' | 'list'

export function storageOf(type: ColumnType): Storage {
  switch (layoutOf(type)) {
    case 'bytes':
      return 'bytes'
    case 'list':
      return 'list'
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

/** Rows have been reserved, so that only the bytes of a column are replaced within a loop. */
export function openCode(f: string, column: number, type: ColumnType): string {
  const builder = `const b${f} = columns[${column}]`
  switch (storageOf(type)) {
    case 'bytes':
      return `${builder}, o${f} = b${f}.offsets
let y${f} = b${f}.bytes, w${f} = views[${column}], n${f} = b${f}.bytesLength
if (w${f}.buffer !== y${f}.buffer) w${f} = viewOf(y${f})`
    case 'words2':
    case 'words4':
      return `${builder}, v${f} = b${f}.pairs`
    case 'list':
      return `${builder}, o${f} = b${f}.offsets`
    case 'values':
    case 'uuid':
      return `${builder}, v${f} = b${f}.values`
  }
}

export function closeCode(f: string, column: number, type: ColumnType): string {
  if (storageOf(type) !== 'bytes') return ''
  return `b${f}.bytesLength = n${f}; views[${column}] = w${f}`
}

export function absentCode(f: string, row: string, type: ColumnType): string {
  return `${fillerCode(f, row, type)}; b${f}.markNull(${row})`
}

function fillerCode(f: string, row: string, type: ColumnType): string {
  switch (storageOf(type)) {
    case 'bytes':
      return `o${f}[${row} + 1] = n${f}`
    case 'list':
      return `b${f}.endRow(${row})`
    case 'words2':
      return `v${f}[${row} * 2] = 0; v${f}[${row} * 2 + 1] = 0`
    case 'words4':
      return `v${f}.fill(0, ${row} * 4, ${row} * 4 + 4)`
    case 'uuid':
      return `v${f}.fill(0, ${row} * 16, ${row} * 16 + 16)`
    case 'values':
      return `v${f}[${row}] = 0`
  }
}

export function failCode(verdict: Verdict, column: number): string {
  return `{ status = ${verdict}; column = ${column}; break fields }`
}

/** Reads an unsigned number into `x`; of more than one byte by a call. */
function varintCode(column: number): string {
  return `x = bytes[p++]
if (x > 127) { e = varint(bytes, p - 1); if (e < 0) ${failCode(Verdict.varint, column)}
p = e; x = number.value }`
}

/**
 * Chooses by the index of a union of null and one type.
 *
 * @param branches  of the union; 0: there is none, and the value stands alone
 * @param absent  code for a null
 */
export function unionCode(
  { branches, nullBranch }: { readonly branches: number; readonly nullBranch: number },
  column: number,
  value: string,
  absent: string,
): string {
  if (branches === 0) return value
  const fail = failCode(Verdict.branch, column)
  const index = varintCode(column)
  if (nullBranch === -1 || branches === 1) return `${index}\nif (x !== 0) ${fail}\n${value}`
  // Zigzag: branch 0 is 0, branch 1 is 2.
  const other = (1 - nullBranch) * 2
  return `${index}
if (x === ${other}) { ${value} } else if (x === ${nullBranch * 2}) { ${absent} } else ${fail}`
}

/** Code that reads a value and writes it into its row. */
export function valueCode(target: Target, constants: Constants): string {
  const { type, avro } = target
  if (type.kind === 'string' && type.json === true) return jsonCode(target, constants)
  switch (avro.kind) {
    case 'array':
      return listCode(target, avro.items, constants)
    case 'enum':
      return symbolCode(target, constants.symbols.push(symbolsOf(avro.symbols)) - 1)
    case 'map':
    case 'record':
    case 'union':
      return jsonCode(target, constants)
    default:
      return scalarCode(target, avro, type as PrimitiveType)
  }
}

function scalarCode(target: Target, avro: AvroPrimitive | AvroFixed, type: PrimitiveType): string {
  const { f, row, column } = target
  const v = `v${f}`
  if (avro.logical !== null) return logicalCode(target, avro, type)
  switch (avro.kind) {
    case 'boolean':
      return `x = bytes[p++]; if (x > 1) ${failCode(Verdict.boolean, column)}
${v}[${row}] = x`
    case 'int':
      return `${intCode(column)}\n${storeIntCode(target)}`
    case 'long':
      return `${longCode(column)}\n${v}[${row} * 2] = x; ${v}[${row} * 2 + 1] = h`
    case 'float':
      return `${roomFor(4, column)}\n${v}[${row}] = view.getFloat32(p, true); p += 4`
    case 'double':
      return `${roomFor(8, column)}\n${v}[${row}] = view.getFloat64(p, true); p += 8`
    case 'string':
      return `${lengthCode(column)}\n${copyCode(target, true)}`
    case 'bytes':
      return `${lengthCode(column)}\n${copyCode(target, false)}`
    case 'fixed':
      return `${fixedCode(avro.size, column)}\n${copyCode(target, false)}`
    case 'null':
      return absentCode(f, row, type)
  }
}

function logicalCode(target: Target, avro: AvroPrimitive | AvroFixed, type: PrimitiveType): string {
  const { f, row, column } = target
  const v = `v${f}`
  const range = failCode(Verdict.range, column)
  const [low, high] = [`${v}[${row} * 2]`, `${v}[${row} * 2 + 1]`]
  switch (avro.logical?.kind) {
    case 'date':
      return `${intCode(column)}\n${v}[${row}] = x`
    case 'time-millis':
      return `${intCode(column)}\nif (x < 0 || x >= 86400000) ${range}
${low} = x * 1000; ${high} = Math.floor(x * 1000 / 4294967296)`
    case 'time-micros':
      return `${longCode(column)}
if (h < 0 || h * 4294967296 + (x >>> 0) >= 86400000000) ${range}
${low} = x; ${high} = h`
    case 'timestamp-millis':
    case 'local-timestamp-millis':
      return `${longCode(column)}
s = (x >>> 0) * 1000; h = h * 1000 + Math.floor(s / 4294967296)
if (h !== (h | 0)) ${range}
${low} = s; ${high} = h`
    case 'timestamp-micros':
    case 'local-timestamp-micros':
      return `${longCode(column)}\n${low} = x; ${high} = h`
    case 'uuid':
      return avro.kind === 'fixed' ? fixedUuidCode(target) : textUuidCode(target)
    default:
      return decimalCode(target, avro, type)
  }
}

function decimalCode(target: Target, avro: AvroPrimitive | AvroFixed, type: PrimitiveType): string {
  const { f, row, column } = target
  const length = avro.kind === 'fixed' ? fixedCode(avro.size, column) : lengthCode(column)
  const range = failCode(Verdict.range, column)
  const logical = avro.logical
  if (logical?.kind !== 'decimal') return ''
  if (type.kind !== 'decimal') {
    return `${length}
if (x === 0) ${range}
{ const text = decimalBytes(bytes, p, x, ${logical.scale}); ${roomCode(f, 'text.length')}
y${f}.set(text, n${f}); n${f} += text.length; o${f}[${row} + 1] = n${f}; p += x }`
  }
  const count = storageOf(type) === 'words2' ? 2 : 4
  const place = `v${f}, ${row} * ${count}, ${count}, bytes, p, x, ${logical.precision}`
  return `${length}\nif (!putDecimal(${place})) ${range}\np += x`
}

function textUuidCode({ f, row, column }: Target): string {
  return `${lengthCode(column)}
if (x !== 36 || !putUuid(v${f}, ${row} * 16, bytes, p)) ${failCode(Verdict.range, column)}
p += 36`
}

function fixedUuidCode({ f, row, column }: Target): string {
  return `${roomFor(16, column)}
for (x = 0; x < 16; x++) v${f}[${row} * 16 + x] = bytes[p + x]
p += 16`
}

/** Refuses a value of a fixed size that does not lie before the end. */
function roomFor(size: number, column: number): string {
  return `if (p > end - ${size}) ${failCode(Verdict.truncated, column)}`
}

function fixedCode(size: number, column: number): string {
  return `${roomFor(size, column)}\nx = ${size}`
}

/** Reads a length into `x`: not negative, and not beyond the end. */
function lengthCode(column: number): string {
  return `${varintCode(column)}
s = x & 1; x >>= 1
if (x > end - p || s !== 0) ${failCode(Verdict.length, column)}`
}

/** Reads a zigzag number of 32 bits into `x`. */
function intCode(column: number): string {
  const next = (shift: number): string => `b = bytes[p++]; x |= (b & 127) << ${shift}`
  return `b = bytes[p++]; x = b & 127
if (b > 127) { ${next(7)}; if (b > 127) { ${next(14)}; if (b > 127) { ${next(21)}
if (b > 127) { b = bytes[p++]; if (b > 15) ${failCode(Verdict.varint, column)}
x |= b << 28 } } } }
x = (x >>> 1) ^ -(x & 1)`
}

function storeIntCode({ f, row, type }: Target): string {
  if (type.kind !== 'long') return `v${f}[${row}] = x`
  return `v${f}[${row} * 2] = x; v${f}[${row} * 2 + 1] = x >> 31`
}

/** Reads a zigzag number of 64 bits into `x` (lower half) and `h`. */
function longCode(column: number): string {
  const low = (shift: number): string => `b = bytes[p++]; x |= (b & 127) << ${shift}`
  const high = (shift: number): string => `b = bytes[p++]; h |= (b & 127) << ${shift}`
  return `b = bytes[p++]; x = b & 127; h = 0
if (b > 127) { ${low(7)}; if (b > 127) { ${low(14)}; if (b > 127) { ${low(21)}
if (b > 127) { b = bytes[p++]; x |= b << 28; h = (b & 127) >> 4
if (b > 127) { ${high(3)}; if (b > 127) { ${high(10)}; if (b > 127) { ${high(17)}
if (b > 127) { ${high(24)}
if (b > 127) { b = bytes[p++]; if (b > 1) ${failCode(Verdict.varint, column)}
h |= b << 31 } } } } } } } } }
s = -(x & 1); x = ((x >>> 1) | (h << 31)) ^ s; h = (h >>> 1) ^ s`
}

/** Up to three bytes too many are written; see `copyCode`. */
function symbolCode({ f, row, column }: Target, index: number): string {
  return `${varintCode(column)}
if ((x & 1) !== 0 || x >= lengths${index}.length * 2) ${failCode(Verdict.symbol, column)}
x >>= 1; e = starts${index}[x + 1]
${roomCode(f, `lengths${index}[x] + 4`)}
for (let i = starts${index}[x], to = n${f}; i < e; i++, to += 4) {
w${f}.setInt32(to, words${index}[i], true) }
n${f} += lengths${index}[x]; o${f}[${row} + 1] = n${f}`
}

/** Makes room for `count` more bytes. */
function roomCode(f: string, count: string): string {
  return `if (n${f} + ${count} > y${f}.length) {
b${f}.bytesLength = n${f}; b${f}.reserveBytes(${count})
y${f} = b${f}.bytes; w${f} = viewOf(y${f}) }`
}

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

/**
 * Copies `x` bytes from `p`, four at a time, and finds out on the way whether all are ASCII. Up to
 * three bytes too many are moved: there is room for them, and the next value overwrites them.
 */
function copyCode({ f, row, column }: Target, text: boolean): string {
  const word = `view.getInt32(p + i, true)`
  const move = text
    ? `t = ${word}; w${f}.setInt32(n${f} + i, t, true); m |= t`
    : `w${f}.setInt32(n${f} + i, ${word}, true)`
  // The last word may have bytes of what follows: shifted out, but only where there is a word.
  const ascii = 'm = (m & -2139062144) | (x === 0 ? 0 : (t << ((i - x) * 8)) & -2139062144)'
  const loop = text
    ? `let i = 0; m = 0
for (; i + 4 < x; i += 4) { ${move} }
t = ${word}; w${f}.setInt32(n${f} + i, t, true); i += 4
${ascii}`
    : `for (let i = 0; i < x; i += 4) ${move}`
  const check = text
    ? `\nif (m !== 0 && !isWellFormed(bytes, p, e)) ${failCode(Verdict.utf8, column)}`
    : ''
  return `{ e = p + x${text ? '; let m = 1, t = 0' : ''}
${roomCode(f, 'x + 4')}
if (x <= ${WORD_COPY_BYTES_MAX} && e <= tail) { ${loop}
} else y${f}.set(bytes.subarray(p, e), n${f})${check}
n${f} += x; o${f}[${row} + 1] = n${f}; p = e }`
}

function jsonCode({ f, row, column, avro }: Target, constants: Constants): string {
  const index = constants.nodes.push(jsonNodeOf(avro)) - 1
  return `b${f}.bytesLength = n${f}
e = appendJson(b${f}, bytes, view, p, end, nodes[${index}])
n${f} = b${f}.bytesLength
if (y${f} !== b${f}.bytes) { y${f} = b${f}.bytes; w${f} = viewOf(y${f}) }
if (e < 0) { status = jsonFailure.verdict; column = ${column}; p = jsonFailure.at; break fields }
p = e; o${f}[${row} + 1] = n${f}
if (jsonFailure.isNull) b${f}.markNull(${row})`
}

/**
 * Blocks of elements, each with their number in front. Of an element there is at least one byte, so
 * a number of more elements than bytes is none.
 */
function listCode(target: Target, items: AvroType, constants: Constants): string {
  const { f, row, column, type } = target
  if (type.kind !== 'list') return ''
  const unwrapped = unwrap(items)
  const k = `${f}k`
  const element = { f: k, row: `c${f}`, column, type: type.element, avro: unwrapped.type }
  const value = valueCode(element, constants)
  const absent = absentCode(k, element.row, type.element)
  return `{ let c${f} = b${f}.childLength
for (;;) { if (p >= end) ${failCode(Verdict.truncated, column)}
${varintCode(column)}
if (x === 0) break
let m = (x >> 1) + (x & 1)
if (m > end - p) ${failCode(Verdict.length, column)}
if ((x & 1) !== 0) { ${varintCode(column)} }
b${f}.child.reserveRows(c${f} + m)
${openCode(k, column, type.element).replace(`columns[${column}]`, `b${f}.child`)}
for (m += c${f}; c${f} < m; c${f}++) { ${unionCode(unwrapped, column, value, absent)} }
${closeCode(k, column, type.element)} }
b${f}.childLength = c${f}; o${f}[${row} + 1] = c${f} }`
}
