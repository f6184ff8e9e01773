// The hand-over from backfill to log, without locks and without losing a row. The log is read from
// the first second; chunks of the tables are read beside it, each in one snapshot, and their rows
// enter the corridor between the log's rows with their LOW as version: a writer drops a chunk row
// whose key has changed in the log at LOW or later. A table is handed over once all its chunks are
// in and the log has been read up to the highest HIGH: from then on every row is as committed.
//
//   log       ──x──────x────────────x──────────x───────▶
//   chunk        LOW ├── snapshot ──┤ HIGH          handed over when the log passes HIGH
//
// Log order is not visibility order, so "changed after LOW" may be true of a change that the chunk
// has already seen; it comes again, in order, and changes nothing. Before HIGH a reader of the lake
// may see a row older than the chunk's, after it never.
//
// A sink that keeps every row (mode `append`) cannot be told a row twice. For it a chunk waits in
// memory until the log has passed its HIGH: then every insert that it may have seen has come by the
// log, the writers remember all inserts since the backfill began, and drop those rows of the chunk.
// What they remember does not survive a restart, so the backfill of such a table begins anew then.
//
// A table without a key has one chunk, and what it shows must not come by the log: its rows of the
// log go through `UnkeyedTables`. That does not survive a restart either.

import { present } from '../base/assert.ts'
import { PipelineError } from '../base/errors.ts'
import type { ChangeBatch } from '../data/batch.ts'
import { batchBytes } from '../data/pack.ts'
import { sourceEpochOf, type Order } from '../data/position.ts'
import type { ChunkPart, ChunkRead, Source } from '../source.ts'
import { inHandOver, newBackfill, type Backfill, type TableRecord } from './tables.ts'
import { Ranges, type RangeTask } from './ranges.ts'
import type { HandOverOptions, HandOverOutput } from './handover-parts.ts'
import { Turns } from './turns.ts'
import { UnkeyedTables } from './unkeyed-tables.ts'

const WAITING_BYTES_MAX = 16 * 1024 * 1024
const RETRY_MS = 200
/** Behind a chunk that cannot be told from the log: where many commit, most cannot. */
const UNTOLD_MS = 20
/** How often it is looked whether the log has come far enough for a chunk that waits. */
const LOG_POLL_MS = 10
/** How often the writers hear what they may forget of a table that no chunk has been read of. */
const SETTLE_MS = 1000

interface OpenChunk {
  readonly table: string
  readonly low: Order
}

export class HandOver {
  private readonly source: Source
  private readonly tables: ReadonlyMap<string, TableRecord>
  private readonly output: HandOverOutput
  private readonly options: HandOverOptions
  private readonly open = new Set<OpenChunk>()
  /** By table: the writers remember changes from this order on, so no chunk may reach behind it. */
  private readonly guardedFrom = new Map<string, Order>()
  private readonly unkeyed: UnkeyedTables
  private readonly turns: Turns
  private readonly ranges: Ranges
  private settledAtMs = Number.NEGATIVE_INFINITY

  constructor(
    source: Source,
    tables: ReadonlyMap<string, TableRecord>,
    output: HandOverOutput,
    options: HandOverOptions,
  ) {
    this.source = source
    this.tables = tables
    this.output = output
    this.options = options
    this.turns = new Turns(options.clock)
    this.unkeyed = new UnkeyedTables(options.waitingBytesMax ?? WAITING_BYTES_MAX)
    this.ranges = new Ranges(source, tables, options.parallelism, this.recover.bind(this))
  }

  /** Puts a table (back) to the start of its backfill. */
  begin(record: TableRecord, repair: boolean): void {
    // What a repair does not bring again goes: it has to bring the rows of all.
    const together = (repair ? this.output.beginTogether?.(record) : null) ?? [record]
    for (const each of together) this.beginOne(each, repair)
  }

  private beginOne(record: TableRecord, repair: boolean): void {
    record.reason = null
    // Rows that stay would stand there twice after the repair.
    const adds = this.options.appends === true || record.schema.key === null
    this.copyFromStart(record, repair, repair && adds)
  }

  /** After a restart: a table without a key, or of a sink that keeps every row, begins anew. */
  resume(record: TableRecord): void {
    const { backfill, phase, schema } = record
    if (backfill === null) return
    if (this.isOfAnotherServer(record)) {
      this.begin(record, true)
      return
    }
    const kept = phase !== 'catching-up' && this.options.appends === true
    if (kept || schema.key === null) this.restart(record, backfill)
    else this.announce(record)
  }

