// Avro object container files, as manifests and manifest lists need them: written with the exact
// schema text (field ids included, which a codec library drops), read by the writer's schema.
// Longs are bigints: avsc alone throws above 2^53, and snapshot ids lie above.
// Source: Apache Avro 1.12 specification, "Object Container Files".

import avro from 'avsc'
import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { PipelineError } from '../../runtime/base/errors.ts'

const MAGIC = Buffer.from('Obj\u0001', 'latin1')
const SYNC_BYTES = 16

const longType = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
})

const headerType = avro.Type.forSchema({
  type: 'map',
  values: 'bytes',
})

/** @returns the codec of a schema given as JSON */
export function avroType(schema: object): avro.Type {
  const plain = withoutLogicalTypes(schema) as avro.Schema
  return avro.Type.forSchema(plain, { registry: { long: longType } })
}

const PRIMITIVES: ReadonlySet<unknown> = new Set(
  'null boolean int long float double bytes string'.split(' '),
)

/** `{ type: long, logicalType: ... }` is a long like any other; the library would make it a number. */
function withoutLogicalTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutLogicalTypes)
  if (typeof schema !== 'object' || schema === null) return schema
  const json = schema as Readonly<Record<string, unknown>>
  if (PRIMITIVES.has(json['type']) && !('name' in json)) return json['type']
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      const nested = key === 'type' || key === 'items' || key === 'values' || key === 'fields'
      return [key, nested ? withoutLogicalTypes(value) : value]
    }),
  )
}

/**
 * @param schema  schema text, written as it is
 * @param metadata  keys and values of the header, besides schema and codec
 * @param records  encoded records, one each
 */
export function encodeContainer(
  schema: string,
  metadata: Readonly<Record<string, string>>,
  records: readonly Uint8Array[],
): Buffer {
  const header: Record<string, Buffer> = {}
  for (const [key, value] of Object.entries(metadata)) header[key] = Buffer.from(value, 'utf8')
  header['avro.schema'] = Buffer.from(schema, 'utf8')
  header['avro.codec'] = Buffer.from('deflate', 'latin1')
  const block = deflateRawSync(Buffer.concat(records), { level: 1 })
  // Any 16 bytes will do; taken from the content so that the same records are the same file.
  const sync = createHash('sha256').update(block).digest().subarray(0, SYNC_BYTES)
  const parts = [MAGIC, headerType.toBuffer(header), sync]
  if (records.length > 0) parts.push(varint(records.length), varint(block.length), block, sync)
  return Buffer.concat(parts)
}

/** A non-negative Avro long. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

export interface Container {
  readonly metadata: Readonly<Record<string, string>>
  /** Objects by the field names of the writer's schema; longs are bigints. */
  readonly records: readonly AvroRecord[]
}

export type AvroValue = unknown
export type AvroRecord = Readonly<Record<string, AvroValue>>

/**
 * @param file  for messages
 * @throws PipelineError LAKE_FORMAT
 */
export function decodeContainer(bytes: Uint8Array, file: string): Container {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (error) {
    const detail = error instanceof Error ? `${error.message}.` : ''
    const options = { detail, cause: error }
    throw new PipelineError('LAKE_FORMAT', `${file} is not a readable Avro file`, options)
  }
}

function decode(buffer: Buffer): Container {
  if (!buffer.subarray(0, 4).equals(MAGIC)) throw new RangeError('no Avro magic')
  const head = headerType.decode(buffer, 4)
  if (head.offset < 0) throw new RangeError('header cut off')
  const metadata: Record<string, string> = {}
  for (const [key, value] of Object.entries<Buffer>(head.value))
    metadata[key] = value.toString('utf8')
  const type = writerType(metadata['avro.schema'] ?? '')
  const sync = buffer.subarray(head.offset, head.offset + SYNC_BYTES)
  const records: AvroRecord[] = []
  let at = head.offset + SYNC_BYTES
  while (at < buffer.length) {
    const count = readVarint(buffer, at)
    const size = readVarint(buffer, count.end)
    const end = size.end + size.value
    if (!buffer.subarray(end, end + SYNC_BYTES).equals(sync)) throw new RangeError('no sync marker')
    const block = decompress(metadata['avro.codec'] ?? 'null', buffer.subarray(size.end, end))
    let offset = 0
    for (let index = 0; index < count.value; index++) {
      const record = type.decode(block, offset)
      if (record.offset < 0) throw new RangeError('record cut off')
      records.push(record.value as AvroRecord)
      offset = record.offset
    }
    at = end + SYNC_BYTES
  }
  return { metadata, records }
}

/** Types by schema text: one table's manifests share it, and building one costs a millisecond. */
const writerTypes = new Map<string, avro.Type>()

function writerType(schema: string): avro.Type {
  const known = writerTypes.get(schema)
  if (known !== undefined) return known
  const type = avroType(JSON.parse(schema) as object)
  if (writerTypes.size >= 64) writerTypes.clear()
  writerTypes.set(schema, type)
  return type
}

function readVarint(buffer: Buffer, at: number): { value: number; end: number } {
  let raw = 0n
  for (let end = at, shift = 0n; end < buffer.length && shift < 70n; end++, shift += 7n) {
    const byte = buffer.readUInt8(end)
    raw |= BigInt(byte & 127) << shift
    if (byte < 128) {
      // Zigzag. A negative count would announce a block with its size; writers of manifests do not.
      const value = Number((raw >> 1n) ^ -(raw & 1n))
      if (value < 0) throw new RangeError('negative length')
      return { value, end: end + 1 }
    }
  }
  throw new RangeError('integer cut off')
}

function decompress(codec: string, block: Buffer): Buffer {
  switch (codec) {
    case 'null':
      return block
    case 'deflate':
      return inflateRawSync(block)
    default:
      throw new RangeError(`codec ${codec}`)
  }
}
