// Integers of the replication stream, which is big-endian.

import { lsnOf, type Lsn } from '../lsn.ts'

const TWO_32 = 0x1_0000_0000

export function uint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}

export function lsnAt(bytes: Uint8Array, at: number): Lsn {
  return lsnOf(uint32(bytes, at), uint32(bytes, at + 4))
}

/** Exact below 2^53 in magnitude, which times are until the year 2285. */
export function int64(bytes: Uint8Array, at: number): number {
  return (uint32(bytes, at) | 0) * TWO_32 + uint32(bytes, at + 4)
}
