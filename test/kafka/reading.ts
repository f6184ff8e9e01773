// Opens clusters and reads partitions for tests, with everything that was read as plain records.

import { systemClock } from '../../runtime/base/clock.ts'
import { Cluster, type PartitionName } from '../../connectors/kafka/wire/cluster.ts'
import type {
  ReadOptions,
  RecordReader,
  SplitPlace,
  SplitProblem,
  SplitState,
} from '../../connectors/kafka/wire/delivery.ts'
import { type ClusterOptions, SILENCE_MS } from '../../connectors/kafka/wire/options.ts'
import { openReader } from '../../connectors/kafka/wire/reader.ts'
import type { KafkaServer } from '../servers/kafka.ts'
import type { ModelRecord } from './batch-encoder.ts'
import { recordsOf } from './decoded.ts'

const WAIT_MS = 60_000

export function clusterOptions(
  brokers: readonly string[],
  options: Partial<ClusterOptions> = {},
): ClusterOptions {
  return {
    bootstrap: brokers.map((broker) => {
      const [host = '', port = ''] = broker.split(':')
      return { host, port: Number(port) }
    }),
    clientId: 'millrace-test',
    tls: { mode: 'disabled', ca: null, client: null },
    sasl: null,
    silenceMs: SILENCE_MS,
    clock: systemClock,
    ...options,
  }
}

/** Closes the cluster client whatever `work` does. */
export async function withCluster<T>(
  server: KafkaServer,
  work: (cluster: Cluster) => Promise<T>,
  options: Partial<ClusterOptions> = {},
): Promise<T> {
  const cluster = await Cluster.open(clusterOptions(server.brokers, options))
  try {
    return await work(cluster)
  } finally {
    await cluster.close()
  }
}

/** All partitions of the topic, from their first offset. */
export async function placesOf(cluster: Cluster, topic: string): Promise<SplitPlace[]> {
  const { topics } = await cluster.metadata([topic])
  const { topicId = '', partitions = [] } = topics.get(topic) ?? {}
  return partitions.map(({ partition }) => {
    return { topic, topicId, partition, offset: 0, leaderEpoch: -1 }
  })
}

/** A reader with all that came out of it so far. */
export class Reading {
  readonly reader: RecordReader
  readonly problems: SplitProblem[] = []
  /** By partition. */
  readonly records = new Map<number, ModelRecord[]>()

  constructor(cluster: Cluster, options: Partial<ReadOptions> = {}) {
    this.reader = openReader(cluster, options)
  }

  of(partition: number): readonly ModelRecord[] {
    return this.records.get(partition) ?? []
  }

  values(partition: number): string[] {
    return this.of(partition).map(({ value }) => String(value))
  }

  state({ topic, partition }: PartitionName): SplitState {
    const found = this.reader
      .states()
      .find((one) => one.topic === topic && one.partition === partition)
    if (found === undefined) throw new Error(`nobody reads ${topic} ${partition}`)
    return found
  }

  /** Reads until the condition holds; it is asked after each delivery, and often enough besides. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const endMs = performance.now() + WAIT_MS
    const { signal } = new AbortController()
    while (!condition()) {
      if (performance.now() > endMs) {
        throw new Error(`${what} did not come\n${JSON.stringify(this.reader.states(), null, 1)}`)
      }
      const taken = this.reader.take()
      if (taken === null) await this.reader.wait(100, signal)
      else if (taken.kind === 'problem') this.problems.push(taken)
      else {
        const all = this.records.get(taken.partition) ?? []
        this.records.set(taken.partition, all)
        for (let set = taken.next(); set !== null; set = taken.next()) all.push(...recordsOf(set))
      }
    }
  }

  /** Reads until all splits have been at their end. */
  async toTheEnd(): Promise<void> {
    await this.until('the end', () => this.reader.states().every(({ atEnd }) => atEnd))
  }
}
