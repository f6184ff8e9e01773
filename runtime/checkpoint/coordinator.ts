// The life of an epoch, on the main thread: barrier out, all writers prepared, rows accounted for,
// checkpoint durable, receipt to the source, intent to the commit queue. One epoch is under way at
// a time; commits run beside it.

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { randomId63 } from '../base/clock.ts'
import { PipelineError, type ErrorRecord } from '../base/errors.ts'
import type { Shown, TablePartition } from '../data/element.ts'
import type { TableSchema } from '../data/schema.ts'
import { lakeSchema } from '../flow/tables.ts'
import type { CommitReceipt, Intent, PreparedEpoch, TableCounts, TableIntent } from '../sink.ts'
import { receiptOf, type CommitQueue } from './commit.ts'
import { CHECKPOINT_FORMAT, type Checkpoint, type SourceCheckpoint } from './manifest.ts'
import type { SavedReadiness } from './readiness.ts'
import { PendingIntent } from './pending-intent.ts'
import { SinkTables, type SinkParts } from './sink-parts.ts'
import type { CheckpointStore } from './store.ts'
import { Trace, type SourceCounts } from './trace.ts'

/** The source thread, as the coordinator sees it. */
export interface SourceHandle {
  /**
   * Resolves when the source has passed the barrier; all its rows are on their way then.
   *
   * @param shows  for the writers, as of `SinkWriter.prepare`
   */
  barrier(epoch: number, shows: Shown): Promise<SourceCut>
  acknowledge(receipt: CommitReceipt): void
  park(table: string, reason: ErrorRecord): void
}

export interface SourceCut {
  readonly checkpoint: SourceCheckpoint
  readonly schemas: readonly TableSchema[]
  readonly counts: readonly SourceCounts[]
  /** Tables that could not be taken in. */
  readonly refused: readonly { readonly table: string; readonly reason: ErrorRecord }[]
}

/** One writer thread. */
export interface WriterHandle {
  /** Resolves when the writer has prepared the epoch whose barrier the source has sent. */
  prepared(epoch: number): Promise<PreparedEpoch<unknown>>
}

export interface CoordinatorOptions {
  readonly pipeline: string
  readonly timeline: number
  readonly fence: string
  readonly mode: string
  /** The newest checkpoint, or `null` at the first start. */
  readonly last: Checkpoint | null
  readonly clock: Clock
  readonly decisions: EpochDecisions
  /**
   * What is prepared does not last: an epoch is committed before the next one ends, and the source
   * may forget only what is committed. Else a durable checkpoint is enough for both.
   */
  readonly commitsFirst?: boolean
  /** Missing: there is one sink. */
  readonly parts?: SinkParts | undefined
}

/** What is decided of each epoch at its barrier, and saved with it. */
export interface EpochDecisions {
  /**
   * @param intents  what the epoch wants to be committed of each table
   * @param open     partitions with rows that no intent has yet
   */
  decide(
    epoch: number,
    source: SourceCheckpoint,
    intents: readonly TableIntent<unknown>[],
    open: readonly TablePartition[],
  ): SavedReadiness
  /** Of these partitions something would be decided, but for rows that the sink holds back. */
  readonly waiting: readonly TablePartition[]
  /** The checkpoint is durable, and its intent waits for its commit. */
  saved(epoch: number): void
}

/** Of a pipeline that announces nothing. */
export const NO_DECISIONS: EpochDecisions = {
  decide: () => [],
  saved: () => undefined,
  waiting: [],
}

/** What an epoch did, for the status and the metrics. */
export interface EpochReport {
  readonly epoch: number
  readonly durationMs: number
  /** 0: the epoch was empty and nothing was written. */
  readonly bytes: number
  /** It has rows to commit. */
  readonly commits: boolean
  /** As of the cut; what is parked by now is parked. */
  readonly source: SourceCheckpoint
  readonly counts: readonly TableCounts[]
  readonly refused: SourceCut['refused']
}

/** A table's part of the sink's committables: all that the coordinator knows of them. */
interface CommittableOfTable {
  readonly table: string
}

export class Coordinator {
  private readonly source: SourceHandle
  private readonly writers: readonly WriterHandle[]
  private readonly store: CheckpointStore
  private readonly commits: CommitQueue
  private readonly options: CoordinatorOptions
  private readonly trace: Trace
  private readonly names: SinkTables
  private epoch: number
  private saved: Checkpoint | null
  /** The last checkpoint that was begun to be written. */
  private saving: Promise<unknown> = Promise.resolve()
  /** Of the checkpoint whose commit is waited for; `null`: the source has it. */
  private receipt: CommitReceipt | null
  /** Parked since the last checkpoint by the committer: part of the next one. */
  private readonly parkedByCommit = new Map<string, ErrorRecord>()

