// The Produce request: batches that are bytes already, to one broker, with the answer of every
// partition. Always for all replicas in sync (acks -1): what is said to be written is not lost with
// one broker.

import { createAPI, produceV10, produceV11, produceV9, Writer } from '@platformatic/kafka'
import type { BrokerConnection } from './connection.ts'

export interface ProducedBatch {
  readonly topic: string
  readonly partition: number
  /** One record batch. */
  readonly records: Buffer
}

export interface ProduceRequest {
  /** `null`: outside of transactions. */
  readonly transactionalId: string | null
  /** How long the leader waits for the other replicas. */
  readonly timeoutMs: number
  /** At most one a partition. */
  readonly batches: readonly ProducedBatch[]
}

/** What became of one partition's batch; `code` 0: it is in the log from `baseOffset` on. */
export interface ProducedAnswer {
  readonly topic: string
  readonly partition: number
  readonly code: number
  readonly baseOffset: bigint
  readonly message: string | null
}

type ProduceResponse = ReturnType<typeof produceV11.parseResponse>

const ALL_REPLICAS = -1
const KEY = 0

// One form of the request: the versions differ in what an answer may say beside.
const APIS = [
  createAPI<[ProduceRequest], ProduceResponse>(KEY, 11, encode, produceV11.parseResponse),
  createAPI<[ProduceRequest], ProduceResponse>(KEY, 10, encode, produceV10.parseResponse),
  createAPI<[ProduceRequest], ProduceResponse>(KEY, 9, encode, produceV9.parseResponse),
]

/** @throws PipelineError CONNECT_FAILED: whether the batches were written is not known */
export async function produceTo(
  connection: BrokerConnection,
  request: ProduceRequest,
): Promise<readonly ProducedAnswer[]> {
  const { responses } = await connection.call(APIS, request)
  return responses.flatMap(({ name: topic, partitionResponses }) =>
    partitionResponses.map(({ index: partition, errorCode: code, baseOffset, errorMessage }) => {
      return { topic, partition, code, baseOffset, message: errorMessage ?? null }
    }),
  )
}

function encode({ transactionalId, timeoutMs, batches }: ProduceRequest): Writer {
  const topics = new Map<string, ProducedBatch[]>()
  for (const batch of batches) {
    const known = topics.get(batch.topic)
    if (known === undefined) topics.set(batch.topic, [batch])
    else known.push(batch)
  }
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ALL_REPLICAS)
    .appendInt32(timeoutMs)
    .appendArray([...topics], (topic, [name, all]) => {
      topic.appendString(name).appendArray(all, (entry, { partition, records }) => {
        entry.appendInt32(partition).appendBytes(records)
      })
    })
    .appendTaggedFields()
}
