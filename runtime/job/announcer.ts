// Partitions that are whole, from the barrier to whoever is told: asks at each barrier what is to
// be said, hands it to the checkpoint, and lets the outbox say it once its commit is known.

import type { Clock } from '../base/clock.ts'
import type { ErrorRecord } from '../base/errors.ts'
import type { CommitQueue } from '../checkpoint/commit.ts'
import type { EpochDecisions } from '../checkpoint/coordinator.ts'
import type { Checkpoint, SourceCheckpoint } from '../checkpoint/manifest.ts'
import { Readiness, type PartitionChange, type ReadinessRule } from '../checkpoint/readiness.ts'
import type { SavedReadiness } from '../checkpoint/readiness.ts'
import type { TablePartition } from '../data/element.ts'
import type { TableSchema } from '../data/schema.ts'
import { inHandOver, lakeSchema } from '../flow/tables.ts'
import type { Notifier, PartitionReady } from '../notifier.ts'
import type { ObjectStore } from '../object-store.ts'
import type { TableCommit, TableIntent } from '../sink.ts'
import type { RunState } from './run-state.ts'
import { Outbox, type LaneStatus, type OutboxTable } from './outbox.ts'

/** A table whose partitions are announced. */
export interface AnnouncedTable extends OutboxTable {
  readonly rule: ReadinessRule
}

/** What an intent changes in the partitions of its table. */
export interface IntentChanges {
  readonly changes: readonly PartitionChange[]
  /** All rows of before are gone: TRUNCATE. */
  readonly all: boolean
}

/** What the composition root knows of announcements. */
export interface AnnouncerParts {
  /**
   * @param schema  of the lake table
   * @returns `null`: its partitions are not announced
   * @throws PipelineError CONFIG_VALUE when they cannot be, as the configuration has it
   */
  tableOf(schema: TableSchema, commits: CommitQueue): AnnouncedTable | null
  changesOf(intent: TableIntent<unknown>): IntentChanges
  /** Partitions whose rows a commit has changed. */
  touchedBy(commit: TableCommit): readonly number[]
  /** Which of the table's partitions of time it is; `null`: that of rows without a time. */
  numberOf(partition: TablePartition): number | null
}

export interface AnnouncerContext {
  readonly pipeline: string
  readonly state: ObjectStore
  readonly clock: Clock
  readonly commits: CommitQueue
  onDelivered(notifier: Notifier, event: PartitionReady): void
  onFailed(notifier: Notifier, event: PartitionReady, error: ErrorRecord, waitMs: number): void
}

/** Of the status. */
export interface ReadySnapshot {
  /** Of partitions: the watermark has not passed them, or their files are not all in the lake. */
  readonly open: number
  readonly reopened: number
  readonly last: { readonly value: string; readonly generation: number } | null
  /** Since the process started. */
  readonly announced: number
  readonly lateRows: number
  readonly notifiers: readonly LaneStatus[]
}

export class Announcer implements EpochDecisions {
  private readonly parts: AnnouncerParts
  private readonly context: AnnouncerContext
  private readonly readiness: Readiness
  private readonly outbox: Outbox
  /** By table; `null`: its partitions are not announced. */
  private readonly tables = new Map<string, AnnouncedTable | null>()
  /** Epoch of the newest durable checkpoint. */
  private durable: number
  waiting: readonly TablePartition[] = []

  private constructor(parts: AnnouncerParts, context: AnnouncerContext, last: Checkpoint | null) {
    const { pipeline, state, clock } = context
    this.parts = parts
    this.context = context
    this.readiness = new Readiness(last?.readiness ?? [])
    this.durable = last?.epoch ?? 0
    this.outbox = new Outbox(pipeline, {
      commits: {
        known: (table) => this.knownOf(table),
        snapshotId: (table) => context.commits.lakeTable(table).lastIntent,
      },
      state,
      clock,
      events: context,
    })
  }

  static async open(
    parts: AnnouncerParts,
    context: AnnouncerContext,
    last: Checkpoint | null,
  ): Promise<Announcer> {
    const announcer = new Announcer(parts, context, last)
    await announcer.outbox.load()
    // What is left from before does not wait for the first barrier.
    for (const record of last?.source.tables ?? []) announcer.join(lakeSchema(record))
    return announcer
  }

