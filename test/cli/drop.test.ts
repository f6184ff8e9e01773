// What `drop` removes and what it leaves: a lake with tables of several owners, a state folder that
// knows them by name, and a server that is asked for its part.

import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { CHECKPOINT_FORMAT, type Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { dropPipeline } from '../../runtime/cli/removal.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import type { Removal, SourceInspector } from '../../runtime/source.ts'
import { icebergOf } from '../config/pipeline-file.ts'
import { Lake, renameInCatalog, schemaOf, targetOf } from '../iceberg/lake.ts'

const lakes: Lake[] = []

afterEach(async () => {
  for (const lake of lakes.splice(0)) await lake.close()
})

function newLake(name = 'lake'): Lake {
  const folder = join(mkdtempSync(join(tmpdir(), 'millrace-drop-')), name)
  const lake = new Lake(folder)
  lakes.push(lake)
  return lake
}

/** One row in a table, committed by these pipelines one after the other. */
async function addTable(lake: Lake, table: string, pipelines: readonly string[]): Promise<void> {
  const schema = schemaOf(table, [['id!', { kind: 'long' }]])
  for (const [index, pipeline] of pipelines.entries()) {
    const committer = lake.committer({ pipeline })
    if (index > 0) await committer.adopt(table, { timeline: 1, epoch: lake.epoch, fence: '1' })
    else {
      const files = [await lake.file(schema, [{ id: 1 }])]
      const intent = await lake.intent([{ table, schemas: [schema], files }])
      lake.learn(await committer.commit([{ ...intent, pipeline }]))
    }
    await committer.close()
  }
}

/** A pipeline of this lake; its newest checkpoint has seen commits of `tables`. */
async function pipelineOf(lake: Lake, tables: readonly string[]): Promise<PipelineConfig> {
  const file = join(lake.folder, 'shop.yaml')
  mkdirSync(lake.folder, { recursive: true })
  writeFileSync(
    file,
    `version: 1
name: shop
source: { type: postgres, uri: "postgresql://u@127.0.0.1:1/d", tables: ["public.*"] }
sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:///catalog.db" }
  warehouse: warehouse
pipeline: { checkpoint: { store: states } }
`,
  )
  const config = loadPipeline(file, {})
  const state = localStore(join(config.checkpoint.store.path, 'shop'))
  await new CheckpointStore(state).save(checkpointOf(lake, tables))
  return config
}

function checkpointOf({ known }: Lake, tables: readonly string[]): Checkpoint {
  const position = { split: 'log', order: 1n, token: '' }
  const unknown = { metadataLocation: null, schemaVersion: 0 }
  return {
    format: CHECKPOINT_FORMAT,
    pipeline: 'shop',
    timeline: 1,
    epoch: 1,
    fence: '1',
    source: { position, sourceTimeUs: 0n, state: '', tables: [] },
    writers: [],
    nextFileId: 1,
    intents: [],
    waiting: {},
    cancelled: {},
    lake: tables.map((table) => ({
      table,
      tableUuid: known.get(table)?.uuid ?? null,
      lastIntent: known.get(table)?.lastIntent ?? null,
      ...unknown,
      committedEpoch: 1,
      committedTimeUs: null,
    })),
    held: {},
    parked: [],
    savedAtMs: 0,
  }
}

class Server implements SourceInspector {
  readonly asked: string[] = []
  refusal: PipelineError | null = null

  async drop(): Promise<readonly Removal[]> {
    this.asked.push('drop')
    if (this.refusal !== null) throw this.refusal
    return [{ what: 'replication slot "millrace_shop"', kept: null }]
  }

  async close(): Promise<void> {
    this.asked.push('close')
  }

  async check(): Promise<never[]> {
    return []
  }

  async discover(): Promise<never[]> {
    return []
  }

  async scan(): Promise<null> {
    return null
  }

  async *sample(): AsyncGenerator<never> {
    // No table, no rows.
  }
}

async function failureOf(work: Promise<unknown>): Promise<PipelineError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof PipelineError) return error
  throw new Error(`no PipelineError but ${String(error)}`)
}

