// From what the file says of Kafka to what the source is told: rules over several keys, each with a
// message at its place.

import type { ConnectionContext } from './connection.ts'
import type { ConfigDocument } from './document.ts'
import { resolveTopicTime } from './event-time.ts'
import { checkPattern } from './pattern-check.ts'
import { resolveLimits } from './limits.ts'
import type { KafkaSourceConfig, KafkaStart, OnErrorConfig, SinkMode } from './pipeline-config.ts'
import { resolveFormat } from './resolve-formats.ts'
import { resolveEndpoint } from './resolve-kafka-endpoint.ts'
import type { PipelineInput } from './schema.ts'
import { CHANGE_FORMATS } from './schema-formats.ts'
import type { KafkaInput } from './schema-kafka.ts'
import { TOPIC_SHAPE } from './selector.ts'

export function resolveKafka(
  input: KafkaInput,
  mode: SinkMode,
  context: ConnectionContext,
): KafkaSourceConfig {
  const { document } = context
  checkTopics(input, document)
  const key = input.key ?? (input.value.format === 'raw' ? input.value : null)
  const primaryKeys = input.primary_keys ?? null
  // Changes that say their types name the columns that tell rows apart, too.
  const declares = 'columns' in input.value && input.value.columns !== undefined
  const saysKey = CHANGE_FORMATS.includes(input.value.format) && !declares
  if (mode === 'upsert' && primaryKeys === null && !saysKey) {
    const message =
      'sink.mode upsert needs source.primary_keys, the columns that tell rows apart; ' +
      'append and changelog do not'
    document.report(['source'], { error: 'TABLE_WITHOUT_KEY', message })
  }
  if (input.key !== undefined && CHANGE_FORMATS.includes(input.key.format)) {
    const message = `source.key.format: ${input.key.format} is a format of values`
    document.report(['source', 'key', 'format'], { error: 'CONFIG_VALUE', message })
  }
  const nullValue = input.null_value ?? defaultNullValue(input)
  if (nullValue === 'delete' && primaryKeys === null) {
    const message = 'source.null_value: delete needs source.primary_keys and a source.key with them'
    document.report(['source', 'null_value'], { error: 'CONFIG_VALUE', message })
  }
  return {
    type: 'kafka',
    ...resolveEndpoint(input, ['source'], context),
    topics: input.topics,
    topicsExclude: input.topics_exclude,
    namespace: input.namespace,
    groupId: input.group_id ?? null,
    start: resolveStart(input.start, document),
    isolation: input.isolation,
    nullValue,
    onRecreate: input.on_recreate,
    metadata: [...new Set(input.metadata)],
    primaryKeys,
    key: key === null ? null : resolveFormat(key, ['source', 'key'], context),
    value: resolveFormat(input.value, ['source', 'value'], context),
    limits: resolveLimits(input.limits, document),
    ...resolveTopicTime(input, document),
  }
}

/** Dead letters are rows of a table beside the others, which loses no row. */
export function resolveOnError(
  { on_error: input, source, transform, name: pipeline, partition_ready: ready }: PipelineInput,
  mode: SinkMode,
  document: ConfigDocument,
): OnErrorConfig {
  const diverting = divertingKeys(source, input?.decode, ready)
  const records = source.type === 'kafka' && diverting.length > 0
  const rows = transform.some((entry) => entry.on_error === 'dlq')
  const config: OnErrorConfig = {
    decode: input?.decode ?? 'stop',
    dlqRowsMax: input?.max_dlq_rows ?? null,
    dlqRatioMax: input?.max_dlq_ratio ?? null,
    deadLetters: records || rows ? lettersTable(source, pipeline) : null,
  }
  const fault = (message: string, path: readonly string[]): void => {
    document.report([...path], { error: 'CONFIG_UNSUPPORTED', message })
  }
  if (input !== undefined && source.type !== 'kafka' && (!rows || config.decode === 'dlq')) {
    const entries = '`on_error: dlq` in an entry of `transform` sets rows aside'
    fault(
      `on_error is not supported for ${source.type}: a table with such a row is parked; ${entries}`,
      ['on_error'],
    )
  } else if (records && mode === 'upsert') {
    const [path = []] = diverting
    const name = path.join('.')
    fault(
      `${name}: dlq needs sink.mode append or changelog: those of records go nowhere else yet`,
      path,
    )
  }
  return config
}

/** @returns the keys that make dead letters of rows */
function divertingKeys(
  source: PipelineInput['source'],
  decode: OnErrorConfig['decode'] | undefined,
  ready: PipelineInput['partition_ready'],
): (readonly string[])[] {
  const keys: (readonly string[])[] = decode === 'dlq' ? [['on_error', 'decode']] : []
  if (source.type !== 'kafka') return keys
  if (source.null_value === 'dlq') keys.push(['source', 'null_value'])
  if (source.event_time?.future === 'dlq') keys.push(['source', 'event_time', 'future'])
  for (const [table, { late }] of Object.entries(ready)) {
    if (late === 'dlq') keys.push(['partition_ready', table, 'late'])
  }
  return keys
}

/** Of the dead letters of a database, which has no place for them. */
const LETTERS_NAMESPACE = 'millrace'

/**
 * @param source  a database has no namespace
 * @returns where a pipeline's dead letters go, if there are any
 */
export function lettersTable(
  { namespace = LETTERS_NAMESPACE }: { readonly type: string; readonly namespace?: string },
  pipeline: string,
): { readonly namespace: string; readonly name: string } {
  return { namespace, name: `${pipeline}_dlq` }
}

function defaultNullValue(input: KafkaInput): KafkaSourceConfig['nullValue'] {
  if (input.primary_keys !== undefined) return 'delete'
  return input.value.format === 'raw' ? 'row' : 'error'
}

function checkTopics(input: KafkaInput, document: ConfigDocument): void {
  for (const name of ['topics', 'topics_exclude'] as const) {
    for (const [index, pattern] of input[name].entries()) {
      checkPattern(pattern, TOPIC_SHAPE, ['source', name, index], document)
    }
  }
}

function resolveStart(written: KafkaInput['start'], document: ConfigDocument): KafkaStart {
  if (typeof written === 'string') return { at: written }
  if ('timestamp' in written) return { at: 'timestamp', timestampMs: written.timestamp }
  if ('group' in written) return { at: 'group', group: written.group }
  for (const [topic, offsets] of Object.entries(written.offsets)) {
    for (const partition of Object.keys(offsets)) {
      if (/^\d{1,9}$/.test(partition)) continue
      const path = ['source', 'start', 'offsets', topic, partition]
      const message = `source.start.offsets of ${topic}: "${partition}" is no number of a partition`
      document.report(path, { error: 'CONFIG_VALUE', message, atKey: true })
    }
  }
  return { at: 'offsets', offsets: written.offsets }
}
