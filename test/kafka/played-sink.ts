// What tests of the sink into topics tell its writer, and what a checkpoint would keep of an epoch.

import type { KafkaCommittable } from '../../connectors/kafka/sink/committable.ts'
import type { KafkaWriterOptions } from '../../connectors/kafka/sink/writer.ts'
import { namesOf } from '../../runtime/data/schema.ts'
import type { Intent } from '../../runtime/sink.ts'
import { clusterOptions } from './reading.ts'

export function writerOptions(
  brokers: readonly string[],
  more: Partial<KafkaWriterOptions> = {},
): KafkaWriterOptions {
  return {
    pipeline: 'p',
    cluster: clusterOptions(brokers),
    mode: 'upsert',
    topic: '{namespace}.{table}',
    envelope: 'none',
    tombstones: true,
    codec: 'lz4',
    transactionalId: 'millrace-p',
    timeoutMs: 60_000,
    create: null,
    targetOf: namesOf,
    states: [],
    firstFileId: 1,
    ...more,
  }
}

export function intentOf(
  epoch: number,
  committables: readonly KafkaCommittable[],
): Intent<KafkaCommittable> {
  const tables = committables.map((committable) => ({
    table: committable.table,
    snapshotId: 1n,
    schemas: [],
    tableUuid: null,
    lastIntent: null,
    committables: [committable],
  }))
  const position = { split: '', order: 0n, token: '' }
  return { pipeline: 'p', timeline: 1, epoch, fence: '', position, sourceTimeUs: 0n, tables }
}