test('drop takes the tables that carry the marker of the pipeline, and names the others', async () => {
  const lake = newLake()
  await addTable(lake, 'public.ours', ['shop'])
  await addTable(lake, 'public.theirs', ['other'])
  await addTable(lake, 'public.both', ['other', 'shop'])
  const tables = ['public.ours', 'public.theirs', 'public.both', 'public.never']
  const config = await pipelineOf(lake, tables)
  const removals = await dropPipeline(config, false, new Server())
  expect(removals).toEqual([
    { what: 'replication slot "millrace_shop"', kept: null },
    { what: 'lake table public.ours', kept: null },
    { what: 'lake table public.theirs', kept: 'pipeline "shop" has never committed to it' },
    { what: 'lake table public.both', kept: 'others commit to it as well: "other"' },
    { what: `state ${join(config.checkpoint.store.path, 'shop')}`, kept: null },
  ])
  expect(await lake.catalog.load(targetOf('public.ours'))).toBeNull()
  for (const table of ['public.theirs', 'public.both']) {
    expect(await lake.liveRows(table)).toHaveLength(1)
  }
})

test('drop keeps a table of its name that is not the one that it wrote to', async () => {
  const lake = newLake()
  await addTable(lake, 'public.orders', ['shop'])
  lake.known.set('public.orders', { uuid: 'another', lastIntent: 1n })
  const config = await pipelineOf(lake, ['public.orders'])
  const removals = await dropPipeline(config, false, new Server())
  expect(removals[1]).toEqual({
    what: 'lake table public.orders',
    kept: 'it is not the table that pipeline "shop" wrote to',
  })
  expect(await lake.liveRows('public.orders')).toHaveLength(1)
})

test('drop finds its tables in a warehouse with spaces and accents', async () => {
  const lake = newLake('un été à la mer')
  await addTable(lake, 'public.orders', ['shop'])
  const config = await pipelineOf(lake, ['public.orders'])
  const removals = await dropPipeline(config, false, new Server())
  expect(removals.map(({ what, kept }) => kept ?? what)[1]).toBe('lake table public.orders')
  expect(await lake.catalog.load(targetOf('public.orders'))).toBeNull()
  expect(existsSync(join(lake.folder, 'warehouse/public/orders'))).toBe(false)
})

test('drop leaves a table of the same folder that was renamed in the catalog', async () => {
  const lake = newLake()
  await addTable(lake, 'public.orders', ['shop'])
  renameInCatalog(lake, 'public.orders', 'public.orders_2025')
  lake.known.clear()
  await addTable(lake, 'public.orders', ['shop'])
  const config = await pipelineOf(lake, ['public.orders'])
  const before = await lake.warehouse.list('public/orders')
  const removals = await dropPipeline(config, false, new Server())
  expect(removals[1]).toEqual({ what: 'lake table public.orders', kept: null })
  expect(await lake.catalog.load(targetOf('public.orders'))).toBeNull()
  // Data file, manifest, list and metadata: one of each was the dropped table's.
  expect(await lake.warehouse.list('public/orders')).toHaveLength(before.length / 2)
  expect(await lake.liveRows('public.orders_2025')).toHaveLength(1)
})

test('drop with --keep-lake looks at no table', async () => {
  const lake = newLake()
  await addTable(lake, 'public.orders', ['shop'])
  const config = await pipelineOf(lake, ['public.orders'])
  const removals = await dropPipeline(config, true, new Server())
  expect(removals.map(({ what }) => what.split(' ')[0])).toEqual(['replication', 'state'])
  expect(await lake.liveRows('public.orders')).toHaveLength(1)
})

test('a catalog that cannot be opened is said before anything is removed', async () => {
  const lake = newLake()
  const config = await pipelineOf(lake, ['public.orders'])
  const sink = icebergOf(config)
  const catalog = { ...sink.catalog, path: join(lake.folder, 'text'), uri: 'sqlite:////' }
  writeFileSync(catalog.path, 'no database, but text that is long enough to look at it')
  const server = new Server()
  const strange = { ...config, sink: { ...sink, catalog } }
  const error = await failureOf(dropPipeline(strange, false, server))
  expect(error).toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
  expect(error.message).toBe(`${catalog.path} is no SQLite file`)
  expect(server.asked).toEqual(['close'])
  expect(existsSync(join(config.checkpoint.store.path, 'shop/checkpoints'))).toBe(true)
})

test('what was removed before a step failed is told', async () => {
  const lake = newLake()
  await addTable(lake, 'public.orders', ['shop'])
  const config = await pipelineOf(lake, ['public.orders'])
  const server = new Server()
  server.refusal = new PipelineError('PRIVILEGE_MISSING', 'the slot is somebody else’s')
  const error = await failureOf(dropPipeline(config, false, server))
  expect(error.message).toBe('not all was removed: the slot is somebody else’s')
  expect(error.detail).toBe(
    `removed lake table public.orders\nremoved state ${join(config.checkpoint.store.path, 'shop')}`,
  )
  expect(error.hint).toContain('administrator')
  expect(existsSync(dirname(config.file))).toBe(true)
})
