// The grammar of JSON over bytes, without building anything: where a value ends, and whether it is
// one. Strings are checked as UTF-8, numbers as RFC 8259 has them, nesting is bounded.
// Places may lie behind the end of a record, whose bytes others follow: whoever uses a place
// compares it with the end.

import { FAULT, failAt } from './fault.ts'

export const QUOTE = 0x22
export const BACKSLASH = 0x5c
export const COMMA = 0x2c
export const COLON = 0x3a
export const OPEN_OBJECT = 0x7b
export const CLOSE_OBJECT = 0x7d
export const OPEN_ARRAY = 0x5b
export const CLOSE_ARRAY = 0x5d
export const MINUS = 0x2d
export const PLUS = 0x2b
export const POINT = 0x2e
export const ZERO = 0x30
export const NINE = 0x39
const LETTER_T = 0x74
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_U = 0x75

/** A document that nests deeper is refused: a recursion ends where the stack does. */
export const DEPTH_MAX = 100

/** Of a byte inside a string: 0 stands for itself · 1 control · 2 quote · 3 backslash · 4 UTF-8. */
export const STRING_CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === QUOTE) return 2
  if (byte === BACKSLASH) return 3
  return byte < 0x20 ? 1 : byte >= 0x80 ? 4 : 0
})

const SPACE = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d ? 1 : 0,
)

const HEX_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[\da-fA-F]/.test(String.fromCharCode(byte)) ? 1 : 0,
)

/** Bytes behind a backslash, besides u. */
const ESCAPE = Uint8Array.from({ length: 256 }, (_, byte) =>
  String.raw`"\/bfnrt`.includes(String.fromCharCode(byte)) ? 1 : 0,
)

/** What the last values held; set to false before, looked at behind them. */
export const seen = {
  /** White space between tokens. */
  space: false,
}

export function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start
  while (SPACE[bytes[at]!] === 1) at++
  return at
}

/**
 * @param start  behind the opening quote
 * @returns where the closing quote stands; the complement of that place when there are escapes
 */
export function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  let escaped = false
  for (;;) {
    while (STRING_CLASS[bytes[at]!] === 0) at++
    if (at >= end) return failAt(end, 'a string has no end')
    switch (STRING_CLASS[bytes[at]!]) {
      case 2:
        return escaped ? ~at : at
      case 3:
        escaped = true
        at = escapeEnd(bytes, at, end)
        break
      case 4:
        at = sequenceEnd(bytes, at, end)
        break
      default:
        return failAt(at, 'a string holds a control character that is not escaped')
    }
    if (at === FAULT) return FAULT
  }
}

function escapeEnd(bytes: Uint8Array, at: number, end: number): number {
  const letter = bytes[at + 1]!
  if (ESCAPE[letter] === 1) return at + 2
  if (letter !== LETTER_U || at + 6 > end) return failAt(at, 'a string holds an unknown escape')
  for (let digit = at + 2; digit < at + 6; digit++) {
    if (HEX_DIGIT[bytes[digit]!] !== 1) return failAt(at, 'a string holds an unknown escape')
  }
  return at + 6
}

/** Overlong forms, surrogates and what is beyond U+10FFFF are no UTF-8. Source: RFC 3629, 4. */
function sequenceEnd(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!
  const second = bytes[at + 1]!
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (lead < 0xc2 || lead > 0xf4 || at + length > end || !follows(second)) return notUtf8(at)
  if (length === 2) return at + 2
  const narrow =
    (lead === 0xe0 && second < 0xa0) ||
    (lead === 0xed && second > 0x9f) ||
    (lead === 0xf0 && second < 0x90) ||
    (lead === 0xf4 && second > 0x8f)
  if (narrow || !follows(bytes[at + 2]!)) return notUtf8(at)
  if (length === 3) return at + 3
  return follows(bytes[at + 3]!) ? at + 4 : notUtf8(at)
}

