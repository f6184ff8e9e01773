// `run` from the outside: signals, exit codes, what it says, and the status that it leaves.

import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import type { RunOptions } from '../../runtime/cli/wiring.ts'
import { readStatus } from '../../runtime/console/status-file.ts'
import { changed, COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, snapshotOf } from './fake-wiring.ts'

const file = writeFile(COMPLETE, 'run.yaml')

/** A run that ends when it is told to, after one snapshot. */
function untilStopped(fake: FakeWiring): Promise<RunOptions> {
  return new Promise((started) => {
    fake.runner = async (options) => {
      options.onSnapshot(snapshotOf())
      started(options)
      await new Promise<void>((resolve) => {
        options.stop.addEventListener('abort', () => resolve(), { once: true })
      })
      options.onSnapshot(snapshotOf({ phase: 'stopped' }))
      return 'stopped'
    }
  })
}

test('the first signal asks for a last checkpoint and the run exits 0', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const started = untilStopped(fake)
  const code = runCommandLine(['run', file], terminal, fake.wiring)
  await started
  terminal.signal('SIGTERM')
  expect(await code).toBe(0)
  expect(terminal.exits).toEqual([])
  expect(terminal.listening()).toBe(false)
  expect((await readStatus(fake.state))?.state).toBe('STOPPED')
})

test('a second signal ends at once with 130, but not one within half a second', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const started = new Promise<void>((resolve) => {
    fake.runner = async (options) => {
      options.onSnapshot(snapshotOf())
      resolve()
      return new Promise(() => undefined)
    }
  })
  void runCommandLine(['run', file], terminal, fake.wiring)
  await started
  terminal.signal('SIGINT')
  terminal.signal('SIGINT')
  terminal.clock.advance(499)
  terminal.signal('SIGINT')
  expect(terminal.exits).toEqual([])
  terminal.clock.advance(1)
  terminal.signal('SIGINT')
  expect(terminal.exits).toEqual([130])
})

test('a stop that takes more than 30 s is given up with 1', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const started = new Promise<void>((resolve) => {
    fake.runner = async (options) => {
      options.onSnapshot(snapshotOf())
      resolve()
      return new Promise(() => undefined)
    }
  })
  void runCommandLine(['run', file], terminal, fake.wiring)
  await started
  terminal.signal()
  terminal.clock.advance(29_999)
  expect(terminal.exits).toEqual([])
  terminal.clock.advance(1)
  expect(terminal.exits).toEqual([1])
})

test('a signal while the lock is waited for exits 0 and leaves no status', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const waiting = new Promise<void>((resolve) => {
    fake.runner = async () => {
      resolve()
      return new Promise(() => undefined)
    }
  })
  const code = runCommandLine(['run', file], terminal, fake.wiring)
  await waiting
  terminal.signal()
  expect(await code).toBe(0)
  expect(await readStatus(fake.state)).toBeNull()
})

test('without a terminal every line is JSON, and the last say how to query', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  fake.runner = async ({ once, log, onSnapshot }) => {
    log.info('committed', { epoch: 41, once })
    onSnapshot(snapshotOf())
    onSnapshot(snapshotOf())
    onSnapshot(snapshotOf({ phase: 'stopped' }))
    return 'finished'
  }
  expect(await runCommandLine(['run', file, '--once'], terminal, fake.wiring)).toBe(0)
  const lines = terminal.lines()
  expect(lines.map(({ msg }) => msg)).toEqual([
    'committed',
    'progress',
    'progress',
    'finished: all there was is in the lake',
    'query',
  ])
  expect(lines[0]).toEqual({
    level: 'info',
    time: '2026-11-20T12:00:00.000Z',
    pipeline: 'shop',
    epoch: 41,
    once: true,
    msg: 'committed',
  })
  const query = lines[4] as Record<string, string>
  expect(query['duckdb']).toBe(
    `duckdb -c 'INSTALL iceberg; LOAD iceberg; SET enable_external_file_cache = false; SELECT * FROM` +
      ` iceberg_scan('\\''/lake/it'\\'''\\''s/orders/metadata/00041.metadata.json'\\'');'`,
  )
  expect(query['pyiceberg']).toContain('load_table(("public", "orders"))')
  expect(query['spark']).toContain("-e 'SELECT * FROM `lake`.`public`.`orders`'")
})

test('on a terminal the lines are drawn in place, with notices above them', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal({ interactive: true })]
  fake.runner = async ({ log, onSnapshot }) => {
    onSnapshot(snapshotOf())
    log.warn('retrying', { waitMs: 200 })
    log.info('committed', { epoch: 41 })
    onSnapshot(snapshotOf({ phase: 'stopped' }))
    return 'stopped'
  }
  expect(await runCommandLine(['run', file], terminal, fake.wiring)).toBe(0)
  const screen = terminal.stdout
  expect(screen).toContain('12:00:00 warn  retrying  waitMs=200\n')
  expect(screen).not.toContain('info  committed')
  // Three lines are drawn, so going back to draw over them takes three lines up.
  expect(screen.split('\u001B[3A\u001B[J')).toHaveLength(3)
  expect(screen).toContain('to query public.orders:\n\n# DuckDB\nduckdb -c ')
})

