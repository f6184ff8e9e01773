// The parts of the binary protocol that are too long for generated code: dates, decimals in text,
// bits. They write 32-bit words, so that no value becomes a bigint on its way.

type Refuse = (column: number, reason: string) => never

/** @returns days since 1970 of a proleptic Gregorian date; month 1...12 */
export function daysOfDate(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** True for dates of the calendar; the server also has 0000-00-00, 0000-01-01 and 2023-02-31. */
export function isCalendarDate(year: number, month: number, day: number): boolean {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false
  if (month === 2) {
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
    return day <= (leap ? 29 : 28)
  }
  return day <= (month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31)
}

const WORD = 4_294_967_296

/** Writes the integer high * 2^32 + low (exact doubles, low may exceed 32 bits) as words. */
function writeInt64(pairs: Int32Array, row: number, value: number): void {
  // Exact: |value| < 2^53, so neither the division nor the floor loses a bit.
  pairs[2 * row] = value
  pairs[2 * row + 1] = Math.floor(value / WORD)
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (byteAt(bytes, at) |
      (byteAt(bytes, at + 1) << 8) |
      (byteAt(bytes, at + 2) << 16) |
      (byteAt(bytes, at + 3) << 24)) >>>
    0
  )
}

function days(
  bytes: Uint8Array,
  at: number,
  count: number,
  column: number,
  refuse: Refuse,
): number {
  const year = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8)
  const month = byteAt(bytes, at + 2)
  const day = byteAt(bytes, at + 3)
  // A zero date has no bytes at all.
  if (count < 4 || !isCalendarDate(year, month, day)) refuse(column, 'a zero or impossible date')
  return daysOfDate(year, month, day)
}

function instant(
  bytes: Uint8Array,
  at: number,
  count: number,
  pairs: Int32Array,
  row: number,
  column: number,
  refuse: Refuse,
): void {
  const day = days(bytes, at, count, column, refuse)
  let seconds = 0
  let micros = 0
  if (count >= 7) {
    const hour = byteAt(bytes, at + 4)
    seconds = hour * 3600 + byteAt(bytes, at + 5) * 60 + byteAt(bytes, at + 6)
  }
  if (count >= 11) micros = wordAt(bytes, at + 7)
  // Below 9999-12-31 that is 2.6e17: more than a double holds, so the words are made apart.
  const total = day * 86_400 + seconds
  writeScaled(pairs, row, total, micros)
}

/** Writes seconds * 10^6 + micros: seconds in 16-bit halves, so that each product is exact. */
function writeScaled(pairs: Int32Array, row: number, seconds: number, micros: number): void {
  const high = Math.floor(seconds / 65_536)
  const low = seconds - high * 65_536
  const upper = high * 1_000_000
  const upperHigh = Math.floor(upper / 65_536)
  const rest = low * 1_000_000 + micros + (upper - upperHigh * 65_536) * 65_536
  pairs[2 * row] = rest
  pairs[2 * row + 1] = upperHigh + Math.floor(rest / WORD)
}

function duration(
  bytes: Uint8Array,
  at: number,
  count: number,
  pairs: Int32Array,
  row: number,
): void {
  if (count === 0) {
    writeInt64(pairs, row, 0)
    return
  }
  const hours = wordAt(bytes, at + 1) * 24 + byteAt(bytes, at + 5)
  const seconds = hours * 3600 + byteAt(bytes, at + 6) * 60 + byteAt(bytes, at + 7)
  const micros = seconds * 1_000_000 + (count >= 12 ? wordAt(bytes, at + 8) : 0)
  writeInt64(pairs, row, bytes[at] === 1 ? -micros : micros)
}

/** BIT is big-endian; the lake has no unsigned long. */
function bits(
  bytes: Uint8Array,
  at: number,
  count: number,
  pairs: Int32Array,
  row: number,
  column: number,
  refuse: Refuse,
): void {
  let low = 0
  let high = 0
  for (let from = at; from < at + count; from++) {
    high = (high << 8) | (low >>> 24)
    low = (low << 8) | byteAt(bytes, from)
  }
  if (high < 0) refuse(column, 'a bit(64) whose highest bit is set')
  pairs[2 * row] = low
  pairs[2 * row + 1] = high
}

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const BILLION = 1_000_000_000

