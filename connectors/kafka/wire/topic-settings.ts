// The settings of topics that decide how long records can be read.

import { describeConfigsV4 } from '@platformatic/kafka'
import type { Cluster } from './cluster.ts'

export interface TopicSettings {
  /** `null`: for ever. */
  readonly retentionMs: number | null
  readonly retentionBytes: number | null
  readonly compacted: boolean
}

const TOPIC = 2
const KEYS = ['retention.ms', 'retention.bytes', 'cleanup.policy']

/** @returns by topic; those that this user may not ask about are left out */
export async function topicSettings(
  cluster: Cluster,
  topics: readonly string[],
): Promise<ReadonlyMap<string, TopicSettings>> {
  const { brokers } = await cluster.metadata([])
  const [node] = brokers.keys()
  const connection = node === undefined ? null : await cluster.connect(node)
  if (connection === null || topics.length === 0) return new Map()
  try {
    const wanted = topics.map((resourceName) => ({
      resourceType: TOPIC,
      resourceName,
      configurationKeys: KEYS,
    })) as Parameters<typeof describeConfigsV4.api.async>[1]
    const answer = await connection.call([describeConfigsV4.api], wanted, false, false)
    return new Map(
      answer.results
        .filter(({ errorCode }) => errorCode === 0)
        .map(({ resourceName, configs }) => [resourceName, settingsOf(configs)]),
    )
  } finally {
    connection.close()
  }
}

function settingsOf(
  configs: readonly { readonly name: string; readonly value?: string | null | undefined }[],
): TopicSettings {
  const value = (name: string): string | null =>
    configs.find((config) => config.name === name)?.value ?? null
  const limit = (name: string): number | null => {
    const number = Number(value(name) ?? -1)
    return number < 0 ? null : number
  }
  return {
    retentionMs: limit('retention.ms'),
    retentionBytes: limit('retention.bytes'),
    compacted: value('cleanup.policy')?.includes('compact') === true,
  }
}
