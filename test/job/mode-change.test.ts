// A pipeline keeps its rows in one mode for life: rows of other modes it does not find again.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { leaveRequest } from '../../runtime/job/requests.ts'
import { playRun } from './played-run.ts'

test('a run in another mode is refused, also where all is to be read again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mode-'))
  let starts = 0
  const run = async (mode: string): Promise<string> =>
    playRun({
      folder,
      mode,
      onCommand: (command, control) => {
        if (command.kind !== 'start') return undefined
        starts++
        control.stop()
        return undefined
      },
    })
  expect([await run('upsert'), starts]).toEqual(['stopped', 1])
  for (const mode of ['append', 'changelog']) {
    expect([await run(mode), starts]).toEqual(['CONFIG_UNSUPPORTED', 1])
  }
  await leaveRequest(localStore(folder), { tables: null })
  expect([await run('changelog'), starts]).toEqual(['CONFIG_UNSUPPORTED', 1])
  expect([await run('upsert'), starts]).toEqual(['stopped', 2])
  rmSync(folder, { recursive: true })
})
