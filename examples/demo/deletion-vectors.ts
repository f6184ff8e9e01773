// A second, small decoder of what Millrace writes, from the Iceberg specification alone: it shares
// no code with the product, so the demo's comparison is not the product agreeing with itself.
// Source: https://iceberg.apache.org/spec/ and https://iceberg.apache.org/puffin-spec/,
// https://github.com/RoaringBitmap/RoaringFormatSpec

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import avro from 'avsc'

export interface LakeField {
  readonly id: number
  readonly name: string
  readonly initialDefault: string | null
}

export interface LiveFile {
  readonly path: string
  /** Row numbers that are deleted. */
  readonly deleted: readonly number[]
}

export interface LakeTable {
  readonly fields: readonly LakeField[]
  readonly files: readonly LiveFile[]
  readonly snapshots: number
}

interface Metadata {
  readonly 'current-schema-id': number
  readonly schemas: readonly {
    readonly 'schema-id': number
    readonly fields: readonly {
      readonly id: number
      readonly name: string
      readonly 'initial-default'?: unknown
    }[]
  }[]
  readonly snapshots: readonly {
    /** As text: these ids exceed 2^53. */
    readonly 'snapshot-id': string
    readonly 'manifest-list': string
  }[]
}

interface ManifestEntry {
  readonly status: number
  readonly data_file: {
    readonly content: number
    readonly file_path: string
    readonly referenced_data_file: string | null
    readonly content_offset: number | null
    readonly content_size_in_bytes: number | null
  }
}

const DELETED = 2
const DELETES = 1
const DELETION_VECTOR_MAGIC = 0x6439d3d1

/** @param location  of the table's current metadata file, as the catalog has it */
export async function readLakeTable(location: string): Promise<LakeTable> {
  const text = (await readFile(fileURLToPath(location))).toString()
  const current = /"current-snapshot-id"\s*:\s*(\d+)/.exec(text)?.[1]
  const metadata = JSON.parse(
    text.replaceAll(/"snapshot-id"\s*:\s*(\d+)/g, '"snapshot-id":"$1"'),
  ) as Metadata
  const schema = metadata.schemas.find((s) => s['schema-id'] === metadata['current-schema-id'])
  const snapshot = metadata.snapshots.find((s) => s['snapshot-id'] === current)
  const fields = (schema?.fields ?? []).map(({ id, name, 'initial-default': value }) => ({
    id,
    name,
    initialDefault: typeof value === 'string' ? value : null,
  }))
  const files = snapshot === undefined ? [] : await readFiles(snapshot['manifest-list'])
  return { fields, files, snapshots: metadata.snapshots.length }
}

async function readFiles(manifestList: string): Promise<LiveFile[]> {
  const manifests = await readAvro<{ manifest_path: string }>(manifestList)
  const entries: ManifestEntry[] = []
  for (const { manifest_path: path } of manifests) {
    const all = await readAvro<ManifestEntry>(path)
    entries.push(...all.filter(({ status }) => status !== DELETED))
  }
  const deleted = new Map<string, number[]>()
  for (const { data_file: file } of entries) {
    if (file.content !== DELETES) continue
    deleted.set(String(file.referenced_data_file), await readDeletionVector(file))
  }
  return entries
    .filter(({ data_file: file }) => file.content !== DELETES)
    .map(({ data_file: { file_path: path } }) => ({ path, deleted: deleted.get(path) ?? [] }))
}

/** 64-bit integers of a manifest as numbers: positions and sizes stay far below 2^53. */
const longs = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => Number(buffer.readBigInt64LE()),
  toBuffer: (value: number) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(BigInt(value))
    return buffer
  },
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'number',
  compare: (left: number, right: number) => left - right,
})

