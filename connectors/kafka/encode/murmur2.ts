// Which partition a key goes to: by the hash and the rule of Java's client, so that records of ours
// and of everybody else's with one key are in one partition, and stay in order.
//
// Source: org.apache.kafka.common.utils.Utils.murmur2 of Kafka 4.3 (public domain hash by Austin
// Appleby, with Kafka's seed).

const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995
const SHIFT = 24

/** @returns the hash of bytes [start, end), as 32 bits with a sign */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  let hash = (SEED ^ (end - start)) | 0
  let at = start
  for (; at + 4 <= end; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> SHIFT
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER)
  }
  const rest = end - at
  if (rest >= 3) hash ^= bytes[at + 2]! << 16
  if (rest >= 2) hash ^= bytes[at + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ bytes[at]!, MULTIPLIER)
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/** @param partitions  1 or more */
export function partitionOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  partitions: number,
): number {
  return (murmur2(bytes, start, end) & 0x7fff_ffff) % partitions
}
