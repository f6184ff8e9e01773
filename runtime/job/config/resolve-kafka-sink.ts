// From `sink: { type: kafka }` to what the pipeline is told.

import type { ConnectionContext } from './connection.ts'
import type { KafkaSinkConfig } from './pipeline-config.ts'
import { resolveEndpoint } from './resolve-kafka-endpoint.ts'
import type { PipelineInput } from './schema.ts'
import type { KafkaSinkInput } from './schema-kafka-sink.ts'

/** An epoch is under way, the one before it is being committed, and a restart takes its time. */
const INTERVALS = 3

export function topicMode(
  sink: KafkaSinkInput,
  source: PipelineInput['source'],
): KafkaSinkConfig['mode'] {
  return sink.mode ?? (source.type === 'kafka' ? 'append' : 'upsert')
}

/** Reports what is wrong. */
export function resolveKafkaSink(
  sink: KafkaSinkInput,
  input: PipelineInput,
  context: ConnectionContext,
): KafkaSinkConfig {
  const { document } = context
  const { name, pipeline, partition_ready: ready } = input
  const { create_topics: create, transaction_timeout: timeoutMs } = sink
  if ((pipeline.parallelism ?? 1) > 1) {
    const message =
      'pipeline.parallelism is not supported for sink.type kafka: an epoch is one transaction, ' +
      'which one writer has'
    document.report(['pipeline', 'parallelism'], { error: 'CONFIG_UNSUPPORTED', message })
  }
  if (Object.keys(ready).length > 0) {
    const message =
      'partition_ready is not supported for sink.type kafka: topics have no such partitions'
    document.report(['partition_ready'], { error: 'CONFIG_UNSUPPORTED', message, atKey: true })
  }
  if (INTERVALS * pipeline.checkpoint.interval > timeoutMs) {
    const message =
      `sink.transaction_timeout is less than ${INTERVALS} intervals of checkpoints: ` +
      'transactions may be aborted, and are written again then'
    const problem = { error: 'CONFIG_VALUE', message, severity: 'warning' } as const
    document.report(['sink', 'transaction_timeout'], problem)
  }
  const unknown = sink.topic.replaceAll(/\{(?:namespace|table)\}/g, '')
  if (/[^A-Za-z0-9._-]/.test(unknown)) {
    const message = `sink.topic: "${sink.topic}" is no pattern of a topic`
    document.report(['sink', 'topic'], { error: 'CONFIG_VALUE', message })
  }
  const {
    partitions = null,
    replication_factor: replicationFactor = null,
    config = {},
  } = typeof create === 'boolean' ? {} : create
  const settings = Object.entries(config).map(([key, value]) => [key, String(value)])
  return {
    type: 'kafka',
    endpoint: resolveEndpoint(sink, ['sink'], context),
    mode: topicMode(sink, input.source),
    topic: sink.topic,
    envelope: sink.envelope,
    tombstones: sink.tombstones,
    compression: sink.compression,
    transactionalId: sink.transactional_id ?? `millrace-${name}`,
    timeoutMs,
    create:
      create === false
        ? null
        : { partitions, replicationFactor, config: Object.fromEntries(settings) },
  }
}
