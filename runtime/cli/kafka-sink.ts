// What the commands make of a sink into topics. The connector is loaded here only: pipelines into a
// lake do not pay for it.

import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import { tableKey } from '../data/schema.ts'
import type { KafkaSinkConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import { sourceSelector } from '../job/config/selector.ts'
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
    codec: sink.compression,
    transactionalId,
    timeoutMs,
    create,
    targetOf: lakeTargets(config),
    states: plan.states,
    firstFileId: plan.firstFileId,
  })
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
      await committer.commit([await pending.read()], signal)
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
  return checkKafkaSink({
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
}
