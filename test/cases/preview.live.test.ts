// `preview` and `types` on real servers: rows as the lake would have them, every value exact, and
// nothing left behind on the server or in a folder.
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withAdmin, withProducer } from '../servers/kafka-client.ts'
import { onEach } from './each-server.ts'

interface Shown {
  readonly tables: readonly {
    readonly table: string
    readonly into: string
    readonly read: number
    readonly rows: readonly { readonly op: string; readonly values: object }[]
    readonly columns: readonly { readonly name: string; readonly lake_type: string | null }[]
    readonly error: { readonly code: string } | null
  }[]
}

async function shown(pipeline: Pipeline, verb: string, ...args: string[]): Promise<Shown> {
  const { stdout, stderr } = await pipeline.command([verb, pipeline.file, '--json', ...args])
  expect(stderr).toBe('')
  // Numbers that JavaScript would round stay text, so that each digit is compared.
  return JSON.parse(stdout.replaceAll(/:(-?[\d.]{16,})/g, ':"$1"')) as Shown
}

onEach(
  'a preview shows rows as the lake would have them, and leaves nothing behind',
  async ({ pipeline, name, run, postgres }) => {
    await run(`CREATE TABLE users (id bigint PRIMARY KEY, email varchar(50) NOT NULL,
      amount numeric(20,2), ssn varchar(9))`)
    await run(`INSERT INTO users VALUES (9223372036854775807, 'Ann@X.io', 123456789012345678.25, 'a'),
      (2, 'Bob@y.io', NULL, 'b'), (3, 'Cid@z.io', -0.50, 'c'), (-4, 'Dan@z.io', 7, 'd')`)
    await run(`CREATE TABLE loose (v varchar(9))`)
    await run(`INSERT INTO loose VALUES ('x'), (NULL)`)
    await edit(pipeline, (file) => {
      const transform = {
        from: name('users'),
        projection: '*, lower(email) AS low',
        filter: 'id <> 3',
        mask: { ssn: 'drop', email: "'***'" },
      }
      Object.assign(file, {
        transform: [transform],
        route: [{ from: name('*'), into: 'lake.$1' }],
      })
    })
    const { tables } = await shown(pipeline, 'preview')
    expect(tables.map(({ table, read }) => [table, read])).toEqual([
      // In `upsert` a table needs a key: the run would refuse it, so nothing of it is shown.
      [name('loose'), 0],
      [name('users'), 4],
    ])
    expect(tables[0]?.error?.code).toMatch(/^MR-/)
    expect(tables[1]).toMatchObject({ into: 'lake.users', error: null })
    expect(tables[1]?.rows).toEqual([
      { op: 'r', values: { id: -4, email: '***', amount: 7, low: 'dan@z.io' } },
      { op: 'r', values: { id: 2, email: '***', amount: null, low: 'bob@y.io' } },
      {
        op: 'r',
        values: {
          id: '9223372036854775807',
          email: '***',
          amount: '123456789012345678.25',
          low: 'ann@x.io',
        },
      },
    ])
    const one = await shown(pipeline, 'preview', '--table', name('users'), '--rows', '1')
    expect(one.tables[0]?.rows).toHaveLength(1)
    const types = await shown(pipeline, 'types', '--table', name('users'))
    expect(types.tables[0]?.columns.map((column) => [column.name, column.lake_type])).toEqual([
      ['id', 'long not null'],
      ['email', 'string not null'],
      ['amount', 'decimal(20, 2)'],
      ['low', 'string not null'],
      ['ssn', null],
    ])
    const missing = await pipeline.command(['preview', pipeline.file, '--table', name('usres')])
    expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining('users')])
    expect(existsSync(pipeline.state)).toBe(false)
    if (!postgres) return
    expect(await run('SELECT slot_name FROM pg_replication_slots')).toEqual([])
    expect(await run('SELECT pubname FROM pg_publication')).toEqual([])
  },
  { servers: ['postgres18', 'mysql', 'mariadb'] },
)

test.skipIf(!(await available('kafka4')))(
  'a preview of topics shows what they keep, dead letters too, and joins no group',
  { timeout: 60_000 },
  async () => {
    const server = await startKafka({ line: 'kafka4' })
    const value = { format: 'json', schema: { id: 'long not null', user: 'string' } }
    const source = { value, topics: ['clicks', 'empty'], group_id: 'lake', start: 'latest' }
    const onError = { decode: 'dlq' }
    const pipeline = await Pipeline.create({ server, mode: 'append', source, onError })
    await edit(pipeline, (file) => {
      const projection = 'id, upper(user) AS who'
      Object.assign(file, { transform: [{ from: 'kafka.clicks', projection }] })
    })
    try {
      await createTopic(server, 'clicks', { partitions: 2 })
      await createTopic(server, 'empty', { partitions: 1 })
      await withProducer(server, {}, async (producer) => {
        const values = ['{"id":9223372036854775807,"user":"ann"}', '{"id":2}', 'no json']
        const messages = values.map((text) => ({ key: null, value: text, partition: 1 }))
        await producer.send({ topic: 'clicks', messages })
      })
      const { tables } = await shown(pipeline, 'preview')
      const rowsOf = (table: string): unknown =>
        tables.find((one) => one.table === table)?.rows.map(({ values }) => values)
      expect(rowsOf('kafka.clicks')).toEqual([
        { id: '9223372036854775807', who: 'ANN' },
        { id: 2, who: null },
      ])
      expect(rowsOf('kafka.empty')).toEqual([])
      const dead = tables.find(({ table }) => table.endsWith('_dlq'))
      expect(dead?.rows.map(({ values }) => values)).toMatchObject([{ topic: 'clicks' }])
      const groups = await withAdmin(server, (admin) => admin.listGroups())
      expect(groups.groups).toEqual([])
      expect(existsSync(pipeline.state)).toBe(false)
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
