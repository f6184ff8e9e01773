// What `plan` prints of a first run. What it says of later ones, live tests hold against the runs.

import { expect, test } from 'vitest'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS } from './fake-wiring.ts'

test('before the first run every table is added, with the rows that will be copied', async () => {
  const fake = new FakeWiring()
  fake.tables = [ORDERS, { ...ORDERS, name: 'users', estimatedRows: null }]
  const terminal = new FakeTerminal()
  expect(await runCommandLine(['plan', writeFile(COMPLETE)], terminal, fake.wiring)).toBe(10)
  expect(terminal.stdout).toBe(
    [
      'the first run',
      '+ public.orders  ADD, backfill of ~1.2M rows',
      '+ public.users  ADD, backfill of its rows',
      '2 tables change',
      '',
    ].join('\n'),
  )
})
