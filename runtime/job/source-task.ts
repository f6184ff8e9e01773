// The source thread: reads the log, runs the hand-over beside it, keeps the tables' structures, and
// cuts everything with barriers. Whatever goes into the exchange goes through `Corridor`, one call
// after the other, so a barrier and the state saved with it describe the same instant.

import type { Clock } from '../base/clock.ts'
import { recordOf, PipelineError, type ErrorRecord } from '../base/errors.ts'
import type { SavedTimes, SourceCheckpoint } from '../checkpoint/manifest.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Progress, Shown } from '../data/element.ts'
import { batchBytes } from '../data/pack.ts'
import type { Order, Position } from '../data/position.ts'
import { isUnion, tableKey, type SourceTable } from '../data/schema.ts'
import { HandOver } from '../flow/handover.ts'
import type { ChannelSender } from '../flow/channel.ts'
import { NO_OPERATORS, type OperatorPlans } from '../operator.ts'
import type { TableRecord } from '../flow/tables.ts'
import type { Source, SourceOpening, SplitTimes } from '../source.ts'
import { Corridor } from './corridor.ts'
import { LateRows, NO_LATE_RULES, type LateRules } from './late-rows.ts'
import type { Limits } from './limits.ts'
import { LogWatch } from './log-watch.ts'
import type { Repair, SourceCommand, SourceReport, SourceStart } from './messages.ts'
import type { TableProgress } from './messages.ts'
import { TableTimes } from './table-times.ts'
import { Throttle } from './throttle.ts'

/** How often the main thread hears how far the source is. */
const PROGRESS_MS = 250
/** So much of a transaction is read beyond a limit, to come to its end. */
const READ_ON_BYTES_MAX = 8 * 1024 * 1024
const HEAD_MS = 1000

export interface SourceTaskOutput {
  report(report: SourceReport): void
}

export class SourceTask {
  private readonly source: Source
  private readonly start: SourceStart
  private readonly channels: readonly ChannelSender[]
  private readonly output: SourceTaskOutput
  private readonly clock: Clock
  private readonly stopping = new AbortController()
  private readonly corridor: Corridor
  private readonly handOver: HandOver
  private readonly logWatch: LogWatch
  private readonly times: TableTimes
  /** The source is kept from reading, by credit or by its limits, whatever it thinks. */
  private isSending = false
  private barrierAt: { readonly epoch: number; readonly shows: Shown } | null = null
  private readonly throttle: Throttle
  /** The last that the log brought, if nothing has come behind it; `null`: rows. */
  private progress: Progress | null = null
  /** The log end that `once` reads up to; `null`: none. */
  private target: Position | null = null
  private headOrder: Order | null = null
  private askingHead = false
  private finished = false
  /** They begin between two transactions: see `pass`. */
  private readonly repairs: Repair[] = []
  /** The source has been asked for what the log does not carry. */
  private confirming = false

  constructor(
    source: Source,
    start: SourceStart,
    channels: readonly ChannelSender[],
    output: SourceTaskOutput,
    clock: Clock,
    plans: OperatorPlans = NO_OPERATORS,
    lateRules: LateRules = NO_LATE_RULES,
  ) {
    this.source = source
    this.start = start
    this.channels = channels
    this.output = output
    this.clock = clock
    this.logWatch = new LogWatch(clock)
    const { appends, backfillParallelism, chunkRows, eventTime } = start.options
    this.times = new TableTimes(eventTime, start.checkpoint?.times ?? null)
    this.throttle = new Throttle(clock, source.pauseTables !== undefined, start.options.limits)
    this.corridor = new Corridor(channels, start.options, plans)
    this.corridor.late = new LateRows(lateRules)
    this.corridor.late.passed(start.checkpoint?.times?.tables ?? [])
    this.handOver = new HandOver(source, this.corridor.tables, this.corridor, {
      parallelism: backfillParallelism,
      chunkRows,
      appends,
      pace: this.throttle,
      clock,
    })
    this.corridor.onTimes = (times) => this.times.timesRead(times)
    this.corridor.onTruncated = (record) => this.handOver.truncated(record)
    this.corridor.onNewTable = (record) => {
      const own = this.corridor.isDeadLetters(record.schema.table)
      if (start.options.backfills && !own) this.handOver.begin(record, false)
      else this.corridor.takeRows(record)
    }
  }

