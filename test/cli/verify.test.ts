// What `verify` does where there is nothing to compare yet.

import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { verifyPipeline } from '../../runtime/cli/verify/verification.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { SourceInspector } from '../../runtime/source.ts'
import { COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeWiring } from './fake-wiring.ts'

test('verify of a pipeline that has never run says so and creates nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
  const config = loadPipeline(writeFile(COMPLETE.replaceAll('/lake/', `${folder}/lake/`)), {})
  const fake = new FakeWiring()
  const inspector: SourceInspector = await fake.wiring.inspect(config, 'selected')
  const parts = {
    config,
    inspector,
    clock: systemClock,
    isRunning: async () => false,
    notice: () => undefined,
  }
  await expect(verifyPipeline(parts, null)).rejects.toMatchObject({ error: 'STATE_MISSING' })
  expect(existsSync(join(folder, 'lake'))).toBe(false)
  expect(fake.closed).toBe(1)
})
