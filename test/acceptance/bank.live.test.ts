// Every published cut is a consistent state of the source across its tables, through kills.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { DATABASE, mysqlDialect, openMysqlSession } from '../workload/mysql.ts'
import { openPostgresSession, postgresDialect } from '../workload/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'
import type { Session } from '../workload/writer.ts'
import { createBank, expectConstantTotal, transfer } from './bank.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { type Child, Pipeline } from './pipeline.ts'

const CONNECTIONS = 6
const KILLS = 3
/** Fewer would show little. */
const CUTS_MIN = 10
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 14)
const readers = [await available('python'), await available('duckdb')]

interface Bank {
  server: PostgresServer | MysqlServer
  namespace: string
  open: () => Promise<Session>
  isConflict: (error: unknown) => boolean
}

async function postgresBank(): Promise<Bank> {
  const server = await startPostgres({ major: 18, settings: { deadlock_timeout: '50ms' } })
  const open = async (): Promise<Session> => openPostgresSession(server.uri())
  return { server, namespace: 'public', open, isConflict: postgresDialect.isConflict }
}

async function mysqlBank(start: () => Promise<MysqlServer>): Promise<Bank> {
  const server = await start()
  await queryMysql(server.uri(), `CREATE DATABASE ${DATABASE}`)
  const open = async (): Promise<Session> => openMysqlSession(server)
  return { server, namespace: DATABASE, open, isConflict: mysqlDialect.isConflict }
}

const banks = [
  { name: 'PostgreSQL', facility: 'postgres18', start: postgresBank },
  { name: 'MySQL', facility: 'mysql', start: async () => mysqlBank(startMysql) },
  { name: 'MariaDB', facility: 'mariadb', start: async () => mysqlBank(startMariadb) },
] as const

for (const { name, facility, start } of banks) {
  test.skipIf(readers.includes(false) || !(await available(facility)))(
    `in every published cut of ${name} no money is lost or made`,
    { timeout: 240_000 + SECONDS * 1000 },
    async () => {
      const seed = drawSeed(`bank of ${name}`)
      const bank = await start()
      const { server, namespace } = bank
      const pipeline = await Pipeline.create({ server, parallelism: 2, interval: '250ms' })
      try {
        const session = await bank.open()
        await createBank(session)
        await session.close()
        const handedOver = await moveMoney(bank, pipeline, seed)
        await pipeline.once()
        const cuts = await expectConstantTotal(pipeline, namespace, handedOver)
        expect(cuts).toBeGreaterThan(CUTS_MIN)
        const tables = ['checking', 'savings', 'cash'].map((table) => `${namespace}.${table}`)
        await expectLakeEqualsSource(pipeline, server, tables, ['duckdb'])
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}

/** @returns the first epoch with all three tables handed over */
async function moveMoney(bank: Bank, pipeline: Pipeline, seed: number): Promise<number> {
  const stopping = new AbortController()
  const transfers = Promise.all(
    Array.from({ length: CONNECTIONS }, (_, index) =>
      transfer(bank.open, Random.of(seed, index), bank.isConflict, stopping.signal),
    ),
  )
  transfers.catch(() => {})
  try {
    let child: Child = pipeline.start()
    await pipeline.untilStreaming(child, 3)
    const handedOver = (await pipeline.checkpoint())?.epoch ?? 0
    const random = Random.of(seed, 99)
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep((SECONDS * 1000 * (0.5 + random.next())) / (KILLS + 1))
      await child.kill()
      child = pipeline.start()
    }
    await sleep((SECONDS * 1000) / (KILLS + 1))
    // Where starts are slow, the last process makes the cuts that the others had no time for.
    while (((await pipeline.checkpoint())?.epoch ?? 0) < handedOver + 2 * CUTS_MIN) await sleep(100)
    await child.stop()
    return handedOver
  } finally {
    stopping.abort()
    await transfers
  }
}
