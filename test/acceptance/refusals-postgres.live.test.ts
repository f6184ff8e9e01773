// What a PostgreSQL source, its slot, the state folder and the lake can do to a pipeline that it
// must not go on from: each is a typed error with the command that repairs it, and the repair
// works.
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres, withPostgres } from '../servers/clients.ts'
import { type PostgresServer, startPostgres } from '../servers/postgres.ts'
import { brokenAt } from './crash-point.ts'
import { expectLakeEqualsSource, readLake } from './lake.ts'
import { Pipeline, type PipelineOptions } from './pipeline.ts'
import { edit, expectRefusal, expectRefused } from './refusal.ts'

const missing = (
  await Promise.all([available('postgres18'), available('duckdb'), available('python')])
).includes(false)
const servers: PostgresServer[] = []
const TIMEOUT_MS = 150_000

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
})

let shared: Promise<PostgresServer> | undefined

async function newServer(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const server = await startPostgres({ major: 18, settings })
  servers.push(server)
  return server
}

/** Each test has a database and a pipeline name of its own on one server. */
async function sharedServer(): Promise<PostgresServer> {
  shared ??= newServer()
  return shared
}

let number = 0

interface Scene {
  pipeline: Pipeline
  server: PostgresServer
  /** Runs SQL in the scene's database. */
  sql: (text: string) => Promise<Record<string, unknown>[]>
  slot: string
}

/** A database with one table of rows, and a pipeline for it that has not run yet. */
async function scene(
  server: PostgresServer,
  work: (scene: Scene) => Promise<void>,
  options: Partial<PipelineOptions> = {},
): Promise<void> {
  const database = `refusal${number++}`
  await queryPostgres(server.uri(), `CREATE DATABASE ${database}`)
  const sql: Scene['sql'] = async (text) => queryPostgres(server.uri(database), text)
  await sql(`CREATE TABLE orders (id int PRIMARY KEY, v text);
             INSERT INTO orders SELECT n, 'row ' || n FROM generate_series(1, 100) AS n`)
  const pipeline = await Pipeline.create({
    server,
    database,
    name: database,
    chunkRows: 50,
    ...options,
  })
  try {
    await work({ pipeline, server, sql, slot: `millrace_${database}` })
  } finally {
    await pipeline.remove()
    const slots = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
                   WHERE slot_name = 'millrace_${database}' AND active`
    await sql(slots)
    await sql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
               WHERE slot_name = 'millrace_${database}' AND NOT active`)
  }
}

function refuses(
  claim: string,
  work: (scene: Scene) => Promise<void>,
  options: Partial<PipelineOptions> & { concurrent?: boolean } = {},
): void {
  const { concurrent = false, ...rest } = options
  test.skipIf(missing)(claim, { timeout: TIMEOUT_MS, concurrent }, async () =>
    scene(await sharedServer(), work, rest),
  )
}

/** They wait half a minute each: for somebody to go, or for the server to come to itself. */
const WAITS = { concurrent: true }

async function expectEqual(
  { pipeline, server, sql }: Scene,
  tables: readonly string[] = ['public.orders'],
): Promise<void> {
  const [row] = await sql('SELECT current_database() AS name')
  const own = { ...server, uri: () => server.uri(String(row?.['name'])) }
  await expectLakeEqualsSource(pipeline, own, tables, ['duckdb'])
}

refuses('a wrong password is refused', async ({ pipeline }) => {
  const exit = await pipeline.command(['run', pipeline.file], { env: { DB_PASSWORD: 'wrong' } })
  expectRefusal(exit, 'AUTH_FAILED', ['postgres'])
})

refuses('a database that does not exist is named', async ({ pipeline, server }) => {
  await edit(pipeline, ({ source }) => {
    if (source) source['uri'] = `postgresql://postgres@127.0.0.1:${server.port}/nowhere`
  })
  await expectRefused(pipeline, 'DATABASE_MISSING', ['nowhere'])
})

refuses(
  'a selector that matches no table is refused',
  async ({ pipeline }) => {
    await expectRefused(pipeline, 'NO_TABLES', ['millrace discover'])
  },
  { tables: ['public.nothing_*'] },
)

