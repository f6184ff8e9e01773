// Code templates for values in binary form. Each writes the value at `p` without a call where that
// is usual; values at the edges of a type go to its kernel, which knows all of them.

import {
  DAYS_TO_2000,
  DAYS_YEAR_1,
  INT32_MAX,
  US_TO_2000_HIGH,
  US_TO_2000_LOW,
  US_YEAR_1_HIGH,
} from './time.ts'
import { copyCode, kernelCode, orKernel, wordsCode, type ValueTarget } from './value-code.ts'

interface BinaryCode {
  /** Bytes of every value; `null`: any number from `shortest` on. */
  readonly width: number | null
  readonly shortest: number
  readonly code: string
}

/** @returns code that writes the value of [p, e) into row `row` of its field */
export function binaryCode(target: ValueTarget): BinaryCode {
  const { field, decoded, call } = target
  const v = `v${field}`
  switch (call.kernel) {
    case 'putBooleanBinary':
      return fixed(1, `${v}[row] = bytes[p]`)
    case 'putInt16Binary':
      return fixed(2, `${v}[row] = view.getInt16(p)`)
    case 'putInt16BinaryAsLong':
      return fixed(2, longCode(v, 'view.getInt16(p)'))
    case 'putInt32Binary':
      return fixed(4, `${v}[row] = view.getInt32(p)`)
    case 'putInt32BinaryAsLong':
      return fixed(4, longCode(v, 'view.getInt32(p)'))
    case 'putInt64Binary':
      return fixed(8, `${v}[row * 2] = view.getInt32(p + 4); ${v}[row * 2 + 1] = view.getInt32(p)`)
    case 'putOidBinary':
      return fixed(4, `${v}[row * 2] = view.getInt32(p); ${v}[row * 2 + 1] = 0`)
    case 'putFloat32Binary':
    case 'putFloat32BinaryAsDouble':
      return fixed(4, `${v}[row] = view.getFloat32(p)`)
    case 'putFloat64Binary':
      return fixed(8, `${v}[row] = view.getFloat64(p)`)
    case 'putUuidBinary':
      return fixed(16, uuidCode(v))
    case 'putDateBinary':
      return fixed(4, dateCode(target))
    case 'putTimeBinary':
      return fixed(8, timeCode(target))
    case 'putTimestampBinary':
      return fixed(8, timestampCode(target))
    case 'putDecimal64Binary':
      if (decoded.type.kind !== 'decimal') break
      return { width: null, shortest: 8, code: decimalCode(target, decoded.type.scale) }
    case 'putBytes':
      return { width: null, shortest: 0, code: copyCode(field, 'p') }
    case 'putJsonbBinary':
      // Behind the version's byte.
      return { width: null, shortest: 1, code: `const t = p + 1\n${copyCode(field, 't')}` }
    default:
  }
  return { width: null, shortest: 0, code: kernelCode(target) }
}

function fixed(width: number, code: string): BinaryCode {
  return { width, shortest: width, code }
}

function longCode(v: string, value: string): string {
  return `const x = ${value}\n${v}[row * 2] = x; ${v}[row * 2 + 1] = x >> 31`
}

function uuidCode(v: string): string {
  return [0, 1, 2, 3]
    .map((word) => `${v}[row * 4 + ${word}] = view.getInt32(p + ${4 * word}, true)`)
    .join('\n')
}

function dateCode(target: ValueTarget): string {
  const { field } = target
  return orKernel(
    target,
    `const x = view.getInt32(p)
if (x >= ${DAYS_YEAR_1 - DAYS_TO_2000} && x <= ${INT32_MAX - 1 - DAYS_TO_2000}) {
v${field}[row] = x + ${DAYS_TO_2000}; break done }`,
  )
}

/** 24:00:00 has 20 in its upper word. */
function timeCode(target: ValueTarget): string {
  const v = `v${target.field}`
  return orKernel(
    target,
    `const x = view.getInt32(p)
if (x >= 0 && x < 20) { ${v}[row * 2] = view.getInt32(p + 4); ${v}[row * 2 + 1] = x; break done }`,
  )
}

/** Adds the microseconds to 2000 to both words, away from the ends of the range. */
function timestampCode(target: ValueTarget): string {
  const v = `v${target.field}`
  const first = US_YEAR_1_HIGH - US_TO_2000_HIGH + 2
  const last = INT32_MAX - US_TO_2000_HIGH - 2
  return orKernel(
    target,
    `const x = view.getInt32(p)
if (x >= ${first} && x <= ${last}) {
const t = (view.getInt32(p + 4) + ${US_TO_2000_LOW | 0}) | 0
${v}[row * 2] = t
${v}[row * 2 + 1] = x + ${US_TO_2000_HIGH} + ((t >>> 0) < ${US_TO_2000_LOW} ? 1 : 0)
break done }`,
  )
}

/** Up to here a double holds the unscaled value. */
const DECIMAL_DIGITS_MAX = 15

/**
 * Groups of four digits before the point, then those of the scale; trailing groups of zeros are
 * left out on the wire. Sign 0xC000 and above is NaN and infinity.
 */
function decimalCode(target: ValueTarget, scale: number): string {
  const weightMax = Math.floor((DECIMAL_DIGITS_MAX - scale) / 4) - 1
  if (weightMax < 0) return kernelCode(target)
  const groups = Array.from({ length: Math.ceil(scale / 4) }, (_, index) => {
    const digits = Math.min(4, scale - 4 * index)
    const group = `(q < e ? view.getUint16(q) : 0)`
    const value = digits === 4 ? group : `Math.floor(${group} / ${10 ** (4 - digits)})`
    return `x = x * ${10 ** digits} + ${value}; q += 2`
  })
  return orKernel(
    target,
    `const g = view.getInt16(p + 2), s = view.getUint16(p + 4)
if (l === 8 + 2 * view.getUint16(p) && g >= -1 && g <= ${weightMax} && (s & 0xbfff) === 0) {
let x = 0, q = p + 8
for (const z = q + 2 * g; q <= z; q += 2) x = x * 10000 + (q < e ? view.getUint16(q) : 0)
${groups.join('\n')}
if (s !== 0) x = -x
${wordsCode(target.field, 'x')}; break done }`,
  )
}