  constructor(
    source: SourceHandle,
    writers: readonly WriterHandle[],
    store: CheckpointStore,
    commits: CommitQueue,
    options: CoordinatorOptions,
  ) {
    this.source = source
    this.writers = writers
    this.store = store
    this.commits = commits
    this.options = options
    this.saved = options.last
    this.epoch = options.last?.epoch ?? 0
    this.receipt = options.last === null ? null : receiptOf(options.last)
    this.names = new SinkTables(options.parts ?? null)
    this.trace = new Trace(options.last?.held ?? {}, this.names)
  }

  /** The newest durable checkpoint. */
  last(): Checkpoint | null {
    return this.saved
  }

  /** Resolves when no checkpoint is being written, however the last one went. */
  async settled(): Promise<void> {
    await this.saving.catch(() => undefined)
  }

  /** The committer found that a table is not ours any more. */
  parkTable(table: string, reason: ErrorRecord): void {
    this.parkedByCommit.set(table, reason)
    this.source.park(table, reason)
  }

  /**
   * Runs one epoch to its durable checkpoint and hands its intent to the commit queue. Not
   * reentrant.
   *
   * @param shows  rows that become visible at least
   * @throws PipelineError FENCED, STORAGE_FULL, TRACE_BROKEN, ...; nothing is acknowledged then
   */
  async checkpoint(shows: Shown = 'all'): Promise<EpochReport> {
    const started = this.options.clock.elapsedMs()
    if (this.options.commitsFirst === true) await this.awaitCommits()
    this.epoch++
    const { epoch } = this
    const cut = await this.source.barrier(epoch, shows)
    // Not before: the source of a new attempt may be on its way to be opened.
    if (this.options.commitsFirst === true) this.acknowledge()
    const prepared = await Promise.all(this.writers.map((writer) => writer.prepared(epoch)))
    const counts = prepared.map((writer) => writer.counts)
    this.trace.check(epoch, cut.counts, counts)
    const { checkpoint, intent } = this.build(epoch, cut, prepared, shows)
    let bytes = 0
    if (this.isNews(checkpoint)) {
      const saving = this.store.save(checkpoint)
      this.saving = saving
      bytes = await saving
      this.saved = checkpoint
      this.receipt = receiptOf(checkpoint)
      if (this.options.commitsFirst !== true) this.acknowledge()
      if (intent !== null) this.commits.enqueue(this.withoutParked(intent))
      this.options.decisions.saved(epoch)
    }
    const durationMs = this.options.clock.elapsedMs() - started
    // With what the committer has parked since the cut: of the last epoch nobody hears it later.
    const source = withParked(checkpoint.source, this.parkings())
    const { refused } = cut
    const commits = hasRows(intent)
    return { epoch, durationMs, bytes, commits, source, counts: this.counted(counts), refused }
  }

  /** Rows that go to several sinks are shown as the first of them has them. */
  private counted(counts: readonly (readonly TableCounts[])[]): TableCounts[] {
    return counts.flat().flatMap((entry) => {
      const table = this.names.source(entry.table)
      return this.names.of(table)[0] === entry.table ? [{ ...entry, table }] : []
    })
  }

  /** At most one epoch is prepared and not committed: the one of the newest checkpoint. */
  private async awaitCommits(): Promise<void> {
    if (!(await this.commits.settled())) {
      throw new PipelineError('CATALOG_UNAVAILABLE', 'the last epoch is not committed')
    }
  }

  private acknowledge(): void {
    if (this.receipt !== null) this.source.acknowledge(this.receipt)
    this.receipt = null
  }

  /**
   * A commit before this one may have parked a table while the checkpoint was being saved, with
   * this intent not in the queue yet. Its rows rest on those that were refused. After a crash the
   * checkpoint names both intents, and the first is refused again.
   */
  private withoutParked(intent: Intent<unknown>): Intent<unknown> {
    const { names, parkedByCommit } = this
    const tables = intent.tables.filter(({ table }) => !parkedByCommit.has(names.source(table)))
    return { ...intent, tables }
  }

  private parkings(): { readonly table: string; readonly reason: ErrorRecord }[] {
    return [...this.parkedByCommit].map(([table, reason]) => ({ table, reason }))
  }

