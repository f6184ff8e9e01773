// What a worker thread needs of the main thread to make its own parts: secrets cannot be cloned
// into a thread, so it reads the pipeline file itself, and refuses one that has changed since.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createLog, type Log, type LogLevel } from '../base/log.ts'
import { PipelineError } from '../base/errors.ts'
import { loadPipeline } from '../job/config/load.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'

export interface WorkerSeed {
  readonly file: string
  /** Of the pipeline file as the main thread read it. */
  readonly fileHash: string
  readonly logLevel: LogLevel
}

export function hashOfFile(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** @throws PipelineError CONFIG_FILE when the file is not the one that the main thread read */
export function workerConfig({ file, fileHash, logLevel }: WorkerSeed): {
  config: PipelineConfig
  log: Log
} {
  if (hashOfFile(file) !== fileHash) {
    throw new PipelineError('CONFIG_FILE', `${file} changed while the pipeline was running`, {
      detail: 'The last checkpoint is intact; nothing was read or written under mixed settings.',
      hint: 'Start the pipeline again to run it with the new file.',
    })
  }
  const config = loadPipeline(file)
  return { config, log: createLog({ level: logLevel, facts: { pipeline: config.name } }) }
}