async function readAvro<T>(location: string): Promise<T[]> {
  const rows: T[] = []
  const parseHook = (schema: unknown): avro.Type | undefined =>
    schema === 'long' || (schema as { type?: string }).type === 'long' ? longs : undefined
  const decoder = new avro.streams.BlockDecoder({
    parseHook: (schema) => avro.Type.forSchema(schema, { typeHook: parseHook, wrapUnions: false }),
    codecs: { ...avro.streams.BlockDecoder.defaultCodecs() },
  })
  const done = new Promise<void>((resolve, reject) => {
    decoder.on('data', (row: T) => rows.push(row))
    decoder.on('end', resolve)
    decoder.on('error', reject)
  })
  decoder.end(await readFile(fileURLToPath(location)))
  await done
  return rows
}

/** length (big endian) | magic | 64-bit Roaring bitmap (little endian) | CRC32 */
async function readDeletionVector(file: ManifestEntry['data_file']): Promise<number[]> {
  const bytes = await readFile(fileURLToPath(file.file_path))
  const start = file.content_offset ?? 0
  const blob = bytes.subarray(start, start + (file.content_size_in_bytes ?? 0))
  if (blob.readUInt32LE(4) !== DELETION_VECTOR_MAGIC) throw new Error('not a deletion vector')
  const positions: number[] = []
  let at = 8
  const bitmaps = Number(blob.readBigUInt64LE(at))
  at += 8
  for (let index = 0; index < bitmaps; index++) {
    const high = blob.readUInt32LE(at)
    at = readBitmap(blob, at + 4, high * 2 ** 32, positions)
  }
  return positions
}

const COOKIE_WITH_RUNS = 12347
const COOKIE_WITHOUT_RUNS = 12346
const NO_OFFSET_THRESHOLD = 4

/** One 32-bit Roaring bitmap. @returns where the next one begins */
function readBitmap(blob: Buffer, from: number, base: number, positions: number[]): number {
  const cookie = blob.readUInt32LE(from)
  const withRuns = (cookie & 0xffff) === COOKIE_WITH_RUNS
  if (!withRuns && cookie !== COOKIE_WITHOUT_RUNS) throw new Error('not a Roaring bitmap')
  const count = withRuns ? (cookie >>> 16) + 1 : blob.readUInt32LE(from + 4)
  let at = from + (withRuns ? 4 : 8)
  const runFlags = blob.subarray(at, at + ((count + 7) >> 3))
  if (withRuns) at += runFlags.length
  const keys = at
  at += count * 4
  if (!withRuns || count >= NO_OFFSET_THRESHOLD) at += count * 4
  for (let index = 0; index < count; index++) {
    const high = base + blob.readUInt16LE(keys + index * 4) * 65536
    const cardinality = blob.readUInt16LE(keys + index * 4 + 2) + 1
    const isRun = withRuns && ((runFlags[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
    if (isRun) at = readRuns(blob, at, high, positions)
    else if (cardinality <= 4096) at = readArray(blob, at, high, cardinality, positions)
    else at = readBits(blob, at, high, positions)
  }
  return at
}

function readRuns(blob: Buffer, at: number, high: number, positions: number[]): number {
  const runs = blob.readUInt16LE(at)
  for (let run = 0; run < runs; run++) {
    const first = blob.readUInt16LE(at + 2 + run * 4)
    const length = blob.readUInt16LE(at + 4 + run * 4)
    for (let value = first; value <= first + length; value++) positions.push(high + value)
  }
  return at + 2 + runs * 4
}

function readArray(
  blob: Buffer,
  at: number,
  high: number,
  count: number,
  positions: number[],
): number {
  for (let index = 0; index < count; index++)
    positions.push(high + blob.readUInt16LE(at + index * 2))
  return at + count * 2
}

function readBits(blob: Buffer, at: number, high: number, positions: number[]): number {
  for (let value = 0; value < 65536; value++) {
    if (((blob[at + (value >> 3)] ?? 0) & (1 << (value & 7))) !== 0) positions.push(high + value)
  }
  return at + 8192
}
