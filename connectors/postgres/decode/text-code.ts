// Code templates for values in text form. Each reads the forms that the server writes for nearly
// every value, with few digits at fixed places; all others go to the value's kernel.

import { copyCode, kernelCode, orKernel, roomCode, wordsCode } from './value-code.ts'
import type { ValueTarget } from './value-code.ts'

/** @returns code that writes the value of [p, e) into row `row` of its field */
export function textCode(target: ValueTarget): string {
  const { field, decoded, call } = target
  const v = `v${field}`
  switch (call.kernel) {
    case 'putBooleanText':
      return `${v}[row] = bytes[p] === 116 ? 1 : 0`
    case 'putInt32Text':
      return intCode(target)
    case 'putInt64Text':
      return longCode(target)
    case 'putFloat32Text':
    case 'putFloat64Text':
      return floatCode(target, 'x')
    case 'putFloat32TextAsDouble':
      return floatCode(target, 'Math.fround(x)')
    case 'putDecimal64Text':
      if (decoded.type.kind !== 'decimal') break
      return decimalCode(target, decoded.type.scale)
    case 'putBytes':
      return copyCode(field, 'p')
    case 'putHexText':
      return hexCode(field)
    case 'putUuidText':
      return orKernel(target, `if (l === 36) { writeUuid(${v}, row * 4, view, p); break done }`)
    case 'putDateText':
      return dateCode(target)
    case 'putTimeText':
      return timeCode(target)
    case 'putTimestampText':
      return timestampCode(target, false)
    case 'putTimestamptzText':
      return timestampCode(target, true)
    default:
  }
  return kernelCode(target)
}

/** Where the digits begin, and their sign. */
const SIGN = `const m = bytes[p] === 45
let q = m ? p + 1 : p`

/** Nine digits stay in a small integer, which is faster than a double. */
const DIGITS_MAX = 9

function digitsCode(name: string, end: string): string {
  return `for (; q < ${end}; q++) ${name} = (${name} * 10 + bytes[q] - 48) | 0`
}

function intCode(target: ValueTarget): string {
  return orKernel(
    target,
    `${SIGN}
if (e - q <= ${DIGITS_MAX}) {
let x = 0
${digitsCode('x', 'e')}
v${target.field}[row] = m ? -x : x; break done }`,
  )
}

function longCode(target: ValueTarget): string {
  const { field } = target
  return orKernel(
    target,
    `${SIGN}
let x = 0
if (e - q <= ${DIGITS_MAX}) {
${digitsCode('x', 'e')}
if (m) x = -x | 0
v${field}[row * 2] = x; v${field}[row * 2 + 1] = x >> 31; break done }
if (e - q <= 15) {
let z = 0
${digitsCode('x', `e - ${DIGITS_MAX}`)}
${digitsCode('z', 'e')}
const t = m ? -(x * 1e9 + z) : x * 1e9 + z
${wordsCode(field, 't')}; break done }`,
  )
}

/** As many digits behind the point as the scale says, which is how a column prints its values. */
function decimalCode(target: ValueTarget, scale: number): string {
  const wholeMax = Math.min(DIGITS_MAX, 15 - scale)
  if (scale > DIGITS_MAX) return kernelCode(target)
  const store = `const t = m ? -x : x
${wordsCode(target.field, 't')}; break done }`
  if (scale === 0) {
    return orKernel(
      target,
      `${SIGN}
if (e - q <= ${wholeMax} && bytes[q] <= 57) {
let x = 0
${digitsCode('x', 'e')}
${store}`,
    )
  }
  return orKernel(
    target,
    `${SIGN}
const d = e - ${scale + 1}
if (d > q && d - q <= ${wholeMax} && bytes[d] === 46) {
let x = 0, z = 0
${digitsCode('x', 'd')}
q++
${digitsCode('z', 'e')}
x = x * ${10 ** scale} + z
${store}`,
  )
}

/** Up to 15 digits and a power of ten are exact in a double, so their quotient is rounded once. */
function floatCode(target: ValueTarget, value: string): string {
  const digits = (name: string): string =>
    `for (let d = 0; q < e && (d = bytes[q] - 48, d >= 0 && d <= 9); q++) ${name} = (${name} * 10 + d) | 0`
  return orKernel(
    target,
    `${SIGN}
const h = q
let x = 0, z = 0, c = 0
${digits('x')}
const i = q - h
if (q < e && bytes[q] === 46) { const d = ++q
${digits('z')}
c = q - d }
if (q === e && i <= ${DIGITS_MAX} && c <= ${DIGITS_MAX} && i + c <= 15) {
if (c > 0) x = (x * powers[c] + z) / powers[c]
if (m) x = -x
v${target.field}[row] = ${value}; break done }`,
  )
}

