// What a MySQL or MariaDB source can do to a pipeline that it must not go on from: each is a typed
// error with the command or the SQL that repairs it.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { DATABASE } from '../workload/mysql.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { Pipeline, type PipelineOptions } from './pipeline.ts'
import { edit, expectRefusal, expectRefused } from './refusal.ts'

const starts = { mysql: startMysql, mariadb: startMariadb } as const
const kinds = ['mysql', 'mariadb'] as const
const duckdb = await available('duckdb')
const TIMEOUT_MS = 200_000
const servers = new Map<string, Promise<MysqlServer>>()

afterAll(async () => {
  for (const server of servers.values()) await (await server).stop()
})

interface Scene {
  pipeline: Pipeline
  server: MysqlServer
  sql: (text: string) => Promise<Record<string, unknown>[]>
}

/** One server a kind and name, its table of rows made anew, and a pipeline that has not run yet. */
async function scene(
  kind: (typeof kinds)[number],
  name: string,
  work: (scene: Scene) => Promise<void>,
  options: Partial<PipelineOptions> & { settings?: Record<string, string> } = {},
): Promise<void> {
  const { settings = {}, ...rest } = options
  const key = `${kind} ${name}`
  const started = servers.get(key) ?? starts[kind]({ settings })
  servers.set(key, started)
  const server = await started
  const sql: Scene['sql'] = async (text) => queryMysql(server.uri(), text)
  await sql(`DROP DATABASE IF EXISTS ${DATABASE}; CREATE DATABASE ${DATABASE};
    CREATE TABLE ${DATABASE}.orders (id int PRIMARY KEY, v varchar(60));
    INSERT INTO ${DATABASE}.orders VALUES (1, 'one'), (2, 'two'), (3, 'three')`)
  const pipeline = await Pipeline.create({ server, chunkRows: 50, ...rest })
  try {
    await work({ pipeline, server, sql })
  } finally {
    await pipeline.remove()
  }
}

/** A server keeps a file for a while that its engine, or a reader who is gone, still needs. */
async function purgeAll(sql: Scene['sql']): Promise<void> {
  const [first] = await sql('SHOW BINARY LOGS')
  for (let attempt = 0; attempt < 50; attempt++) {
    await sql('FLUSH BINARY LOGS')
    const files = (await sql('SHOW BINARY LOGS')).map((row) => String(row['Log_name']))
    await sql(`PURGE BINARY LOGS TO '${files.at(-1)}'`)
    const [oldest] = await sql('SHOW BINARY LOGS')
    if (oldest?.['Log_name'] !== first?.['Log_name']) return
    await sleep(100)
  }
  throw new Error('the server keeps its oldest log')
}

async function expectEqual({ pipeline, server }: Scene): Promise<void> {
  await expectLakeEqualsSource(pipeline, server, [`${DATABASE}.orders`], ['duckdb'])
}

/** The command as the error printed it; then the next start does the work. */
async function resyncAll(pipeline: Pipeline): Promise<void> {
  const asked = await pipeline.command(['resync', pipeline.file, '--all'])
  expect({ code: asked.code, stderr: asked.stderr }).toEqual({ code: 0, stderr: '' })
  await pipeline.once()
}

async function expectCheckSays(pipeline: Pipeline, words: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await pipeline.command(['check', pipeline.file])
  const shown = stdout + stderr
  const missing = words.filter((word) => !shown.includes(word))
  expect({ code, missing, shown: missing.length > 0 ? shown : '' }).toEqual({
    code: 3,
    missing: [],
    shown: '',
  })
}

