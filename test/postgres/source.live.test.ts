// The source against real servers: backfill and log of the common types.

import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { majors, optionsFor, queryPostgres, readTable, run, started } from './harness.ts'

const SCHEMA = `
CREATE TABLE item (
  id bigint PRIMARY KEY, n int, name text, at timestamptz, ok boolean, price numeric(12,2))`

for (const major of majors) {
  test.skipIf(!(await available(`postgres${major}`)))(
    `PostgreSQL ${major}: backfill and log give the rows that the server has`,
    async () => {
      const server = await started(major)
      try {
        const uri = server.uri()
        await queryPostgres(uri, SCHEMA)
        await queryPostgres(
          uri,
          `INSERT INTO item SELECT i, -i, 'name ' || i, '2026-01-01Z'::timestamptz + i * interval '1 s',
             i % 2 = 0, i / 100.0 FROM generate_series(1, 100) i`,
        )
        const running = await run(optionsFor(server))
        const { rows } = await readTable(running, 'public.item', 7)
        expect(rows.length).toBe(100)
        expect(rows[9]?.row).toEqual({
          id: 10n,
          n: -10,
          name: 'name 10',
          at: BigInt(Date.parse('2026-01-01T00:00:10Z')) * 1000n,
          ok: true,
          price: 10n,
        })
        await queryPostgres(
          uri,
          `BEGIN; INSERT INTO item VALUES (-5000000000, 2147483647, '', '1969-12-31 23:59:59.5Z',
             false, -0.01); UPDATE item SET name = NULL WHERE id = 3; DELETE FROM item WHERE id = 4;
           UPDATE item SET id = 1000 WHERE id = 5; COMMIT`,
        )
        await running.caughtUp()
        expect(running.changes.map(({ op, row, sequence }) => [sequence, op, row['id']])).toEqual([
          [0, 'insert', -5000000000n],
          [1, 'update', 3n],
          [2, 'delete', 4n],
          [3, 'delete', 5n],
          [4, 'insert', 1000n],
        ])
        expect(running.changes[0]?.row).toEqual({
          id: -5000000000n,
          n: 2147483647,
          name: '',
          at: -500000n,
          ok: false,
          price: -1n,
        })
        await running.stop()
      } finally {
        await server.stop()
      }
    },
  )
}
