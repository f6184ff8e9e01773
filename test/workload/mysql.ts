// The workload on MySQL and MariaDB: tables of all types, writers, and beside them what is rarer:
// DDL, XA transactions that stay prepared for a while, new tables, log rotation.
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import { queryMysql } from '../servers/clients.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { EvolvingTable, mysqlSpelling } from './evolving.ts'
import { MYSQL_ADDED_COLUMNS, MYSQL_EVOLVING, mysqlTables } from './mysql-tables.ts'
import { Random } from './random.ts'
import { createTable, type Dialect, type WorkloadTable } from './table.ts'
import {
  fillStatement,
  type Session,
  startWriters,
  StatementError,
  type Writers,
} from './writer.ts'

export const DATABASE = 'shop'

function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function insert(table: WorkloadTable, rows: readonly (readonly string[])[]): string {
  const names = [...table.keyColumns, ...table.columns].map(({ name }) => quoteName(name))
  const values = rows.map((row) => `(${row.join(', ')})`).join(', ')
  return `INTO ${quoteName(table.name)} (${names.join(', ')}) VALUES ${values}`
}

// ER_DUP_ENTRY, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_TABLE_DEF_CHANGED,
// ER_CHECKREAD (MariaDB: a record has changed since the last read)
const CONFLICTS = ['1062', '1205', '1213', '1412', '1020']

/** Nobody knows this XA transaction: the session that prepared it is still there. */
const ER_XAER_NOTA = '1397'

export const mysqlDialect: Dialect = {
  quoteName,
  // Overwrites nothing: the key is set to itself.
  insertNew: (table, rows) => {
    const [key] = table.keyColumns.map(({ name }) => quoteName(name))
    return `INSERT ${insert(table, rows)} ON DUPLICATE KEY UPDATE ${key} = ${key}`
  },
  upsert: (table, row) => `REPLACE ${insert(table, [row])}`,
  truncate: ({ name }) => `TRUNCATE TABLE ${quoteName(name)}`,
  truncateCommits: true,
  isConflict: (error) => error instanceof StatementError && CONFLICTS.includes(error.code),
}

export async function openMysqlSession(server: MysqlServer): Promise<Session> {
  const connection = await mysql.createConnection({ uri: server.uri(DATABASE), charset: 'utf8mb4' })
  connection.on('error', () => {})
  await connection.query("SET time_zone = '+00:00', innodb_lock_wait_timeout = 2")
  return {
    execute: async (sql) => {
      await connection.query(sql).catch((error: unknown) => {
        throw new StatementError(sql, error)
      })
    },
    close: async () => connection.end(),
  }
}

/** Creates database and tables and fills them. @returns their names as `shop.name` */
export async function createMysqlTables(
  server: MysqlServer,
  seed: number,
  tables: readonly WorkloadTable[] = mysqlTables(server.kind),
): Promise<string[]> {
  const random = Random.of(seed, 1000)
  await queryMysql(server.uri(), `CREATE DATABASE IF NOT EXISTS ${DATABASE}`)
  const session = await openMysqlSession(server)
  for (const table of tables) {
    for (const statement of createTable(mysqlDialect, table)) await session.execute(statement)
    await session.execute(fillStatement(mysqlDialect, table, random))
  }
  await session.execute('CREATE TABLE xa_rows (id int PRIMARY KEY, v varchar(60))')
  await session.close()
  return [...tables.map(({ name }) => `${DATABASE}.${name}`), `${DATABASE}.xa_rows`]
}

export interface MysqlWorkload {
  writers: Writers
  tables: () => Promise<string[]>
  stop: () => Promise<void>
}

/** Row writers on `connections` connections, and one connection each for the rarer events. */
export function startMysqlWorkload(
  server: MysqlServer,
  seed: number,
  connections: number,
): MysqlWorkload {
  const writers = startWriters({
    dialect: mysqlDialect,
    open: async () => openMysqlSession(server),
    tables: mysqlTables(server.kind),
    connections,
    seed,
  })
  const stopping = new AbortController()
  const rare = [
    changeStructures(server, Random.of(seed, 2000), stopping.signal),
    joinTables(server, Random.of(seed, 2001), stopping.signal),
    prepareTransactions(server, Random.of(seed, 2002), stopping.signal),
    rotateLogs(server, Random.of(seed, 2003), stopping.signal),
  ]
  const ended = Promise.all(rare)
  ended.catch(() => {})
  return {
    writers,
    tables: async () => shopTables(server),
    stop: async () => {
      stopping.abort()
      await writers.stop()
      await ended
    },
  }
}

