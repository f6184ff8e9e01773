// XXH64 of bytes, with seed 0, in 64-bit integers. The longest inputs that are hashed are texts of
// a row, so what a bigint costs is bearable here; nothing that every row needs is hashed by this.

const [P1, P2, P3, P4, P5] = [
  0x9e37_79b1_85eb_ca87n,
  0xc2b2_ae3d_27d4_eb4fn,
  0x1656_67b1_9e37_79f9n,
  0x85eb_ca77_c2b2_ae63n,
  0x27d4_eb2f_1656_67c5n,
] as const

function mul(left: bigint, right: bigint): bigint {
  return BigInt.asUintN(64, left * right)
}

function rotated(value: bigint, bits: bigint): bigint {
  return BigInt.asUintN(64, value << bits) | (value >> (64n - bits))
}

function round(lane: bigint, input: bigint): bigint {
  return mul(rotated(BigInt.asUintN(64, lane + input * P2), 31n), P1)
}

function merged(hash: bigint, lane: bigint): bigint {
  return BigInt.asUintN(64, (hash ^ round(0n, lane)) * P1 + P4)
}

/** @returns the hash of bytes[start, end), unsigned */
export function xxhash64(bytes: Uint8Array, start: number, end: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = start
  let hash: bigint = P5
  if (end - start >= 32) {
    const lanes = [BigInt.asUintN(64, P1 + P2), P2, 0n, BigInt.asUintN(64, -P1)]
    for (; at + 32 <= end; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        lanes[lane] = round(lanes[lane]!, view.getBigUint64(at + 8 * lane, true))
      }
    }
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint]
    hash = rotated(a, 1n) + rotated(b, 7n) + rotated(c, 12n) + rotated(d, 18n)
    for (const lane of lanes) hash = merged(BigInt.asUintN(64, hash), lane)
  }
  hash = BigInt.asUintN(64, hash + BigInt(end - start))
  for (; at + 8 <= end; at += 8) {
    hash = mul(rotated(hash ^ round(0n, view.getBigUint64(at, true)), 27n), P1) + P4
    hash = BigInt.asUintN(64, hash)
  }
  if (at + 4 <= end) {
    hash = mul(rotated(hash ^ mul(BigInt(view.getUint32(at, true)), P1), 23n), P2) + P3
    hash = BigInt.asUintN(64, hash)
    at += 4
  }
  for (; at < end; at++) hash = mul(rotated(hash ^ mul(BigInt(bytes[at]!), P5), 11n), P1)
  hash = mul(hash ^ (hash >> 33n), P2)
  hash = mul(hash ^ (hash >> 29n), P3)
  return hash ^ (hash >> 32n)
}
