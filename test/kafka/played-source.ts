// A source over a cluster in memory, and what the runtime has of it.

import type { KafkaOptions } from '../../connectors/kafka/options.ts'
import { createKafkaSource } from '../../connectors/kafka/source.ts'
import { PlayedCluster, type PlayedRecord } from './played-cluster.ts'
import { PlayedContext, playedOptions } from './played-context.ts'

/** A record. */
export function at(
  value: string | Uint8Array | null,
  key: string | null = null,
  timestampMs = 1000,
): PlayedRecord {
  return { key, value, timestampMs }
}

export interface Setup {
  readonly cluster: PlayedCluster
  readonly context: PlayedContext
  readonly source: ReturnType<typeof createKafkaSource>
}

export function setUp(changes: Partial<KafkaOptions> = {}, cluster = new PlayedCluster()): Setup {
  const options = playedOptions(changes)
  const source = createKafkaSource(options, cluster.wire())
  return { cluster, context: new PlayedContext(options.primaryKeys !== null), source }
}

/** Values of the rows of a table, raw or staged. */
export function valuesOf(context: PlayedContext, table = 'kafka.t'): string[] {
  return context.rows
    .filter((row) => row.table === table)
    .map(({ values }) => `${(values['value'] ?? values['c1'] ?? null) as string | null}`)
}
