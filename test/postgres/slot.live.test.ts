// Slot, publication, acknowledgement, keepalives and lost connections.

import { createServer, connect as dial, type Socket } from 'node:net'
import { expect } from 'vitest'
import { createPostgresSource } from '../../connectors/postgres/source.ts'
import type { PostgresServer } from '../servers/postgres.ts'
import { NO_PASSWORD_HINT, type PipelineError } from '../../runtime/base/errors.ts'
import { parseLsn, placeOf, positionAt } from '../../connectors/postgres/lsn.ts'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  ready,
  run,
  startAll,
  started,
  testOn,
  TestRuntime,
  withPostgres,
} from './harness.ts'

const servers = await startAll({ wal_sender_timeout: '3s' })

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'

/** Tests that wait for most of their time do so on all servers together. */
const WAITS = { concurrent: true }

async function confirmed(uri: string, slot: string): Promise<number> {
  const [row] = await queryPostgres(
    uri,
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return parseLsn(String(row?.['lsn']))
}

testOn(
  servers,
  'the slot moves by acknowledgement alone, also while nobody reads',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, TABLE)
    const source = createPostgresSource(optionsFor(server, changed))
    const runtime = new TestRuntime()
    const { position, tables } = await source.open(null, null, false)
    runtime.meet(tables)
    const stop = new AbortController()
    const reading = source.read(position, runtime, stop.signal)[Symbol.asyncIterator]()
    const first = reading.next()
    await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
    const { value: begun } = await first
    const start = parseLsn(position.token)
    // More than wal_sender_timeout without a reader, and 40 MB that nobody takes.
    await queryPostgres(
      uri,
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(2, 40000) i`,
    )
    await new Promise((resolve) => setTimeout(resolve, 5000))
    expect(await confirmed(uri, String(changed.slot))).toBe(start)
    let rows = begun.kind === 'changes' ? begun.rows : 0
    let last = position
    while (rows < 40_000) {
      const { value } = await reading.next()
      if (value.kind === 'changes') rows += value.rows
      else last = value.position
    }
    source.requestProgress()
    while (last.order === position.order) {
      const { value } = await reading.next()
      if (value.kind === 'progress') last = value.position
    }
    expect(await confirmed(uri, String(changed.slot))).toBe(start)
    await source.acknowledge({ epoch: 1, position: last } as Parameters<
      typeof source.acknowledge
    >[0])
    for (let attempt = 0; (await confirmed(uri, String(changed.slot))) === start; attempt++) {
      expect(attempt).toBeLessThan(100)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(await confirmed(uri, String(changed.slot))).toBe(parseLsn(last.token))
    stop.abort()
    await reading.return?.()
    await source.close()
  },
)

testOn(
  servers,
  'an idle table follows the log of busy others, without any write',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, `${TABLE}; CREATE TABLE busy (id int)`)
    const tables = (_: string, name: string): boolean => name === 't'
    const running = await run(optionsFor(server, { ...changed, tables }))
    const before = running.position.order
    await queryPostgres(uri, 'INSERT INTO busy SELECT * FROM generate_series(1, 10000)')
    const end = (await running.source.head()).order
    expect(end).toBeGreaterThan(before + 100_000n)
    await running.until(() => running.position.order >= end, 5000)
    await running.acknowledge(running.position)
    await running.until(() => true)
    for (let attempt = 0; BigInt(await confirmed(uri, String(changed.slot))) < end; attempt++) {
      expect(attempt).toBeLessThan(100)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(running.changes).toEqual([])
    await running.stop()
  },
)

testOn(
  servers,
  'the end of the log is reached behind an empty page and an open write',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, TABLE)
    const running = await run(optionsFor(server, changed))
    await withPostgres(uri, async (client) => {
      await client.query('BEGIN')
      await client.query("INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 20) i")
      await ready(running.source, 'public.t')
      const schema = running.runtime.schemas.get('public.t')!
      for (const prepare of ['SELECT pg_switch_wal()', 'SELECT 1']) {
        await queryPostgres(uri, prepare)
        const chunk = { table: 'public.t', after: null, until: null }
        const signal = AbortSignal.timeout(20_000)
        const read = await running.source.openChunk(chunk, 10, schema, running.position, signal)
        for await (const part of read.parts) expect(part.batch.rows).toBe(0)
        const high = await read.high()
        await running.until(() => running.position.order >= high, 5000)
        await running.caughtUp()
      }
      await client.query('ROLLBACK')
    })
    await running.stop()
  },
)

testOn(
  servers,
  'a resume gives every later transaction once, and no earlier one',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, TABLE)
    const first = await run(options)
    const positions = [{ position: first.position, saved: first.source.save() }]
    for (let id = 1; id <= 5; id++) {
      await queryPostgres(uri, `INSERT INTO t VALUES (${id}, 'a'), (${-id}, 'b')`)
      await first.caughtUp()
      positions.push({ position: first.position, saved: first.source.save() })
    }
    await first.stop()
    for (const [at, { position, saved }] of positions.entries()) {
      const again = await run(options, saved, position, first.runtime)
      await again.caughtUp()
      const ids = again.changes.map(({ row }) => row['id'])
      expect(ids).toEqual([1, 2, 3, 4, 5].slice(at).flatMap((id) => [id, -id]))
      expect(again.changes).toEqual(first.changes.slice(2 * at))
      await again.stop()
    }
  },
)

testOn(servers, 'a slot that is gone, ahead or in use is named before any row', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, changed)
  const slot = String(changed.slot)
  await queryPostgres(uri, TABLE)
  const first = await run(options)
  const position = await first.caughtUp()
  const saved = first.source.save()
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
  const later = await first.caughtUp()
  await first.acknowledge(later)
  await first.stop()
  await expect(run(options, saved, position)).rejects.toMatchObject({ error: 'LOG_GAP' })
  await queryPostgres(uri, `SELECT pg_drop_replication_slot('${slot}')`)
  await expect(run(options, saved, position)).rejects.toMatchObject({ error: 'SLOT_MISSING' })
  await queryPostgres(uri, `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
  await expect(run(options, saved, position)).rejects.toMatchObject({ error: 'LOG_GAP' })
  const other = { ...options, slot: 'another' }
  await expect(run(other, saved, position)).rejects.toMatchObject({ error: 'SOURCE_CHANGED' })
})