/** bytea: `\x` and two digits a byte. Eight digits at a time, and up to six bytes too many. */
function hexCode(f: number): string {
  return `{ const c = n${f} + (l > 2 ? (l - 2) >> 1 : 0)
${roomCode(f, '(l >> 1) + 4')}
let q = p + 2
if (e <= tail - 4) {
for (; n${f} < c; n${f} += 4, q += 8) {
const x = view.getInt32(q), z = view.getInt32(q + 4)
${nibblesCode('x')}
${nibblesCode('z')}
w${f}.setInt32(n${f}, ((xr << 8) & -16777216) | ((xr & 255) << 16) | ((zr >>> 8) & 65280) | (zr & 255)) }
} else for (; n${f} < c; n${f}++, q += 2) y${f}[n${f}] = hexByte(bytes, q)
n${f} = c; o${f}[row + 1] = c }`
}

/** Four digits in a word become two bytes, at bits 16 and 0; a letter has bit 6, and 9 to add. */
function nibblesCode(name: string): string {
  return `const ${name}n = (${name} & 252645135) + ((${name} >>> 6) & 16843009) * 9
const ${name}r = ${name}n | (${name}n >>> 4)`
}

/** Two digits in the bits of `word` from `shift` on. */
function pairCode(word: string, shift: number): string {
  return `((${word} >>> ${shift + 8}) & 15) * 10 + ${digitCode(word, shift)}`
}

function digitCode(word: string, shift: number): string {
  return shift === 0 ? `(${word} & 15)` : `((${word} >>> ${shift}) & 15)`
}

/** The test that [p, p + 10) is YYYY-MM-DD: longer years have a digit where the dash must be. */
const DATE_TEST = '(da & -16776961) === 754974765'
const DATE_WORDS = 'const da = view.getInt32(p + 4)'

/**
 * Days since 1970. Years begin in March, so that the leap day is the last one.
 * Source: https://howardhinnant.github.io/date_algorithms.html, days_from_civil
 */
const DAYS = `const ya = view.getInt32(p), dd = view.getUint16(p + 8)
const mo = ${pairCode('da', 8)}
const ja = mo < 3 ? 1 : 0
const yy = (${pairCode('ya', 16)}) * 100 + ${pairCode('ya', 0)} - ja
const ce = (yy / 100) | 0
const days = yy * 365 + (yy >> 2) - ce + (ce >> 2)
 + ((((mo + ja * 12) * 153 - 457) / 5) | 0) + ${pairCode('dd', 0)} - 719469`

function dateCode(target: ValueTarget): string {
  return orKernel(
    target,
    `if (l === 10) {
${DATE_WORDS}
if (${DATE_TEST}) {
${DAYS}
v${target.field}[row] = days; break done } }`,
  )
}

/** Seconds of HH:MM:SS at `at`, and microseconds of the digits behind its point, up to `end`. */
function clockCode(at: string, end: string): string {
  return `const ha = view.getInt32(${at}), sa = view.getInt32(${at} + 4)
const ss = (${pairCode('ha', 16)}) * 3600
 + ((ha & 15) * 10 + ${digitCode('sa', 24)}) * 60 + ${pairCode('sa', 0)}
let us = 0
for (let q = ${at} + 9; q < ${end}; q++) us = us * 10 + bytes[q] - 48
if (${end} > ${at} + 8) us *= powers[${at} + 15 - ${end}]`
}

function timeCode(target: ValueTarget): string {
  return orKernel(
    target,
    `if (l >= 8 && l <= 15) {
${clockCode('p', 'e')}
if (ss < 86400) { const t = ss * 1e6 + us
${wordsCode(target.field, 't')}; break done } }`,
  )
}

/**
 * A year before Christ ends with a letter. Beyond 9e9 seconds, microseconds are no exact double.
 * The session is in UTC, so every zone is +00 unless a proxy changed it.
 */
function timestampCode(target: ValueTarget, zoned: boolean): string {
  const test = zoned ? 'bytes[z] === 43 && view.getUint16(z + 1) === 12336' : 'bytes[z - 1] <= 57'
  return orKernel(
    target,
    `const z = ${zoned ? 'e - 3' : 'e'}
if (z >= p + 19 && z <= p + 26) {
${DATE_WORDS}
if (${DATE_TEST} && ${test}) {
${DAYS}
const at = p + 11
${clockCode('at', 'z')}
const s = days * 86400 + ss
if (s < 9e9 && s > -9e9) { const t = s * 1e6 + us
${wordsCode(target.field, 't')}; break done } } }`,
  )
}
