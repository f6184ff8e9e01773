// A table that gets a required column in a way that leaves older rows in the lake, for a while or
// for ever: every reader can read it at every moment, with nulls in the older rows.
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { ALL_READERS, expectLakeEqualsSource, metadataLocations, readLake } from './lake.ts'
import { Pipeline, type PipelineOptions } from './pipeline.ts'

const skip =
  !(await available('postgres18')) || !(await available('python')) || !(await available('java'))
const TABLE = 'public.orders'

async function withOrders(
  mode: NonNullable<PipelineOptions['mode']>,
  work: (server: PostgresServer, pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({ major: 18 })
  const pipeline = await Pipeline.create({ server, mode, interval: '200ms' })
  try {
    await queryPostgres(
      server.uri(),
      `CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL);
       INSERT INTO orders VALUES (1, 10), (2, 20);`,
    )
    await work(server, pipeline)
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

async function expectRows(pipeline: Pipeline, rows: readonly string[]): Promise<void> {
  for (const reader of ALL_READERS) {
    const [dump] = await readLake(pipeline, [TABLE], reader)
    expect({ reader, rows: dump?.rows }).toEqual({ reader, rows })
  }
}

test.skipIf(skip)(
  'an append table that was re-created with a required column is read with the rows of both',
  { timeout: 180_000 },
  async () => {
    await withOrders('append', async (server, pipeline) => {
      const child = pipeline.start()
      await pipeline.untilStreaming(child)
      await queryPostgres(
        server.uri(),
        `DROP TABLE orders;
         CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL, kind text NOT NULL);
         INSERT INTO orders VALUES (3, 30, 'new');`,
      )
      const copied = async (): Promise<boolean> => {
        const record = (await pipeline.checkpoint())?.source.tables[0]
        return record?.phase === 'streaming' && record.schema.version > 0
      }
      await pipeline.until('the new table is copied', copied, { child })
      await child.stop()
      await expectRows(pipeline, ['["1","10",null]', '["2","20",null]', '["3","30","new"]'])
    })
  },
)

test.skipIf(skip)(
  'a table is readable while a resync brings a required column, and equal at its end',
  { timeout: 180_000 },
  async () => {
    await withOrders('upsert', async (server, pipeline) => {
      const child = pipeline.start()
      await pipeline.untilStreaming(child)
      await queryPostgres(
        server.uri(),
        `ALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();
         INSERT INTO orders VALUES (3, 30);`,
      )
      const phase = async (): Promise<string | undefined> =>
        (await pipeline.checkpoint())?.source.tables[0]?.phase
      const parked = async (): Promise<boolean> => (await phase()) === 'parked'
      await pipeline.until('the table is parked', parked, { child })
      const before = metadataLocations(pipeline)[TABLE]
      // The chunks of the repair wait for this lock.
      const locker = new Client({ connectionString: server.uri() })
      await locker.connect()
      try {
        await locker.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE')
        const resync = await pipeline.command(['resync', pipeline.file, '--table', TABLE])
        expect(resync.code, resync.stderr).toBe(0)
        const committed = (): boolean => metadataLocations(pipeline)[TABLE] !== before
        await pipeline.until('the lake has the structure', committed, { child })
        await expectRows(pipeline, ['["1","10",null]', '["2","20",null]'])
        expect(await phase()).not.toBe('streaming')
      } finally {
        await locker.end()
      }
      await pipeline.until('the table is back', async () => (await phase()) === 'streaming', {
        child,
      })
      await child.stop()
      await expectLakeEqualsSource(pipeline, server, [TABLE])
    })
  },
)