function follows(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

function notUtf8(at: number): number {
  return failAt(at, 'a string is not UTF-8')
}

/** @returns the place behind the number that begins at `start` */
export function numberEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  if (bytes[at] === MINUS) at++
  if (bytes[at] === ZERO) at++
  else at = digitsEnd(bytes, at)
  if (at !== FAULT && bytes[at] === POINT) at = digitsEnd(bytes, at + 1)
  if (at !== FAULT && (bytes[at]! | 0x20) === 0x65) {
    const sign = bytes[at + 1]
    at = digitsEnd(bytes, sign === PLUS || sign === MINUS ? at + 2 : at + 1)
  }
  if (at === FAULT || at > end) return failAt(start, 'this is no number')
  return at
}

/** One digit or more. */
function digitsEnd(bytes: Uint8Array, start: number): number {
  let at = start
  while (bytes[at]! >= ZERO && bytes[at]! <= NINE) at++
  return at === start ? FAULT : at
}

/**
 * @param start  of a value, white space skipped
 * @param depth  of what it stands in; the outermost value stands in 0
 * @returns the place behind the value; `seen.space` is true when white space is within
 */
export function valueEnd(bytes: Uint8Array, start: number, end: number, depth: number): number {
  const first = bytes[start]!
  if (start >= end) return failAt(end, 'a value is missing')
  switch (first) {
    case QUOTE: {
      const close = stringEnd(bytes, start + 1, end)
      return close === FAULT ? FAULT : (close < 0 ? ~close : close) + 1
    }
    case OPEN_OBJECT:
      return objectEnd(bytes, start, end, depth + 1)
    case OPEN_ARRAY:
      return arrayEnd(bytes, start, end, depth + 1)
    case LETTER_T:
      return literalEnd(bytes, start, end, 0x7472_7565, 4)
    case LETTER_N:
      return literalEnd(bytes, start, end, 0x6e75_6c6c, 4)
    case LETTER_F:
      // false: its last four letters behind the first.
      return literalEnd(bytes, start + 1, end, 0x616c_7365, 4)
    default:
      if (first === MINUS || (first >= ZERO && first <= NINE)) return numberEnd(bytes, start, end)
      return failAt(start, 'this begins no value')
  }
}

function literalEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  letters: number,
  length: number,
): number {
  const word =
    (bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!
  if (word !== letters || start + length > end) return failAt(start, 'this begins no value')
  return start + length
}

function objectEnd(bytes: Uint8Array, start: number, end: number, depth: number): number {
  if (depth > DEPTH_MAX) return tooDeep(start)
  let at = pastSpace(bytes, start + 1)
  if (bytes[at] === CLOSE_OBJECT) return at + 1
  for (;;) {
    if (at >= end || bytes[at] !== QUOTE) return failAt(Math.min(at, end), 'a name is missing')
    const close = stringEnd(bytes, at + 1, end)
    if (close === FAULT) return FAULT
    at = pastSpace(bytes, (close < 0 ? ~close : close) + 1)
    if (bytes[at] !== COLON) return failAt(Math.min(at, end), 'a colon is missing')
    at = valueEnd(bytes, pastSpace(bytes, at + 1), end, depth)
    if (at === FAULT) return FAULT
    at = pastSpace(bytes, at)
    if (bytes[at] === CLOSE_OBJECT) return at + 1
    if (bytes[at] !== COMMA) return failAt(Math.min(at, end), 'an object has no end')
    at = pastSpace(bytes, at + 1)
  }
}

function arrayEnd(bytes: Uint8Array, start: number, end: number, depth: number): number {
  if (depth > DEPTH_MAX) return tooDeep(start)
  let at = pastSpace(bytes, start + 1)
  if (bytes[at] === CLOSE_ARRAY) return at + 1
  for (;;) {
    at = valueEnd(bytes, at, end, depth)
    if (at === FAULT) return FAULT
    at = pastSpace(bytes, at)
    if (bytes[at] === CLOSE_ARRAY) return at + 1
    if (bytes[at] !== COMMA) return failAt(Math.min(at, end), 'an array has no end')
    at = pastSpace(bytes, at + 1)
  }
}

export function tooDeep(at: number): typeof FAULT {
  return failAt(at, `it nests deeper than ${DEPTH_MAX} levels`)
}

function pastSpace(bytes: Uint8Array, start: number): number {
  if (SPACE[bytes[start]!] !== 1) return start
  seen.space = true
  return skipSpace(bytes, start)
}
