// A real PostgreSQL into a real Iceberg lake, through backfill, live changes, changes of structure
// and a kill -9, and then every row and value compared.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startPostgres, type PostgresServer } from '../../test/servers/postgres.ts'
import { compareTable, metadataLocation } from './compare.ts'
import { Millrace } from './millrace.ts'
import { emptyFolder, FOLDER, say } from './scene.ts'
import { Customers, migrations, openShop, ORDERS_AT_START, withShop } from './shop.ts'

const HAND_OVER_MS_MAX = 60_000

function count(rows: number): string {
  return rows.toLocaleString('en-US')
}

/** @returns the exit code of the demo */
export async function tellOfShop(): Promise<number> {
  await emptyFolder()
  say('starting a PostgreSQL 18 and filling a small shop ...')
  const server = await startPostgres({ major: 18 })
  const millrace = await configure(server)
  try {
    await openShop(server.uri())
    say(
      `PostgreSQL has 5,000 customers and ${count(ORDERS_AT_START)} orders on port ${server.port}`,
    )
    return await tell(server, millrace)
  } finally {
    millrace.close()
    await server.stop()
  }
}

async function configure(server: PostgresServer): Promise<Millrace> {
  process.env['SHOP_PASSWORD'] = server.password
  const source = `
source:
  type: postgres
  uri: postgresql://${server.user}@127.0.0.1:${server.port}/postgres
  password: { from_env: SHOP_PASSWORD }
  tables: ["public.*"]
  backfill: { parallelism: 2, chunk_rows: 50000 }`
  return Millrace.configure(FOLDER, 'shop', source, '  mode: upsert')
}

async function tell(server: PostgresServer, millrace: Millrace): Promise<number> {
  const customers = new Customers(server.uri())
  await liveThrough(server, millrace, customers)
  say("stopping: SIGTERM takes a last checkpoint, `run --once` reads up to the log's end")
  const stopped = await millrace.stop()
  const once = await millrace.once()
  if (stopped !== 0 || once !== 0) {
    say(`FAILED: exit codes ${stopped} and ${once}; see ${join(FOLDER, 'millrace.log')}`)
    return 1
  }
  return compare(server, millrace)
}

async function liveThrough(
  server: PostgresServer,
  millrace: Millrace,
  customers: Customers,
): Promise<void> {
  say(`millrace run ${millrace.file}  (customers are ordering meanwhile)`)
  const from = performance.now()
  millrace.start()
  await handedOver(millrace)
  const seconds = (performance.now() - from) / 1000
  const rate = count(Math.round((ORDERS_AT_START + 5000) / seconds))
  say(
    `backfill handed over to the log after ${seconds.toFixed(1)} s, start included: ${rate} rows/s`,
  )
  await sleep(3000)
  for (const sql of migrations) {
    await withShop(server.uri(), (client) => client.query(sql))
    say(`while rows flow: ${sql}`)
    await sleep(1500)
  }
  say('kill -9, in the middle of everything')
  await millrace.kill()
  await sleep(1000)
  millrace.start()
  say('started again: it goes on at its last checkpoint')
  await sleep(4000)
  await customers.stop()
  const status = await millrace.status()
  const commits = status?.commit.total ?? 0
  say(`customers made ${count(customers.transactions)} transactions; ${commits} commits since then`)
}

async function handedOver(millrace: Millrace): Promise<void> {
  const deadline = performance.now() + HAND_OVER_MS_MAX
  for (;;) {
    const status = await millrace.status()
    if (status !== null && status.tables.total > 0) {
      if (status.tables.streaming === status.tables.total) return
    }
    if (performance.now() > deadline) throw new Error('the backfill did not end in a minute')
    await sleep(100)
  }
}

async function compare(server: PostgresServer, millrace: Millrace): Promise<number> {
  say('comparing every row and value: PostgreSQL against the Parquet files, read by DuckDB')
  let differences = 0
  for (const table of ['customers', 'orders']) {
    const result = await compareTable(server.uri(), millrace.catalog, table)
    const { rows, files, deletedRows, snapshots, columns } = result
    const verdict = result.differences.length === 0 ? 'equal' : 'DIFFERENT'
    say(
      `  ${table}: ${count(rows)} rows ${verdict}; ${files} files, of whose rows ${count(deletedRows)}`,
    )
    say(`    are superseded; ${snapshots} snapshots; columns ${columns.join(', ')}`)
    for (const difference of result.differences) say(`    ${difference}`)
    differences += result.differences.length
  }
  if (differences === 0) say('PostgreSQL and the lake are equal, row by row')
  explain(millrace)
  return differences === 0 ? 0 : 5
}

function explain(millrace: Millrace): void {
  const location = metadataLocation(millrace.catalog, 'public', 'orders')
  console.log(`
The lake is in ${FOLDER}. Look at it with

  DuckDB     INSTALL iceberg; LOAD iceberg; SET enable_external_file_cache = false;
             SELECT status, count(*), sum(amount)
             FROM iceberg_scan('${fileURLToPath(location)}') GROUP BY status;

  pyiceberg  from pyiceberg.catalog.sql import SqlCatalog
             lake = SqlCatalog('lake', uri='sqlite:///${millrace.catalog}',
                               warehouse='file://${millrace.warehouse}')
             print(lake.load_table('public.orders').scan().to_arrow())
`)
}
