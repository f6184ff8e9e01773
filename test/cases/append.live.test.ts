// Modes that keep every row: what is inserted while a table is copied stands in the lake once, also
// when the process is killed and started again in the middle, and when the table is read again.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectLakeEqualsSource, readLake } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

const skip = !(await available('postgres18')) || !(await available('python'))
const OLD_ROWS = 3000

async function withServer(work: (server: PostgresServer) => Promise<void>): Promise<void> {
  const server = await startPostgres({ major: 18 })
  try {
    await work(server)
  } finally {
    await server.stop()
  }
}

for (const parallelism of [1, 4]) {
  test.skipIf(skip)(
    `append with ${parallelism} writers has each row once over SIGTERM, SIGKILL and resync`,
    { timeout: 180_000 },
    async () => {
      await withServer(async (server) => {
        const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)
        await run(
          `CREATE TABLE events (id int PRIMARY KEY, note text);
           INSERT INTO events SELECT id, 'old' FROM generate_series(1, ${OLD_ROWS}) id`,
        )
        // One of the two holds rows back over each kill.
        const sinkKeys = { max_freshness: parallelism === 1 ? '0s' : '1h' }
        const options = {
          server,
          mode: 'append',
          interval: '200ms',
          chunkRows: 50,
          sinkKeys,
        } as const
        const pipeline = await Pipeline.create({ ...options, parallelism })
        try {
          let child = pipeline.start()
          let last = OLD_ROWS
          for (const kills of [false, true, false]) {
            await pipeline.untilUp(child)
            for (let round = 0; round < 15; round++) {
              // On both sides of the keys that are there: in ranges to be copied and copied
              // already.
              await run(
                `INSERT INTO events SELECT id, 'new' FROM generate_series(${last + 1}, ${last + 5}) id;
                 INSERT INTO events VALUES (${-last}, 'new')`,
              )
              last += 5
              await sleep(20)
            }
            if (kills) await child.kill()
            else await child.stop()
            child = pipeline.start()
          }
          await pipeline.untilStreaming(child)
          await child.stop()
          await pipeline.once()
          await expectLakeEqualsSource(pipeline, server, ['public.events'], ['duckdb', 'pyiceberg'])
          await run(
            `UPDATE events SET note = 'changed' WHERE id = 5; DELETE FROM events WHERE id = 6`,
          )
          await pipeline.once()
          const [before] = await readLake(pipeline, ['public.events'], 'duckdb')
          expect(before?.rows).toContain('["5","old"]')
          expect(before?.rows).toContain('["6","old"]')
          const resync = await pipeline.command([
            'resync',
            pipeline.file,
            '--table',
            'public.events',
          ])
          expect(resync.code, resync.stderr).toBe(0)
          await pipeline.once()
          await expectLakeEqualsSource(pipeline, server, ['public.events'], ['duckdb', 'pyiceberg'])
        } finally {
          await pipeline.remove()
        }
      })
    },
  )
}

test.skipIf(skip)(
  'the copy of a table without a key begins anew after kill -9, without leaving the first one',
  { timeout: 120_000 },
  async () => {
    await withServer(async (server) => {
      await queryPostgres(
        server.uri(),
        `CREATE TABLE visits (page int, note text);
         ALTER TABLE visits REPLICA IDENTITY FULL;
         INSERT INTO visits SELECT id % 1000, repeat('x', 500) FROM generate_series(1, 60000) id`,
      )
      const pipeline = await Pipeline.create({ server, mode: 'changelog', interval: '100ms' })
      try {
        for (let kills = 0; kills < 2; kills++) {
          const child = pipeline.start()
          const begun = async (): Promise<boolean> => {
            const [table] = (await pipeline.checkpoint())?.source.tables ?? []
            return table !== undefined && (table.backfill === null || table.backfill.rowsDone > 0)
          }
          await pipeline.until('rows are copied', begun, { child })
          await child.kill()
        }
        await pipeline.once()
        const [lake] = await readLake(pipeline, ['public.visits'], 'duckdb')
        expect(lake?.rows.length).toBe(60_000)
      } finally {
        await pipeline.remove()
      }
    })
  },
)
