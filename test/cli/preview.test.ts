// What `preview` and `types` print, and what they exit with, without a server behind them.

import { expect, test } from 'vitest'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import { changed, writeFile } from '../config/pipeline-file.ts'
import { batchOf, type RowValues } from '../writer/batches.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS } from './fake-wiring.ts'

const column = { comment: null, existing: { kind: 'null' } } as const
const TABLE: SourceTable = {
  namespace: 'public',
  name: 'orders',
  incarnation: '1',
  columns: [
    {
      ...column,
      identity: '1',
      name: 'id',
      type: { kind: 'long' },
      nullable: false,
      sourceType: 'bigint',
    },
    {
      ...column,
      identity: '2',
      name: 'note',
      type: { kind: 'string' },
      nullable: true,
      sourceType: 'text',
    },
  ],
  key: ['1'],
  comment: null,
}

/** Of each two rows the filter takes one out. */
function withRows(rows: number): FakeWiring {
  const fake = new FakeWiring()
  fake.tables = [ORDERS]
  fake.sampled = async function* (_table, rowsMax, context) {
    const schema = context.tableChanged(TABLE, 0n)
    if (schema === null) return
    for (let id = 0; id < Math.min(rows, rowsMax); id += 4) {
      const values = (at: number): RowValues => ({ id: BigInt(id + at), note: `n${id + at}` })
      const some = [0, 1, 2, 3].map((at) => ({ op: Op.read, values: values(at) }))
      yield batchOf(schema, some, 1n)
    }
  }
  return fake
}

const file = writeFile(
  changed([
    'sink:',
    `transform:
  - { from: "public.*", projection: "id, upper(note) AS loud", filter: "id % 2 = 1" }
route: [{ from: "public.*", into: "lake.$1" }]
sink:`,
  ]),
)

async function millrace(fake: FakeWiring, ...args: string[]): Promise<[number, FakeTerminal]> {
  const terminal = new FakeTerminal()
  return [await runCommandLine(args, terminal, fake.wiring), terminal]
}

test('a preview reads on until as many rows as were wanted have passed the filter', async () => {
  const [code, { stdout }] = await millrace(withRows(100), 'preview', file, '--rows', '3')
  expect(code).toBe(0)
  expect(stdout).toBe(
    [
      'public.orders -> lake.orders  3 rows of the first 8',
      '    op  id  loud',
      '    r   1   "N1"',
      '    r   3   "N3"',
      '    r   5   "N5"',
      '',
    ].join('\n'),
  )
})

test('types shows every column at every stage', async () => {
  const [code, { stdout }] = await millrace(withRows(0), 'types', file)
  expect(code).toBe(0)
  expect(stdout).toBe(
    [
      'public.orders -> lake.orders  upsert; key id',
      '          source  type           transform  lake',
      '    id    bigint  long not null  =          long not null',
      '    loud                         string     string',
      '    note  text    string         left out   -',
      '',
    ].join('\n'),
  )
})

test('a table that cannot be read is named, with its code, and the exit says so', async () => {
  const fake = withRows(4)
  fake.sampled = async function* () {
    yield* []
    throw new PipelineError('TYPE_UNSUPPORTED', 'column "shape" of table "public.orders"')
  }
  const [code, { stdout }] = await millrace(fake, 'preview', file)
  expect([code, stdout]).toEqual([3, expect.stringContaining('✗ MR-2009')])
  const [, wrong] = await millrace(fake, 'preview', file, '--rows', '0')
  expect(wrong.stderr).toContain('--rows 0')
})
