// What tests of written Avro read it back with: avsc, which is not ours, with longs and unscaled
// decimals as bigints, so that nothing is rounded.

import avsc, { type Type } from 'avsc'

const longs = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: (value: number | bigint) => BigInt(value),
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (left: bigint, right: bigint) => Number(left > right) - Number(left < right),
})

export function avscOf(text: string): Type {
  return avsc.Type.forSchema(JSON.parse(text) as avsc.Schema, {
    wrapUnions: 'never',
    typeHook: (schema) => (isLong(schema) ? longs : undefined),
  })
}

function isLong(schema: unknown): boolean {
  return schema === 'long' || (schema as { type?: unknown } | null)?.type === 'long'
}

/** @returns the id in front of a record, and what is behind it */
export function unframed(bytes: Buffer): { readonly id: number; readonly payload: Buffer } {
  if (bytes[0] !== 0) throw new Error(`a record begins with ${bytes[0]}`)
  return { id: bytes.readUInt32BE(1), payload: bytes.subarray(5) }
}

/** Big-endian two's complement. */
export function unscaledOf(bytes: Buffer): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
}
