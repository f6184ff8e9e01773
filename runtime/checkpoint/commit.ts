// What follows a durable checkpoint: the receipt that lets the source forget, and the commits that
// make the epochs visible, in order, beside the reading. A catalog that is down delays only what
// is visible; the intents wait in the checkpoints.

import type { Clock } from '../base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type {
  CommitReceipt,
  Committer,
  Intent,
  PropertyChange,
  TableClaim,
  TableCommit,
  TableIntent,
} from '../sink.ts'
import type { Checkpoint, LakeTable } from './manifest.ts'
import { PendingIntent, type PendingTable } from './pending-intent.ts'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 10_000
/** Pending epochs that may become one commit (C5); a longer outage takes several. */
const SQUASH_MAX = 1000
/** They are in memory together, as objects of several times their bytes. */
const SQUASH_BYTES_MAX = 32 * 1024 * 1024

/**
 * The proof that a checkpoint is durable. The only place where one is made: whoever calls it has
 * just seen both copies of the checkpoint fsynced.
 */
export function receiptOf(checkpoint: Checkpoint): CommitReceipt {
  const { epoch, source } = checkpoint
  return { epoch, position: source.position } as CommitReceipt
}

/** What the next structure of an adopted table must respect. */
export interface Adoption {
  /** -1: there is no such table. */
  readonly lastSchemaId: number
  readonly lastColumnId: number
  /** It is another table than the one that we wrote to: its field ids mean something else. */
  readonly renumber: boolean
}

export interface CommitEvents {
  /** An attempt failed and will be repeated. */
  onRetry(error: ErrorRecord, attempt: number): void
  onCommitted(epoch: number, tables: readonly TableCommit[], durationMs: number): void
  /** Of what was to be committed of the table from epoch `from` on, nothing will be. */
  onCancelled(table: string, from: number): void
  /** The table's state in the lake is not ours any more: it must be parked. */
  onDiverged(table: string, reason: ErrorRecord): void
  /** The committer must not go on: FENCED, TIMELINE_AHEAD, ... */
  onFatal(error: unknown): void
}

/** What a checkpoint says of commits. */
export type CommitState = Pick<Checkpoint, 'intents' | 'lake'> &
  Partial<Pick<Checkpoint, 'cancelled'>>

/** Commits intents one after the other; `pending` is what the next checkpoint must carry. */
export class CommitQueue {
  private readonly committer: Committer<unknown>
  private readonly clock: Clock
  private readonly events: CommitEvents
  private readonly queue: PendingIntent[]
  /** By table: what intents up to this epoch have of it is not committed any more. */
  private readonly cancelled: Map<string, number>
  private readonly tables: Map<string, LakeTable>
  private running: Promise<void> | null = null
  private stopped = new AbortController()

  constructor(
    committer: Committer<unknown>,
    { intents, cancelled = {}, lake }: CommitState,
    clock: Clock,
    events: CommitEvents,
  ) {
    this.committer = committer
    this.clock = clock
    this.events = events
    this.queue = [...intents]
    this.cancelled = new Map(Object.entries(cancelled))
    this.tables = new Map(lake.map((table) => [table.table, table]))
    for (const intent of intents) this.noteSchemas(intent)
  }

  pending(): readonly PendingIntent[] {
    return [...this.queue]
  }

  /** For the checkpoint: what is not committed of the pending intents. */
  cancellations(): Record<string, number> {
    const first = this.queue[0]?.epoch ?? Number.POSITIVE_INFINITY
    for (const [table, epoch] of this.cancelled) if (epoch < first) this.cancelled.delete(table)
    return Object.fromEntries(this.cancelled)
  }

  /** By table: the last pending epoch that has something of it. */
  waiting(): Record<string, number> {
    const last = new Map<string, number>()
    for (const intent of this.queue) {
      for (const { table } of this.tablesOf(intent)) last.set(table, intent.epoch)
    }
    return Object.fromEntries(last)
  }

  /** @returns the first epoch that waits with something of the table; Infinity: none does */
  firstWaiting(table: string): number {
    const first = this.queue.find((intent) =>
      this.tablesOf(intent).some((entry) => entry.table === table),
    )
    return first?.epoch ?? Number.POSITIVE_INFINITY
  }

  /** The tables that will be committed. */
  private tablesOf({ epoch, tables }: PendingIntent): readonly PendingTable[] {
    return tables.filter(({ table }) => !this.isCancelled(table, epoch))
  }

