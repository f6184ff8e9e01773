// Text of the server's charsets as UTF-8. A charset is converted exactly as the server converts it
// for a client, or its columns are refused: a replacement character would change a value silently.

import { SINGLE_BYTE_TABLES } from './charset-tables.ts'

/** How the bytes of a charset become UTF-8. `utf8`: they are UTF-8 already. */
export type CharsetKind = 'utf8' | 'single' | 'wide'

const UTF8 = new Set(['utf8mb4', 'utf8mb3', 'utf8'])

/** Bytes a unit, and whether the lower byte comes first. */
const WIDE: Readonly<Record<string, { readonly unit: 2 | 4; readonly little: boolean }>> = {
  ucs2: { unit: 2, little: false },
  utf16: { unit: 2, little: false },
  utf16le: { unit: 2, little: true },
  utf32: { unit: 4, little: false },
}

/** No character there: the conversion fails. */
const NONE = 0xfffd

const codePoints = new Map<string, Uint16Array>()
const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** @returns `null` for a charset whose columns must be refused; `binary` is none either */
export function charsetKind(charset: string): CharsetKind | null {
  if (UTF8.has(charset)) return 'utf8'
  if (charset in WIDE) return 'wide'
  return charset in SINGLE_BYTE_TABLES ? 'single' : null
}

export function isDecodableCharset(charset: string): boolean {
  return charsetKind(charset) !== null
}

/** Bytes of UTF-8 that one byte of the charset may become, at most. */
export function expansionOf(charset: string): number {
  const kind = charsetKind(charset)
  if (kind === 'single') return 3
  return kind === 'wide' && WIDE[charset]?.unit === 2 ? 2 : 1
}

/** @returns code points of the 256 bytes of a single-byte charset */
export function codePointsOf(charset: string): Uint16Array {
  let table = codePoints.get(charset)
  if (table === undefined) {
    const hex = SINGLE_BYTE_TABLES[charset] ?? ''
    const first = 256 - hex.length / 4
    table = Uint16Array.from({ length: 256 }, (_, byte) =>
      byte < first
        ? byte
        : Number.parseInt(hex.slice((byte - first) * 4, (byte - first) * 4 + 4), 16),
    )
    codePoints.set(charset, table)
  }
  return table
}

/**
 * Writes source[start, end) to target[at, ...) as UTF-8; `target` has room for three bytes a byte.
 *
 * @param table  of `codePointsOf`
 * @returns the end of what was written, -1 where the charset has no such character
 */
export function transcodeSingle(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
  table: Uint16Array,
): number {
  for (let index = start; index < end; index++) {
    const code = table[source[index]!]!
    if (code < 0x80) {
      target[at++] = code
    } else if (code < 0x800) {
      target[at++] = 0xc0 | (code >> 6)
      target[at++] = 0x80 | (code & 0x3f)
    } else if (code === NONE) {
      return -1
    } else {
      target[at++] = 0xe0 | (code >> 12)
      target[at++] = 0x80 | ((code >> 6) & 0x3f)
      target[at++] = 0x80 | (code & 0x3f)
    }
  }
  return at
}

/** The twin of `transcodeSingle` for ucs2, utf16, utf16le and utf32; room: two bytes a byte. */
export function transcodeWide(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
  charset: string,
): number {
  const { unit, little } = WIDE[charset]!
  if ((end - start) % unit !== 0) return -1
  for (let index = start; index < end; index += unit) {
    let code = readUnit(source, index, unit, little)
    if (code >= 0xd800 && code <= 0xdfff) {
      const next = index + 2
      const low = next < end ? readUnit(source, next, 2, little) : 0
      const pair = unit === 2 && code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff
      if (!pair || charset === 'ucs2') return -1
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      index = next
    }
    if (code > 0x10ffff) return -1
    at = writeUtf8(target, at, code)
  }
  return at
}

function readUnit(source: Uint8Array, at: number, unit: number, little: boolean): number {
  if (unit === 2) {
    return little ? source[at]! | (source[at + 1]! << 8) : (source[at]! << 8) | source[at + 1]!
  }
  // The first byte is 0 in every character there is, so this stays positive or exceeds the range.
  return (
    source[at]! * 0x1000000 + (source[at + 1]! << 16) + (source[at + 2]! << 8) + source[at + 3]!
  )
}

function writeUtf8(target: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    target[at++] = code
    return at
  }
  if (code < 0x800) {
    target[at++] = 0xc0 | (code >> 6)
  } else {
    if (code < 0x10000) {
      target[at++] = 0xe0 | (code >> 12)
    } else {
      target[at++] = 0xf0 | (code >> 18)
      target[at++] = 0x80 | ((code >> 12) & 0x3f)
    }
    target[at++] = 0x80 | ((code >> 6) & 0x3f)
  }
  target[at++] = 0x80 | (code & 0x3f)
  return at
}

/**
 * A short text, as labels and statements are. Not for the data path.
 *
 * @returns `null` when the charset cannot be converted, or the bytes are not text in it
 */
export function decodeText(
  charset: string,
  bytes: Uint8Array,
  start: number,
  end: number,
): string | null {
  const kind = charsetKind(charset)
  if (kind === null) return null
  if (kind === 'utf8') return utf8.decode(bytes.subarray(start, end))
  const target = new Uint8Array((end - start) * 3)
  const length =
    kind === 'single'
      ? transcodeSingle(target, 0, bytes, start, end, codePointsOf(charset))
      : transcodeWide(target, 0, bytes, start, end, charset)
  return length < 0 ? null : utf8.decode(target.subarray(0, length))
}