testOn(servers, 'a slot that disappears while it is read ends the read by name', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const running = await run(optionsFor(server, changed))
  await running.caughtUp()
  const slot = String(changed.slot)
  for (let attempt = 0; attempt < 50; attempt++) {
    await queryPostgres(
      uri,
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    )
    const dropped = await queryPostgres(uri, `SELECT pg_drop_replication_slot('${slot}')`).then(
      () => true,
      () => false,
    )
    if (dropped) break
  }
  await expect(running.until(() => false)).rejects.toMatchObject({ error: 'SLOT_MISSING' })
  await running.stop()
})

testOn(servers, 'a log that begins anew lies above all orders of before', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, changed)
  await queryPostgres(uri, TABLE)
  const first = await run(options)
  // Another server may have got less far.
  const { lsn } = placeOf(await first.caughtUp())
  const far = positionAt(0, lsn + 1e9)
  await first.stop()
  for (const [sourceEpoch, after] of [far, positionAt(1, lsn + 1e9)].entries()) {
    const source = createPostgresSource(options)
    const { position } = await source.open(null, after, true)
    expect(placeOf(position).sourceEpoch).toBe(sourceEpoch + 1)
    expect(position.order).toBeGreaterThan(after.order)
    expect((await source.head()).order).toBeGreaterThan(after.order)
    await source.close()
  }
})

testOn(servers, 'a publication that was made anew has left changes out', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, changed)
  await queryPostgres(uri, TABLE)
  const first = await run(options)
  const position = await first.caughtUp()
  const saved = first.source.save()
  await first.stop()
  await queryPostgres(uri, 'DROP PUBLICATION millrace')
  await expect(run(options, saved, position)).rejects.toMatchObject({ error: 'LOG_GAP' })
  await queryPostgres(uri, 'CREATE PUBLICATION millrace FOR TABLE t')
  await expect(run(options, saved, position)).rejects.toMatchObject({ error: 'LOG_GAP' })
})

