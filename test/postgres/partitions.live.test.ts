// Partitions: rows that come, go or are rewritten below a root without a word in its log, and what
// only looks like it. Log and catalog of a partitioned table are asked without its locks.

import { expect } from 'vitest'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  ready,
  run,
  startAll,
  testOn,
  withPostgres,
  type RunningSource,
} from './harness.ts'

const servers = await startAll()

/** A root of columns that all have defaults, with a leaf that has rows. */
function createRoot(name: string): string {
  return `CREATE TABLE ${name} (id int DEFAULT 1, v text DEFAULT 'x', PRIMARY KEY (id))
       PARTITION BY RANGE (id);
     CREATE TABLE ${name}_0 PARTITION OF ${name} FOR VALUES FROM (0) TO (100);
     CREATE TABLE ${name}_e PARTITION OF ${name} FOR VALUES FROM (900) TO (1000);
     INSERT INTO ${name} SELECT i, 'v' || i FROM generate_series(1, 10) i;`
}

type Attempt = readonly [what: string, sql: string, parks: boolean]

/** What is run while the pipeline looks, each on a root `t` of its own. */
const SILENT: readonly Attempt[] = [
  ['created', 'CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200)', false],
  [
    'created with more declarations',
    `CREATE TABLE t_1 PARTITION OF t (id DEFAULT 7, v DEFAULT 'z' CHECK (v <> ''))
       FOR VALUES FROM (100) TO (200)`,
    false,
  ],
  [
    'created, renamed and filled in one transaction',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     INSERT INTO t VALUES (150); ALTER TABLE t_1 RENAME TO t_r`,
    false,
  ],
  // Its catalog rows could as well be those of a table that was filled and attached.
  [
    'created, and all columns altered in one transaction',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     ALTER TABLE t_1 ALTER id SET DEFAULT 5, ALTER v SET DEFAULT 'y'`,
    true,
  ],
  [
    'created in a subtransaction, partitioned itself',
    `DO $$ BEGIN
       CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
       CREATE TABLE t_2 PARTITION OF t_1 FOR VALUES FROM (100) TO (150);
     EXCEPTION WHEN division_by_zero THEN END $$`,
    false,
  ],
  ['a known one is renamed', 'ALTER TABLE t_0 RENAME TO t_r', false],
  [
    'filled and attached in one transaction',
    `CREATE TABLE t_1 (LIKE t INCLUDING ALL); INSERT INTO t_1 VALUES (150);
     ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (100) TO (200)`,
    true,
  ],
  [
    'filled below another table that is attached',
    `CREATE TABLE t_1 (LIKE t INCLUDING ALL) PARTITION BY RANGE (id);
     CREATE TABLE t_2 PARTITION OF t_1 FOR VALUES FROM (100) TO (150);
     INSERT INTO t_1 VALUES (120);
     ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (100) TO (200)`,
    true,
  ],
  ['detached', 'ALTER TABLE t DETACH PARTITION t_0', true],
  [
    'detached, changed and attached again',
    `ALTER TABLE t DETACH PARTITION t_0; UPDATE t_0 SET v = 'unseen';
     ALTER TABLE t ATTACH PARTITION t_0 FOR VALUES FROM (0) TO (100)`,
    true,
  ],
  [
    'detached, changed and attached again, with what is above it',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
     CREATE TABLE t_2 PARTITION OF t_1 FOR VALUES FROM (100) TO (150) |
     INSERT INTO t VALUES (120) |
     ALTER TABLE t DETACH PARTITION t_1; UPDATE t_2 SET v = 'unseen';
     ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (100) TO (200)`,
    true,
  ],
  ['truncated', 'TRUNCATE t_0', true],
  ['all truncated', 'TRUNCATE t', false],
  ['all truncated and filled', 'TRUNCATE t; INSERT INTO t VALUES (5)', false],
  ['all truncated, then one', 'TRUNCATE t; | INSERT INTO t VALUES (5) | TRUNCATE t_0', true],
  [
    'all truncated, filled and one truncated in one transaction',
    'TRUNCATE t; INSERT INTO t VALUES (5), (6); TRUNCATE t_0; INSERT INTO t VALUES (6)',
    true,
  ],
  [
    'one truncated, filled and all truncated in one transaction',
    'TRUNCATE t_0; INSERT INTO t VALUES (5); TRUNCATE t; INSERT INTO t VALUES (6)',
    false,
  ],
  [
    'all truncated, filled, changed and emptied by rows',
    'TRUNCATE t; INSERT INTO t VALUES (5), (6), (7); UPDATE t SET id = id + 10; DELETE FROM t',
    false,
  ],
  [
    'created, filled and truncated in one transaction',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     INSERT INTO t VALUES (150); TRUNCATE t_1`,
    true,
  ],
  [
    'created and filled in one transaction, which deletes what TRUNCATE may have taken',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     INSERT INTO t VALUES (150), (151); DELETE FROM t WHERE id = 150`,
    true,
  ],
  [
    'created, filled and truncated',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) |
     INSERT INTO t VALUES (150) | TRUNCATE t_1`,
    true,
  ],
  [
    'created, filled and dropped',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) |
     INSERT INTO t VALUES (150) | DROP TABLE t_1`,
    true,
  ],
  [
    'created, filled and vacuumed',
    `CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) |
     INSERT INTO t VALUES (150) | VACUUM FULL t_1`,
    false,
  ],
  [
    'an empty one vacuumed',
    'CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200) | VACUUM FULL t_1',
    false,
  ],
  ['one that was empty at first vacuumed', 'VACUUM FULL t_e', false],
  [
    'one that was empty at first filled and vacuumed',
    'INSERT INTO t VALUES (950) | VACUUM FULL t_e',
    false,
  ],
  [
    'one that was empty at first filled and truncated',
    'INSERT INTO t VALUES (950) | TRUNCATE t_e',
    true,
  ],
  ['one vacuumed', 'VACUUM FULL t_0', false],
  ['all vacuumed', 'VACUUM FULL t', false],
  ['one clustered', 'CLUSTER t_0 USING t_0_pkey', false],
  ['one vacuumed after another was truncated', 'TRUNCATE t_0 | VACUUM FULL t_0', true],
  ['rewritten', `ALTER TABLE t ALTER v TYPE text USING v || '!'`, true],
]

/** Runs each attempt on its table; `|` parts what must not be one transaction. */
async function perform(uri: string, attempts: readonly Attempt[]): Promise<void> {
  for (const [at, [, sql]] of attempts.entries()) {
    for (const part of sql.replaceAll(/\bt(?=\b|_)/g, `t${at}`).split(/\s\|\s/)) {
      await queryPostgres(uri, part)
    }
  }
}

function expectParked(running: RunningSource, attempts: readonly Attempt[]): void {
  const { parked } = running.runtime
  const found = attempts.map(([what], at) => [what, parked.has(`public.t${at}`)])
  expect(found).toEqual(attempts.map(([what, , parks]) => [what, parks]))
}

testOn(servers, 'a partition parks its root by what the log cannot show', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  for (const at of SILENT.keys()) await queryPostgres(uri, createRoot(`t${at}`))
  const running = await run(optionsFor(server, changed))
  await running.looked()
  await perform(uri, SILENT)
  await running.looked()
  expectParked(running, SILENT)
  await running.stop()
})

testOn(
  servers,
  'a partition parks its root also for what happened while the pipeline was down',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    for (const at of SILENT.keys()) await queryPostgres(uri, createRoot(`t${at}`))
    const first = await run(options)
    await first.looked()
    const saved = first.source.save()
    await first.stop()
    await perform(uri, SILENT)
    // A row that follows makes the log show the table before the first look at the catalog.
    for (const at of SILENT.keys()) {
      await queryPostgres(uri, `INSERT INTO t${at} VALUES (50)`).catch(() => [])
    }
    const second = await run(options, saved, first.position, first.runtime)
    await second.looked()
    expectParked(second, SILENT)
    await second.stop()
  },
)

testOn(
  servers,
  'a logged TRUNCATE excuses new files also when the pipeline stops between the two',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, `${createRoot('t')} ${createRoot('other')}`)
    const first = await run(optionsFor(server, { ...changed, catalogPollMs: 1e9 }))
    await first.looked()
    await queryPostgres(uri, 'TRUNCATE t; INSERT INTO t VALUES (5)')
    await first.caughtUp()
    expect(first.runtime.events).toContain('truncated public.t')
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(uri, 'TRUNCATE other_0')
    const second = await run(optionsFor(server, changed), saved, first.position, first.runtime)
    await second.until(() => second.runtime.parked.has('public.other'))
    expect(second.runtime.parked.has('public.t')).toBe(false)
    await second.stop()
  },
)

testOn(
  servers,
  'rows of partitions have the default of a column that came later',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, `${createRoot('t')} ${createRoot('mixed')}`)
    const running = await run(optionsFor(server, changed))
    await running.looked()
    // One more leaf, which has no rows older than the column.
    await queryPostgres(
      uri,
      `ALTER TABLE t ADD c int DEFAULT 5; ALTER TABLE t ALTER c SET DEFAULT 6;
     CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     INSERT INTO t (id) VALUES (150)`,
    )
    await queryPostgres(
      uri,
      'CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (100) TO (200)',
    )
    await queryPostgres(uri, 'ALTER TABLE mixed ADD c int NOT NULL DEFAULT 7')
    await running.looked()
    const { runtime } = running
    expect(runtime.parked).toEqual(new Map())
    const added = (table: string): unknown =>
      runtime.schemas.get(table)?.fields.find(({ name }) => name === 'c')?.initialDefault
    expect(added('public.t')).toBe(5n)
    expect(added('public.mixed')).toBe(7n)
    expect(brief(running.changes, 'id', 'c')).toEqual([['insert', 150, 6]])
    await running.stop()
  },
)

testOn(servers, 'a lock on one table or partition holds up nothing else', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `${createRoot('t')} CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (100) TO (200);
     CREATE TABLE plain (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)`,
  )
  const running = await run(optionsFor(server, changed))
  await ready(running.source, 'public.other')
  await withPostgres(uri, async (client) => {
    await client.query('BEGIN; LOCK TABLE ONLY t_0, plain IN ACCESS EXCLUSIVE MODE')
    await queryPostgres(uri, 'INSERT INTO t_1 VALUES (150); INSERT INTO other VALUES (1)')
    await queryPostgres(
      uri,
      'CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (2)',
    )
    await running.until(() => running.changes.length >= 2, 4000)
    await running.until(() => running.runtime.schemas.has('public.fresh'), 4000)
    const { rows } = await readTable(running, 'public.other', 10)
    expect(brief(rows, 'id')).toEqual([['read', 1]])
    expect(await running.source.estimateRows('public.t')).not.toBe(0)
    await client.query('ROLLBACK')
  })
  await running.stop()
})
