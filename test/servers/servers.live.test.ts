// The servers that all live tests stand on: each starts, keeps rows over a kill, and stops.
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { available } from './available.ts'
import { queryMysql, queryPostgres } from './clients.ts'
import { run } from './command.ts'
import { createTopic, produce, withAdmin } from './kafka-client.ts'
import { KAFKA_VERSIONS, type KafkaLine, startKafka } from './kafka.ts'
import { startMariadb } from './mariadb.ts'
import type { MysqlServer } from './mysql-family.ts'
import { startMysql } from './mysql.ts'
import { type PostgresMajor, startPostgres } from './postgres.ts'

const TIMEOUT_MS = 600_000
const postgresMajors: readonly PostgresMajor[] = [15, 18]
const postgresMissing = [!(await available('postgres15')), !(await available('postgres18'))]

for (const [index, major] of postgresMajors.entries()) {
  test.skipIf(postgresMissing[index])(
    `PostgreSQL ${major} has a logical log and keeps its rows over a kill`,
    { timeout: TIMEOUT_MS },
    async () => {
      const server = await startPostgres({ major, settings: { work_mem: '5MB' } })
      try {
        const uri = server.uri()
        const [facts] = await queryPostgres(
          uri,
          `SELECT current_setting('server_version_num')::int / 10000 AS major,
                  current_setting('wal_level') AS level, current_setting('work_mem') AS memory`,
        )
        expect(facts).toEqual({ major, level: 'logical', memory: '5MB' })
        await queryPostgres(
          uri,
          "CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'ü')",
        )
        await server.kill()
        await expect(queryPostgres(uri, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
        await server.restart({ work_mem: '6MB' })
        const rows = await queryPostgres(uri, "SELECT t.*, current_setting('work_mem') m FROM t")
        expect(rows).toEqual([{ id: 1, name: 'ü', m: '6MB' }])
      } finally {
        await server.stop()
      }
      expect(existsSync(dirname(server.dataFolder))).toBe(false)
    },
  )
}

test.skipIf(postgresMissing[1])(
  'two PostgreSQL servers of one version are two database systems',
  { timeout: TIMEOUT_MS },
  async () => {
    const servers = await Promise.all([startPostgres({ major: 18 }), startPostgres({ major: 18 })])
    const sql = 'SELECT system_identifier::text AS id FROM pg_control_system()'
    const rows = await Promise.all(servers.map((server) => queryPostgres(server.uri(), sql)))
    await Promise.all(servers.map((server) => server.stop()))
    const ids = rows.map(([row]) => row?.['id'])
    expect(new Set(ids).size).toBe(2)
  },
)

test.skipIf(!(await available('mariadb')))(
  'MariaDB 10.11 writes full row events and keeps its rows over a kill',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await startMariadb({ settings: { server_id: '7' } })
    try {
      const [facts] = await queryMysql(
        server.uri(),
        `SELECT left(version(), 6) AS version, @@log_bin AS log, @@binlog_format AS format,
                @@binlog_row_metadata AS metadata, @@server_id AS id, @@sync_binlog AS sync`,
      )
      const binlog = { log: 1, format: 'ROW', metadata: 'FULL', sync: 1 }
      expect(facts).toEqual({ version: '10.11.', ...binlog, id: 7 })
      await expectRowsSurviveKill(server)
    } finally {
      await server.stop()
    }
  },
)

test.skipIf(!(await available('mysql')))(
  'MySQL 9 writes full row events with GTIDs and keeps its rows over a kill',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await startMysql({ settings: { 'server-id': '7' } })
    try {
      const [facts] = await queryMysql(
        server.uri(),
        `SELECT left(version(), 2) AS version, @@log_bin AS log, @@gtid_mode AS gtid,
                @@binlog_row_metadata AS metadata, @@server_id AS id, @@sync_binlog AS sync`,
      )
      const binlog = { log: 1, gtid: 'ON', metadata: 'FULL', sync: 1 }
      expect(facts).toEqual({ version: '9.', ...binlog, id: 7 })
      const [account] = await queryMysql(
        server.uri('mysql'),
        "SELECT plugin FROM user WHERE concat(user, '@', host) = current_user()",
      )
      expect(account).toEqual({ plugin: 'caching_sha2_password' })
      await expectRowsSurviveKill(server)
    } finally {
      await server.stop()
    }
  },
)

for (const line of Object.keys(KAFKA_VERSIONS) as KafkaLine[]) {
  test.skipIf(!(await available(line)))(
    `Kafka ${KAFKA_VERSIONS[line]} keeps records over a kill`,
    { timeout: TIMEOUT_MS },
    async () => {
      const server = await startKafka({ line })
      try {
        await createTopic(server, 't', { partitions: 2 })
        await produce(server, 't', [{ key: 'k', value: 'ü' }, { value: null }])
        await server.nodes[0]?.kill()
        await server.nodes[0]?.start()
        const offsets = await withAdmin(server, async (admin) => admin.fetchTopicOffsets('t'))
        expect(offsets.map(({ high }) => high).sort()).toEqual(['0', '2'])
        const ends = ['--from-beginning', '--max-messages', '2', '--timeout-ms', '30000']
        const plain = ['--property', 'print.key=true', '--property', 'print.offset=true']
        const from = ['--bootstrap-server', server.brokers[0] ?? '', '--topic', 't']
        const reader = 'org.apache.kafka.tools.consumer.ConsoleConsumer'
        const printed = await server.tool(reader, [...from, ...plain, ...ends])
        expect(printed).toContain('Offset:0\tk\tü')
      } finally {
        await server.stop()
      }
    },
  )
}

async function expectRowsSurviveKill(server: MysqlServer): Promise<void> {
  await queryMysql(
    server.uri(),
    `CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, name text);
     INSERT INTO d.t VALUES (1, 'first'), (2, 'ü')`,
  )
  const rows = await queryMysql(server.uri('d'), 'SELECT * FROM t')
  await server.kill()
  await expect(queryMysql(server.uri(), 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  await server.restart()
  expect(await queryMysql(server.uri('d'), 'SELECT * FROM t')).toEqual(rows)
  const { command, args } = server.tool('mysqlbinlog')
  const options = ['--no-defaults', ...server.connection, '--read-from-remote-server', '-v']
  const log = await run(command, [...args, ...options, 'binlog.000001'])
  expect(log).toContain("###   @2='first'")
}
