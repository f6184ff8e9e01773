// TRANSACTION_PAYLOAD_EVENT: the events of a whole transaction, compressed by zstd. A small one is
// inflated at once, a large one piece by piece, and none beyond the size that its head declares: a
// few bytes in the log may not become all memory.
// Source: MySQL 9.7 libs/mysql/binlog/event/codecs/binary.cpp (Transaction_payload).

import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { corrupt, type Cursor } from './cursor.ts'
import type { BinlogEvent, EventHeader, TransactionPayload } from './events.ts'

/** Fields of the head; 0 ends them. */
const Field = { end: 0, size: 1, compression: 2, uncompressedSize: 3 } as const
const Compression = { zstd: 0, none: 255 } as const

/** Up to here a payload is inflated in one call. */
const SYNC_BYTES_MAX = 8 * 1024 * 1024
const HEADER_BYTES = 19
const SIZE_OFFSET = 9

export type ReadEvent = (bytes: Uint8Array, start: number, end: number) => BinlogEvent

export function readPayload(header: EventHeader, cursor: Cursor): TransactionPayload {
  let size = -1
  let compression: number = Compression.zstd
  let uncompressedSize = -1
  for (let field = cursor.lenenc(); field !== Field.end; field = cursor.lenenc()) {
    const length = cursor.lenenc()
    const at = cursor.skip(length)
    const value = cursor.within(at, at + length)
    if (field === Field.size) size = value.lenenc()
    else if (field === Field.compression) compression = value.lenenc()
    else if (field === Field.uncompressedSize) uncompressedSize = value.lenenc()
  }
  if (size !== cursor.left) throw corrupt('a transaction payload has another size than it says')
  if (compression !== Compression.zstd && compression !== Compression.none) {
    throw new PipelineError('LOG_UNKNOWN_EVENT', 'a transaction is compressed in an unknown way', {
      detail: `Its algorithm has the number ${compression}.`,
      hint: 'Set `binlog_transaction_compression=OFF` on the server, or upgrade Millrace.',
    })
  }
  const compressed = compression === Compression.zstd
  if (!compressed) uncompressedSize = size
  if (uncompressedSize < 0) throw corrupt('a transaction payload has no uncompressed size')
  const { bytes, at: start, end } = cursor
  return { ...header, kind: 'payload', bytes, start, end, compressed, uncompressedSize }
}

export function payloadEvents(
  event: TransactionPayload,
  read: ReadEvent,
): Iterable<BinlogEvent> | AsyncIterable<BinlogEvent> {
  const { bytes, start, end, compressed, uncompressedSize } = event
  if (!compressed) return eventsIn(bytes, start, end, read)
  if (uncompressedSize > SYNC_BYTES_MAX) return streamEvents(event, read)
  let inflated: Uint8Array
  try {
    const maxOutputLength = uncompressedSize + 1
    inflated = zstdDecompressSync(bytes.subarray(start, end), { maxOutputLength })
  } catch (cause) {
    throw notInflatable(cause)
  }
  if (inflated.length !== uncompressedSize) throw corrupt(WRONG_SIZE)
  return eventsIn(inflated, 0, inflated.length, read)
}

const WRONG_SIZE = 'a transaction payload inflates to another size than it says'

function notInflatable(cause: unknown): PipelineError {
  return new PipelineError('LOG_CORRUPT', 'a transaction payload does not inflate', { cause })
}

function* eventsIn(
  bytes: Uint8Array,
  start: number,
  end: number,
  read: ReadEvent,
): Generator<BinlogEvent> {
  let at = start
  while (at < end) {
    const next = at + sizeAt(bytes, at, end)
    if (next > end) throw corrupt('a transaction payload ends inside an event')
    yield read(bytes, at, next)
    at = next
  }
}

/** @returns bytes of the event at `at`; Infinity when too few of them are there to tell */
function sizeAt(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return Infinity
  const from = at + SIZE_OFFSET
  const size =
    bytes[from]! +
    bytes[from + 1]! * 2 ** 8 +
    bytes[from + 2]! * 2 ** 16 +
    bytes[from + 3]! * 2 ** 24
  if (size < HEADER_BYTES) throw corrupt('an event in a payload is shorter than its header')
  return size
}

async function* streamEvents(
  { bytes, start, end, uncompressedSize }: TransactionPayload,
  read: ReadEvent,
): AsyncGenerator<BinlogEvent> {
  const inflate = createZstdDecompress({ chunkSize: 256 * 1024 })
  inflate.end(bytes.subarray(start, end))
  // Pieces are joined only when the event that they begin is complete: joining at each piece would
  // copy an event of a gigabyte thousands of times.
  let held: Uint8Array[] = []
  let heldBytes = 0
  let wanted = HEADER_BYTES
  let total = 0
  try {
    for await (const chunk of piecesOf(inflate)) {
      total += chunk.length
      if (total > uncompressedSize) throw corrupt(WRONG_SIZE)
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes < wanted) continue
      const joined = held.length === 1 ? chunk : Buffer.concat(held)
      let at = 0
      for (;;) {
        wanted = sizeAt(joined, at, joined.length)
        if (at + wanted > joined.length) break
        yield read(joined, at, at + wanted)
        at += wanted
      }
      held = at < joined.length ? [joined.subarray(at)] : []
      heldBytes = joined.length - at
      if (wanted === Infinity) wanted = HEADER_BYTES
    }
  } finally {
    inflate.destroy()
  }
  if (total !== uncompressedSize || heldBytes > 0) throw corrupt(WRONG_SIZE)
}

async function* piecesOf(stream: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (cause) {
    throw notInflatable(cause)
  }
}
