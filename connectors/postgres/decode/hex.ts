// Hexadecimal text for generated code: what it calls because a copy of it in each column would be
// long. The kernels of bytea and uuid are in plain.ts.

/** Value of a hexadecimal digit by its byte. */
export const HEX = Uint8Array.from({ length: 128 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(value) ? 0 : value
})

export function hexByte(bytes: Uint8Array, at: number): number {
  return (HEX[bytes[at]!]! << 4) | HEX[bytes[at + 1]!]!
}

/** Writes the 16 bytes of 8-4-4-4-12 digits as four little-endian words. */
export function writeUuid(words: Int32Array, to: number, view: DataView, at: number): void {
  words[to] = twoBytes(view.getInt32(at)) | (twoBytes(view.getInt32(at + 4)) << 16)
  words[to + 1] = twoBytes(view.getInt32(at + 9)) | (twoBytes(view.getInt32(at + 14)) << 16)
  words[to + 2] = twoBytes(view.getInt32(at + 19)) | (twoBytes(view.getInt32(at + 24)) << 16)
  words[to + 3] = twoBytes(view.getInt32(at + 28)) | (twoBytes(view.getInt32(at + 32)) << 16)
}

/** Four digits, the first in the highest byte, as two bytes, the first in the lowest. */
function twoBytes(digits: number): number {
  const nibbles = (digits & 0x0f0f_0f0f) + ((digits >>> 6) & 0x0101_0101) * 9
  const pairs = nibbles | (nibbles >>> 4)
  return ((pairs >>> 16) & 0xff) | ((pairs & 0xff) << 8)
}
