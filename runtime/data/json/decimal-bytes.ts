// The kernel for decimals as Kafka Connect writes them into JSON: the unscaled value as big-endian
// two's complement in base64 (or as a JSON number, with `decimal.format=NUMERIC`).
// Source: https://kafka.apache.org/43/javadoc/org/apache/kafka/connect/data/Decimal.html

import type { FixedBuilder } from '../column/builder.ts'
import { decodeBase64, decoded } from './bytes.ts'
import { refuse } from './fault.ts'
import { QUOTE } from './grammar.ts'
import { putDecimal128, putDecimal64 } from './number.ts'
import { openText } from './text.ts'
import type { ValueForm } from './value-form.ts'

const POWERS = Array.from({ length: 39 }, (_, power) => 10n ** BigInt(power))

export function putDecimalBase64(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  const wide = builder.layout === 'int128'
  if (bytes[start] !== QUOTE) {
    const put = wide ? putDecimal128 : putDecimal64
    return put(builder, row, bytes, start, end, form)
  }
  if (!openText(bytes, start, end) || !decodeBase64(start)) return false
  const { length } = decoded
  if (length === 0) return refuse(start, 'it holds no bytes')
  const words = wide ? 4 : 2
  const fill = decoded.bytes[0]! >= 0x80 ? 0xff : 0
  // Bytes in front of what fits must repeat the sign.
  for (let at = 0; at < length - words * 4; at++) {
    if (decoded.bytes[at] !== fill) return refuse(start, 'the number is too large')
  }
  for (let word = 0; word < words; word++) {
    let value = 0
    for (let byte = 3; byte >= 0; byte--) {
      const at = length - 1 - word * 4 - byte
      value = (value << 8) | (at < 0 ? fill : decoded.bytes[at]!)
    }
    builder.pairs[row * words + word] = value
  }
  return fits(builder, row, words, fill, form.precision) || refuse(start, 'the number is too large')
}

/** Compares with 10^precision: as doubles, unless the number has more than 53 bits. */
function fits(
  { pairs }: FixedBuilder,
  row: number,
  words: number,
  fill: number,
  precision: number,
): boolean {
  const at = row * words
  const top = pairs[at + words - 1]!
  if (top < 0 !== fill > 0) return false
  const high = pairs[at + 1]!
  const sign = high >> 31
  if (words === 2 || (pairs[at + 2] === sign && pairs[at + 3] === sign)) {
    const near = Math.abs(high * 0x1_0000_0000 + (pairs[at]! >>> 0))
    if (near < 2 ** 53) return near < 10 ** precision
  }
  const values = new BigInt64Array(pairs.buffer, pairs.byteOffset + at * 4, words / 2)
  const low = values[0]!
  const value = words === 2 ? low : (values[1]! << 64n) | BigInt.asUintN(64, low)
  const limit = POWERS[precision]!
  return value < limit && value > -limit
}
