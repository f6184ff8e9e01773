// LAKE-17, as far as a database can show it: partitions are announced when they are whole, once a
// generation, whenever the process dies; late rows and deletes announce the next one.
import { readFileSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { brokenAt } from './crash-point.ts'
import { metadataLocations } from './lake.ts'
import { Pipeline, type Child } from './pipeline.ts'
import { edit, expectRefusal } from './refusal.ts'

const TABLE = 'public.clicks'
const SKIPPED = !(await available('postgres18'))

interface Message {
  readonly id: string
  readonly data: { partition: { ts_hour: string }; generation: number; rows: number; files: number }
}

/** A webhook on one port, which a test opens and closes. */
class Webhook {
  readonly messages: Message[] = []
  private server: Server | null = null
  private port = 0

  /** @returns its address, which stays; nobody listens yet */
  async reserve(): Promise<string> {
    await this.open()
    await this.close()
    return `http://127.0.0.1:${this.port}/ready`
  }

  async open(): Promise<void> {
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
      request.on('end', () => {
        this.messages.push(JSON.parse(body) as Message)
        response.writeHead(204).end()
      })
    })
    this.server = server
    await new Promise<void>((resolve) => {
      server.listen(this.port, '127.0.0.1', resolve)
    })
    this.port = (server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.server?.closeAllConnections()
    await new Promise((resolve) => this.server?.close(resolve) ?? resolve(undefined))
    this.server = null
  }

  heard(): string[] {
    return this.messages.map(({ data }) => `${hourOf(data)}/${data.generation}:${data.files}`)
  }
}

function hourOf({ partition }: Message['data']): string {
  return partition.ts_hour.slice(-2)
}

interface Stand {
  readonly server: PostgresServer
  readonly pipeline: Pipeline
  readonly run: (sql: string) => Promise<unknown>
}

