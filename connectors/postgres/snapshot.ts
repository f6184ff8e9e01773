// A snapshot's visible set, and the commits that the slot has delivered although readers may not
// see them yet (a commit that waits for a synchronous standby is in the log before it is visible,
// also across a restart of ours). They decide how late a chunk's LOW may be: `rules` H1.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Transactions } from '../../runtime/data/batch.ts'
import type { Order } from '../../runtime/data/position.ts'
import type { ChunkVisibility } from '../../runtime/source.ts'
import type { Lsn } from './lsn.ts'

const TWO_32 = 0x1_0000_0000

/** What pg_current_snapshot() says; ids are 64-bit and exact in a double. */
export interface Snapshot {
  /** Every transaction before it has ended. */
  readonly xmin: number
  /** No transaction from here on has ended. */
  readonly xmax: number
  /** Those between that were in progress. */
  readonly running: ReadonlySet<number>
}

/** Parses `10:20:10,14,15`. @throws PipelineError LOG_CORRUPT */
export function parseSnapshot(text: string): Snapshot {
  const [xmin, xmax, running] = text.split(':')
  const bounds = { xmin: Number(xmin), xmax: Number(xmax) }
  if (!Number.isSafeInteger(bounds.xmin) || !Number.isSafeInteger(bounds.xmax)) {
    throw new PipelineError('LOG_CORRUPT', `"${text}" is not a snapshot`)
  }
  const ids = running === undefined || running === '' ? [] : running.split(',').map(Number)
  return { ...bounds, running: new Set(ids) }
}

/** True also for a transaction that was rolled back: ask only for committed ones. */
export function isVisible(snapshot: Snapshot, xid: number): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.running.has(xid))
}

/** @param low  of the chunk that reads under `snapshot` */
export function visibilityOf(snapshot: Snapshot, low: Order): ChunkVisibility {
  return {
    certainFrom: low,
    shows: (transactions, index) =>
      isVisible(snapshot, widenXid(xidOf(transactions, index), snapshot.xmax)),
  }
}

/** Reads the digits that the log reader wrote. */
function xidOf({ idBytes, idOffsets }: Transactions, index: number): number {
  let xid = 0
  const end = idOffsets[index + 1] ?? 0
  for (let at = idOffsets[index] ?? 0; at < end; at++) xid = xid * 10 + (idBytes[at] ?? 0) - 0x30
  return xid
}

/**
 * pgoutput sends the lower 32 bits of an id. The log and the reference move together, so the id
 * meant is the one nearest to the reference, at most 2^31 away.
 */
export function widenXid(xid32: number, reference: number): number {
  const difference = (xid32 - (reference % TWO_32)) | 0
  return reference + difference
}

/** A delivered commit that no snapshot has shown yet. */
export type UnseenCommit = readonly [xid: number, lsn: Lsn]

/**
 * Delivered commits, in log order. One that a snapshot of the primary has shown stays visible to
 * all later ones, so it is forgotten then; waiting for xmin instead would let one long transaction
 * make this grow without bound.
 */
export class DeliveredCommits {
  private xids = new Float64Array(256)
  private lsns = new Float64Array(256)
  private count = 0
  private reference: number
  private held: Snapshot | 'all' | null = null

  /** @param reference  some transaction id of now: widens the ids of the log */
  constructor(reference: number, unseen: readonly UnseenCommit[]) {
    this.reference = reference
    for (const [xid, lsn] of unseen) this.append(xid, lsn)
  }

  get size(): number {
    return this.count
  }

  add(xid32: number, lsn: Lsn): void {
    this.append(widenXid(xid32, this.reference), lsn)
  }

  private append(xid: number, lsn: Lsn): void {
    if (this.count === this.xids.length) {
      this.xids = doubled(this.xids)
      this.lsns = doubled(this.lsns)
    }
    this.xids[this.count] = xid
    this.lsns[this.count] = lsn
    this.count++
  }

  /**
   * Keeps commits although they are visible by now: all of them, or those that an older snapshot
   * does not show, so that `allVisible` can be asked about it.
   */
  hold(held: Snapshot | 'all' | null): void {
    this.held = held
  }

  /**
   * @param xid32  of the transaction that is being read; `null`: none is
   * @returns true when the snapshot shows it, and every delivered commit before `end`
   */
  allVisible(snapshot: Snapshot, xid32: number | null, end: Lsn): boolean {
    if (xid32 !== null && !isVisible(snapshot, widenXid(xid32, snapshot.xmax))) return false
    return this.low(snapshot, end) === end
  }

  /** Forgets the commits that `snapshot` shows; it was taken on the server that the log is of. */
  observe(snapshot: Snapshot): void {
    this.reference = Math.max(this.reference, snapshot.xmax)
    const { held } = this
    if (held === 'all') return
    let kept = 0
    for (let at = 0; at < this.count; at++) {
      const xid = this.xids[at] ?? 0
      if (isVisible(snapshot, xid) && (held === null || isVisible(held, xid))) continue
      this.xids[kept] = xid
      this.lsns[kept] = this.lsns[at] ?? 0
      kept++
    }
    this.count = kept
  }

  /**
   * LOW of a chunk that reads under `snapshot`: every delivered commit before it is visible. Every
   * later one, and all that is still to be delivered, comes by the log.
   *
   * @param processed  how far the log has been read by the one who asks
   */
  low(snapshot: Snapshot, processed: Lsn): Lsn {
    for (let at = 0; at < this.count; at++) {
      if (!isVisible(snapshot, this.xids[at] ?? 0)) return Math.min(processed, this.lsns[at] ?? 0)
    }
    return processed
  }

  /**
   * LOW of a chunk that is being opened: call it before the chunk's snapshot is taken, and the
   * result once it is known. Until then a later snapshot may be answered, and makes `observe`
   * forget commits that the chunk does not show. What is delivered meanwhile lies behind
   * `processed`, so it cannot lower LOW.
   */
  lowOf(processed: Lsn): (snapshot: Snapshot) => Lsn {
    const before = new DeliveredCommits(this.reference, [])
    before.xids = this.xids.slice(0, Math.max(this.count, 1))
    before.lsns = this.lsns.slice(0, Math.max(this.count, 1))
    before.count = this.count
    return (snapshot) => before.low(snapshot, processed)
  }

  /** No later `low` is smaller than this. */
  bound(processed: Lsn): Lsn {
    return this.count === 0 ? processed : Math.min(processed, this.lsns[0] ?? 0)
  }

  save(): UnseenCommit[] {
    return Array.from({ length: this.count }, (_, at): UnseenCommit => [
      this.xids[at] ?? 0,
      this.lsns[at] ?? 0,
    ])
  }
}

function doubled(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2)
  larger.set(array)
  return larger
}
