// One claim on every server: a database of its own, a pipeline for it that has not run yet, and SQL
// in the server's own dialect where they differ.
import { afterAll, test } from 'vitest'
import { expectLakeEqualsSource } from '../acceptance/lake.ts'
import { Pipeline, type PipelineOptions } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import { startMysql } from '../servers/mysql.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { openMysqlSession } from '../workload/mysql.ts'
import { openPostgresSession } from '../workload/postgres.ts'
import type { Session } from '../workload/writer.ts'

type Facility = 'postgres15' | 'postgres18' | 'mysql' | 'mariadb'

const start: Record<Facility, () => Promise<PostgresServer | MysqlServer>> = {
  postgres15: async () => startPostgres({ major: 15 }),
  postgres18: async () => startPostgres({ major: 18 }),
  mysql: async () => startMysql(),
  mariadb: async () => startMariadb(),
}

/** The servers whose ways differ most. */
const TWO: readonly Facility[] = ['postgres18', 'mysql']

export interface EachOptions {
  /** Also where the versions of one server, or MySQL and MariaDB, differ. */
  servers?: readonly Facility[]
  pipeline?: Partial<PipelineOptions>
}

export const ALL_SERVERS = Object.keys(start) as readonly Facility[]

export interface Scene {
  pipeline: Pipeline
  server: PostgresServer | MysqlServer
  run: (sql: string) => Promise<unknown>
  /** Where many statements follow each other. */
  open: () => Promise<Session>
  /** `t` as the lake has it. */
  name: (table: string) => string
  postgres: boolean
}

/** MySQL and MariaDB take seconds to start: the claims of one file follow each other on one. */
const shared = new Map<Facility, MysqlServer>()

afterAll(async () => {
  for (const server of shared.values()) await server.stop()
})

async function started(facility: Facility): Promise<PostgresServer | MysqlServer> {
  const there = shared.get(facility)
  const server = there ?? (await start[facility]())
  if ('major' in server) return server
  shared.set(facility, server)
  if (there !== undefined) await queryMysql(server.uri(), 'DROP DATABASE shop')
  await queryMysql(server.uri(), 'CREATE DATABASE shop')
  return server
}

export function onEach(
  claim: string,
  work: (scene: Scene) => Promise<void>,
  { servers = TWO, pipeline: more = {} }: EachOptions = {},
): void {
  for (const facility of servers) {
    const title = `${facility}: ${claim}`
    test(title, { timeout: 240_000 }, async ({ skip }) => {
      const there = await Promise.all([available(facility), available('python')])
      if (there.includes(false)) skip()
      const server = await started(facility)
      const postgres = 'major' in server
      const run = async (sql: string): Promise<unknown> =>
        postgres ? queryPostgres(server.uri(), sql) : queryMysql(server.uri('shop'), sql)
      const open = async (): Promise<Session> =>
        'major' in server ? openPostgresSession(server.uri()) : openMysqlSession(server)
      const options = { server, interval: '200ms', parallelism: 2, ...more }
      const pipeline = await Pipeline.create(options)
      const name = (table: string): string => `${postgres ? 'public' : 'shop'}.${table}`
      try {
        await work({ pipeline, server, run, open, name, postgres })
      } finally {
        await pipeline.remove()
        if (postgres) await server.stop()
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
