// Code templates: how a value of one kind is read from the wire and written into its column. The
// code runs inside the loops of message-code.ts, where `bytes` is the log, `view` a DataView of it
// and `p` the place; `x` is scratch. What is one byte long is read in line, the rest by wire.ts.
//
// Names by column i: `b` builder of the values (of a list: its child), `v` values (of 64 and 128
// bits: 32-bit words), `o` offsets, `y` bytes, `w` a DataView of them. Of a list also: `l` builder,
// `q` offsets, `c` elements so far, `m` elements that fit. Nothing counts the bytes of a column:
// a value begins where the row before ended, so one that comes again overwrites, and the last wins.

import { layoutOf, type ColumnType, type PrimitiveType } from '../../../../runtime/data/type.ts'
import type { FieldShape, ScalarKind } from '../shape.ts'
import { Wire } from './wire.ts'

/** A column as generated code knows it. */
export interface Slot {
  /** Index in the structure. */
  readonly column: number
  /** Of the column; wider than the field's own where an older or newer schema has it so. */
  readonly type: ColumnType
}

/** Where one value goes. */
interface Target {
  readonly column: number
  readonly type: PrimitiveType
  /** Source text of its index: a row, or the place of an element. */
  readonly index: string
}

/**
 * careful: says what is wrong and where · fast: leaves that to it, and text unchecked but for its
 * first byte. The bytes of a column are checked all at once, when the rows are made; since no text
 * begins within a character, the whole is UTF-8 only if each text is.
 */
export type Mode = 'careful' | 'fast'

type Storage = 'values' | 'words2' | 'words4' | 'bytes'

function storageOf(type: PrimitiveType): Storage {
  switch (layoutOf(type)) {
    case 'bytes':
      return 'bytes'
    case 'int64':
      return 'words2'
    case 'int128':
      return 'words4'
    default:
      return 'values'
  }
}

function arrays(column: number, type: PrimitiveType): string {
  const builder = `b${column}`
  switch (storageOf(type)) {
    case 'bytes':
      return `o${column} = ${builder}.offsets; y${column} = ${builder}.bytes; ${viewCode(column)}`
    case 'words2':
    case 'words4':
      return `v${column} = ${builder}.pairs`
    default:
      return `v${column} = ${builder}.values`
  }
}

function viewCode(column: number): string {
  const [w, y] = [`w${column}`, `y${column}`]
  return `${w} = views[${column}]
if (${w} === undefined || ${w}.buffer !== ${y}.buffer) ${w} = views[${column}] = viewOf(${y})`
}

/** Declares what the code of a column needs, once a call: rows have been reserved. */
export function openCode({ column: i, type }: Slot): string {
  const names = (one: PrimitiveType): string =>
    storageOf(one) === 'bytes' ? `let o${i}, y${i}, w${i}` : `let v${i}`
  if (type.kind !== 'list') return `const b${i} = columns[${i}]; ${names(type)}; ${arrays(i, type)}`
  const { element } = type
  return `const l${i} = columns[${i}], b${i} = l${i}.child, q${i} = l${i}.offsets
let c${i} = q${i}[row], m${i} = b${i}.capacity; ${names(element)}; ${arrays(i, element)}`
}

/** Tells the builder how much it holds: what a row that failed has put in is not counted. */
export function closeCode({ column: i, type }: Slot): string {
  if (type.kind !== 'list')
    return storageOf(type) === 'bytes' ? `b${i}.bytesLength = o${i}[row]` : ''
  const bytes = storageOf(type.element) === 'bytes' ? `; b${i}.bytesLength = o${i}[q${i}[row]]` : ''
  return `l${i}.childLength = q${i}[row]${bytes}`
}

/** Takes back the elements that the row has so far. */
export function emptyCode({ column: i, type }: Slot): string {
  return type.kind === 'list' ? `c${i} = q${i}[row]` : ''
}

export function nullCode(slot: Slot): string {
  return `${defaultCode(slot)}; ${slot.type.kind === 'list' ? 'l' : 'b'}${slot.column}.markNull(row)`
}

/** Zero, the empty text, the elements so far. */
export function defaultCode({ column: i, type }: Slot): string {
  if (type.kind === 'list') return `q${i}[row + 1] = c${i}`
  switch (storageOf(type)) {
    case 'bytes':
      return `o${i}[row + 1] = o${i}[row]`
    default:
      return storeCode({ column: i, type, index: 'row' }, '0', '0')
  }
}

/** Whether a value that was just read into its row is, bit for bit, what `defaultCode` writes. */
export function isDefaultCode(kind: ScalarKind | 'enum', { column: i, type }: Slot): string {
  // A number is still in `x`; its name may be that of another number, too.
  if (kind === 'enum') return 'x === 0'
  if (type.kind === 'list') return 'false'
  switch (storageOf(type)) {
    case 'bytes':
      return `o${i}[row + 1] === o${i}[row]`
    case 'words2':
      return `(v${i}[row * 2] | v${i}[row * 2 + 1]) === 0`
    case 'words4':
      return `(v${i}[row * 4] | v${i}[row * 4 + 1]) === 0`
    default:
      return `Object.is(v${i}[row], 0)`
  }
}