  /** Takes back what the lake has of a table and copies it from the start. */
  private restart(record: TableRecord, { repair }: Backfill): void {
    this.copyFromStart(record, repair, true)
  }

  /** @param empties  takes back what the lake has of the table */
  private copyFromStart(record: TableRecord, repair: boolean, empties: boolean): void {
    record.backfill = newBackfill(repair)
    record.phase = 'waiting'
    this.announce(record)
    if (empties) this.empty(record)
    this.turns.wake()
  }

  /**
   * The log has shown a TRUNCATE. The chunk of a table without a key may be of after it and have a
   * LOW of before: its rows would go with those of before, and the log brings none of them.
   */
  truncated(record: TableRecord): void {
    const { backfill, schema } = record
    if (backfill !== null && this.unkeyed.isAccepted(schema.table)) this.restart(record, backfill)
  }

  /** Rows of the log, in its order; `undefined`: there is credit for more. */
  send(batch: ChangeBatch): Promise<unknown> | undefined {
    const record = this.tables.get(batch.table)
    if (record === undefined || record.backfill === null || !inHandOver(record)) {
      return this.output.send(batch)
    }
    const taken = this.unkeyed.take(batch)
    if (taken === 'undecided') this.restart(record, record.backfill)
    else if (taken !== null) return this.output.send(taken)
    return undefined
  }

  /**
   * The log goes on at another server, which need not have all that the chunks have shown (H7):
   * rows that only the old one had would stay for ever. A repair removes what it does not confirm.
   */
  private isOfAnotherServer({ backfill }: TableRecord): boolean {
    const now = sourceEpochOf(this.output.processed().order)
    return backfill !== null && backfill.sourceEpoch !== null && backfill.sourceEpoch !== now
  }

  /** Takes back what the writers have of a table; they must know that its backfill has begun. */
  private empty({ schema }: TableRecord): void {
    // A chunk may have the position of now as its LOW, and must not be taken for older than this.
    const order = this.output.processed().order - 1n
    this.output.control({ kind: 'truncate', table: schema.table, order })
  }

  /** Call after each Progress: tables whose chunks the log has now overtaken are handed over. */
  advance(): void {
    const processed = this.output.processed()
    for (const record of this.tables.values()) {
      if (inHandOver(record) && this.isOfAnotherServer(record)) this.begin(record, true)
      this.followKey(record)
      const { backfill, phase, schema } = record
      if (phase !== 'catching-up' || backfill === null || processed.order < backfill.high) continue
      record.phase = 'streaming'
      record.backfill = null
      record.floor = null
      this.unkeyed.end(schema.table)
      const { order } = processed
      this.output.control({ kind: 'settled', table: schema.table, order, done: true })
    }
    this.settleAll()
    this.turns.wake()
  }

  /**
   * A key that came or went: chunk and log are told apart in another way now. Between transactions,
   * since the rows of one that have been sent are taken back.
   */
  private followKey(record: TableRecord): void {
    const { backfill, schema } = record
    if (backfill === null || !inHandOver(record)) return
    if (this.unkeyed.has(schema.table) !== (schema.key === null)) this.restart(record, backfill)
  }

  /**
   * A table may wait for hours for its first chunk, or for the log to pass its last, while its rows
   * change: the writers would remember every key of it.
   */
  private settleAll(): void {
    const now = this.options.clock.elapsedMs()
    if (now - this.settledAtMs < SETTLE_MS) return
    this.settledAtMs = now
    for (const record of this.tables.values()) {
      if (inHandOver(record)) this.settle(record)
      else this.unkeyed.end(record.schema.table)
    }
  }

  /** True when no table waits, is read or catches up. */
  finished(): boolean {
    for (const { phase } of this.tables.values()) {
      if (phase === 'waiting' || phase === 'backfilling' || phase === 'catching-up') return false
    }
    return true
  }

  /** Reads chunks until the signal aborts. @throws what a source throws that is not the table's */
  async run(signal: AbortSignal): Promise<void> {
    const readers = Array.from({ length: this.options.parallelism }, () => this.reader(signal))
    await Promise.all([this.admit(signal), ...readers])
  }

  private announce({ schema, backfill, floor }: TableRecord): void {
    const repair = backfill?.repair ?? false
    const { order } = this.output.processed()
    this.guardedFrom.set(schema.table, order)
    if (schema.key === null) this.unkeyed.begin(schema.table, order)
    else this.unkeyed.end(schema.table)
    this.output.control({ kind: 'backfill', table: schema.table, repair, floor })
  }

