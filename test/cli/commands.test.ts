// What each verb prints and exits with, without a server behind it.

import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorCodes } from '../../runtime/base/error-codes.ts'
import { PipelineError, errorOf, recordOf } from '../../runtime/base/errors.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { lintFile } from '../../runtime/job/config/load.ts'
import { StatusTracker } from '../../runtime/console/status.ts'
import { writeStatus } from '../../runtime/console/status-file.ts'
import { changed, COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS, snapshotOf } from './fake-wiring.ts'

interface Outcome {
  readonly code: number
  readonly terminal: FakeTerminal
}

async function millrace(
  args: readonly string[],
  fake: FakeWiring = new FakeWiring(),
  terminal: FakeTerminal = new FakeTerminal(),
): Promise<Outcome> {
  return { code: await runCommandLine(args, terminal, fake.wiring), terminal }
}

const file = writeFile(COMPLETE, 'complete.yaml')

test('lint exits 2 for errors, 0 for warnings, and 2 for warnings under --strict', async () => {
  const wrong = writeFile(changed(['  tables:', '  tabels:']))
  const warned = writeFile(changed(['postgres@127', 'postgres:pw@127']))
  const both = await millrace(['lint', file, wrong])
  expect(both.code).toBe(2)
  expect(both.terminal.stdout).toBe(
    `${wrong}:3:1 MR-1003 source.tables is missing: a list of patterns such as ["public.*"]\n` +
      `${wrong}:6:3 MR-1002 unknown key "tabels" in source (did you mean "tables"?)\n` +
      `${file}: nothing wrong\n`,
  )
  expect((await millrace(['lint', warned])).code).toBe(0)
  expect((await millrace(['lint', '--strict', warned])).code).toBe(2)
  expect((await millrace(['lint', '/nowhere.yaml'])).code).toBe(2)
})

test('lint --json says the same to programs', async () => {
  const wrong = writeFile(changed(['name: shop', 'name: Shop']))
  const { terminal } = await millrace(['lint', '--json', wrong])
  const { errors, messages } = JSON.parse(terminal.stdout) as { errors: number; messages: object[] }
  expect(errors).toBe(1)
  expect(messages).toMatchObject([{ line: 2, column: 7, code: 'MR-1003', severity: 'error' }])
})

test('explain finds every error by code, number and name', async () => {
  for (const [name, spec] of Object.entries(errorCodes)) {
    for (const spelling of [name, name.toLowerCase(), spec.code, spec.code.slice(3)]) {
      const { code, terminal } = await millrace(['explain', spelling])
      expect(code).toBe(0)
      expect(terminal.stdout).toBe(
        `${spec.code} ${name}\n  means  : ${spec.meaning}\n` +
          `  action : ${spec.action} (${ACTIONS[spec.action]})\n` +
          `  exit   : ${spec.exit}\n  fix    : ${spec.hint}\n`,
      )
    }
  }
  const { terminal } = await millrace(['explain', '--json', 'LOG_GAP'])
  expect(JSON.parse(terminal.stdout)).toMatchObject({ name: 'LOG_GAP', code: 'MR-3012', exit: 4 })
})

const ACTIONS = {
  retry: 'Millrace tries again by itself',
  operator: 'somebody must act',
  bug: 'report it',
}

test('explain without a code lists all, and a wrong code gets the nearest', async () => {
  const { terminal } = await millrace(['explain'])
  expect(terminal.stdout.trimEnd().split('\n')).toHaveLength(Object.keys(errorCodes).length)
  const wrong = await millrace(['explain', 'LOG_GAB'])
  expect(wrong.code).toBe(2)
  expect(wrong.terminal.stderr).toBe(
    'MR-1003 there is no error "LOG_GAB"\n' +
      '  fix    : Try `millrace explain LOG_GAP`; `millrace explain` lists all.\n',
  )
})

test('schema prints JSON Schema', async () => {
  const { code, terminal } = await millrace(['schema'])
  expect(code).toBe(0)
  expect(JSON.parse(terminal.stdout)).toMatchObject({ type: 'object', additionalProperties: false })
})

