// `before` and `is_changed` in a changelog: what they say of every update is what a trigger of the
// server itself has written down, and where the log does not have the old row the table is parked.
import { expect } from 'vitest'
import { readLake, readSource } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { type Cell } from '../readers/canonical.ts'
import { Random } from '../workload/random.ts'
import { onEach, type Scene } from './each-server.ts'

const PROJECTION = `*, before(status) AS was, CAST(is_changed(status) AS string) AS moved,
  before(amount) AS amount_was, length(before(doc)) AS doc_was`
const TOLD = ['id', 'status', 'was', 'moved', 'amount_was', 'doc_was']
const LARGE = 20_000

async function transform({ pipeline, name }: Scene, projection: string): Promise<void> {
  await edit(pipeline, (file) => {
    Object.assign(file, { transform: [{ from: name('orders'), projection }] })
    const { source } = file
    if (source !== undefined) source['tables'] = [name('orders')]
  })
}

/** The table, and a trigger that writes each update down that leaves the key as it is. */
async function createOrders({ run, postgres }: Scene): Promise<void> {
  const columns = `id bigint, status varchar(20), was varchar(20), moved varchar(5),
    amount_was decimal(12,2), doc_was bigint`
  const serial = postgres ? 'bigserial' : 'bigint AUTO_INCREMENT'
  await run(`CREATE TABLE orders (id bigint PRIMARY KEY, status varchar(20), amount decimal(12,2),
      doc text NOT NULL);
    CREATE TABLE audit (no ${serial} PRIMARY KEY, ${columns})`)
  const differs = postgres
    ? 'OLD.status IS DISTINCT FROM NEW.status'
    : 'NOT (OLD.status <=> NEW.status)'
  // MySQL's log has no update that changes nothing.
  const logged = `NOT (OLD.status <=> NEW.status AND OLD.amount <=> NEW.amount)`
  const record = `INSERT INTO audit (${TOLD.join(', ')}) SELECT NEW.id, NEW.status, OLD.status,
    CASE WHEN ${differs} THEN 'true' ELSE 'false' END, OLD.amount, char_length(OLD.doc)
    FROM (SELECT 1 AS one) AS there WHERE OLD.id = NEW.id ${postgres ? '' : `AND ${logged}`}`
  if (!postgres) {
    await run(`CREATE TRIGGER told AFTER UPDATE ON orders FOR EACH ROW ${record}`)
    return
  }
  await run(`ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN ${record}; RETURN NULL; END $$;
    CREATE TRIGGER told AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tell()`)
}

/** Values that differ from row to row, and some that are null, or large enough to be kept apart. */
function rowsOf(postgres: boolean, from: number, count: number): string {
  const values = `n, CASE WHEN n % 7 = 0 THEN NULL ELSE concat('s', n % 5) END,
    CASE WHEN n % 11 = 0 THEN NULL ELSE n / 4.0 END,`
  if (postgres) {
    return `INSERT INTO orders SELECT ${values}
      CASE WHEN n % 1000 = 0 THEN (SELECT string_agg(md5((i * n)::text), '')
        FROM generate_series(1, 300) i) ELSE concat('d', n) END
      FROM generate_series(${from}, ${from + count - 1}) n`
  }
  const others = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((d) => `UNION ALL SELECT ${d}`)
  const digits = `(SELECT 0 AS d ${others.join(' ')})`
  const all = ['a', 'b', 'c', 'e', 'f'].map((name) => `${digits} AS ${name}`).join(', ')
  return `INSERT INTO orders SELECT ${values}
      CASE WHEN n % 1000 = 0 THEN repeat(sha2(n, 256), 200) ELSE concat('d', n) END
    FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + ${from} AS n
      FROM ${all}) AS t
    WHERE n < ${from + count}`
}

/** @returns rows of the lake: updates as the trigger tells them, sorted, and what others say */
async function told({ pipeline, name }: Scene): Promise<{ updates: string[]; others: Cell[] }> {
  const [lake] = await readLake(pipeline, [name('orders')], 'duckdb')
  const at = (column: string): number => lake?.columns.indexOf(column) ?? -1
  const updates: string[] = []
  const others: Cell[] = []
  for (const text of lake?.rows ?? []) {
    const row = JSON.parse(text) as Cell[]
    if (row[at('_op')] === 'u') updates.push(JSON.stringify(TOLD.map((one) => row[at(one)])))
    else
      others.push(...['was', 'moved', 'amount_was', 'doc_was'].map((one) => row[at(one)] ?? null))
  }
  return { updates: updates.sort(), others }
}

