// Documents and arrays of a database's rows, taken apart on the way: what the lake has is what the
// server itself makes of the same rows, from the first copy on, through changes and kill -9.
import { expect } from 'vitest'
import { readLake, readSource } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { differenceOf, project } from '../readers/canonical.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { onEach, type Scene } from './each-server.ts'

const MAX = 5

async function transform(at: Scene, tables: readonly string[], ...entries: object[]) {
  await edit(at.pipeline, (file) => {
    Object.assign(file, { transform: entries })
    const { source } = file
    if (source !== undefined) source['tables'] = tables.map(at.name)
  })
}

/** The lake's table equals what the server makes of a SELECT, as two readers see it. */
async function expectShows(at: Scene, table: string, select: string): Promise<number> {
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
  return shown?.rows.length ?? 0
}

/** An array of up to MAX objects, in which values and elements may be missing. */
function items(random: Random): string {
  const count = random.int(0, MAX)
  const all = Array.from({ length: count }, () => {
    if (random.chance(0.1)) return 'null'
    const qty = random.pick(['', ', "qty": null', `, "qty": ${random.int(-9, 99)}`])
    return `{"sku": "s${random.int(1, 50)} é\\""${qty}}`
  })
  return random.chance(0.1) ? 'NULL' : `'[${all.join(', ')}]'`
}

function changes(random: Random, next: () => number, postgres: boolean): string {
  const id = random.int(1, 300)
  const text = postgres ? items(random) : items(random).replaceAll('\\', '\\\\')
  switch (random.int(0, 4)) {
    case 0:
      return `INSERT INTO orders VALUES (${next()}, ${text}, 'new')`
    case 1:
      return `DELETE FROM orders WHERE id = ${id}`
    case 2:
      return `UPDATE orders SET id = ${next()} WHERE id = ${id}`
    case 3:
      return `UPDATE orders SET note = 'n${random.int(1, 9)}' WHERE id = ${id}`
    default:
      return `UPDATE orders SET items = ${text} WHERE id = ${id}`
  }
}

onEach(
  'elements of arrays are rows that follow the row they come from, through kill -9',
  async (at) => {
    const { pipeline, name, run, postgres, open } = at
    const random = new Random(drawSeed('exploded'))
    const type = postgres ? 'jsonb' : 'json'
    await run(`CREATE TABLE orders (id int PRIMARY KEY, items ${type}, note varchar(9))`)
    let last = 0
    const next = (): number => ++last
    const session = await open()
    const first = Array.from({ length: 300 }, () => {
      const text = postgres ? items(random) : items(random).replaceAll('\\', '\\\\')
      return `(${next()}, ${text}, 'old')`
    })
    await session.execute(`INSERT INTO orders VALUES ${first.join(', ')}`)
    await transform(at, ['orders'], {
      from: name('orders'),
      explode: { column: 'items', as: 'item', ordinal: 'no', max: MAX },
      json: { column: 'item', schema: { sku: 'string', qty: 'int' } },
      projection: 'id, no, sku, qty, note',
    })
    for (let kill = 0; kill < 3; kill++) {
      const child = pipeline.start()
      const killed = pipeline.killAtRandom(child, random, 900)
      for (let count = 0; count < 60; count++)
        await session.execute(changes(random, next, postgres))
      await killed
    }
    await session.close()
    await pipeline.once()
    const elements = postgres
      ? `SELECT id, no::int AS no, item->>'sku' AS sku, (item->>'qty')::int AS qty, note FROM orders,
         jsonb_array_elements(items) WITH ORDINALITY AS each(item, no)`
      : `SELECT id, no, sku, qty, note FROM orders, JSON_TABLE(items, '$[*]' COLUMNS (
         no FOR ORDINALITY, sku varchar(20) PATH '$.sku', qty int PATH '$.qty')) AS each_one`
    expect(await expectShows(at, 'orders', elements)).toBeGreaterThan(100)
    expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
  },
  { pipeline: { chunkRows: 40 } },
)

