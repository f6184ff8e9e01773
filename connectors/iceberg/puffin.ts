// Puffin files that hold deletion vectors: blobs one behind the other and a footer that names them.
// Manifests give the place of each blob, so only the file as a whole is ever parsed by others.
// Source: Apache Iceberg Puffin specification.

import { PipelineError } from '../../runtime/base/errors.ts'
import { asInteger, asList, asObject, asText, asTexts } from './json.ts'
import { formatJson, parseJson, type JsonObject } from './json.ts'

const MAGIC = Buffer.from('PFA1', 'latin1')
/** Payload length, flags, magic. */
const FOOTER_TAIL_BYTES = 12
/** Field id of the position of a row in its file (`_pos`): what a deletion vector is about. */
const POSITION_FIELD_ID = 2147483645

export interface VectorBlob {
  /** URI of the data file, spelled as in its manifest. */
  readonly dataFile: string
  readonly cardinality: number
  readonly blob: Uint8Array
}

export interface BlobPlace {
  readonly dataFile: string
  readonly cardinality: number
  readonly offset: number
  readonly bytes: number
}

/** @returns the file, and where each blob lies in it, in the order given */
export function encodePuffin(vectors: readonly VectorBlob[]): {
  bytes: Buffer
  places: BlobPlace[]
} {
  const parts: Uint8Array[] = [MAGIC]
  const places: BlobPlace[] = []
  let offset = MAGIC.length
  for (const { dataFile, cardinality, blob } of vectors) {
    parts.push(blob)
    places.push({ dataFile, cardinality, offset, bytes: blob.length })
    offset += blob.length
  }
  const payload = Buffer.from(formatJson({ blobs: places.map(blobJson), properties: CREATED_BY }))
  const tail = Buffer.alloc(FOOTER_TAIL_BYTES)
  tail.writeInt32LE(payload.length, 0)
  MAGIC.copy(tail, 8)
  return { bytes: Buffer.concat([...parts, MAGIC, payload, tail]), places }
}

const CREATED_BY = { 'created-by': 'Millrace' }

function blobJson({ dataFile, cardinality, offset, bytes }: BlobPlace): JsonObject {
  return {
    type: 'deletion-vector-v1',
    fields: [POSITION_FIELD_ID],
    'snapshot-id': -1,
    'sequence-number': -1,
    offset,
    length: bytes,
    properties: { 'referenced-data-file': dataFile, cardinality: String(cardinality) },
  }
}

/**
 * @param file  for messages
 * @returns the deletion vectors that the footer names; blobs of other types are left out
 * @throws PipelineError LAKE_FORMAT
 */
export function readPuffinFooter(bytes: Uint8Array, file: string): BlobPlace[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tail = buffer.length - FOOTER_TAIL_BYTES
  if (tail < 2 * MAGIC.length || !buffer.subarray(tail + 8).equals(MAGIC)) damaged(file, 'no magic')
  if (buffer.readUInt32LE(tail + 4) !== 0) damaged(file, 'a compressed footer')
  const start = tail - buffer.readInt32LE(tail)
  const head = start - MAGIC.length
  if (head < MAGIC.length || start > tail) damaged(file, 'a wrong footer length')
  if (!buffer.subarray(head, start).equals(MAGIC)) damaged(file, 'no magic before its footer')
  const footer = parseJson(buffer.toString('utf8', start, tail), `footer of ${file}`)
  const places: BlobPlace[] = []
  for (const item of asList(footer['blobs'], `blobs of ${file}`)) {
    const blob = asObject(item, `a blob of ${file}`)
    if (asText(blob['type'], 'type of a blob') !== 'deletion-vector-v1') continue
    const properties = asTexts(blob['properties'], 'properties of a blob')
    places.push({
      dataFile: asText(properties['referenced-data-file'], 'referenced-data-file'),
      cardinality: Number(asText(properties['cardinality'], 'cardinality')),
      offset: asInteger(blob['offset'], 'offset of a blob'),
      bytes: asInteger(blob['length'], 'length of a blob'),
    })
  }
  return places
}

function damaged(file: string, what: string): never {
  throw new PipelineError('LAKE_FORMAT', `Puffin file ${file} has ${what}`)
}
