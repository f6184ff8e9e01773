// Which transactions of the log a snapshot holds, as far as the servers tell. What was committed
// before it opened is in it, what was not in the log yet when it had opened is not; of what lies
// between nobody can tell.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { transactionOrder, type Transactions } from '../../../runtime/data/batch.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { ChunkVisibility } from '../../../runtime/source.ts'
import type { GtidSet } from '../gtid.ts'

/** What was asked on both sides of the beginning of a snapshot. */
export interface SnapshotCommits {
  readonly low: Order
  /** MySQL: committed when the snapshot opened. `null`: MariaDB. */
  readonly executed: GtidSet | null
  /** MariaDB: the last commit when the snapshot opened, by the name that it has there. */
  readonly named: Order
  /** A transaction of those that were read last ended exactly there: the name is true. */
  readonly endsAt: (place: Order) => boolean
  /**
   * MariaDB: the log ends an XA transaction there that was still listed as prepared, so the
   * snapshot may lack it although its place is before the name.
   */
  readonly mayBeOpen: (order: Order) => boolean
  /** Of the log, behind the beginning; `null`: the table's engine keeps to no snapshot. */
  readonly end: Order | null
}

/** @param readEnd  end of the log when the rows were read; `null` until then */
export function visibilityOf(
  commits: SnapshotCommits,
  readEnd: () => Order | null,
): ChunkVisibility {
  const { low, executed, named, endsAt, mayBeOpen, end } = commits
  let namedIsTrue: boolean | null = null
  const isCommitted = (transactions: Transactions, index: number, order: Order): boolean => {
    if (order < low) return true
    if (executed !== null) return executed.hasText(idOf(transactions, index))
    // Asked once the log was read up to there, and soon: the reader knows the last ends only.
    namedIsTrue ??= endsAt(named)
    return namedIsTrue && order < named && !mayBeOpen(order)
  }
  return {
    certainFrom: end === null ? low : later(end, named),
    shows: (transactions, index) => {
      const order = transactionOrder(transactions, index)
      const last = end ?? readEnd()
      if (last !== null && order >= last) return false
      return isCommitted(transactions, index, order) ? true : null
    },
  }
}

function later(left: Order, right: Order): Order {
  return left > right ? left : right
}

function idOf({ idBytes, idOffsets }: Transactions, index: number): string {
  const [start, end] = [idOffsets[index] ?? 0, idOffsets[index + 1] ?? 0]
  if (start === end) throw new PipelineError('INTERNAL', 'a transaction of the log has no id')
  return Buffer.from(idBytes.buffer, idBytes.byteOffset + start, end - start).toString('latin1')
}
