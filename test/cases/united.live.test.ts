// Several tables of the source as one table of the lake.
import { expect } from 'vitest'
import { readLake } from '../acceptance/lake.ts'
import { edit, expectRefusal } from '../acceptance/refusal.ts'
import { ALL_SERVERS, onEach, type Scene } from './each-server.ts'
import { expectUnited, UNION, unite } from './united.ts'

async function verified({ pipeline }: Scene): Promise<void> {
  const verdict = await pipeline.command(['verify', pipeline.file])
  expect(verdict.code, verdict.stdout + verdict.stderr).toBe(0)
  expect(verdict.stdout).toContain(UNION)
}

async function parks({ pipeline }: Scene, ...words: string[]): Promise<void> {
  const exit = await pipeline.command(['run', pipeline.file, '--once'])
  expect(exit.code, exit.stdout + exit.stderr).toBe(4)
  for (const word of words) expect(exit.stderr).toContain(word)
}

async function resync({ pipeline }: Scene, table: string): Promise<void> {
  const exit = await pipeline.command(['resync', pipeline.file, '--table', table])
  expect(exit.code, exit.stderr).toBe(0)
  await pipeline.once()
}

async function three({ run }: Scene): Promise<void> {
  await run(`CREATE TABLE o_0 (id int PRIMARY KEY, v varchar(20));
    CREATE TABLE o_1 (id int PRIMARY KEY, v varchar(20), extra int);
    CREATE TABLE o_2 (id bigint PRIMARY KEY, v varchar(20));
    INSERT INTO o_0 VALUES (1, 'a0'), (2, 'b0'), (3, 'c0');
    INSERT INTO o_1 VALUES (1, 'a1', 10), (2, 'b1', NULL), (3, 'c1', 30);
    INSERT INTO o_2 VALUES (1, 'a2'), (9007199254740993, 'b2')`)
}

onEach(
  'tables with the same keys are one table, with the columns of all in the widest types',
  async (at) => {
    const { pipeline, run, name } = at
    await unite(at)
    await edit(pipeline, (file) => {
      Object.assign(file['sink'] ?? {}, { partition_by: { [UNION]: ['bucket[2](id)'] } })
    })
    await three(at)
    await pipeline.once()
    await expectUnited(at, ['o_0', 'o_1', 'o_2'])
    await run(`UPDATE o_0 SET v = 'z0' WHERE id = 1; DELETE FROM o_1 WHERE id = 1;
      UPDATE o_2 SET id = 7 WHERE id = 1; INSERT INTO o_1 VALUES (4, 'd1', 40);
      INSERT INTO o_0 VALUES (9, 'i0')`)
    await pipeline.once()
    await expectUnited(at, ['o_0', 'o_1', 'o_2'])
    await verified(at)
    const plan = await pipeline.command(['plan', pipeline.file])
    expect(plan.code, plan.stdout + plan.stderr).toBe(0)
    expect(plan.stdout).not.toMatch(/ADD|REMOVE|REBACKFILL/)
    const preview = await pipeline.command(['preview', pipeline.file, '--table', name('o_1')])
    expect([preview.code, preview.stdout]).toEqual([0, expect.stringContaining(UNION)])
    await run('DELETE FROM o_0 WHERE id = 2')
    await resync(at, name('o_1'))
    await expectUnited(at, ['o_0', 'o_1', 'o_2'])
    await verified(at)
    expect((await pipeline.command(['drop', pipeline.file, '--yes'])).code).toBe(0)
  },
  { servers: ALL_SERVERS },
)

onEach('columns come to the tables one by one, and none loses a value', async (at) => {
  const { pipeline, run } = at
  await unite(at)
  await three(at)
  await pipeline.once()
  await run(`ALTER TABLE o_0 ADD COLUMN n int; ALTER TABLE o_1 ADD COLUMN d int NOT NULL DEFAULT 5;
    UPDATE o_0 SET n = 1 WHERE id = 1; INSERT INTO o_1 VALUES (5, 'e1', 50, 51);
    INSERT INTO o_2 VALUES (5, 'e2'); UPDATE o_2 SET v = 'again' WHERE id = 1`)
  await pipeline.once()
  // A table that does not have it yet holds what it will hold there once it does.
  await expectUnited(at, ['o_0', 'o_1', 'o_2'], { d: '5' })
  await verified(at)
  await run(`ALTER TABLE o_2 ADD COLUMN d int NOT NULL DEFAULT 5; ALTER TABLE o_0 ADD COLUMN extra int;
    ALTER TABLE o_2 ADD COLUMN n bigint; UPDATE o_2 SET d = 6, n = 9007199254740993 WHERE id = 5;
    INSERT INTO o_0 VALUES (6, 'f0', 7, 60)`)
  await pipeline.once()
  await expectUnited(at, ['o_0', 'o_1', 'o_2'], { d: '5' }, ['duckdb', 'pyiceberg'])
  await verified(at)
})

