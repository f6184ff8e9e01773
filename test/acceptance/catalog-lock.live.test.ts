// A process that holds the catalog's lock for longer than anybody planned: the pipeline goes on
// reading, hears a SIGTERM, ends well in time, and the lake has everything when the lock is free.
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres } from '../servers/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const needed = ['postgres18', 'duckdb', 'python', 'java'] as const
const missing = (await Promise.all(needed.map(available))).includes(false)
const TABLE = 'public.orders'

test.skipIf(missing)(
  'a stop under a held catalog lock exits with 0 in time, and the commit follows the release',
  { timeout: 240_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    const pipeline = await Pipeline.create({ server, interval: '200ms' })
    const sql = async (text: string): Promise<unknown> => queryPostgres(server.uri(), text)
    const pending = async (): Promise<number> => {
      const checkpoint = await pipeline.checkpoint()
      return (checkpoint?.older?.count ?? 0) + (checkpoint?.intent ? 1 : 0)
    }
    try {
      await sql(`CREATE TABLE orders (id int PRIMARY KEY, v text);
                 INSERT INTO orders SELECT n, 'row ' || n FROM generate_series(1, 60) AS n`)
      const child = pipeline.start()
      await pipeline.untilStreaming(child)
      await pipeline.until('all is committed', async () => (await pending()) === 0, { child })
      const other = new DatabaseSync(pipeline.catalog)
      other.exec('BEGIN IMMEDIATE')
      for (let round = 0; round < 3; round++) {
        const epoch = (await pipeline.checkpoint())?.epoch ?? 0
        await sql(`UPDATE orders SET v = 'round ${round}' WHERE id % 3 = ${round}`)
        // The source's log does not wait for the lake.
        const further = async (): Promise<boolean> =>
          ((await pipeline.checkpoint())?.epoch ?? 0) > epoch
        await pipeline.until('reading goes on', further, { child })
      }
      // `stop` waits for the 30 s that the manual promises, and fails unless it exits with 0.
      const { stdout, stderr } = await child.stop()
      expect(await pending()).toBeGreaterThan(0)
      expect(stdout + stderr).toContain('CATALOG_UNAVAILABLE')
      expect(stdout + stderr).not.toContain('CATALOG_CONFLICT')

      // The next one meets the lock from its start on, and commits as soon as it is free.
      const next = pipeline.start()
      await pipeline.untilUp(next)
      await sql("UPDATE orders SET v = 'under the lock' WHERE id = 7")
      other.exec('ROLLBACK')
      other.close()
      await pipeline.until('all is committed', async () => (await pending()) === 0, { child: next })
      await next.stop()
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, [TABLE])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
