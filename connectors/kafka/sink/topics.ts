// The topics of a sink: which one a table has, that it is there, and how many partitions it has.
// Their number counts from the first record of a run on: a topic that gets more gives a key another
// partition, as with every producer.

import { createTopicsV7 } from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { Cluster } from '../wire/cluster.ts'
import { failureOf, KafkaCode } from '../wire/failure.ts'

const NAME = /^[A-Za-z0-9._-]{1,249}$/
const WAIT_MS = 15_000
const POLL_MS = 50
/** The broker's own default. */
const DEFAULT = -1

export interface NewTopics {
  /** `null`: the broker's default. */
  readonly partitions: number | null
  readonly replicationFactor: number | null
  /** Settings by name, such as `cleanup.policy`. */
  readonly config: Readonly<Record<string, string>>
}

/**
 * @param pattern  with `{namespace}` and `{table}`
 * @throws PipelineError CONFIG_VALUE: Kafka takes no such name
 */
export function topicName(pattern: string, { namespace, name }: CatalogTable): string {
  const topic = pattern.replaceAll('{namespace}', namespace).replaceAll('{table}', name)
  if (NAME.test(topic) && topic !== '.' && topic !== '..') return topic
  const message = `table "${namespace}.${name}" would be topic "${topic}", which Kafka does not take`
  throw new PipelineError('CONFIG_VALUE', message, {
    hint: 'Give it another name by `route`; letters, digits, dots, `_` and `-` are taken.',
  })
}

/**
 * @param create  `null`: topics are made by others
 * @returns how many partitions it has
 * @throws PipelineError TOPIC_MISSING, PRIVILEGE_MISSING, CONNECT_FAILED
 */
export async function requireTopic(
  cluster: Cluster,
  topic: string,
  create: NewTopics | null,
): Promise<number> {
  const { clock } = cluster.options
  const endMs = clock.elapsedMs() + WAIT_MS
  let isMade = false
  for (;;) {
    const { topics } = await cluster.metadata([topic])
    const { partitions = [], problem = 'missing' } = topics.get(topic) ?? {}
    if (problem === 'unauthorized') {
      const hint = 'Grant WRITE, READ and DESCRIBE on it; `millrace check FILE` prints the command.'
      throw new PipelineError('PRIVILEGE_MISSING', `topic "${topic}" may not be seen`, { hint })
    }
    if (problem === null && partitions.length > 0) return partitions.length
    if (problem === 'missing' && create === null) {
      throw new PipelineError('TOPIC_MISSING', `topic "${topic}" does not exist`)
    }
    if (problem === 'missing' && create !== null && !isMade) {
      await createTopic(cluster, topic, create)
      isMade = true
    }
    if (clock.elapsedMs() > endMs) {
      throw new PipelineError('CONNECT_FAILED', `topic "${topic}" does not come into being`)
    }
    await clock.sleep(POLL_MS)
  }
}

async function createTopic(cluster: Cluster, topic: string, create: NewTopics): Promise<void> {
  const wanted = {
    name: topic,
    numPartitions: create.partitions ?? DEFAULT,
    replicationFactor: create.replicationFactor ?? DEFAULT,
    assignments: [],
    configs: Object.entries(create.config).map(([name, value]) => ({ name, value })),
  }
  try {
    const connection = await cluster.any()
    const { topics } = await connection.call([createTopicsV7.api], [wanted], WAIT_MS, false)
    const [answer] = topics
    const { errorCode = 0, errorMessage = null } = answer ?? {}
    if (errorCode === KafkaCode.NONE || errorCode === KafkaCode.TOPIC_ALREADY_EXISTS) return
    const said =
      errorMessage === null ? `error ${errorCode}` : `error ${errorCode}, ${errorMessage}`
    throw new PipelineError('TOPIC_MISSING', `topic "${topic}" cannot be made: ${said}`)
  } catch (error) {
    throw failureOf(`cannot make topic "${topic}"`, error)
  }
}
