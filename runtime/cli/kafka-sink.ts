// What the commands make of a sink into topics. The connector is loaded here only: pipelines into a
// lake do not pay for it.

import type { WrittenFormat } from '../../connectors/kafka/sink/encoders.ts'
import { PipelineError } from '../base/errors.ts'
import { type Log, silentLog } from '../base/log.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import { tableKey } from '../data/schema.ts'
import type {
  KafkaSinkConfig,
  PipelineConfig,
  WrittenFormatConfig,
} from '../job/config/pipeline-config.ts'
import { sourceSelector } from '../job/config/selector.ts'
import { intentOfPart } from '../job/parts-committer.ts'
import type { WriterPlan } from '../job/run.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Committer, SinkWriter, WriterState } from '../sink.ts'
import type { DiscoveredTable, Finding } from '../source.ts'
import { clusterOptions } from './kafka-cluster.ts'
import { lakeTargets } from './lake-target.ts'

export async function openTopicWriter(
  config: PipelineConfig,
  sink: KafkaSinkConfig,
  plan: WriterPlan,
  log: Log,
): Promise<SinkWriter<unknown>> {
  const { createKafkaWriter } = await import('../../connectors/kafka/sink/writer.ts')
  const { mode, topic, envelope, tombstones, transactionalId, timeoutMs, create } = sink
  return createKafkaWriter({
    pipeline: config.name,
    cluster: clusterOptions(config.name, sink.endpoint),
    mode,
    topic,
    envelope,
    tombstones,
    formats: {
      key: await writtenFormat(sink.key, log),
      value: await writtenFormat(sink.value, log),
    },
    codec: sink.compression,
    transactionalId,
    timeoutMs,
    create,
    targetOf: lakeTargets(config),
    states: plan.states,
    firstFileId: plan.firstFileId,
  })
}

async function writtenFormat(config: WrittenFormatConfig, log: Log): Promise<WrittenFormat> {
  if (config.format === 'json') return config
  const { registryOptions } = await import('./schema-registry.ts')
  return { format: config.format, registry: registryOptions(config.registry, null, log) }
}

export async function openTopicCommitter(
  config: PipelineConfig,
  sink: KafkaSinkConfig,
  state: ObjectStore,
): Promise<Committer<unknown>> {
  const { createKafkaCommitter } = await import('../../connectors/kafka/sink/committer.ts')
  const cluster = clusterOptions(config.name, sink.endpoint)
  // The checkpoint carries committables as it found them; only this sink looks inside.
  return createKafkaCommitter({ cluster, state })
}

/**
 * A checkpoint says what a sink has prepared, which another kind of sink cannot finish.
 *
 * @throws PipelineError CONFIG_UNSUPPORTED
 */
export function requireSameSink(
  { sink }: PipelineConfig,
  { writers }: Pick<Checkpoint, 'writers'>,
): void {
  const isOfTopics = ({ data }: WriterState): boolean =>
    typeof data === 'object' && data !== null && 'sink' in data && data.sink === 'kafka'
  if (writers.every((writer) => isOfTopics(writer) === (sink.type === 'kafka'))) return
  const before = sink.type === 'kafka' ? 'into a lake' : 'into topics'
  throw new PipelineError('CONFIG_UNSUPPORTED', `the pipeline has written ${before} so far`, {
    detail: 'Its state is that of the other sink. Nothing was read or written.',
    hint: 'Give the pipeline of the new sink a name of its own, or drop this one first.',
  })
}

/**
 * Commits what a checkpoint has prepared.
 *
 * @returns false: the cluster has aborted it
 */
export async function settleTopics(
  config: PipelineConfig,
  sink: KafkaSinkConfig,
  state: ObjectStore,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<boolean> {
  if (checkpoint.intents.length === 0) return true
  const committer = await openTopicCommitter(config, sink, state)
  try {
    for (const pending of checkpoint.intents) {
      const intent = await pending.read()
      const own = config.part === undefined ? intent : intentOfPart(intent, config.part)
      if (own !== null) await committer.commit([own], signal)
    }
    return true
  } catch (error) {
    if (error instanceof PipelineError && error.error === 'TRANSACTION_ABORTED') return false
    throw error
  } finally {
    await committer.close()
  }
}

/** @param tables  all that the source has */
export async function checkTopics(
  config: PipelineConfig,
  sink: KafkaSinkConfig,
  tables: readonly DiscoveredTable[],
): Promise<readonly Finding[]> {
  const { checkKafkaSink } = await import('../../connectors/kafka/sink/inspect.ts')
  const selects = sourceSelector(config.source)
  const targetOf = lakeTargets(config)
  const { sasl } = sink.endpoint
  const findings = await checkKafkaSink({
    cluster: clusterOptions(config.name, sink.endpoint),
    user: sasl !== null && 'username' in sasl ? sasl.username : null,
    topic: sink.topic,
    transactionalId: sink.transactionalId,
    timeoutMs: sink.timeoutMs,
    creates: sink.create !== null,
    targets: tables
      .filter(({ namespace, name }) => selects(namespace, name))
      .map((table) => targetOf(tableKey(table))),
  })
  return [...findings, ...(await checkRegistries(config, sink))]
}

async function checkRegistries(config: PipelineConfig, sink: KafkaSinkConfig): Promise<Finding[]> {
  const written = [sink.value, sink.key].flatMap((side) => (side.format === 'json' ? [] : [side]))
  if (written.length === 0) return []
  const { registriesOf } = await import('./schema-registry.ts')
  const clientOf = registriesOf(config, silentLog)
  const clients = new Set(written.map(({ registry }) => clientOf(registry)))
  const findings: Finding[] = []
  for (const client of clients) {
    const finding = { name: 'sink.registry', warning: false, fix: null }
    try {
      const subjects = await client.subjects(new AbortController().signal)
      const message = `${client.name} has ${subjects.length} subjects`
      findings.push({ ...finding, ok: true, message })
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      findings.push({ ...finding, ok: false, message: error.message })
    }
  }
  return findings
}