for (const kind of ['postgres', 'mysql'] as const) {
  test(`init writes a clean ${kind} file and its SQL, and replaces neither`, async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'millrace-init-')), 'shop.yaml')
    const { code, terminal } = await millrace(['init', path, '--from', kind])
    expect(code).toBe(0)
    const variable = kind === 'postgres' ? 'MILLRACE_PG_PASSWORD' : 'MILLRACE_MYSQL_PASSWORD'
    expect(lintFile(path, { [variable]: 'x' })).toEqual([])
    const sql = readFileSync(path.replace('.yaml', '.sql'), 'utf8')
    expect(sql).toMatch(/GRANT SELECT ON/)
    expect(sql).not.toMatch(/SUPERUSER|GRANT ALL|RELOAD|SUPER\b/)
    expect(terminal.stdout).toContain(`millrace check ${path}`)
    const again = await millrace(['init', path, '--from', kind])
    expect(again.code).toBe(2)
    expect(again.terminal.stderr).toContain(`${path} exists already`)
    expect((await millrace(['init', '--output', path, '--from', kind, '--force'])).code).toBe(0)
  })
}

test('init writes clean files for topics to be written to, whatever is read', async () => {
  for (const kind of ['postgres', 'mysql', 'kafka']) {
    const path = join(mkdtempSync(join(tmpdir(), 'millrace-init-')), 'shop.yaml')
    expect((await millrace(['init', path, '--from', kind, '--to', 'kafka'])).code).toBe(0)
    const faults = lintFile(path, {}).filter(({ severity }) => severity === 'error')
    expect(faults).toEqual([])
    expect(readFileSync(path, 'utf8')).toMatch(/type: kafka\n {2}# Some brokers.*\n {2}brokers/)
  }
})

test('init writes a clean file for topics, and the grants of a user that only reads', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'millrace-init-')), 'shop.yaml')
  expect((await millrace(['init', path, '--from', 'kafka'])).code).toBe(0)
  expect(lintFile(path)).toEqual([])
  const grants = readFileSync(path.replace('.yaml', '.sh'), 'utf8')
  expect(grants.match(/--operation \w+/g)).toEqual([
    '--operation Describe',
    '--operation DescribeConfigs',
    '--operation Read',
    '--operation Read',
  ])
})

test('check prints every requirement, its SQL, and what each column becomes', async () => {
  const fake = new FakeWiring()
  fake.tables = [ORDERS, { ...ORDERS, namespace: 'other' }]
  fake.findings = [
    { name: 'version', ok: true, warning: false, message: 'PostgreSQL 18.4', fix: null },
    {
      name: 'wal_level',
      ok: false,
      warning: false,
      message: 'wal_level is replica',
      fix: "ALTER SYSTEM SET wal_level = 'logical';",
    },
  ]
  const { code, terminal } = await millrace(['check', file], fake)
  expect(code).toBe(3)
  expect(fake.closed).toBe(2)
  const lines = terminal.stdout.split('\n')
  expect(lines.slice(0, 3)).toEqual([
    '✔ version              PostgreSQL 18.4',
    '✗ wal_level            wal_level is replica',
    "      ALTER SYSTEM SET wal_level = 'logical';",
  ])
  expect(terminal.stdout).toContain('! max_slot_lag         max_slot_lag is not set')
  expect(terminal.stdout).toContain(
    'public.orders  ~1.2M rows; key id\n' +
      '    id   bigint  long not null\n' +
      '    doc  jsonb   string  (JSON text)\n',
  )
  expect(terminal.stdout).not.toContain('other.orders')
  expect(lines.at(-2)).toBe('not ready: repair what is marked with a cross')
})

test('check is ready when only warnings are left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-lake-'))
  const here = writeFile(COMPLETE.replaceAll('/lake/', `${folder}/`))
  const fake = new FakeWiring()
  fake.tables = [ORDERS]
  const ready = await millrace(['check', here], fake)
  expect(ready.terminal.stdout).toMatch(/ready to run\n$/)
  expect(ready.code).toBe(0)
  const limited = writeFile(
    COMPLETE.replaceAll('/lake/', `${folder}/`).replace(
      '  tables',
      '  max_slot_lag: 20GB\n  tables',
    ),
  )
  const { terminal } = await millrace(['check', '--json', limited], fake)
  const { findings } = JSON.parse(terminal.stdout) as { findings: object[] }
  expect(findings.at(-1)).toEqual({
    name: 'max_slot_lag',
    ok: true,
    warning: true,
    message: 'warns from half of 20GB of kept log',
    fix: null,
  })
})

test('check finds a folder that cannot be written', async () => {
  const taken = writeFile('', 'a-file')
  const wrong = writeFile(changed(['file:///lake/warehouse', `file://${taken}/warehouse`]))
  const { code, terminal } = await millrace(['check', wrong], new FakeWiring())
  expect(code).toBe(3)
  expect(terminal.stdout).toContain(`✗ sink.warehouse       ${taken} is not a folder`)
})

