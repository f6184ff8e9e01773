// Reads the log: events in, batches and progress out, in the order of the log. What is synchronous
// stays so, event after event without a promise.
//
// Rows take effect where they stand, except those that may be taken back. Both servers log rows
// between SAVEPOINT and ROLLBACK TO; MariaDB logs `BEGIN, rows, ROLLBACK` for a transaction that
// made a temporary table, with flags like any other's. So on MariaDB a transaction is held back to
// its end while it is small; one that outgrows memory is handed on, and see RolledBack.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { SourceElement } from '../../../runtime/data/element.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { LogWitness } from '../chunk/snapshot.ts'
import { parseStatement } from '../ddl/parse.ts'
import { EventReader } from '../decode/event-reader.ts'
import { EventType, type BinlogEvent, type GtidEvent } from '../decode/events.ts'
import type { HeartbeatEvent, MariadbGtidEvent, QueryEvent } from '../decode/events.ts'
import type { TransactionPayload } from '../decode/events.ts'
import { eventError, type Dump } from '../dump.ts'
import type { MysqlOptions } from '../options.ts'
import { Group, parseControl, type Control } from './group.ts'
import { HeldEvents, isXa } from './held.ts'
import type { PreparedTransactions } from './prepared.ts'
import type { ProcessedGtids } from './processed.ts'
import { RolledBack } from './rolled-back.ts'
import type { EarlyXa } from '../xa.ts'
import { RowWriter, type RowParts, type Work } from './rows.ts'

export interface LogReaderParts extends RowParts {
  readonly options: MysqlOptions
  readonly dump: Dump
  readonly processed: ProcessedGtids
  readonly prepared: PreparedTransactions
  /** Running maximum of the commit times so far. */
  readonly timeUs: bigint
  /** The server's clock now, us since 1970. */
  readonly serverTimeUs: () => bigint
  readonly xa: EarlyXa
  /** Asks where the log ends, and after that what transactions it has. */
  readonly logEnd: () => Promise<KnownEnd>
}

/** A place of the log, and the transactions that are in it before that place, or more. */
export interface KnownEnd {
  readonly file: string
  readonly offset: number
  readonly gtids: string
}

/** Requests are answered at most this often. */
const ANSWER_MS_MIN = 10

/** The log's end is asked for at most this often. */
const END_MS_MIN = 200

/** A transaction of MariaDB that outgrows it is not held back to its end. */
const HOLD_BYTES_MAX = 4 * 1024 * 1024

/** Events that are only looked at when they take effect. */
const HOLDABLE: ReadonlySet<number> = new Set([
  EventType.tableMap,
  EventType.writeRowsV1,
  EventType.updateRowsV1,
  EventType.deleteRowsV1,
  EventType.writeRows,
  EventType.updateRows,
  EventType.deleteRows,
  EventType.partialUpdateRows,
  EventType.writeRowsCompressedV1,
  EventType.updateRowsCompressedV1,
  EventType.deleteRowsCompressedV1,
  EventType.writeRowsCompressed,
  EventType.updateRowsCompressed,
  EventType.deleteRowsCompressed,
])
const TYPE_OFFSET = 4
const SIZE_OFFSET = 9
const END_OFFSET = 13

export class LogReader implements LogWitness {
  private readonly parts: LogReaderParts
  private readonly events: EventReader
  private readonly rows: RowWriter
  private readonly held: HeldEvents
  private readonly rolledBack: RolledBack
  private group: Group | null = null
  private requested = false
  private knownEnd: KnownEnd | null = null
  private endAskedMs = -Infinity
  private answeredMs = -Infinity
  private maxTimeUs: bigint
  /** Order of the last progress. */
  processed: Order

  constructor(parts: LogReaderParts) {
    this.parts = parts
    this.rows = new RowWriter(parts, () => this.maxTimeUs)
    this.events = new EventReader(parts.mariadb)
    this.held = new HeldEvents(this.rows, parts.mariadb)
    this.rolledBack = new RolledBack(parts.options.spillFolder)
    this.maxTimeUs = parts.timeUs
    this.processed = parts.after
  }

  /** Running maximum of the commit times: they go back against the order of the log (H12). */
  get timeUs(): bigint {
    return this.maxTimeUs
  }

