// Writes the newest status to the state store, one write at a time and none faster than a second:
// a slow disk must hold up the status, never the pipeline.

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { writeStatus } from '../console/status-file.ts'
import type { PipelineStatus } from '../console/status.ts'
import type { ObjectStore } from '../object-store.ts'

const INTERVAL_MS = 1000

export class StatusKeeper {
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #log: Log
  #newest: PipelineStatus | null = null
  #writing: Promise<void> | null = null
  #writtenMs = -Infinity
  #failed = false

  constructor(store: ObjectStore, clock: Clock, log: Log) {
    this.#store = store
    this.#clock = clock
    this.#log = log
  }

  offer(status: PipelineStatus): void {
    const changed = status.state !== this.#newest?.state
    this.#newest = status
    const due = this.#clock.elapsedMs() - this.#writtenMs >= INTERVAL_MS
    if (this.#writing === null && (due || changed)) this.#writing = this.#write()
  }

  /** Resolves when the newest status has been written (or could not be). */
  async flush(): Promise<void> {
    await this.#writing
    if (this.#newest !== null) await this.#write()
  }

  async #write(): Promise<void> {
    const status = this.#newest
    this.#writtenMs = this.#clock.elapsedMs()
    try {
      if (status !== null) await writeStatus(this.#store, status)
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#log.warn('the status cannot be written', { error })
      this.#failed = true
    }
    this.#writing = null
  }
}
