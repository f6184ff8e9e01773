// Partitioned tables from a real PostgreSQL through kill -9, in each mode: every row comes once, in
// the partition that it belongs to, and every command knows its way among the folders.
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { expectLakeEqualsSource, readLake } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import type { Cell } from '../readers/canonical.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

const skip = !(await available('postgres18')) || !(await available('python'))
const TABLE = 'public.events'
const OLD_ROWS = 1500
const KILLS = 2
const LAST_CHANGES = 2

let server: PostgresServer

beforeAll(async () => {
  if (!skip) server = await startPostgres({ major: 18 })
}, 60_000)

afterAll(async () => {
  if (!skip) await server.stop()
})

/** Rows with times on both sides of 1970, and some without; `at` moves them to another day. */
function insert(from: number, to: number): string {
  return `INSERT INTO events SELECT id, CASE WHEN id % 17 > 0 THEN
    timestamptz '1969-12-28 12:00Z' + id % 9 * interval '23 hours' END, 'k' || id % 3, repeat('x', 50)
    FROM generate_series(${from}, ${to}) id`
}

interface Scene {
  readonly pipeline: Pipeline
  readonly run: (sql: string) => Promise<unknown>
}

async function within(
  mode: 'append' | 'changelog' | 'upsert',
  partitionBy: readonly string[],
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const database = `part_${mode}`
  await queryPostgres(server.uri(), `CREATE DATABASE ${database}`)
  const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(database), sql)
  await run('CREATE TABLE events (id int PRIMARY KEY, at timestamptz, kind text, body text)')
  await run(insert(1, OLD_ROWS))
  const pipeline = await Pipeline.create({
    server,
    database,
    name: database,
    mode,
    interval: '200ms',
    chunkRows: 100,
    parallelism: 2,
  })
  setPartitioning(pipeline, partitionBy)
  try {
    await work({ pipeline, run })
  } finally {
    await pipeline.remove()
  }
}

function setPartitioning({ file }: Pipeline, fields: readonly string[]): void {
  const document = parse(readFileSync(file, 'utf8')) as { sink: Record<string, unknown> }
  document.sink['partition_by'] = { 'public.*': fields }
  writeFileSync(file, stringify(document))
}

/** Changes while the process is killed again and again; at the end all of it is in the lake. */
async function throughKills(
  { pipeline, run }: Scene,
  change: (round: number) => string,
): Promise<void> {
  let round = 0
  for (let kills = 0; kills < KILLS; kills++) {
    const child = pipeline.start()
    await pipeline.untilUp(child)
    for (let changes = 0; changes < 6; changes++) {
      await run(change(round++))
      await sleep(50)
    }
    const before = (await pipeline.checkpoint())?.epoch ?? 0
    const wrote = async (): Promise<boolean> => ((await pipeline.checkpoint())?.epoch ?? 0) > before
    await pipeline.until('a checkpoint is written', wrote, { child })
    await child.kill()
  }
  for (let changes = 0; changes < LAST_CHANGES; changes++) await run(change(round++))
  await pipeline.once()
}

async function rowsOf({ pipeline }: Scene): Promise<Cell[][]> {
  const [lake] = await readLake(pipeline, [TABLE], 'duckdb')
  return lake!.rows.map((row) => JSON.parse(row) as Cell[])
}

test.skipIf(skip)('append: each row is once in its day', { timeout: 200_000 }, async () => {
  await within('append', ['day(at)', 'kind'], async (scene) => {
    const next = (round: number): number => OLD_ROWS + round * 20
    await throughKills(scene, (round) => insert(next(round) + 1, next(round + 1)))
    const source = { ...server, uri: () => server.uri('part_append') }
    await expectLakeEqualsSource(scene.pipeline, source, [TABLE], ['duckdb', 'pyiceberg'])
    const { pipeline } = scene
    setPartitioning(pipeline, ['day(at)'])
    const refused = await pipeline.command(['run', pipeline.file, '--once'])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('which was begun with [day(at), kind]')
    setPartitioning(pipeline, ['days(at)', 'kind'])
    await pipeline.once()
  })
})

test.skipIf(skip)('changelog: every change is there once', { timeout: 200_000 }, async () => {
  await within('changelog', ['_op', 'bucket(4, id)'], async (scene) => {
    await throughKills(
      scene,
      (round) =>
        `UPDATE events SET kind = 'round ${round}' WHERE id % 50 = ${round};
         DELETE FROM events WHERE id = ${round + 1000};
         ${insert(OLD_ROWS + round + 1, OLD_ROWS + round + 1)}`,
    )
    const source = (await scene.run('SELECT id, kind FROM events ORDER BY id')) as object[]
    const rows = await rowsOf(scene)
    const [id, kind, op, position] = [0, 2, 4, 5]
    expect(new Set(rows.filter((row) => row[op] !== 'r').map((row) => row[position])).size).toBe(
      rows.filter((row) => row[op] !== 'r').length,
    )
    const last = new Map<number, Cell[]>()
    for (const row of rows) {
      const known = last.get(Number(row[id]))
      if (known === undefined || String(row[position]) > String(known[position])) {
        last.set(Number(row[id]), row)
      }
    }
    const live = [...last.values()]
      .filter((row) => row[op] !== 'd')
      .map((row) => ({ id: Number(row[id]), kind: row[kind] }))
      .toSorted((left, right) => left.id - right.id)
    expect(live).toEqual(source.map((row) => ({ ...row })))
  })
})

test.skipIf(skip)('upsert: rows move between partitions', { timeout: 200_000 }, async () => {
  await within('upsert', ['day(at)', 'truncate(2, kind)'], async (scene) => {
    const { pipeline, run } = scene
    await throughKills(
      scene,
      (round) =>
        `UPDATE events SET at = timestamptz '2024-02-29 00:00Z' + id % 5 * interval '1 day'
           WHERE id % 40 = ${round};
         UPDATE events SET kind = 'm${round % 4}' WHERE id % 40 = ${round};
         DELETE FROM events WHERE id = ${round + 1000};
         ${insert(OLD_ROWS + round + 1, OLD_ROWS + round + 1)}`,
    )
    const source = { ...server, uri: () => server.uri('part_upsert') }
    await expectLakeEqualsSource(pipeline, source, [TABLE], ['duckdb', 'java'])
    const verified = await pipeline.command(['verify', pipeline.file])
    expect(verified.code, verified.stdout + verified.stderr).toBe(0)
    await run('ALTER TABLE events RENAME at TO happened')
    await run(`UPDATE events SET happened = NULL WHERE id % 100 = 1`)
    await pipeline.once()
    const resync = await pipeline.command(['resync', pipeline.file, '--table', TABLE])
    expect(resync.code, resync.stderr).toBe(0)
    await pipeline.once()
    await expectLakeEqualsSource(pipeline, source, [TABLE], ['duckdb'])
    await run('ALTER TABLE events DROP happened')
    expect((await pipeline.command(['run', pipeline.file, '--once'])).code).toBe(4)
    const [record] = (await pipeline.checkpoint())!.source.tables
    expect(record).toMatchObject({ phase: 'parked', reason: { error: 'DDL_UNMAPPABLE' } })
    const dropped = await pipeline.command(['drop', pipeline.file, '--yes'])
    expect(dropped.code, dropped.stdout + dropped.stderr).toBe(0)
  })
})
