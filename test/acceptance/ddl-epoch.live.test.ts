// An epoch with DDL in it is several snapshots and one swap: readers see all of it or nothing
// (CP23).
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres } from '../servers/postgres.ts'
import { brokenAt, type CrashPoint } from './crash-point.ts'
import { expectLakeEqualsSource, metadataLocations, readLake } from './lake.ts'
import { Pipeline } from './pipeline.ts'

const needed = ['postgres18', 'duckdb', 'python', 'java'] as const
const missing = (await Promise.all(needed.map(available))).includes(false)
const TABLE = 'public.orders'

const SWAP: Omit<CrashPoint, 'when'> = { operation: 'commit', path: 'catalog.db$', hit: 1 }

test.skipIf(missing)(
  'an epoch with DDL is in the lake whole or not at all, whatever side of the swap it dies on',
  { timeout: 240_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    const pipeline = await Pipeline.create({ server, parallelism: 2, interval: '300ms' })
    const sql = async (text: string): Promise<unknown> => queryPostgres(server.uri(), text)
    try {
      await sql(`CREATE TABLE orders (id int PRIMARY KEY, v text);
                 INSERT INTO orders SELECT n, 'row ' || n FROM generate_series(1, 60) AS n`)
      await pipeline.once()
      for (const [round, when] of (['before', 'after', 'before', 'after'] as const).entries()) {
        const before = metadataLocations(pipeline)[TABLE]
        await sql(`UPDATE orders SET v = v || '${round}' WHERE id % 3 = 0;
                   ALTER TABLE orders ADD COLUMN c${round} int DEFAULT ${round};
                   INSERT INTO orders (id, v, c${round}) VALUES (${1000 + round}, 'new', 7);
                   ALTER TABLE orders RENAME COLUMN c${round} TO d${round};
                   DELETE FROM orders WHERE id = ${round + 1}`)
        const end = await pipeline.start(brokenAt({ ...SWAP, when })).exit
        expect(end.signal).toBe('SIGKILL')
        const [dump] = await readLake(pipeline, [TABLE], 'duckdb')
        const moved = metadataLocations(pipeline)[TABLE] !== before
        const hasColumn = dump?.columns.some((name) => name.endsWith(String(round))) ?? false
        const hasRow = dump?.rows.some((row) => row.startsWith(`["${1000 + round}"`)) ?? false
        // Before the swap nothing of it; after it, rows only together with their column.
        if (!moved) expect({ hasColumn, hasRow }).toEqual({ hasColumn: false, hasRow: false })
        if (hasRow) expect(hasColumn).toBe(true)
        await pipeline.once()
        await expectLakeEqualsSource(pipeline, server, [TABLE], ['duckdb'])
      }
      await expectLakeEqualsSource(pipeline, server, [TABLE])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
