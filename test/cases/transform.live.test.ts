// Transforms from the first copy on, through changes, DDL, kill -9, resync and verify: what the
// lake has is what the server itself would show of the same expressions.
import { expect } from 'vitest'
import { readLake, readSource } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { differenceOf, project, type Cell } from '../readers/canonical.ts'
import { Random } from '../workload/random.ts'
import { onEach, type Scene } from './each-server.ts'

/** Only these tables, with these entries of `transform`. */
async function transform(
  { pipeline, name }: Scene,
  tables: readonly string[],
  ...entries: readonly object[]
): Promise<void> {
  await edit(pipeline, (file) => {
    Object.assign(file, { transform: entries })
    const { source } = file
    if (source !== undefined) source['tables'] = tables.map(name)
  })
}

/** The lake's table equals what the server makes of a SELECT. */
async function expectShows(at: Scene, table: string, select: string): Promise<void> {
  await at.run('DROP TABLE IF EXISTS shown')
  await at.run(`CREATE TABLE shown AS ${select}`)
  const [shown] = await readSource(at.server, [at.name('shown')])
  for (const reader of ['duckdb', 'pyiceberg'] as const) {
    const [lake] = await readLake(at.pipeline, [at.name(table)], reader)
    if (shown === undefined || lake === undefined) throw new Error(`${table} was not read`)
    const difference = differenceOf(shown, project(lake, shown.columns))
    expect(difference, reader).toEqual({ missing: [], extra: [] })
    expect(lake.columns).toHaveLength(shown.columns.length)
  }
}

/** Rows of the lake as their cells. */
function cells(rows: readonly string[] | undefined): Cell[][] {
  return (rows ?? []).map((row) => JSON.parse(row) as Cell[])
}

onEach('filter, projection and masks give what the server shows of them', async (at) => {
  const { pipeline, name, run, postgres } = at
  await run(`CREATE TABLE users (id bigint PRIMARY KEY, email varchar(50) NOT NULL, amount int,
    active boolean NOT NULL)`)
  await run(`INSERT INTO users VALUES (1, 'Ann@X.io', 5, true), (2, 'Bob@y.io', NULL, true),
    (3, 'Cid@z.io', 7, false)`)
  const active = postgres ? 'active' : 'active = 1'
  await transform(at, ['users'], {
    from: name('users'),
    projection: '* EXCEPT (active), lower(email) AS low, amount * 2 AS twice, __table__ AS origin',
    filter: active,
    mask: { email: "'***'" },
  })
  const select = `SELECT id, '***' AS email, amount, lower(email) AS low, amount * 2 AS twice,
    'users' AS origin FROM users WHERE ${active}`
  await pipeline.once()
  await expectShows(at, 'users', select)
  await run(`UPDATE users SET active = ${postgres ? 'false' : '0'} WHERE id = 1;
    UPDATE users SET active = ${postgres ? 'true' : '1'}, amount = 70 WHERE id = 3;
    DELETE FROM users WHERE id = 2; INSERT INTO users VALUES (4, 'Dan@d.io', -1, ${postgres ? 'true' : '1'}),
    (5, 'Eve@e.io', 0, ${postgres ? 'false' : '0'})`)
  await pipeline.killAtRandom(pipeline.start(), new Random(at.server.port), 2000)
  await run(`UPDATE users SET amount = 71 WHERE id = 3; ALTER TABLE users ADD COLUMN note varchar(9);
    UPDATE users SET note = 'n' WHERE id = 4; UPDATE users SET id = 9 WHERE id = 4`)
  await pipeline.once()
  await expectShows(at, 'users', select.replace("'users' AS origin", "'users' AS origin, note"))
  expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
  // Another expression: what the lake has of the former one cannot stand beside it.
  const projection = 'id, upper(email) AS up'
  await transform(at, ['users'], { from: name('users'), projection, filter: active })
  const changed = await pipeline.command(['run', pipeline.file, '--once'])
  expect([changed.code, changed.stderr]).toEqual([
    4,
    expect.stringContaining('`transform` has changed'),
  ])
  await pipeline.command(['resync', pipeline.file, '--table', name('users')])
  await pipeline.once()
  await expectShows(at, 'users', `SELECT id, upper(email) AS up FROM users WHERE ${active}`)
})