/** An enum's default is the name that it has for 0. */
export function fieldDefaultCode({ kind, repeated }: FieldShape, slot: Slot): string {
  const { column: i } = slot
  if (kind !== 'enum' || repeated) return defaultCode(slot)
  return `${labelRoomCode(slot, 'labels')}
o${i}[row + 1] = putLabel(w${i}, n, labels[${i}], 0)`
}

/** Writes the two halves of a number, as much of them as the column has place for. */
function storeCode({ column: i, type, index }: Target, low: string, high: string): string {
  switch (storageOf(type)) {
    case 'words2':
      return `v${i}[${index} * 2] = ${low}; v${i}[${index} * 2 + 1] = ${high}`
    case 'words4': {
      const at = `v${i}[${index} * 4`
      return `${at}] = ${low}; ${at} + 1] = ${high}; ${at} + 2] = 0; ${at} + 3] = 0`
    }
    default:
      return `v${i}[${index}] = ${low}`
  }
}

/** Halves of a varint that is one byte, in `x`, and of a longer one, in `pair`. */
interface Halves {
  readonly short: readonly [string, string]
  readonly long: readonly [string, string]
}

const SIGN = '-(pair[0] & 1)'
const SHORT_ZIGZAG = ['(x >> 1) ^ -(x & 1)', '-(x & 1)'] as const

const VARINTS: Readonly<Partial<Record<ScalarKind, Halves>>> = {
  int32: { short: ['x', '0'], long: ['pair[0]', 'pair[0] >> 31'] },
  uint32: { short: ['x', '0'], long: ['pair[0]', '0'] },
  sint32: { short: SHORT_ZIGZAG, long: [`(pair[0] >>> 1) ^ ${SIGN}`, SIGN] },
  int64: { short: ['x', '0'], long: ['pair[0]', 'pair[1]'] },
  uint64: { short: ['x', '0'], long: ['pair[0]', 'pair[1]'] },
  sint64: {
    short: SHORT_ZIGZAG,
    long: [`((pair[0] >>> 1) | (pair[1] << 31)) ^ ${SIGN}`, `(pair[1] >>> 1) ^ ${SIGN}`],
  },
  bool: { short: ['x === 0 ? 0 : 1', '0'], long: ['pair[0]', '0'] },
}

/** Bytes behind what is read or written that may be touched. */
export const SLACK = 16

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

/**
 * Copies `x` bytes from `p` on to `n` of a column's bytes, four at a time. Lengths differ from row to
 * row, so a loop guesses its end wrong: short values are moved with what follows them, and the
 * next value overwrites it.
 */
function copyCode(i: number): string {
  const moves = [0, 4, 8, 12].map((at) => {
    return `w${i}.setInt32(n + ${at}, view.getInt32(p + ${at}, true), true)`
  })
  return `if (x <= ${SLACK} && p + x <= tail) { ${moves.join('; ')} }
else if (x <= ${WORD_COPY_BYTES_MAX} && p + x <= tail) {
for (z = 0; z < x; z += 4) w${i}.setInt32(n + z, view.getInt32(p + z, true), true)
} else y${i}.set(bytes.subarray(p, p + x), n)`
}

function roomCode(i: number, count: string): string {
  return `if (n + ${count} > y${i}.length) {
b${i}.bytesLength = n; b${i}.reserveBytes(${count}); y${i} = b${i}.bytes; ${viewCode(i)} }`
}

/** Makes room for any label behind the row before, which ends at `n`. */
export function labelRoomCode({ column: i }: Slot, labels: 'labels' | 'names'): string {
  return `n = o${i}[row]
${roomCode(i, `${labels}[${i}].longest`)}`
}

/**
 * Where a value begins: at `p`, or behind a tag of `tagBytes` bytes at `p`, which `w` holds the first
 * four bytes from: most tags, with the number behind them, are read with that one load.
 */
export interface Begin {
  readonly mode: Mode
  readonly tagBytes: number
}

/** At `p`. */
export function plain(mode: Mode): Begin {
  return { mode, tagBytes: 0 }
}

/**
 * Reads a varint of few bytes into `x`.
 *
 * @param long  what is done where it has more, or does not lie in `w`; `p` is where it begins
 */