  private isCancelled(table: string, epoch: number): boolean {
    return epoch <= (this.cancelled.get(table) ?? -1)
  }

  lake(): readonly LakeTable[] {
    return [...this.tables.values()]
  }

  lakeTable(table: string): LakeTable {
    return this.tables.get(table) ?? unknownTable(table)
  }

  /** Takes an intent whose checkpoint is durable, and commits it as soon as its turn comes. */
  enqueue(intent: Intent<unknown>): void {
    const pending = PendingIntent.of(intent)
    this.noteSchemas(pending)
    if (intent.tables.length === 0) return
    this.queue.push(pending)
    this.start()
  }

  private noteSchemas({ tables }: PendingIntent): void {
    for (const { table, schemaVersion } of tables) {
      if (schemaVersion === null) continue
      this.tables.set(table, { ...this.lakeTable(table), schemaVersion })
    }
  }

  /**
   * Waits until everything is known to be committed, or failed for good, at most `ms`.
   *
   * @returns false when something is still pending
   */
  async drain(ms: number): Promise<boolean> {
    this.start()
    const deadline = Promise.withResolvers<'late'>()
    const cancel = this.clock.after(ms, () => deadline.resolve('late'))
    while (this.running !== null) {
      if ((await Promise.race([this.running, deadline.promise])) === 'late') break
    }
    cancel()
    return this.queue.length === 0
  }

  /** @returns when nothing is being committed: false where something failed for good */
  async settled(): Promise<boolean> {
    this.start()
    while (this.running !== null) await this.running
    return this.queue.length === 0
  }

  /** Takes a table out of everything that has not been committed (parked, C10). */
  cancel(table: string, from = this.firstWaiting(table)): void {
    const last = this.queue.at(-1)
    if (last !== undefined) this.cancelled.set(table, last.epoch)
    this.events.onCancelled(table, from)
  }

  /**
   * Makes a table ours whatever happened to it in the lake: for one that is about to be written
   * anew. What was pending for it is cancelled.
   */
  async adopt(table: string, claim: TableClaim): Promise<Adoption> {
    return this.alone(() => this.adoptNow(table, claim))
  }

  /**
   * Changes properties of a table between two commits.
   *
   * @returns false when the lake has no such table
   */
  async changeProperties(table: string, change: PropertyChange): Promise<boolean> {
    return this.alone(() => this.committer.changeProperties(table, change))
  }

