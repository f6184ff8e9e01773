// Goal: a sink that keeps every row gets each row once, whether the backfill or the log brings it
// first, also over crashes. Method: a simulated database into which new rows are written while its
// old ones are copied, the real hand-over, corridor and guard, and a list as the lake.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Element } from '../../runtime/data/element.ts'
import { gatherRows, withKeyHash } from '../../runtime/flow/exchange.ts'
import { HandOver } from '../../runtime/flow/handover.ts'
import type { TableRecord } from '../../runtime/flow/tables.ts'
import { VersionGuard } from '../../runtime/flow/version-guard.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import { Random } from '../workload/random.ts'
import { position, schema, SimulatedSource, unkeyed } from './simulated-source.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const clock: Clock = {
  nowMs: () => 0,
  nowUs: () => 0n,
  elapsedMs: () => 0,
  sleep: async () => new Promise((resolve) => setImmediate(resolve)),
  after: (_ms, task) => {
    const handle = setImmediate(task)
    return () => clearImmediate(handle)
  },
  every: () => () => undefined,
}

/** Keeps the key of every new row that it is given, as `append` does. */
class ListWriter {
  keys: number[]
  private readonly guard = new VersionGuard(true)
  private readonly keyed: boolean

  constructor(keys: readonly number[], keyed: boolean) {
    this.keys = [...keys]
    this.keyed = keyed
  }

  send(element: Element): void {
    if (element.kind === 'backfill') this.guard.start(element.table, element.floor)
    if (element.kind === 'settled') {
      this.guard.settle(element.table, element.order, element.done)
    }
    if (element.kind === 'truncate') {
      this.guard.truncate(element.table, element.order)
      this.keys = []
    }
    if (element.kind !== 'changes') return
    const hashed = this.keyed ? withKeyHash(element, schema) : element
    const { selection } = this.guard.judge(hashed)
    const kept = selection === null ? hashed : gatherRows(hashed, selection)
    const [keys] = kept.columns
    if (keys?.layout !== 'int64') throw new Error('longs expected')
    for (let row = 0; row < kept.rows; row++) {
      const op = kept.ops[row]
      if (op === Op.insert || op === Op.read) this.keys.push(Number(keys.values[row]))
    }
  }

  ready(): undefined {
    return undefined
  }
}

interface Saved {
  record: TableRecord
  order: bigint
  keys: readonly number[]
}

/** One process: from a checkpoint to its crash, or to the end of the log after `stop`. */
async function attempt(
  source: SimulatedSource,
  saved: Saved | null,
  random: Random,
  crashes: boolean,
  pause: () => Promise<void>,
  keyed: boolean,
): Promise<Saved> {
  const writer = new ListWriter(saved?.keys ?? [], keyed)
  const corridor = new Corridor([writer], { keyed: false, firstFieldId: 1 })
  const parallelism = random.int(1, 3)
  const waitingBytesMax = random.pick([1, 5000, 1e6])
  const options = {
    parallelism,
    chunkRows: random.int(1, 7),
    appends: true,
    waitingBytesMax,
    clock,
  }
  const handOver = new HandOver(source, corridor.tables, corridor, options)
  corridor.onTruncated = (record) => handOver.truncated(record)
  corridor.begin(position(saved?.order ?? 0n), 0n)
  const record = structuredClone(saved?.record ?? newRecord(keyed))
  corridor.restore(record)
  if (saved === null) handOver.begin(record, false)
  else handOver.resume(record)
  const ending = new AbortController()
  let newest = saved
  const reading = (async () => {
    const from = position(saved?.order ?? 0n)
    for await (const element of source.read(from, corridor, ending.signal)) {
      if (ending.signal.aborted) return
      if (element.kind === 'changes') {
        await handOver.send(element)
        continue
      }
      corridor.advance(element)
      handOver.advance()
      if (!random.chance(0.4)) continue
      const { order } = element.position
      newest = { record: structuredClone(record), order, keys: [...writer.keys] }
    }
  })()
  const copying = handOver.run(ending.signal)
  if (crashes) for (let turn = random.int(1, 60); turn > 0; turn--) await pause()
  else while (!handOver.finished() || source.delivered < source.end()) await pause()
  const end = { record, order: source.delivered, keys: [...writer.keys] }
  ending.abort()
  await Promise.all([reading, copying])
  return crashes ? (newest ?? { record: begun(record), order: 0n, keys: [] }) : end
}

