// Goal: `verify` says 0 exactly when the lake holds what the source holds, beside writers and
// without any, and names the row where it does not. Method: tables of every type under random
// writers, the program as a process of its own; then the lake is rolled back behind its back, and
// the source changed behind a stopped pipeline.

import { readFile, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { metadataLocations, readMetadata } from '../acceptance/lake.ts'
import { type Exit, Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { createMysqlTables, DATABASE, startMysqlWorkload } from '../workload/mysql.ts'
import { createPostgresTables, startPostgresWorkload } from '../workload/postgres.ts'
import { drawSeed } from '../workload/random.ts'

const CONNECTIONS = 4

interface Verdict {
  readonly table: string
  readonly equal: boolean
  readonly source_rows: number
  readonly lake_rows: number
  readonly differences: number
  readonly undecided: number
  readonly examples: readonly string[]
  readonly verified_through: string | null
  readonly note: string | null
  readonly reason: { readonly error: string } | null
}

interface Side {
  readonly server: PostgresServer | MysqlServer
  readonly namespace: string
  readonly tables: readonly string[]
  readonly query: (sql: string) => Promise<unknown>
  readonly work: () => { stop: () => Promise<void> }
}

async function postgresSide(seed: number): Promise<Side> {
  const settings = { max_prepared_transactions: '10', deadlock_timeout: '100ms' }
  const server = await startPostgres({ major: 18, settings })
  return {
    server,
    namespace: 'public',
    tables: await createPostgresTables(server.uri(), seed),
    query: async (sql) => queryPostgres(server.uri(), sql),
    work: () => startPostgresWorkload(server.uri(), seed, CONNECTIONS),
  }
}

async function mysqlSide(server: MysqlServer, seed: number): Promise<Side> {
  return {
    server,
    namespace: DATABASE,
    tables: await createMysqlTables(server, seed),
    query: async (sql) => queryMysql(server.uri(DATABASE), sql),
    work: () => startMysqlWorkload(server, seed, CONNECTIONS),
  }
}

const sides = [
  { name: 'PostgreSQL', facility: 'postgres18', open: postgresSide },
  {
    name: 'MySQL',
    facility: 'mysql',
    open: async (seed: number) => mysqlSide(await startMysql(), seed),
  },
  {
    name: 'MariaDB',
    facility: 'mariadb',
    open: async (seed: number) => mysqlSide(await startMariadb(), seed),
  },
] as const

async function verify(
  pipeline: Pipeline,
  ...tables: readonly string[]
): Promise<{ exit: Exit; verdicts: readonly Verdict[] }> {
  const names = tables.flatMap((table) => ['--table', table])
  const exit = await pipeline.command(['verify', pipeline.file, '--json', ...names])
  const { tables: verdicts } = JSON.parse(exit.stdout) as { tables: readonly Verdict[] }
  if (verdicts === undefined) throw new Error(exit.stdout)
  return { exit, verdicts }
}

/** Everything is in the lake then, but for tables that are parked. */
async function catchUp(pipeline: Pipeline): Promise<void> {
  const { code, stderr } = await pipeline.command(['run', pipeline.file, '--once'])
  expect([0, 4], stderr).toContain(code)
}

async function parkedTables(pipeline: Pipeline): Promise<Set<string>> {
  const records = (await pipeline.checkpoint())?.source.tables ?? []
  const parked = records.filter(({ phase }) => phase === 'parked')
  return new Set(parked.map(({ schema }) => schema.table))
}

/** Takes the newest snapshot of a table away, as a rollback by another engine does. */
async function rollBack(pipeline: Pipeline, table: string): Promise<void> {
  const location = metadataLocations(pipeline)[table] ?? ''
  const { main } = await readMetadata(location)
  const { id, parent } = main.at(-1) ?? { id: '', parent: null }
  expect(parent).not.toBeNull()
  const path = location.replace(/^file:\/\//, '')
  const text = await readFile(path, 'utf8')
  const pattern = new RegExp(`("(?:current-)?snapshot-id"\\s*:\\s*)${id}`, 'g')
  const [head = '', snapshots = ''] = text.split('"snapshots"')
  const moved = `${head.replace(pattern, `$1${parent}`)}"snapshots"${snapshots}`
  expect(moved).not.toBe(text)
  await writeFile(`${path}-rolled-back.metadata.json`, moved)
  const database = new DatabaseSync(pipeline.catalog, { timeout: 5000 })
  const sql = 'UPDATE iceberg_tables SET metadata_location = ? WHERE metadata_location = ?'
  database.prepare(sql).run(`${location}-rolled-back.metadata.json`, location)
  database.close()
}

for (const { name, facility, open } of sides) {
  test.skipIf(!(await available(facility)))(
    `verify finds ${name} and the lake equal beside writers, and names the row that is not`,
    { timeout: 600_000 },
    async () => {
      const side = await open(drawSeed(`verify ${name}`))
      const { server, namespace, query } = side
      const ledger = `${namespace}.ledger`
      await query('CREATE TABLE ledger (id int PRIMARY KEY, note varchar(20))')
      await query("INSERT INTO ledger VALUES (6, 'six'), (7, 'seven'), (8, 'eight')")
      const pipeline = await Pipeline.create({ server, interval: '400ms', parallelism: 2 })
      try {
        await besideWriters(side, pipeline)
        const rest = await verify(pipeline)
        const compared = rest.verdicts.filter(({ reason }) => reason === null)
        expect(compared.filter(({ equal }) => !equal)).toEqual([])
        const refused = rest.verdicts.filter(({ reason }) => reason?.error === 'TABLE_PARKED')
        const parked = await parkedTables(pipeline)
        expect(new Set(refused.map(({ table }) => table))).toEqual(parked)
        expect(compared.length + refused.length).toBe(rest.verdicts.length)
        expect(rest.verdicts.length).toBeGreaterThan(side.tables.length)
        expect(rest.exit.code).toBe(parked.size === 0 ? 0 : 4)

        await query("UPDATE ledger SET note = 'lost' WHERE id = 7")
        await catchUp(pipeline)
        expect((await verify(pipeline, ledger)).exit.code).toBe(0)
        await rollBack(pipeline, ledger)
        const rolled = await verify(pipeline, ledger)
        expect(rolled.exit.code).toBe(5)
        expect(rolled.verdicts).toMatchObject([
          { equal: false, differences: 1, examples: ['[7] differs in note'], lake_rows: 3 },
        ])

        const other = await pipeline.command(['verify', pipeline.file, '--table', 'no.such'])
        expect(other.code).toBe(3)
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}

/** Ends with the pipeline stopped, and everything that was written in the lake. */
async function besideWriters(side: Side, pipeline: Pipeline): Promise<void> {
  const { query, namespace } = side
  const ledger = `${namespace}.ledger`
  const child = pipeline.start()
  const streaming = async (): Promise<boolean> => {
    const records = (await pipeline.checkpoint())?.source.tables ?? []
    // A random value may be one that the lake cannot hold: then its table is parked.
    const there = records.filter(({ phase }) => phase === 'streaming' || phase === 'parked')
    return there.length >= side.tables.length + 1
  }
  await pipeline.until('all tables are handed over', streaming, { child, timeoutMs: 120_000 })
  const work = side.work()
  try {
    const parked = await parkedTables(pipeline)
    const steady = side.tables.filter((table) => !table.endsWith('evolving') && !parked.has(table))
    const { exit, verdicts } = await verify(pipeline, ...steady, ledger)
    expect(verdicts.filter(({ equal }) => !equal)).toEqual([])
    expect(exit.code, exit.stderr).toBe(0)
    expect(verdicts).toHaveLength(steady.length + 1)
    expect(verdicts.at(-1)).toMatchObject({ source_rows: 3, lake_rows: 3, note: null })
  } finally {
    await work.stop()
  }
  await child.stop()
  await query("INSERT INTO ledger VALUES (9, 'nine')")
  await query("UPDATE ledger SET note = '' WHERE id = 6")
  await query('DELETE FROM ledger WHERE id = 8')
  const behind = await verify(pipeline, ledger)
  expect(behind.exit.code).toBe(5)
  const [verdict] = behind.verdicts
  expect(verdict?.note).toContain('no pipeline moves it on')
  expect([...(verdict?.examples ?? [])].sort()).toEqual([
    '[6] differs in note',
    '[8] is in the lake only',
    '[9] is missing in the lake',
  ])
  await catchUp(pipeline)
}