async function expectTold(scene: Scene): Promise<void> {
  const [audit] = await readSource(scene.server, [scene.name('audit')])
  const places = TOLD.map((column) => audit?.columns.indexOf(column) ?? -1)
  const expected = (audit?.rows ?? []).map((text) => {
    const row = JSON.parse(text) as Cell[]
    return JSON.stringify(places.map((at) => row[at]))
  })
  const { updates, others } = await told(scene)
  expect(updates).toEqual(expected.sort())
  expect(updates.length).toBeGreaterThan(0)
  expect(others.every((cell) => cell === null)).toBe(true)
  expect(others.length).toBeGreaterThan(0)
}

onEach(
  'an update has what was before, as a trigger of the server says',
  async (scene) => {
    const { pipeline, run, postgres, server } = scene
    await createOrders(scene)
    await run(rowsOf(postgres, 1, 50))
    await transform(scene, PROJECTION)
    await pipeline.once()
    await run(`UPDATE orders SET status = 'paid', amount = 1 WHERE id < 5;
      UPDATE orders SET status = NULL WHERE id IN (2, 8); UPDATE orders SET amount = 7 WHERE id = 2;
      UPDATE orders SET status = status WHERE id < 10; UPDATE orders SET id = 900 WHERE id = 9;
      UPDATE orders SET status = 'moved' WHERE id = 900; DELETE FROM orders WHERE id = 4`)
    await pipeline.once()
    await expectTold(scene)
    // More than a batch in one transaction, and a crash somewhere in it.
    await run(rowsOf(postgres, 1000, LARGE))
    await run(`UPDATE orders SET status = concat(status, '+'), amount = -amount WHERE id >= 1000`)
    await pipeline.killAtRandom(pipeline.start(), new Random(server.port), 2000)
    await run(`ALTER TABLE orders ADD COLUMN extra int;
      UPDATE orders SET extra = 1, status = 'late' WHERE id BETWEEN 990 AND 1010`)
    await pipeline.once()
    await expectTold(scene)
  },
  {
    servers: ['postgres15', 'postgres18', 'mysql', 'mariadb'],
    pipeline: { mode: 'changelog' },
  },
)

onEach(
  'an update whose old row is not in the log parks its table, and writes nothing of it',
  async (scene) => {
    const { pipeline, run, postgres, name } = scene
    await createOrders(scene)
    if (postgres) await run('ALTER TABLE orders REPLICA IDENTITY DEFAULT')
    await run(rowsOf(postgres, 1, 10))
    await transform(scene, PROJECTION)
    await pipeline.once()
    const minimal = postgres ? '' : "SET SESSION binlog_row_image = 'MINIMAL';"
    await run(`${minimal} UPDATE orders SET status = 'paid' WHERE id = 1`)
    const parked = await pipeline.command(['run', pipeline.file, '--once'])
    expect([parked.code, parked.stderr]).toEqual([4, expect.stringContaining('MR-3008')])
    expect(parked.stderr).toContain('before an update, and the log has no such row')
    expect((await told(scene)).updates).toEqual([])
    if (postgres) await run('ALTER TABLE orders REPLICA IDENTITY FULL')
    await pipeline.command(['resync', pipeline.file, '--table', name('orders')])
    await pipeline.once()
    await run(`DELETE FROM audit; UPDATE orders SET status = 'again' WHERE id < 4`)
    await pipeline.once()
    await expectTold(scene)
  },
  { pipeline: { mode: 'changelog' } },
)

onEach('in upsert a row has what its last update has replaced', async (scene) => {
  const { pipeline, run, name, postgres } = scene
  await createOrders(scene)
  await run(rowsOf(postgres, 1, 4))
  await transform(scene, 'id, status, before(status) AS was, is_changed(status) AS moved')
  await pipeline.once()
  await run(`UPDATE orders SET status = 'a' WHERE id = 1;
    UPDATE orders SET status = 'b' WHERE id = 1;
    UPDATE orders SET amount = 0 WHERE id = 2; INSERT INTO orders VALUES (5, 'new', 1, 'd');
    UPDATE orders SET id = 6, status = 'c' WHERE id = 3`)
  await pipeline.once()
  const [lake] = await readLake(pipeline, [name('orders')], 'pyiceberg')
  expect([...(lake?.rows ?? [])].sort().map((row) => JSON.parse(row) as Cell[])).toEqual([
    ['1', 'b', 'a', 'true'],
    ['2', 's2', 's2', 'false'],
    ['4', 's4', null, null],
    ['5', 'new', null, null],
    ['6', 'c', null, null],
  ])
  const verified = await pipeline.command(['verify', pipeline.file])
  expect([verified.code === 0, verified.stdout + verified.stderr]).toEqual([
    false,
    expect.stringContaining('cannot be verified: it has what was before updates'),
  ])
})