test('discover lists all tables and says which are selected', async () => {
  const fake = new FakeWiring()
  fake.tables = [ORDERS, { ...ORDERS, namespace: 'other', estimatedRows: null, key: null }]
  const { code, terminal } = await millrace(['discover', file], fake)
  expect(code).toBe(0)
  expect(terminal.stdout).toContain('public.orders  ~1.2M rows; key id\n')
  expect(terminal.stdout).toContain('other.orders  rows unknown; no key; not selected\n')
  const json = await millrace(['discover', file, '--json'], fake)
  expect(JSON.parse(json.terminal.stdout)).toMatchObject([{ selected: true }, { selected: false }])
})

test('status shows what the process left, and says when the process is gone', async () => {
  const fake = new FakeWiring()
  const none = await millrace(['status', file], fake)
  expect(none.code).toBe(4)
  expect(none.terminal.stderr).toMatch(/^MR-5021 pipeline "shop" has left no status\n/)
  expect(none.terminal.stderr).toContain(`Run \`millrace run ${file}\` first`)
  const nowMs = Date.UTC(2026, 10, 20, 12)
  await writeStatus(fake.state, new StatusTracker('shop', 'lsn').statusOf(snapshotOf(), nowMs))
  fake.running = true
  const alive = await millrace(['status', file], fake)
  expect(alive.terminal.stdout).toMatch(/^shop {2}BACKFILLING {2}1 backfill, 1 streaming/)
  fake.running = false
  const gone = await millrace(['status', file], fake)
  expect(gone.terminal.stdout).toMatch(
    /^not running: the process \d+ ended without saying so; as of/,
  )
  const json = await millrace(['status', '--json', file], fake)
  expect(JSON.parse(json.terminal.stdout)).toMatchObject({
    running: false,
    state: 'BACKFILLING',
    tables: { total: 2, streaming: 1, backfill: 1 },
    position: { type: 'lsn', processed: '0/16B3700', durable: '0/16B3000' },
  })
})

test('status needs no secret', async () => {
  const secret = writeFile(changed(['  tables:', '  password: { from_env: NOWHERE }\n  tables:']))
  expect((await millrace(['status', secret])).code).toBe(4)
  expect((await millrace(['check', secret])).code).toBe(2)
})

test('verify exits 5 when a table differs, with the command that repairs it', async () => {
  const fake = new FakeWiring()
  expect((await millrace(['verify', file], fake)).code).toBe(0)
  fake.differing = ['public.users']
  const args = ['verify', file, '--table', 'public.orders', '--table', 'public.users']
  const { code, terminal } = await millrace(args, fake)
  expect(code).toBe(5)
  expect(terminal.stdout).toBe(
    '✔ public.orders  3 rows, verified through 0/16B3748\n' +
      '✗ public.users  3 rows in the source, 2 in the lake, verified through 0/16B3748\n' +
      '    [7] is missing in the lake\n' +
      `    fix: millrace resync ${file} --table public.users\n`,
  )
})

test('verify advises what repairs, by why the lake differs', async () => {
  const fake = new FakeWiring()
  fake.differing = ['public.users']
  const fixOf = async (repair: typeof fake.repair): Promise<string | undefined> => {
    fake.repair = repair
    const { code, terminal } = await millrace(['verify', file, '--table', 'public.users'], fake)
    expect(code).toBe(5)
    return / {4}fix: (.*)\n/.exec(terminal.stdout)?.[1]
  }
  const resync = `millrace resync ${file} --table public.users`
  expect(await fixOf('resync')).toBe(resync)
  expect(await fixOf('run')).toBe(
    `millrace run ${file} --once, then verify again; what differs even then: ${resync}`,
  )
  expect(await fixOf('wait')).toBe(
    `millrace status ${file} shows what it waits for; then verify again`,
  )
  expect(await fixOf('history')).toBe(
    `nothing, where only such rows are missing; ${resync} would copy them as well`,
  )
})

