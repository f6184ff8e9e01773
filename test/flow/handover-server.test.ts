// The hand-over where the server is not what it was, or the table. H7: the log goes on at another
// server before a table has been handed over. What the chunks have shown need not exist there, so
// the table is read again, and what is not confirmed goes.

import { expect, test } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { Op } from '../../runtime/data/batch.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Element } from '../../runtime/data/element.ts'
import { orderOf, type Position } from '../../runtime/data/position.ts'
import { HandOver } from '../../runtime/flow/handover.ts'
import type { HandOverOptions } from '../../runtime/flow/handover-parts.ts'
import { newBackfill, type Backfill, type TableRecord } from '../../runtime/flow/tables.ts'
import { VersionGuard } from '../../runtime/flow/version-guard.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import type { ChunkPart, ChunkRead } from '../../runtime/source.ts'
import { batchOf, position, schema, SimulatedSource } from './simulated-source.ts'

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const clock: Clock = {
  nowMs: () => 0,
  nowUs: () => 0n,
  elapsedMs: () => 0,
  sleep: turn,
  after: (_ms, task) => {
    const handle = setImmediate(task)
    return () => clearImmediate(handle)
  },
  every: () => () => undefined,
}

interface Scene {
  handOver: HandOver
  corridor: Corridor
  record: TableRecord
  sent: Element[]
}

function scene(
  backfill: Backfill | null,
  parts: Partial<SimulatedSource> = {},
  more: Partial<HandOverOptions> = {},
): Scene {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  const corridor = new Corridor([output], { keyed: true, firstFieldId: 1 })
  const source = Object.assign(new SimulatedSource(new Map([[1, 1]]), turn), parts)
  const options = { parallelism: 2, chunkRows: 5, clock, ...more }
  const handOver = new HandOver(source, corridor.tables, corridor, options)
  const phase = backfill === null ? 'streaming' : 'backfilling'
  const none = {
    floor: null,
    reason: null,
    shape: null,
    lake: null,
    semantics: null,
    waitsFor: null,
  }
  corridor.restore({ schema, incarnation: '1', phase, backfill, ...none })
  const record = corridor.tables.get(schema.table)
  if (record === undefined) throw new Error('the table was just put there')
  return { handOver, corridor, record, sent }
}

const begins = (sent: readonly Element[]): unknown[] =>
  sent.flatMap((element) => (element.kind === 'backfill' ? [element.repair] : []))

test('a restart at another server reads again what the old one has shown', () => {
  const read = { ...newBackfill(false), rowsDone: 7, high: orderOf(0, 3, 50n), sourceEpoch: 0 }
  const { handOver, corridor, record, sent } = scene(read)
  corridor.begin(position(orderOf(1, 1, 0n)), 0n)
  handOver.resume(record)
  expect(record).toMatchObject({ phase: 'waiting', backfill: { repair: true, rowsDone: 0 } })
  expect(begins(sent)).toEqual([true])
})

test('a restart at the same server goes on, and so does one that had shown nothing', () => {
  const same = { ...newBackfill(false), rowsDone: 7, sourceEpoch: 0 }
  const nothing = newBackfill(false)
  for (const [backfill, epoch] of [
    [same, 0],
    [nothing, 1],
  ] as const) {
    const { handOver, corridor, record, sent } = scene(backfill)
    corridor.begin(position(orderOf(epoch, 1, 0n)), 0n)
    handOver.resume(record)
    expect(record).toMatchObject({ phase: 'backfilling', backfill })
    expect(begins(sent)).toEqual([false])
  }
})

test('a table whose chunks are all of the old server is not handed over at the new one', async () => {
  const { handOver, corridor, record, sent } = scene(null)
  corridor.begin(position(5n), 0n)
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  while (record.phase !== 'catching-up') await turn()
  ending.abort()
  await running
  const next = position(orderOf(1, 1, 0n))
  corridor.advance({ kind: 'progress', position: next, sourceTimeUs: 0n })
  handOver.advance()
  expect(record).toMatchObject({ phase: 'waiting', backfill: { repair: true } })
  expect(begins(sent)).toEqual([false, true])
})

test('a table that cannot be cut for a reason of its own is parked alone', async () => {
  const refused = new PipelineError('PRIVILEGE_MISSING', 'SELECT on it was revoked')
  const { handOver, corridor, record } = scene(null, {
    splitKeys: async () => Promise.reject(refused),
  })
  corridor.begin(position(5n), 0n)
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  while (record.phase !== 'parked') await Promise.race([turn(), running])
  expect(record.reason).toMatchObject({ error: 'PRIVILEGE_MISSING' })
  ending.abort()
  await running
})