refuses('a table without a key is refused in upsert mode', async ({ pipeline, sql }) => {
  await sql('CREATE TABLE keyless (v text)')
  await expectRefused(pipeline, 'TABLE_WITHOUT_KEY', ['keyless'])
})

refuses('a type that the lake cannot hold is named with its column', async ({ pipeline, sql }) => {
  await sql('CREATE TABLE shapes (id int PRIMARY KEY, outline polygon)')
  await expectRefused(pipeline, 'TYPE_UNSUPPORTED', ['shapes', 'outline'])
})

refuses('a table whose log carries no key is refused', async ({ pipeline, sql }) => {
  await sql('ALTER TABLE orders REPLICA IDENTITY NOTHING')
  await expectRefused(pipeline, 'TABLE_REPLICA_IDENTITY', ['orders', 'REPLICA IDENTITY'])
})

refuses('a user who may not replicate is told the GRANT', async ({ pipeline, server, sql }) => {
  await sql(`DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD '${server.password}'`)
  await sql('GRANT SELECT ON orders TO plain')
  await edit(pipeline, ({ source }) => {
    if (source) source['uri'] = String(source['uri']).replace('postgres@', 'plain@')
  })
  await expectRefused(pipeline, 'PRIVILEGE_MISSING', ['millrace check'])
  await expectCheckSays(pipeline, ['REPLICATION', 'plain'])
})

refuses('a user who may not read a table is told the GRANT', async (at) => {
  const { pipeline, server, sql, slot } = at
  await sql(`DROP ROLE IF EXISTS blind;
             CREATE ROLE blind LOGIN REPLICATION PASSWORD '${server.password}'`)
  // The publication is there already: only the rows cannot be read.
  await sql(`CREATE PUBLICATION ${slot} FOR TABLE orders`)
  await edit(pipeline, ({ source }) => {
    if (source) source['uri'] = String(source['uri']).replace('postgres@', 'blind@')
  })
  // Others could go on, so the table parks; the end says so, and so does the exit code.
  const exit = await pipeline.command(['run', pipeline.file, '--once'])
  expectRefusal(exit, 'TABLE_PARKED', ['MR-2005', 'public.orders', 'millrace check'])
  await expectCheckSays(pipeline, ['GRANT SELECT', 'orders'])
  await sql('GRANT SELECT ON orders TO blind')
  await resync(pipeline, ['--table', 'public.orders'])
  await expectEqual(at)
})

refuses(
  'a second instance of a running pipeline ends with 6',
  async ({ pipeline }) => {
    const first = pipeline.start()
    await pipeline.untilStreaming(first)
    const second = await pipeline.spawn(['run', pipeline.file]).exit
    expectRefusal(second, 'ALREADY_RUNNING', ['Nothing was read or written'])
    await first.stop()
  },
  WAITS,
)

refuses(
  'a slot that another process reads is left to it',
  async ({ pipeline, slot, sql }) => {
    await pipeline.once()
    const copy = await Pipeline.create({
      server: await sharedServer(),
      database: pipeline.name,
      name: 'thief',
      source: { slot: { name: slot } },
    })
    const child = pipeline.start()
    try {
      await pipeline.until(
        'the slot is read',
        async () => {
          const [row] = await sql(
            `SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`,
          )
          return row?.['active'] === true
        },
        { child },
      )
      await expectRefused(copy, 'SLOT_IN_USE', [slot])
    } finally {
      await child.stop()
      await copy.remove()
    }
  },
  WAITS,
)

