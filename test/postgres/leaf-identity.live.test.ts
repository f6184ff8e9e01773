// The log has a row of a partition under the name of the root, and its old row as the replica
// identity of the partition says. ALTER TABLE ... REPLICA IDENTITY does not reach partitions, so
// the key of the root may not be in it.

import { expect } from 'vitest'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  run,
  startAll,
  testOn,
} from './harness.ts'

const servers = await startAll()

const CHANGES = [
  'DELETE FROM t WHERE a = 1',
  'DELETE FROM t',
  'UPDATE t SET a = 100, c = 100 WHERE a = 1',
  'UPDATE t SET b = 2 WHERE a = 1',
]

for (const change of CHANGES) {
  testOn(servers, `an old row without the key of the root parks it: ${change}`, async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE t (a int, b int, c int NOT NULL, v text, PRIMARY KEY (a, b))
         PARTITION BY LIST (b);
       CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
       CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
       CREATE UNIQUE INDEX ON t (c, b); ALTER TABLE t REPLICA IDENTITY USING INDEX t_c_b_idx;
       CREATE TABLE o (id int PRIMARY KEY)`,
    )
    const running = await run(optionsFor(server, changed))
    await queryPostgres(uri, 'INSERT INTO t SELECT n, 1, n FROM generate_series(1, 9) AS n')
    await queryPostgres(uri, `${change}; INSERT INTO o VALUES (1)`)
    await running.caughtUp()
    const { parked } = running.runtime
    expect([...parked.keys()]).toEqual(['public.t'])
    expect(parked.get('public.t')).toMatchObject({ error: 'TABLE_REPLICA_IDENTITY' })
    const rows = running.changes.filter(({ table }) => table === 'public.t')
    expect(brief(rows, 'a')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((a) => ['insert', a]))
    expect(running.changes.filter(({ table }) => table === 'public.o').length).toBe(1)
    await running.stop()
  })
}

testOn(servers, 'partitions that have the identity of the root need nothing', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (a int, b int, v text, PRIMARY KEY (a, b)) PARTITION BY LIST (b);
     CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
     CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); ALTER TABLE t2 REPLICA IDENTITY FULL`,
  )
  const running = await run(optionsFor(server, changed))
  await queryPostgres(
    uri,
    `INSERT INTO t VALUES (1, 1), (2, 2); UPDATE t SET b = 3 - b; DELETE FROM t WHERE a = 1;
     DELETE FROM t`,
  )
  await running.caughtUp()
  expect(running.runtime.parked).toEqual(new Map())
  expect(brief(running.changes.slice(-2), 'a', 'b')).toEqual([
    ['delete', 1, 2],
    ['delete', 2, 1],
  ])
  await running.stop()
})
