// SRC-1: a commit can be in the log before readers see it. A hand-over that takes the end of the
// log as what a chunk has seen loses such a row for good; here each server is made to do it on
// purpose.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresMajor, type PostgresServer } from '../servers/postgres.ts'
import { hangingCommits, holdCommits } from '../servers/standby.ts'
import { DATABASE, mysqlDialect, openMysqlSession } from '../workload/mysql.ts'
import { openPostgresSession, postgresDialect } from '../workload/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'
import type { Session } from '../workload/writer.ts'
import { COUNTERS, countUp, createCounters, expectNoRegress } from './counters.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 6)
const WRITERS = 8
const TIMEOUT_MS = 300_000 + SECONDS * 2000
const readers = [await available('python'), await available('duckdb')]

for (const major of [15, 18] as const) {
  test.skipIf(readers.includes(false) || !(await available(`postgres${major}`)))(
    `a commit of PostgreSQL ${major} that waits for a standby is not lost to the backfill`,
    { timeout: TIMEOUT_MS },
    async () => hangingCommit(major),
  )
}

async function hangingCommit(major: PostgresMajor): Promise<void> {
  const rows = 1500
  // The writers do not wait; only the one commit does.
  const server = await startPostgres({ major, settings: { synchronous_commit: 'local' } })
  const pipeline = await Pipeline.create({ server, interval: '250ms', chunkRows: 7 })
  try {
    const session = await openPostgresSession(server.uri())
    await createCounters(session, rows)
    let child = pipeline.start()
    await pipeline.until(
      'the backfill has begun',
      async () => (await pipeline.backfilledRows()) > 20,
      {
        child,
      },
    )
    const release = await holdCommits(server.uri())
    const hanging = await openPostgresSession(server.uri())
    await hanging.execute('SET synchronous_commit = on')
    const update = `UPDATE ${COUNTERS} SET n = 100, v = 'new' WHERE id >= ${rows - 300}`
    const commit = hanging.execute(update)
    await pipeline.until('the commit hangs', async () => (await hangingCommits(server.uri())) === 1)
    // The chunks read on and see the old rows, while the log has delivered the new ones.
    await sleep(2500)
    await child.kill()
    child = pipeline.start()
    await sleep(2500)
    expect(await hangingCommits(server.uri())).toBe(1)
    await release()
    await commit
    await pipeline.untilStreaming(child)
    await session.execute(`UPDATE ${COUNTERS} SET n = n + 1 WHERE id < 50`)
    await child.stop()
    await pipeline.once()
    await expectLakeEqualsSource(pipeline, server, [`public.${COUNTERS}`], ['duckdb', 'pyiceberg'])
    await Promise.all([session.close(), hanging.close()])
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

interface Case {
  name: string
  facility: 'postgres15' | 'postgres18' | 'mysql' | 'mariadb'
  start: () => Promise<PostgresServer | MysqlServer>
}

const cases: readonly Case[] = [
  {
    name: 'PostgreSQL 15',
    facility: 'postgres15',
    start: async () => startPostgres({ major: 15 }),
  },
  {
    name: 'PostgreSQL 18',
    facility: 'postgres18',
    start: async () => startPostgres({ major: 18 }),
  },
  { name: 'MySQL', facility: 'mysql', start: async () => startMysql() },
  {
    name: 'MySQL with delayed group commits',
    facility: 'mysql',
    start: async () => startMysql({ settings: { 'binlog-group-commit-sync-delay': '1000000' } }),
  },
  { name: 'MariaDB', facility: 'mariadb', start: async () => startMariadb() },
  {
    // Nobody acknowledges, so each commit stays in the log unseen until the time is over.
    name: 'MariaDB that waits for a replica after its log',
    facility: 'mariadb',
    start: async () =>
      startMariadb({
        settings: {
          'rpl-semi-sync-master-enabled': 'ON',
          'rpl-semi-sync-master-wait-point': 'AFTER_SYNC',
          'rpl-semi-sync-master-timeout': '3000',
        },
      }),
  },
]

for (const { name, facility, start } of cases) {
  test.skipIf(readers.includes(false) || !(await available(facility)))(
    `eight writers against chunks of seven rows: ${name} loses nothing and nothing goes back`,
    { timeout: TIMEOUT_MS },
    async () => {
      const seed = drawSeed(name)
      const server = await start()
      try {
        await eightWriters(server, seed)
      } finally {
        await server.stop()
      }
    },
  )
}

async function eightWriters(server: PostgresServer | MysqlServer, seed: number): Promise<void> {
  const isPostgres = 'major' in server
  if (!isPostgres) await queryMysql(server.uri(), `CREATE DATABASE ${DATABASE}`)
  const open = async (): Promise<Session> =>
    isPostgres ? openPostgresSession(server.uri()) : openRowLocking(server)
  const session = await open()
  await createCounters(session, 700)
  await session.close()
  const endMs = performance.now() + SECONDS * 1000
  for (let round = 0; round === 0 || performance.now() < endMs; round++) {
    const options = { server, name: `round${round}`, interval: '300ms', chunkRows: 7 }
    const pipeline = await Pipeline.create(options)
    try {
      await backfillBesideWriters(pipeline, server, open, seed + round)
    } finally {
      await pipeline.remove()
    }
  }
}

/** Without this an UPDATE locks all rows that it looks at, and the writers would wait in line. */
async function openRowLocking(server: MysqlServer): Promise<Session> {
  const session = await openMysqlSession(server)
  await session.execute('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
  return session
}

/** One pipeline from its first start to the hand-over and a little beyond. */
async function backfillBesideWriters(
  pipeline: Pipeline,
  server: PostgresServer | MysqlServer,
  open: () => Promise<Session>,
  seed: number,
): Promise<void> {
  const namespace = 'major' in server ? 'public' : DATABASE
  const { isConflict } = 'major' in server ? postgresDialect : mysqlDialect
  const stopping = new AbortController()
  const writers = Promise.all(
    Array.from({ length: WRITERS }, (_, index) =>
      countUp(open, Random.of(seed, index), isConflict, stopping.signal),
    ),
  )
  writers.catch(() => {})
  try {
    const child = pipeline.start()
    await pipeline.untilStreaming(child)
    const handedOver = (await pipeline.checkpoint())?.epoch ?? 0
    await sleep(1500)
    await child.stop()
    stopping.abort()
    await writers
    await pipeline.once()
    const table = `${namespace}.${COUNTERS}`
    await expectLakeEqualsSource(pipeline, server, [table], ['duckdb'])
    expect(await expectNoRegress(pipeline, namespace, handedOver)).toBeGreaterThan(2)
    const dropped = await pipeline.command(['drop', pipeline.file])
    expect({ code: dropped.code, stderr: dropped.stderr }).toEqual({ code: 0, stderr: '' })
  } finally {
    stopping.abort()
    await writers
  }
}
