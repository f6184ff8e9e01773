// JSON as text, without building anything: is it valid (RFC 8259), and where in it is a member or
// an element. Numbers keep their digits, since nothing reads them. The members of an object are
// looked at from first to last, and the last one of a name counts, as for PostgreSQL and
// JSON.parse.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30

/** Deeper documents are taken for invalid: each level is a call. */
export const JSON_DEPTH_MAX = 512

/** The range of the value that was found last. */
export const found = { start: 0, end: 0 }

export function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end) {
    const byte = bytes[at]!
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
    at++
  }
  return at
}

/** @returns true when [start, end) is one JSON value, with white space around it */
export function isJson(bytes: Uint8Array, start: number, end: number): boolean {
  const first = skipSpace(bytes, start, end)
  const behind = skipValue(bytes, first, end, 0)
  return behind >= 0 && skipSpace(bytes, behind, end) === end
}

/** @returns the place behind the value at `start`; -1 when there is none */
export function skipValue(bytes: Uint8Array, start: number, end: number, depth: number): number {
  if (start >= end || depth > JSON_DEPTH_MAX) return -1
  switch (bytes[start]) {
    case QUOTE:
      return skipString(bytes, start, end)
    case OPEN_OBJECT:
      return skipObject(bytes, start, end, depth)
    case OPEN_ARRAY:
      return skipArray(bytes, start, end, depth)
    case 0x74:
      return skipWord(bytes, start, end, 'true')
    case 0x66:
      return skipWord(bytes, start, end, 'false')
    case 0x6e:
      return skipWord(bytes, start, end, 'null')
    default:
      return skipNumber(bytes, start, end)
  }
}

function skipWord(bytes: Uint8Array, start: number, end: number, word: string): number {
  if (start + word.length > end) return -1
  for (let at = 0; at < word.length; at++) {
    if (bytes[start + at] !== word.charCodeAt(at)) return -1
  }
  return start + word.length
}

export function skipString(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at]!
    if (byte === QUOTE) return at + 1
    if (byte < 0x20) return -1
    if (byte === BACKSLASH) {
      at++
      const escape = at < end ? bytes[at]! : 0
      if (escape === 0x75) {
        for (let digit = 0; digit < 4; digit++) if (!isHex(bytes[++at] ?? 0)) return -1
        if (at >= end) return -1
      } else if (!ESCAPES.includes(String.fromCharCode(escape))) return -1
    }
  }
  return -1
}

const ESCAPES = '"\\/bfnrt'

function isHex(byte: number): boolean {
  const lower = byte | 0x20
  return (byte >= ZERO && byte <= ZERO + 9) || (lower >= 0x61 && lower <= 0x66)
}

function digitsFrom(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++
  return at
}

function skipNumber(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start] === MINUS ? start + 1 : start
  let at = digitsFrom(bytes, first, end)
  if (at === first || (bytes[first] === ZERO && at > first + 1)) return -1
  if (at < end && bytes[at] === POINT) {
    const fraction = at + 1
    at = digitsFrom(bytes, fraction, end)
    if (at === fraction) return -1
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    const sign = bytes[at + 1] === MINUS || bytes[at + 1] === PLUS ? 1 : 0
    const exponent = at + 1 + sign
    at = digitsFrom(bytes, exponent, end)
    if (at === exponent) return -1
  }
  return at
}

/**
 * Goes through an object whose `{` is at `start`.
 *
 * @param name  decoded; `null`: only skip. Where a member has it, `found` is its value
 * @returns the place behind it, -1 when it is not valid
 */
function skipObject(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
  name: string | null = null,
): number {
  let at = skipSpace(bytes, start + 1, end)
  if (bytes[at] === CLOSE_OBJECT && at < end) return at + 1
  for (;;) {
    if (bytes[at] !== QUOTE) return -1
    const keyEnd = skipString(bytes, at, end)
    if (keyEnd < 0) return -1
    const wanted = name !== null && keyIs(bytes, at, keyEnd, name)
    at = skipSpace(bytes, keyEnd, end)
    if (bytes[at] !== COLON || at >= end) return -1
    const valueStart = skipSpace(bytes, at + 1, end)
    at = skipValue(bytes, valueStart, end, depth + 1)
    if (at < 0) return -1
    if (wanted) {
      found.start = valueStart
      found.end = at
    }
    at = skipSpace(bytes, at, end)
    if (at >= end) return -1
    if (bytes[at] === CLOSE_OBJECT) return at + 1
    if (bytes[at] !== COMMA) return -1
    at = skipSpace(bytes, at + 1, end)
  }
}

/** As `skipObject`; `index`: where `found` is put, -1 for nowhere. `count` counts elements. */
function skipArray(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
  index = -1,
): number {
  let at = skipSpace(bytes, start + 1, end)
  elements = 0
  if (bytes[at] === CLOSE_ARRAY && at < end) return at + 1
  for (let count = 0; ; count++) {
    const valueStart = at
    at = skipValue(bytes, valueStart, end, depth + 1)
    if (at < 0) return -1
    if (count === index) {
      found.start = valueStart
      found.end = at
    }
    at = skipSpace(bytes, at, end)
    if (at >= end) return -1
    if (bytes[at] === CLOSE_ARRAY) {
      elements = count + 1
      return at + 1
    }
    if (bytes[at] !== COMMA) return -1
    at = skipSpace(bytes, at + 1, end)
  }
}

/** Of the array that was gone through last. */
let elements = 0

const decoder = new TextDecoder()

/** Keys without escapes compare by their bytes, all others are decoded. */
function keyIs(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  let at = start + 1
  for (let index = 0; index < name.length; index++, at++) {
    const code = name.charCodeAt(index)
    const byte = bytes[at]!
    if (code >= 0x80 || byte >= 0x80 || byte === BACKSLASH) {
      return jsonString(bytes, start, end) === name
    }
    if (at >= end - 1 || byte !== code) return false
  }
  return at === end - 1
}

/** @returns the text that a JSON string, with its quotes, stands for */
export function jsonString(bytes: Uint8Array, start: number, end: number): string {
  const text = decoder.decode(bytes.subarray(start, end))
  return text.includes('\\') ? String(JSON.parse(text)) : text.slice(1, -1)
}

/** @returns true when the document is an object with a member `name`, whose value is `found` */
export function findMember(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  const at = skipSpace(bytes, start, end)
  if (at >= end || bytes[at] !== OPEN_OBJECT) return false
  found.start = -1
  return skipObject(bytes, at, end, 0, name) >= 0 && found.start >= 0
}

/** @returns true when the document is an array with this element, from the end if negative */
export function findElement(bytes: Uint8Array, start: number, end: number, index: number): boolean {
  const at = skipSpace(bytes, start, end)
  if (at >= end || bytes[at] !== OPEN_ARRAY) return false
  found.start = -1
  if (skipArray(bytes, at, end, 0, index) < 0) return false
  if (index < 0 && elements + index >= 0) skipArray(bytes, at, end, 0, elements + index)
  return found.start >= 0
}