test.skipIf(missing)(
  'a log that the server itself cannot decode is tried again, named, and repaired by resync --all',
  { timeout: TIMEOUT_MS, ...WAITS },
  async () => {
    const server = await newServer({ allow_system_table_mods: 'on' })
    await scene(server, async (at) => {
      const { pipeline, sql } = at
      await pipeline.once()
      // The catalog names the default tablespace as no server does, so the decoder finds no table.
      const tablespace = (oid: number): string =>
        `UPDATE pg_class SET reltablespace = ${oid} WHERE oid = 'orders'::regclass`
      await sql(tablespace(1663))
      await sql("UPDATE orders SET v = 'undecodable' WHERE id < 5")
      await sql(tablespace(0))
      const words = ['could not map filenumber', 'resync', 'the server']
      await expectRefused(pipeline, 'LOG_UNDECODABLE', words, ['--once'])
      await repairAll(pipeline)
      await sql("UPDATE orders SET v = 'later' WHERE id = 7")
      await pipeline.once()
      await expectEqual(at)
    })
  },
)

refuses('a slot that is gone stops the pipeline, and resync --all repairs', async (at) => {
  const { pipeline, slot, sql } = at
  await pipeline.once()
  await sql(`SELECT pg_drop_replication_slot('${slot}')`)
  await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
  await expectRefused(pipeline, 'SLOT_MISSING', [slot, 'resync'])
  await repairAll(pipeline)
  await expectEqual(at)
})