  /** Runs until `stop`, or until the source fails; reports either. */
  async run(): Promise<void> {
    try {
      const position = await this.open()
      const { signal } = this.stopping
      const timers = [
        this.clock.every(PROGRESS_MS, () => this.reportProgress()),
        this.clock.every(HEAD_MS, () => void this.refreshHead()),
      ]
      try {
        await Promise.all([
          this.readLog(position, signal).catch((error: unknown) => this.fail(error)),
          this.handOver.run(signal).catch((error: unknown) => this.fail(error)),
        ])
      } finally {
        for (const cancel of timers) cancel()
      }
    } catch (error) {
      this.fail(error)
    } finally {
      await this.source.close().catch(() => undefined)
      this.output.report({ kind: 'stopped' })
    }
  }

  /** @param command  any but `start` */
  handle(command: SourceCommand): void {
    switch (command.kind) {
      case 'barrier':
        this.barrierAt = command
        this.source.requestProgress()
        break
      case 'acknowledge':
        this.source.acknowledge(command.receipt).catch((error: unknown) => this.fail(error))
        break
      case 'park':
        this.corridor.parkRecord(command.table, command.reason)
        break
      case 'repair':
        this.repairs.push(command.repair)
        this.source.requestProgress()
        break
      case 'stop':
        this.stopping.abort()
        break
      case 'start':
        throw new PipelineError('INTERNAL', 'a source task starts once')
    }
  }

  private async open(): Promise<Position> {
    const { checkpoint, repairs, parked, options } = this.start
    const fresh = repairs.all
    const saved = checkpoint === null || fresh ? null : Buffer.from(checkpoint.state, 'base64')
    const after = checkpoint?.position ?? null
    const opening = await this.source.open(saved, after, fresh)
    if (checkpoint === null && opening.tables.length === 0 && opening.more !== true) {
      throw new PipelineError('NO_TABLES', 'no table of the source matches `source.tables`')
    }
    if (options.once) this.target = await this.source.head()
    this.corridor.begin(opening.position, checkpoint?.sourceTimeUs ?? 0n)
    if (checkpoint !== null) this.restore(checkpoint)
    this.corridor.newTables = checkpoint === null ? 'refuse' : 'park'
    for (const table of opening.tables) this.join(table, opening.position, fresh)
    if (fresh) this.dropMissing(opening)
    this.corridor.openDeadLetters(opening.position.order)
    this.corridor.newTables = 'park'
    for (const { table, reason } of parked) this.corridor.parkRecord(table, reason)
    for (const repair of repairs.tables) this.repair(repair)
    this.output.report({ kind: 'opened', tables: opening.tables.map(tableKey) })
    this.tellProgress()
    return opening.position
  }

  private restore(checkpoint: SourceCheckpoint): void {
    for (const record of checkpoint.tables) this.corridor.restore(record)
    // Tables that are one in the lake may begin anew together, so all are there before that.
    for (const record of checkpoint.tables) {
      if (record.phase !== 'parked' && record.phase !== 'dropped') this.handOver.resume(record)
    }
  }

  /**
   * Tables that the checkpoint knows change in the log, unless the log begins anew. Then the source
   * has read them anew too, and its identities of columns need not be those of before (MySQL's are
   * a count of its own): the repair of the table matches them by name and type. A table that was
   * gone at the checkpoint and is there now came back while nobody looked, or is selected again:
   * the source takes it for one that it has told of.
   */
  private join(table: SourceTable, position: Position, fresh: boolean): void {
    const known = this.corridor.tables.get(tableKey(table))
    if (known === undefined || known.phase === 'dropped') {
      this.corridor.tableChanged(table, position.order)
    } else if (fresh) known.shape = table
  }

