// A log connection that is silent, or whose place somebody holds, is no reason to end.

import { expect, test } from 'vitest'
import { readSlot } from '../../connectors/postgres/server.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  ready,
  run,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'
import { proxyTo } from './proxy.ts'

const servers = await startAll({ wal_sender_timeout: '4s' })

type Rows = Record<string, unknown>[]

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'

testOn(
  servers,
  'a server that is silent for less than its own timeout is not given up',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, TABLE)
    // As a server does that decodes a large transaction of which nothing is published.
    let held: (() => void)[] | null = null
    const proxy = await proxyTo(server, {
      fromServer: (bytes, link) => {
        if (held === null || link.purpose !== 'log') link.toClient(bytes)
        else held.push(() => link.toClient(bytes))
      },
    })
    const warnings: string[] = []
    const log = { info: () => {}, warn: (message: string) => void warnings.push(message) }
    const port = { port: proxy.port, heartbeatMs: 200 }
    const running = await run(optionsFor(server, { ...changed, ...port, log }))
    await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
    await running.until(() => running.changes.length === 1)
    held = []
    await queryPostgres(uri, `INSERT INTO t VALUES (2, 'b')`)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    for (const pass of held) pass()
    held = null
    await running.until(() => running.changes.length === 2)
    expect(warnings).toEqual([])
    await running.stop()
    proxy.close()
  },
)

testOn(servers, 'the server shows when we gave a sign of life', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const options = optionsFor(server, { ...changed, heartbeatMs: 200 })
  const running = await run(options)
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
  await running.until(() => running.changes.length === 1)
  // Whoever waits for the slot tells by it a reader that is alive from one that died.
  const ask = async (sql: string, values: readonly unknown[] = []): Promise<Rows> =>
    queryPostgres(uri, sql, [...values])
  const first = (await readSlot(ask, options.slot))?.reply
  expect(typeof first).toBe('string')
  await expect.poll(async () => (await readSlot(ask, options.slot))?.reply).not.toBe(first)
  const ageMs = Date.now() - Date.parse(String(first))
  expect(Math.abs(ageMs)).toBeLessThan(60_000)
  await running.stop()
})

testOn(servers, 'a slot that somebody else holds for a while is read on', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  // The minute that others are waited for is a second here.
  const clock = { ...systemClock, elapsedMs: () => 60 * systemClock.elapsedMs() }
  const running = await run(optionsFor(server, { ...changed, clock, catalogPollMs: 1e9 }))
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
  await running.caughtUp()
  const slot = String(changed.slot)
  const thief = withPostgres(`${uri}?replication=database`, async (client) => {
    for (let attempt = 0; attempt < 200; attempt++) {
      await queryPostgres(
        uri,
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
         WHERE slot_name = '${slot}' AND active`,
      )
      const started = client.query(
        `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'millrace')`,
      )
      const refused = await Promise.race([
        started.then(
          () => false,
          () => true,
        ),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
      ])
      if (!refused) break
    }
    await new Promise((resolve) => setTimeout(resolve, 2500))
  })
  await thief
  await queryPostgres(uri, `INSERT INTO t VALUES (2, 'b')`)
  await running.until(() => running.changes.length === 2)
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 1],
    ['insert', 2],
  ])
  await running.stop()
})

testOn(servers, 'a database whose sessions only read by default is read', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, `${TABLE}; INSERT INTO t VALUES (1, 'a')`)
  const database = String(changed.database)
  await queryPostgres(uri, `ALTER DATABASE ${database} SET default_transaction_read_only = on`)
  const running = await run(optionsFor(server, changed))
  expect((await readTable(running, 'public.t', 10)).rows).toHaveLength(1)
  await running.stop()
})

test.skipIf(!servers.has(18))(
  'PostgreSQL 18: transaction_timeout ends neither a chunk nor a large transaction of the log',
  async () => {
    const server = servers.get(18)!
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, `${TABLE}; INSERT INTO t VALUES (1, 'a')`)
    const database = String(changed.database)
    await queryPostgres(uri, `ALTER DATABASE ${database} SET transaction_timeout = '50ms'`)
    const running = await run(optionsFor(server, changed))
    const { source, runtime, position } = running
    await ready(source, 'public.t')
    const schema = runtime.schemas.get('public.t')!
    const chunk = { table: 'public.t', after: null, until: null }
    const read = await source.openChunk(chunk, 10, schema, position, AbortSignal.timeout(20_000))
    await withPostgres(uri, async (client) => {
      await client.query('SET transaction_timeout = 0')
      await client.query(`INSERT INTO t SELECT i, 'b' FROM generate_series(2, 100000) i`)
    })
    await running.until(() => running.changes.length === 99_999)
    let rows = 0
    for await (const { batch } of read.parts) rows += batch.rows
    expect(rows).toBe(1)
    await running.stop()
  },
)
