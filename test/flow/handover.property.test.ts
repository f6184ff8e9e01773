// Goal: whatever the interleaving of log, chunks, late visibility and TRUNCATE, a table equals its
// source at the instant of its hand-over and ever after. Method: a simulated database whose commits
// become visible late, the real hand-over, corridor and guard, and a map as the lake.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { Op, transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { Element } from '../../runtime/data/element.ts'
import { gatherRows, withKeyHash } from '../../runtime/flow/exchange.ts'
import { HandOver } from '../../runtime/flow/handover.ts'
import type { TableRecord } from '../../runtime/flow/tables.ts'
import { VersionGuard } from '../../runtime/flow/version-guard.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import { applied, position, schema, SimulatedSource } from './simulated-source.ts'
import type { Commit, Row, Table } from './simulated-source.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)

type Random = () => number

function randomOf(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

/** Lets other tasks run first, a few times over. */
function pauses(random: Random): () => Promise<void> {
  return async () => {
    for (let times = Math.floor(random() * 4); times >= 0; times--) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

let elapsedMs = 0

const clock: Clock = {
  nowMs: () => 0,
  nowUs: () => 0n,
  // Half a second each time it is looked at: what is done once a second is done in the histories.
  elapsedMs: () => (elapsedMs += 500),
  sleep: async () => new Promise((resolve) => setImmediate(resolve)),
  after: (_ms, task) => {
    const handle = setImmediate(task)
    return () => clearImmediate(handle)
  },
  every: () => () => undefined,
}

/** A writer with a map for its files. */
class MapWriter {
  readonly table: Table = new Map()
  readonly handedOver: Table[] = []
  stale = 0
  /** Changes from before it may be forgotten. */
  settled = -1n
  private readonly guard = new VersionGuard()

  send(element: Element): void {
    switch (element.kind) {
      case 'changes':
        this.write(element)
        break
      case 'backfill':
        this.guard.start(element.table, element.floor)
        break
      case 'settled':
        this.guard.settle(element.table, element.order, element.done)
        if (element.order > this.settled) this.settled = element.order
        if (element.done) this.handedOver.push(new Map(this.table))
        break
      case 'truncate':
        this.guard.truncate(element.table, element.order)
        this.table.clear()
        break
      default:
        break
    }
  }

  ready(): undefined {
    return undefined
  }

  private write(batch: ChangeBatch): void {
    if (batch.ops[0] === Op.read) {
      const low = transactionOrder(batch.transactions, 0)
      expect(low, 'a chunk reaches behind what may be forgotten').toBeGreaterThanOrEqual(
        this.settled,
      )
    }
    const hashed = withKeyHash(batch, schema)
    const { selection, stale } = this.guard.judge(hashed)
    this.stale += stale.length
    const kept = selection === null ? hashed : gatherRows(hashed, selection)
    const [keys, values] = kept.columns
    if (keys?.layout !== 'int64' || values?.layout !== 'int64') throw new Error('longs expected')
    for (let row = 0; row < kept.rows; row++) {
      const key = Number(keys.values[row])
      if (kept.ops[row] === Op.delete) this.table.delete(key)
      else this.table.set(key, Number(values.values[row]))
    }
  }
}

function newRecord(): TableRecord {
  return {
    schema,
    incarnation: '1',
    phase: 'streaming',
    backfill: null,
    floor: null,
    reason: null,
    shape: null,
    lake: null,
    semantics: null,
    waitsFor: null,
  }
}

async function handOver(seed: number): Promise<void> {
  const random = randomOf(seed)
  const pause = pauses(random)
  const key = (): number => Math.floor(random() * 24)
  const base: Table = new Map(Array.from({ length: 16 }, () => [key(), 0]))
  const source = new SimulatedSource(base, pause)
  const writer = new MapWriter()
  const corridor = new Corridor([writer], { keyed: true, firstFieldId: 1 })
  const parallelism = 1 + Math.floor(random() * 3)
  const chunkRows = 1 + Math.floor(random() * 7)
  const handOver = new HandOver(source, corridor.tables, corridor, {
    parallelism,
    chunkRows,
    clock,
  })
  corridor.begin(position(0n), 0n)
  const record = newRecord()
  corridor.restore(record)
  handOver.begin(record, false)
  const ending = new AbortController()
  const atHandOver: Table[] = []
  const reading = (async () => {
    for await (const element of source.read(position(0n), corridor, ending.signal)) {
      if (element.kind === 'changes') await handOver.send(element)
      else {
        corridor.advance(element)
        const before = writer.handedOver.length
        handOver.advance()
        if (writer.handedOver.length > before) {
          const seen = source.log.filter(({ order }) => order < element.position.order)
          atHandOver.push(applied(seen, base))
        }
      }
    }
  })()
  const copying = handOver.run(ending.signal)
  await writeCommits(source, random, pause, key)
  while (!handOver.finished() || source.delivered < source.end()) await pause()
  ending.abort()
  await Promise.all([reading, copying])
  expect(sorted(writer.table), `seed ${seed}: at the end`).toEqual(
    sorted(applied(source.log, base)),
  )
  expect(writer.handedOver.map(sorted), `seed ${seed}: hand-over`).toEqual(atHandOver.map(sorted))
}

async function writeCommits(
  source: SimulatedSource,
  random: Random,
  pause: () => Promise<void>,
  key: () => number,
): Promise<void> {
  for (let at = 1; at <= 40; at++) {
    const order = BigInt(at * 10)
    const rows: Row[] = Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
      key: key(),
      value: random() < 0.3 ? null : at,
    }))
    const commit: Commit = { order, rows: random() < 0.03 ? null : rows }
    // Locks: no two invisible commits touch one key, and a TRUNCATE waits for all of them.
    const hidden = source.log.filter((other) => source.invisible.has(other.order))
    const conflict = hidden.some(
      (other) =>
        commit.rows === null || other.rows?.some((row) => rows.some((r) => r.key === row.key)),
    )
    if (conflict) source.invisible.clear()
    if (random() < 0.4 && commit.rows !== null) source.invisible.add(order)
    source.log.push(commit)
    if (random() < 0.3) source.invisible.clear()
    await pause()
  }
  source.invisible.clear()
}

