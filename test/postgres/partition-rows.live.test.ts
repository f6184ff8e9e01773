// Random histories of partitioned tables, with TRUNCATE and DDL of their parts: a table holds in
// the end what its source holds, or it is parked. The source itself is the oracle.

import fc from 'fast-check'
import { expect } from 'vitest'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  run,
  startAll,
  TestRuntime,
  testOn,
  type Change,
  type RunningSource,
} from './harness.ts'

const servers = await startAll()
const TABLES = 60
const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 20)

/** Applies what the source tells, in its order. */
class Copy extends TestRuntime {
  readonly rows = new Map<string, Map<unknown, unknown>>()

  override changesOf(batch: ChangeBatch): Change[] {
    const changes = super.changesOf(batch)
    for (const { table, op, row } of changes) {
      if (op === 'delete') this.of(table).delete(row['id'])
      else this.of(table).set(row['id'], row['v'])
    }
    return changes
  }

  of(table: string): Map<unknown, unknown> {
    const rows = this.rows.get(table) ?? new Map<unknown, unknown>()
    this.rows.set(table, rows)
    return rows
  }

  override tableTruncated(table: string): void {
    super.tableTruncated(table)
    this.of(table).clear()
  }
}

/** Two partitions at first; a third comes and goes, of tables of its own as well. */
function createRoot(name: string): string {
  return `CREATE TABLE ${name} (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
    CREATE TABLE ${name}_0 PARTITION OF ${name} FOR VALUES FROM (0) TO (10);
    CREATE TABLE ${name}_1 PARTITION OF ${name} FOR VALUES FROM (10) TO (20);`
}

const part = fc.constantFrom('t_0', 't_1', 't_2')
const id = fc.integer({ min: 0, max: 29 })
const rows = 'ON CONFLICT (id) DO UPDATE SET v = t.v + 1'
const change = fc.oneof(
  id.map((at) => `INSERT INTO t VALUES (${at}, 0) ${rows}`),
  id.map((at) => `INSERT INTO t SELECT i, 1 FROM generate_series(${at}, 29) i ${rows}`),
  id.map((at) => `UPDATE t SET v = v + 1 WHERE id = ${at}`),
  id.map((at) => `UPDATE t SET id = 29 - id WHERE id = ${at}`),
  id.map((at) => `DELETE FROM t WHERE id = ${at}`),
)
const truncate = fc.oneof(
  fc.constant('TRUNCATE t'),
  part.map((leaf) => `TRUNCATE ${leaf}`),
)
const ddl = fc.constantFrom(
  'CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (20) TO (30)',
  'DROP TABLE t_2',
  'ALTER TABLE t DETACH PARTITION t_2',
  'ALTER TABLE t_2 ALTER v SET DEFAULT 7, ALTER id SET DEFAULT 7',
)
const inside = fc.oneof(
  { weight: 5, arbitrary: change },
  { weight: 3, arbitrary: truncate },
  { weight: 1, arbitrary: ddl },
)
/** A statement that fails takes nothing else with it. */
const attempt = (sql: string): string => `DO $$ BEGIN ${sql}; EXCEPTION WHEN others THEN END $$`
const transaction = fc.oneof(
  { weight: 6, arbitrary: fc.array(inside, { minLength: 1, maxLength: 5 }) },
  { weight: 1, arbitrary: fc.array(inside.map(attempt), { minLength: 1, maxLength: 5 }) },
  { weight: 1, arbitrary: part.map((leaf) => [`VACUUM FULL ${leaf}`]) },
)
const history = fc.array(transaction, { minLength: 1, maxLength: 5 })

async function settled(running: RunningSource): Promise<void> {
  for (let look = 0; look < 4; look++) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    await running.caughtUp()
  }
}

async function perform(uri: string, table: string, statements: readonly string[]): Promise<void> {
  // What cannot be done, as the third partition is not there, is not done.
  const sql = statements.join('; ').replaceAll(/\bt(?=\b|_)/g, table)
  await queryPostgres(uri, sql).catch(() => [])
}

testOn(servers, 'a partitioned table holds what its source holds or is parked', async (server) => {
  const deadline = performance.now() + SECONDS * 500
  let round = 0
  const kept: string[][][] = []
  while (performance.now() < deadline || round === 0) {
    const { uri, changed } = await freshDatabase(server)
    for (let at = 0; at < TABLES; at++) await queryPostgres(uri, createRoot(`t${at}`))
    const copy = new Copy()
    const options = optionsFor(server, changed)
    let running = await run(options, null, null, copy)
    await settled(running)
    const saved = running.source.save()
    // Every other round all happens while nobody looks.
    if (round % 2 === 1) await running.stop()
    const histories = fc.sample(history, TABLES)
    for (let step = 0; step < 5; step++) {
      for (const [at, steps] of histories.entries()) {
        await perform(uri, `t${at}`, steps[step] ?? [])
      }
    }
    if (round % 2 === 1) running = await run(options, saved, running.position, copy)
    await settled(running)
    for (const [at, steps] of histories.entries()) {
      if (copy.parked.has(`public.t${at}`)) continue
      kept.push(steps)
      const there = await queryPostgres(uri, `SELECT id, v FROM t${at} ORDER BY id`)
      const here = [...copy.of(`public.t${at}`)].map(([key, v]) => ({ id: key, v }))
      here.sort((a, b) => Number(a.id) - Number(b.id))
      expect(here, JSON.stringify(steps)).toEqual(there)
    }
    await running.stop()
    round++
  }
  // Parking everything would pass, too.
  expect(kept.length).toBeGreaterThan((round * TABLES) / 5)
})
