// The lock of the state folder: who may look into it, and who is said to hold it.

import { mkdtempSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { namingOwner } from '../../runtime/cli/lock-owner.ts'
import { lockPath, openState } from '../../runtime/cli/state-folder.ts'
import { writeStatus } from '../../runtime/console/status-file.ts'
import { StatusTracker } from '../../runtime/console/status.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import { acquireLock } from '../../runtime/job/lock.ts'
import { COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { snapshotOf } from './fake-wiring.ts'

function newConfig(): PipelineConfig {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  return loadPipeline(writeFile(COMPLETE.replaceAll('/lake/', `${folder}/`)), {})
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}

test('the state folder is for its owner alone, whatever the umask is', async () => {
  for (const umask of [0, 0o022, 0o077]) {
    const before = process.umask(umask)
    try {
      const path = lockPath(newConfig())
      const lock = await acquireLock(path, systemClock, 0)
      lock.release()
      expect(modeOf(dirname(path))).toBe('700')
      // The store may be shared by pipelines of several users.
      expect(modeOf(dirname(dirname(path)))).toBe((0o777 & ~umask).toString(8))
    } finally {
      process.umask(before)
    }
  }
})

async function alreadyRunning(): Promise<never> {
  throw new PipelineError('ALREADY_RUNNING', 'the state folder is locked', { detail: 'x' })
}

test('whoever waits for the lock is told who holds it, and since when', async () => {
  const config = newConfig()
  const notices: string[] = []
  const notice = (text: string): void => void notices.push(text)
  expect(await namingOwner(config, notice, async () => 7)).toBe(7)
  expect(notices).toEqual([])

  const lock = await acquireLock(lockPath(config), systemClock, 0)
  const unknown = namingOwner(config, notice, alreadyRunning)
  await expect(unknown).rejects.toMatchObject({
    error: 'ALREADY_RUNNING',
    message: 'the state folder is locked',
    detail: 'It is owned by another process. Nothing was read or written.',
  })
  const status = new StatusTracker('shop', 'lsn').statusOf(snapshotOf(), 0)
  await writeStatus(openState(config), status)
  const known = namingOwner(config, notice, alreadyRunning)
  const owner = `process ${process.pid}, since 2026-11-20T11:59:00.000Z`
  await expect(known).rejects.toMatchObject({
    detail: `It is owned by ${owner}. Nothing was read or written.`,
  })
  // A process that was killed has left its status behind: it owns nothing.
  await writeStatus(openState(config), { ...status, pid: 2 ** 22 + 1 })
  await expect(namingOwner(config, notice, alreadyRunning)).rejects.toThrow('locked')
  lock.release()
  expect(notices).toEqual([
    'waiting up to 30 s for the lock, which another process holds',
    `waiting up to 30 s for the lock, which ${owner} holds`,
    'waiting up to 30 s for the lock, which another process holds',
  ])
})