onEach('a soft delete keeps the row and says when it was deleted', async (at) => {
  const { pipeline, name, run } = at
  await run(`CREATE TABLE items (id int PRIMARY KEY, v varchar(20));
    INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
  await transform(at, ['items'], {
    from: name('items'),
    soft_delete: { column: 'is_deleted', at: 'deleted_at' },
  })
  await pipeline.once()
  await run(`DELETE FROM items WHERE id = 2; UPDATE items SET v = 'A' WHERE id = 1;
    DELETE FROM items WHERE id = 1; INSERT INTO items VALUES (4, 'd'); DELETE FROM items WHERE id = 4`)
  await pipeline.once()
  const [lake] = await readLake(pipeline, [name('items')], 'duckdb')
  expect(lake?.columns).toEqual(['id', 'v', 'is_deleted', 'deleted_at'])
  const rows = cells(lake?.rows).map(([id, v, deleted, time]) => [id, v, deleted, time === null])
  expect(rows).toEqual([
    ['1', 'A', 'true', false],
    ['2', 'b', 'true', false],
    ['3', 'c', 'false', true],
    ['4', 'd', 'true', false],
  ])
})

onEach('a row that an expression cannot compute parks its table alone', async (at) => {
  const { pipeline, name, run } = at
  await run(`CREATE TABLE shares (id int PRIMARY KEY, n int);
    CREATE TABLE other (id int PRIMARY KEY);
    INSERT INTO shares VALUES (1, 1); INSERT INTO other VALUES (1)`)
  const entry = { from: name('shares'), projection: 'id, 10 / n AS share' }
  await transform(at, ['shares', 'other'], entry)
  await pipeline.once()
  await run('INSERT INTO shares VALUES (2, 0), (3, 5); INSERT INTO other VALUES (2)')
  const parked = await pipeline.command(['run', pipeline.file, '--once'])
  expect([parked.code, parked.stderr]).toEqual([4, expect.stringContaining('division by zero')])
  const [shares, other] = await readLake(pipeline, [name('shares'), name('other')], 'duckdb')
  expect([shares?.rows.length, other?.rows.length]).toEqual([1, 2])
  await run('UPDATE shares SET n = 2 WHERE id = 2')
  await pipeline.command(['resync', pipeline.file, '--table', name('shares')])
  await pipeline.once()
  const [again] = await readLake(pipeline, [name('shares')], 'duckdb')
  expect(cells(again?.rows)).toEqual([
    ['1', '10'],
    ['2', '5'],
    ['3', '2'],
  ])
})

onEach('rows that cannot be computed are dead letters of the same commits, masked', async (at) => {
  const { pipeline, name, run } = at
  const letters = 'millrace.shop_dlq'
  const seen = async (): Promise<Cell[][]> => {
    const [lake] = await readLake(pipeline, [letters], 'duckdb')
    const wanted = ['code', 'source_table', 'column_name', 'expression', 'op', 'row']
    const rows = cells(lake === undefined ? [] : project(lake, wanted).rows)
    return rows.sort((a, b) => String(a.at(-1)).localeCompare(String(b.at(-1))))
  }
  const letter = (op: string, row: object, column = 'share', expression = '10 / n'): Cell[] => {
    return ['MR-4201', name('readings'), column, expression, op, JSON.stringify(row)]
  }
  await run(`CREATE TABLE readings (id int PRIMARY KEY, card varchar(20), n int);
    INSERT INTO readings VALUES (1, '1234', 1), (2, '5678', 0)`)
  const entry = {
    from: name('readings'),
    projection: 'id, mask_partial(card, 0, 2) AS card, 10 / n AS share',
    on_error: 'dlq',
  }
  await transform(at, ['readings'], entry)
  await pipeline.once()
  expect(await seen()).toEqual([letter('r', { id: 2, card: '****', n: 0 })])
  await run(`INSERT INTO readings VALUES (3, '9', 0), (4, '8', 5);
    UPDATE readings SET n = 0 WHERE id = 1; UPDATE readings SET n = 2 WHERE id = 2`)
  await pipeline.killAtRandom(pipeline.start(), new Random(at.server.port), 2000)
  await pipeline.once()
  const three = [
    letter('u', { id: 1, card: '****', n: 0 }),
    letter('r', { id: 2, card: '****', n: 0 }),
    letter('c', { id: 3, card: '****', n: 0 }),
  ]
  expect(await seen()).toEqual(three)
  // What was set aside leaves the lake's row of its key as it was.
  const shown = async (): Promise<Cell[][]> => {
    return cells((await readLake(pipeline, [name('readings')], 'duckdb'))[0]?.rows)
  }
  const lake = [
    ['1', '**34', '10'],
    ['2', '**78', '5'],
    ['4', '*', '2'],
  ]
  expect(await shown()).toEqual(lake)
  await edit(pipeline, (file) => Object.assign(file, { on_error: { max_dlq_rows: 1 } }))
  await run("INSERT INTO readings VALUES (5, '7', 0), (6, '6', 0), (7, '5', 1)")
  const flooded = await pipeline.command(['run', pipeline.file, '--once'])
  expect([flooded.code, flooded.stderr]).toEqual([1, expect.stringContaining('MR-4203')])
  expect([await seen(), await shown()]).toEqual([three, lake])
  await edit(pipeline, (file) => Object.assign(file, { on_error: { max_dlq_rows: 2 } }))
  await pipeline.once()
  const more = [5, 6].map((id) => letter('c', { id, card: '****', n: 0 }))
  expect([await seen(), await shown()]).toEqual([
    [...three, ...more],
    [...lake, ['7', '*', '10']],
  ])
})
