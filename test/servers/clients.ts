// One-call SQL against test servers, for set-up and checks. The product's own connections are
// never made through here.
import mysql from 'mysql2/promise'
import { Client } from 'pg'

export type SqlRow = Record<string, unknown>

/** Runs `work` on one PostgreSQL connection and closes it, also after a failure. */
export async function withPostgres<T>(
  uri: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ connectionString: uri })
  // A test may kill the server under us; the query in flight reports it.
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** One statement with values, or several separated by semicolons without; the last one's rows. */
export async function queryPostgres(
  uri: string,
  sql: string,
  values?: unknown[],
): Promise<SqlRow[]> {
  return withPostgres(uri, async (client) => {
    const result: unknown = await client.query(sql, values)
    const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: SqlRow[] }
    return last.rows
  })
}

/**
 * Runs `work` on one MySQL or MariaDB connection and closes it. Several statements a call are
 * allowed; numbers that a double cannot hold, and all dates, arrive as text.
 */
export async function withMysql<T>(
  uri: string,
  work: (connection: mysql.Connection) => Promise<T>,
): Promise<T> {
  const connection = await mysql.createConnection({
    uri,
    multipleStatements: true,
    supportBigNumbers: true,
    dateStrings: true,
    timezone: 'Z',
  })
  connection.on('error', () => {})
  try {
    return await work(connection)
  } finally {
    await connection.end().catch(() => connection.destroy())
  }
}

/** One or several statements; the rows of the last one that gave any. */
export async function queryMysql(uri: string, sql: string, values?: unknown[]): Promise<SqlRow[]> {
  return withMysql(uri, async (connection) => {
    const [result] = await connection.query(sql, values)
    if (!Array.isArray(result)) return []
    const several = result.some((part) => Array.isArray(part) || 'affectedRows' in part)
    return (several ? result.findLast((part) => Array.isArray(part)) : result) as SqlRow[]
  })
}
