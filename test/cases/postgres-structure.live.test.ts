// Structures of PostgreSQL tables that once brought wrong data, or harm to the source.
import { expect, test } from 'vitest'
import { expectLakeEqualsSource } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

const skip = !(await available('postgres18')) || !(await available('python'))

async function withTables(
  sql: string,
  tables: readonly string[],
  work: (server: PostgresServer, pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({ major: 18 })
  const pipeline = await Pipeline.create({ server, tables, interval: '200ms', chunkRows: 50 })
  try {
    await queryPostgres(server.uri(), sql)
    await work(server, pipeline)
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

test.skipIf(skip)(
  'a column that was added with a value of its own in each row parks its table, whatever came before',
  { timeout: 120_000 },
  async () => {
    const create = `CREATE TABLE a (id int PRIMARY KEY, v int);
      INSERT INTO a SELECT id, id FROM generate_series(1, 20) id;`
    await withTables(create, ['public.*'], async (server, pipeline) => {
      await pipeline.once()
      // A row of the old shape is in the log when the catalog already shows the new one.
      await queryPostgres(server.uri(), `UPDATE a SET v = 7 WHERE id = 1`)
      await queryPostgres(
        server.uri(),
        `ALTER TABLE a ADD COLUMN n uuid DEFAULT gen_random_uuid();
         INSERT INTO a (id) VALUES (1000);`,
      )
      const parked = await pipeline.command(['run', pipeline.file, '--once'])
      expect(parked.code, parked.stdout).toBe(4)
      expect(parked.stderr).toContain('MR-3006')
      const resync = await pipeline.command(['resync', pipeline.file, '--table', 'public.a'])
      expect(resync.code, resync.stderr).toBe(0)
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, ['public.a'], ['duckdb', 'pyiceberg'])
    })
  },
)

test.skipIf(skip)(
  'the children of a captured table are not published, so that their owner can change them',
  { timeout: 120_000 },
  async () => {
    const create = `CREATE TABLE parent (id int PRIMARY KEY, v int);
      CREATE TABLE child () INHERITS (parent);
      INSERT INTO child VALUES (5, 5);
      INSERT INTO parent VALUES (1, 1);`
    await withTables(create, ['public.parent'], async (server, pipeline) => {
      await pipeline.once()
      await queryPostgres(server.uri(), `UPDATE parent SET v = v + 1`)
      const published = await queryPostgres(
        server.uri(),
        `SELECT tablename FROM pg_publication_tables`,
      )
      expect(published).toEqual([{ tablename: 'parent' }])
    })
  },
)
