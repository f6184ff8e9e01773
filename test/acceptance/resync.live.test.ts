// C10 and H8: a table that cannot be carried on is parked alone and comes back by `resync`, beside
// the live log; after a gap in the log all tables come back the same way.
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const skip = !(await available('postgres18')) || !(await available('python'))
const TABLES = ['public.orders', 'public.items']

async function withShop(
  work: (server: PostgresServer, pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({ major: 18 })
  const pipeline = await Pipeline.create({ server, interval: '200ms', chunkRows: 50 })
  try {
    await queryPostgres(
      server.uri(),
      `CREATE TABLE orders (id int PRIMARY KEY, note text);
       CREATE TABLE items (id int PRIMARY KEY, count int);
       INSERT INTO orders SELECT id, 'note ' || id FROM generate_series(1, 500) id;
       INSERT INTO items SELECT id, id * 2 FROM generate_series(1, 500) id;`,
    )
    await work(server, pipeline)
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

async function phaseOf(pipeline: Pipeline, table: string): Promise<string | undefined> {
  const records = (await pipeline.checkpoint())?.source.tables ?? []
  return records.find(({ schema }) => schema.table === table)?.phase
}

test.skipIf(skip)(
  'a table whose type changed parks alone, and resync brings it back while the others go on',
  { timeout: 120_000 },
  async () => {
    await withShop(async (server, pipeline) => {
      const child = pipeline.start()
      await pipeline.untilStreaming(child, 2)
      await queryPostgres(
        server.uri(),
        `ALTER TABLE orders ALTER COLUMN note TYPE int USING length(note);
         UPDATE orders SET note = note + 1 WHERE id % 3 = 0;
         UPDATE items SET count = 0 WHERE id = 7;`,
      )
      await pipeline.until(
        'the table is parked',
        async () => (await phaseOf(pipeline, 'public.orders')) === 'parked',
        { child },
      )
      await queryPostgres(
        server.uri(),
        `DELETE FROM orders WHERE id > 490; INSERT INTO items VALUES (501, 1);`,
      )
      expect(await phaseOf(pipeline, 'public.items')).toBe('streaming')
      const resync = await pipeline.command(['resync', pipeline.file, '--table', 'public.orders'])
      expect(resync.code, resync.stderr).toBe(0)
      await queryPostgres(server.uri(), `UPDATE orders SET note = 99 WHERE id = 5`)
      await pipeline.until(
        'the table is back',
        async () => (await phaseOf(pipeline, 'public.orders')) === 'streaming',
        { child },
      )
      await child.stop()
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, TABLES, ['duckdb', 'pyiceberg'])
    })
  },
)

test.skipIf(skip)(
  'resync survives kill -9 in the middle, and rows that vanished in the gap are gone',
  { timeout: 120_000 },
  async () => {
    await withShop(async (server, pipeline) => {
      await pipeline.once()
      await queryPostgres(
        server.uri(),
        `ALTER TABLE orders ALTER COLUMN note TYPE int USING length(note);
         DELETE FROM orders WHERE id <= 100;`,
      )
      const parked = await pipeline.command(['run', pipeline.file, '--once'])
      expect(parked.code, parked.stdout).toBe(4)
      expect(parked.stderr).toMatch(/MR-5013[^]*public.orders: MR-3006[^]*resync/)
      expect(await phaseOf(pipeline, 'public.orders')).toBe('parked')
      for (let round = 0; round < 3; round++) {
        const child = pipeline.spawn(['resync', pipeline.file, '--table', 'public.orders'])
        await child.exit
        const run = pipeline.start()
        await new Promise((resolve) => setTimeout(resolve, 900 + round * 300))
        await run.kill()
      }
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, TABLES, ['duckdb', 'pyiceberg'])
    })
  },
)

test.skipIf(skip)(
  'a slot that is gone stops with MR-3010, and resync --all makes the lake equal again',
  { timeout: 120_000 },
  async () => {
    await withShop(async (server, pipeline) => {
      await pipeline.once()
      await queryPostgres(server.uri(), `SELECT pg_drop_replication_slot('millrace_shop')`)
      await queryPostgres(
        server.uri(),
        `DELETE FROM orders WHERE id % 2 = 0; UPDATE items SET count = -1 WHERE id < 10;`,
      )
      const stopped = await pipeline.command(['run', pipeline.file, '--once'])
      expect(stopped.code, stopped.stdout).toBe(4)
      expect(stopped.stdout + stopped.stderr).toContain('MR-3010')
      const resync = await pipeline.command(['resync', pipeline.file, '--all'])
      expect(resync.code, resync.stdout + resync.stderr).toBe(0)
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, TABLES, ['duckdb', 'pyiceberg'])
    })
  },
)
