// Which topics there are, and where reading of a partition begins that was never read: as `start`
// says at the very first start, and at its first record whenever else it appears.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { KafkaOptions } from './options.ts'
import type { Place } from './place.ts'
import type { Cluster, OffsetWanted, PartitionName } from './wire/cluster.ts'
import { NO_TOPIC_ID } from './wire/metadata.ts'

/** What the source asks of a cluster; a test may play it. */
export type ClusterPort = Pick<
  Cluster,
  'metadata' | 'offsets' | 'groupOffsets' | 'commitGroupOffsets' | 'close'
>

export interface Topic {
  readonly name: string
  readonly id: string
  readonly partitions: number
}

/**
 * @returns topics that are selected and there; what is unavailable for now is left out
 * @throws PipelineError SERVER_UNSUITABLE when they cannot be told from later ones of their names
 */
export async function selectedTopics(
  cluster: ClusterPort,
  selects: (topic: string) => boolean,
): Promise<readonly Topic[]> {
  const { topics } = await cluster.metadata(null)
  const found: Topic[] = []
  for (const { name, topicId, internal, problem, partitions } of topics.values()) {
    if (internal || problem !== null || !selects(name)) continue
    if (topicId === NO_TOPIC_ID) {
      throw new PipelineError('SERVER_UNSUITABLE', `the cluster gives topic "${name}" no id`, {
        detail: 'A topic that is deleted and made again could not be told from the one before.',
        hint: 'Upgrade the brokers to 2.8 or newer, `inter.broker.protocol.version` included.',
      })
    }
    found.push({ name, id: topicId, partitions: partitions.length })
  }
  return found
}

/** @returns places of all partitions of the topics, for the very first start */
export async function firstPlaces(
  cluster: ClusterPort,
  topics: readonly Topic[],
  { start, isolation }: Pick<KafkaOptions, 'start' | 'isolation'>,
): Promise<readonly Place[]> {
  const partitions = topics.flatMap(partitionsOf)
  switch (start.at) {
    case 'earliest':
    case 'latest':
      return offsetsOf(cluster, partitions, start.at, isolation)
    case 'timestamp':
      return offsetsOf(cluster, partitions, start.timestampMs, isolation)
    case 'group': {
      const names = partitions.map(({ topic, partition }) => ({ topic, partition }))
      const known = await cluster.groupOffsets(start.group, names)
      return givenOr(cluster, partitions, isolation, ({ topic, partition }) => {
        const found = known.find((one) => one.topic === topic && one.partition === partition)
        return found?.offset
      })
    }
    case 'offsets':
      return givenOr(cluster, partitions, isolation, ({ topic, partition }) =>
        Object.hasOwn(start.offsets, topic) ? start.offsets[topic]?.[partition] : undefined,
      )
  }
}

/** @returns places of partitions of a topic that was not there before */
export async function newPlaces(
  cluster: ClusterPort,
  topic: Topic,
  isolation: KafkaOptions['isolation'],
): Promise<readonly Place[]> {
  return offsetsOf(cluster, partitionsOf(topic), 'earliest', isolation)
}

/**
 * Places of partitions that a known topic got more: they begin at 0, whatever the first record is
 * now. What retention has taken before it was read is a loss, and must be said.
 */
export function addedPlaces(topic: Topic, from: number): readonly Place[] {
  return partitionsOf(topic)
    .slice(from)
    .map((one) => placeAt(one, 0))
}

type Partition = PartitionName & { readonly topicId: string }

function partitionsOf({ name: topic, id: topicId, partitions }: Topic): Partition[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, topicId, partition }))
}

function placeAt({ topic, topicId, partition }: Partition, offset: number): Place {
  return { topic, topicId, partition, offset, leaderEpoch: -1, timestampMs: -1 }
}

async function givenOr(
  cluster: ClusterPort,
  partitions: readonly Partition[],
  isolation: KafkaOptions['isolation'],
  given: (one: Partition) => number | undefined,
): Promise<readonly Place[]> {
  const others = partitions.filter((one) => given(one) === undefined)
  const named = partitions.flatMap((one) => {
    const offset = given(one)
    return offset === undefined ? [] : [placeAt(one, offset)]
  })
  return [...named, ...(await offsetsOf(cluster, others, 'earliest', isolation))]
}

/** @throws PipelineError CONNECT_FAILED: a partition has no leader to be asked */
async function offsetsOf(
  cluster: ClusterPort,
  partitions: readonly Partition[],
  wanted: OffsetWanted,
  isolation: KafkaOptions['isolation'],
): Promise<readonly Place[]> {
  if (partitions.length === 0) return []
  const found = await cluster.offsets(partitions, wanted, isolation)
  return partitions.map((one, index) => placeAt(one, knownOffset(one, found[index])))
}

export function knownOffset(
  { topic, partition }: PartitionName,
  found: { readonly offset: number | null; readonly detail: string } | undefined,
): number {
  if (found !== undefined && found.offset !== null) return found.offset
  throw new PipelineError(
    'CONNECT_FAILED',
    `partition ${partition} of topic "${topic}" does not say how far it goes`,
    found === undefined ? {} : { detail: `${found.detail}.` },
  )
}
