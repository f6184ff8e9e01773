// What PostgreSQL has, the lake has: all types, all kinds of changes, DDL, kills.
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { startPostgres, type PostgresMajor } from '../servers/postgres.ts'
import { createPostgresTables, startPostgresWorkload } from '../workload/postgres.ts'
import { drawSeed } from '../workload/random.ts'
import { chaos, chaosOptions } from './chaos.ts'

const majors: readonly PostgresMajor[] = [15, 18]
const readers = await Promise.all([available('duckdb'), available('python'), available('java')])

for (const major of majors) {
  test.skipIf(readers.includes(false) || !(await available(`postgres${major}`)))(
    `twelve tables of PostgreSQL ${major} arrive whole through writers, DDL and SIGKILL`,
    { timeout: 600_000 + 1000 * Number(process.env['SOAK_SECONDS'] ?? 0) },
    async () => {
      const options = chaosOptions(drawSeed(`PostgreSQL ${major}`), ['public.evolving'])
      const { seed, connections } = options
      const settings = { max_prepared_transactions: '10', deadlock_timeout: '100ms' }
      const server = await startPostgres({ major, settings })
      try {
        const tables = await createPostgresTables(server.uri(), seed)
        const start = (): ReturnType<typeof startPostgresWorkload> =>
          startPostgresWorkload(server.uri(), seed, connections)
        await chaos(server, tables, start, options)
      } finally {
        await server.stop()
      }
    },
  )
}