onEach('what one table drops stays for the others, and does not come back wrong', async (at) => {
  const { pipeline, run, name } = at
  await unite(at)
  await three(at)
  await run(`ALTER TABLE o_0 ADD COLUMN extra int; UPDATE o_0 SET extra = 100`)
  await pipeline.once()
  await run(`ALTER TABLE o_0 DROP COLUMN extra; INSERT INTO o_0 VALUES (7, 'g0');
    INSERT INTO o_1 VALUES (7, 'g1', 70)`)
  await pipeline.once()
  const [lake] = await readLake(pipeline, [UNION], 'duckdb')
  const at1 = ['id', 'extra', 'shard'].map((column) => lake?.columns.indexOf(column) ?? -1)
  const rows = lake?.rows.map((row) => at1.map((place) => (JSON.parse(row) as string[])[place]))
  expect(rows).toEqual(
    expect.arrayContaining([
      ['7', '70', 'o_1'],
      ['3', '30', 'o_1'],
    ]),
  )
  expect(rows).toEqual(
    expect.arrayContaining([
      ['7', null, 'o_0'],
      ['1', '100', 'o_0'],
    ]),
  )
  await verified(at)
  await run('ALTER TABLE o_0 ADD COLUMN extra int')
  await parks(at, 'MR-3006', 'column "extra" was there before')
  await resync(at, name('o_0'))
  await expectUnited(at, ['o_0', 'o_1', 'o_2'])
  await run('ALTER TABLE o_1 RENAME COLUMN v TO w')
  await parks(at, 'MR-3006', 'column "v" became "w"')
  await resync(at, UNION)
  await expectUnited(at, ['o_0', 'o_1', 'o_2'])
  await verified(at)
})

onEach('TRUNCATE of one parks all, DROP leaves its rows, and one that comes joins', async (at) => {
  const { pipeline, run, name } = at
  await unite(at)
  await three(at)
  await pipeline.once()
  await run(
    `TRUNCATE TABLE o_0; INSERT INTO o_0 VALUES (1, 'new'); INSERT INTO o_1 VALUES (8, 'h1', 1)`,
  )
  await parks(at, 'MR-3006', name('o_0'))
  await resync(at, name('o_1'))
  await expectUnited(at, ['o_0', 'o_1', 'o_2'])
  await run(`CREATE TABLE o_3 (id int PRIMARY KEY, v varchar(20), w int);
    INSERT INTO o_3 VALUES (1, 'a3', 3), (2, 'b3', 3)`)
  await pipeline.once()
  await expectUnited(at, ['o_0', 'o_1', 'o_2', 'o_3'])
  await run(`INSERT INTO o_3 VALUES (3, 'c3', 3); INSERT INTO o_2 VALUES (77, 'z2')`)
  await pipeline.once()
  await verified(at)
  const before = await readLake(pipeline, [UNION], 'duckdb')
  await run('DROP TABLE o_2')
  await pipeline.once()
  expect(await readLake(pipeline, [UNION], 'duckdb')).toEqual(before)
  await run(`INSERT INTO o_0 VALUES (5, 'after')`)
  await pipeline.once()
  const rows = (await readLake(pipeline, [UNION], 'duckdb'))[0]?.rows ?? []
  expect(rows).toHaveLength((before[0]?.rows.length ?? 0) + 1)
  await resync(at, UNION)
  await expectUnited(at, ['o_0', 'o_1', 'o_3'])
})

onEach(
  'tables whose rows could take each other’s place are refused, with the repair',
  async (at) => {
    const { pipeline, run } = at
    await unite(at)
    await run(
      `CREATE TABLE o_0 (id int PRIMARY KEY, v int); CREATE TABLE o_1 (id int PRIMARY KEY, v int)`,
    )
    await edit(pipeline, (file) => {
      delete file['transform']
    })
    const check = await pipeline.command(['check', pipeline.file])
    expect([check.code, check.stdout]).toEqual([3, expect.stringContaining('`keys: disjoint`')])
    expectRefusal(await pipeline.command(['run', pipeline.file, '--once']), 'ROUTE_TAKEN', [
      'shard',
    ])
    // The name of the schema is the same for both.
    await edit(pipeline, (file) => {
      const projection = '*, __schema__ AS shard'
      Object.assign(file, {
        transform: [{ from: '*.*', projection, primary_keys: ['shard', 'id'] }],
      })
    })
    const exit = await pipeline.command(['run', pipeline.file, '--once'])
    expectRefusal(exit, 'ROUTE_TAKEN', ['no column of the key tells its rows'])
    const plan = await pipeline.command(['plan', pipeline.file])
    expect(plan.stdout).toContain('no column of the key tells its rows')
    await unite(at)
    await run('ALTER TABLE o_1 DROP COLUMN v; ALTER TABLE o_1 ADD COLUMN v varchar(9)')
    const types = await pipeline.command(['run', pipeline.file, '--once'])
    expectRefusal(types, 'DDL_UNMAPPABLE', ['column "v" is string, and int in the others'])
  },
)
