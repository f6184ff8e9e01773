// A thread that crashes: the pipeline goes on from its checkpoint, but not for ever.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock, type Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf, type ErrorName } from '../../runtime/base/errors.ts'
import { playRun } from './played-run.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

interface Scene {
  error: ErrorName
  /** Attempts that fail; the next is stopped after its first checkpoint. */
  failures: number
  /** Epochs of an attempt before it fails. */
  epochs: number
  /** What passes while it waits for the next attempt. */
  waitMs: number
}

/** @returns how it ended, after how many attempts, and what was said */
async function run({ error, failures, epochs, waitMs }: Scene): Promise<{
  end: string
  attempts: number
  notices: string[]
}> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bug-'))
  folders.push(folder)
  let now = 0
  const clock: Clock = {
    ...systemClock,
    elapsedMs: () => now,
    sleep: async () => {
      now += waitMs
    },
    after: (ms, task) => systemClock.after(Math.min(ms, 1), task),
  }
  const notices: string[] = []
  let attempts = 0
  let barriers = 0
  const end = await playRun({
    folder,
    clock,
    intervalMs: 1,
    onNotice: (level, message) => notices.push(`${level}: ${message}`),
    onCommand: ({ kind }, control) => {
      if (kind === 'start') {
        attempts++
        barriers = 0
      }
      if (kind !== 'barrier') return undefined
      if (attempts > failures) control.stop()
      else if (barriers === epochs) {
        return { kind: 'failed', error: recordOf(new PipelineError(error, 'it fails')) }
      }
      barriers++
      return undefined
    },
  })
  return { end, attempts, notices }
}

test('a thread that crashes is started again from the checkpoint', async () => {
  const { end, attempts, notices } = await run({
    error: 'INTERNAL',
    failures: 3,
    epochs: 2,
    waitMs: 1000,
  })
  expect({ end, attempts }).toEqual({ end: 'stopped', attempts: 4 })
  expect(notices).toEqual(Array(3).fill('error: retrying from the last checkpoint'))
})

test('ten crashes in ten minutes end the pipeline, whether or not it got on between them', async () => {
  for (const epochs of [1, 3]) {
    const { end, attempts } = await run({ error: 'INTERNAL', failures: 99, epochs, waitMs: 60_000 })
    expect({ end, attempts }).toEqual({ end: 'INTERNAL', attempts: 10 })
  }
})

test('crashes that are rarer do not end it', async () => {
  const { end, attempts } = await run({
    error: 'INTERNAL',
    failures: 25,
    epochs: 2,
    waitMs: 70_000,
  })
  expect({ end, attempts }).toEqual({ end: 'stopped', attempts: 26 })
})

test('rows that do not add up are not tried again: somebody must look at the state', async () => {
  const { end, attempts } = await run({
    error: 'TRACE_BROKEN',
    failures: 99,
    epochs: 2,
    waitMs: 1000,
  })
  expect({ end, attempts }).toEqual({ end: 'TRACE_BROKEN', attempts: 1 })
})

test('a crash before the first checkpoint is an error at once', async () => {
  const { end, attempts } = await run({ error: 'INTERNAL', failures: 99, epochs: 0, waitMs: 1000 })
  expect({ end, attempts }).toEqual({ end: 'INTERNAL', attempts: 1 })
})