function shortCode({ tagBytes: size }: Begin, long: string): string {
  if (size === 1) {
    return `if ((w & 32768) === 0) { x = (w >> 8) & 127; p += 2 }
else if ((w & 8388608) === 0) { x = ((w >> 8) & 127) | ((w >> 9) & 16256); p += 3 }
else if (w >= 0) { x = ((w >> 8) & 127) | ((w >> 9) & 16256) | ((w >> 10) & 2080768); p += 4 }
else { p++; ${long} }`
  }
  if (size === 2) {
    return `if ((w & 8388608) === 0) { x = (w >> 16) & 127; p += 3 }
else if (w >= 0) { x = ((w >> 16) & 127) | ((w >> 17) & 16256); p += 4 }
else { p += 2; ${long} }`
  }
  return `${size === 0 ? '' : `p += ${size}\n`}if ((x = bytes[p]) < 128) p++; else { ${long} }`
}

/** Reads a length into `x`; what is that long lies before `end`. */
export function lengthCode(begin: Begin, end: string): string {
  return `${shortCode(begin, `p = length(bytes, p, ${end}); x = pair[0]`)}
if (x > ${end} - p) fail(Fault.length, p)`
}

/** Passes over a value of a field that nobody wants; not over a group. */
export function skipCode(begin: Begin, wire: number, end: string): string {
  switch (wire) {
    case Wire.varint:
      return shortCode(begin, `p = varint(bytes, p, ${end})`)
    case Wire.bytes:
      return `${lengthCode(begin, end)}\np += x`
    default: {
      const bytes = wire === Wire.fixed32 ? 4 : 8
      return `p += ${begin.tagBytes + bytes}; if (p > ${end}) fail(Fault.truncated, ${end})`
    }
  }
}

function varintCode(begin: Begin, kind: ScalarKind, target: Target, end: string): string {
  const { short, long } = VARINTS[kind] ?? { short: ['x', '0'], long: ['pair[0]', '0'] }
  const words = begin.mode === 'fast' ? 'varintWords(bytes, view' : 'varint(bytes'
  const read = `p = ${kind === 'bool' ? 'boolean(bytes' : words}, p, ${end})`
  return `${shortCode(begin, `${read}; x = -1`)}
if (x >= 0) { ${storeCode(target, ...short)} } else { ${storeCode(target, ...long)} }`
}

function bytesCode(
  begin: Begin,
  isText: boolean,
  { column: i, index }: Target,
  end: string,
): string {
  const first = `if (x > 0 && (bytes[p] & 192) === 128) fail(Fault.utf8, p)`
  const check = begin.mode === 'fast' ? first : `checkText(bytes, p, p + x)`
  return `${lengthCode(begin, end)}
${isText ? check : ''}
n = o${i}[${index}]
${roomCode(i, `x + ${SLACK}`)}
${copyCode(i)}
p += x; o${i}[${index} + 1] = n + x`
}

/** Code that reads one value. @param end  of what it must lie in */
// tidy: table: a template a kind.
export function valueCode(
  begin: Begin,
  kind: ScalarKind | 'enum',
  target: Target,
  end: string,
): string {
  const { column: i, index } = target
  const need = (bytes: number): string => {
    const tag = begin.tagBytes === 0 ? '' : `p += ${begin.tagBytes}; `
    return `${tag}if (p + ${bytes} > ${end}) fail(Fault.truncated, p)`
  }
  const word = (at: string): string => `view.getInt32(${at}, true)`
  switch (kind) {
    case 'double':
      return `${need(8)}; v${i}[${index}] = view.getFloat64(p, true); p += 8`
    case 'float':
      return `${need(4)}; v${i}[${index}] = view.getFloat32(p, true); p += 4`
    case 'fixed32':
    case 'sfixed32': {
      const high = kind === 'fixed32' ? '0' : 'x >> 31'
      return `${need(4)}; x = ${word('p')}; ${storeCode(target, 'x', high)}; p += 4`
    }
    case 'fixed64':
    case 'sfixed64':
      return `${need(8)}; ${storeCode(target, word('p'), word('p + 4'))}; p += 8`
    case 'string':
    case 'bytes':
      return bytesCode(begin, kind === 'string', target, end)
    case 'enum':
      return `${shortCode(begin, `p = varint(bytes, p, ${end}); x = pair[0]`)}
n = o${i}[${index}]
${roomCode(i, `labels[${i}].longest`)}
o${i}[${index} + 1] = putLabel(w${i}, n, labels[${i}], x)`
    default:
      return varintCode(begin, kind, target, end)
  }
}

/** Code that reads one value behind the elements of a list. */
export function elementCode(
  begin: Begin,
  kind: ScalarKind | 'enum',
  slot: Slot,
  end: string,
): string {
  const { column: i, type } = slot
  if (type.kind !== 'list') return ''
  const target = { column: i, type: type.element, index: `c${i}` }
  return `if (c${i} === m${i}) {
b${i}.reserveRows(c${i} + 1); m${i} = b${i}.capacity; ${arrays(i, type.element)} }
${valueCode(begin, kind, target, end)}
c${i}++`
}
