// Big-endian integers out of bytes, as numbers: offsets, timestamps and producer ids of Kafka are
// counted up from zero and stay exact below 2^53.

export function int16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16)) >> 16
}

export function int32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0
}

/** Exact within 2^53 of zero; beyond, the nearest double. */
export function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * 4294967296 + uint32At(bytes, at + 4)
}
