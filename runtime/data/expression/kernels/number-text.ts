// Numbers as texts. Readers take white space at both ends, a sign, and for decimals and doubles an
// exponent; what has more digits than its type is rounded (scale) or refused (size).

import { doubleToDecimal } from './exact.ts'

const decoder = new TextDecoder('latin1')
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const WORDS: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Infinity,
  infinity: Infinity,
}

function textAt(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end)).replace(/^[ \t-\r]+|[ \t-\r]+$/g, '')
}

/** What a reader gives for a text that is no number of its type. */
export const NO_NUMBER = null

/** @returns a double, NaN and infinities included; `null`: it is none */
export function readDouble(bytes: Uint8Array, start: number, end: number): number | null {
  const text = textAt(bytes, start, end)
  if (NUMBER.test(text)) {
    const value = Number(text)
    // A number beyond all doubles is not infinity, which can be written.
    return Number.isFinite(value) ? value : NO_NUMBER
  }
  const [, sign, word = ''] = /^([+-]?)([a-z]+)$/i.exec(text) ?? []
  const value = WORDS[word.toLowerCase()]
  if (value === undefined) return NO_NUMBER
  return sign === '-' ? -value : value
}

const DIGITS_EXACT = 15

/** @returns an integer of up to 15 digits without a sign of trouble; NaN: look again, slowly */
function quickInteger(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d
  const first = negative ? start + 1 : start
  if (end - first > DIGITS_EXACT || end <= first) return Number.NaN
  let value = 0
  for (let at = first; at < end; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return negative ? -value : value
}

/** @returns the value times 10^scale, rounded; `null`: it is no number */
export function readExact(
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
): bigint | null {
  if (scale === 0) {
    const quick = quickInteger(bytes, start, end)
    if (!Number.isNaN(quick)) return BigInt(quick)
  }
  const text = textAt(bytes, start, end)
  if (!NUMBER.test(text)) return NO_NUMBER
  const plain = text
    .toLowerCase()
    .replace(/^\+/, '')
    .replace(/^(-?)\./, '$10.')
    .replace('.e', 'e')
  return doubleToDecimal(plain.replace(/\.$/, ''), scale)
}

/** As `readExact`; NaN: no number. Infinity: no number within 2^53. */
export function readNarrow(bytes: Uint8Array, start: number, end: number, scale: number): number {
  if (scale === 0) {
    const quick = quickInteger(bytes, start, end)
    if (!Number.isNaN(quick)) return quick
  }
  const value = readExact(bytes, start, end, scale)
  if (value === NO_NUMBER) return Number.NaN
  const narrow = Number(value)
  return Number.isSafeInteger(narrow) ? narrow : Infinity
}

const TRUE = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const FALSE = new Set(['false', 'f', 'no', 'n', 'off', '0'])

/** @returns 0, 1, or -1: it is neither */
export function readBoolean(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 40) return -1
  const text = textAt(bytes, start, end).toLowerCase()
  if (TRUE.has(text)) return 1
  return FALSE.has(text) ? 0 : -1
}

/** @returns the decimal with all digits of its scale */
export function formatDecimal(unscaled: bigint | number, scale: number): string {
  if (scale === 0) return String(unscaled)
  const negative = unscaled < 0
  const digits = String(unscaled)
    .replace('-', '')
    .padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${negative ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** @returns the shortest text that reads back as the same double */
export function formatDouble(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