  requestProgress(): void {
    this.requested = true
    this.parts.dump.client.reader.wake()
  }

  readTo(): Order {
    return this.parts.place.settledOrder()
  }

  endsAt(place: Order): boolean {
    return this.parts.place.ends.has(place)
  }

  hasDecided(xid: string): boolean {
    return this.parts.prepared.hasDecided(xid)
  }

  mayDecide(order: Order, xids: readonly string[]): boolean {
    return this.parts.prepared.mayDecide(order, xids)
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceElement> {
    const { dump, output } = this.parts
    const { reader } = dump.client
    const abort = (): void => reader.wake()
    signal.addEventListener('abort', abort, { once: true })
    try {
      while (!signal.aborted) {
        if (!reader.next()) {
          this.whenIdle()
          if (output.ready.length > 0) yield* output.drain()
          else await this.rest()
          continue
        }
        const { bytes, start, end } = reader
        const error = eventError(bytes, start, end)
        if (error !== null) throw error
        const work = this.accept(bytes, start + 1, end)
        if (output.ready.length > 0) yield* output.drain()
        if (work !== null) yield* work
      }
    } finally {
      signal.removeEventListener('abort', abort)
      this.group?.spool?.drop()
      dump.close()
    }
  }

  /** Nothing more has been received: hands out what is old enough, or was asked for. */
  private whenIdle(): void {
    const due = this.parts.output.dueInMs() === 0
    if (this.group !== null) {
      if (due) this.parts.output.flush()
      return
    }
    this.useEnd()
    if (this.requested && this.parts.mariadb) this.askEnd()
    if (due || (this.requested && this.answerInMs() === 0)) this.progress()
  }

  /**
   * Milliseconds until a request may be answered again. On an idle log, who waits for a place asks
   * again as soon as he is answered: answered at once, the two would go on without end between
   * themselves, and the bytes that both wait for would never be read from the socket.
   */
  private answerInMs(): number {
    return Math.max(0, this.answeredMs + ANSWER_MS_MIN - this.parts.options.clock.elapsedMs())
  }

  /**
   * MariaDB writes a checkpoint event behind the last transaction and does not wake its senders for
   * it: an idle log would never seem to be read to its end, and who waits for that waits for ever.
   */
  private askEnd(): void {
    const { options, logEnd, dump } = this.parts
    const { clock } = options
    if (clock.elapsedMs() < this.endAskedMs + END_MS_MIN) return
    this.endAskedMs = clock.elapsedMs()
    logEnd().then(
      (end) => {
        this.knownEnd = end
        dump.client.reader.wake()
      },
      // The connection that reads the log will say what is wrong.
      () => undefined,
    )
  }

  /** All transactions before a known end have been read: then everything before it has. */
  private useEnd(): void {
    const { knownEnd: end } = this
    const { place, processed } = this.parts
    this.knownEnd = null
    if (end === null || !processed.isAt(end.gtids)) return
    if (!place.skipTo(end.file, end.offset)) return
    place.settle()
    this.requested = true
  }

  private async rest(): Promise<void> {
    const { dump, output, options } = this.parts
    const answerMs = this.requested && this.group === null ? this.answerInMs() : null
    const dueMs = output.dueInMs() ?? answerMs
    const filled = dump.client.reader.fill()
    if (dueMs === null) return filled
    const cancel = options.clock.after(dueMs, () => dump.client.reader.wake())
    try {
      await filled
    } finally {
      cancel()
    }
  }

  /** All rows so far, and the place that the log has been read to. */
  private progress(): void {
    const { output, place, processed, options } = this.parts
    this.requested = false
    this.answeredMs = options.clock.elapsedMs()
    output.flush()
    const position = place.position(processed.format())
    this.processed = position.order
    output.ready.push({ kind: 'progress', position, sourceTimeUs: this.maxTimeUs })
  }

  /** Takes one event of the log. @returns what is left to do, `null` when it is done */
  private accept(bytes: Buffer, start: number, end: number): Work | null {
    const spool = this.group?.spool ?? null
    if (spool !== null && HOLDABLE.has(bytes[start + TYPE_OFFSET] ?? 0)) {
      const size = bytes.readUInt32LE(start + SIZE_OFFSET)
      this.parts.place.pass(size, bytes.readUInt32LE(start + END_OFFSET))
      spool.append(bytes, start, end)
      return spool.bytes > HOLD_BYTES_MAX ? this.outgrown() : null
    }
    const event = this.events.read(bytes, start, end)
    const place = this.parts.place.advance(event)
    switch (event.kind) {
      case 'gtid':
      case 'mariadb-gtid':
        this.open(event, place)
        return null
      case 'rotate':
        this.parts.place.enter(event.file, Number(event.position))
        this.outsideGroup()
        return null
      case 'format':
        // Table maps of the file before it mean nothing any more.
        this.parts.routes.forgetMaps()
        this.parts.place.born(event.timestampS)
        this.outsideGroup()
        return null
      case 'heartbeat':
        this.heartbeat(event)
        return null
      case 'previous-gtids':
      case 'skipped':
        this.outsideGroup()
        return null
      default:
        return this.inGroup(event, bytes, start, end)
    }
  }

  private outsideGroup(): void {
    if (this.group === null) this.parts.place.settle()
  }

  private heartbeat({ file, position }: HeartbeatEvent): void {
    if (this.group !== null) return
    this.parts.place.skipTo(file, Number(position))
    this.parts.place.settle()
    const now = this.parts.serverTimeUs()
    if (now > this.maxTimeUs) this.maxTimeUs = now
    this.progress()
  }

  private open(gtid: GtidEvent | MariadbGtidEvent, place: number): void {
    if (gtid.kind === 'gtid' && gtid.anonymous) {
      throw new PipelineError('SERVER_UNSUITABLE', 'the log has transactions without a GTID', {
        hint: 'Set `gtid_mode=ON`; `millrace check FILE` prints the steps.',
      })
    }
    // A group that says nothing (a filtered one) may have no end of its own.
    if (this.group !== null && (this.group.mark !== null || this.group.spool !== null)) {
      throw new PipelineError('LOG_CORRUPT', 'a transaction begins before the last one has ended')
    }
    if (this.group !== null) this.end(this.group)
    const group = new Group(gtid, place)
    this.group = group
    if (group.begun) group.hold(this.parts.options.spillFolder)
    group.mustHold = group.xid !== null || this.rolledBack.has(group.id)
  }

  /** @param bytes  the raw event, to be held back; it is at [start, end) */
  private inGroup(event: BinlogEvent, bytes: Buffer, start: number, end: number): Work | null {
    const { group } = this
    if (group === null) {
      throw new PipelineError('LOG_CORRUPT', 'the log has rows outside of a transaction')
    }
    switch (event.kind) {
      case 'xid':
        return this.commit(group)
      case 'xa-prepare':
        return this.prepareXa(group, event)
      case 'payload':
        if (group.spool === null) return this.payload(group, event, bytes, start, end)
        break
      case 'query': {
        const control = parseControl(event.text)
        if (control !== null) return this.control(group, control)
        if (isXa(event.text)) return this.xa(group, event)
        if (!group.begun) return this.standalone(group, event)
        break
      }
      default:
    }
    if (group.spool === null) return this.rows.apply(group, event)
    group.spool.append(bytes, start, end)
    return null
  }

  /** The transaction is too large to be held back: it is taken for one that will be committed. */
  private outgrown(): Work | null {
    const { group } = this
    if (group === null || group.spool === null || group.mustHold) return null
    return this.release(group)
  }

  /** Events that were held back take effect; those that follow do as they come. */
  private async *release(group: Group): Work {
    const { spool } = group
    group.spool = null
    if (spool === null) return
    yield* this.held.replay(group, spool.events(), this.events)
    spool.drop()
  }

  /** A statement that is a transaction of its own: DDL. */
  private async *standalone(group: Group, event: QueryEvent): Work {
    if (!group.isHalfAlter) yield* this.rows.follow(this.rows.apply(group, event))
    yield* this.finish(group)
  }

  private control(group: Group, control: Control): Work | null {
    const { spillFolder } = this.parts.options
    switch (control.verb) {
      case 'begin':
        group.begun = true
        if (group.mustHold) group.hold(spillFolder)
        return null
      case 'commit':
        return this.commit(group)
      case 'rollback':
        return this.rollback(group)
      case 'savepoint':
        group.savepoint(control.name, spillFolder)
        return null
      case 'rollback-to':
        group.rollbackTo(control.name)
        return null
      case 'release':
        return null
    }
  }

  private xa(group: Group, event: QueryEvent): Work | null {
    const statement = parseStatement(event.text, this.rows.statementOptions(event))
    if (statement.kind !== 'xa') return this.rows.apply(group, event)
    switch (statement.verb) {
      case 'start':
        group.begun = true
        group.xid = statement.xid
        group.mustHold = true
        group.hold(this.parts.options.spillFolder)
        return null
      case 'commit':
        return this.decideXa(group, statement.xid, true)
      case 'rollback':
        return this.decideXa(group, statement.xid, false)
      case 'end':
      case 'prepare':
        return null
    }
  }

  private prepareXa(
    group: Group,
    { xid, onePhase }: { xid: string; onePhase: boolean },
  ): Work | null {
    if (onePhase) return this.commit(group)
    this.parts.prepared.prepare(group.xid ?? xid, group.hold(this.parts.options.spillFolder))
    group.spool = null
    this.end(group)
    return null
  }

  private decideXa(group: Group, xid: string, committed: boolean): Work | null {
    const events = this.parts.prepared.decide(xid, this.parts.place.orderAt(group.start))
    if (committed && events === null && !this.isEarly(group, xid)) {
      throw new PipelineError('LOG_INCIDENT', `XA transaction ${xid} was prepared out of sight`, {
        detail: 'Its rows are in the log before the place where reading began.',
      })
    }
    if (committed && events !== null) return this.replay(group, events)
    this.end(group)
    return null
  }

  /** True when the rows are none of ours: the backfill has waited for this decision. */
  private isEarly(group: Group, xid: string): boolean {
    const { xa, place } = this.parts
    return xa.preparedBefore.includes(xid) || place.orderAt(group.start) < xa.decidedBefore
  }

  private rollback(group: Group): Work | null {
    if (group.sequence > 0) {
      this.rolledBack.add(group.id)
      throw new PipelineError(
        'CONNECT_FAILED',
        `transaction ${group.id} was rolled back in the log`,
        {
          detail: 'Its rows were handed on before its end. It is left out in the next attempt.',
        },
      )
    }
    group.spool?.drop()
    group.spool = null
    this.end(group)
    return null
  }

  private commit(group: Group): Work | null {
    const { spool } = group
    if (spool === null) {
      this.end(group)
      return null
    }
    return this.commitHeld(group)
  }

  private async *commitHeld(group: Group): Work {
    yield* this.release(group)
    yield* this.finish(group)
  }

  private async *replay(group: Group, events: Iterable<Buffer>): Work {
    yield* this.held.replay(group, events, null)
    yield* this.finish(group)
  }

  private async *finish(group: Group): Work {
    this.end(group)
    yield* this.parts.output.drain()
  }

  /** A compressed transaction: all of it but its GTID, and XA PREPARE perhaps, is in one event. */
  private async *payload(
    group: Group,
    event: TransactionPayload,
    bytes: Buffer,
    start: number,
    end: number,
  ): Work {
    const first = { xa: false }
    for await (const inner of this.held.changesIn(event, first)) {
      yield* this.rows.follow(this.rows.apply(group, inner))
    }
    if (!first.xa) {
      yield* this.finish(group)
      return
    }
    group.mustHold = true
    group.hold(this.parts.options.spillFolder).append(bytes, start, end)
    const prepared = await this.held.preparationIn(event)
    if (prepared !== null) yield* this.rows.follow(this.prepareXa(group, prepared))
  }

  /** The group is complete: it counts as read. */
  private end(group: Group): void {
    const { processed, place, output } = this.parts
    processed.add(group.gtid)
    place.end()
    const { commitTimeUs } = group
    if (commitTimeUs > this.maxTimeUs) this.maxTimeUs = commitTimeUs
    this.group = null
    // Each answer makes batches of what there is: one a transaction would be batches of one row.
    const wanted = this.requested && this.answerInMs() === 0
    if (wanted || output.dueInMs() === 0) this.progress()
  }
}