test('verify exits 4 for a parked table, and 5 when another one differs as well', async () => {
  const fake = new FakeWiring()
  fake.parked = ['public.users']
  const args = ['verify', file, '--table', 'public.orders', '--table', 'public.users']
  const { code, terminal } = await millrace(args, fake)
  expect(code).toBe(4)
  expect(terminal.stdout).toBe(
    '✔ public.orders  3 rows, verified through 0/16B3748\n' +
      '? public.users  not compared: MR-5013 table "public.users" is parked: a value\n' +
      `    fix: Run \`millrace resync ${file} --table public.users\`.\n`,
  )
  fake.differing = ['public.orders']
  const json = await millrace([...args, '--json'], fake)
  expect(json.code).toBe(5)
  expect(JSON.parse(json.terminal.stdout)).toMatchObject({
    equal: false,
    tables: [
      { table: 'public.orders', differences: 1, verified_through: '0/16B3748', reason: null },
      { table: 'public.users', differences: 0, reason: { code: 'MR-5013' } },
    ],
  })
})

test('resync wants either tables or --all', async () => {
  const fake = new FakeWiring()
  expect((await millrace(['resync', file], fake)).code).toBe(2)
  expect((await millrace(['resync', file, '--all', '--table', 'a.b'], fake)).code).toBe(2)
  expect(fake.calls).toEqual([])
  await millrace(['resync', file, '--table', 'a.b', '--table', 'c.d'], fake)
  await millrace(['resync', file, '--all'], fake)
  expect(fake.calls).toEqual([
    ['resync', ['a.b', 'c.d']],
    ['resync', null],
  ])
})

test('drop asks at a terminal, and removes nothing for another answer', async () => {
  const fake = new FakeWiring()
  // Its output may go through a pipe.
  const terminal = new FakeTerminal({ interactive: false, answers: true })
  terminal.answer = 'shopp'
  expect((await millrace(['drop', file], fake, terminal)).code).toBe(2)
  expect(terminal.questions).toEqual([
    'This removes slot, publication, state and LAKE of "shop". Its name? ',
  ])
  expect(fake.calls).toEqual([])
  terminal.answer = 'shop'
  expect((await millrace(['drop', file, '--keep-lake'], fake, terminal)).code).toBe(0)
  expect((await millrace(['drop', file], fake)).terminal.stdout).toBe(
    'removed slot millrace_shop\nremoved state /lake/state/shop\n' +
      'kept publication millrace_shop: it belongs to role "admin"\n',
  )
  expect(fake.calls).toEqual([
    ['drop', { keepLake: true }],
    ['drop', { keepLake: false }],
  ])
})

test('an error is code, message, facts and fix; its stack comes on demand', async () => {
  const fake = new FakeWiring()
  fake.runner = async () => {
    throw new PipelineError('LOG_GAP', 'the log no longer reaches back', {
      detail: 'needed : 0/100\nserver : 0/200',
    })
  }
  const { code, terminal } = await millrace(['run', file], fake)
  expect(code).toBe(4)
  expect(terminal.stderr).toBe(
    'MR-3012 the log no longer reaches back\n  needed : 0/100\n  server : 0/200\n' +
      `  fix    : Run \`millrace resync ${file} --all\`: it reads the source once and writes the` +
      ' differences.\n',
  )
  const verbose = await millrace(['run', '--verbose', file], fake)
  expect(verbose.terminal.stderr).toContain('at ')
  const debug = new FakeTerminal({ env: { MILLRACE_DEBUG: '1' } })
  expect((await millrace(['run', file], fake, debug)).terminal.stderr).toContain('at ')
  const json = await millrace(['discover', '--json', '/nowhere.yaml'], fake)
  expect(JSON.parse(json.terminal.stdout)).toMatchObject({
    error: { code: 'MR-1001', name: 'CONFIG_FILE', exit: 2 },
  })
})

