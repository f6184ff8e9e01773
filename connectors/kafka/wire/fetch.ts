// The Fetch request and its answer: v13, which names topics by id, or v12, by name, for brokers
// before Kafka 3.1. Always a whole request, without a fetch session: what is asked of a broker
// changes with every answer. The answer's records stay bytes; nothing is made per record.
//
// Fetch v12/v13 (https://kafka.apache.org/43/design/protocol/):
//   throttle_time_ms i32 | error_code i16 | session_id i32 | [topic] | tags
//   topic: topic_id uuid, or name in v12 | [partition] | tags
//   partition: index i32 | error_code i16 | high_watermark i64 | last_stable_offset i64 |
//     log_start_offset i64 | [producer_id i64, first_offset i64, tags] |
//     preferred_read_replica i32 | records | tags, of which 0 is diverging_epoch: epoch i32,
//     end_offset i64, tags
// Lengths are unsigned varints of one more than they mean, 0 for null.

import { type Connection, type Reader, Writer } from '@platformatic/kafka'
import { AbortedFilter } from '../decode/aborted.ts'
import { int16At, int32At, int64At } from '../decode/integers.ts'
import type { BrokerConnection } from './connection.ts'
import type { Isolation } from './cluster.ts'

export const FETCH_BY_ID = { key: 1, version: 13 } as const
export const FETCH_BY_NAME = { key: 1, version: 12 } as const

export interface FetchPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  /** As metadata has it now; -1: not known. */
  readonly currentLeaderEpoch: number
  /** Of the record before `offset`: the broker says when its log has another history. */
  readonly lastEpoch: number
  readonly bytesMax: number
}

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly bytesMax: number
  readonly isolation: Isolation
  /** In the order in which the broker is to fill the answer. */
  readonly partitions: readonly FetchPartition[]
}

export interface FetchedPartition {
  /** Topic id, or name where brokers are asked by name. */
  readonly topicKey: string
  readonly partition: number
  readonly code: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Where the leader's history leaves ours; `null`: it does not. */
  readonly diverging: { readonly epoch: number; readonly endOffset: number } | null
  /** `null`: nothing was aborted in what came, or records of all transactions were asked for. */
  readonly aborted: AbortedFilter | null
  /** A view of the whole answer. */
  readonly records: Buffer
}

export interface FetchAnswer {
  readonly throttleMs: number
  readonly code: number
  readonly partitions: readonly FetchedPartition[]
}

/** How a topic is named to this broker and in its answers. */
export function topicKeyOf(
  one: { readonly topic: string; readonly topicId: string },
  byId: boolean,
): string {
  return byId ? one.topicId : one.topic
}

/** @throws Error of the library: the connection is gone */
export async function fetchFrom(
  connection: BrokerConnection,
  request: FetchRequest,
  byId: boolean,
): Promise<FetchAnswer> {
  const { key, version } = byId ? FETCH_BY_ID : FETCH_BY_NAME
  const payload = (): Writer => encode(request, byId)
  const parse = (_id: number, _key: number, _version: number, { buffer }: Reader): FetchAnswer =>
    new AnswerParser(buffer.buffer, byId).parse()
  return connection.owing(
    async (library: Connection) =>
      new Promise<FetchAnswer>((resolve, reject) => {
        library.send<FetchAnswer>(key, version, payload, parse, true, true, (error, answer) => {
          if (error !== null) reject(error)
          else if (answer === undefined) reject(new Error('the library gave no answer'))
          else resolve(answer)
        })
      }),
  )
}

const NO_REPLICA = -1
const NO_SESSION = 0
const WITHOUT_SESSION = -1

