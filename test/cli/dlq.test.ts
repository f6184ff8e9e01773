// What `dlq` prints of letters, and that it promises no replay. What it reads is in the live tests.

import { expect, test } from 'vitest'
import type { Letter } from '../../runtime/cli/letter-reading.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring } from './fake-wiring.ts'

const file = writeFile(COMPLETE)

function letter(id: number, epoch: number | null, more: Record<string, unknown> = {}): Letter {
  const values = {
    dlq_id: `i${id}`,
    code: 'MR-4201',
    message: 'division by zero',
    source_table: 'public.orders',
    row: `{"id":${id}}`,
    ...more,
  }
  const texts = Object.entries(values).map(
    ([name, value]) => [name, JSON.stringify(value)] as const,
  )
  return { values: new Map(texts), epoch }
}

const RECORD = { code: 'MR-4501', source_table: undefined, topic: 'clicks', message: 'no JSON' }

async function dlq(args: readonly string[], ...letters: Letter[]): Promise<[number, FakeTerminal]> {
  const fake = new FakeWiring()
  fake.letters = async function* () {
    yield* letters
  }
  const terminal = new FakeTerminal()
  const [verb = '', ...rest] = args
  return [await runCommandLine(['dlq', verb, file, ...rest], terminal, fake.wiring), terminal]
}

test('ls counts letters by table and error, and says between which epochs they came', async () => {
  const letters = [letter(1, 4), letter(2, 7, { message: 'no number' }), letter(3, null)]
  const [code, { stdout }] = await dlq(['ls'], ...letters, letter(4, 9, RECORD))
  expect([code, stdout.trimEnd()]).toEqual([
    0,
    `millrace.shop_dlq
    MR-4501  clicks  1 letter, epochs 9 to 9: no JSON
    MR-4201  public.orders  3 letters, epochs 4 to 7: division by zero`,
  ])
  const [, json] = await dlq(
    ['ls', '--json', '--code', 'MR-4501'],
    letter(4, 9, RECORD),
    letter(1, 1),
  )
  expect(JSON.parse(json.stdout)).toEqual({
    table: 'millrace.shop_dlq',
    groups: [
      {
        table: 'clicks',
        code: 'MR-4501',
        letters: 1,
        first_epoch: 9,
        last_epoch: 9,
        message: 'no JSON',
      },
    ],
  })
  const [, none] = await dlq(['ls'])
  expect(none.stdout.trimEnd()).toBe('millrace.shop_dlq  no dead letters')
})

test('show prints the first letters that were chosen, and how many there are besides', async () => {
  const letters = [letter(1, 4), letter(4, 9, RECORD), letter(2, 7), letter(3, 7)]
  const choice = ['show', '--table', 'public.orders', '--limit', '2']
  const [code, { stdout }] = await dlq(choice, ...letters)
  expect([code, stdout.trimEnd()]).toEqual([
    0,
    `millrace.shop_dlq
MR-4201  public.orders  epoch 4: division by zero
    row: {"id":1}
MR-4201  public.orders  epoch 7: division by zero
    row: {"id":2}
1 more: choose by --limit, --code or --table`,
  ])
  const [, json] = await dlq([...choice, '--json'], ...letters)
  const shown = JSON.parse(json.stdout) as { letters: { row: string }[]; more: number }
  expect(shown.letters.map(({ row }) => row)).toEqual(['{"id":1}', '{"id":2}'])
  expect(shown.more).toBe(1)
  const [wrong, { stderr }] = await dlq(['show', '--limit', '0'])
  expect([wrong, stderr]).toEqual([2, expect.stringContaining('from 1 to 10000')])
})

test('a replay is refused, with what does instead', async () => {
  const [code, { stderr }] = await dlq(['replay'], letter(1, 4))
  expect(code).toBe(2)
  expect(stderr).toContain('dlq replay is not supported yet')
  expect(stderr).toContain('resync')
})
