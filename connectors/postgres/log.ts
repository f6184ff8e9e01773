// Reads the log: drives the parser, answers its stops, and yields batches and progress. Structure
// goes to the runtime through its context, always after the rows that came before it.

import { PipelineError } from '../../runtime/base/errors.ts'
import { BATCH_AGE_MS_MAX } from '../../runtime/data/batch.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import type { LogLink, SourceContext } from '../../runtime/source.ts'
import type { Ask } from './catalog.ts'
import { LogParser, Stop } from './decode/log-parser.ts'
import { LogStructure } from './log-structure.ts'
import type { LogTable } from './log-table.ts'
import { orderOfLsn, positionAt, type Lsn } from './lsn.ts'
import type { PostgresOptions } from './options.ts'
import { parseSnapshot, type DeliveredCommits } from './snapshot.ts'
import { SILENT_HEARTBEATS, type LogStream } from './stream.ts'
import type { StructurePoll } from './structure.ts'
import type { TableRegistry } from './tables.ts'

/** Builders of this many tables are kept between batches; of more, their memory is given up. */
const BUILDERS_KEPT_MAX = 256
/** Delivered commits are compared with a snapshot this often, while there are any. */
const VISIBILITY_MS = 500
/** Above this many commits that no snapshot has shown, reading waits for one. */
const UNSEEN_MAX = 262_144
/** Progress on an idle log comes at most this often, unless it is asked for. */
const IDLE_PROGRESS_MS = 100
const RECONNECT_MS_MAX = 5_000
const RECONNECT_ATTEMPTS = 12
const US_TO_2000 = 946_684_800_000_000n

export interface LogReaderParts {
  readonly options: PostgresOptions
  readonly ask: Ask
  readonly registry: TableRegistry
  readonly delivered: DeliveredCommits
  readonly poll: StructurePoll
  readonly sourceEpoch: number
  /** Running maximum of the commit times before, us since 2000. */
  readonly latest2000Us: number
  /** Opens the stream at a place, all checks passed. */
  readonly connect: (position: Lsn, signal: AbortSignal) => Promise<LogStream>
}

export class LogReader {
  private readonly parts: LogReaderParts
  private readonly parser: LogParser
  private readonly structure: LogStructure
  private readonly context: SourceContext
  private stream: LogStream | null = null
  private progressWanted = false
  private progressLsn: Lsn = -1
  private progressAtMs = 0
  /** When the oldest open row was first seen waiting; -1: none is open. */
  private openSinceMs = -1
  private rowsSeen = 0
  private visibleAtMs = 0
  private visibility: Promise<void> | null = null
  /** The server's last sign of life, or when reading began. */
  private heardMs: number
  private lost: PipelineError | null = null

  constructor(parts: LogReaderParts, after: Lsn, context: SourceContext) {
    this.parts = parts
    this.context = context
    this.heardMs = parts.options.clock.elapsedMs()
    const { slot } = parts.options
    this.parser = new LogParser(after, slot, parts.delivered, parts.latest2000Us)
    this.structure = new LogStructure(parts, context, () => this.stream?.wire.wake())
  }

  get latest2000Us(): number {
    return this.parser.latest2000Us
  }

  /** Everything that commits before it has been decoded. */
  get end(): Lsn {
    return this.parser.end
  }

  requestProgress(): void {
    this.progressWanted = true
    this.parser.commitWanted = true
    // The answer says how far the server has got, however quiet it is.
    this.stream?.sendStatus(true)
    this.stream?.wire.wake()
  }

  link(): LogLink {
    const { heartbeatMs } = this.parts.options
    return {
      open: this.stream !== null,
      silentMs: this.silentMs(),
      silentMsMax: SILENT_HEARTBEATS * heartbeatMs,
      lost: this.lost,
    }
  }

  /** Goes on to count when there is no stream. */
  private silentMs(): number {
    const nowMs = this.parts.options.clock.elapsedMs()
    if (this.stream !== null) this.heardMs = nowMs - this.stream.silentMs()
    return nowMs - this.heardMs
  }

  acknowledge(lsn: Lsn): void {
    this.stream?.acknowledge(lsn)
  }

  confirm(): void {
    this.structure.confirm()
    this.stream?.wire.wake()
  }

  get confirmed(): boolean {
    return this.structure.confirmed
  }

