// What a cluster says of its topics: which id a name has now, and who leads each partition.

import { metadataV10, metadataV11, metadataV12 } from '@platformatic/kafka'
import type { BrokerConnection } from './connection.ts'
import { KafkaCode } from './failure.ts'
import type { BrokerAddress } from './options.ts'

/** The id of topics where the cluster has none. */
export const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'

export interface PartitionMetadata {
  readonly partition: number
  /** -1: there is none now. */
  readonly leader: number
  readonly leaderEpoch: number
}

export interface TopicMetadata {
  readonly name: string
  readonly topicId: string
  readonly internal: boolean
  /** missing: no such topic · unauthorized: DESCRIBE is not granted · unavailable: ask again. */
  readonly problem: 'missing' | 'unauthorized' | 'unavailable' | null
  /** By partition number, without gaps. */
  readonly partitions: readonly PartitionMetadata[]
}

export interface ClusterMetadata {
  readonly clusterId: string | null
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  readonly topics: ReadonlyMap<string, TopicMetadata>
}

type Response = Awaited<ReturnType<typeof metadataV12.api.async>>
type RawTopic = Response['topics'][number]

/** @param topics  `null`: all that may be seen */
export async function readMetadata(
  connection: BrokerConnection,
  topics: readonly string[] | null,
): Promise<ClusterMetadata> {
  const apis = [metadataV12.api, metadataV11.api, metadataV10.api] as (typeof metadataV12.api)[]
  const wanted = topics === null ? null : [...topics]
  const response = await connection.call(apis, wanted, false, false)
  return {
    clusterId: response.clusterId ?? null,
    brokers: new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }])),
    topics: new Map(response.topics.map((topic) => [topic.name ?? '', topicOf(topic)])),
  }
}

function topicOf(topic: RawTopic): TopicMetadata {
  const partitions = topic.partitions
    // A partition with an error (no leader, no listener) is there and has nobody to be asked.
    .map(({ partitionIndex: partition, leaderId: leader, leaderEpoch }) => ({
      partition,
      leader,
      leaderEpoch,
    }))
    .sort((one, other) => one.partition - other.partition)
  return {
    name: topic.name ?? '',
    topicId: topic.topicId,
    internal: topic.isInternal,
    problem: problemOf(topic.errorCode),
    partitions,
  }
}

function problemOf(code: number): TopicMetadata['problem'] {
  switch (code) {
    case KafkaCode.NONE:
      return null
    case KafkaCode.UNKNOWN_TOPIC_OR_PARTITION:
    case KafkaCode.UNKNOWN_TOPIC_ID:
      return 'missing'
    case KafkaCode.TOPIC_AUTHORIZATION_FAILED:
      return 'unauthorized'
    default:
      return 'unavailable'
  }
}