test('a literal password is warned of by its place, never by its value', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const warned = writeFile(changed(['postgres@127', 'postgres:canary@127']))
  fake.runner = async ({ onSnapshot }) => {
    onSnapshot(snapshotOf())
    return 'finished'
  }
  await runCommandLine(['run', warned], terminal, fake.wiring)
  expect(terminal.lines()[0]).toMatchObject({ level: 'warn', code: 'MR-1007', line: 5 })
  expect(terminal.stdout + terminal.stderr).not.toContain('canary')
})

test('log kept for the slot is spoken of once at half and at the limit', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const limited = writeFile(changed(['  tables:', '  max_slot_lag: 1MiB\n  tables:']))
  fake.runner = async ({ onSnapshot }) => {
    for (const kept of [0, 524_287, 524_288, 600_000, 1_048_576, 2_000_000, 100, 524_288]) {
      const source = snapshotOf().source!
      const { order } = snapshotOf().checkpoint!
      onSnapshot(snapshotOf({ source: { ...source, headOrder: order + BigInt(kept) } }))
    }
    return 'finished'
  }
  await runCommandLine(['run', limited], terminal, fake.wiring)
  const spoken = terminal.lines().filter(({ msg }) => String(msg).startsWith('the server keeps'))
  expect(spoken.map(({ level, keptBytes }) => `${String(level)} ${String(keptBytes)}`)).toEqual([
    'warn 524288',
    'error 1048576',
    'info 100',
    'warn 524288',
  ])
})

test('--listen serves while the pipeline runs, and only then', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const started = untilStopped(fake)
  const code = runCommandLine(['run', file, '--listen', '127.0.0.1:0'], terminal, fake.wiring)
  await started
  const url = String(terminal.lines().find(({ msg }) => msg === 'listening')?.['url'])
  const health = await fetch(`${url}/healthz`)
  expect(health.status).toBe(200)
  expect(await health.json()).toMatchObject({ status: 'ok', pipeline: 'shop' })
  terminal.signal()
  expect(await code).toBe(0)
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
})

test('--listen where others can reach it is refused unless insisted on', async () => {
  const fake = new FakeWiring()
  const open = new FakeTerminal()
  const args = ['run', file, '--listen', '0.0.0.0:0']
  expect(await runCommandLine(args, open, fake.wiring)).toBe(2)
  expect(open.stderr).toContain('MR-1003 --listen 0.0.0.0 can be reached by other machines')
  expect(await runCommandLine([...args, '--insecure'], new FakeTerminal(), fake.wiring)).toBe(0)
  for (const address of ['x', '127.0.0.1', '127.0.0.1:65536', 'a:b:1']) {
    const code = runCommandLine(['run', file, '--listen', address], new FakeTerminal(), fake.wiring)
    expect(await code, address).toBe(2)
  }
})

test('what a table waits for is said once, and again when it is another', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  fake.runner = async ({ onSnapshot }) => {
    const [table] = snapshotOf().tables
    if (table === undefined) throw new Error('there is a table')
    for (const pid of [7, 7, 8, null, 8]) {
      const waitsFor = pid === null ? null : `the transaction of process ${pid}`
      onSnapshot(snapshotOf({ tables: [{ ...table, progress: { ...table.progress, waitsFor } }] }))
    }
    return 'finished'
  }
  await runCommandLine(['run', file], terminal, fake.wiring)
  const warned = terminal.lines().filter(({ level }) => level === 'warn')
  expect(warned.map(({ msg }) => msg)).toEqual([
    'table "public.orders" waits for the transaction of process 7',
    'table "public.orders" waits for the transaction of process 8',
    'table "public.orders" waits for the transaction of process 8',
  ])
})

test('a run that ends with parked tables names them in the command that repairs', async () => {
  const [fake, terminal] = [new FakeWiring(), new FakeTerminal()]
  const spaced = writeFile(COMPLETE, 'shop of mine.yaml')
  fake.runner = async ({ onSnapshot }) => {
    const [table] = snapshotOf().tables
    if (table === undefined) throw new Error('there is a table')
    const tables = ['public.orders', "public.o'brien", 'public.fine'].map((name) => ({
      ...table,
      progress: {
        ...table.progress,
        table: name,
        phase: name === 'public.fine' ? 'streaming' : 'parked',
      },
    }))
    onSnapshot(snapshotOf({ tables }))
    const detail = 'public.orders: FILE. Run `millrace resync FILE --table public.orders`.'
    throw new PipelineError('TABLE_PARKED', 'parked and not up to date', { detail })
  }
  expect(await runCommandLine(['run', spaced, '--once'], terminal, fake.wiring)).toBe(4)
  const command = `millrace resync '${spaced}' --table public.orders --table 'public.o'\\''brien'`
  expect(terminal.stderr).toBe(
    'MR-5013 parked and not up to date\n' +
      `  public.orders: FILE. Run \`millrace resync '${spaced}' --table public.orders\`.\n` +
      `  fix    : Run \`${command}\`.\n`,
  )
})