function sorted(table: Table): (readonly [number, number])[] {
  return [...table].sort(([left], [right]) => left - right)
}

test('a table equals its source when it is handed over, and ever after', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      await handOver(seed)
    }),
    { numRuns: 1_000_000, interruptAfterTimeLimit: SECONDS * 1000, markInterruptAsFailure: false },
  )
})

test('readers that may not go on leave the thread to others', async () => {
  const pause = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const source = new SimulatedSource(new Map([[1, 1]]), pause)
  // A commit from before the start that no reader sees: LOW would lie behind the guard.
  source.invisible.add(-1n)
  const writer = new MapWriter()
  const corridor = new Corridor([writer], { keyed: true, firstFieldId: 1 })
  const options = { parallelism: 3, chunkRows: 5, clock }
  const handOver = new HandOver(source, corridor.tables, corridor, options)
  corridor.begin(position(0n), 0n)
  corridor.restore(newRecord())
  const record = corridor.tables.get(schema.table)
  if (record === undefined) throw new Error('the table was just put there')
  handOver.begin(record, false)
  const ending = new AbortController()
  const running = handOver.run(ending.signal)
  for (let turn = 0; turn < 200; turn++) await pause()
  expect(record).toMatchObject({
    phase: 'backfilling',
    waitsFor: 'a commit of the log to become visible',
  })
  expect(writer.table.size).toBe(0)
  source.invisible.clear()
  for (let turn = 0; turn < 200; turn++) await pause()
  ending.abort()
  await running
  expect([...writer.table]).toEqual([[1, 1]])
})

test('a table that waits for its first chunk tells the writers what they may forget', async () => {
  const pause = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const source = new SimulatedSource(new Map([[1, 1]]), pause)
  // As behind a long transaction (H4), or a larger table that is read first.
  source.mayBackfill = async () => ({ ready: false, waitsFor: 'a transaction' }) as never
  const writer = new MapWriter()
  const corridor = new Corridor([writer], { keyed: true, firstFieldId: 1 })
  const options = { parallelism: 1, chunkRows: 5, clock }
  const handOver = new HandOver(source, corridor.tables, corridor, options)
  corridor.begin(position(0n), 0n)
  corridor.restore(newRecord())
  const record = corridor.tables.get(schema.table)
  if (record === undefined) throw new Error('the table was just put there')
  handOver.begin(record, false)
  for (let order = 1n; order < 100n; order++) {
    corridor.advance({ kind: 'progress', position: position(order), sourceTimeUs: 0n })
    handOver.advance()
  }
  expect(record.phase).toBe('waiting')
  expect(writer.settled).toBeGreaterThan(90n)
})