/** Clicks by hour, whose time is what their column says. */
async function withStand(
  mode: 'append' | 'upsert',
  actions: readonly object[],
  play: (stand: Stand) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({ major: 18 })
  const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)
  await run('CREATE TABLE clicks (id int PRIMARY KEY, ts timestamp, what text)')
  const pipeline = await Pipeline.create({
    server,
    mode,
    interval: '200ms',
    // Nothing waits for the hour to be over: what an announcement waits for is shown.
    ...(mode === 'append' && { sinkKeys: { max_freshness: '1h' } }),
    source: { heartbeat: '1s', event_time: { column: 'ts', max_out_of_order: '5m' } },
  })
  await edit(pipeline, (file) => {
    Object.assign(file['sink'] ?? {}, { partition_by: { [TABLE]: ['hour(ts)'] } })
    const rule = { event_time: 'ts', partition: 'hour(ts)', delay: '10m', actions }
    Object.assign(file, { partition_ready: { [TABLE]: rule } })
  })
  try {
    await play({ server, pipeline, run })
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

function successPath(pipeline: Pipeline, hour: string): string {
  return join(pipeline.warehouse, `public/clicks/data/ts_hour=2026-01-05-${hour}/_SUCCESS`)
}

function success(pipeline: Pipeline, hour: string): Record<string, unknown> | null {
  try {
    const text = readFileSync(successPath(pipeline, hour), 'utf8')
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}

interface Metadata {
  readonly properties: Record<string, string>
  readonly snapshots?: readonly { readonly summary: Record<string, string> }[]
}

function metadataOf(pipeline: Pipeline): Metadata {
  const location = metadataLocations(pipeline)[TABLE]
  if (location === undefined) return { properties: {} }
  return JSON.parse(readFileSync(new URL(location), 'utf8')) as Metadata
}

/** Generation in the table's property; 0: there is none. */
function property(pipeline: Pipeline, hour: string): number {
  const text = metadataOf(pipeline).properties[`millrace.ready.ts_hour=2026-01-05-${hour}`]
  return text === undefined ? 0 : (JSON.parse(text) as { generation: number }).generation
}

function rows(...written: readonly (readonly [id: number, time: string])[]): string {
  const values = written.map(([id, time]) => `(${id}, '2026-01-05 ${time}', 'x')`)
  return `INSERT INTO clicks VALUES ${values.join(', ')}`
}

async function dieBeforeItIsSaid(pipeline: Pipeline, run: Stand['run']): Promise<void> {
  // It dies between the commit of the hour and the first word about it.
  const dying = pipeline.start(
    brokenAt({ operation: 'place', path: '_SUCCESS$', hit: 1, when: 'before' }),
  )
  await pipeline.untilStreaming(dying)
  await run(rows([1, '07:10'], [2, '07:50']))
  await run(rows([3, '08:14']))
  // Neither the watermark (08:09) nor the delay (until 08:10) has passed.
  await pipeline.until(
    'rows are in the lake',
    () => Number(metadataOf(pipeline).snapshots?.at(-1)?.summary['total-records'] ?? 0) > 0,
    { child: dying },
  )
  expect([success(pipeline, '07'), property(pipeline, '07')]).toEqual([null, 0])
  // Nothing comes between 08:14 and 09:40: hour 08 has one row, and 09 none.
  await run(rows([4, '10:20']))
  expect((await dying.exit).signal).toBe('SIGKILL')
  expect(success(pipeline, '07')).toBeNull()
}

test.skipIf(SKIPPED)(
  'LAKE-17: a partition is announced once it is whole, and again with its late rows',
  { timeout: 240_000 },
  async () => {
    const webhook = new Webhook()
    const url = await webhook.reserve()
    const actions = [
      { type: 'success_file' },
      { type: 'iceberg_property' },
      { type: 'http', name: 'hook', url },
    ]
    await withStand('append', actions, async ({ pipeline, run }) => {
      const ready = async (hour: string, generation: number, child: Child): Promise<void> =>
        pipeline.until(
          `hour ${hour} has generation ${generation}`,
          () =>
            success(pipeline, hour)?.['generation'] === generation &&
            property(pipeline, hour) === generation,
          { child },
        )
      await dieBeforeItIsSaid(pipeline, run)
      let child = pipeline.start()
      for (const hour of ['07', '08', '09']) await ready(hour, 1, child)
      expect(success(pipeline, '07')).toMatchObject({ rows: 2, files: 1, late_rows: 0 })
      expect(success(pipeline, '09')).toMatchObject({ rows: 0, files: 0 })
      // What is announced is shown, and the row of 10:20 waits on, over the crash too.
      expect((await pipeline.checkpoint())?.held).toEqual({ [TABLE]: 1 })
      await child.kill()
      const before = statSync(successPath(pipeline, '07')).mtimeMs
      child = pipeline.start()
      await run(rows([5, '07:01'], [6, '07:02'], [7, '07:59']))
      await ready('07', 2, child)
      expect(success(pipeline, '07')).toMatchObject({ rows: 5, late_rows: 3 })
      expect(statSync(successPath(pipeline, '07')).mtimeMs).toBeGreaterThan(before)
      expect(success(pipeline, '10')).toBeNull()
      const shown = async (): Promise<boolean> => {
        const [table] = (await pipeline.status())?.table_list ?? []
        return table?.partitions?.notifiers[2]?.backlog === 4
      }
      await pipeline.until('the status shows what waits', shown, { child })
      expect((await pipeline.status())?.table_list[0]).toMatchObject({
        watermark: '2026-01-05T10:15:00.000Z',
        partitions: { last_ready: '2026-01-05-09', late_rows: 3 },
      })
      // The webhook was down for all of this.
      await webhook.open()
      await pipeline.until('the webhook has heard it all', () => webhook.messages.length >= 4, {
        child,
        timeoutMs: 120_000,
      })
      expect(webhook.heard()).toEqual(['07/1:1', '08/1:1', '09/1:0', '07/2:2'])
      expect(new Set(webhook.messages.map(({ id }) => id)).size).toBe(4)
      await child.stop()
      const { snapshots = [] } = metadataOf(pipeline)
      expect(Number(snapshots.at(-1)?.summary['millrace.watermark'])).toBe(
        Date.parse('2026-01-05T10:15:00Z') * 1000,
      )
      // Nothing of it is told again by a start that has nothing new.
      await pipeline.once()
      expect(webhook.messages).toHaveLength(4)
    })
    await webhook.close()
  },
)

test.skipIf(SKIPPED)(
  'rows that are deleted or moved announce the partitions that they were in, after a crash too',
  { timeout: 240_000 },
  async () => {
    await withStand('upsert', [{ type: 'iceberg_property' }], async ({ pipeline, run }) => {
      const until = async (claim: string, child: Child, ...hours: number[]): Promise<void> => {
        const now = (): number[] => ['07', '08', '09'].map((hour) => property(pipeline, hour))
        await pipeline.until(claim, () => now().join() === hours.join(), { child })
      }
      let child = pipeline.start()
      await pipeline.untilStreaming(child)
      await run(rows([1, '07:10'], [2, '07:20'], [3, '08:30'], [4, '10:20']))
      await until('three hours are ready', child, 1, 1, 1)
      await run('DELETE FROM clicks WHERE id = 1')
      await until('the hour that lost a row is announced', child, 2, 1, 1)
      await run(`UPDATE clicks SET ts = '2026-01-05 08:45' WHERE id = 2`)
      await until('both hours of a row that moved are announced', child, 3, 2, 1)
      await child.stop()
      // The commit that deletes a row is made, and nobody hears of it.
      await run('DELETE FROM clicks WHERE id = 3')
      const crash = { operation: 'commit', path: 'catalog', hit: 1, when: 'after' } as const
      expect((await pipeline.start(brokenAt(crash)).exit).signal).toBe('SIGKILL')
      child = pipeline.start()
      await until('the hour is announced by the next start', child, 3, 3, 1)
      await child.stop()
    })
  },
)

test.skipIf(SKIPPED)(
  'partitions that cannot be announced as the file says are refused before a row is read',
  { timeout: 120_000 },
  async () => {
    const actions = [{ type: 'success_file' }]
    await withStand('append', actions, async ({ pipeline, run }) => {
      await run('ALTER TABLE clicks ALTER ts TYPE timestamptz')
      await edit(pipeline, (file) => {
        Object.assign(file['partition_ready']?.[TABLE] as object, { time_zone: 'Europe/Berlin' })
      })
      const exit = await pipeline.command(['run', pipeline.file, '--once'])
      expectRefusal(exit, 'CONFIG_VALUE', ['time_zone', 'begin and end in UTC'])
      expect(metadataLocations(pipeline)).toEqual({})
    })
  },
)
