// From a pipeline's configuration to its run: where its state lies, which threads it has, and who
// commits. Everything below is told what to do here and nowhere else.

import { existsSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { Log, LogFacts } from '../base/log.ts'
import { moduleUrl } from '../base/module-url.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import type { PipelineConfig, SourceConfig } from '../job/config/pipeline-config.ts'
import type {
  SourceCommand,
  SourceReport,
  SourceTaskOptions,
  WriterCommand,
  WriterReport,
} from '../job/messages.ts'
import { lockIsFree } from '../job/lock.ts'
import { moveDamagedAside } from '../job/requests.ts'
import { runPipeline, type PipelineParts } from '../job/run.ts'
import { spawnWorker } from '../job/worker-port.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Committer } from '../sink.ts'
import type { SourceInspector } from '../source.ts'
import { announcements } from './announcements.ts'
import { committerParts, deleteLeftovers, heldFiles } from './committer-connector.ts'
import { lakeColumnsOf, openCommitter } from './committer-connector.ts'
import { requireWarehouse } from './folders.ts'
import { openInspector } from './inspectors.ts'
import { settleTopics } from './kafka-sink.ts'
import { LakeCounter } from './lake-counter.ts'
import { namingOwner } from './lock-owner.ts'
import { requireSamePartitions } from './partitioning.ts'
import { shellWord } from './query-hints.ts'
import { requireSelection, selectionFaults, selectsNone } from './selection.ts'
import { partCheckpoint, sinkParts } from './sink-parts.ts'
import { lockPath, openState } from './state-folder.ts'
import type { ExitReason, RunOptions } from './wiring.ts'
import { workerSeed } from './worker-seed.ts'

/** @throws PipelineError what ended the pipeline for good */
export async function runConfigured(
  config: PipelineConfig,
  options: RunOptions,
): Promise<ExitReason> {
  const { log, stop } = options
  const end = await namingOwner(
    config,
    (text) => log.warn(text),
    async () => {
      await lookAround(config, log)
      return runPipeline(pipelineParts(config, options), (control) => {
        if (stop.aborted) control.stop()
        else stop.addEventListener('abort', () => control.stop(), { once: true })
      })
    },
  )
  return end === 'finished' ? 'finished' : 'stopped'
}

/** What a start looks at before it takes the lock; whoever holds it has done so. */
async function lookAround(config: PipelineConfig, log: Log): Promise<void> {
  const path = lockPath(config)
  if (existsSync(path) && !lockIsFree(path)) return
  const state = openState(config)
  for (const moved of await moveDamagedAside(state)) {
    log.warn('a request cannot be read; it is kept for you to look at', { path: state.uri(moved) })
  }
  const first = (await new CheckpointStore(state).epochs()).length === 0
  if (first) await requireSelected(config, log)
  else for (const part of config.parts ?? [config]) await requireWarehouse(part, state)
}

/**
 * At the very first start the patterns must match what they name. Later a table may have been
 * dropped, and the pipeline goes on with the others.
 */
async function requireSelected(config: PipelineConfig, log: Log): Promise<void> {
  const inspector = await openInspector(config, 'included')
  try {
    const tables = await inspector.discover()
    requireSelection(selectionFaults(config, tables), log)
    if (selectsNone(config.source, tables) && (await isUsable(inspector))) {
      throw new PipelineError('NO_TABLES', 'no table of the source matches `source.tables`')
    }
  } finally {
    await inspector.close()
  }
}

/** What is wrong with the server itself is said by the source, before it makes anything there. */
async function isUsable(inspector: SourceInspector): Promise<boolean> {
  const findings = await inspector.check()
  return findings.every(({ name, ok, warning }) => ok || warning || name === 'tables')
}

function pipelineParts(config: PipelineConfig, options: RunOptions): PipelineParts {
  const { log, logLevel } = options
  const state = openState(config)
  const lake = new LakeCounter()
  const seed = workerSeed(config, logLevel)
  const sinks = sinkParts(config)
  return {
    name: config.name,
    mode: config.sink.mode,
    ...(sinks === null ? {} : { parts: sinks }),
    state,
    lockPath: lockPath(config),
    parallelism: config.parallelism,
    intervalMs: config.checkpoint.intervalMs,
    maxFreshnessMs: freshnessOf(config),
    checkpointsKept: config.checkpoint.keep,
    task: {
      ...readingOf(config.source, options.once),
      keyed: config.sink.mode === 'upsert',
      appends: config.sink.mode === 'append',
      eventTime: config.source.eventTime,
      limits: config.source.limits,
      ...lakeColumnsOf(config),
    },
    clock: systemClock,
    createCommitter: async () => lake.watch(await firstCommitter(config, state, log)),
    requireContinuable: async (checkpoint) => {
      for (const part of config.parts ?? [config]) {
        await requireSamePartitions(part, state, partCheckpoint(part, checkpoint))
      }
    },
    announcements: announcements(config),
    ...settlingOf(config, state),
    heldFiles: (checkpoint) => heldFiles(config, state, checkpoint),
    deleteLeftovers: (checkpoint) => deleteLeftovers(config, state, checkpoint),
    spawnSource: () =>
      spawnWorker<SourceCommand, SourceReport>(
        moduleUrl(import.meta.url, './source-worker.ts'),
        seed,
      ),
    spawnWriter: (plan) => {
      if (plan.index === 0) lake.expect(plan.fileSuffix)
      return spawnWorker<WriterCommand, WriterReport>(
        moduleUrl(import.meta.url, './writer-worker.ts'),
        { ...seed, plan },
      )
    },
    onSnapshot: (snapshot) => options.onSnapshot({ ...snapshot, lake: lake.counts() }),
    onNotice: (level, message, facts) => log[level](message, forPasting({ ...facts }, config)),
  }
}

/** Only one of several sinks may hold rows back, and the others show all at every epoch. */
function freshnessOf({ sink, parts = [] }: PipelineConfig): number {
  const sinks = parts.length === 0 ? [sink] : parts.map((part) => part.sink)
  return Math.max(...sinks.map((one) => (one.type === 'iceberg' ? one.maxFreshnessMs : 0)))
}

/** Sinks that are one of several are opened when they are needed, but for the very first start. */
async function firstCommitter(
  config: PipelineConfig,
  state: ObjectStore,
  log: Log,
): Promise<Committer<unknown>> {
  const parts = committerParts(config, state, log)
  if (parts === null) return openCommitter(config, state, log)
  if ((await new CheckpointStore(state).epochs()).length === 0) await parts.open()
  return parts
}

/** A transaction of Kafka does not last: it is finished before anything else is begun. */
function settlingOf(config: PipelineConfig, state: ObjectStore): Pick<PipelineParts, 'settle'> {
  const topics = (config.parts ?? [config]).find(({ sink }) => sink.type === 'kafka')
  if (topics?.sink.type !== 'kafka') return {}
  const { sink } = topics
  return { settle: (last, signal) => settleTopics(topics, sink, state, last, signal) }
}

/** A topic has no rows beside its log: its tables begin with what the log brings. */
function readingOf(
  source: SourceConfig,
  once: boolean,
): Pick<SourceTaskOptions, 'backfills' | 'rereads' | 'once' | 'backfillParallelism' | 'chunkRows'> {
  if (source.type === 'kafka') {
    return { backfills: false, rereads: false, once, backfillParallelism: 1, chunkRows: 1 }
  }
  const { startup, backfill } = source
  return {
    backfills: startup !== 'latest',
    rereads: true,
    once: once || startup === 'backfill_only',
    backfillParallelism: backfill.parallelism,
    chunkRows: backfill.chunkRows,
  }
}

/** Hints name the file and the table, so that their commands can be pasted. */
function forPasting(facts: LogFacts, { file }: PipelineConfig): LogFacts {
  const { hint, table } = facts
  if (typeof hint !== 'string') return facts
  const named =
    typeof table === 'string' ? hint.replace(/\bTABLE\b/g, () => shellWord(table)) : hint
  return { ...facts, hint: named.replace(/\bFILE\b/g, () => shellWord(file)) }
}