  /** Moves tables from `waiting` to `backfilling` as the source allows. */
  private async admit(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const record of this.tables.values()) {
        if (record.phase === 'waiting') await this.admitTable(record)
      }
      await this.turns.rest(RETRY_MS * 2, signal)
    }
  }

  private async admitTable(record: TableRecord): Promise<void> {
    const admission = await this.source.mayBackfill(record.schema.table)
    if (record.phase !== 'waiting') return
    record.waitsFor = admission.ready ? null : admission.waitsFor
    if (!admission.ready) return
    record.phase = 'backfilling'
    this.turns.wake()
  }

  private async reader(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const task = await this.ranges.take(signal)
      if (task === null) {
        await this.turns.rest(RETRY_MS, signal)
        continue
      }
      try {
        await this.readChunk(task, signal)
      } catch (error) {
        if (signal.aborted) return
        await this.recover(task.record, error, signal)
      } finally {
        this.ranges.giveBack(task)
        this.turns.wake()
      }
    }
  }

  /** A table's own trouble parks it or waits for the log; everything else ends the attempt. */
  private async recover(record: TableRecord, error: unknown, signal: AbortSignal): Promise<void> {
    if (!(error instanceof PipelineError)) throw error
    switch (error.error) {
      case 'SCHEMA_MOVED':
        this.source.requestProgress()
        await this.turns.pause(RETRY_MS, signal)
        return
      case 'VALUE_UNREPRESENTABLE':
      case 'TYPE_UNSUPPORTED':
      case 'PRIVILEGE_MISSING':
        // A chunk may stumble over a table that has gone meanwhile: it stays gone.
        if (record.phase !== 'dropped') this.output.park(record.schema.table, error)
        return
      default:
        throw error
    }
  }

  private async readChunk(
    { record, backfill, range }: RangeTask,
    signal: AbortSignal,
  ): Promise<void> {
    const { schema } = record
    const { table } = schema
    const { after, until } = range
    const { pace, chunkRows: most } = this.options
    const chunkRows = pace?.rowsMax(table, most) ?? most
    // A table without a key is read in one go: nothing tells where a second chunk would begin.
    const limit = schema.key === null ? Number.MAX_SAFE_INTEGER : chunkRows
    const processed = this.output.processed()
    if (!(await this.withinGuard(record, this.source.lowBound(processed), signal))) return
    // Entered before the chunk opens, so that nobody forgets changes that its LOW may reach back
    // to.
    const early: OpenChunk = { table, low: this.source.lowBound(processed) }
    this.open.add(early)
    let chunk: OpenChunk = early
    let entered = false
    try {
      const read = await this.source.openChunk(
        { table, after, until },
        limit,
        schema,
        processed,
        signal,
      )
      chunk = { table, low: read.low }
      this.open.add(chunk)
      this.open.delete(early)
      entered = await this.mayEnter({ record, backfill, range }, read, signal)
      if (entered) {
        await this.emit({ record, backfill, range }, read, signal)
      } else {
        // The loop runs the reader's own clean-up, which a `return` before the start would not.
        for await (const _ of read.parts) break
      }
    } finally {
      this.open.delete(early)
      this.open.delete(chunk)
      // The log has gone on without the rows that this chunk shows.
      const lost = entered && schema.key === null && record.phase === 'backfilling'
      if (lost && record.backfill === backfill && !signal.aborted) this.restart(record, backfill)
    }
    if (record.backfill === backfill) this.settle(record)
  }

  /**
   * A commit that the log has delivered but that readers do not see yet (it waits for a standby)
   * pulls LOW back. Behind the start of the guard the writers remember nothing, so a chunk that
   * reaches there would bring the row from before that commit back for good. This can only happen
   * shortly after a start; the table waits until the commit is known to be visible.
   */
  private async withinGuard(
    record: TableRecord,
    low: Order,
    signal: AbortSignal,
  ): Promise<boolean> {
    const within = low >= (this.guardedFrom.get(record.schema.table) ?? 0n)
    record.waitsFor = within ? null : 'a commit of the log to become visible'
    if (!within) {
      this.source.requestProgress()
      await this.turns.pause(RETRY_MS, signal)
    }
    return within
  }

  /** @returns false: the chunk is of no use, another one must be opened */
  private async mayEnter(
    { record, backfill }: RangeTask,
    { low, visibility }: ChunkRead,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!(await this.withinGuard(record, low, signal))) return false
    await this.reached(low, signal)
    if (visibility === null) return true
    await this.reached(visibility.certainFrom, signal)
    if (signal.aborted || record.backfill !== backfill) return false
    const { table, version } = record.schema
    // Its rows would count as those that the TRUNCATE removed.
    const emptied = record.floor !== null && low <= record.floor
    const passed = emptied ? null : this.unkeyed.accept(table, low, visibility, version)
    record.waitsFor = passed === null ? 'a moment in which nobody changes the table' : null
    if (passed === null) {
      await this.turns.pause(UNTOLD_MS, signal)
      return false
    }
    // All at once: whatever the log brings from here on comes behind them.
    const sent = passed.map((batch) => this.output.send(batch))
    await Promise.all(sent.filter((credit) => credit !== undefined))
    return true
  }

  private async emit(task: RangeTask, read: ChunkRead, signal: AbortSignal): Promise<void> {
    const { record, backfill, range } = task
    backfill.sourceEpoch ??= sourceEpochOf(read.low)
    const waits = this.options.appends === true && record.schema.key !== null
    const held = await this.emitParts(task, read.parts, waits, signal)
    if (held === null) return
    const noted = this.noteHigh(backfill, read)
    // Another chunk of this range follows, and its HIGH will lie behind this one: a reader that
    // waited here for the server to flush its log would spend most of its time on that.
    if (!waits && !read.exhausted()) {
      noted.catch(() => undefined)
      return
    }
    const high = await noted
    if (waits) await this.reached(high, signal)
    for (const part of held) if (!(await this.emitPart(task, part, signal))) return
    // Begun anew while HIGH was asked for, the table has another backfill, which is not done.
    if (record.backfill !== backfill) return
    if (read.exhausted()) range.done = true
    const ranges = present(backfill.ranges, 'a table is cut before it is read')
    if (ranges.every(({ done }) => done) && record.phase === 'backfilling') {
      record.phase = 'catching-up'
      this.source.requestProgress()
    }
  }

  /**
   * @param waits  no row may enter before the log has been read up to a place behind the snapshot
   * @returns parts that wait for HIGH; `null`: the chunk was given up
   */
  private async emitParts(
    task: RangeTask,
    parts: AsyncIterable<ChunkPart>,
    waits: boolean,
    signal: AbortSignal,
  ): Promise<readonly ChunkPart[] | null> {
    const { waitingBytesMax = WAITING_BYTES_MAX, pace } = this.options
    let bytes = 0
    let held: ChunkPart[] = []
    for await (const part of parts) {
      await pace?.pay(part.batch, signal)
      held.push(part)
      bytes += batchBytes(part.batch)
      if (waits && bytes < waitingBytesMax) continue
      // Rows of any size are in a chunk. The end of the log as of now lies behind its snapshot too.
      if (waits) await this.reached((await this.source.head()).order, signal)
      waits = false
      for (const each of held) if (!(await this.emitPart(task, each, signal))) return null
      held = []
    }
    return held
  }

  private async noteHigh(backfill: Backfill, read: ChunkRead): Promise<Order> {
    const high = await read.high()
    if (high > backfill.high) backfill.high = high
    return high
  }

  /** @returns false when the table was parked, dropped or begun anew while the chunk was read */
  private async emitPart(
    { record, backfill, range }: RangeTask,
    { batch, lastKey }: ChunkPart,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (signal.aborted || record.backfill !== backfill || record.phase !== 'backfilling') {
      return false
    }
    if (batch.schemaVersion !== record.schema.version) {
      throw new PipelineError('SCHEMA_MOVED', `table "${batch.table}" changed during its chunk`)
    }
    const sent = this.output.send(batch)
    range.after = lastKey
    backfill.rowsDone += batch.rows
    if (sent !== undefined) await sent
    return true
  }

  /**
   * Resolves when the log has been sent up to `order`. MariaDB's snapshots lie ahead of the log
   * reader: their rows must not enter before the changes that they contain. It sleeps, since an
   * idle log answers a request at once: asking again on each answer would never let a socket be
   * served.
   */
  private async reached(order: Order, signal: AbortSignal): Promise<void> {
    while (this.output.processed().order < order && !signal.aborted) {
      this.source.requestProgress()
      await this.turns.pause(LOG_POLL_MS, signal)
    }
  }

  /** Tells the writers how far back a chunk may still reach. */
  private settle({ schema }: TableRecord): void {
    let order = this.source.lowBound(this.output.processed())
    for (const { table, low } of this.open) {
      if (table === schema.table && low < order) order = low
    }
    this.output.control({ kind: 'settled', table: schema.table, order, done: false })
  }
}
