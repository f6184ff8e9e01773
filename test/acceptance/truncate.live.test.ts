// H2: TRUNCATE has no row in the log. A chunk that was read before it and merged after it would
// bring the rows back, so a table is emptied again and again while its chunks are in flight.
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { DATABASE, openMysqlSession } from '../workload/mysql.ts'
import { openPostgresSession } from '../workload/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'
import type { Session } from '../workload/writer.ts'
import { COUNTERS, createCounters } from './counters.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const ROWS = 2000
const readers = [await available('python'), await available('duckdb')]

interface Case {
  facility: 'postgres18' | 'mysql' | 'mariadb'
  start: () => Promise<PostgresServer | MysqlServer>
}

const cases: readonly Case[] = [
  { facility: 'postgres18', start: async () => startPostgres({ major: 18 }) },
  { facility: 'mysql', start: async () => startMysql() },
  { facility: 'mariadb', start: async () => startMariadb() },
]

for (const { facility, start } of cases) {
  test.skipIf(readers.includes(false) || !(await available(facility)))(
    `rows that TRUNCATE removed from ${facility} do not come back with a chunk`,
    { timeout: 240_000 },
    async () => {
      const seed = drawSeed(`truncate ${facility}`)
      const server = await start()
      try {
        await truncateBesideChunks(server, Random.of(seed, 0))
      } finally {
        await server.stop()
      }
    },
  )
}

async function truncateBesideChunks(
  server: PostgresServer | MysqlServer,
  random: Random,
): Promise<void> {
  const isPostgres = 'major' in server
  const namespace = isPostgres ? 'public' : DATABASE
  if (!isPostgres) await queryMysql(server.uri(), `CREATE DATABASE ${DATABASE}`)
  const session: Session = isPostgres
    ? await openPostgresSession(server.uri())
    : await openMysqlSession(server)
  await createCounters(session, ROWS)
  const pipeline = await Pipeline.create({ server, interval: '200ms', chunkRows: 7 })
  try {
    let child = pipeline.start()
    const begun = async (): Promise<boolean> => (await pipeline.backfilledRows()) > 20
    await pipeline.until('the backfill has begun', begun, { child })
    for (let round = 0; round < 5; round++) {
      await sleep(random.int(0, 400))
      await session.execute(`TRUNCATE TABLE ${COUNTERS}`)
      await insertRows(session, round, random)
      if (random.chance(0.5)) await sleep(random.int(0, 300))
      else {
        await child.kill()
        child = pipeline.start()
      }
    }
    await pipeline.untilStreaming(child)
    await child.stop()
    await pipeline.once()
    await expectLakeEqualsSource(
      pipeline,
      server,
      [`${namespace}.${COUNTERS}`],
      ['duckdb', 'pyiceberg'],
    )
    await session.close()
  } finally {
    await pipeline.remove()
  }
}

/** Some of the old keys, with other values, so that a row that comes back is seen. */
async function insertRows(session: Session, round: number, random: Random): Promise<void> {
  const ids = Array.from({ length: ROWS }, (_, id) => id).filter(() => random.chance(0.4))
  const values = ids.map((id) => `(${id}, ${round + 1}, 'round ${round}')`)
  await session.execute(`INSERT INTO ${COUNTERS} VALUES ${values.join(', ')}`)
}
