// No writer is the busy one: a million keys over four writers, counted in the files that each
// wrote.
import { expect, test } from 'vitest'
import { fileIdOf } from '../../connectors/iceberg/layout.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres } from '../servers/postgres.ts'
import { withDuckdb } from '../readers/duckdb.ts'
import { metadataLocations } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const ROWS = 1_000_000
const WRITERS = 4

const missing = (await Promise.all([available('postgres18'), available('duckdb')])).includes(false)

for (const type of ['bigint', 'uuid'] as const) {
  test.skipIf(missing)(
    `the busiest of four writers has at most 1.2 times the rows of the least busy, keys ${type}`,
    { timeout: 240_000 },
    async () => {
      const server = await startPostgres({ major: 18 })
      const pipeline = await Pipeline.create({ server, parallelism: WRITERS, chunkRows: 100_000 })
      try {
        const key = type === 'uuid' ? 'gen_random_uuid()' : 'n'
        await queryPostgres(
          server.uri(),
          `CREATE TABLE spread (id ${type} PRIMARY KEY, v int);
           INSERT INTO spread SELECT ${key}, n FROM generate_series(1, ${ROWS}) AS n`,
        )
        await pipeline.once()
        const rows = await rowsByWriter(pipeline)
        expect(rows.reduce((sum, count) => sum + count, 0)).toBe(ROWS)
        expect(Math.max(...rows) / Math.min(...rows)).toBeLessThanOrEqual(1.2)
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}

/** File ids of a writer are all its index more than a multiple of the number of writers. */
async function rowsByWriter(pipeline: Pipeline): Promise<number[]> {
  const location = metadataLocations(pipeline)['public.spread']?.replace('file://', '')
  const rows = Array<number>(WRITERS).fill(0)
  await withDuckdb(async (connection) => {
    const sql = `SELECT file_path, record_count FROM iceberg_metadata('${location}')
      WHERE manifest_content = 'DATA'`
    const result = await connection.runAndReadAll(sql)
    for (const [path, count] of result.getRowsJS() as [string, bigint][]) {
      const writer = (fileIdOf(path) ?? 0) % WRITERS
      rows[writer] = (rows[writer] ?? 0) + Number(count)
    }
  })
  return rows
}
