// From `sink: { type: kafka }` to what the pipeline is told.

import type { ConnectionContext } from './connection.ts'
import type { KafkaSinkConfig, WrittenFormatConfig } from './pipeline-config.ts'
import { resolveEndpoint } from './resolve-kafka-endpoint.ts'
import { type RegistryConfig, resolveRegistry } from './resolve-registry.ts'
import type { PipelineInput } from './schema.ts'
import type { KafkaSinkInput, WrittenFormatInput } from './schema-kafka-sink.ts'

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
  if (sink.envelope === 'debezium' && sink.value.format !== 'json') {
    const message = `sink.envelope: debezium is written as json only, not as ${sink.value.format}`
    document.report(['sink', 'envelope'], { error: 'CONFIG_UNSUPPORTED', message })
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
    ...resolveWritten(sink, context),
    compression: sink.compression,
    transactionalId: sink.transactional_id ?? `millrace-${name}`,
    timeoutMs,
    create:
      create === false
        ? null
        : { partitions, replicationFactor, config: Object.fromEntries(settings) },
  }
}

/** Keys that name no registry have that of the values. */
function resolveWritten(
  { key, value }: KafkaSinkInput,
  context: ConnectionContext,
): Pick<KafkaSinkConfig, 'key' | 'value'> {
  const ofValues = registryOf(value, 'value', context)
  const ofKeys = registryOf(key, 'key', context) ?? ofValues
  return {
    key: writtenAs(key, 'key', ofKeys, context),
    value: writtenAs(value, 'value', ofValues, context),
  }
}

function registryOf(
  format: WrittenFormatInput,
  side: 'key' | 'value',
  context: ConnectionContext,
): RegistryConfig | null {
  if (format.format === 'json' || format.registry === undefined) return null
  return resolveRegistry(format.registry, ['sink', side, 'registry'], context)
}

function writtenAs(
  { format }: WrittenFormatInput,
  side: 'key' | 'value',
  registry: RegistryConfig | null,
  { document }: ConnectionContext,
): WrittenFormatConfig {
  if (format === 'json') return { format }
  if (registry !== null) return { format, registry }
  const message = `sink.${side}.registry is needed: schemas of ${format} are registered`
  document.report(['sink', side], { error: 'CONFIG_VALUE', message })
  return { format: 'json' }
}
