// What becomes of statements that cannot be judged, without a server.

import { expect, test } from 'vitest'
import type { QueryEvent } from '../../connectors/mysql/decode/events.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import { Statements } from '../../connectors/mysql/log/statements.ts'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import type { ServerFacts } from '../../connectors/mysql/server.ts'
import type { TableTracker } from '../../connectors/mysql/tables.ts'
import type { ControlConnection } from '../../connectors/mysql/wire/connect.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceContext } from '../../runtime/source.ts'

test('a statement that nobody can convert parks every table, unless it changes none', async () => {
  const parked = new Map<string, string>()
  const context = {
    park: (table: string, error: PipelineError) => parked.set(table, error.error),
  } as unknown as SourceContext
  const tracker = {
    names: () => ['d.t', 'd.u'],
    find: () => ({ announced: true, joinedAt: null, state: { database: 'd', name: 't' } }),
    isGone: () => false,
    joinFromServer: async () => undefined,
  } as unknown as TableTracker
  const control = { query: async () => [{ text: null }] } as unknown as ControlConnection
  const server = { control, facts: {} as ServerFacts, sourceEpoch: 0 }
  const statements = new Statements({} as MysqlOptions, tracker, context, server)
  const event = (text: string): QueryEvent => {
    const raw = { charset: 'klingon', bytes: Buffer.from(text) }
    return { text, database: 'd', raw } as unknown as QueryEvent
  }
  const run = async (text: string): Promise<void> => {
    const read = await statements.readable(event(text))
    const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb: false }
    const statement = parseStatement(read.text, options)
    if (statements.concerns(statement, read)) await statements.run(statement, read, 1n)
  }
  await run("GRANT SELECT ON x.* TO 'ÿ'@'%'")
  expect([...parked]).toEqual([])
  await run('TRUNCATE TABLE `ÿ`')
  expect([...parked]).toEqual([
    ['d.t', 'DDL_UNMAPPABLE'],
    ['d.u', 'DDL_UNMAPPABLE'],
  ])
})
