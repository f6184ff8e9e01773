// What MySQL and MariaDB have, the lake has: all types, all kinds of changes, DDL, XA, kills.
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { startMariadb } from '../servers/mariadb.ts'
import { startMysql } from '../servers/mysql.ts'
import { createMysqlTables, startMysqlWorkload } from '../workload/mysql.ts'
import { drawSeed } from '../workload/random.ts'
import { chaos, chaosOptions } from './chaos.ts'

const servers = { mysql: startMysql, mariadb: startMariadb } as const
const readers = await Promise.all([available('duckdb'), available('python'), available('java')])

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(readers.includes(false) || !(await available(kind)))(
    `twelve tables of ${kind} arrive whole through writers, DDL, XA and SIGKILL`,
    { timeout: 600_000 + 1000 * Number(process.env['SOAK_SECONDS'] ?? 0) },
    async () => {
      const options = chaosOptions(drawSeed(kind), ['shop.evolving'])
      const { seed, connections } = options
      const server = await servers[kind]()
      try {
        const tables = await createMysqlTables(server, seed)
        const start = (): ReturnType<typeof startMysqlWorkload> =>
          startMysqlWorkload(server, seed, connections)
        await chaos(server, tables, start, options)
      } finally {
        await server.stop()
      }
    },
  )
}
