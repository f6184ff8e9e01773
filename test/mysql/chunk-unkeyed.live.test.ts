// What the chunk of a table without a key says of the log: a transaction that it claims to show is
// not taken from the log, so its rows would be lost if the snapshot lacked them.

import { afterAll, expect, test } from 'vitest'
import { present } from '../../runtime/base/assert.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { ChunkVisibility } from '../../runtime/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { cellOf, MemoryLake, optionsFor, RunningSource } from './source-harness.ts'

const TABLE = 'shop.t'
const WRITERS = 2
const COMMITS = 20
const missing = !(await available('mariadb'))
const started: MysqlServer[] = []

afterAll(async () => {
  for (const server of started) await server.stop()
})

/** Keeps what the log brings as it came. */
class LogLake extends MemoryLake {
  readonly batches: ChangeBatch[] = []

  override take(batch: ChangeBatch): void {
    this.batches.push(batch)
  }
}

/** The engine puts words into their index between the log and the moment when rows are seen. */
async function commitSlowly(uri: string, writer: number): Promise<void> {
  await withMysql(uri, async (connection) => {
    for (let at = 0; at < COMMITS; at++) {
      const id = writer * 1000 + at
      await connection.query(
        `XA START 'x${id}'; INSERT INTO t VALUES (${id});
         INSERT INTO words SELECT id, REPEAT(CONCAT('w', id, ' o', id, ' '), 10) FROM numbers;
         XA END 'x${id}'; XA PREPARE 'x${id}'`,
      )
      await connection.query(`XA COMMIT 'x${id}'`)
    }
  })
}

interface Judged {
  /** Rows of transactions that the chunk claims to show, or not to show. */
  readonly shown: readonly string[]
  readonly hidden: readonly string[]
}

function judge(batches: readonly ChangeBatch[], visibility: ChunkVisibility): Judged {
  const shown: string[] = []
  const hidden: string[] = []
  for (const batch of batches) {
    const [ids] = batch.columns
    for (let row = 0; row < batch.rows; row++) {
      const id = String(cellOf(present(ids, 'it has a column'), row))
      const shows = visibility.shows(batch.transactions, batch.transaction[row]!)
      if (shows !== null) (shows ? shown : hidden).push(id)
    }
  }
  return { shown, hidden }
}

interface Opened {
  readonly running: RunningSource
  readonly lake: LogLake
}

/** @returns rows that a chunk judged wrongly */
async function misjudged({ running, lake }: Opened): Promise<readonly string[]> {
  const { signal } = new AbortController()
  const chunk = { table: TABLE, after: null, until: null }
  const schema = present(lake.schemaOf(TABLE), 'the table is there')
  const read = await running.source.openChunk(chunk, 1e9, schema, running.position, signal)
  const visibility = present(read.visibility, 'the table has no key')
  await running.reach(read.low)
  await running.reach(visibility.certainFrom)
  const { shown, hidden } = judge(lake.batches, visibility)
  const seen = new Set<string>()
  for await (const { batch } of read.parts) {
    const [ids] = batch.columns
    for (let row = 0; row < batch.rows; row++) {
      seen.add(String(cellOf(present(ids, 'it has a column'), row)))
    }
  }
  return [
    ...shown.filter((id) => !seen.has(id)).map((id) => `${id} is lost`),
    ...hidden.filter((id) => seen.has(id)).map((id) => `${id} is doubled`),
  ]
}

test.skipIf(missing)(
  'mariadb: a chunk without a key claims no XA COMMIT that the engine does not have yet',
  async () => {
    const server = await startMariadb()
    started.push(server)
    await queryMysql(
      server.uri(),
      `CREATE DATABASE shop; USE shop; CREATE TABLE t (id int);
       CREATE TABLE words (id int, v text, FULLTEXT (v)); CREATE TABLE numbers (id int);
       INSERT INTO numbers SELECT seq FROM seq_1_to_1000`,
    )
    const lake = new LogLake({ firstFieldId: 1, keyed: false })
    const tables = (_: string, table: string): boolean => table === 't'
    const options = optionsFor(server, 'shop', { tables, keyed: false })
    const running = await RunningSource.start(options, lake)
    const ending = new AbortController()
    const wrong: string[] = []
    const reader = async (): Promise<void> => {
      while (!ending.signal.aborted) wrong.push(...(await misjudged({ running, lake })))
    }
    const writers = Array.from({ length: WRITERS }, async (_, writer) =>
      commitSlowly(server.uri('shop'), writer),
    )
    const writing = Promise.all(writers).finally(() => ending.abort())
    await Promise.all([writing, reader(), reader(), reader()])
    expect(wrong).toEqual([])
    await running.stop()
  },
)
