// What a chunk reads, at what cost, and what it is refused for.

import { expect } from 'vitest'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  ready,
  run,
  startAll,
  testOn,
} from './harness.ts'

const servers = await startAll()

const ROWS = 100_000

for (const analyzed of [true, false]) {
  const title = `the pieces of a table ${analyzed ? 'with' : 'without'} statistics are its rows, once`
  testOn(servers, title, async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE t (a text, b bigint, PRIMARY KEY (${analyzed ? 'a, b' : 'b'}))
         WITH (autovacuum_enabled = off);
       INSERT INTO t SELECT md5((i % 100)::text), i FROM generate_series(1, ${ROWS}) i`,
    )
    if (analyzed) await queryPostgres(uri, 'ANALYZE t')
    const running = await run(optionsFor(server, changed))
    await ready(running.source, 'public.t')
    const estimated = await running.source.estimateRows('public.t')
    expect(estimated).toBeGreaterThan(90_000)
    expect(estimated).toBeLessThan(110_000)
    const keys = await running.source.splitKeys(running.runtime.schemas.get('public.t')!, 4)
    const bounds = [null, ...keys, null]
    const pieces: unknown[][] = []
    for (const [index, until] of bounds.slice(1).entries()) {
      const piece = { after: bounds[index] ?? null, until }
      const { rows } = await readTable(running, 'public.t', 2000, piece)
      pieces.push(rows.map(({ row }) => row['b']))
    }
    expect(new Set(pieces.flat()).size).toBe(ROWS)
    expect(pieces.flat()).toHaveLength(ROWS)
    expect(pieces).toHaveLength(4)
    for (const { length } of pieces) expect(length).toBeGreaterThan(15_000)
    await running.stop()
    await expectFetched(uri, ROWS * 2)
  })
}

/** A plan that sorts what is left of a piece, for each chunk, fetches its rows several times. */
async function expectFetched(uri: string, most: number): Promise<void> {
  const sql = `SELECT seq_tup_read + idx_tup_fetch AS n FROM pg_stat_user_tables`
  const fetched = async (): Promise<number> => Number((await queryPostgres(uri, sql))[0]?.['n'])
  // A server process reports what it has done by its end.
  const others = `SELECT count(*) AS n FROM pg_stat_activity WHERE application_name ~ 'chunk$'
    AND datname = current_database()`
  await expect.poll(async () => Number((await queryPostgres(uri, others))[0]?.['n'])).toBe(0)
  await expect.poll(fetched).toBeGreaterThanOrEqual(ROWS)
  expect(await fetched()).toBeLessThan(most)
}

testOn(servers, 'a table that changes between two chunks is looked at again', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (id int PRIMARY KEY, b int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i`,
  )
  // Nobody looks at the catalog unless a chunk has met a change.
  const running = await run({ ...optionsFor(server, changed), catalogPollMs: 3_600_000 })
  await ready(running.source, 'public.t')
  const whole = { table: 'public.t', after: null, until: null }
  const open = async (): Promise<unknown> => {
    const schema = running.runtime.schemas.get(whole.table)!
    const signal = AbortSignal.timeout(20_000)
    return running.source.openChunk(whole, 4, schema, running.position, signal)
  }
  const read = async (): Promise<unknown[]> => (await readTable(running, whole.table, 4)).rows
  for (const change of [
    'ALTER TABLE t ADD COLUMN c int',
    'ALTER TABLE t RENAME COLUMN b TO d',
    'ALTER TABLE t ALTER COLUMN c TYPE bigint',
    `COMMENT ON COLUMN t.c IS 'x'`,
    'ALTER TABLE t DROP COLUMN c',
  ]) {
    expect(await read()).toHaveLength(9)
    await queryPostgres(uri, change)
    await expect(open()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
    await expect.poll(async () => read().catch(() => []), { timeout: 10_000 }).toHaveLength(9)
  }
  await running.stop()
})

testOn(
  servers,
  'a key is read on although its types get other names, and hold values they no longer allow',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE SCHEMA types; CREATE TYPE types.mood AS ENUM ('sad', 'glad');
       CREATE DOMAIN types.word AS text COLLATE "C";
       CREATE TABLE t (m types.mood, w types.word COLLATE "POSIX", PRIMARY KEY (m, w));
       INSERT INTO t SELECT 'sad', i FROM generate_series(1, 9) i;
       INSERT INTO t SELECT 'glad', i FROM generate_series(1, 9) i;
       ALTER DOMAIN types.word ADD CHECK (value < '5') NOT VALID`,
    )
    const running = await run(optionsFor(server, { ...changed, catalogPollMs: 1e9 }))
    const count = async (): Promise<number> => (await readTable(running, 'public.t', 4)).rows.length
    expect(await count()).toBe(18)
    for (const sql of [
      'ALTER TYPE types.mood RENAME TO feeling; ALTER DOMAIN types.word SET SCHEMA public',
      'ALTER SCHEMA types RENAME TO kinds',
    ]) {
      await queryPostgres(uri, sql)
      await expect(count()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
      await running.looked()
      expect(await count()).toBe(18)
    }
    await running.stop()
  },
)