test('a table whose structure moves while it is cut is cut again', async () => {
  let asked = 0
  const splitKeys = async (): Promise<readonly string[]> => {
    if (++asked < 3) throw new PipelineError('SCHEMA_MOVED', 'it changes')
    return []
  }
  const { handOver, corridor, record } = scene(null, { splitKeys })
  corridor.begin(position(5n), 0n)
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  while (record.phase !== 'catching-up') await Promise.race([turn(), running])
  expect(asked).toBe(3)
  ending.abort()
  await running
})

test('rows of a table that takes the name of one in hand-over are not taken for older than it', async () => {
  const { handOver, corridor, record, sent } = scene(newBackfill(false))
  corridor.onNewTable = (table) => handOver.begin(table, false)
  corridor.begin(position(5n), 0n)
  handOver.resume(record)
  const [namespace = '', name = ''] = schema.table.split('.')
  const columns = schema.fields.map(({ identity, name: column, type, nullable }) => {
    const existing = { kind: 'null' } as const
    return { identity: identity ?? '', name: column, type, nullable, comment: null, existing }
  })
  const key = columns.slice(0, 1).map(({ identity }) => identity)
  const table = { namespace, name, incarnation: '2', key, comment: null }
  corridor.tableChanged(
    { ...table, columns: columns.map((column) => ({ ...column, sourceType: 'bigint' })) },
    9n,
  )
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  for (let turns = 0; turns < 50; turns++) await turn()
  const guard = new VersionGuard()
  corridor.advance({ kind: 'progress', position: position(10n), sourceTimeUs: 0n })
  while (record.phase !== 'catching-up') await Promise.race([turn(), running])
  ending.abort()
  await running
  let kept = 0
  for (const element of sent) {
    if (element.kind === 'truncate') guard.truncate(element.table, element.order)
    if (element.kind === 'backfill') guard.start(element.table, element.floor)
    if (element.kind === 'changes') kept += guard.judge(element).selection?.length ?? element.rows
  }
  expect(kept).toBe(1)
})

test('the last chunk of a backfill does not end the one that has begun in its place', async () => {
  const highs: PromiseWithResolvers<bigint>[] = []
  const openChunk = async (): Promise<ChunkRead> => {
    const high = Promise.withResolvers<bigint>()
    highs.push(high)
    return {
      low: 5n,
      parts: noParts(),
      high: async () => high.promise,
      visibility: null,
      exhausted: () => true,
    }
  }
  const { handOver, corridor, record } = scene(null, { openChunk, splitKeys: async () => [] })
  corridor.begin(position(5n), 0n)
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  while (highs.length < 1) await Promise.race([turn(), running])
  handOver.begin(record, false)
  while (highs.length < 2) await Promise.race([turn(), running])
  highs[0]?.resolve(6n)
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(record.phase).toBe('backfilling')
  highs[1]?.resolve(7n)
  while (record.phase !== 'catching-up') await Promise.race([turn(), running])
  expect(record.backfill?.high).toBe(7n)
  ending.abort()
  await running
})

async function* noParts(): AsyncGenerator<ChunkPart> {}

test('a chunk of large rows waits for the log at the server, not in memory', async () => {
  const parts = 50
  let read = 0
  const openChunk = async (): Promise<ChunkRead> => ({
    low: 5n,
    parts: (async function* readParts(): AsyncGenerator<ChunkPart> {
      for (; read < parts; read++) {
        const batch = batchOf(5n, [Op.read], [{ key: read, value: 1 }])
        yield { batch, lastKey: String(read) }
      }
    })(),
    high: async () => 9n,
    visibility: null,
    exhausted: () => true,
  })
  const options = { parallelism: 1, appends: true, waitingBytesMax: 100 }
  const head = async (): Promise<Position> => position(9n)
  const { handOver, corridor, record, sent } = scene(null, { openChunk, head }, options)
  corridor.begin(position(5n), 0n)
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  for (let turns = 0; turns < 100; turns++) await Promise.race([turn(), running])
  expect(read).toBeGreaterThan(0)
  expect(read).toBeLessThan(5)
  const rows = (): number => sent.filter(({ kind }) => kind === 'changes').length
  expect(rows()).toBe(0)
  corridor.advance({ kind: 'progress', position: position(9n), sourceTimeUs: 0n })
  while (record.phase !== 'catching-up') await Promise.race([turn(), running])
  expect(rows()).toBe(parts)
  ending.abort()
  await running
})
