// UUIDs as texts: 32 hexadecimal digits, with or without hyphens between groups, braces around.

const HEX = '0123456789abcdef'

/** Appended to by `readUuid`; holds the last one read. */
export const uuidBytes = new Uint8Array(16)

/** @returns false when the text is no UUID */
export function readUuid(bytes: Uint8Array, start: number, end: number): boolean {
  let [at, limit] = [start, end]
  if (bytes[at] === 0x7b && bytes[limit - 1] === 0x7d) {
    at++
    limit--
  }
  let digits = 0
  for (; at < limit; at++) {
    const byte = bytes[at]!
    if (byte === 0x2d) {
      // A hyphen stands behind a whole group of four digits.
      if (digits === 0 || digits % 4 !== 0 || bytes[at - 1] === 0x2d) return false
      continue
    }
    const digit = digitOf(byte)
    if (digit < 0 || digits === 32) return false
    const index = digits >> 1
    uuidBytes[index] = (digits & 1) === 0 ? digit << 4 : uuidBytes[index]! | digit
    digits++
  }
  return digits === 32 && bytes[limit - 1] !== 0x2d
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

export function uuidText(bytes: Uint8Array, start: number): string {
  let text = ''
  for (let at = 0; at < 16; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += '-'
    const byte = bytes[start + at]!
    text += HEX[byte >> 4]! + HEX[byte & 15]!
  }
  return text
}
