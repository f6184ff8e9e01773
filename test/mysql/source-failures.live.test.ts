// What goes wrong with servers and connections, and what the source says then: the code decides
// whether the runtime tries again or an operator has to act.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import { createMysqlSource } from '../../connectors/mysql/source.ts'
import { parseToken } from '../../connectors/mysql/position.ts'
import { NO_PASSWORD_HINT, type PipelineError } from '../../runtime/base/errors.ts'
import { differenceOf } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const SAME = { missing: [], extra: [] }
const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers: MysqlServer[] = []

afterAll(async () => {
  for (const server of servers) await server.stop()
})

async function start(kind: keyof typeof starters, settings = {}): Promise<MysqlServer> {
  const server = await starters[kind]({ settings })
  servers.push(server)
  await queryMysql(server.uri(), 'CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v text)')
  return server
}

async function openError(
  options: MysqlOptions,
  from: { saved: Uint8Array; position: RunningSource['position'] } | null = null,
): Promise<PipelineError> {
  const source = createMysqlSource(options)
  try {
    await source.open(from?.saved ?? null, from?.position ?? null, false)
  } catch (error) {
    return error as PipelineError
  } finally {
    await source.close()
  }
  throw new Error('the source opened')
}

async function same(server: MysqlServer, running: RunningSource): Promise<void> {
  await running.catchUp()
  const source = await readMysqlSource(server.uri(), 'd.t')
  expect(differenceOf(source, running.lake.dump('d.t'))).toEqual(SAME)
}

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: a server that is killed is a failure to retry, and reading goes on`,
    async () => {
      const server = await start(kind)
      let running = await RunningSource.start(optionsFor(server, 'd'))
      await queryMysql(server.uri('d'), "INSERT INTO t VALUES (1, 'a')")
      await same(server, running)
      await server.kill()
      while (running.failure === null) await new Promise((resolve) => setTimeout(resolve, 50))
      expect((running.failure as PipelineError).error).toBe('CONNECT_FAILED')
      const { lake, options } = running
      const from = await running.stop()
      expect((await openError(options, from)).error).toBe('CONNECT_FAILED')
      await server.restart()
      running = await RunningSource.start(options, lake, from)
      await queryMysql(
        server.uri('d'),
        "INSERT INTO t VALUES (2, 'b'); FLUSH BINARY LOGS; UPDATE t SET v = 'c'",
      )
      await same(server, running)
      await queryMysql(server.uri('d'), 'FLUSH BINARY LOGS; FLUSH BINARY LOGS')
      await running.catchUp()
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a log that was purged, reset or put back is named before a row is read`,
    async () => {
      const server = await start(kind)
      const running = await RunningSource.start(optionsFor(server, 'd'))
      await queryMysql(server.uri('d'), "INSERT INTO t VALUES (1, 'a')")
      await same(server, running)
      const { options } = running
      const from = await running.stop()
      for (const id of [2, 3, 4]) {
        await queryMysql(server.uri('d'), `FLUSH BINARY LOGS; INSERT INTO t VALUES (${id}, 'b')`)
      }
      // MariaDB keeps files that a crash would need, so the first attempt may spare some.
      for (let tries = 0; tries < 10; tries++) {
        const logs = await queryMysql(server.uri(), 'SHOW BINARY LOGS')
        const last = String(logs.at(-1)!['Log_name'])
        await queryMysql(server.uri(), `PURGE BINARY LOGS TO '${last}'; FLUSH BINARY LOGS`)
      }
      const gap = await openError(options, from)
      expect(gap.error).toBe('LOG_GAP')
      if (kind === 'mysql') expect(gap.detail).toMatch(/:\d+/)
      const reset = kind === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER'
      await queryMysql(server.uri(), reset)
      const rewound = await openError(options, from)
      expect(rewound.error).toBe('SOURCE_REWOUND')
      expect(rewound.detail).toContain(parseToken(from.position.token).gtids.slice(0, 4))
    },
  )

  test.skipIf(missing)(
    `${kind}: another server goes on where the first was read, under a new epoch`,
    async () => {
      const passesOn = kind === 'mysql' ? {} : { 'log-slave-updates': 'ON' }
      const first = await start(kind)
      const second = await start(kind, { 'server-id': '2', ...passesOn })
      const reset = kind === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER'
      await queryMysql(second.uri(), reset)
      const running = await RunningSource.start(optionsFor(first, 'd'))
      await queryMysql(first.uri('d'), "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
      await same(first, running)
      const { lake } = running
      const from = await running.stop()
      const options = optionsFor(second, 'd')
      expect((await openError(options, from)).error).toBe('SOURCE_REWOUND')
      // The second becomes a replica of the first, and then the one that is written to.
      const { host, port, user, password } = first
      const change =
        kind === 'mysql'
          ? `DROP DATABASE d; RESET BINARY LOGS AND GTIDS;
           CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${user}',
             SOURCE_PASSWORD='${password}', SOURCE_AUTO_POSITION=1, SOURCE_SSL=1, GET_SOURCE_PUBLIC_KEY=1;
           START REPLICA`
          : `DROP DATABASE d; RESET MASTER; SET GLOBAL gtid_slave_pos='';
           CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='${user}',
             MASTER_PASSWORD='${password}', MASTER_USE_GTID=slave_pos;
           START SLAVE`
      await queryMysql(second.uri(), change)
      const sql = 'SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = "d"'
      for (let tries = 0; tries < 200; tries++) {
        const [row] = await queryMysql(second.uri(), sql)
        const [rows] =
          row?.['n'] === 1 ? await queryMysql(second.uri('d'), 'SELECT count(*) AS n FROM t') : []
        if (rows?.['n'] === 2) break
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      await queryMysql(second.uri('d'), "INSERT INTO t VALUES (3, 'c'); DELETE FROM t WHERE id = 1")
      const after = await RunningSource.start(options, lake, from)
      await same(second, after)
      expect(after.position.order >> 96n).toBe(1n)
      expect(after.lake.history.map(({ cells }) => cells[0])).toEqual(['1', '2', '3', '1'])
      await after.stop()
    },
  )

  test.skipIf(missing)(`${kind}: password, TLS and privileges are told apart`, async () => {
    const server = await start(kind)
    const options = optionsFor(server, 'd')
    expect((await openError({ ...options, password: () => 'wrong' })).error).toBe('AUTH_FAILED')
    const none = await openError({ ...options, password: () => '' })
    expect([none.error, none.hint]).toEqual(['AUTH_FAILED', NO_PASSWORD_HINT])
    expect((await openError({ ...options, port: 1 })).error).toBe('CONNECT_FAILED')
    await queryMysql(
      server.uri(),
      `CREATE USER little@'%' IDENTIFIED BY 'p'; GRANT SELECT ON d.* TO little@'%'`,
    )
    const little = { ...options, user: 'little', password: () => 'p' }
    expect((await openError(little)).error).toBe('PRIVILEGE_MISSING')
    const verified = { ...options, tls: { mode: 'verify-full', ca: null } } as const
    expect((await openError(verified)).error).toBe('TLS_FAILED')
    if (kind === 'mysql') {
      const ca = readFileSync(join(server.dataFolder, 'ca.pem'), 'utf8')
      const named = await openError({ ...options, tls: { mode: 'verify-full', ca } })
      expect(named.error).toBe('TLS_FAILED')
      for (const mode of ['verify-ca', 'required', 'disabled'] as const) {
        const running = await RunningSource.start({ ...options, tls: { mode, ca } })
        await running.catchUp()
        await running.stop()
      }
    } else {
      const plain = await openError({ ...options, tls: { mode: 'required', ca: null } })
      expect(plain.error).toBe('TLS_FAILED')
    }
  })

  test.skipIf(missing)(
    `${kind}: a server whose log cannot be read is refused with the SQL that mends it`,
    async () => {
      const server = await start(kind, {
        'binlog-row-metadata': 'MINIMAL',
        'binlog-format': 'MIXED',
      })
      const refused = await openError(optionsFor(server, 'd'))
      expect(refused.error).toBe('SERVER_UNSUITABLE')
      const verb = kind === 'mysql' ? 'SET PERSIST' : 'SET GLOBAL'
      expect(refused.detail).toContain(`${verb} binlog_row_metadata = 'FULL';`)
      expect(refused.detail).toContain(`${verb} binlog_format = 'ROW';`)
      const sql = refused
        .detail!.split('\n')
        .filter((line) => line.startsWith('SET'))
        .join(' ')
      await queryMysql(server.uri(), sql)
      const running = await RunningSource.start(optionsFor(server, 'd'))
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a server that hangs is noticed after three heartbeats`,
    async () => {
      const server = await start(kind)
      const running = await RunningSource.start(optionsFor(server, 'd', { heartbeatMs: 500 }))
      await running.catchUp()
      process.kill(server.pid(), 'SIGSTOP')
      try {
        const startMs = performance.now()
        while (running.failure === null) await new Promise((resolve) => setTimeout(resolve, 50))
        expect((running.failure as PipelineError).error).toBe('CONNECT_FAILED')
        expect(performance.now() - startMs).toBeLessThan(10_000)
      } finally {
        process.kill(server.pid(), 'SIGCONT')
      }
      await running.stop()
    },
  )
}

test.skipIf(!(await available('mariadb')))(
  'mariadb: a large transaction that the log rolls back is left out in the second attempt',
  async () => {
    const server = await start('mariadb')
    let running = await RunningSource.start(optionsFor(server, 'd'))
    await running.catchUp()
    const checkpoint = await running.checkpoint()
    await queryMysql(
      server.uri('d'),
      `INSERT INTO t VALUES (0, 'a'); BEGIN;
       INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_9000;
       CREATE TEMPORARY TABLE x (a int); DROP TEMPORARY TABLE x; ROLLBACK;
       INSERT INTO t VALUES (10000, 'b')`,
    )
    const { lake, options } = running
    while (running.failure === null) await new Promise((resolve) => setTimeout(resolve, 50))
    expect((running.failure as PipelineError).message).toContain('was rolled back in the log')
    await running.stop()
    lake.restore(checkpoint.tables)
    running = await RunningSource.start(options, lake, checkpoint)
    await same(server, running)
    await running.stop()
  },
)