onEach(
  'a document becomes typed columns, and one that does not fit parks its table',
  async (at) => {
    const { pipeline, name, run } = at
    await run(`CREATE TABLE events (id int PRIMARY KEY, doc json, plain text)`)
    await run(`INSERT INTO events VALUES
      (1, '{"user": {"id": 9007199254740993, "name": "Ann"}, "tags": ["a", null]}', '{"x": 1.5}'),
      (2, NULL, NULL), (3, '{"user": null}', '{}'), (4, '{}', 'null')`)
    await transform(at, ['events'], {
      from: name('events'),
      json: [
        {
          column: 'doc',
          schema: { 'user.id': 'long', who: { type: 'string', path: 'user.name' } },
        },
        { column: 'plain', schema: { x: 'decimal(5,2)' } },
      ],
      projection: '* EXCEPT (doc, plain)',
    })
    await pipeline.once()
    await run(`UPDATE events SET doc = '{"user": {"id": -1}}' WHERE id = 2;
      INSERT INTO events VALUES (5, '{"user": {"name": "Eve\\\\n"}}', '{"x": -7}');
      DELETE FROM events WHERE id = 3; UPDATE events SET id = 6 WHERE id = 4`)
    await pipeline.once()
    const { postgres } = at
    const member = (of: string): string => {
      if (postgres) return `doc#>>'{${of}}'`
      const found = `JSON_EXTRACT(doc, '$.${of.replace(',', '.')}')`
      return `JSON_UNQUOTE(NULLIF(${found}, CAST('null' AS json)))`
    }
    const number = postgres ? 'bigint' : 'signed'
    const id = postgres ? '"user.id"' : '`user.id`'
    const x = postgres ? `plain::json->>'x'` : `JSON_EXTRACT(plain, '$.x')`
    const select = `SELECT id, CAST(${member('user,id')} AS ${number}) AS ${id},
      ${member('user,name')} AS who, CAST(${x} AS decimal(5,2)) AS x FROM events`
    expect(await expectShows(at, 'events', select)).toBe(4)
    expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
    await run(`UPDATE events SET doc = '{"user": {"id": "no"}}' WHERE id = 1`)
    const parked = await pipeline.command(['run', pipeline.file, '--once'])
    expect([parked.code, parked.stderr]).toEqual([
      4,
      expect.stringContaining('"doc" holds no document with a value for "user.id"'),
    ])
    expect(await readLake(pipeline, [name('events')], 'duckdb')).toMatchObject([
      { rows: { length: 4 } },
    ])
  },
)

/** `count` elements, which the note names, so that a row tells how many siblings it has. */
function image(random: Random): string {
  const count = random.int(0, 4)
  const tags = Array.from({ length: count }, () => random.pick(['NULL', '1', '-7']))
  return `ARRAY[${tags.join(', ')}]::int[], '${random.int(1, 999)} of ${Math.max(1, count)}'`
}

onEach(
  'in append the elements of a row are those of one image of it, and come once',
  async (at) => {
    const { pipeline, name, run, open } = at
    const random = new Random(drawSeed('appended arrays'))
    await run(`CREATE TABLE orders (id int PRIMARY KEY, tags int[], note text);
      INSERT INTO orders SELECT id, array_fill(id, ARRAY[1 + id % 4]), 'old of ' || 1 + id % 4
      FROM generate_series(1, 2000) id`)
    await transform(at, ['orders'], {
      from: name('orders'),
      explode: { column: 'tags', as: 'tag', ordinal: 'no', outer: true },
    })
    const session = await open()
    let last = 2000
    for (let kill = 0; kill < 3; kill++) {
      const killed = pipeline.killAtRandom(pipeline.start(), random, 500)
      for (let count = 0; count < 50; count++) {
        await session.execute(`INSERT INTO orders VALUES (${++last}, ${image(random)})`)
        const changed = random.chance(0.5) ? last : random.int(1, last)
        await session.execute(
          `UPDATE orders SET (tags, note) = (SELECT ${image(random)}) WHERE id = ${changed}`,
        )
      }
      await killed
    }
    await session.close()
    await pipeline.once()
    const [lake] = await readLake(pipeline, [name('orders')], 'duckdb')
    const images = new Map<string, string[]>()
    for (const row of lake?.rows ?? []) {
      const [id, , number, note] = JSON.parse(row) as string[]
      images.set(String(id), [...(images.get(String(id)) ?? []), `${number} ${note}`])
    }
    expect(images.size).toBe(last)
    for (const [id, rows] of images) {
      const notes = new Set(rows.map((text) => text.replace(/^\d+ /, '')))
      const count = Number([...notes][0]?.replace(/^.* of /, ''))
      const numbers = rows.map((text) => Number(text.split(' ')[0])).sort((a, b) => a - b)
      const wanted = Array.from({ length: count }, (_, index) => index + 1)
      expect([notes.size, numbers.join()], id).toEqual([1, numbers[0] === 0 ? '0' : wanted.join()])
    }
  },
  { servers: ['postgres18'], pipeline: { mode: 'append', chunkRows: 100 } },
)

onEach(
  'a changelog is not taken apart, and says why',
  async (at) => {
    await at.run('CREATE TABLE orders (id int PRIMARY KEY, tags int[])')
    const explode = { column: 'tags', as: 'tag', ordinal: 'no' }
    await transform(at, ['orders'], { from: at.name('orders'), explode })
    const refused = await at.pipeline.command(['run', at.pipeline.file, '--once'])
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining('`explode` cannot be right in mode changelog'),
    ])
  },
  { servers: ['postgres18'], pipeline: { mode: 'changelog' } },
)
