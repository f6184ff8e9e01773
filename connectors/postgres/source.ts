// The PostgreSQL source: the port of the runtime, put together from opening, log and chunks.

import { PipelineError } from '../../runtime/base/errors.ts'
import { reachesInOrder, type Order, type Position } from '../../runtime/data/position.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { CommitReceipt } from '../../runtime/sink.ts'
import type {
  Chunk,
  ChunkRead,
  LogLink,
  Source,
  SourceContext,
  SourceOpening,
} from '../../runtime/source.ts'
import type { Ask } from './catalog.ts'
import { chunkFailure, openChunk } from './chunk.ts'
import { ChunkPool } from './chunk-pool.ts'
import { Control } from './control.ts'
import { estimateRows, splitKeys } from './estimate.ts'
import { LogReader } from './log.ts'
import { reachable, untilFlushed } from './log-end.ts'
import { orderOfLsn, parseLsn, placeOf, positionAt, type Lsn } from './lsn.ts'
import { openSource, type Opened } from './opening.ts'
import { readOpenTransactions } from './open-transactions.ts'
import type { PostgresOptions } from './options.ts'
import { readSlot, requireSlotAt } from './server.ts'
import { SLOT_RETRY_MS, SlotWait } from './slot-wait.ts'
import { DeliveredCommits, parseSnapshot } from './snapshot.ts'
import { decodeState, encodeState } from './state.ts'
import { connectLog, identifySystem, LogStream } from './stream.ts'
import { StructurePoll } from './structure.ts'

/** @returns a source that has not connected yet; `open` does */
export function createPostgresSource(options: PostgresOptions): Source {
  return new PostgresSource(options)
}

class PostgresSource implements Source {
  readonly reaches = reachesInOrder
  private readonly options: PostgresOptions
  private readonly control: Control
  private readonly pool: ChunkPool
  private readonly ask: Ask
  private opened: Opened | null = null
  private delivered = new DeliveredCommits(0, [])
  private poll: StructurePoll | null = null
  private reader: LogReader | null = null
  private acknowledged: Lsn = 0
  private highest: Lsn = 0
  /** Running maximum of the commit times of the log before the start. */
  private latest2000Us = 0

  constructor(options: PostgresOptions) {
    this.options = options
    this.control = new Control(options)
    this.pool = new ChunkPool(options)
    this.ask = async (sql, values, patient) => this.control.query(sql, values, patient)
  }

  async open(
    saved: Uint8Array | null,
    after: Position | null,
    renew: boolean,
  ): Promise<SourceOpening> {
    const state = saved === null ? null : decodeState(saved)
    const checkpoint = state === null || after === null ? null : { state, ...placeOf(after) }
    const before = after === null ? null : placeOf(after).sourceEpoch
    const opened = await openSource(this.options, this.ask, checkpoint, before, renew)
    this.opened = opened
    this.delivered = new DeliveredCommits(opened.xid, state?.unseen ?? [])
    this.highest = state?.highest ?? 0
    this.latest2000Us = state?.latest2000Us ?? 0
    this.acknowledged = opened.position
    this.poll = new StructurePoll(this.ask, opened.registry, opened.facts)
    return {
      position: positionAt(opened.sourceEpoch, opened.position),
      tables: opened.registry.all().map(({ shape }) => shape.source),
    }
  }

  private get ready(): Opened {
    if (this.opened === null) throw new PipelineError('INTERNAL', 'the source is not open')
    return this.opened
  }

  read(after: Position, context: SourceContext, signal: AbortSignal): AsyncIterable<SourceElement> {
    const { registry, sourceEpoch } = this.ready
    const { options, ask, delivered, poll, latest2000Us } = this
    if (poll === null) throw new PipelineError('INTERNAL', 'the source is not open')
    poll.forget()
    const connect = async (position: Lsn, stop: AbortSignal): Promise<LogStream> =>
      this.connectLog(position, stop)
    const known = { options, ask, registry, delivered, poll, sourceEpoch }
    const parts = { ...known, latest2000Us, connect }
    this.reader = new LogReader(parts, placeOf(after).lsn, context)
    return this.reader.read(signal)
  }

  /**
   * Opens the stream, after the checks that every start needs. While a connection of before still
   * holds the slot, and be it for minutes, there is nothing that a person could do.
   */
  private async connectLog(position: Lsn, signal: AbortSignal): Promise<LogStream> {
    const { clock, slot: name } = this.options
    const wait = new SlotWait(clock, this.ready.facts.walSenderTimeoutMs)
    for (;;) {
      const slot = await readSlot(this.ask, name)
      requireSlotAt(slot, name, position)
      const stream = slot.active ? null : await this.startLog(position)
      if (stream !== null) return stream
      if (!wait.mayWait(slot)) {
        const message = `replication slot "${name}" is still held by another connection`
        throw new PipelineError('CONNECT_FAILED', message)
      }
      await clock.sleep(SLOT_RETRY_MS, signal)
    }
  }