  /** The log that would have told of their end is lost. */
  private dropMissing({ tables, position }: SourceOpening): void {
    const there = new Set(tables.map(tableKey))
    for (const name of this.corridor.tables.keys()) {
      if (there.has(name) || this.corridor.isDeadLetters(name) || isUnion(name)) continue
      this.corridor.tableDropped(name, position.order)
    }
  }

  private repair({ table, adoption }: Repair): void {
    const record = this.corridor.tables.get(table)
    // A table that has gone from the source meanwhile keeps the rows that it had in the lake.
    if (record === undefined || record.phase === 'dropped') return
    this.corridor.rebuild(record, adoption)
    if (record.phase === 'parked') return
    // Their rows are nowhere to be read again: those that are told from now on are all there are.
    if (this.corridor.isDeadLetters(table)) this.corridor.takeRows(record, true)
    else this.handOver.begin(record, true)
  }

  private async readLog(position: Position, signal: AbortSignal): Promise<void> {
    let readOn = 0
    for await (const element of this.source.read(position, this.corridor, signal)) {
      if (signal.aborted) return
      if (element.kind === 'progress') {
        this.progress = element
        this.pass(element)
      } else {
        const first = this.progress !== null
        this.progress = null
        this.throttle.takeLog(element)
        this.source.pauseTables?.(this.throttle.heldTables())
        this.readTimes(element)
        const sent = this.handOver.send(element)
        if (sent !== undefined) await this.waitFor(sent)
        // Only between transactions can a barrier pass while we wait, and the end is mostly near.
        if (this.throttle.logDelayMs() > 0) {
          if (first) this.source.requestProgress()
          readOn += batchBytes(element)
          if (readOn < READ_ON_BYTES_MAX) continue
        }
      }
      readOn = 0
      if (this.throttle.logDelayMs() > 0) await this.hold(signal)
    }
  }

  private async waitFor(sent: Promise<unknown>): Promise<void> {
    this.isSending = true
    await sent
    this.isSending = false
  }

  /** Nothing more is fetched before its time. Between two transactions barriers are not held up. */
  private async hold(signal: AbortSignal): Promise<void> {
    for (;;) {
      const delayMs = this.throttle.logDelayMs()
      if (delayMs === 0 || signal.aborted) return
      this.isSending = true
      if (this.progress !== null) this.pass(this.progress)
      await this.clock.sleep(delayMs, signal).catch(() => undefined)
      this.isSending = false
    }
  }

  /** How fast the source may be read from now on. */
  limit(limits: Limits): void {
    this.throttle.limit(limits)
  }

  private readTimes(batch: ChangeBatch): void {
    const schema = this.corridor.schemaOf(batch.table)
    if (schema !== null) this.times.batchRead(batch, schema, this.corridor.sourceTimeUs)
  }

  /** How the source's splits are; what they have beside their rows is known here alone. */
  private lookAtTimes(): void {
    const { tables, sourceTimeUs } = this.corridor
    const splits = this.source.splits?.() ?? null
    const seen = this.isSending ? (splits?.map(keptFromReading) ?? null) : splits
    this.times.look(seen, tables, sourceTimeUs, this.clock.elapsedMs())
    if (splits !== null) this.source.pauseSplits?.(this.times.ahead())
    this.source.pauseTables?.(this.throttle.heldTables())
  }

  private watermarkOf(record: TableRecord): bigint | null {
    return this.times.watermarkOf(record, this.corridor.sourceTimeUs)
  }

  /** Between two transactions: everything before is sent, nothing after. Must not await. */
  private pass(progress: Progress): void {
    this.corridor.advance(progress)
    // Rows of a parked table are skipped. In the middle of a transaction it could not be said up to
    // where, and a chunk may lack what was skipped: a commit is delivered before it is visible.
    for (const repair of this.repairs.splice(0)) this.repair(repair)
    this.handOver.advance()
    this.lookAtTimes()
    if (this.barrierAt !== null) {
      const { epoch, shows } = this.barrierAt
      this.barrierAt = null
      const state = Buffer.from(this.source.save()).toString('base64')
      const times = this.savedTimes()
      this.output.report(this.corridor.barrier(epoch, state, times, shows))
      this.corridor.late.passed(times.tables)
    }
    this.checkFinished()
  }