testOn(servers, 'a table that left the publication for a while is parked', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, `${TABLE}; CREATE TABLE u (id int PRIMARY KEY)`)
  const running = await run(optionsFor(server, changed))
  await running.caughtUp()
  await queryPostgres(uri, 'ALTER PUBLICATION millrace DROP TABLE t; ')
  await running.until(() => running.runtime.parked.has('public.t'))
  await queryPostgres(uri, `INSERT INTO u VALUES (1); INSERT INTO t VALUES (1, 'x')`)
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([['insert', 1]])
  await running.stop()
})

testOn(servers, 'a publication that a user made is used as it is', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `${TABLE}; CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE nokey (id int);
     CREATE PUBLICATION own FOR ALL TABLES WITH (publish_via_partition_root = true);
     CREATE PUBLICATION partial FOR ALL TABLES WITH (publish = 'insert')`,
  )
  const tables = (_: string, name: string): boolean => name !== 'nokey'
  const options = optionsFor(server, { ...changed, tables })
  await expect(run({ ...options, publication: 'partial' })).rejects.toMatchObject({
    error: 'SERVER_UNSUITABLE',
  })
  const running = await run({ ...options, publication: 'own' })
  await queryPostgres(
    uri,
    `INSERT INTO nokey VALUES (1); INSERT INTO u VALUES (2); CREATE TABLE fresh (id int PRIMARY KEY);
     INSERT INTO fresh VALUES (3)`,
  )
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 2],
    ['insert', 3],
  ])
  await running.stop()
})

testOn(servers, 'a killed connection goes on behind the last transaction', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const running = await run(optionsFor(server, changed))
  const slot = String(changed.slot)
  for (let id = 1; id <= 20; id++) {
    await queryPostgres(uri, `INSERT INTO t VALUES (${id}, 'a'); `)
    if (id % 4 !== 0) continue
    // Inside a transaction it would end the read.
    await running.caughtUp()
    await queryPostgres(
      uri,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
       AND application_name LIKE 'millrace ${slot} %'`,
    )
  }
  await running.until(() => running.changes.length >= 20)
  expect(running.changes.map(({ row }) => row['id'])).toEqual(
    Array.from({ length: 20 }, (_, at) => at + 1),
  )
  await running.stop()
})

testOn(
  servers,
  'a connection that breaks inside a transaction ends the read, to be retried',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, TABLE)
    // A proxy that lets the log connection break after so many bytes.
    const sockets: Socket[] = []
    let limit = Number.POSITIVE_INFINITY
    const proxy = createServer((client) => {
      const upstream = dial(server.port, server.host)
      sockets.push(client, upstream)
      let sent = 0
      upstream.on('data', (bytes) => {
        sent += bytes.length
        if (sent > limit) client.destroy()
        else client.write(bytes)
      })
      client.on('data', (bytes) => upstream.write(bytes))
      for (const socket of [client, upstream]) socket.on('error', () => {})
      client.on('close', () => upstream.destroy())
      upstream.on('close', () => client.destroy())
    })
    await new Promise<void>((resolve) => {
      proxy.listen(0, '127.0.0.1', resolve)
    })
    const { port } = proxy.address() as { port: number }
    const running = await run(optionsFor(server, { ...changed, port }))
    await running.caughtUp()
    limit = 12_000_000
    await queryPostgres(
      uri,
      `INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i`,
    )
    await expect(running.until(() => false)).rejects.toMatchObject({ error: 'CONNECT_FAILED' })
    expect(running.changes.length).toBeGreaterThan(0)
    expect(running.changes.length).toBeLessThan(20_000)
    await running.stop()
    for (const socket of sockets) socket.destroy()
    proxy.close()
  },
)

async function isHeardAgain(server: PostgresServer): Promise<void> {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const sockets: Socket[] = []
  let silent = false
  const proxy = createServer((client) => {
    const upstream = dial(server.port, server.host)
    sockets.push(client, upstream)
    const mute = silent
    upstream.on('data', (bytes) => {
      if (mute || !silent) client.write(bytes)
    })
    client.on('data', (bytes) => upstream.write(bytes))
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.on('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  const { port } = proxy.address() as { port: number }
  const options = optionsFor(server, { ...changed, port, heartbeatMs: 200, catalogPollMs: 1e9 })
  const running = await run(options)
  await running.caughtUp()
  // Connections that exist now stay open and carry nothing; new ones work.
  silent = true
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'a')`)
  sockets.splice(0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await expect
    .poll(() => running.changes.length + (running.failure === null ? 0 : 100), { timeout: 40_000 })
    .toBeGreaterThan(0)
  for (const socket of sockets) socket.destroy()
  proxy.close()
  await running.stop()
}

testOn(servers, 'a silent connection is noticed and opened anew', isHeardAgain, WAITS)

testOn(servers, 'what goes wrong at the connection has its own name', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const options = optionsFor(server, changed)
  const errorOf = async (with_: object): Promise<PipelineError | null> =>
    run({ ...options, ...with_ }).then(
      () => null,
      (error: PipelineError) => error,
    )
  const failure = async (with_: object): Promise<unknown> => (await errorOf(with_))?.error
  expect(await failure({ password: () => 'wrong' })).toBe('AUTH_FAILED')
  const none = await errorOf({ password: () => '' })
  expect([none?.error, none?.hint]).toEqual(['AUTH_FAILED', NO_PASSWORD_HINT])
  expect(none?.message).toContain('asks for a password of "postgres"')
  expect(await failure({ user: 'nobody' })).toBe('AUTH_FAILED')
  expect(await failure({ database: 'nosuch' })).toBe('DATABASE_MISSING')
  expect(await failure({ port: 1 })).toBe('CONNECT_FAILED')
  expect(await failure({ host: 'no.such.host.invalid' })).toBe('CONNECT_FAILED')
  expect(await failure({ tls: { mode: 'required', ca: null } })).toBe('TLS_FAILED')
  await queryPostgres(
    uri,
    `CREATE ROLE plain LOGIN PASSWORD 'p'; GRANT SELECT ON t TO plain`,
  ).catch(() => [])
  expect(await failure({ user: 'plain', password: () => 'p' })).toBe('PRIVILEGE_MISSING')
  const running = await run({ ...options, tls: { mode: 'preferred', ca: null } })
  await running.caughtUp()
  await running.stop()
})

testOn(servers, 'another server is told from the one of the checkpoint', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLE)
  const options = optionsFor(server, changed)
  const first = await run(options)
  const position = await first.caughtUp()
  const saved = first.source.save()
  await first.stop()
  const other = await started(server.major)
  try {
    await queryPostgres(other.uri(), `CREATE DATABASE ${changed.database}`)
    await expect(run({ ...options, port: other.port }, saved, position)).rejects.toMatchObject({
      error: 'SOURCE_CHANGED',
    })
  } finally {
    await other.stop()
  }
  const renamed = run({ ...options, slot: 'renamed' }, saved, position)
  await expect(renamed).rejects.toMatchObject({
    error: 'SOURCE_CHANGED',
    hint: expect.stringContaining(`pg_drop_replication_slot('${changed.slot}')`),
  })
  const { database } = (await freshDatabase(server)).changed
  await expect(
    run({ ...options, ...(database !== undefined && { database }) }, saved, position),
  ).rejects.toMatchObject({ error: 'SOURCE_CHANGED' })
})