  decide(
    epoch: number,
    source: SourceCheckpoint,
    intents: readonly TableIntent<unknown>[],
    open: readonly TablePartition[] = [],
  ): SavedReadiness {
    const watermarks = new Map(source.times?.tables)
    const openOf = Map.groupBy(open, ({ table }) => table)
    const waiting: TablePartition[] = []
    for (const record of source.tables) {
      const known = record.phase === 'dropped' ? null : this.join(lakeSchema(record))
      if (known === null) continue
      const { table } = record.schema
      const isWhole = record.phase === 'streaming' && !inHandOver(record)
      const intent = intents.find((one) => one.table === table)
      const none: IntentChanges = { changes: [], all: false }
      const changes = intent === undefined ? none : this.parts.changesOf(intent)
      const watermarkUs = isWhole ? (watermarks.get(table) ?? null) : null
      const held = this.numbered(openOf.get(table) ?? [])
      const openFrom = held.length === 0 ? null : Math.min(...held.map(([number]) => number))
      const readiness = this.readiness.of(table)
      readiness?.decide(epoch, { ...changes, watermarkUs, openFrom }, this.context.clock.nowMs())
      if (readiness?.waitsForRows !== true) continue
      for (const [number, one] of held) if (readiness.hasPassed(number)) waiting.push(one)
    }
    this.waiting = waiting
    return this.readiness.save()
  }

  /** Numbers that are no times of a clock are never announced, so nobody waits for them. */
  private numbered(open: readonly TablePartition[]): [number: number, one: TablePartition][] {
    return open.flatMap((one): [number, TablePartition][] => {
      const number = this.parts.numberOf(one)
      return number === null ? [] : [[number, one]]
    })
  }

  saved(epoch: number): void {
    this.durable = epoch
    this.outbox.wake()
  }

  committed(epoch: number, commits: readonly TableCommit[]): void {
    for (const commit of commits) {
      if (commit.outcome === 'diverged') continue
      this.readiness.of(commit.table)?.touched(epoch, this.parts.touchedBy(commit))
    }
    this.outbox.wake()
  }

  /** Nothing of the table from `epoch` on will be committed. */
  cancelled(table: string, epoch: number): void {
    this.readiness.of(table)?.revoke(epoch)
  }

  /** Tells what can be told, at most for `ms`. */
  async drain(ms: number): Promise<boolean> {
    return this.outbox.drain(ms)
  }

  async stop(): Promise<void> {
    await this.outbox.stop()
  }

  statusOf(table: string): ReadySnapshot | null {
    const readiness = this.readiness.of(table)
    if (readiness === null) return null
    const { announced, lateRows } = readiness
    const summary = readiness.summary(this.knownOf(table))
    return { ...summary, announced, lateRows, notifiers: this.outbox.status(table) }
  }

  private join(schema: TableSchema): AnnouncedTable | null {
    const known = this.tables.get(schema.table)
    if (known !== undefined) return known
    const table = this.parts.tableOf(schema, this.context.commits)
    this.tables.set(schema.table, table)
    if (table !== null) this.outbox.join(table, this.readiness.join(table.rule))
    return table
  }

  private knownOf(table: string): number {
    return Math.min(this.context.commits.firstWaiting(table), this.durable + 1)
  }
}

/** What is said and counted of each delivery. */
export function announcementEvents(
  state: RunState,
  notice: (level: 'info' | 'warn', message: string, facts: object) => void,
): Pick<AnnouncerContext, 'onDelivered' | 'onFailed'> {
  return {
    onDelivered: ({ kind, name }, { table, field, value, generation, id }) => {
      state.addNotification(kind, null)
      const facts = { table, partition: `${field}=${value}`, generation, notifier: name, id }
      notice('info', 'partition is ready', facts)
    },
    onFailed: ({ kind, name }, { table, field, value }, error, waitMs) => {
      state.addNotification(kind, error)
      const facts = { table, partition: `${field}=${value}`, notifier: name, waitMs, ...error }
      notice('warn', 'somebody was not told of a partition', facts)
    },
  }
}