/** What the first checkpoint of all would say. */
function begun(record: TableRecord): TableRecord {
  const backfill = {
    repair: false,
    ranges: null,
    high: 0n,
    rowsDone: 0,
    rowsEstimated: null,
    sourceEpoch: null,
  }
  return { ...structuredClone(record), phase: 'waiting', backfill }
}

function newRecord(keyed: boolean): TableRecord {
  const record = { incarnation: '1', phase: 'streaming', backfill: null, floor: null } as const
  const nothing = { lake: null, semantics: null, reason: null, shape: null, waitsFor: null }
  return { ...record, ...nothing, schema: keyed ? schema : unkeyed }
}

/** New keys, and updates of old ones, which the lake does not follow. */
async function writeCommits(
  source: SimulatedSource,
  keys: number[],
  random: Random,
  pause: () => Promise<void>,
): Promise<void> {
  for (let at = 1; at <= 40; at++) {
    const order = BigInt(at * 10)
    const fresh = random.int(0, 24) + at * 100
    const key = random.chance(0.7)
      ? fresh % (random.chance(0.5) ? 25 : 1_000_000)
      : random.pick(keys)
    if (!keys.includes(key)) keys.push(key)
    if (random.chance(0.4)) source.invisible.add(order)
    // An update waits for the commit of its row.
    source.log.push({ order, rows: [{ key, value: at }] })
    if (random.chance(0.5)) source.invisible.clear()
    await pause()
  }
  source.invisible.clear()
}

/** Rows that the lake cannot tell apart, each one other than all before, and TRUNCATE. */
async function insertRows(
  source: SimulatedSource,
  keys: number[],
  random: Random,
  pause: () => Promise<void>,
): Promise<void> {
  for (let at = 1; at <= 40; at++) {
    const order = BigInt(at * 10)
    if (random.chance(0.03)) {
      // It waits for all who have changed the table.
      source.invisible.clear()
      source.log.push({ order, rows: null })
      keys.length = 0
    } else {
      const rows = Array.from({ length: random.int(1, 3) }, (_, row) => ({
        key: at * 100 + row,
        value: at,
      }))
      keys.push(...rows.map(({ key }) => key))
      if (random.chance(0.4)) source.invisible.add(order)
      source.log.push({ order, rows })
    }
    if (random.chance(0.5)) source.invisible.clear()
    await pause()
  }
  source.invisible.clear()
}

async function appends(seed: number, keyed: boolean): Promise<void> {
  const random = Random.of(seed, 0)
  const pause = async (): Promise<void> => {
    for (let times = random.int(0, 3); times >= 0; times--) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const keys = Array.from({ length: 16 }, (_, key) => key * 3)
  const source = new SimulatedSource(new Map(keys.map((key) => [key, 0])), pause)
  source.vague = !keyed && random.chance(0.6)
  source.late = random.chance(0.5)
  const writing = keyed
    ? writeCommits(source, keys, random, pause)
    : insertRows(source, keys, random, pause)
  let saved: Saved | null = null
  for (let crashes = random.int(0, 3); crashes > 0; crashes--) {
    saved = await attempt(source, saved, random, true, pause, keyed)
  }
  await writing
  const { keys: lake } = await attempt(source, saved, random, false, pause, keyed)
  const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
  expect(sorted(lake), `seed ${seed}`).toEqual(sorted(keys))
}

for (const keyed of [true, false]) {
  test(`each row of a table ${keyed ? 'with' : 'without'} a key is appended once`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await appends(seed, keyed)
      }),
      {
        numRuns: 1_000_000,
        interruptAfterTimeLimit: SECONDS * 1000,
        markInterruptAsFailure: false,
      },
    )
  })
}