export async function shopTables(server: MysqlServer): Promise<string[]> {
  const rows = await queryMysql(
    server.uri(),
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = '${DATABASE}' AND table_type = 'BASE TABLE' ORDER BY 1`,
  )
  return rows.map((row) => `${DATABASE}.${String(row['name'])}`)
}

/** ADD (FIRST, AFTER), DROP, RENAME, widen; each commits by itself here. */
async function changeStructures(
  server: MysqlServer,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  const session = await openMysqlSession(server)
  const { name } = MYSQL_EVOLVING
  const evolving = new EvolvingTable(name, quoteName, MYSQL_ADDED_COLUMNS, mysqlSpelling)
  while (!signal.aborted) {
    for (const statement of evolving.change(random)) await retried(session, statement)
    for (const statement of evolving.write(random, MYSQL_EVOLVING)) {
      await retried(session, statement)
    }
    await sleep(random.int(300, 1500))
  }
  await session.close()
}

/** DDL meets the writers' metadata locks, and is asked again. */
async function retried(session: Session, statement: string): Promise<void> {
  for (;;) {
    try {
      await session.execute(statement)
      return
    } catch (error) {
      if (!mysqlDialect.isConflict(error)) throw error
    }
  }
}

async function joinTables(server: MysqlServer, random: Random, signal: AbortSignal): Promise<void> {
  const session = await openMysqlSession(server)
  for (let number = 0; number < 3 && !signal.aborted; number++) {
    await sleep(random.int(500, 3000))
    const name = `late_${number}`
    await session.execute(`CREATE TABLE ${name} (id int PRIMARY KEY, v varchar(60))`)
    await session.execute(`INSERT INTO ${name} VALUES (1, 'first'), (2, 'second')`)
    await sleep(random.int(100, 1000))
    await session.execute(`UPDATE ${name} SET v = 'changed' WHERE id = 1`)
    if (number === 1) {
      await session.execute(`RENAME TABLE ${name} TO renamed_${number}`)
      await session.execute(`INSERT INTO renamed_${number} VALUES (3, 'after the rename')`)
    }
    if (number === 2) {
      await session.execute(`DROP TABLE ${name}`)
      await session.execute(`CREATE TABLE ${name} (id int PRIMARY KEY, v varchar(60), w int)`)
      await session.execute(`INSERT INTO ${name} VALUES (2, 'of another table', 7)`)
    }
  }
  await session.close()
}

/**
 * XA: prepared by one session, which goes away, and decided by another later, or never committed.
 */
async function prepareTransactions(
  server: MysqlServer,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  for (let number = 0; !signal.aborted; number++) {
    const name = `'xa ${number}'`
    const first = await openMysqlSession(server)
    await first.execute(`XA START ${name}`)
    await first.execute(`REPLACE INTO xa_rows VALUES (${random.int(0, 30)}, 'prepared ${number}')`)
    await first.execute(`REPLACE INTO xa_rows VALUES (${100 + number}, 'with it')`)
    await first.execute(`XA END ${name}`)
    if (random.chance(0.2)) {
      await first.execute(`XA COMMIT ${name} ONE PHASE`)
      await first.close()
      continue
    }
    await first.execute(`XA PREPARE ${name}`)
    await first.close()
    await sleep(random.int(100, 2500))
    await decide(server, `XA ${random.chance(0.3) ? 'ROLLBACK' : 'COMMIT'} ${name}`)
  }
}

/** The server may need a moment until the session that prepared is gone. */
async function decide(server: MysqlServer, statement: string): Promise<void> {
  const session = await openMysqlSession(server)
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await session.execute(statement)
        return
      } catch (error) {
        const unknown = error instanceof StatementError && error.code === ER_XAER_NOTA
        if (!unknown || attempt > 100) throw error
      }
      await sleep(50)
    }
  } finally {
    await session.close()
  }
}

async function rotateLogs(server: MysqlServer, random: Random, signal: AbortSignal): Promise<void> {
  const session = await openMysqlSession(server)
  while (!signal.aborted) {
    await sleep(random.int(1000, 4000))
    await session.execute('FLUSH BINARY LOGS')
  }
  await session.close()
}