  /** @returns `null` when another connection has the slot */
  private async startLog(position: Lsn): Promise<LogStream | null> {
    const { identity, facts } = this.ready
    const client = await connectLog(this.options)
    try {
      const { system, timeline } = await identifySystem(client)
      if (system !== identity.system || timeline !== identity.timeline) {
        throw new PipelineError('CONNECT_FAILED', 'another server answers: starting again')
      }
      const { walSenderTimeoutMs } = facts
      const { options, acknowledged } = this
      return await LogStream.start(client, options, position, acknowledged, walSenderTimeoutMs)
    } catch (error) {
      await client.end().catch(() => {})
      if (error instanceof PipelineError && error.error === 'SLOT_IN_USE') return null
      throw error
    }
  }

  requestProgress(): void {
    this.reader?.requestProgress()
  }

  link(): LogLink | null {
    return this.reader?.link() ?? null
  }

  confirm(): void {
    this.reader?.confirm()
  }

  confirmed(): boolean {
    return this.reader?.confirmed ?? false
  }

  async head(): Promise<Position> {
    const [row] = await this.ask('SELECT pg_current_wal_flush_lsn()::text AS lsn')
    const { facts, sourceEpoch } = this.ready
    return positionAt(sourceEpoch, reachable(parseLsn(String(row?.['lsn'])), facts))
  }

  async estimateRows(table: string): Promise<number | null> {
    const known = this.ready.registry.named(table)
    return known === null ? null : estimateRows(this.ask, known.shape)
  }

  async splitKeys(schema: TableSchema, count: number): Promise<readonly string[]> {
    const { registry } = this.ready
    const known = registry.named(schema.table)
    if (known === null || schema.key === null) return []
    try {
      return await splitKeys(this.ask, known.shape, registry.types.lookup, count)
    } catch (error) {
      const failure = chunkFailure(error, schema.table)
      // The chunks meet the same refusal, and park the table alone.
      if (failure.error === 'PRIVILEGE_MISSING') return []
      if (failure.error === 'SCHEMA_MOVED') this.lookAgain()
      throw failure
    }
  }

  /** The catalog is not what the log has shown: it is looked at as soon as possible. */
  private lookAgain(): void {
    this.poll?.forget()
    this.reader?.pollNow()
  }

  async openChunk(
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    processed: Position,
    signal: AbortSignal,
  ): Promise<ChunkRead> {
    const { registry, sourceEpoch } = this.ready
    const lowOf = this.delivered.lowOf(placeOf(processed).lsn)
    const lease = await this.pool.lease(signal)
    const parts = {
      registry,
      sourceEpoch,
      lowOf,
      durable: async (inserted: Lsn, stop: AbortSignal) => this.durable(inserted, stop),
      moved: () => this.lookAgain(),
    }
    return openChunk(lease, parts, chunk, limit, schema, signal)
  }

  private async durable(inserted: Lsn, signal: AbortSignal): Promise<Lsn> {
    const { facts } = this.ready
    const high = reachable(inserted, facts)
    // Before the first row: a checkpoint may come between any two.
    this.highest = Math.max(this.highest, high)
    await untilFlushed(this.ask, this.options.clock, facts, high, signal)
    return high
  }

  async mayBackfill(table: string): Promise<{ ready: true } | { ready: false; waitsFor: string }> {
    const known = this.ready.registry.named(table)
    if (known === null || known.joinedAt === 0) return { ready: true }
    const [row] = await this.ask('SELECT pg_current_snapshot()::text AS snapshot')
    const { xmin } = parseSnapshot(String(row?.['snapshot']))
    if (xmin < known.joinedAt) return { ready: false, waitsFor: await this.oldestTransaction() }
    this.ready.registry.set({ ...known, joinedAt: 0 })
    return { ready: true }
  }

  private async oldestTransaction(): Promise<string> {
    const [oldest] = await readOpenTransactions(this.ask, 1)
    if (oldest === undefined) {
      return 'a transaction that is older than the publication of the table'
    }
    return `the transaction of ${oldest.who}, open since ${String(oldest.since)}`
  }

  lowBound(processed: Position): Order {
    return orderOfLsn(this.ready.sourceEpoch, this.delivered.bound(placeOf(processed).lsn))
  }

  save(): Uint8Array {
    const { facts, identity, registry, sourceEpoch, xid } = this.ready
    const { oid, changedBy } = registry.publication
    return encodeState({
      system: identity.system,
      timeline: identity.timeline,
      database: facts.databaseOid,
      slot: this.options.slot,
      publication: { oid, changedBy },
      sourceEpoch,
      highest: this.highest,
      unseen: this.delivered.save(),
      latest2000Us: this.reader?.latest2000Us ?? this.latest2000Us,
      xid,
      tables: registry.all(),
    })
  }

  async acknowledge(receipt: CommitReceipt): Promise<void> {
    const { lsn } = placeOf(receipt.position)
    this.acknowledged = Math.max(this.acknowledged, lsn)
    this.reader?.acknowledge(lsn)
  }

  async close(): Promise<void> {
    await this.pool.close()
    await this.control.close()
  }
}