refuses('a slot ahead of the checkpoint is a gap, and resync --all repairs', async (at) => {
  const { pipeline, slot, sql } = at
  await pipeline.once()
  await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
  await sql(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`)
  await expectRefused(pipeline, 'LOG_GAP', [slot, 'resync'])
  await repairAll(pipeline)
  await expectEqual(at)
})

/** Of the only slot. */
const STATUS = 'SELECT wal_status FROM pg_replication_slots'

test.skipIf(missing)(
  'a slot that the server invalidated stops the pipeline, and resync --all repairs',
  { timeout: TIMEOUT_MS },
  async () => {
    // A segment of the log is the least that the limit can hold back.
    const server = await newServer({ max_slot_wal_keep_size: '1MB', max_wal_size: '32MB' })
    await scene(server, async (at) => {
      const { pipeline, slot, sql } = at
      await pipeline.once()
      await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
      await sql('CREATE TABLE noise (v text)')
      for (let round = 0; round < 4; round++) {
        await sql("INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        await sql('SELECT pg_switch_wal()')
        await sql('CHECKPOINT')
      }
      expect(await sql(STATUS)).toEqual([{ wal_status: 'lost' }])
      await sql('DROP TABLE noise')
      await expectRefused(pipeline, 'SLOT_MISSING', [slot, 'invalidated', 'resync'])
      await repairAll(pipeline)
      await expectEqual(at)
    })
  },
)

test.skipIf(missing)(
  'a slot that the server gave up because nobody read from it is named as such, and repaired',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await newServer({ idle_replication_slot_timeout: '1s' })
    await scene(server, async (at) => {
      const { pipeline, slot, sql } = at
      await pipeline.once()
      await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
      const status = async (): Promise<unknown> => sql(`CHECKPOINT; ${STATUS}`)
      const lost = [{ wal_status: 'lost' }]
      await expect.poll(status, { timeout: 20_000, interval: 500 }).toEqual(lost)
      await expectRefused(pipeline, 'SLOT_MISSING', [slot, 'idle_replication_slot_timeout'])
      await repairAll(pipeline)
      await expectEqual(at)
    })
  },
)

/** Leaves a table behind that was emptied while its backfill waited for an open transaction. */
async function emptyBeforeBackfill({ pipeline, server, sql }: Scene): Promise<void> {
  const child = pipeline.start()
  await withPostgres(server.uri(pipeline.name), async (client) => {
    await client.query('BEGIN; SELECT pg_current_xact_id()')
    await sql('CREATE TABLE late (id int PRIMARY KEY)')
    const waits = async (): Promise<boolean> => {
      const tables = (await pipeline.checkpoint())?.source.tables ?? []
      const late = tables.find(({ schema }) => schema.table === 'public.late')
      return late !== undefined && late.waitsFor !== null
    }
    await pipeline.until('the table waits', waits, { child })
    await sql('INSERT INTO late VALUES (1); TRUNCATE late')
    await child.stop()
    await client.query('ROLLBACK')
  })
}

test.skipIf(missing)(
  'a server that is another one is refused, and resync --all goes over to it',
  { timeout: TIMEOUT_MS },
  async () => {
    const [one, two] = [await sharedServer(), await newServer()]
    await scene(one, async (at) => {
      const { pipeline, sql } = at
      // The log of the other server ends long before the place that was read of this one.
      for (let segment = 0; segment < 3; segment++) {
        await sql('UPDATE orders SET v = v; SELECT pg_switch_wal()')
      }
      await pipeline.once()
      await sql("UPDATE orders SET v = 'changed' WHERE id <= 50; DELETE FROM orders WHERE id > 90")
      await emptyBeforeBackfill(at)
      await queryPostgres(two.uri(), `CREATE DATABASE ${pipeline.name}`)
      const other: Scene['sql'] = async (text) => queryPostgres(two.uri(pipeline.name), text)
      await other(`CREATE TABLE orders (id int PRIMARY KEY, v text);
                   INSERT INTO orders SELECT n, 'other ' || n FROM generate_series(30, 120) AS n;
                   CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1), (2)`)
      await edit(pipeline, ({ source }) => {
        if (source) source['uri'] = String(source['uri']).replace(`:${one.port}/`, `:${two.port}/`)
      })
      await expectRefused(pipeline, 'SOURCE_CHANGED', ['resync'])
      await repairAll(pipeline)
      const both = ['public.orders', 'public.late']
      await expectEqual({ ...at, server: two, sql: other }, both)
      await other(`UPDATE orders SET v = 'later' WHERE id < 60; DELETE FROM orders WHERE id > 100;
                   DELETE FROM late WHERE id = 1; INSERT INTO late VALUES (3)`)
      await pipeline.once()
      await expectEqual({ ...at, server: two, sql: other }, both)
    })
  },
)

test.skipIf(missing)(
  'a server without a logical log is told what to set',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await newServer({ wal_level: 'replica' })
    await scene(server, async ({ pipeline }) => {
      await expectRefused(pipeline, 'SERVER_UNSUITABLE', ['wal_level'])
      await expectCheckSays(pipeline, ['ALTER SYSTEM SET wal_level'])
    })
  },
)

refuses('a lake table without the state that wrote it stops the pipeline', async (at) => {
  const { pipeline, sql } = at
  await sql('CREATE TABLE lines (id int PRIMARY KEY); INSERT INTO lines VALUES (1)')
  await pipeline.once()
  await rm(pipeline.state, { recursive: true })
  await sql("INSERT INTO orders VALUES (1000, 'later'); DELETE FROM orders WHERE id = 7")
  await expectRefused(pipeline, 'TIMELINE_AHEAD', ['checkpoint.store', 'resync'])
  await resync(pipeline, ['--table', 'public.orders', '--table', 'public.lines'])
  await expectEqual(at, ['public.orders', 'public.lines'])
})

refuses('a checkpoint with one torn copy is used, with two it is refused', async (at) => {
  const { pipeline, sql } = at
  await pipeline.once()
  const folder = join(pipeline.state, 'checkpoints')
  const newest = async (): Promise<string[]> => (await readdir(folder)).sort().slice(-2)
  const [first = ''] = await newest()
  await truncate(join(folder, first), 100)
  await sql("INSERT INTO orders VALUES (1000, 'later')")
  await pipeline.once()
  await expectEqual(at)
  for (const name of await newest()) await truncate(join(folder, name), 100)
  await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
  await expectRefused(pipeline, 'CHECKPOINT_CORRUPT', ['checkpoint', 'resync'])
  await repairAll(pipeline)
  await expectEqual(at)
  await sql("UPDATE orders SET v = 'later' WHERE id > 90")
  await pipeline.once()
  await expectEqual(at)
})

refuses('a damaged file of the key index is refused, and resync --all repairs', async (at) => {
  const { pipeline, sql } = at
  await pipeline.once()
  const folder = join(pipeline.state, 'index')
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name))
    bytes[bytes.length >> 1]! ^= 0x10
    await writeFile(join(folder, name), bytes)
  }
  await sql("DELETE FROM orders WHERE id < 10; UPDATE orders SET v = 'unseen' WHERE id = 50")
  await expectRefused(pipeline, 'CHECKPOINT_CORRUPT', ['index/', 'resync'])
  await repairAll(pipeline)
  await expectEqual(at)
  await sql("UPDATE orders SET v = 'later' WHERE id > 90")
  await pipeline.once()
  await expectEqual(at)
})

refuses('a lake table that somebody dropped is not written to', async (at) => {
  const { pipeline, sql } = at
  await twoEpochs(at)
  dropLakeTable(pipeline)
  await sql("INSERT INTO orders VALUES (2000, 'later')")
  await expectRefused(pipeline, 'TABLE_IDENTITY_CHANGED', ['orders', 'resync'], ['--once'])
  await resync(pipeline, ['--table', 'public.orders'])
  await expectEqual(at)
})

refuses('a lake table that somebody made anew is not written to', async (at) => {
  const { pipeline, server, sql } = at
  await twoEpochs(at)
  dropLakeTable(pipeline)
  // Another pipeline, of another name, fills the place.
  const other = await Pipeline.create({ server, database: pipeline.name, name: 'foreigner' })
  try {
    await edit(other, ({ sink }) => {
      if (!sink) return
      sink['catalog'] = { type: 'sql', uri: `sqlite:///${pipeline.catalog}`, name: 'lake' }
      sink['warehouse'] = `file://${join(pipeline.warehouse, 'elsewhere')}`
    })
    await other.once()
    await sql("INSERT INTO orders VALUES (2000, 'later')")
    await expectRefused(pipeline, 'TABLE_IDENTITY_CHANGED', ['orders', 'resync'], ['--once'])
    await other.command(['drop', other.file, '--keep-lake'])
  } finally {
    await other.remove()
  }
})

