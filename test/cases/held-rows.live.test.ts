// Rows that are held back until their file is worth showing, through kill -9 on a real server: each
// is shown once, none longer after than promised, and what says so (checkpoint, summary, verify)
// agrees with what readers see.
import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectLakeEqualsSource, metadataLocations, readLake } from '../acceptance/lake.ts'
import { Pipeline, type Child } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

const skip = !(await available('postgres18')) || !(await available('python'))
const TABLE = 'public.events'
const VISITS = 'public.visits'
const KILLS = 2

let server: PostgresServer

beforeAll(async () => {
  if (!skip) server = await startPostgres({ major: 18 })
}, 60_000)

afterAll(async () => {
  if (!skip) await server.stop()
})

const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)

/** Rows of three kinds; those of the first are large, so that their files fill up. */
function insert(from: number, to: number): string {
  return `INSERT INTO events SELECT id, 'k' || id % 3, CASE WHEN id % 3 = 0 THEN
    (SELECT string_agg(md5(id::text || part), '') FROM generate_series(1, 400) part) END
    FROM generate_series(${from}, ${to - 1}) id`
}

interface Snapshot {
  readonly summary: Record<string, string>
}

function snapshots(pipeline: Pipeline): readonly Snapshot[] {
  const location = metadataLocations(pipeline)[TABLE]
  if (location === undefined) return []
  const metadata = JSON.parse(readFileSync(new URL(location), 'utf8')) as {
    snapshots?: readonly Snapshot[]
  }
  return metadata.snapshots ?? []
}

async function heldRows(pipeline: Pipeline): Promise<number> {
  return (await pipeline.checkpoint())?.held[TABLE] ?? 0
}

async function shownRows(pipeline: Pipeline, table = TABLE): Promise<number> {
  const [lake] = await readLake(pipeline, [table], 'duckdb')
  return lake!.rows.length
}

async function unfinishedFiles(pipeline: Pipeline): Promise<string[]> {
  const names = await readdir(pipeline.warehouse, { recursive: true })
  return names.filter((name) => name.endsWith('.tmp'))
}

async function untilHeld(pipeline: Pipeline, child: Child, rows: number): Promise<void> {
  await pipeline.until('rows are held', async () => (await heldRows(pipeline)) >= rows, { child })
}

test.skipIf(skip)(
  'LAKE-18: rows that are held back are shown once over kill -9',
  { timeout: 120_000 },
  async () => {
    await run('CREATE TABLE events (id int PRIMARY KEY, kind text, body text)')
    let next = 1
    const add = async (rows: number): Promise<void> => {
      await run(insert(next, next + rows))
      next += rows
    }
    await add(300)
    const pipeline = await Pipeline.create({
      server,
      tables: [TABLE],
      mode: 'append',
      interval: '150ms',
      parallelism: 2,
      chunkRows: 500,
      sinkKeys: {
        max_freshness: '1h',
        target_file_size: '1MiB',
        partition_by: { [TABLE]: ['kind'] },
      },
    })
    try {
      let child = pipeline.start()
      for (let kills = 0; kills < KILLS; kills++) {
        await pipeline.untilStreaming(child)
        // A start shows its first rows at once; those behind them wait.
        for (let batch = 0; batch < 6; batch++) {
          await add(400)
          await sleep(60)
        }
        await untilHeld(pipeline, child, 800)
        await child.kill()
        const held = await heldRows(pipeline)
        expect(await shownRows(pipeline)).toBeLessThanOrEqual(next - 1 - held)
        expect((await unfinishedFiles(pipeline)).length).toBeGreaterThan(0)
        child = pipeline.start()
      }
      await pipeline.untilStreaming(child)
      await child.stop()
      expect(await heldRows(pipeline)).toBe(0)
      expect(await unfinishedFiles(pipeline)).toEqual([])
      // A process that is stopped does not read up to the log's end.
      await pipeline.once()
      await expectLakeEqualsSource(pipeline, server, [TABLE], ['duckdb', 'pyiceberg'])
      const summaries = snapshots(pipeline).map(({ summary }) => summary)
      const held = summaries.filter((summary) => summary['millrace.held'] !== undefined)
      expect(held.length).toBeGreaterThan(0)
      for (const summary of summaries) {
        const isCut = summary['millrace.source-position'] !== undefined
        expect(isCut).toBe(summary['millrace.held'] === undefined)
      }
    } finally {
      await pipeline.remove()
    }
  },
)

test.skipIf(skip)(
  'held rows are shown within max_freshness, and the status says how old the lake is',
  { timeout: 120_000 },
  async () => {
    await run('CREATE TABLE visits (id int PRIMARY KEY, page text)')
    const pipeline = await Pipeline.create({
      server,
      name: 'visits',
      tables: [VISITS],
      mode: 'append',
      interval: '100ms',
      sinkKeys: { max_freshness: '3s' },
    })
    try {
      const child = pipeline.start()
      await pipeline.untilStreaming(child)
      for (let id = 1; id <= 40; id++) {
        await run(`INSERT INTO visits VALUES (${id}, 'p${id % 7}')`)
        await sleep(50)
      }
      const held = async (): Promise<boolean> => {
        const status = await pipeline.status()
        return (status?.table_list[0]?.rows.held ?? 0) > 0 && (status?.lag.e2e_s ?? 0) > 0
      }
      await pipeline.until('rows are held', held, { child })
      // Nobody stops it, and no row comes that would push the others.
      const shown = async (): Promise<boolean> => (await shownRows(pipeline, VISITS)) === 40
      await pipeline.until('all rows are shown', shown, { child })
      const { held: waiting, epoch } = (await pipeline.checkpoint())!
      expect(waiting).toEqual({})
      const files = await readdir(pipeline.warehouse, { recursive: true })
      expect(files.filter((name) => name.endsWith('.parquet')).length).toBeLessThan(epoch / 4)
      await child.stop()
    } finally {
      await pipeline.remove()
    }
  },
)
