// The workload on PostgreSQL: tables of all types, writers, and beside them what is rarer than
// rows: DDL, prepared transactions, tables that are created under an open transaction.
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { queryPostgres } from '../servers/clients.ts'
import { EvolvingTable } from './evolving.ts'
import {
  ADDED_COLUMNS,
  EVOLVING,
  POSTGRES_SETUP,
  POSTGRES_TABLES,
  quote,
} from './postgres-tables.ts'
import { Random } from './random.ts'
import { createTable, type Dialect, type WorkloadTable } from './table.ts'
import {
  fillStatement,
  type Session,
  startWriters,
  StatementError,
  type Writers,
} from './writer.ts'

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function insert(table: WorkloadTable, rows: readonly (readonly string[])[]): string {
  const names = [...table.keyColumns, ...table.columns].map(({ name }) => quoteName(name))
  const values = rows.map((row) => `(${row.join(', ')})`).join(', ')
  return `INSERT INTO ${quoteName(table.name)} (${names.join(', ')}) VALUES ${values}`
}

// unique_violation, deadlock_detected, serialization_failure, lock_not_available
const CONFLICTS = ['23505', '40P01', '40001', '55P03']

export const postgresDialect: Dialect = {
  quoteName,
  insertNew: (table, rows) => `${insert(table, rows)} ON CONFLICT DO NOTHING`,
  upsert: (table, row) => {
    const key = table.keyColumns.map(({ name }) => quoteName(name)).join(', ')
    const sets = table.columns.map(({ name }) => `${quoteName(name)} = excluded.${quoteName(name)}`)
    return `${insert(table, [row])} ON CONFLICT (${key}) DO UPDATE SET ${sets.join(', ')}`
  },
  truncate: ({ name }) => `TRUNCATE ${quoteName(name)}`,
  truncateCommits: false,
  isConflict: (error) => error instanceof StatementError && CONFLICTS.includes(error.code),
}

export async function openPostgresSession(uri: string): Promise<Session> {
  const client = new Client({ connectionString: uri })
  let broken: Error | undefined
  client.on('error', (error) => (broken = error))
  await client.connect()
  return {
    execute: async (sql) => {
      if (broken) throw broken
      await client.query(sql).catch((error: unknown) => {
        throw new StatementError(sql, error)
      })
    },
    close: async () => client.end(),
  }
}

/** Creates the tables and fills them. @returns their names as `public.name` */
export async function createPostgresTables(
  uri: string,
  seed: number,
  tables: readonly WorkloadTable[] = POSTGRES_TABLES,
): Promise<string[]> {
  const random = Random.of(seed, 1000)
  const session = await openPostgresSession(uri)
  for (const statement of POSTGRES_SETUP) await session.execute(statement)
  for (const table of tables) {
    for (const statement of createTable(postgresDialect, table)) await session.execute(statement)
    await session.execute(fillStatement(postgresDialect, table, random))
  }
  await session.close()
  return tables.map(({ name }) => `public.${name}`)
}

export interface PostgresWorkload {
  writers: Writers
  /** All tables that exist by now, `public.name`; call it after `stop`. */
  tables: () => Promise<string[]>
  stop: () => Promise<void>
}

/** Row writers on `connections` connections, and one connection each for the rarer events. */
export function startPostgresWorkload(
  uri: string,
  seed: number,
  connections: number,
): PostgresWorkload {
  const writers = startWriters({
    dialect: postgresDialect,
    open: async () => openPostgresSession(uri),
    tables: POSTGRES_TABLES,
    connections,
    seed,
  })
  const stopping = new AbortController()
  const rare = [
    changeStructures(uri, Random.of(seed, 2000), stopping.signal),
    joinTables(uri, Random.of(seed, 2001), stopping.signal),
    prepareTransactions(uri, Random.of(seed, 2002), stopping.signal),
  ]
  const ended = Promise.all(rare)
  ended.catch(() => {})
  return {
    writers,
    tables: async () => publicTables(uri),
    stop: async () => {
      stopping.abort()
      await writers.stop()
      await ended
    },
  }
}

export async function publicTables(uri: string): Promise<string[]> {
  const rows = await queryPostgres(
    uri,
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1`,
  )
  return rows.map((row) => `public.${String(row['name'])}`)
}

/**
 * ADD, DROP, RENAME, widen, SET and DROP NOT NULL, some of it rolled back, with rows in between.
 */
async function changeStructures(uri: string, random: Random, signal: AbortSignal): Promise<void> {
  const session = await openPostgresSession(uri)
  const evolving = new EvolvingTable(EVOLVING.name, quoteName, ADDED_COLUMNS)
  while (!signal.aborted) {
    const before = evolving.save()
    const rollsBack = random.chance(0.2)
    await session.execute('BEGIN')
    try {
      for (const statement of evolving.change(random)) await session.execute(statement)
      for (const statement of evolving.write(random, EVOLVING)) await session.execute(statement)
      await session.execute(rollsBack ? 'ROLLBACK' : 'COMMIT')
      if (rollsBack) evolving.restore(before)
    } catch (error) {
      if (!postgresDialect.isConflict(error)) throw error
      await session.execute('ROLLBACK')
      evolving.restore(before)
    }
    for (const statement of evolving.write(random, EVOLVING)) {
      await session.execute(statement).catch((error: unknown) => {
        if (!postgresDialect.isConflict(error)) throw error
      })
    }
    await sleep(random.int(300, 1500))
  }
  await session.close()
}

/** H4: rows written into a table by a transaction that was open before the table was known. */
async function joinTables(uri: string, random: Random, signal: AbortSignal): Promise<void> {
  const old = await openPostgresSession(uri)
  const other = await openPostgresSession(uri)
  for (let number = 0; number < 3 && !signal.aborted; number++) {
    await sleep(random.int(500, 3000))
    const name = quoteName(`late_${number}`)
    await old.execute('BEGIN')
    await old.execute(`UPDATE numbers SET s = ${number} WHERE id = -1 OR id = ${number}`)
    await other.execute(`CREATE TABLE ${name} (id int PRIMARY KEY, v text)`)
    await other.execute(`INSERT INTO ${name} VALUES (1, 'first')`)
    await old.execute(`INSERT INTO ${name} VALUES (2, 'of the open transaction')`)
    await sleep(random.int(500, 4000))
    await other.execute(`UPDATE ${name} SET v = 'second' WHERE id = 1`)
    await old.execute(`INSERT INTO ${name} VALUES (3, 'late in it')`)
    await old.execute('COMMIT')
    await other.execute(`INSERT INTO ${name} VALUES (4, 'after it')`)
  }
  await old.close()
  await other.close()
}

/** Two-phase commit: rows appear when it is committed, by whatever session, and never else. */
async function prepareTransactions(
  uri: string,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  const session = await openPostgresSession(uri)
  for (let number = 0; !signal.aborted; number++) {
    const name = `'prepared ${number}'`
    const id = -100 - random.int(0, 20)
    await session.execute('BEGIN')
    await session.execute(
      `INSERT INTO numbers (id, i) VALUES (${id}, ${number})
       ON CONFLICT (id) DO UPDATE SET i = excluded.i`,
    )
    await session.execute(
      `INSERT INTO texts (id, t) VALUES (${id}, ${quote(`prepared ${number}`)})
       ON CONFLICT (id) DO UPDATE SET t = excluded.t`,
    )
    await session.execute(`PREPARE TRANSACTION ${name}`)
    await sleep(random.int(100, 2500))
    await session.execute(`${random.chance(0.3) ? 'ROLLBACK' : 'COMMIT'} PREPARED ${name}`)
  }
  await session.close()
}