/** The checkpoint has the table's identity only once a later epoch has seen its first commit. */
async function twoEpochs({ pipeline, sql }: Scene): Promise<void> {
  await pipeline.once()
  await sql("INSERT INTO orders VALUES (1000, 'more')")
  await pipeline.once()
}

refuses('a full disk stops the pipeline, and it goes on when there is space', async (at) => {
  const { pipeline, sql } = at
  await pipeline.once()
  for (const path of ['/data/', '/checkpoints/', '/metadata/', '/epochs/|/index/']) {
    await sql("INSERT INTO orders SELECT max(id) + 1, 'more' FROM orders")
    await sql("UPDATE orders SET v = v || '!' WHERE id % 7 = 0")
    const point = { operation: 'write', path, hit: 1, when: 'fails', code: 'ENOSPC' } as const
    const child = pipeline.spawn(['run', pipeline.file, '--once'], brokenAt(point))
    expectRefusal(await child.exit, 'STORAGE_FULL', ['space'])
    // Whole, as of some epoch: readers never meet half a commit.
    const [orders] = await readLake(pipeline, ['public.orders'], 'duckdb')
    expect(orders?.rows.length).toBeGreaterThanOrEqual(100)
  }
  await pipeline.once()
  await expectEqual(at)
})

refuses('a state folder that is a file is refused', async ({ pipeline }) => {
  await writeFile(join(pipeline.folder, 'state'), 'not a folder')
  await expectRefused(pipeline, 'STORAGE_FAILED', ['state'])
})

/** What a hint sends the user to: the exact SQL. */
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

function dropLakeTable(pipeline: Pipeline): void {
  const database = new DatabaseSync(pipeline.catalog)
  database.exec('DELETE FROM iceberg_tables')
  database.close()
}

async function repairAll(pipeline: Pipeline): Promise<void> {
  await resync(pipeline, ['--all'])
}

/** The command as the error printed it; then the next start does the work. */
async function resync(pipeline: Pipeline, which: readonly string[]): Promise<void> {
  const asked = await pipeline.command(['resync', pipeline.file, ...which])
  expect({ code: asked.code, stderr: asked.stderr }).toMatchObject({ code: 0 })
  await pipeline.once()
}
