// Tables that come and go while nobody looks: what is there is in the lake.
import { test } from 'vitest'
import { expectLakeEqualsSource } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMysql } from '../servers/mysql.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

interface Case {
  facility: 'postgres18' | 'mysql'
  start: () => Promise<PostgresServer | MysqlServer>
}

const cases: readonly Case[] = [
  { facility: 'postgres18', start: async () => startPostgres({ major: 18 }) },
  { facility: 'mysql', start: async () => startMysql() },
]

interface Scene {
  pipeline: Pipeline
  server: PostgresServer | MysqlServer
  run: (sql: string) => Promise<unknown>
  /** `t` as the lake has it. */
  name: (table: string) => string
  postgres: boolean
}

function onEach(claim: string, work: (scene: Scene) => Promise<void>): void {
  for (const { facility, start } of cases) {
    const title = `${facility}: ${claim}`
    test(title, { timeout: 240_000 }, async ({ skip }) => {
      const there = await Promise.all([available(facility), available('python')])
      if (there.includes(false)) skip()
      const server = await start()
      const postgres = 'major' in server
      if (!postgres) await queryMysql(server.uri(), 'CREATE DATABASE shop')
      const run = async (sql: string): Promise<unknown> =>
        postgres ? queryPostgres(server.uri(), sql) : queryMysql(server.uri('shop'), sql)
      const pipeline = await Pipeline.create({ server, interval: '200ms', parallelism: 2 })
      const name = (table: string): string => `${postgres ? 'public' : 'shop'}.${table}`
      try {
        await work({ pipeline, server, run, name, postgres })
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    })
  }
}

async function expectEqual({ pipeline, server, name }: Scene, ...tables: string[]): Promise<void> {
  await expectLakeEqualsSource(pipeline, server, tables.map(name), ['duckdb', 'pyiceberg'])
}

onEach('a table that was gone comes back, whether anybody looked or not', async (scene) => {
  const { pipeline, run } = scene
  await run('CREATE TABLE stays (id int PRIMARY KEY)')
  for (const table of ['seen', 'unseen']) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(20))`)
    await run(`INSERT INTO ${table} VALUES (1, 'old'), (2, 'old')`)
  }
  await pipeline.once()
  await run('DROP TABLE seen')
  const child = pipeline.start()
  await pipeline.until(
    'the table is gone',
    async () =>
      ((await pipeline.checkpoint())?.source.tables ?? []).some(({ phase }) => phase === 'dropped'),
    { child },
  )
  await child.stop()
  await run('DROP TABLE unseen')
  for (const table of ['seen', 'unseen']) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(20))`)
    await run(`INSERT INTO ${table} VALUES (2, 'new'), (3, 'new')`)
  }
  await pipeline.once()
  await run(`UPDATE seen SET v = 'newer' WHERE id = 3`)
  await pipeline.once()
  await expectEqual(scene, 'stays', 'seen', 'unseen')
})
