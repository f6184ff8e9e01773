// Records the logs that decode-golden.test.ts plays: run by hand when a server or a type is added.
// Run: node test/mysql/decode-record.ts

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { recordChanges, type Changes } from './decode-changes.ts'

const folder = fileURLToPath(new URL('../golden/mysql/', import.meta.url))

/** Their many kilobytes say nothing that short texts do not. */
const LONG = new Set(['t', 'mt', 'tc'])

async function record(server: MysqlServer, name: string, parts: Partial<Changes>): Promise<void> {
  const { log, shown } = await recordChanges(server, {
    database: 'golden',
    seed: 7,
    rows: 10,
    columns: ({ name }) => !LONG.has(name),
    ...parts,
  })
  writeFileSync(join(folder, `${name}.binlog.gz`), gzipSync(log))
  writeFileSync(join(folder, `${name}.json.gz`), gzipSync(JSON.stringify(shown)))
}

/** Each in a database of the same name, so that logs differ by nothing but the setting. */
async function recordAll(
  server: MysqlServer,
  all: Record<string, Partial<Changes>>,
): Promise<void> {
  for (const [name, parts] of Object.entries(all)) {
    await record(server, name, parts)
    await withMysql(server.uri(), (connection) => connection.query('DROP DATABASE golden'))
  }
  await server.stop()
}

mkdirSync(folder, { recursive: true })
await recordAll(await startMysql(), {
  'mysql-full': {},
  'mysql-minimal': { session: ['SET SESSION binlog_row_image = minimal'] },
  'mysql-compressed': { session: ['SET SESSION binlog_transaction_compression = ON'] },
})
await recordAll(await startMariadb(), {
  'mariadb-full': {},
  'mariadb-compressed': {
    settings: ['SET GLOBAL log_bin_compress = ON', 'SET GLOBAL log_bin_compress_min_len = 10'],
  },
})
