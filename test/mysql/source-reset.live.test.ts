// A log that was reset: the server counts its transactions from 1 again, and once it has as many as
// before, nothing in their numbers tells that they are others.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import { createMysqlSource } from '../../connectors/mysql/source.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const starters = { mysql: startMysql, mariadb: startMariadb } as const
const resets = { mysql: 'RESET BINARY LOGS AND GTIDS', mariadb: 'RESET MASTER' } as const
const servers: MysqlServer[] = []

afterAll(async () => {
  for (const server of servers) await server.stop()
})

async function resume(
  options: MysqlOptions,
  from: { saved: Uint8Array; position: RunningSource['position'] },
): Promise<PipelineError | null> {
  const source = createMysqlSource(options)
  try {
    await source.open(from.saved, from.position, false)
    return null
  } catch (error) {
    return error as PipelineError
  } finally {
    await source.close()
  }
}

/** As many transactions as any history of these tests has, and more. */
async function insertMany(server: MysqlServer, from: number): Promise<void> {
  const rows = Array.from({ length: 40 }, (_, at) => `INSERT INTO t VALUES (${from + at})`)
  await queryMysql(server.uri('d'), rows.join('; '))
}

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(!(await available(kind)))(
    `${kind}: a log that was reset is noticed however long the new one is`,
    async () => {
      const server = await starters[kind]()
      servers.push(server)
      await queryMysql(server.uri(), 'CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY)')
      const options = optionsFor(server, 'd')
      let running = await RunningSource.start(options)
      await insertMany(server, 0)
      await running.catchUp()
      const inFirstFile = await running.stop()
      expect(await resume(options, inFirstFile)).toBe(null)
      // Neither a restart nor a file that is purged after it was read changes the history.
      await server.restart()
      await queryMysql(server.uri('d'), 'FLUSH BINARY LOGS; FLUSH BINARY LOGS')
      expect(await resume(options, inFirstFile)).toBe(null)
      running = await RunningSource.start(options, running.lake, inFirstFile)
      await insertMany(server, 100)
      await running.catchUp()
      const inLaterFile = await running.stop()
      for (let tries = 0; tries < 10; tries++) {
        await queryMysql(server.uri(), 'FLUSH BINARY LOGS')
        const logs = await queryMysql(server.uri(), 'SHOW BINARY LOGS')
        await queryMysql(server.uri(), `PURGE BINARY LOGS TO '${String(logs.at(-1)!['Log_name'])}'`)
      }
      expect(await resume(options, inLaterFile)).toBe(null)
      // The times of files are whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1100))
      await queryMysql(server.uri(), resets[kind])
      for (const from of [200, 300, 400]) await insertMany(server, from)
      // The new log is in its first file: the same as the one, before the other.
      for (const checkpoint of [inFirstFile, inLaterFile]) {
        expect((await resume(options, checkpoint))?.error).toBe('SOURCE_REWOUND')
      }
      await queryMysql(server.uri('d'), 'FLUSH BINARY LOGS; '.repeat(20))
      expect((await resume(options, inLaterFile))?.error).toBe('SOURCE_REWOUND')
    },
  )
}

test.skipIf(!(await available('mariadb')))(
  'mariadb: a domain that was deleted from the log is forgotten where nothing of it was missed',
  async () => {
    const server = await startMariadb()
    servers.push(server)
    await queryMysql(server.uri(), 'CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY)')
    const warnings: string[] = []
    const log = { info: () => undefined, warn: (message: string) => warnings.push(message) }
    const options = optionsFor(server, 'd', { log })
    let running = await RunningSource.start(options)
    const insert = async (id: number, domain: number): Promise<void> => {
      const sql = `SET SESSION gtid_domain_id = ${domain}; INSERT INTO t VALUES (${id})`
      await queryMysql(server.uri('d'), sql)
    }
    await insert(1, 0)
    await insert(2, 1)
    await insert(3, 0)
    // Only a domain without transactions in the files that are left can be deleted, and the server
    // keeps a file until its background thread has noted that nobody needs it.
    const deleteDomain = async (catchUp: () => Promise<unknown>): Promise<void> => {
      for (let tries = 0; ; tries++) {
        await catchUp()
        const logs = await queryMysql(server.uri(), 'SHOW BINARY LOGS')
        await queryMysql(server.uri(), `PURGE BINARY LOGS TO '${String(logs.at(-1)!['Log_name'])}'`)
        try {
          await queryMysql(server.uri(), 'FLUSH BINARY LOGS DELETE_DOMAIN_ID = (1)')
          return
        } catch (error) {
          if (tries === 200) throw error
          await sleep(100)
          await queryMysql(server.uri(), 'FLUSH BINARY LOGS')
        }
      }
    }
    await queryMysql(server.uri(), 'FLUSH BINARY LOGS')
    await insert(4, 0)
    await running.catchUp()
    await deleteDomain(async () => running.catchUp())
    // The log is idle, and ends as it does now.
    await running.catchUp()
    const { lake } = running
    const from = await running.stop()
    await insert(5, 0)
    running = await RunningSource.start(options, lake, from)
    expect(warnings).toEqual(['the server has deleted GTID domains that were read'])
    await insert(6, 1)
    await running.catchUp()
    const ids = lake.history.map(({ cells }) => cells[0])
    expect(ids).toEqual(['1', '2', '3', '4', '5', '6'])
    const last = await running.stop()
    // What came behind the position may be gone with the files: then nobody can tell.
    await insert(7, 1)
    await queryMysql(server.uri(), 'FLUSH BINARY LOGS')
    await deleteDomain(async () => undefined)
    expect((await resume(options, last))?.error).toBe('SOURCE_REWOUND')
  },
)
