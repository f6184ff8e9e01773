// A changelog of PostgreSQL in a directory, as a user runs it: each change once and in order,
// through kills and changes of structure, in the folders that the values say.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Pipeline, type Child } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres } from '../servers/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { expectClean, manifestsOf, readFolder, type Row } from './read.ts'

const skip = !(await available('postgres18')) || !(await available('duckdb'))
const OLD = 300
const ZONE = 'Asia/Shanghai'

interface Change {
  readonly op: string
  readonly id: number
  readonly note: string | null
}

/** The workload, which knows what it has done. */
class Changes {
  readonly done: Change[] = []
  private next = OLD + 1
  private readonly live: number[] = Array.from({ length: OLD }, (_, index) => index + 1)
  private readonly run: (sql: string) => Promise<unknown>
  private readonly random: Random

  constructor(run: (sql: string) => Promise<unknown>, random: Random) {
    this.run = run
    this.random = random
  }

  async transaction(columns = ''): Promise<void> {
    const statements: string[] = []
    for (let count = this.random.int(1, 6); count > 0; count--)
      statements.push(this.change(columns))
    await this.run(`BEGIN; ${statements.join('; ')}; COMMIT`)
  }

  private change(columns: string): string {
    const { random, live } = this
    const note = `n${this.done.length}`
    if (live.length < 5 || random.chance(0.5)) {
      const id = this.next++
      live.push(id)
      this.done.push({ op: 'c', id, note })
      const hours = random.int(0, 60)
      return `INSERT INTO orders (id, ts, note) VALUES (${id},
        '2026-11-20T12:00Z'::timestamptz + interval '${hours} hours', '${note}${columns}')`
    }
    const at = random.int(0, live.length - 1)
    const id = live[at] as number
    if (random.chance(0.6)) {
      this.done.push({ op: 'u', id, note })
      return `UPDATE orders SET note = '${note}' WHERE id = ${id}`
    }
    live.splice(at, 1)
    this.done.push({ op: 'd', id, note: null })
    return `DELETE FROM orders WHERE id = ${id}`
  }
}

/** The folders of a row, by an arithmetic that knows nothing of the product's. */
function foldersOf({ ts }: Row): Row {
  // DuckDB knows Hive's default partition; a delete carries its key only.
  if (ts === null || ts === undefined) return { dt: null, hr: null }
  // China has been eight hours ahead since 1991.
  const local = new Date(Date.parse(ts.replace(' ', 'T').replace('+00', 'Z')) + 8 * 3_600_000)
  return { dt: local.toISOString().slice(0, 10), hr: local.toISOString().slice(11, 13) }
}

for (const parallelism of [1, 3]) {
  test.skipIf(skip)(
    `a changelog by ${parallelism} writers has each change once, through kills and DDL`,
    { timeout: 120_000 },
    async () => {
      const random = new Random(drawSeed(`directory-${parallelism}`))
      const server = await startPostgres({ major: 18 })
      const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)
      await run(
        `CREATE TABLE orders (id bigint PRIMARY KEY, ts timestamptz NOT NULL, note text);
         CREATE TABLE plain (id int PRIMARY KEY, ts timestamptz);
         INSERT INTO orders SELECT id, '2026-11-20T12:00Z'::timestamptz + id * interval '7 min', 'old'
           FROM generate_series(1, ${OLD}) id;
         INSERT INTO plain VALUES (1, NULL), (2, '1969-12-31T23:59:59.999999Z')`,
      )
      const pipeline = await Pipeline.create({
        server,
        parallelism,
        interval: '200ms',
        chunkRows: 40,
        sink: {
          type: 'parquet',
          layout: '{table}/dt={day(ts)}/hr={hour(ts)}/',
          time_zone: ZONE,
          change_format: 'changelog',
        },
      })
      try {
        for (let kill = 0; kill < 2; kill++) {
          await pipeline.killAtRandom(pipeline.start(), random, 300)
        }
        let child: Child = pipeline.start()
        await pipeline.untilStreaming(child, 2)
        const changes = new Changes(run, random)
        for (let round = 0; round < 3; round++) {
          for (let count = 0; count < 20; count++) await changes.transaction()
          await pipeline.killAtRandom(child, random, 500)
          if (round === 0) await run('ALTER TABLE orders ADD COLUMN extra int DEFAULT 7')
          if (round === 1) await run('ALTER TABLE orders RENAME COLUMN ts TO at')
          if (round === 1) await run('ALTER TABLE orders RENAME COLUMN at TO ts')
          child = pipeline.start()
        }
        for (let count = 0; count < 10; count++) await changes.transaction()
        await pipeline.untilUp(child)
        await child.stop()
        await pipeline.once()
        await expectClean(pipeline.warehouse)
        const rows = await readFolder(join(pipeline.warehouse, 'orders'))
        expectChanges(rows, changes.done)
        expectPlain(await readFolder(join(pipeline.warehouse, 'plain')))
        const head = (await manifestsOf(pipeline.warehouse)).at(-1)?.tables['public.orders']
        expect(head).toMatchObject({ name: 'public.orders', folder: 'orders' })
        expect(head?.schema_version).toBeGreaterThan(0)
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}

function expectChanges(rows: readonly Row[], done: readonly Change[]): void {
  const first = rows.filter(({ _op }) => _op === 'r').map(({ id, note }) => [Number(id), note])
  const old = Array.from({ length: OLD }, (_, index) => [index + 1, 'old'])
  expect(first.sort(([left], [right]) => Number(left) - Number(right))).toEqual(old)
  const logged = rows.filter(({ _op }) => _op !== 'r')
  logged.sort((left, right) => ((left['_pos'] ?? '') < (right['_pos'] ?? '') ? -1 : 1))
  const seen = logged.map(({ _op, id, note }): Change => {
    return { op: _op ?? '', id: Number(id), note: note ?? null }
  })
  expect(seen).toEqual(done)
  for (const row of rows) expect({ dt: row['dt'], hr: row['hr'] }).toEqual(foldersOf(row))
}

function expectPlain(rows: readonly Row[]): void {
  const seen = rows.map(({ id, ts, dt, hr }) => `${id} ${ts} ${dt} ${hr}`)
  expect(seen.sort()).toEqual(['1 null null null', '2 1969-12-31 23:59:59.999999+00 1970-01-01 07'])
}
