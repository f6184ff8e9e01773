// What follows a durable checkpoint: the receipt that lets the source forget, and the commits that
// make the epochs visible, in order, beside the reading. A catalog that is down delays only what
// is visible; the intents wait in the checkpoints.

import type { Clock } from '../base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type {
  CommitReceipt,
  Committer,
  Intent,
  TableClaim,
  TableCommit,
  TableIntent,
} from '../sink.ts'
import type { Checkpoint, LakeTable } from './manifest.ts'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 10_000
/** Pending epochs that may become one commit (C5); a longer outage takes several. */
const SQUASH_MAX = 1000

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
  /** The table's state in the lake is not ours any more: it must be parked. */
  onDiverged(table: string, reason: ErrorRecord): void
  /** The committer must not go on: FENCED, TIMELINE_AHEAD, ... */
  onFatal(error: unknown): void
}

/** Commits intents one after the other; `pending` is what the next checkpoint must carry. */
export class CommitQueue {
  private readonly committer: Committer<unknown>
  private readonly clock: Clock
  private readonly events: CommitEvents
  private readonly queue: Intent<unknown>[]
  private readonly tables: Map<string, LakeTable>
  private running: Promise<void> | null = null
  private stopped = new AbortController()

  constructor(
    committer: Committer<unknown>,
    { intents, lake }: Pick<Checkpoint, 'intents' | 'lake'>,
    clock: Clock,
    events: CommitEvents,
  ) {
    this.committer = committer
    this.clock = clock
    this.events = events
    this.queue = [...intents]
    this.tables = new Map(lake.map((table) => [table.table, table]))
    for (const intent of intents) this.noteSchemas(intent)
  }

  pending(): readonly Intent<unknown>[] {
    return [...this.queue]
  }

  lake(): readonly LakeTable[] {
    return [...this.tables.values()]
  }

  lakeTable(table: string): LakeTable {
    return this.tables.get(table) ?? unknownTable(table)
  }

  /** Takes an intent whose checkpoint is durable, and commits it as soon as its turn comes. */
  enqueue(intent: Intent<unknown>): void {
    this.noteSchemas(intent)
    if (intent.tables.length === 0) return
    this.queue.push(intent)
    this.start()
  }

  private noteSchemas({ tables }: Intent<unknown>): void {
    for (const { table, schemas } of tables) {
      const last = schemas.at(-1)
      if (last === undefined) continue
      this.tables.set(table, { ...this.lakeTable(table), schemaVersion: last.version })
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

  /** Takes a table out of everything that has not been committed (parked, C10). */
  cancel(table: string): void {
    this.queue.forEach((intent, index) => {
      const tables = intent.tables.filter((entry) => entry.table !== table)
      this.queue[index] = { ...intent, tables }
    })
  }

  /**
   * Makes a table ours whatever happened to it in the lake: for one that is about to be written
   * anew. What was pending for it is cancelled.
   */
  async adopt(table: string, claim: TableClaim): Promise<Adoption> {
    while (this.running !== null) await this.running
    const adopting = this.adoptNow(table, claim)
    // An intent that comes meanwhile waits: the committer does one thing at a time.
    this.running = adopting
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        this.running = null
        this.start()
      })
    return adopting
  }

  private async adoptNow(table: string, claim: TableClaim): Promise<Adoption> {
    this.cancel(table)
    const { tableUuid } = this.lakeTable(table)
    const adopted = await this.committer.adopt(table, claim)
    this.tables.delete(table)
    if (adopted === null) return { lastSchemaId: -1, lastColumnId: 0, renumber: false }
    const { commit, lastSchemaId, lastColumnId } = adopted
    const { snapshotId: lastIntent, metadataLocation } = commit
    const known = { lastIntent, metadataLocation, schemaVersion: lastSchemaId }
    this.tables.set(table, { ...unknownTable(table), ...known, tableUuid: commit.tableUuid })
    const renumber = tableUuid !== commit.tableUuid
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
      const intents = this.queue.slice(0, SQUASH_MAX)
      const started = this.clock.elapsedMs()
      try {
        const complete = intents.map((intent) => this.complete(intent))
        const commits = await this.committer.commit(complete, this.stopped.signal)
        this.queue.splice(0, intents.length)
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

  /** Fills in what is known about the tables now; it was not when the intent was prepared. */
  private complete(intent: Intent<unknown>): Intent<unknown> {
    const tables = intent.tables.map((entry): TableIntent<unknown> => {
      const { tableUuid, lastIntent } = this.lakeTable(entry.table)
      return { ...entry, tableUuid, lastIntent }
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
        this.cancel(commit.table)
        this.events.onDiverged(commit.table, commit.reason)
        continue
      }
      const before = this.lakeTable(commit.table)
      this.tables.set(commit.table, {
        ...before,
        tableUuid: commit.tableUuid ?? before.tableUuid,
        lastIntent: commit.snapshotId ?? before.lastIntent,
        metadataLocation: commit.metadataLocation ?? before.metadataLocation,
        committedEpoch: last.epoch,
        committedTimeUs: last.sourceTimeUs,
      })
    }
    this.events.onCommitted(last.epoch, commits, durationMs)
  }
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

function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.spec.action === 'retry'
}
