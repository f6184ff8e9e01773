// A quiet source that answers heartbeats is RUNNING. A connection that dies without an end is not,
// is given up and made anew, and what was written meanwhile arrives.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { blackHoleTo, type BlackHole } from '../servers/black-hole.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { type Child, Pipeline } from './pipeline.ts'

const HEARTBEAT_MS = 1000
/** Three heartbeats; the source is looked at four times a second, the status written once. */
const NOTICED_MS = 3 * HEARTBEAT_MS + 2500
/** An attempt to connect into the hole takes 10 s to fail, and waits of some seconds follow. */
const BACK_MS = 60_000

type Server = PostgresServer | MysqlServer

interface Source {
  readonly name: string
  readonly facility: 'postgres18' | 'mysql' | 'mariadb'
  readonly namespace: string
  readonly start: () => Promise<Server>
}

const SOURCES: readonly Source[] = [
  {
    name: 'PostgreSQL',
    facility: 'postgres18',
    namespace: 'public',
    // The server gives up its own end after this: then the slot is free.
    start: async () => startPostgres({ major: 18, settings: { wal_sender_timeout: '8s' } }),
  },
  { name: 'MySQL', facility: 'mysql', namespace: 'shop', start: async () => startMysql() },
  { name: 'MariaDB', facility: 'mariadb', namespace: 'shop', start: async () => startMariadb() },
]

async function query(server: Server, sql: string): Promise<void> {
  if ('major' in server) await queryPostgres(server.uri(), sql)
  else await queryMysql(server.uri(), sql)
}

/** Inserts, updates and deletes until it is stopped. */
class Writer {
  private readonly server: Server
  private readonly table: string
  private stopped = false
  private id = 1000
  private running: Promise<void> = Promise.resolve()

  constructor(server: Server, table: string) {
    this.server = server
    this.table = table
  }

  start(): void {
    this.stopped = false
    this.running = this.write()
    // Whoever stops it sees the error; before that it is nobody's.
    this.running.catch(() => {})
  }

  async stop(): Promise<void> {
    this.stopped = true
    await this.running
  }

  private async write(): Promise<void> {
    const { server, table } = this
    for (; !this.stopped; this.id += 3) {
      const { id } = this
      const rows = [id, id + 1, id + 2].map((each) => `(${each}, 'a${each}')`).join()
      await query(server, `INSERT INTO ${table} VALUES ${rows}`)
      await query(server, `UPDATE ${table} SET v = 'b${id}' WHERE id IN (${id}, ${id - 7})`)
      await query(server, `DELETE FROM ${table} WHERE id = ${id - 11}`)
      await sleep(40)
    }
  }
}

async function withPipeline(
  { start, namespace }: Source,
  work: (parts: {
    server: Server
    table: string
    hole: BlackHole
    pipeline: Pipeline
    child: Child
    url: string
  }) => Promise<void>,
): Promise<void> {
  const server = await start()
  const hole = await blackHoleTo(server.host, server.port)
  const pipeline = await Pipeline.create({
    server: { ...server, port: hole.port },
    source: { heartbeat: `${HEARTBEAT_MS}ms` },
    interval: '500ms',
  })
  const table = `${namespace}.t`
  try {
    if (namespace !== 'public') await query(server, `CREATE DATABASE ${namespace}`)
    await query(server, `CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(20))`)
    await query(server, `INSERT INTO ${table} VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
    const child = pipeline.spawn(['run', pipeline.file, '--listen', '127.0.0.1:0'])
    await pipeline.untilStreaming(child)
    const url = /"url":"([^"]+)"/.exec(child.output())?.[1] ?? ''
    await work({ server, table, hole, pipeline, child, url })
  } finally {
    await pipeline.remove()
    hole.close()
    await server.stop()
  }
}

async function stateOf(url: string): Promise<string> {
  const health = (await (await fetch(`${url}/healthz`)).json()) as { state: string }
  return health.state
}

async function staysRunning(url: string): Promise<void> {
  const untilMs = performance.now() + 6 * HEARTBEAT_MS
  while (performance.now() < untilMs) {
    expect(await stateOf(url)).toBe('RUNNING')
    await sleep(100)
  }
}

/** They wait for most of their time: the three sources do so together. */
const OPTIONS = { timeout: 240_000, concurrent: true }

for (const source of SOURCES) {
  const missing = !(await available(source.facility)) || !(await available('duckdb'))

  test.skipIf(missing)(
    `${source.name}: a quiet source is RUNNING all the time, a black hole is not, and loses nothing`,
    OPTIONS,
    async () => {
      await withPipeline(source, async ({ server, table, hole, pipeline, child, url }) => {
        const isRunning = async (): Promise<boolean> => (await stateOf(url)) === 'RUNNING'
        await pipeline.until('it runs', isRunning, { child })
        await staysRunning(url)
        expect(child.output()).not.toMatch(/silent|lost|read again/)

        const writer = new Writer(server, table)
        writer.start()
        await sleep(1000)
        hole.open()
        const openedMs = performance.now()
        await pipeline.until('it says that it stands', async () => !(await isRunning()), { child })
        const noticedMs = performance.now() - openedMs
        expect(noticedMs).toBeLessThan(NOTICED_MS)
        expect(['STALLED', 'RETRYING']).toContain(await stateOf(url))
        const metrics = await (await fetch(`${url}/metrics`)).text()
        expect(metrics).toContain('millrace_connection_up{pipeline="shop",component="log"} 0')
        // It stays so while the hole is there, however many times it tries.
        const untilMs = performance.now() + 12_000
        while (performance.now() < untilMs) {
          expect(['STALLED', 'RETRYING']).toContain(await stateOf(url))
          await sleep(200)
        }
        expect((await pipeline.status())?.state).toMatch(/STALLED|RETRYING/)

        hole.heal()
        await pipeline.until('it runs again', isRunning, { child, timeoutMs: BACK_MS })
        await sleep(1000)
        await writer.stop()
        expect(child.output()).toMatch(/"since":"[^"]+","code":"MR-2001".*"msg":"[^"]*(lost|retry)/)
        expect(child.output()).toMatch(/"code":"MR-2001".*"msg":"the log is read again"/)
        await child.stop()
        await pipeline.once()
        await expectLakeEqualsSource(pipeline, server, [table], ['duckdb'])
      })
    },
  )
}
