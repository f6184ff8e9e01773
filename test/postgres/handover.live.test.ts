// LOW and HIGH of chunks where log order is not visibility order, and tables that join.

import { expect } from 'vitest'
import type { Client } from 'pg'
import { parseLsn } from '../../connectors/postgres/lsn.ts'
import { decodeState } from '../../connectors/postgres/state.ts'
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
  withPostgres,
  type Change,
  type RunningSource,
} from './harness.ts'
import { holdCommits } from '../servers/standby.ts'
import { proxyTo } from './proxy.ts'

const servers = await startAll()

/** Opens one chunk of the whole table now. */
async function chunkNow(
  running: RunningSource,
  table: string,
): Promise<{ low: bigint; rows: Change[]; high: bigint }> {
  const schema = running.runtime.schemas.get(table)!
  const chunk = { table, after: null, until: null }
  const signal = AbortSignal.timeout(20_000)
  const read = await running.source.openChunk(chunk, 1000, schema, running.position, signal)
  const rows: Change[] = []
  for await (const { batch } of read.parts) rows.push(...running.runtime.changesOf(batch))
  return { low: read.low, rows, high: await read.high() }
}

testOn(
  servers,
  'a commit that is delivered before it is visible stays behind LOW',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')`,
    )
    const running = await run(options)
    await ready(running.source, 'public.t')
    await queryPostgres(uri, `INSERT INTO t VALUES (2, 'before')`)
    await running.caughtUp()
    // From here on every commit waits for a standby that does not exist.
    const release = await holdCommits(uri)
    let committed = false
    const hanging = withPostgres(uri, async (client: Client) => {
      await client.query(`UPDATE t SET v = 'new' WHERE id = 1`)
      committed = true
    })
    try {
      await running.until(() => running.changes.some(({ row }) => row['v'] === 'new'))
      const update = running.changes.find(({ row }) => row['v'] === 'new')!
      await running.until(() => running.position.order > update.order)
      expect(committed).toBe(false)
      const { low, rows } = await chunkNow(running, 'public.t')
      // The chunk does not show the update, so its LOW lies before it, however far the log was
      // read.
      expect(brief(rows, 'id', 'v')).toEqual([
        ['read', 1, 'old'],
        ['read', 2, 'before'],
      ])
      expect(low).toBeLessThanOrEqual(update.order)
      expect(running.source.lowBound(running.position)).toBeLessThanOrEqual(update.order)
      // The same after a restart from a checkpoint that lies behind the commit.
      const position = running.position
      const saved = running.source.save()
      await running.stop()
      const second = await run(options, saved, position, running.runtime)
      const again = await chunkNow(second, 'public.t')
      expect(brief(again.rows, 'v')[0]).toEqual(['read', 'old'])
      expect(again.low).toBeLessThanOrEqual(update.order)
      await release()
      await hanging
      const after = await chunkNow(second, 'public.t')
      expect(brief(after.rows, 'v')[0]).toEqual(['read', 'new'])
      expect(after.low).toBeGreaterThan(update.order)
      await second.stop()
    } finally {
      await release()
    }
  },
)

testOn(
  servers,
  'a commit that becomes visible while a chunk opens stays behind its LOW',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')`,
    )
    // What the server answers to the chunk's look at the catalog, with its snapshot, is kept back.
    let keeping = false
    const kept: (() => void)[] = []
    const proxy = await proxyTo(server, {
      fromClient: (bytes, link) => {
        if (link.purpose === 'chunk' && bytes.includes('relreplident')) keeping = true
        link.toServer(bytes)
      },
      fromServer: (bytes, link) => {
        if (keeping && link.purpose === 'chunk') kept.push(() => link.toClient(bytes))
        else link.toClient(bytes)
      },
    })
    const running = await run(optionsFor(server, { ...changed, port: proxy.port }))
    await ready(running.source, 'public.t')
    const release = await holdCommits(uri)
    try {
      const hanging = queryPostgres(uri, `UPDATE t SET v = 'new' WHERE id = 1`)
      await running.until(() => running.changes.some(({ row }) => row['v'] === 'new'))
      const { order } = running.changes.find(({ row }) => row['v'] === 'new')!
      await running.until(() => running.position.order > order)
      const opening = chunkNow(running, 'public.t')
      await running.until(() => kept.length > 0)
      await release()
      await hanging
      // A snapshot of the log reader shows the commit now; the one of the chunk does not.
      await running.until(() => running.source.lowBound(running.position) > order)
      keeping = false
      for (const pass of kept) pass()
      const { low, rows } = await opening
      expect(brief(rows, 'v')).toEqual([['read', 'old']])
      expect(low).toBeLessThanOrEqual(order)
    } finally {
      await release()
      await running.stop()
      proxy.close()
    }
  },
)

