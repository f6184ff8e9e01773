// DECIMAL as row images hold it: groups of nine digits in four bytes, shorter groups at both ends,
// the highest bit the inverted sign, all bits inverted below zero.
// Source: MySQL 9.7 strings/decimal.cc (decimal2bin).

/** Bytes that 0...9 digits take. */
const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const

const DIGITS_A_GROUP = 9

/** The groups of a decimal from the left; whole and fractional digits never share one. */
export interface DecimalShape {
  readonly precision: number
  readonly scale: number
  /** Bytes of all groups. */
  readonly bytes: number
  readonly groups: readonly { readonly digits: number; readonly bytes: number }[]
  /** How many of `groups` hold whole digits. */
  readonly wholeGroups: number
}

export function decimalShape(precision: number, scale: number): DecimalShape {
  const whole = precision - scale
  const digits: number[] = []
  if (whole % DIGITS_A_GROUP > 0) digits.push(whole % DIGITS_A_GROUP)
  for (let left = whole; left >= DIGITS_A_GROUP; left -= DIGITS_A_GROUP) digits.push(DIGITS_A_GROUP)
  const wholeGroups = digits.length
  for (let left = scale; left >= DIGITS_A_GROUP; left -= DIGITS_A_GROUP) digits.push(DIGITS_A_GROUP)
  if (scale % DIGITS_A_GROUP > 0) digits.push(scale % DIGITS_A_GROUP)
  const groups = digits.map((count) => ({ digits: count, bytes: DIGIT_BYTES[count] ?? 4 }))
  const bytes = groups.reduce((sum, group) => sum + group.bytes, 0)
  return { precision, scale, bytes, groups, wholeGroups }
}

/** Value of group `group`, without sign; `mask` is 0, or -1 below zero. */
function readGroup(
  source: Uint8Array,
  at: number,
  count: number,
  mask: number,
  first: boolean,
): number {
  let value = 0
  for (let index = 0; index < count; index++) {
    const byte = source[at + index]! ^ (first && index === 0 ? 0x80 : 0)
    value = value * 256 + ((byte ^ mask) & 0xff)
  }
  return value
}

const words = new Float64Array(4)

/**
 * Writes the unscaled value at source[at, ...) as little-endian 32-bit words, two's complement:
 * pairs[to, to + count). `count` is 2 up to 18 digits, else 4.
 */
export function writeDecimal(
  pairs: Int32Array,
  to: number,
  count: number,
  source: Uint8Array,
  at: number,
  shape: DecimalShape,
): void {
  const mask = (source[at]! & 0x80) === 0 ? -1 : 0
  words.fill(0)
  let from = at
  for (let group = 0; group < shape.groups.length; group++) {
    const { digits, bytes } = shape.groups[group]!
    let carry = readGroup(source, from, bytes, mask, group === 0)
    from += bytes
    const factor = 10 ** digits
    for (let word = 0; word < count; word++) {
      // Below 2^32 * 10^9 + 2^32, which a double holds only up to 2^53: split at 16 bits.
      const value = words[word]!
      const upper = Math.floor(value / 65536)
      const low = (value - upper * 65536) * factor + carry
      const lowCarry = Math.floor(low / 65536)
      const high = upper * factor + lowCarry
      const highCarry = Math.floor(high / 65536)
      words[word] = (high - highCarry * 65536) * 65536 + (low - lowCarry * 65536)
      carry = highCarry
    }
  }
  let borrow = mask & 1
  for (let word = 0; word < count; word++) {
    if (mask === 0) {
      pairs[to + word] = words[word]!
      continue
    }
    const inverted = 0xffff_ffff - words[word]! + borrow
    borrow = inverted > 0xffff_ffff ? 1 : 0
    pairs[to + word] = inverted
  }
}

const ZERO = 0x30

/**
 * Writes the value as the server prints it: `-12.50`, all digits of the scale, no leading zeros.
 *
 * @param target  has room for precision + 3 bytes at `to`
 * @returns the end of the text
 */
export function writeDecimalText(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  at: number,
  shape: DecimalShape,
): number {
  const mask = (source[at]! & 0x80) === 0 ? -1 : 0
  if (mask !== 0) target[to++] = 0x2d
  const start = to
  let from = at
  for (let group = 0; group < shape.groups.length; group++) {
    const { digits, bytes } = shape.groups[group]!
    if (group === shape.wholeGroups) to = beginFraction(target, start, to)
    let value = readGroup(source, from, bytes, mask, group === 0)
    from += bytes
    for (let index = to + digits - 1; index >= to; index--) {
      target[index] = ZERO + (value % 10)
      value = Math.floor(value / 10)
    }
    to += digits
    if (group < shape.wholeGroups) to = dropZeros(target, start, to)
  }
  if (to === start) target[to++] = ZERO
  return to
}

function beginFraction(target: Uint8Array, start: number, to: number): number {
  if (to === start) target[to++] = ZERO
  target[to++] = 0x2e
  return to
}

/** Moves digits so far to the left over leading zeros. @returns the new end */
function dropZeros(target: Uint8Array, start: number, to: number): number {
  let first = start
  while (first < to && target[first] === ZERO) first++
  if (first > start) target.copyWithin(start, first, to)
  return to - (first - start)
}
