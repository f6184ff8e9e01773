// A slot that cannot be created yet: whoever looks on is told whose transaction it waits for. And
// one during whose creation the structure of a table changed: its rows come with the new structure.

import { expect } from 'vitest'
import type { PostgresOptions } from '../../connectors/postgres/options.ts'
import type { PostgresServer } from '../servers/postgres.ts'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  run,
  type RunningSource,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'
import { changeWhileSlotIsCreated } from './slot-window.ts'

const servers = await startAll()
const full = await startAll({ max_replication_slots: '1' })

testOn(servers, 'a start that waits for open transactions names them', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const said: string[] = []
  const say = (message: string, facts: object): void => {
    said.push(`${message} ${JSON.stringify(facts)}`)
  }
  const options = optionsFor(server, { ...changed, log: { info: say, warn: say } })
  await withPostgres(uri, async (client) => {
    await client.query('BEGIN; CREATE TABLE open (id int)')
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const starting = run(options)
    try {
      const named = new RegExp(`waits for transactions .*process ${rows[0]?.pid} of `)
      await expect.poll(() => said.join(), { timeout: 15_000 }).toMatch(named)
    } finally {
      await client.query('ROLLBACK')
    }
    const running = await starting
    const count = said.length
    await running.caughtUp()
    expect(said).toHaveLength(count)
    await running.stop()
  })
})

/**
 * Rows of a table that gets column w while the slot is created.
 *
 * @param create  makes the slot, and gives the source if it was that
 */
async function rowsOfGrown(
  server: PostgresServer,
  create: (options: PostgresOptions, uri: string) => Promise<RunningSource | null>,
  changes: Partial<PostgresOptions> = {},
): Promise<{ rows: unknown[]; parked: string[] }> {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE grown (id int PRIMARY KEY, v text); CREATE PUBLICATION millrace FOR TABLE grown`,
  )
  const tables = (_: string, name: string): boolean => name === 'grown'
  const options = optionsFor(server, { ...changed, tables, ...changes })
  const created = await changeWhileSlotIsCreated(uri, {
    create: async () => create(options, uri),
    change: async () => {
      await queryPostgres(uri, 'ALTER TABLE grown ADD COLUMN w text')
    },
    behind: async () => {
      await queryPostgres(uri, `INSERT INTO grown VALUES (1, 'v', 'of the window')`)
    },
  })
  const running = created ?? (await run(options))
  await queryPostgres(uri, `INSERT INTO grown VALUES (2, 'v', 'w')`)
  await running.caughtUp()
  await running.stop()
  return { rows: running.changes.map(({ row }) => row), parked: [...running.runtime.parked.keys()] }
}

async function createByHand({ slot }: PostgresOptions, uri: string): Promise<null> {
  await queryPostgres(uri, `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
  return null
}

for (const [some, which] of [
  [servers, 'another slot is free'],
  [full, 'no other slot is free'],
] as const) {
  testOn(some, `structure that changed under a new slot is known, ${which}`, async (server) => {
    const grown = await rowsOfGrown(server, async (options) => run(options))
    // The row of before is left to the backfill.
    expect(grown).toEqual({ rows: [{ id: 2, v: 'v', w: 'w' }], parked: [] })
  })
}

testOn(servers, 'a slot that was found is moved on if there is a backfill', async (server) => {
  const grown = await rowsOfGrown(server, createByHand)
  expect(grown).toEqual({ rows: [{ id: 2, v: 'v', w: 'w' }], parked: [] })
})

testOn(servers, 'without a backfill a slot that was found stays where it is', async (server) => {
  const warned: string[] = []
  const log = { info: () => {}, warn: (message: string) => warned.push(message) }
  const changes = { backfills: false, log }
  const grown = await rowsOfGrown(server, createByHand, changes)
  // The server sends its rows without the new column.
  expect(grown).toEqual({ rows: [], parked: ['public.grown'] })
  expect(warned).toEqual([expect.stringContaining('may not know of structure')])
})
