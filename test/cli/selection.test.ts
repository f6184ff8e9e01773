// Patterns that mean nothing, or more than somebody wanted, are said before the first row.

import { expect, test } from 'vitest'
import { silentLog, type Log } from '../../runtime/base/log.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { requireSelection, selectionFaults } from '../../runtime/cli/selection.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import { changed, icebergOf, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS } from './fake-wiring.ts'

interface Patterns {
  readonly tables: readonly string[]
  readonly tablesExclude?: readonly string[]
  readonly columnsExclude?: readonly string[]
}

function fileOf({ tables, tablesExclude = [], columnsExclude = [] }: Patterns): string {
  const lists = [
    `  tables: ${JSON.stringify(tables)}`,
    `  tables_exclude: ${JSON.stringify(tablesExclude)}`,
    `  columns_exclude: ${JSON.stringify(columnsExclude)}`,
  ]
  return writeFile(changed(['  tables: ["public.*"]', lists.join('\n')]))
}

function configOf(patterns: Patterns): PipelineConfig {
  return loadPipeline(fileOf(patterns), {})
}

const USERS = { ...ORDERS, name: 'users' }

/** As `ERROR where: what`, or as a warning. */
function faultsOf(config: PipelineConfig): string[] {
  return selectionFaults(config, [ORDERS, USERS]).map(
    ({ error, name, message }) => `${error ?? 'warning'} ${name} ${message}`,
  )
}

test('a table that is named and not there is an error, a pattern without tables a warning', () => {
  const tables = ['public.orders', 'public.nothere', 'shop.*', '/public\\.o.*/', 'public.user?']
  expect(faultsOf(configOf({ tables }))).toEqual([
    'TABLE_MISSING source.tables[1] there is no table "public.nothere" that could be copied ' +
      '(views, single partitions, unlogged and foreign tables cannot)',
    'warning source.tables[2] "shop.*" matches no table yet',
  ])
})

test('MySQL may hide the table, so the GRANT is told', () => {
  const file = writeFile(
    changed(
      ['type: postgres', 'type: mysql'],
      ['postgresql://postgres@127.0.0.1:5433/shop', 'mysql://o%27b@127.0.0.1:3306'],
      ['"public.*"', '"public.orders", "public.no`t"'],
    ),
  )
  const [fault, ...others] = selectionFaults(loadPipeline(file, {}), [ORDERS])
  expect(others).toEqual([])
  expect(fault?.message).toBe('there is no table "public.no`t", or the user may not see it')
  expect(fault?.fix).toBe("GRANT SELECT ON `public`.`no``t` TO 'o''b'@'%';")
})

test('a column that is named and not there is an error: it would be copied', () => {
  const columnsExclude = ['public.users.dco', '*.*.ssn', 'public.users.doc', 'public.none.doc']
  expect(faultsOf(configOf({ tables: ['public.*'], columnsExclude }))).toEqual([
    'TABLE_MISSING source.columns_exclude[0] "public.users.dco" matches no column, ' +
      'so it leaves nothing out',
    'warning source.columns_exclude[1] "*.*.ssn" matches no column, so it leaves nothing out',
    'TABLE_MISSING source.columns_exclude[3] "public.none.doc" matches no column, ' +
      'so it leaves nothing out',
  ])
})

test('an exclude of no table is a warning', () => {
  const tablesExclude = ['public.tmp_*', 'public.users']
  expect(faultsOf(configOf({ tables: ['public.*'], tablesExclude }))).toEqual([
    'warning source.tables_exclude[0] "public.tmp_*" matches none of the tables of source.tables',
  ])
})

test('a key column that is left out is told by the pattern that does it', () => {
  const patterns = { tables: ['public.*'], tablesExclude: ['public.users'] }
  const config = configOf({ ...patterns, columnsExclude: ['*.*.doc', 'public.*.i?'] })
  expect(faultsOf(config)).toEqual([
    'TABLE_WITHOUT_KEY source.columns_exclude[1] "public.*.i?" leaves out id, ' +
      'a key column of public.orders',
  ])
  // Where rows are not told apart, no key is needed.
  const changelog = { ...config, sink: { ...icebergOf(config), mode: 'changelog' as const } }
  expect(faultsOf(changelog)).toEqual([])
})

test('the first start ends with what is wrong, and goes on with warnings', () => {
  const warnings: string[] = []
  const log: Log = { ...silentLog, warn: (message) => warnings.push(message) }
  const wrong = configOf({
    tables: ['public.no', 'public.*'],
    columnsExclude: ['public.orders.id'],
  })
  let error: unknown = null
  try {
    requireSelection(selectionFaults(wrong, [ORDERS]), log)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(PipelineError)
  expect(error).toMatchObject({ error: 'TABLE_MISSING' })
  expect((error as PipelineError).message).toMatch(/^source\.tables\[0\] there is no table/)
  expect((error as PipelineError).detail).toMatch(/^source\.columns_exclude\[0\] .* leaves out id/)
  expect((error as PipelineError).hint).toContain('millrace discover FILE')

  requireSelection(selectionFaults(configOf({ tables: ['public.*', 'x.*'] }), [ORDERS]), log)
  expect(warnings).toEqual(['source.tables[1] "x.*" matches no table yet'])
})

test('check marks what keeps a first start from running', async () => {
  const fake = new FakeWiring()
  fake.tables = [ORDERS]
  const terminal = new FakeTerminal()
  const file = fileOf({ tables: ['public.orders', 'public.nothere'], tablesExclude: ['x.y'] })
  expect(await runCommandLine(['check', file], terminal, fake.wiring)).toBe(3)
  expect(terminal.stdout).toMatch(/^✗ source\.tables\[1\] +there is no table "public\.nothere"/m)
  expect(terminal.stdout).toMatch(/^! source\.tables_exclude\[0\] /m)
})
