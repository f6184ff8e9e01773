// What a chunk claims to show: every transaction before its LOW, and where the table has no key,
// those that it names one by one. They are not taken from the log, or lose against the chunk, so
// rows of theirs that the snapshot lacks are lost.

import { afterAll, expect, test } from 'vitest'
import { present } from '../../runtime/base/assert.ts'
import { transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { ChunkRead } from '../../runtime/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { cellOf, MemoryLake, optionsFor, RunningSource } from './source-harness.ts'

const missing = !(await available('mariadb'))
const WRITERS = 2

let known: MysqlServer | null = null
async function mariadb(): Promise<MysqlServer> {
  known ??= await startMariadb()
  return known
}

afterAll(async () => known?.stop())

/** Keeps what the log brings as it came. */
class LogLake extends MemoryLake {
  readonly batches: ChangeBatch[] = []

  override take(batch: ChangeBatch): void {
    this.batches.push(batch)
  }
}

function idsOf({ columns, rows }: ChangeBatch): string[] {
  const ids = present(columns[0], 'it has a column')
  return Array.from({ length: rows }, (_, row) => String(cellOf(ids, row)))
}

/** @returns for each row of the log whether the chunk claims to show it; `null`: it does not say */
function claims(batch: ChangeBatch, { low, visibility }: ChunkRead): (boolean | null)[] {
  const { rows, transaction, transactions } = batch
  return Array.from({ length: rows }, (_, row) => {
    const index = transaction[row]!
    if (visibility !== null) return visibility.shows(transactions, index)
    return transactionOrder(transactions, index) < low ? true : null
  })
}

interface Opened {
  readonly running: RunningSource
  readonly lake: LogLake
}

/** @returns rows of the log about which one chunk of the table is wrong */
async function misjudged({ running, lake }: Opened, table: string): Promise<readonly string[]> {
  const { signal } = new AbortController()
  const chunk = { table, after: null, until: null }
  const schema = present(lake.schemaOf(table), 'the table is there')
  const read = await running.source.openChunk(chunk, 1e9, schema, running.position, signal)
  await running.reach(read.visibility?.certainFrom ?? read.low)
  const judged = lake.batches
    .filter((batch) => batch.table === table)
    .map((batch) => ({ ids: idsOf(batch), claims: claims(batch, read) }))
  const seen = new Set<string>()
  for await (const { batch } of read.parts) for (const id of idsOf(batch)) seen.add(id)
  return judged.flatMap(({ ids, claims }) =>
    ids.flatMap((id, row) => {
      const claim = claims[row] ?? null
      if (claim === null || claim === seen.has(id)) return []
      return [`${id} is ${claim ? 'lost' : 'doubled'}`]
    }),
  )
}

/** Reads tables again and again while the writers write. @returns rows that were judged wrongly */
async function judgeWhile(
  server: MysqlServer,
  database: string,
  tables: readonly string[],
  write: (writer: number, query: (sql: string) => Promise<unknown>) => Promise<void>,
): Promise<readonly string[]> {
  const lake = new LogLake({ firstFieldId: 1, keyed: false })
  const selected = (of: string, table: string): boolean => of === database && tables.includes(table)
  const options = optionsFor(server, database, { tables: selected, keyed: false })
  const running = await RunningSource.start(options, lake)
  const ending = new AbortController()
  const wrong: string[] = []
  const reader = async (table: string): Promise<void> => {
    while (!ending.signal.aborted) wrong.push(...(await misjudged({ running, lake }, table)))
  }
  const writers = Array.from({ length: WRITERS }, async (_, writer) =>
    withMysql(server.uri(database), async (connection) =>
      write(writer, async (sql) => connection.query(sql)),
    ),
  )
  const writing = Promise.all(writers).finally(() => ending.abort())
  const readers = [...tables, ...tables, ...tables]
    .slice(0, 3)
    .map((table) => reader(`${database}.${table}`))
  await Promise.all([writing, ...readers])
  await running.stop()
  return wrong
}

test.skipIf(missing)(
  'mariadb: a chunk without a key claims no XA COMMIT that the engine does not have yet',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE late; USE late; CREATE TABLE t (id int);
       CREATE TABLE words (id int, v text, FULLTEXT (v)); CREATE TABLE numbers (id int);
       INSERT INTO numbers SELECT seq FROM seq_1_to_1000`,
    )
    const wrong = await judgeWhile(server, 'late', ['t'], async (writer, query) => {
      for (let at = 0; at < 20; at++) {
        const id = writer * 1000 + at
        // The engine puts words into their index between the log and the moment of being seen.
        await query(
          `XA START 'x${id}'; INSERT INTO t VALUES (${id});
           INSERT INTO words SELECT id, REPEAT(CONCAT('w', id, ' o', id, ' '), 10) FROM numbers;
           XA END 'x${id}'; XA PREPARE 'x${id}'`,
        )
        await query(`XA COMMIT 'x${id}'`)
      }
    })
    expect(wrong).toEqual([])
  },
)

test.skipIf(missing)(
  'mariadb: a chunk has the rows that an engine without transactions shows behind the log',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE aria; USE aria; CREATE TABLE keyed (id int PRIMARY KEY) ENGINE = Aria;
       CREATE TABLE unkeyed (id int) ENGINE = Aria`,
    )
    const wrong = await judgeWhile(server, 'aria', ['keyed', 'unkeyed'], async (writer, query) => {
      for (let at = 0; at < 500; at++) {
        const id = writer * 10_000 + at
        await query(`INSERT INTO keyed VALUES (${id}); INSERT INTO unkeyed VALUES (${id})`)
      }
    })
    expect(wrong).toEqual([])
  },
)