  private build(
    epoch: number,
    cut: SourceCut,
    prepared: readonly PreparedEpoch<unknown>[],
    shows: Shown,
  ): { checkpoint: Checkpoint; intent: Intent<unknown> | null } {
    for (const writer of prepared) {
      assert(writer.epoch === epoch, 'writers prepare the epoch whose barrier they have met')
      for (const { table, reason } of writer.parked) this.parkTable(table, reason)
    }
    const { pipeline, timeline, fence, mode, clock, decisions, parts } = this.options
    const parked = this.parkings()
    this.parkedByCommit.clear()
    const source = withParked(cut.checkpoint, parked)
    const held = this.trace.held()
    const tables = this.tableIntents(cut.schemas, prepared, source, shows === 'all' ? {} : held)
    const open = prepared.flatMap(({ openPartitions = [] }) => openPartitions)
    const { position, sourceTimeUs } = source
    const head = { pipeline, timeline, epoch, fence }
    const intent = tables.length === 0 ? null : { ...head, position, sourceTimeUs, tables }
    const own = tables.map(({ table }): [string, number] => [table, epoch])
    const checkpoint: Checkpoint = {
      format: CHECKPOINT_FORMAT,
      ...head,
      source,
      writers: prepared.map(({ state }) => state),
      nextFileId: Math.max(...prepared.map(({ state }) => state.nextFileId)),
      intents: [...this.commits.pending(), ...(intent === null ? [] : [PendingIntent.of(intent)])],
      waiting: { ...this.commits.waiting(), ...Object.fromEntries(own) },
      cancelled: this.commits.cancellations(),
      lake: this.commits.lake(),
      held,
      parked,
      mode,
      ...(parts === undefined ? {} : { sinks: parts.sinks }),
      readiness: decisions.decide(epoch, source, tables, open),
      ...this.shownAt(shows === 'all' && hasRows(intent)),
      savedAtMs: clock.nowMs(),
    }
    return { checkpoint, intent }
  }

  /** @param now  this epoch shows all rows, and there are some */
  private shownAt(now: boolean): Pick<Checkpoint, 'shownAtMs'> {
    const shownAtMs = now ? this.options.clock.nowMs() : this.saved?.shownAtMs
    return shownAtMs === undefined ? {} : { shownAtMs }
  }

  private tableIntents(
    schemas: readonly TableSchema[],
    prepared: readonly PreparedEpoch<unknown>[],
    source: SourceCheckpoint,
    held: Readonly<Record<string, number>>,
  ): TableIntent<unknown>[] {
    const parked = new Set(
      source.tables.filter(({ phase }) => phase === 'parked').map(({ schema }) => schema.table),
    )
    const committables = prepared
      .flatMap((writer) => writer.committables as readonly CommittableOfTable[])
      .filter(({ table }) => !parked.has(this.names.source(table)))
    const changed = schemas.filter(({ table }) => !parked.has(table))
    const names = new Set([
      ...changed.flatMap(({ table }) => this.names.of(table)),
      ...committables.map(({ table }) => table),
    ])
    const current = new Map(
      source.tables.map((record) => [record.schema.table, lakeSchema(record)]),
    )
    const watermarks = new Map(source.times?.tables)
    return [...names].map((table): TableIntent<unknown> => {
      const own = this.names.source(table)
      const announced = changed.filter((schema) => schema.table === own)
      return {
        table,
        // Rows of before the watermark may be among those that are held back.
        watermarkUs: table in held ? null : (watermarks.get(own) ?? null),
        ...(table in held ? { held: held[table] ?? 0 } : {}),
        snapshotId: randomId63(),
        schemas: this.schemasFor(table, announced, current.get(own)),
        tableUuid: null,
        lastIntent: null,
        committables: committables.filter((committable) => committable.table === table),
      }
    })
  }

  /**
   * What was announced in an epoch that parked the table was dropped with its rows: the next epoch
   * that writes it brings the structure that it has by then.
   */
  private schemasFor(
    table: string,
    announced: readonly TableSchema[],
    current: TableSchema | undefined,
  ): readonly TableSchema[] {
    if (current === undefined) return announced
    const last = announced.at(-1)?.version ?? this.commits.lakeTable(table).schemaVersion
    return current.version > last ? [...announced, current] : announced
  }

  /** An idle pipeline writes nothing: same position, same tables, nothing pending before or now. */
  private isNews(next: Checkpoint): boolean {
    const before = this.saved
    if (before === null || next.source.position.order !== before.source.position.order) return true
    if (
      next.intents.length !== before.intents.length ||
      next.intents.at(-1)?.epoch === next.epoch
    ) {
      return true
    }
    // A watermark that moves is no news by itself: what it decides is.
    const ready = ({ readiness = [] }: Checkpoint): unknown =>
      readiness.map((table) => ({ ...table, watermarkUs: null }))
    const parts = (checkpoint: Checkpoint): string => {
      const { source, writers, lake, held } = checkpoint
      const all = [source.tables, source.state, writers, lake, held, ready(checkpoint)]
      return JSON.stringify(all, (_key, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      )
    }
    return parts(next) !== parts(before)
  }
}

function hasRows(intent: Intent<unknown> | null): boolean {
  return intent?.tables.some(({ committables }) => committables.length > 0) ?? false
}

function withParked(
  source: SourceCheckpoint,
  parked: readonly { readonly table: string; readonly reason: ErrorRecord }[],
): SourceCheckpoint {
  if (parked.length === 0) return source
  const reasons = new Map(parked.map(({ table, reason }) => [table, reason]))
  const tables = source.tables.map((record) => {
    const reason = reasons.get(record.schema.table)
    if (reason === undefined || record.phase === 'parked' || record.phase === 'dropped')
      return record
    return { ...record, phase: 'parked' as const, reason, backfill: null }
  })
  return { ...source, tables }
}
