// Offers rows to a server at a steady rate and follows them into the lake.

import { systemClock } from '../../runtime/base/clock.ts'
import type { TransactionWriter } from '../engine.ts'
import { Lag } from './lag.ts'
import type { Offer } from './sustained.ts'

const TRANSACTIONS_A_SECOND = 100
const TRANSACTION_ROWS_MAX = 1000
/** As long may what was written last take; a lag beyond it fails the bench. */
const DRAIN_MS_MAX = 120_000
const LOOK_MS = 5

/** A hundred transactions a second, and none larger than the usual one. */
export function transactionRows(rate: number): number {
  return Math.min(TRANSACTION_ROWS_MAX, Math.max(1, Math.round(rate / TRANSACTIONS_A_SECOND)))
}

export class Offers {
  private readonly write: TransactionWriter
  private nextId: number
  private visible = 0
  private lag = new Lag(0)

  /** @param firstId  of rows that are not there yet */
  constructor(write: TransactionWriter, firstId: number) {
    this.write = write
    this.nextId = firstId
  }

  /** What the lake shows, whenever that changes. */
  see(rows: number, atMs: number): void {
    this.visible = rows
    this.lag.visible(rows, atMs)
  }

  /** Resolves once the pipeline has started and shown a first row. */
  async begin(): Promise<void> {
    await this.transaction(1)
    await this.drain()
  }

  /**
   * Writes for `seconds`, then waits until the lake shows all of it. A server that is late gets
   * larger transactions, as it would from an application that has a queue.
   *
   * @param rate  rows a second
   */
  async offer(rate: number, seconds: number): Promise<Offer & { rows: number }> {
    const size = transactionRows(rate)
    const startMs = systemClock.elapsedMs()
    this.lag = new Lag(this.visible)
    let rows = 0
    for (;;) {
      const dueMs = startMs + (rows / rate) * 1000
      if (Math.max(dueMs, systemClock.elapsedMs()) >= startMs + seconds * 1000) break
      const waitMs = dueMs - systemClock.elapsedMs()
      if (waitMs > 0) await systemClock.sleep(waitMs)
      const lateRows = Math.round(((systemClock.elapsedMs() - dueMs) / 1000) * rate)
      const count = Math.min(TRANSACTION_ROWS_MAX, size + Math.max(0, lateRows))
      await this.transaction(count)
      rows += count
    }
    const writtenSeconds = Math.max(seconds, (systemClock.elapsedMs() - startMs) / 1000)
    await this.drain()
    const percentiles = this.lag.percentiles()
    return { offered: rate, achieved: rows / writtenSeconds, rows, percentiles }
  }

  private async transaction(rows: number): Promise<void> {
    this.lag.sent(rows, systemClock.elapsedMs())
    await this.write(this.nextId, rows)
    this.nextId += rows
  }

  private async drain(): Promise<void> {
    const startMs = systemClock.elapsedMs()
    while (!this.lag.isDrained) {
      if (systemClock.elapsedMs() - startMs > DRAIN_MS_MAX) {
        throw new Error(`rows are not in the lake after ${DRAIN_MS_MAX / 1000} s`)
      }
      await systemClock.sleep(LOOK_MS)
    }
  }
}