test('an error that is not ours is INTERNAL, without its stack', async () => {
  const fake = new FakeWiring()
  fake.runner = async () => {
    throw new TypeError('x is not \u001B[31ma function')
  }
  const { code, terminal } = await millrace(['run', file], fake)
  expect(code).toBe(1)
  expect(terminal.stderr).toMatch(/^MR-9001 x is not \?\[31ma function\n {2}fix/)
  expect(terminal.stderr).not.toContain('at ')
})

test('an error of another thread is INTERNAL too, without the stack that came along', async () => {
  const fake = new FakeWiring()
  fake.runner = async () => {
    throw errorOf(recordOf(new TypeError('x is not a function')))
  }
  const { terminal } = await millrace(['run', file], fake)
  expect(terminal.stderr).toMatch(/^MR-9001 x is not a function\n {2}fix/)
  expect(terminal.stderr).not.toContain('at ')
  const verbose = await millrace(['run', file, '--verbose'], fake)
  expect(verbose.terminal.stderr).toContain('at ')
})

test('a wrong command line exits 2, help and version exit 0', async () => {
  for (const args of [['bogus'], ['run'], ['run', file, '--nope'], ['init', '--from', 'x'], []]) {
    expect((await millrace(args)).code, args.join(' ')).toBe(2)
  }
  for (const args of [['--help'], ['-h'], ['run', '-h'], ['--version'], ['-v']]) {
    expect((await millrace(args)).code, args.join(' ')).toBe(0)
  }
})

test('a switch in the environment is on or off by what the variable says', async () => {
  const fake = new FakeWiring()
  const keepLakeWith = async (value: string, ...args: string[]): Promise<unknown> => {
    const terminal = new FakeTerminal({ env: { MILLRACE_KEEP_LAKE: value } })
    const { code } = await millrace(['drop', file, ...args], fake, terminal)
    return code === 0 ? fake.calls.at(-1)?.[1] : terminal.stderr
  }
  for (const on of ['1', 'true', 'YES']) expect(await keepLakeWith(on)).toEqual({ keepLake: true })
  for (const off of ['0', 'false', 'No', '']) {
    expect(await keepLakeWith(off)).toEqual({ keepLake: false })
    expect(await keepLakeWith(off, '--keep-lake')).toEqual({ keepLake: true })
  }
  expect(await keepLakeWith('maybe')).toMatch(
    /^MR-1003 MILLRACE_KEEP_LAKE is neither yes nor no\n {2}It is "maybe"\./,
  )
  const off = new FakeTerminal({ env: { MILLRACE_JSON: '0', MILLRACE_VERSION: '7' } })
  expect((await millrace(['explain', 'LOG_GAP'], fake, off)).terminal.stdout).toMatch(/^MR-3012 /)
  const on = new FakeTerminal({ env: { MILLRACE_JSON: 'true' } })
  expect(
    JSON.parse((await millrace(['explain', 'LOG_GAP'], fake, on)).terminal.stdout),
  ).toMatchObject({ code: 'MR-3012' })
})

test('a run that fails leaves a log line with its code, unless somebody looks at it', async () => {
  const fake = new FakeWiring()
  fake.runner = async () => {
    throw new PipelineError('LOG_GAP', 'the log no longer reaches back', { detail: 'Far back.' })
  }
  const line = {
    level: 'error',
    pipeline: 'shop',
    code: 'MR-3012',
    error: 'LOG_GAP',
    detail: 'Far back.',
    exit: 4,
    msg: 'the log no longer reaches back',
  }
  const journal = await millrace(['run', file], fake)
  expect(journal.terminal.lines().at(-1)).toMatchObject(line)
  expect(journal.terminal.lines().at(-1)?.['hint']).toContain(`millrace resync ${file} --all`)
  expect(journal.terminal.stderr).toMatch(/^MR-3012 /)
  const json = await millrace(['run', file, '--json'], fake)
  expect(json.terminal.lines()).toHaveLength(1)
  expect(json.terminal.lines()[0]).toMatchObject(line)
  expect(json.terminal.stderr).toBe('')
  const screen = new FakeTerminal({ interactive: true })
  await millrace(['run', file], fake, screen)
  expect(screen.stdout).not.toContain('MR-3012')
  expect(screen.stderr).toMatch(/^MR-3012 /)
  // Before there is a pipeline there is a line too.
  const missing = await millrace(['run', '/nowhere.yaml'], fake)
  expect(missing.terminal.lines()).toMatchObject([{ level: 'error', code: 'MR-1001' }])
})

test('what --json prints is one line, errors of usage included', async () => {
  const fake = new FakeWiring()
  fake.tables = [ORDERS]
  for (const args of [
    ['discover', file],
    ['check', file],
    ['discover', '/nowhere.yaml'],
  ]) {
    const { terminal } = await millrace([...args, '--json'], fake)
    expect(terminal.lines(), args.join(' ')).toHaveLength(1)
  }
  const usage = async (...args: string[]): Promise<unknown> => {
    const { code, terminal } = await millrace([...args, '--json'], fake)
    expect([code, terminal.stderr]).toEqual([2, ''])
    return terminal.lines()
  }
  const error = { code: 'MR-1003', name: 'CONFIG_VALUE', exit: 2 }
  expect(await usage('run', file, '--onec')).toMatchObject([
    { error: { ...error, message: "unknown option '--onec' (Did you mean --once?)" } },
  ])
  expect(await usage('bogus')).toMatchObject([{ error }])
  expect(await usage()).toMatchObject([{ error: { ...error, message: 'a command is missing' } }])
})
