// From a pipeline's configuration to its run: where its state lies, which threads it has, and who
// commits. Everything below is told what to do here and nowhere else.

import { systemClock } from '../base/clock.ts'
import { moduleUrl } from '../base/module-url.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { SourceCommand, SourceReport, WriterCommand, WriterReport } from '../job/messages.ts'
import { runPipeline, type PipelineParts } from '../job/run.ts'
import { spawnWorker } from '../job/worker-port.ts'
import { firstFieldIdOf, heldFiles, openCommitter } from './connectors.ts'
import { lockPath, openState } from './state-folder.ts'
import type { ExitReason, RunOptions } from './wiring.ts'
import { hashOfFile, type WorkerSeed } from './worker-seed.ts'

/** @throws PipelineError what ended the pipeline for good */
export async function runConfigured(
  config: PipelineConfig,
  options: RunOptions,
): Promise<ExitReason> {
  const end = await runPipeline(pipelineParts(config, options), (control) => {
    if (options.stop.aborted) control.stop()
    else options.stop.addEventListener('abort', () => control.stop(), { once: true })
  })
  return end === 'finished' ? 'finished' : 'stopped'
}

function pipelineParts(config: PipelineConfig, options: RunOptions): PipelineParts {
  const { log, logLevel } = options
  const state = openState(config)
  const seed: WorkerSeed = { file: config.file, fileHash: hashOfFile(config.file), logLevel }
  return {
    name: config.name,
    state,
    lockPath: lockPath(config),
    parallelism: config.parallelism,
    intervalMs: config.checkpoint.intervalMs,
    checkpointsKept: config.checkpoint.keep,
    task: {
      startup: config.source.startup,
      once: options.once,
      backfillParallelism: config.source.backfill.parallelism,
      chunkRows: config.source.backfill.chunkRows,
      keyed: config.sink.mode === 'upsert',
      appends: config.sink.mode === 'append',
      firstFieldId: firstFieldIdOf(config),
    },
    clock: systemClock,
    createCommitter: () => openCommitter(config, state, log),
    heldFiles: (checkpoint) => heldFiles(state, checkpoint),
    spawnSource: () =>
      spawnWorker<SourceCommand, SourceReport>(
        moduleUrl(import.meta.url, './source-worker.ts'),
        seed,
      ),
    spawnWriter: (plan) =>
      spawnWorker<WriterCommand, WriterReport>(moduleUrl(import.meta.url, './writer-worker.ts'), {
        ...seed,
        plan,
      }),
    onSnapshot: options.onSnapshot,
    onNotice: (level, message, facts) => log[level](message, { ...facts }),
  }
}
