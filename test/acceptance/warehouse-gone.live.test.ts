// The folder of the lake is not there: on a volume that is not mounted it comes back, with all that
// is in it; one that is lost is filled anew.
import { mkdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'
import { expectRefused } from './refusal.ts'

const skip = !(await available('postgres18')) || !(await available('python'))
const TABLES = ['public.orders', 'public.items']

/** Two tables in the lake, and rows that it does not have yet. */
async function withLake(
  work: (pipeline: Pipeline, server: PostgresServer) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({ major: 18 })
  const pipeline = await Pipeline.create({ server })
  const sql = async (text: string): Promise<unknown> => queryPostgres(server.uri(), text)
  try {
    await sql(`CREATE TABLE orders (id int PRIMARY KEY);
               CREATE TABLE items (id int PRIMARY KEY);
               INSERT INTO orders SELECT generate_series(1, 50);
               INSERT INTO items SELECT generate_series(1, 50)`)
    await pipeline.once()
    await sql('INSERT INTO orders VALUES (100); DELETE FROM items WHERE id < 10')
    await work(pipeline, server)
    await pipeline.once()
    await expectLakeEqualsSource(pipeline, server, TABLES, ['duckdb', 'pyiceberg'])
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

test.skipIf(skip)(
  'a warehouse that is not mounted parks no table and gets no file',
  { timeout: 120_000 },
  async () => {
    await withLake(async (pipeline) => {
      const { warehouse } = pipeline
      await rename(warehouse, `${warehouse}-away`)
      await expectRefused(pipeline, 'STORAGE_FAILED', ['Mount it'], ['--once'])
      await mkdir(warehouse)
      await expectRefused(pipeline, 'STORAGE_FAILED', ['Mount it'], ['--once'])
      // Fails where anything is in it.
      await rmdir(warehouse)
      await rename(`${warehouse}-away`, warehouse)
    })
  },
)

test.skipIf(skip)(
  'a lake that is lost is filled anew by the repair that the refusal names',
  { timeout: 120_000 },
  async () => {
    await withLake(async (pipeline) => {
      const lake = dirname(pipeline.warehouse)
      await rm(lake, { recursive: true })
      await mkdir(lake)
      await expectRefused(pipeline, 'STORAGE_FAILED', ['resync', '--all'], ['--once'])
      await pipeline.command(['resync', pipeline.file, '--all'])
    })
  },
)