  /** Looks at the catalog as soon as possible. */
  pollNow(): void {
    this.structure.pollNow()
    this.stream?.wire.wake()
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceElement> {
    const wake = (): void => this.stream?.wire.wake()
    signal.addEventListener('abort', wake)
    try {
      this.forgetDeselected()
      this.structure.pollNow()
      while (!signal.aborted) {
        try {
          this.stream ??= await this.parts.connect(this.parser.end, signal)
          yield* this.session(this.stream, signal)
        } catch (error) {
          // Waits that the abort has ended come here too.
          if (signal.aborted) return
          yield* this.afterLoss(error, signal)
        }
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.closeStream()
      await this.visibility
    }
  }

  /**
   * Rows of a table that the configuration has ceased to select are skipped from here on, so it is
   * gone before the first of them. Told by a look at the catalog, it would be taken for read by
   * whoever selects it again, where a checkpoint and the end of the process came before the look.
   */
  private forgetDeselected(): void {
    const { registry, sourceEpoch } = this.parts
    for (const known of registry.all()) {
      const { namespace, name } = known.shape.source
      if (registry.captured(namespace, name)) continue
      registry.forget(known)
      const order = orderOfLsn(sourceEpoch, this.parser.end)
      this.context.tableDropped(tableKey(known.shape.source), order)
    }
  }

  /**
   * Rows that were handed out cannot be recalled, so a connection that breaks inside a transaction
   * ends the read: the runtime starts again from its checkpoint. Between transactions the stream
   * goes on behind the last one.
   */
  private async *afterLoss(error: unknown, signal: AbortSignal): AsyncGenerator<SourceElement> {
    this.closeStream()
    const lost = error instanceof PipelineError && error.error === 'CONNECT_FAILED'
    if (!lost || !this.parser.abandon()) throw error
    this.lost = error
    yield* this.flush()
    this.parts.options.log.warn('the log connection was lost', { reason: error.message })
    const { clock } = this.parts.options
    let delayMs = 100
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        this.stream = await this.parts.connect(this.parser.end, signal)
        this.parser.restart()
        this.structure.restart()
        this.lost = null
        return
      } catch (again) {
        const retry = again instanceof PipelineError && again.error === 'CONNECT_FAILED'
        if (!retry || attempt === RECONNECT_ATTEMPTS) throw again
        this.lost = again
      }
      await clock.sleep(delayMs, signal).catch(() => {})
      delayMs = Math.min(2 * delayMs, RECONNECT_MS_MAX)
    }
  }

  private closeStream(): void {
    // It alone knows when the server was heard last.
    this.silentMs()
    this.stream?.close()
    this.stream = null
  }

  private async *session(stream: LogStream, signal: AbortSignal): AsyncGenerator<SourceElement> {
    const { parser } = this
    const { wire } = stream
    while (!signal.aborted) {
      parser.turn = this.structure.turn
      const seen = wire.received
      const stop = parser.step(wire)
      stream.received(parser.end)
      if (parser.replyWanted) {
        parser.replyWanted = false
        stream.sendStatus(false)
      }
      while (parser.ready.length > 0) {
        const batch = parser.ready.shift()
        if (batch !== undefined) yield batch
      }
      if (stop === Stop.bytes || stop === Stop.idle) {
        yield* this.atRest()
        if (stop === Stop.bytes && !signal.aborted) await this.waitForBytes(stream, seen)
      } else yield* this.answer(stop, signal)
      if (this.parts.delivered.size > UNSEEN_MAX) await this.observe()
    }
  }

  /** Answers a stop that is not for want of bytes. */
  private async *answer(stop: Stop, signal: AbortSignal): AsyncGenerator<SourceElement> {
    const { parser, structure } = this
    switch (stop) {
      case Stop.commit:
        if (parser.countsWanted) structure.leafRows.commit(parser.stamp.xid, parser.counts)
        yield* this.betweenTransactions()
        break
      case Stop.relation:
        yield* this.relation(signal)
        break
      case Stop.truncate:
        yield* this.flush()
        structure.truncated(parser.truncated, parser.sequence, this.order())
        break
      case Stop.turn:
        yield* this.flush()
        structure.apply(parser.tables)
        break
      case Stop.open:
        this.openTable()
        break
      case Stop.null:
        yield* this.flush()
        structure.loosen(this.stoppedTable(), parser, this.order())
        break
      case Stop.unreadable:
        yield* this.flush()
        structure.park(this.stoppedTable(), parser)
        break
      default:
    }
  }

  private order(): bigint {
    return orderOfLsn(this.parts.sourceEpoch, this.parser.stamp.lsn)
  }

  private stoppedTable(): LogTable {
    const { table } = this.parser
    if (table === null) throw new PipelineError('INTERNAL', 'a stop names no table')
    return table
  }

