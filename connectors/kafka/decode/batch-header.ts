// The fixed head of a record batch: where its fields lie, and the little that must be known of a
// batch before its turn comes. Nothing is decompressed or checked by CRC here.
//
// RecordBatch (https://kafka.apache.org/43/implementation/message-format/):
//   baseOffset i64 | batchLength i32 | partitionLeaderEpoch i32 | magic i8 | crc u32, which is
//   CRC-32C of all that follows | attributes i16 | lastOffsetDelta i32 | baseTimestamp i64 |
//   maxTimestamp i64 | producerId i64 | producerEpoch i16 | baseSequence i32 | count i32 |
//   records, maybe compressed
// The batch may be the last of an answer and cut off: batchLength counts from behind itself.

import { int32At, int64At } from './integers.ts'

export const LENGTH_AT = 8
/** Bytes of a batch that `batchLength` does not count. */
export const LENGTH_END = 12
export const LEADER_EPOCH_AT = 12
/** In the old message formats the same byte says which of them it is. */
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const COUNT_AT = 57
export const RECORDS_AT = 61

/** The one message format that is read: Kafka 0.11 and later, and nothing else since Kafka 4. */
export const MAGIC = 2

export const CODEC_MASK = 0x07
export const APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
export const CONTROL = 0x20

/** What lies in the bytes that an answer has for one partition. */
export interface BatchExtent {
  /** Of the whole batches; what lies behind is a batch that was cut off, or damage. */
  readonly bytes: number
  /** Where a fetch goes on behind them: it skips offsets that compaction has removed. */
  readonly nextOffset: number
  /** Of the last whole batch; -1: none. */
  readonly leaderEpoch: number
  /** Bytes of the batch that was cut off, as far as can be told; 0: none was. */
  readonly cutBytes: number
  /** Behind the whole batches is something that is no batch. Whoever decodes will say what. */
  readonly damaged: boolean
}

/**
 * Measures the whole batches by their heads, so that the next fetch can be sent before any of them
 * is decoded.
 *
 * @param from  offset that was asked for; the first batch may begin below it
 */
export function extentOf(bytes: Uint8Array, from: number): BatchExtent {
  let at = 0
  let nextOffset = from
  let leaderEpoch = -1
  while (at + LENGTH_END <= bytes.length) {
    const length = int32At(bytes, at + LENGTH_AT) + LENGTH_END
    const known = at + MAGIC_AT < bytes.length
    if (length < RECORDS_AT || (known && bytes[at + MAGIC_AT] !== MAGIC)) {
      return { bytes: at, nextOffset, leaderEpoch, cutBytes: 0, damaged: true }
    }
    if (at + length > bytes.length) {
      return { bytes: at, nextOffset, leaderEpoch, cutBytes: length, damaged: false }
    }
    const end = int64At(bytes, at) + int32At(bytes, at + LAST_OFFSET_DELTA_AT) + 1
    nextOffset = Math.max(nextOffset, end)
    leaderEpoch = int32At(bytes, at + LEADER_EPOCH_AT)
    at += length
  }
  const rest = bytes.length - at
  return { bytes: at, nextOffset, leaderEpoch, cutBytes: rest, damaged: false }
}
