// XA transactions that are prepared and not yet decided. Their rows are in the log before the
// decision, under another GTID; they wait here, named by the saved state, until XA COMMIT brings
// them into order or XA ROLLBACK throws them away.

import { mkdirSync, readdirSync } from 'node:fs'
import type { Order } from '../../../runtime/data/position.ts'
import { removeSealed, sealedEvents, type EventSpool, type SealedEvents } from '../spool.ts'

/**
 * A file may still be named by a checkpoint that is kept, so it goes only after so many newer ones:
 * more than any store keeps.
 */
const CHECKPOINTS_KEPT_MAX = 32

/** More than can be on their way from the log to the engine at any moment. */
const DECIDED_KEPT_MAX = 10_000

export type SavedPrepared = readonly (readonly [xid: string, events: SealedEvents])[]

interface Leftover {
  readonly name: string
  checkpoints: number
}

export class PreparedTransactions {
  private readonly folder: string
  private readonly pending = new Map<string, SealedEvents>()
  private readonly leftovers: Leftover[] = []
  private readonly decided = new Set<string>()
  /** The newest decisions: id of the transaction by the place of its XA COMMIT or XA ROLLBACK. */
  private readonly decisions = new Map<Order, string>()
  /** Decisions up to there are not known any more. */
  private forgottenTo: Order = -1n

  /** @param saved  as `save` returned it */
  constructor(folder: string, saved: SavedPrepared) {
    this.folder = folder
    for (const [xid, events] of saved) this.pending.set(xid, events)
    this.adoptFiles()
  }

  get count(): number {
    return this.pending.size
  }

  /** The transaction is prepared. @throws PipelineError STORAGE_FAILED, STORAGE_FULL */
  prepare(xid: string, spool: EventSpool): void {
    this.retire(this.pending.get(xid))
    this.pending.set(xid, spool.seal())
    this.decided.delete(xid)
  }

  /**
   * The transaction is decided.
   *
   * @param order  of the decision
   * @returns its events; `null` when it was not prepared in what has been read. They must be read
   *          before the next checkpoint is taken
   */
  decide(xid: string, order: Order): Iterable<Buffer> | null {
    this.note(xid, order)
    const events = this.pending.get(xid)
    if (events === undefined) return null
    this.pending.delete(xid)
    this.retire(events)
    return sealedEvents(this.folder, events)
  }

  /** True when the newest event of the transaction, since the start, is its decision. */
  hasDecided(xid: string): boolean {
    return this.decided.has(xid)
  }

  /** True unless it is known that no decision about one of the transactions stands there. */
  mayDecide(order: Order, xids: readonly string[]): boolean {
    if (xids.length === 0) return false
    const xid = this.decisions.get(order)
    return xid === undefined ? order <= this.forgottenTo : xids.includes(xid)
  }

  save(): SavedPrepared {
    return [...this.pending]
  }

  /** A checkpoint is durable: files that none of the kept ones can name are removed. */
  checkpointed(): void {
    for (const leftover of this.leftovers) leftover.checkpoints++
    while ((this.leftovers[0]?.checkpoints ?? 0) > CHECKPOINTS_KEPT_MAX) {
      const leftover = this.leftovers.shift()
      if (leftover !== undefined) removeSealed(this.folder, leftover.name)
    }
  }

  private note(xid: string, order: Order): void {
    this.decided.add(xid)
    this.decisions.set(order, xid)
    const [oldest] = this.decided
    if (this.decided.size > DECIDED_KEPT_MAX && oldest !== undefined) this.decided.delete(oldest)
    const [first] = this.decisions.keys()
    if (this.decisions.size <= DECIDED_KEPT_MAX || first === undefined) return
    this.decisions.delete(first)
    this.forgottenTo = first
  }

  private retire(events: SealedEvents | undefined): void {
    if (events?.kind === 'file') this.leftovers.push({ name: events.name, checkpoints: 0 })
  }

  /** What a crash left behind, and what only older checkpoints name. */
  private adoptFiles(): void {
    mkdirSync(this.folder, { recursive: true })
    const named = new Set([...this.pending.values()].map((events) => nameOf(events)))
    for (const name of readdirSync(this.folder)) {
      if (name.endsWith('.events') && !named.has(name)) {
        this.leftovers.push({ name, checkpoints: 0 })
      }
    }
  }
}

function nameOf(events: SealedEvents): string {
  return events.kind === 'file' ? events.name : ''
}