  private openTable(): void {
    this.stoppedTable().open(this.parts.sourceEpoch)
  }

  private async *relation(signal: AbortSignal): AsyncGenerator<SourceElement> {
    const { parser, structure } = this
    const { relation, stamp } = parser
    if (relation === null) return
    const { announcedBefore: root, sequence } = parser
    if (structure.leafRows.announce(root, relation.oid, stamp.xid, sequence)) {
      parser.countsWanted = true
    }
    const prepared = await structure.prepare(relation, stamp.xid, signal)
    const current = parser.tables.get(relation.oid) ?? null
    if (current !== null && structure.isSame(current, prepared)) {
      structure.keep(prepared)
      return
    }
    // Rows in the old shape go out before the runtime hears of the new one.
    yield* this.flush()
    parser.announce(relation.oid, structure.announce(prepared, relation, this.order()))
  }

  /** All messages are read: hands out what has waited long enough. */
  private async *atRest(): AsyncGenerator<SourceElement> {
    const { parser } = this
    const { clock } = this.parts.options
    const now = clock.elapsedMs()
    if (this.rowsSeen !== parser.rowsPut) {
      this.rowsSeen = parser.rowsPut
      if (this.openSinceMs < 0) this.openSinceMs = now
    }
    this.structure.tick(now)
    if (!parser.inTransaction && this.progressWanted) {
      yield* this.betweenTransactions()
      return
    }
    if (this.openSinceMs >= 0 && now - this.openSinceMs >= BATCH_AGE_MS_MAX) yield* this.flush()
    if (parser.inTransaction || this.openSinceMs >= 0) return
    if (parser.end >= this.structure.turn) this.structure.apply(parser.tables)
    const due = now - this.progressAtMs >= IDLE_PROGRESS_MS
    if (due && parser.end > this.progressLsn) yield* this.progress()
    if (this.parts.delivered.size > 0 && now - this.visibleAtMs >= VISIBILITY_MS) {
      this.visibleAtMs = now
      this.visibility = this.observe().catch((error: unknown) => {
        this.parts.options.log.warn('the snapshot could not be read', { error: String(error) })
      })
    }
  }

  private async *betweenTransactions(): AsyncGenerator<SourceElement> {
    yield* this.flush()
    if (this.parser.end >= this.structure.turn) this.structure.apply(this.parser.tables)
    yield* this.progress()
  }

  private async *progress(): AsyncGenerator<SourceElement> {
    const { parser, parts } = this
    this.progressWanted = false
    parser.commitWanted = false
    this.progressLsn = parser.end
    this.progressAtMs = parts.options.clock.elapsedMs()
    for (const table of parser.tables.values()) this.reportParked(table)
    yield {
      kind: 'progress',
      position: positionAt(parts.sourceEpoch, parser.end),
      sourceTimeUs: BigInt(parser.time2000Us) + US_TO_2000,
    }
  }

  private reportParked(table: LogTable | null): void {
    if (table === null || table.parkedRows === 0) return
    this.context.countParked(table.key, table.parkedRows)
    table.parkedRows = 0
  }

  /** Hands out all open rows, and takes over structures that the runtime changed by itself. */
  private async *flush(): AsyncGenerator<SourceElement> {
    this.openSinceMs = -1
    const release = this.parser.tables.size > BUILDERS_KEPT_MAX
    for (const table of this.parser.tables.values()) {
      if (table === null) continue
      const batch = table.take(release)
      if (batch !== null) yield batch
    }
    // A resync gives a parked table its schema back, and takes effect between two batches.
    for (const table of this.parser.tables.values()) {
      if (table !== null) this.structure.refresh(table)
    }
  }

  private async waitForBytes(stream: LogStream, seen: number): Promise<void> {
    const { clock } = this.parts.options
    const waitMs =
      this.openSinceMs >= 0
        ? Math.max(1, this.openSinceMs + BATCH_AGE_MS_MAX - clock.elapsedMs())
        : this.parser.end > this.progressLsn
          ? IDLE_PROGRESS_MS
          : VISIBILITY_MS
    const cancel = clock.after(waitMs, () => stream.wire.wake())
    try {
      await stream.wire.more(seen)
    } finally {
      cancel()
    }
  }

  /** Asks what readers can see, and forgets the delivered commits among it. */
  private async observe(): Promise<void> {
    const { ask, delivered } = this.parts
    const [row] = await ask('SELECT pg_current_snapshot()::text AS snapshot')
    delivered.observe(parseSnapshot(String(row?.['snapshot'])))
  }
}
