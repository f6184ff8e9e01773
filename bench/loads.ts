// What the scenarios read: a log, a topic or a table, written once and read in every run.

import type { Engine, LogShape } from './engine.ts'
import type { Bench, Startup } from './scenario.ts'
import type { LatencyPlan } from './latency/scenario.ts'

export interface Sizes {
  /** Rows that the log and backfill scenarios read. */
  readonly rows: number
  /** Rows that are updated. */
  readonly updates: number
  /** Rows of the largest transaction. */
  readonly memoryRows: number
  /** What the log scenarios read. */
  readonly log: LogShape
  /** Rows that the updates go to, in turn. */
  readonly keys: number
  readonly latency: LatencyPlan
}

export const ROWS_PER_TRANSACTION = 1000
/** What the floors are for, and how tables are filled. */
export const USUAL_LOG: LogShape = {
  transactionRows: ROWS_PER_TRANSACTION,
  statementRows: ROWS_PER_TRANSACTION,
}

export interface Loaded {
  /** That one run reads. */
  readonly rows: number
  /** In the source, on average. */
  readonly bytesPerRow: number
  readonly startup: Startup
  /** Puts the pipeline before them again. */
  readonly prepare: () => Promise<void>
}

export type Load = (bench: Bench, sizes: Sizes) => Promise<Loaded>

export async function loadLog(bench: Bench, { rows, log }: Sizes): Promise<Loaded> {
  const { engine } = bench
  await say(bench, `loading ${rows} rows into the log`)
  const prepare = (): Promise<void> => bench.rewind()
  await bench.begin()
  await engine.mark()
  const startup = await bench.startup(prepare)
  await engine.load(1, rows, log)
  await engine.settle()
  return { rows, bytesPerRow: (await engine.logBytes()) / rows, startup, prepare }
}

export async function loadTopic(bench: Bench, { rows }: Sizes): Promise<Loaded> {
  const { engine } = bench
  await say(bench, `sending ${rows} messages`)
  const prepare = (): Promise<void> => bench.rewind()
  await bench.begin()
  await engine.mark()
  const startup = await bench.startup(prepare)
  await engine.load(2, rows, USUAL_LOG)
  return { rows, bytesPerRow: (await engine.logBytes()) / rows, startup, prepare }
}

export async function loadUpdates(bench: Bench, { updates, keys }: Sizes): Promise<Loaded> {
  const { engine } = bench
  await say(bench, `loading ${keys} rows, ${updates} updates`)
  const prepare = (): Promise<void> => bench.rewind()
  await engine.load(1, keys, USUAL_LOG)
  await bench.begin()
  await engine.mark()
  const startup = await bench.startup(prepare)
  await engine.update(updates, keys, ROWS_PER_TRANSACTION)
  await engine.settle()
  const bytesPerRow = (await engine.logBytes()) / updates
  return { rows: updates, bytesPerRow, startup, prepare }
}

export async function loadTable(bench: Bench, { rows }: Sizes): Promise<Loaded> {
  const { engine } = bench
  await say(bench, `loading ${rows} rows into the table`)
  const prepare = (): Promise<void> => bench.forget()
  const startup = await bench.startup(prepare)
  await engine.load(1, rows, USUAL_LOG)
  await engine.settle()
  return { rows, bytesPerRow: (await engine.tableBytes()) / rows, startup, prepare }
}

/** What can be read again and again, by scenario. */
export const loads: Readonly<Record<string, { kind: Engine['kind']; load: Load }>> = {
  'mysql-log': { kind: 'mysql', load: loadLog },
  'postgres-log': { kind: 'postgres', load: loadLog },
  'mariadb-log': { kind: 'mariadb', load: loadLog },
  'kafka-protobuf': { kind: 'kafka', load: loadTopic },
  'postgres-backfill': { kind: 'postgres', load: loadTable },
  'mysql-backfill': { kind: 'mysql', load: loadTable },
  'mysql-update': { kind: 'mysql', load: loadUpdates },
  'postgres-update': { kind: 'postgres', load: loadUpdates },
}

async function say({ engine, context }: Bench, text: string): Promise<void> {
  context.say(`${await engine.version()}: ${text}`)
}
