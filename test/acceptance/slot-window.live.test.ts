// While its slot is created under open transactions, the server's decoder takes no notice of
// changes of structure that others commit. Later it would decode rows with the structure of before
// and leave new columns out, without an error: what the source has must be in the lake all the
// same.
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { changeWhileSlotIsCreated } from '../postgres/slot-window.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresMajor, type PostgresServer } from '../servers/postgres.ts'
import { publicTables } from '../workload/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const readers = await Promise.all([available('duckdb'), available('python'), available('java')])
const majors: readonly PostgresMajor[] = [15, 18]

interface Change {
  table: string
  before: string
  change: string
  /** A row that only the new structure takes. */
  row: string
}

const CHANGES: readonly Change[] = [
  {
    table: 'added',
    before: 'CREATE TABLE added (id int PRIMARY KEY, v text)',
    change: `ALTER TABLE added ADD COLUMN w text DEFAULT 'old'`,
    row: `'v', 'new'`,
  },
  {
    table: 'dropped',
    before: 'CREATE TABLE dropped (id int PRIMARY KEY, v text, w int)',
    change: 'ALTER TABLE dropped DROP COLUMN v',
    row: '7',
  },
  {
    table: 'renamed',
    before: 'CREATE TABLE renamed (id int PRIMARY KEY, v text)',
    change: 'ALTER TABLE renamed RENAME COLUMN v TO w',
    row: `'v'`,
  },
  {
    table: 'widened',
    before: 'CREATE TABLE widened (id int PRIMARY KEY, v int)',
    change: 'ALTER TABLE widened ALTER COLUMN v TYPE bigint',
    row: '5000000000',
  },
  {
    table: 'rewritten',
    before: 'CREATE TABLE rewritten (id int PRIMARY KEY, v text)',
    change: 'TRUNCATE rewritten',
    row: `'v'`,
  },
  {
    table: 'made_again',
    before: 'CREATE TABLE made_again (id int PRIMARY KEY, v text)',
    change: 'DROP TABLE made_again; CREATE TABLE made_again (id int PRIMARY KEY, v text, w int)',
    row: `'v', 1`,
  },
  {
    table: 'late',
    before: 'SELECT 1',
    change: 'CREATE TABLE late (id int PRIMARY KEY, v text)',
    row: `'v'`,
  },
  {
    table: 'mood',
    before: `CREATE TYPE mood_value AS ENUM ('calm');
             CREATE TABLE mood (id int PRIMARY KEY, v mood_value)`,
    change: `ALTER TYPE mood_value ADD VALUE 'glad'`,
    row: `'glad'`,
  },
  {
    table: 'whole',
    before: 'CREATE TABLE whole (id int PRIMARY KEY, v text)',
    change: 'ALTER TABLE whole REPLICA IDENTITY FULL',
    row: `'v'`,
  },
]

for (const major of majors) {
  test.skipIf(readers.includes(false) || !(await available(`postgres${major}`)))(
    `PostgreSQL ${major}: structure that changes while the slot is created arrives`,
    { timeout: 180_000 },
    async () => {
      const server = await startPostgres({ major })
      const pipeline = await Pipeline.create({ server, interval: '200ms' })
      try {
        for (const { before } of CHANGES) await queryPostgres(server.uri(), before)
        const child = await changeWhileSlotIsCreated(server.uri(), {
          create: () => pipeline.start(),
          change: async () => changeStructures(server),
          behind: async () => writeRows(server, 1),
        })
        await writeRows(server, 10)
        await pipeline.untilStreaming(child, CHANGES.length + 1)
        await writeRows(server, 100)
        await child.stop()
        await pipeline.once()
        await expectLakeEqualsSource(pipeline, server, await publicTables(server.uri()))
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}

async function changeStructures(server: PostgresServer): Promise<void> {
  for (const { change } of CHANGES) {
    for (const statement of change.split('; ')) await queryPostgres(server.uri(), statement)
  }
}

async function writeRows(server: PostgresServer, id: number): Promise<void> {
  for (const { table, row } of CHANGES) {
    await queryPostgres(
      server.uri(),
      `INSERT INTO ${table} VALUES (${id}, ${row}), (${id + 1}, ${row}), (${id + 2}, ${row});
       UPDATE ${table} SET id = -id WHERE id = ${id + 1};
       DELETE FROM ${table} WHERE id = ${id + 2}`,
    )
  }
}
