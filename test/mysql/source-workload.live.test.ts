// Goal: whatever writers do, the lake holds what SELECT gives once the log has been read. Method:
// eight writers change tables of all types while every table is backfilled in chunks of a few rows,
// beside DDL, XA transactions, TRUNCATE, new tables and log rotation; the source is stopped and
// started again from its saved state in between.

import { expect, test } from 'vitest'
import { differenceOf, project } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { createMysqlTables, DATABASE, startMysqlWorkload } from '../workload/mysql.ts'
import { type LakeCheckpoint, MemoryLake, optionsFor, RunningSource } from './source-harness.ts'

const RUN_SECONDS = Number(process.env['WORKLOAD_SECONDS'] ?? 12)
const SEED = Number(process.env['SIM_SEED'] ?? 1)
const starters = { mysql: startMysql, mariadb: startMariadb } as const

async function seconds(count: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, count * 1000))
}

async function expectEqual(
  server: MysqlServer,
  lake: MemoryLake,
  tables: readonly string[],
): Promise<void> {
  expect(tables.length).toBeGreaterThan(12)
  for (const table of tables) {
    const dump = lake.dump(table)
    const source = await readMysqlSource(server.uri(), table, { columns: dump.columns })
    const difference = differenceOf(source, project(dump, dump.columns), 3)
    expect({ table, ...difference }).toEqual({ table, missing: [], extra: [] })
  }
}

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(!(await available(kind)))(
    `${kind}: under eight writers, DDL, XA and restarts the lake equals the source`,
    async () => {
      const settings = kind === 'mysql' ? {} : { 'log-bin-compress': 'ON' }
      const server = await starters[kind]({ settings })
      try {
        await createMysqlTables(server, SEED)
        // Values of bit(64) with the highest bit have no place in a long; and the SQL that states
        // doubles here rounds them in the 17th digit.
        const columnsExclude = (_: string, table: string, column: string): boolean =>
          column === 'many' || (table === 'numbers' && column === 'd')
        const options = optionsFor(server, DATABASE, { columnsExclude, heartbeatMs: 10_000 })
        const lake = new MemoryLake()
        const workload = startMysqlWorkload(server, SEED, 8)
        const backfills: Promise<void>[] = []
        let done = new Set<string>()
        let running: RunningSource | null = null
        const begin = (table: string): void => {
          if (running === null) return
          const backfill = running.backfillThrough(table, 7).then((end) => {
            if (end === 'done') done.add(table)
          })
          // A failure is met where all are awaited; until then it is nobody's.
          backfill.catch(() => undefined)
          backfills.push(backfill)
        }
        const start = async (from: LakeCheckpoint | null): Promise<RunningSource> => {
          running = null
          running = await RunningSource.start(options, lake, from)
          for (const table of lake.tables.keys()) if (!done.has(table)) begin(table)
          return running
        }
        lake.onNewTable = (table) => {
          done.delete(table)
          begin(table)
        }
        let current = await start(null)
        for (let restart = 0; restart < 3; restart++) {
          await seconds(RUN_SECONDS / 8)
          const checkpoint = await current.checkpoint()
          const doneThen = new Set(done)
          await seconds(RUN_SECONDS / 8)
          if (current.failure !== null) throw current.failure as Error
          await current.stop()
          await Promise.all(backfills.splice(0))
          lake.restore(checkpoint.tables)
          done = doneThen
          current = await start(checkpoint)
        }
        await seconds(RUN_SECONDS / 4)
        await workload.stop()
        await current.catchUp()
        await Promise.all(backfills)
        await current.catchUp()
        expect(
          [...lake.parked].map(([table, error]) => `${table}: ${error.message} ${error.detail}`),
        ).toEqual([])
        await expectEqual(server, lake, await workload.tables())
        await current.stop()
      } finally {
        await server.stop()
      }
    },
  )
}