  private savedTimes(): SavedTimes {
    const { tables, sourceTimeUs } = this.corridor
    return this.times.save(tables, sourceTimeUs)
  }

  private checkFinished(): void {
    if (this.finished || this.target === null) return
    if (!this.source.reaches(this.corridor.processed(), this.target)) return
    if (!this.handOver.finished()) return
    // A table that was created before the start, and has no rows in the log, belongs to it as well.
    if (!this.confirming) this.source.confirm()
    this.confirming = true
    if (!this.source.confirmed()) return
    this.finished = true
    // A short run may end before the timer has told anybody what tables there are.
    this.tellProgress()
    this.output.report({ kind: 'finished' })
  }

  private reportProgress(): void {
    // An idle log moves only when it is asked; `once` and the hand-over wait for it to move.
    if (this.target !== null || !this.handOver.finished()) this.source.requestProgress()
    // A source with splits is idle by its own account; that of a log moves with what it says.
    if (this.source.splits !== undefined) this.lookAtTimes()
    this.tellProgress()
  }

  private tellProgress(): void {
    const { tables: records, refused } = this.corridor
    const tables = [...records.values()]
      // Another table has its name.
      .filter(({ schema, phase }) => phase !== 'dropped' || !refused.has(schema.table))
      .map((record) => this.progressOf(record))
    for (const [table, reason] of refused) tables.push(refusedTable(table, reason))
    const log = this.logWatch.look(this.source.link())
    this.output.report({
      kind: 'progress',
      rowsSent: this.corridor.rowsSent,
      queueFill: Math.max(...this.channels.map((channel) => channel.fill())),
      // Of a server that says nothing it is not known what there is to read.
      headOrder: log.condition === 'open' ? this.headOrder : null,
      processedOrder: this.corridor.processed().order,
      sourceTimeUs: this.corridor.sourceTimeUs,
      log,
      throttle: this.throttle.state(),
      tables,
    })
  }

  private progressOf(record: TableRecord): TableProgress {
    const { schema, phase, reason, waitsFor, backfill } = record
    return {
      table: schema.table,
      phase,
      reason,
      waitsFor: waitsFor ?? this.source.waitsFor?.(schema.table) ?? null,
      repair: backfill?.repair ?? false,
      rowsDone: backfill?.rowsDone ?? null,
      rowsEstimated: backfill?.rowsEstimated ?? null,
      watermarkUs: this.watermarkOf(record),
      times: this.times.spreadOf(record),
    }
  }

  private async refreshHead(): Promise<void> {
    // A server that does not answer is not asked again every second: the log reader would have to
    // wait behind all these questions.
    if (this.askingHead) return
    this.askingHead = true
    try {
      this.headOrder = (await this.source.head()).order
    } catch {
      // Only the lag display needs it; a broken connection is reported by the log reader.
      this.headOrder = null
    } finally {
      this.askingHead = false
    }
  }

  private fail(error: unknown): void {
    if (this.stopping.signal.aborted) return
    this.stopping.abort()
    const record: ErrorRecord = recordOf(error)
    this.output.report({ kind: 'failed', error: record })
  }
}

/** One that is at its end, but for what nobody takes from it now, is not. */
function keptFromReading(split: SplitTimes): SplitTimes {
  return split.state === 'at-end' ? { ...split, state: 'blocked' } : split
}

function refusedTable(table: string, reason: ErrorRecord): TableProgress {
  const unknown = {
    waitsFor: null,
    repair: false,
    rowsDone: null,
    rowsEstimated: null,
    watermarkUs: null,
    times: null,
  }
  return { table, phase: 'parked', reason, ...unknown }
}