  /** The committer does one thing at a time: an intent that comes meanwhile waits. */
  private async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.running !== null) await this.running
    if (this.stopped.signal.aborted) {
      throw new PipelineError('CATALOG_UNAVAILABLE', 'the pipeline is about to end')
    }
    const working = work()
    this.running = working
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        this.running = null
        this.start()
      })
    return working
  }

  private async adoptNow(table: string, claim: TableClaim): Promise<Adoption> {
    const pending = this.queue.flatMap(({ tables }) => tables).filter((one) => one.table === table)
    this.cancel(table)
    const { tableUuid } = this.lakeTable(table)
    const adopted = await this.committer.adopt(table, claim)
    this.tables.delete(table)
    if (adopted === null) return { lastSchemaId: -1, lastColumnId: 0, renumber: false }
    const { commit, lastSchemaId, lastColumnId, before } = adopted
    const { snapshotId: lastIntent, metadataLocation } = commit
    const known = { lastIntent, metadataLocation, schemaVersion: lastSchemaId }
    this.tables.set(table, { ...unknownTable(table), ...known, tableUuid: commit.tableUuid })
    // The commit that created it may have come after the last checkpoint, which then knows no uuid.
    const created = pending.some(({ snapshotId }) => snapshotId === before)
    const renumber = tableUuid === null ? !created : tableUuid !== commit.tableUuid
    return { lastSchemaId, lastColumnId, renumber }
  }

  /** Ends retries, those inside of a commit too; an attempt that is under way is waited for. */
  async stop(): Promise<void> {
    this.stopped.abort()
    await this.running
  }

  private start(): void {
    if (this.running !== null || this.queue.length === 0 || this.stopped.signal.aborted) return
    this.running = this.run().finally(() => {
      this.running = null
    })
  }

  private async run(): Promise<void> {
    for (let attempt = 0; this.queue.length > 0 && !this.stopped.signal.aborted;) {
      const count = this.squashable()
      const started = this.clock.elapsedMs()
      try {
        const intents = await this.readFirst(count)
        const { signal } = this.stopped
        const commits = await this.committer.commit(intents, signal)
        this.queue.splice(0, count)
        attempt = 0
        this.accept(intents, commits, this.clock.elapsedMs() - started)
      } catch (error) {
        if (!isRetryable(error)) {
          this.events.onFatal(error)
          return
        }
        attempt++
        this.events.onRetry(recordOf(error), attempt)
        await this.pause(attempt)
      }
    }
  }

  private async pause(attempt: number): Promise<void> {
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempt, 10))
    try {
      await this.clock.sleep(ms, this.stopped.signal)
    } catch {
      // Stopped while waiting: the loop sees it.
    }
  }

  /** @returns how many of the first intents are read and committed together */
  private squashable(): number {
    let bytes = 0
    let count = 0
    for (const intent of this.queue) {
      bytes += intent.bytes
      if (count > 0 && (count === SQUASH_MAX || bytes > SQUASH_BYTES_MAX)) break
      count++
    }
    return count
  }

  private async readFirst(count: number): Promise<Intent<unknown>[]> {
    const behind = this.idsBehind(count)
    const intents: Intent<unknown>[] = []
    for (const pending of this.queue.slice(0, count)) {
      intents.push(this.complete(await pending.read(), behind))
    }
    return intents
  }

  /**
   * The lake may have more than the first intents: a former process committed them, and died before
   * a checkpoint said so.
   */
  private idsBehind(count: number): Map<string, bigint[]> {
    const ids = new Map<string, bigint[]>()
    for (const intent of this.queue.slice(count)) {
      for (const { table, snapshotId } of this.tablesOf(intent)) {
        const known = ids.get(table)
        if (known === undefined) ids.set(table, [snapshotId])
        else known.push(snapshotId)
      }
    }
    return ids
  }

  /** Fills in what is known about the tables now; it was not when the intent was prepared. */
  private complete(
    intent: Intent<unknown>,
    behind: ReadonlyMap<string, readonly bigint[]>,
  ): Intent<unknown> {
    const live = intent.tables.filter(({ table }) => !this.isCancelled(table, intent.epoch))
    const tables = live.map((entry): TableIntent<unknown> => {
      const { tableUuid, lastIntent } = this.lakeTable(entry.table)
      const ids = behind.get(entry.table)
      const known = { ...entry, tableUuid, lastIntent }
      return ids === undefined ? known : { ...known, behind: ids }
    })
    return { ...intent, tables }
  }

  private accept(
    intents: readonly Intent<unknown>[],
    commits: readonly TableCommit[],
    durationMs: number,
  ): void {
    const last = intents.at(-1)
    if (last === undefined) return
    for (const commit of commits) {
      if (commit.outcome === 'diverged' && commit.reason !== null) {
        this.cancel(commit.table, intents[0]?.epoch)
        this.events.onDiverged(commit.table, commit.reason)
        continue
      }
      const before = this.lakeTable(commit.table)
      // What is held back may be older than what is shown.
      const isCut = (heldOf(last, commit.table) ?? 0) === 0
      this.tables.set(commit.table, {
        ...before,
        tableUuid: commit.tableUuid ?? before.tableUuid,
        lastIntent: commit.snapshotId ?? before.lastIntent,
        metadataLocation: commit.metadataLocation ?? before.metadataLocation,
        committedEpoch: last.epoch,
        committedTimeUs: isCut ? last.sourceTimeUs : before.committedTimeUs,
      })
    }
    this.events.onCommitted(last.epoch, commits, durationMs)
  }
}

function heldOf({ tables }: Intent<unknown>, table: string): number | undefined {
  return tables.find((entry) => entry.table === table)?.held
}

function unknownTable(table: string): LakeTable {
  return {
    table,
    tableUuid: null,
    lastIntent: null,
    metadataLocation: null,
    schemaVersion: -1,
    committedEpoch: null,
    committedTimeUs: null,
  }
}

/** An epoch that is lost is made anew by another attempt, not by another commit. */
function isRetryable(error: unknown): boolean {
  if (!(error instanceof PipelineError) || error.error === 'TRANSACTION_ABORTED') return false
  return error.spec.action === 'retry'
}