for (const kind of kinds) {
  const missing = !duckdb || !(await available(kind))
  const refuses = (
    claim: string,
    work: (scene: Scene) => Promise<void>,
    options: Partial<PipelineOptions> = {},
  ): void => {
    test.skipIf(missing)(`${kind}: ${claim}`, { timeout: TIMEOUT_MS }, async () =>
      scene(kind, 'plain', work, options),
    )
  }

  refuses('a wrong password is refused', async ({ pipeline }) => {
    const exit = await pipeline.command(['run', pipeline.file], { env: { DB_PASSWORD: 'wrong' } })
    expectRefusal(exit, 'AUTH_FAILED', ['root'])
  })

  refuses(
    'a selector that matches no table is refused',
    async ({ pipeline }) => expectRefused(pipeline, 'NO_TABLES', ['millrace discover']),
    { tables: ['nowhere.*'] },
  )

  refuses('a table without a key is refused in upsert mode', async ({ pipeline, sql }) => {
    await sql(`CREATE TABLE ${DATABASE}.keyless (v int)`)
    await expectRefused(pipeline, 'TABLE_WITHOUT_KEY', ['keyless'])
  })

  refuses('a type that the lake cannot hold is named with its column', async (at) => {
    await at.sql(`CREATE TABLE ${DATABASE}.shapes (id int PRIMARY KEY, outline polygon)`)
    await expectRefused(at.pipeline, 'TYPE_UNSUPPORTED', ['shapes', 'outline'])
  })

  refuses('a user who may not read the log is told the GRANT', async (at) => {
    const { pipeline, server, sql } = at
    await sql(`DROP USER IF EXISTS plain; CREATE USER plain IDENTIFIED BY '${server.password}';
               GRANT SELECT ON ${DATABASE}.* TO plain`)
    await edit(pipeline, ({ source }) => {
      if (source) source['uri'] = String(source['uri']).replace('root@', 'plain@')
    })
    await expectRefused(pipeline, 'PRIVILEGE_MISSING', ['millrace check'])
    await expectCheckSays(pipeline, ['GRANT REPLICATION'])
  })

  refuses('a purged log is a gap, and resync --all repairs', async (at) => {
    const { pipeline, sql } = at
    await pipeline.once()
    await sql(`UPDATE ${DATABASE}.orders SET v = 'unseen' WHERE id = 2;
               DELETE FROM ${DATABASE}.orders WHERE id = 3`)
    await purgeAll(sql)
    await expectRefused(pipeline, 'LOG_GAP', ['resync'])
    await resyncAll(pipeline)
    await expectEqual(at)
  })

  test.skipIf(missing)(
    `${kind}: a server that lacks what was read is refused, and resync --all repairs`,
    { timeout: TIMEOUT_MS },
    async () => {
      await scene(kind, 'reset', async (at) => {
        const { pipeline, sql } = at
        await sql(`INSERT INTO ${DATABASE}.orders VALUES (4, 'four')`)
        await sql('FLUSH BINARY LOGS; FLUSH BINARY LOGS')
        await pipeline.once()
        const order = async (): Promise<bigint> =>
          (await pipeline.checkpoint())?.source.position.order ?? 0n
        const before = await order()
        await sql(kind === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER')
        await sql(`INSERT INTO ${DATABASE}.orders VALUES (5, 'after the reset')`)
        await expectRefused(pipeline, 'SOURCE_REWOUND', ['resync'])
        await resyncAll(pipeline)
        await expectEqual(at)
        // Its files count from one again, but all that is read now is later than what was read.
        expect(await order()).toBeGreaterThan(before)
        await sql(`DELETE FROM ${DATABASE}.orders WHERE id = 4`)
        await pipeline.once()
        await expectEqual(at)
      })
    },
  )

  test.skipIf(missing)(
    `${kind}: another server in the place of the old one is refused`,
    { timeout: TIMEOUT_MS },
    async () => {
      await scene(kind, 'plain', async ({ pipeline, server }) => {
        await pipeline.once()
        await scene(kind, 'other', async (other) => {
          await edit(pipeline, ({ source }) => {
            if (!source) return
            source['uri'] = String(source['uri']).replace(
              `:${server.port}`,
              `:${other.server.port}`,
            )
          })
          const exit = await pipeline.command(['run', pipeline.file, '--once'])
          // Its log lacks what was read, and its name is another: either says so, with exit code 4.
          const rewound = (exit.stderr + exit.stdout).includes('MR-3014')
          expectRefusal(exit, rewound ? 'SOURCE_REWOUND' : 'SOURCE_CHANGED', ['resync'])
        })
      })
    },
  )

  const unsuitable: [string, Record<string, string>, string][] = [
    ['statements in the log', { 'binlog-format': 'STATEMENT' }, 'binlog_format'],
    ['a log without column names', { 'binlog-row-metadata': 'MINIMAL' }, 'binlog_row_metadata'],
    ...(kind === 'mysql'
      ? ([['no GTIDs', { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }, 'gtid_mode']] as [
          string,
          Record<string, string>,
          string,
        ][])
      : []),
  ]
  for (const [what, settings, variable] of unsuitable) {
    test.skipIf(missing)(
      `${kind}: a server with ${what} is told what to set`,
      { timeout: TIMEOUT_MS },
      async () => {
        await scene(
          kind,
          what,
          async ({ pipeline }) => {
            await expectRefused(pipeline, 'SERVER_UNSUITABLE', [variable])
            await expectCheckSays(pipeline, [variable, 'SET '])
          },
          { settings },
        )
      },
    )
  }
}