testOn(servers, 'a server that is killed and comes back is read on', async () => {
  const server = await started(18)
  try {
    await queryPostgres(server.uri(), TABLE)
    const running = await run(optionsFor(server))
    await queryPostgres(server.uri(), `INSERT INTO t VALUES (1, 'a')`)
    await running.caughtUp()
    await server.kill()
    await new Promise((resolve) => setTimeout(resolve, 300))
    await server.restart()
    await queryPostgres(server.uri(), `INSERT INTO t VALUES (2, 'b')`)
    await running.until(() => running.changes.length === 2)
    expect(brief(running.changes, 'id')).toEqual([
      ['insert', 1],
      ['insert', 2],
    ])
    await running.stop()
  } finally {
    await server.stop()
  }
})

testOn(
  servers,
  'a slot that nobody has read from begins with the structure of now',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, v int)')
    const options = optionsFor(server, changed)
    // Its process died before the first checkpoint.
    const first = await run(options)
    await first.stop()
    await queryPostgres(
      uri,
      `INSERT INTO t VALUES (1, 1); ALTER TABLE t ALTER v TYPE bigint; INSERT INTO t VALUES (2, 2)`,
    )
    const second = await run(options)
    await second.looked()
    expect(second.runtime.parked).toEqual(new Map())
    expect((await readTable(second, 'public.t', 10)).rows).toHaveLength(2)
    await second.stop()
  },
)
