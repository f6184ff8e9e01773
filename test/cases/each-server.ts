// One claim on every server: a database of its own, a pipeline for it that has not run yet, and SQL
// in the server's own dialect where they differ.
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

export interface Scene {
  pipeline: Pipeline
  server: PostgresServer | MysqlServer
  run: (sql: string) => Promise<unknown>
  /** `t` as the lake has it. */
  name: (table: string) => string
  postgres: boolean
}

export function onEach(claim: string, work: (scene: Scene) => Promise<void>): void {
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

export async function expectEqual(
  { pipeline, server, name }: Scene,
  ...tables: string[]
): Promise<void> {
  await expectLakeEqualsSource(pipeline, server, tables.map(name), ['duckdb', 'pyiceberg'])
}