function encode(
  { maxWaitMs, bytesMax, isolation, partitions }: FetchRequest,
  byId: boolean,
): Writer {
  const topics = new Map<string, FetchPartition[]>()
  for (const one of partitions) {
    const key = topicKeyOf(one, byId)
    topics.set(key, [...(topics.get(key) ?? []), one])
  }
  return Writer.create()
    .appendInt32(NO_REPLICA)
    .appendInt32(maxWaitMs)
    .appendInt32(1)
    .appendInt32(bytesMax)
    .appendInt8(isolation === 'read_committed' ? 1 : 0)
    .appendInt32(NO_SESSION)
    .appendInt32(WITHOUT_SESSION)
    .appendArray([...topics], (w, [key, all]) => {
      if (byId) w.appendUUID(key)
      else w.appendString(key)
      w.appendArray(all, (w, one) => {
        w.appendInt32(one.partition)
          .appendInt32(one.currentLeaderEpoch)
          .appendInt64(BigInt(one.offset))
          .appendInt32(one.lastEpoch)
          .appendInt64(-1n)
          .appendInt32(one.bytesMax)
      })
    })
    .appendArray<never>([], () => {})
    .appendString('')
    .appendTaggedFields()
}

/** Reads one answer; a length that its bytes cannot hold ends in a RangeError. */
class AnswerParser {
  readonly #bytes: Buffer
  readonly #byId: boolean
  #at = 0

  constructor(bytes: Buffer, byId: boolean) {
    this.#bytes = bytes
    this.#byId = byId
  }

  parse(): FetchAnswer {
    const throttleMs = this.#int32()
    const code = this.#int16()
    this.#skip(4)
    const partitions: FetchedPartition[] = []
    for (let topics = this.#length(); topics > 0; topics--) {
      const topicKey = this.#byId ? this.#uuid() : this.#string()
      for (let count = this.#length(); count > 0; count--)
        partitions.push(this.#partition(topicKey))
      this.#tags()
    }
    this.#tags()
    return { throttleMs, code, partitions }
  }

  #partition(topicKey: string): FetchedPartition {
    const partition = this.#int32()
    const code = this.#int16()
    const highWatermark = this.#int64()
    const lastStableOffset = this.#int64()
    const logStartOffset = this.#int64()
    const aborted = this.#aborted()
    this.#skip(4)
    const length = Math.max(0, this.#length())
    const start = this.#skip(length)
    const records = this.#bytes.subarray(start, start + length)
    const diverging = this.#tags()
    const offsets = { highWatermark, lastStableOffset, logStartOffset }
    return { topicKey, partition, code, ...offsets, diverging, aborted, records }
  }

  #aborted(): AbortedFilter | null {
    const count = this.#length()
    if (count <= 0) return null
    const filter = new AbortedFilter()
    for (let index = 0; index < count; index++) {
      const producer = this.#int64()
      filter.add(producer, this.#int64())
      this.#tags()
    }
    return filter
  }

  /** Passes over tagged fields. @returns the diverging epoch, which only a partition can have */
  #tags(): FetchedPartition['diverging'] {
    let diverging: FetchedPartition['diverging'] = null
    for (let count = this.#varint(); count > 0; count--) {
      const tag = this.#varint()
      const size = this.#varint()
      const start = this.#skip(size)
      if (tag === 0 && size >= 12) {
        const epoch = int32At(this.#bytes, start)
        if (epoch >= 0) diverging = { epoch, endOffset: int64At(this.#bytes, start + 4) }
      }
    }
    return diverging
  }

  /** @returns where the skipped bytes begin */
  #skip(count: number): number {
    const start = this.#at
    if (count < 0 || start + count > this.#bytes.length) {
      throw new RangeError('an answer to Fetch ends before its end')
    }
    this.#at = start + count
    return start
  }

  #int16(): number {
    return int16At(this.#bytes, this.#skip(2))
  }

  #int32(): number {
    return int32At(this.#bytes, this.#skip(4))
  }

  #int64(): number {
    return int64At(this.#bytes, this.#skip(8))
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#skip(1)] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('an answer to Fetch has a length without end')
  }

  /** -1: null. */
  #length(): number {
    return this.#varint() - 1
  }

  #string(): string {
    const length = this.#length()
    const start = this.#skip(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  #uuid(): string {
    const start = this.#skip(16)
    const hex = this.#bytes.toString('hex', start, start + 16)
    const cuts = [0, 8, 12, 16, 20, 32]
    return cuts
      .slice(1)
      .map((end, index) => hex.slice(cuts[index], end))
      .join('-')
  }
}
