// Avro's decimals: two's complement, the highest byte first, of any length.

/** 10^p as four 32-bit words, the lowest first, by p. */
const POWERS = Array.from({ length: 39 }, (_, digits) => {
  const power = 10n ** BigInt(digits)
  return Uint32Array.from([0n, 32n, 64n, 96n], (shift) => Number((power >> shift) & 0xffff_ffffn))
})

const words = new Uint32Array(4)

/** A double holds these exactly, and they are nearly all there are. */
const SHORT_BYTES_MAX = 6

/**
 * Writes bytes[p, p + length), two's complement with the highest byte first, as `count` words.
 *
 * @returns false when the number has more digits than `precision`, or there is none
 */
export function putDecimal(
  pairs: Int32Array,
  at: number,
  count: number,
  bytes: Uint8Array,
  p: number,
  length: number,
  precision: number,
): boolean {
  if (length === 0) return false
  if (length <= SHORT_BYTES_MAX) return putShort(pairs, at, count, bytes, p, length, precision)
  const sign = bytes[p]! > 127 ? -1 : 0
  let from = p
  const end = p + length
  while (from < end && bytes[from] === (sign & 255)) from++
  if (end - from > 16) return false
  words.fill(sign)
  for (let index = end - 1, shift = 0; index >= from; index--, shift += 8) {
    const word = shift >> 5
    const bits = shift & 31
    words[word] = (words[word]! & ~(255 << bits)) | (bytes[index]! << bits)
  }
  // Of 16 bytes the highest bit must be the sign still.
  if (end - from === 16 && (words[3]! | 0) < 0 !== sign < 0) return false
  if (!isBelow(words, sign, POWERS[precision]!)) return false
  for (let word = 0; word < count; word++) pairs[at + word] = words[word]!
  return true
}

function putShort(
  pairs: Int32Array,
  at: number,
  count: number,
  bytes: Uint8Array,
  p: number,
  length: number,
  precision: number,
): boolean {
  let value = (bytes[p]! << 24) >> 24
  for (let index = p + 1; index < p + length; index++) value = value * 256 + bytes[index]!
  if (Math.abs(value) >= 10 ** precision) return false
  const high = Math.floor(value / 4_294_967_296)
  pairs[at] = value
  pairs[at + 1] = high
  if (count === 2) return true
  pairs[at + 2] = high >> 31
  pairs[at + 3] = high >> 31
  return true
}

/** @returns true when the magnitude of a number in two's complement is less than `limit` */
function isBelow(value: Uint32Array, sign: number, limit: Uint32Array): boolean {
  let borrow = 0
  let carry = sign & 1
  for (let word = 0; word < 4; word++) {
    // The magnitude, word by word, and what is left when the limit is taken from it.
    const magnitude = sign === 0 ? value[word]! : (~value[word]! >>> 0) + carry
    carry = magnitude > 0xffff_ffff ? 1 : 0
    borrow = (magnitude >>> 0) - limit[word]! - borrow < 0 ? 1 : 0
  }
  return borrow === 1
}

/** @returns the number as text with all digits of the scale: `-12.50` */
export function decimalText(bytes: Uint8Array, p: number, length: number, scale: number): string {
  let value = 0n
  for (let index = p; index < p + length; index++) value = (value << 8n) | BigInt(bytes[index]!)
  if (length > 0 && bytes[p]! > 127) value -= 1n << BigInt(8 * length)
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`
  return value < 0n ? `-${text}` : text
}

/** A decimal that no decimal of the lake can hold. */
export function decimalBytes(
  bytes: Uint8Array,
  p: number,
  length: number,
  scale: number,
): Uint8Array {
  return Buffer.from(decimalText(bytes, p, length, scale), 'latin1')
}
