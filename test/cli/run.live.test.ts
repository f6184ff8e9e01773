// Goal: what `run` promises to whoever supervises it. Method: a real PostgreSQL, the program as
// processes of its own, ended in every way in which supervisors end processes.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { PipelineStatus } from '../../runtime/console/status.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { freePort } from '../servers/process.ts'
import { startPostgres } from '../servers/postgres.ts'
import { type Ended, eventually, millrace, start } from './program.ts'

const ENV = { PW: 'millrace' }

type Status = PipelineStatus & { readonly running: boolean }

function pipelineFile(port: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-run-'))
  const file = join(folder, 'shop.yaml')
  writeFileSync(
    file,
    `version: 1
name: shop
source:
  type: postgres
  uri: postgresql://postgres@127.0.0.1:${port}/postgres
  password: { from_env: PW }
  tables: ["public.*"]
  max_slot_lag: 10GiB
sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:///catalog.db" }
  warehouse: lake
pipeline:
  parallelism: 1
  checkpoint: { interval: 500ms, store: state }
`,
  )
  return file
}

async function statusOf(file: string): Promise<Status | null> {
  const { code, output } = await millrace(ENV, 'status', file, '--json')
  return code === 0 ? (JSON.parse(output) as Status) : null
}

/** Resolves when all tables stream, in the process of this id. */
function streaming(file: string, pid: number | undefined): Promise<Status> {
  return eventually('streaming', 60, async () => {
    const status = await statusOf(file)
    const ready = status?.state === 'RUNNING' && status.commit.total > 0
    return ready && status.pid === pid ? status : null
  })
}

function errorCodeOf({ output }: Ended): string | undefined {
  return /^MR-\d{4}/m.exec(output)?.[0]
}

test.skipIf(!(await available('postgres18')))(
  'a pipeline is started, watched, doubled, killed, resynced and stopped',
  { timeout: 300_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    try {
      await queryPostgres(
        server.uri(),
        `CREATE TABLE orders (id int PRIMARY KEY, note text);
         INSERT INTO orders SELECT i, 'n' || i FROM generate_series(1, 1000) i`,
      )
      const file = pipelineFile(server.port)
      const port = await freePort()
      const first = start(ENV, 'run', file, '--listen', `127.0.0.1:${port}`)
      const status = await streaming(file, first.child.pid)
      expect(status).toMatchObject({ running: true, tables: { total: 1, streaming: 1 } })
      // Rows are counted when the epoch ends that they are in.
      await eventually('the rows of the backfill', 60, async () => {
        const [orders] = (await statusOf(file))?.table_list ?? []
        return orders?.ops.read === 1000 ? true : null
      })
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      expect(metrics).toContain('millrace_pipeline_state{pipeline="shop",state="RUNNING"} 1')
      expect(metrics).toMatch(/^millrace_commits_total\{.*result="ok"\} [1-9]/m)
      expect(metrics).toMatch(/^millrace_files_total\{.*action="written"\} [1-9]/m)

      // It waits for the lock in case the other is just ending, and touches nothing meanwhile.
      const startMs = performance.now()
      const second = await millrace(ENV, 'run', file)
      expect(second.code, second.output).toBe(6)
      expect(errorCodeOf(second)).toBe('MR-5006')
      const owner = `process ${first.child.pid}, since ${status.since}`
      expect(second.output).toContain(`waiting up to 30 s for the lock, which ${owner} holds`)
      expect(second.output).toContain(`It is owned by ${owner}.`)
      // A log line with the code as well: nobody looks at standard error of a service.
      expect(second.output).toMatch(/^\{"level":"error".*"code":"MR-5006"/m)
      expect(performance.now() - startMs).toBeGreaterThan(29_000)
      expect((await statusOf(file))?.pid).toBe(first.child.pid)

      first.child.kill('SIGKILL')
      await first.ended
      expect(await statusOf(file)).toMatchObject({ running: false, state: 'RUNNING' })
      expect((await millrace(ENV, 'status', file)).output).toContain('without saying so')
      expect((await millrace(ENV, 'resync', file, '--table', 'public.no')).code).toBe(3)
      expect((await millrace(ENV, 'resync', file, '--table', 'public.orders')).code).toBe(0)

      await queryPostgres(server.uri(), "UPDATE orders SET note = 'changed' WHERE id = 1")
      const third = start(ENV, 'run', file)
      await streaming(file, third.child.pid)
      third.child.kill('SIGTERM')
      third.child.kill('SIGTERM')
      const stopped = await third.ended
      expect(stopped.code, stopped.output).toBe(0)
      expect(await statusOf(file)).toMatchObject({ running: false, state: 'STOPPED' })
      const once = await millrace(ENV, 'run', file, '--once')
      expect(once.code, once.output).toBe(0)
      expect(once.output).toContain('"msg":"finished: all there was is in the lake"')
      // Nothing changed, so it was over in a moment; yet it knows what it has looked at.
      expect(once.output).toMatch(/"table":"public.orders","duckdb":.*"msg":"query"/)
      expect(await statusOf(file)).toMatchObject({
        tables: { total: 1, streaming: 1 },
        table_list: [{ table: 'public.orders', phase: 'streaming' }],
      })
      // An append would leave rows that an upsert does not find, and readers columns of other ids.
      writeFileSync(file, readFileSync(file, 'utf8').replace('sink:', 'sink:\n  mode: changelog'))
      const other = await millrace(ENV, 'run', file, '--once')
      expect([other.code, errorCodeOf(other)]).toEqual([2, 'MR-1005'])
      expect(other.output).toContain('Set `sink.mode: upsert` again')
      expect(once.output + stopped.output).not.toContain(`:${ENV.PW}`)
    } finally {
      await server.stop()
    }
  },
)

test.skipIf(!(await available('postgres18')))(
  'what keeps a pipeline from starting is said with its code',
  async () => {
    const server = await startPostgres({ major: 18, settings: { wal_level: 'replica' } })
    try {
      const file = pipelineFile(server.port)
      const check = await millrace(ENV, 'check', file)
      expect(check.code).toBe(3)
      expect(check.output).toMatch(/✗ wal_level .*\n\s+ALTER SYSTEM SET wal_level/)
      const run = await millrace(ENV, 'run', file)
      expect([run.code, errorCodeOf(run)]).toEqual([3, 'MR-2004'])
      const wrong = await millrace({ PW: 'wrong' }, 'run', file)
      expect([wrong.code, errorCodeOf(wrong)]).toEqual([3, 'MR-2002'])
      await server.stop()
      const gone = await millrace(ENV, 'run', file)
      expect([gone.code, errorCodeOf(gone)]).toEqual([3, 'MR-2001'])
    } finally {
      await server.stop()
    }
  },
)
