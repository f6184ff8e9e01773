// The log by a second, independent decoder: pg-logical-replication reads the same changes from a
// slot of its own, and both must tell the same story.

import { expect } from 'vitest'
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication'
import type { Pgoutput } from 'pg-logical-replication'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  run,
  startAll,
  testOn,
  UNCHANGED,
} from './harness.ts'

const servers = await startAll()

testOn(servers, 'an independent decoder reads the same changes', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), big text);
     ALTER TABLE t ALTER big SET STORAGE EXTERNAL`,
  )
  const running = await run(optionsFor(server, changed))
  const slot = `second_${String(changed.database)}`
  await queryPostgres(uri, `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
  const service = new LogicalReplicationService(
    { connectionString: uri },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  )
  const theirs: unknown[][] = []
  const told = (row: Record<string, unknown>): unknown[] => [
    row['id'],
    row['v'],
    row['n'],
    // They leave a value out that did not change.
    'big' in row && row['big'] !== undefined ? row['big'] : UNCHANGED,
  ]
  service.on('data', (_: string, message: Pgoutput.Message) => {
    if (message.tag === 'insert') theirs.push(['insert', ...told(message.new)])
    if (message.tag === 'update') {
      const { key } = message
      if (key === null) theirs.push(['update', ...told(message.new)])
      else theirs.push(['delete', key['id']], ['insert', ...told(message.new)])
    }
    if (message.tag === 'delete') theirs.push(['delete', message.key?.['id']])
  })
  const subscription = service
    .subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: ['millrace'] }), slot)
    .catch(() => {})
  await queryPostgres(
    uri,
    `INSERT INTO t SELECT i, repeat(chr(200 + i), i), i / 7.0, repeat(md5(i::text), 200)
       FROM generate_series(1, 50) i`,
  )
  for (let round = 0; round < 20; round++) {
    await queryPostgres(
      uri,
      `UPDATE t SET n = n + 1 WHERE id % 7 = ${round % 7};
       UPDATE t SET id = id + 1000 WHERE id = ${round + 1};
       DELETE FROM t WHERE id = ${round + 25};
       UPDATE t SET v = NULL, big = NULL WHERE id = ${round + 26};
       INSERT INTO t VALUES (${-round - 1}, 'new', NULL, 'short')`,
    )
  }
  await running.caughtUp()
  const scaled = (value: unknown): string | null => {
    return typeof value === 'bigint' ? (Number(value) / 100).toFixed(2) : null
  }
  const ours = running.changes.map(({ op, row }) =>
    op === 'delete' ? [op, row['id']] : [op, row['id'], row['v'], scaled(row['n']), row['big']],
  )
  await expect.poll(() => theirs.length, { timeout: 20_000 }).toBe(ours.length)
  expect(ours.length).toBeGreaterThan(150)
  expect(theirs).toEqual(ours)
  await service.destroy()
  await subscription
  await running.stop()
})