testOn(
  servers,
  'no row of a chunk is handed out before a crash of the server could take it back',
  async ({ major }) => {
    const server = await started(major, { wal_writer_delay: '2s' })
    try {
      const uri = server.uri()
      await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY)')
      const running = await run(optionsFor(server, { catalogPollMs: 1e9 }))
      await ready(running.source, 'public.t')
      await running.caughtUp()
      await queryPostgres(uri, 'INSERT INTO t VALUES (1)')
      const schema = running.runtime.schemas.get('public.t')!
      await withPostgres(uri, async (client) => {
        // Its commit is visible at once, and the log writer flushes it some time later.
        await client.query('SET synchronous_commit = off')
        await client.query('INSERT INTO t VALUES (2)')
        const { rows } = await client.query<{ inserted: string }>(
          'SELECT pg_current_wal_insert_lsn()::text AS inserted',
        )
        const inserted = parseLsn(rows[0]!.inserted)
        const chunk = { table: 'public.t', after: null, until: null }
        const signal = AbortSignal.timeout(20_000)
        const read = await running.source.openChunk(chunk, 1000, schema, running.position, signal)
        for await (const { batch } of read.parts) {
          expect(batch.rows).toBe(2)
          expect(parseLsn((await running.source.head()).token)).toBeGreaterThanOrEqual(inserted)
        }
        // A standby that takes over must not lack it either, and the checkpoint knows how far.
        expect(decodeState(running.source.save()).highest).toBeGreaterThanOrEqual(inserted)
        expect(await read.high()).toBeGreaterThanOrEqual(BigInt(inserted))
      })
      await running.stop()
    } finally {
      await server.stop()
    }
  },
)

testOn(
  servers,
  'a table that joins waits for transactions that were open, and names them',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      'CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY)',
    )
    const options = {
      ...optionsFor(server, changed),
      tables: (_: string, name: string) => allowed.has(name),
    }
    const allowed = new Set(['other'])
    const running = await run(options)
    await ready(running.source, 'public.other')
    await withPostgres(uri, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      // Written before the table joins: no event will ever carry this row.
      await client.query('BEGIN')
      await client.query('INSERT INTO late VALUES (1)')
      allowed.add('late')
      await running.until(() => running.runtime.schemas.has('public.late'))
      const answer = await running.source.mayBackfill('public.late')
      expect(answer).toEqual({
        ready: false,
        waitsFor: expect.stringContaining(`process ${rows[0]?.pid}`) as string,
      })
      // The others do not wait.
      expect(await running.source.mayBackfill('public.other')).toEqual({ ready: true })
      await client.query('COMMIT')
    })
    await queryPostgres(uri, 'INSERT INTO late VALUES (2)')
    const { rows } = await readTable(running, 'public.late', 10)
    expect(brief(rows, 'id')).toEqual([
      ['read', 1],
      ['read', 2],
    ])
    await running.caughtUp()
    expect(brief(running.changes, 'id')).toEqual([['insert', 2]])
    await running.stop()
  },
)

testOn(
  servers,
  'a long transaction does not stall chunks of tables that are in',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)`)
    const running = await run(optionsFor(server, changed))
    await ready(running.source, 'public.t')
    await withPostgres(uri, async (client) => {
      await client.query('BEGIN')
      await client.query('INSERT INTO t VALUES (2)')
      await queryPostgres(uri, 'INSERT INTO t VALUES (3)')
      await running.caughtUp()
      const { low, rows } = await chunkNow(running, 'public.t')
      expect(brief(rows, 'id')).toEqual([
        ['read', 1],
        ['read', 3],
      ])
      expect(low).toBe(running.position.order)
      await client.query('COMMIT')
    })
    await running.caughtUp()
    expect(brief(running.changes, 'id')).toEqual([
      ['insert', 3],
      ['insert', 2],
    ])
    await running.stop()
  },
)

const WRITERS = 6
const LOAD_MS = Number(process.env['LOAD_SECONDS'] ?? 3) * 1000

testOn(
  servers,
  'under load, chunks and log together give the rows of the server',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, v int, big text);
     INSERT INTO t SELECT i, 0, 'x' FROM generate_series(1, 300) i`,
    )
    const running = await run(optionsFor(server, changed))
    const stopAt = performance.now() + LOAD_MS
    const writers = Array.from({ length: WRITERS }, async (_, writer) =>
      withPostgres(uri, async (client) => {
        for (let count = 0; performance.now() < stopAt; count++) {
          const id = 1 + ((count * 7 + writer * 13) % 400)
          await client.query(
            count % 5 === 0
              ? `DELETE FROM t WHERE id = ${id}`
              : `INSERT INTO t VALUES (${id}, ${count}, 'w${writer}')
               ON CONFLICT (id) DO UPDATE SET v = t.v + 1, big = excluded.big`,
          )
        }
      }),
    )
    const merged = new Map<unknown, { order: bigint; read: boolean; row: Change['row'] | null }>()
    let rounds = 0
    while (performance.now() < stopAt) {
      const { rows } = await readTable(running, 'public.t', 7)
      // Last writer wins: a row of a chunk loses to every log row at or after its LOW.
      for (const { row, order } of rows) {
        const known = merged.get(row['id'])
        if (known === undefined || known.order < order || (known.read && known.order === order)) {
          merged.set(row['id'], { order, read: true, row })
        }
      }
      rounds++
      running.changes.splice(0).forEach(take)
    }
    await Promise.all(writers)
    await running.caughtUp()
    running.changes.splice(0).forEach(take)
    function take({ op, row, order }: Change): void {
      const known = merged.get(row['id'])
      if (known !== undefined && known.order > order) return
      merged.set(row['id'], { order, read: false, row: op === 'delete' ? null : row })
    }
    const live = [...merged.values()].flatMap(({ row }) => (row === null ? [] : [row]))
    const expected = await queryPostgres(uri, 'SELECT id, v, big FROM t ORDER BY id')
    expect(live.sort((left, right) => Number(left['id']) - Number(right['id']))).toEqual(expected)
    expect(rounds).toBeGreaterThan(0)
    await running.stop()
  },
)
