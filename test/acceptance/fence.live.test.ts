// An instance that was thought dead wakes up and finds out that it has been replaced (CP24): it
// ends with 6, and what it still had in hand reaches nobody.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres } from '../servers/postgres.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline } from './pipeline.ts'
import { expectRefusal } from './refusal.ts'

const needed = ['postgres18', 'duckdb', 'python', 'java'] as const
const missing = (await Promise.all(needed.map(available))).includes(false)
const TABLE = 'public.orders'

test.skipIf(missing)(
  'an instance that wakes up after another has taken its place writes nothing more',
  { timeout: 240_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    const pipeline = await Pipeline.create({ server, parallelism: 2, interval: '200ms' })
    const sql = async (text: string): Promise<unknown> => queryPostgres(server.uri(), text)
    try {
      await sql(`CREATE TABLE orders (id int PRIMARY KEY, v text);
                 INSERT INTO orders SELECT n, 'row ' || n FROM generate_series(1, 60) AS n`)
      const older = pipeline.start()
      await pipeline.untilStreaming(older)
      older.signal('SIGSTOP')
      await sql("UPDATE orders SET v = 'while it slept' WHERE id < 30")
      // As if a lease had run out: the lock is gone, and the server has ended its connections.
      await rm(join(pipeline.state, 'lock.db'))
      await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name LIKE 'millrace%'`)
      const newer = pipeline.start()
      await pipeline.untilStreaming(newer)
      const epoch = (await pipeline.checkpoint())?.epoch ?? 0
      await sql("UPDATE orders SET v = 'by the newer' WHERE id < 20")
      const further = async (): Promise<boolean> =>
        ((await pipeline.checkpoint())?.epoch ?? 0) > epoch + 1
      await pipeline.until('the newer one goes on', further, { child: newer })
      older.signal('SIGCONT')
      await sql("UPDATE orders SET v = 'for both' WHERE id < 10")
      const end = await Promise.race([older.exit, sleep(90_000, null)])
      if (end === null) throw new Error(`the older one goes on: ${older.output()}`)
      expectRefusal(end, (end.stderr + end.stdout).includes('MR-3011') ? 'SLOT_IN_USE' : 'FENCED')
      await newer.stop()
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, [TABLE])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
