// Tells the notifiers what has been decided, beside everything else: each has a lane for each
// table, in which it hears of every announcement in order, again and again until it has taken it. A
// lane that fails waits longer and longer and keeps nobody else waiting: not the pipeline, nor
// another table, nor another notifier.
//
// At least once: what was told and not written down is told again after a crash, under the same id.
// What was told is written down in a small object at once, since a checkpoint may be an hour away.

import { createHash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import { decodeDocument, encodeDocument } from '../checkpoint/document.ts'
import { partitionLabel } from '../checkpoint/partition-time.ts'
import type { Announcement, TableReadiness } from '../checkpoint/readiness.ts'
import type { Delivery, Notifier, PartitionReady } from '../notifier.ts'
import type { ObjectStore } from '../object-store.ts'

const BACKOFF_MS_MIN = 1000
const BACKOFF_MS_MAX = 3_600_000
/** Of the state store. */
export const DELIVERED_PATH = 'outbox/delivered'
const KIND = 'millrace-delivered'

/** A table and those who are told of it. */
export interface OutboxTable {
  /** `TableSchema.table`, and the name in the lake. */
  readonly table: string
  readonly target: string
  /** Of the partition. */
  readonly field: string
  /** In order. */
  readonly notifiers: readonly Notifier[]
}

/** What the commits are known to have done. */
export interface CommitKnowledge {
  /** Every commit of the table before this epoch is in the lake, and its checkpoint durable. */
  known(table: string): number
  /** The table's last commit; `null`: none. */
  snapshotId(table: string): bigint | null
}

export interface OutboxEvents {
  onDelivered(notifier: Notifier, event: PartitionReady): void
  onFailed(notifier: Notifier, event: PartitionReady, error: ErrorRecord, waitMs: number): void
}

/** How one notifier is doing with one table. */
interface Lane {
  readonly table: OutboxTable
  readonly notifier: Notifier
  readonly readiness: TableReadiness
  running: Promise<void> | null
  /** It failed, and waits. */
  error: ErrorRecord | null
  /** Resolves at the end of its next attempt, and when it has nothing more to tell. */
  attempt: PromiseWithResolvers<void>
}

/** Of the status. */
export interface LaneStatus {
  readonly notifier: string
  readonly backlog: number
  readonly error: ErrorRecord | null
}

export interface OutboxParts {
  readonly commits: CommitKnowledge
  readonly state: ObjectStore
  readonly clock: Clock
  readonly events: OutboxEvents
}

interface ToldMark {
  readonly sequence: number
  readonly id: string
}

export class Outbox {
  private readonly pipeline: string
  private readonly lanes: Lane[] = []
  private readonly commits: CommitKnowledge
  private readonly state: ObjectStore
  private readonly clock: Clock
  private readonly events: OutboxEvents
  private readonly stopping = new AbortController()
  /** What was told last, by lane. */
  private readonly told = new Map<string, ToldMark>()
  private writing: Promise<void> = Promise.resolve()

  constructor(pipeline: string, parts: OutboxParts) {
    this.pipeline = pipeline
    this.commits = parts.commits
    this.state = parts.state
    this.clock = parts.clock
    this.events = parts.events
  }

  /** Takes note of what was told after the checkpoint was saved. Before tables join. */
  async load(): Promise<void> {
    if (!(await this.state.exists(DELIVERED_PATH))) return
    try {
      const { value } = decodeDocument(KIND, await this.state.get(DELIVERED_PATH), DELIVERED_PATH)
      const marks = value as readonly (readonly [string, ToldMark])[]
      for (const [key, mark] of marks) this.told.set(key, mark)
    } catch (error) {
      // It saves repetitions, and no more: what came since the checkpoint is told again without.
      if (!(error instanceof PipelineError)) throw error
    }
  }

  join(table: OutboxTable, readiness: TableReadiness): void {
    for (const notifier of table.notifiers) {
      const attempt = Promise.withResolvers<void>()
      const lane: Lane = { table, notifier, readiness, running: null, error: null, attempt }
      this.lanes.push(lane)
      const mark = this.told.get(keyOf(lane))
      const announcement = readiness.announcement(mark?.sequence ?? 0)
      if (mark === undefined || announcement === null) continue
      // After an older checkpoint its number may be that of another announcement.
      if (this.eventOf(lane, announcement).id !== mark.id) continue
      readiness.isDelivered(notifier.name, mark.sequence)
    }
  }

  /** Something may be to be told: a commit is known, or a checkpoint is durable. Cheap. */
  wake(): void {
    if (this.stopping.signal.aborted) return
    for (const lane of this.lanes) {
      if (lane.running !== null || this.nextOf(lane) === null) continue
      lane.running = this.run(lane).finally(() => {
        lane.running = null
        endAttempt(lane)
      })
    }
  }

  /** @returns true when everything that can be told has been, within `ms` */
  async drain(ms: number): Promise<boolean> {
    this.wake()
    const late = Promise.withResolvers<'late'>()
    const cancel = this.clock.after(ms, () => late.resolve('late'))
    const busy = (): Promise<void>[] =>
      this.lanes.flatMap(({ running, error }) => (running === null || error ? [] : [running]))
    while (busy().length > 0) {
      if ((await Promise.race([late.promise, ...busy()])) === 'late') break
    }
    cancel()
    return this.lanes.every((lane) => this.nextOf(lane) === null)
  }

  /** Ends waits and calls that are under way, and closes the notifiers. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.all(this.lanes.flatMap(({ running }) => (running === null ? [] : [running])))
    await this.writing
    await Promise.all(this.lanes.map(async ({ notifier }) => notifier.close()))
  }

  status(table: string): readonly LaneStatus[] {
    return this.lanes
      .filter((lane) => lane.table.table === table)
      .map(({ notifier, readiness, error }) => ({
        notifier: notifier.name,
        backlog: readiness.backlog(notifier.name),
        error,
      }))
  }

  private nextOf({ readiness, notifier, table }: Lane): Announcement | null {
    return readiness.pending(notifier.name, this.commits.known(table.table))
  }

  private async run(lane: Lane): Promise<void> {
    const { signal } = this.stopping
    for (let failures = 0; !signal.aborted;) {
      const announcement = this.nextOf(lane)
      if (announcement === null) return
      await this.letBefore(lane, announcement.sequence)
      if (signal.aborted) return
      const event = this.eventOf(lane, announcement)
      const delivery = await this.deliver(lane.notifier, event)
      if (delivery.kind === 'delivered') {
        failures = 0
        lane.error = null
        lane.readiness.isDelivered(lane.notifier.name, announcement.sequence)
        endAttempt(lane)
        this.events.onDelivered(lane.notifier, event)
        await this.writeDown(lane, announcement.sequence, event.id)
        continue
      }
      if (signal.aborted) return
      failures++
      lane.error = delivery.error
      endAttempt(lane)
      const waitMs = Math.max(backOff(failures), delivery.retryAfterMs ?? 0)
      this.events.onFailed(lane.notifier, event, delivery.error, Math.min(waitMs, BACKOFF_MS_MAX))
      await this.clock.sleep(Math.min(waitMs, BACKOFF_MS_MAX), signal).catch(() => undefined)
    }
  }

  /**
   * The notifiers of a table are told in their order, as long as they work: a webhook finds the
   * file of success that stands above it in the configuration.
   */
  private async letBefore(lane: Lane, sequence: number): Promise<void> {
    for (const other of this.lanes) {
      if (other === lane) return
      if (other.table !== lane.table) continue
      while (other.readiness.deliveredTo(other.notifier.name) < sequence) {
        if (other.running === null || other.error !== null) break
        await other.attempt.promise
      }
    }
  }

  private async deliver(notifier: Notifier, event: PartitionReady): Promise<Delivery> {
    try {
      return await notifier.deliver(event, this.stopping.signal)
    } catch (error) {
      return { kind: 'failed', error: recordOf(error), retryAfterMs: null }
    }
  }

  private eventOf({ table, readiness }: Lane, announcement: Announcement): PartitionReady {
    const { number, generation, watermarkUs, files, rows, bytes, lateRows } = announcement
    const value = partitionLabel(readiness.rule.unit, number)
    const { target, field } = table
    return {
      id: announcementId(this.pipeline, target, `${field}=${value}`, generation),
      pipeline: this.pipeline,
      table: target,
      field,
      value,
      generation,
      watermarkUs,
      files,
      rows,
      bytes,
      lateRows,
      epoch: announcement.epoch,
      snapshotId: this.commits.snapshotId(table.table),
      decidedAtMs: announcement.decidedAtMs,
      completeness: announcement.exact ? 'EXACT' : 'BEST_EFFORT',
    }
  }

  /** One write at a time; several deliveries that wait for it share the next. */
  private async writeDown(lane: Lane, sequence: number, id: string): Promise<void> {
    this.told.set(keyOf(lane), { sequence, id })
    this.writing = this.writing.then(async () => {
      const { bytes } = encodeDocument(KIND, [...this.told])
      // Without it a crash means that it is told again, which it may be.
      await this.state.put(DELIVERED_PATH, bytes).catch(() => undefined)
    })
    await this.writing
  }
}

function endAttempt(lane: Lane): void {
  lane.attempt.resolve()
  lane.attempt = Promise.withResolvers()
}

/** @returns the id that stands for this generation of this partition for ever */
export function announcementId(
  pipeline: string,
  table: string,
  partition: string,
  generation: number,
): string {
  const text = `${pipeline}|${table}|${partition}|${generation}`
  return createHash('sha256').update(text).digest('hex')
}

function keyOf({ table, notifier }: Lane): string {
  return JSON.stringify([table.table, notifier.name])
}

function backOff(failures: number): number {
  return Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 12))
}
