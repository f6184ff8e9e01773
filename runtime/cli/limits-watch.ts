// Looks for limits that `millrace throttle` has left, and gives them to the source while it runs.

import type { Log } from '../base/log.ts'
import { readLimits, type Limits } from '../job/limits.ts'
import type { ObjectStore } from '../object-store.ts'

export class LimitsWatch {
  private readonly state: ObjectStore
  private readonly own: Limits
  private readonly log: Log
  private applied: string
  private looking = false
  private failed = false

  /** @param own  what counts where nothing has been left */
  constructor(state: ObjectStore, own: Limits, log: Log) {
    this.state = state
    this.own = own
    this.log = log
    this.applied = JSON.stringify(own)
  }

  /** One look at a time; what cannot be read leaves the limits as they are. */
  async look(task: { limit(limits: Limits): void } | null): Promise<void> {
    if (this.looking || task === null) return
    this.looking = true
    try {
      const limits = (await readLimits(this.state)) ?? this.own
      const text = JSON.stringify(limits)
      if (text !== this.applied) {
        task.limit(limits)
        this.applied = text
        this.log.info('the source has other limits', { limits: text })
      }
      this.failed = false
    } catch (error) {
      if (!this.failed) this.log.warn('limits cannot be read; they stay as they are', { error })
      this.failed = true
    } finally {
      this.looking = false
    }
  }
}
