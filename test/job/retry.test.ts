// What is tried again in the first attempt of a process, and how often.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { errorCodes } from '../../runtime/base/error-codes.ts'
import { recordOf, type ErrorName } from '../../runtime/base/errors.ts'
import { runPipeline } from '../../runtime/job/run.ts'
import { failingParts } from './failing-parts.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function startsWith(error: ErrorName): Promise<{ starts: number; end: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-retry-'))
  folders.push(folder)
  let starts = 0
  const parts = failingParts(folder, error, async () => {
    starts++
  })
  const end = await runPipeline(parts, () => undefined).catch(
    (thrown: unknown) => recordOf(thrown).error,
  )
  return { starts, end }
}

test('a server that cannot be reached at the first start is an error at once', async () => {
  expect(await startsWith('CONNECT_FAILED')).toEqual({ starts: 1, end: 'CONNECT_FAILED' })
})

test('a server that has been there is waited for, also before the first epoch', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-retry-'))
  folders.push(folder)
  let starts = 0
  let stop = (): void => undefined
  const parts = failingParts(folder, 'CONNECT_FAILED', async (report) => {
    starts++
    const log = { condition: 'opening', heardAtMs: 0, error: null } as const
    const place = { headOrder: null, processedOrder: 0n, sourceTimeUs: 0n }
    report({
      kind: 'progress',
      rowsSent: 0,
      queueFill: 0,
      ...place,
      log,
      throttle: null,
      tables: [],
    })
    if (starts === 3) stop()
  })
  const end = await runPipeline(parts, (control) => {
    stop = () => control.stop()
  })
  expect({ starts, end }).toEqual({ starts: 3, end: 'stopped' })
})

test('a log that the server fails to decode is tried again from the first attempt on', async () => {
  const { retriesMax } = errorCodes.LOG_UNDECODABLE
  const end = 'LOG_UNDECODABLE'
  expect(await startsWith(end)).toEqual({ starts: retriesMax + 1, end })
})