/** Decimal text of up to 18 digits as an unscaled int64. The server prints all `scale` digits. */
function decimal64(
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
  pairs: Int32Array,
  row: number,
): void {
  const negative = bytes[start] === MINUS
  let high = 0
  let low = 0
  let fraction = -1
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const byte = byteAt(bytes, at)
    if (byte === POINT) {
      fraction = 0
      continue
    }
    if (fraction >= 0) fraction++
    // The newest nine digits in `low`, those before them in `high`.
    const carry = Math.floor(low / 100_000_000)
    high = high * 10 + carry
    low = (low - carry * 100_000_000) * 10 + (byte - ZERO)
  }
  for (let missing = Math.max(fraction, 0); missing < scale; missing++) {
    const carry = Math.floor(low / 100_000_000)
    high = high * 10 + carry
    low = (low - carry * 100_000_000) * 10
  }
  const lower = (high % 65_536) * BILLION + low
  const upper = Math.floor(high / 65_536) * BILLION
  const rest = lower + (upper % 65_536) * 65_536
  let lowWord = rest | 0
  let highWord = (Math.floor(rest / WORD) + Math.floor(upper / 65_536)) | 0
  if (negative) {
    lowWord = -lowWord | 0
    highWord = (~highWord + (lowWord === 0 ? 1 : 0)) | 0
  }
  pairs[2 * row] = lowWord
  pairs[2 * row + 1] = highWord
}

const LIMBS = 8
const limbs = new Float64Array(LIMBS)

/** Multiplies the 128-bit number in `limbs` (16 bits each, lowest first) and adds. */
function multiplyAdd(factor: number, summand: number): void {
  let carry = summand
  for (let limb = 0; limb < LIMBS; limb++) {
    const value = (limbs[limb] ?? 0) * factor + carry
    carry = Math.floor(value / 65_536)
    limbs[limb] = value - carry * 65_536
  }
}

/** Decimal text of up to 38 digits as an unscaled int128. */
function decimal128(
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
  pairs: Int32Array,
  row: number,
): void {
  const negative = bytes[start] === MINUS
  limbs.fill(0)
  let group = 0
  let factor = 1
  let fraction = -1
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const byte = byteAt(bytes, at)
    if (byte === POINT) {
      fraction = 0
      continue
    }
    if (fraction >= 0) fraction++
    group = group * 10 + (byte - ZERO)
    factor *= 10
    if (factor === BILLION) {
      multiplyAdd(factor, group)
      group = 0
      factor = 1
    }
  }
  multiplyAdd(factor, group)
  for (let missing = Math.max(fraction, 0); missing < scale; missing++) multiplyAdd(10, 0)
  let carry = negative ? 1 : 0
  for (let word = 0; word < 4; word++) {
    const value = (limbs[2 * word] ?? 0) + (limbs[2 * word + 1] ?? 0) * 65_536
    if (!negative) {
      pairs[4 * row + word] = value
      continue
    }
    const flipped = WORD - 1 - value + carry
    pairs[4 * row + word] = flipped
    carry = flipped >= WORD ? 1 : 0
  }
}

/** Hexadecimal text with dashes as 16 bytes. */
function uuid(bytes: Uint8Array, at: number, values: Uint8Array, row: number): void {
  let from = at
  for (let to = row * 16; to < row * 16 + 16; to++) {
    if (bytes[from] === MINUS) from++
    values[to] = (nibble(byteAt(bytes, from)) << 4) | nibble(byteAt(bytes, from + 1))
    from += 2
  }
}

function nibble(byte: number): number {
  return byte <= 0x39 ? byte - ZERO : (byte | 0x20) - 0x57
}

/** A length of 251 and more: 0xfc and 2 bytes, 0xfd and 3, 0xfe and 8. */
function length(bytes: Uint8Array, at: number): number {
  const word = wordAt(bytes, at + 1)
  if (bytes[at] === 0xfc) return word & 0xffff
  return bytes[at] === 0xfd ? word & 0xffffff : word
}

function lengthBytes(first: number): number {
  if (first === 0xfc) return 2
  return first === 0xfd ? 3 : 8
}

export const rowKernels = {
  days,
  instant,
  duration,
  bits,
  decimal64,
  decimal128,
  uuid,
  length,
  lengthBytes,
}
