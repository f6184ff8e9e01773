// Who holds the lock of a pipeline, as far as the status says that the process has left. Half a
// minute of silence, and then "another instance is running", send people looking on every machine.

import { PipelineError } from '../base/errors.ts'
import { readStatus } from '../console/status-file.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { LOCK_WAIT_MS, lockIsFree } from '../job/lock.ts'
import { lockPath, openState } from './state-folder.ts'
import { existsSync } from 'node:fs'

/**
 * Runs what takes the lock, and says whom it waits for.
 *
 * @param notice  called once, when the lock is not free
 */
export async function namingOwner<T>(
  config: PipelineConfig,
  notice: (text: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const path = lockPath(config)
  if (existsSync(path) && !lockIsFree(path)) {
    const seconds = LOCK_WAIT_MS / 1000
    notice(`waiting up to ${seconds} s for the lock, which ${await ownerOf(config)} holds`)
  }
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error !== 'ALREADY_RUNNING') throw error
    const detail = `It is owned by ${await ownerOf(config)}. Nothing was read or written.`
    throw new PipelineError(error.error, error.message, { detail, hint: error.hint, cause: error })
  }
}

async function ownerOf(config: PipelineConfig): Promise<string> {
  try {
    const status = await readStatus(openState(config))
    // A process that was killed has left its status, too.
    if (status !== null && isAlive(status.pid)) {
      return `process ${status.pid}, since ${status.since}`
    }
  } catch {
    // A status of another version, or one that is being written: its words are not needed.
  }
  return 'another process'
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
