// Watches how much log the server keeps for us, against `max_slot_lag`: a slot that nobody reads
// fills the server's disk, and the first who notices should not be its users.

import type { Log } from '../base/log.ts'
import { formatSize } from '../job/config/quantity.ts'
import type { RunSnapshot } from '../job/run-state.ts'

type Level = 'below' | 'half' | 'full'

export class SlotLagWatch {
  readonly #limitBytes: number
  readonly #log: Log
  #level: Level = 'below'

  constructor(limitBytes: number, log: Log) {
    this.#limitBytes = limitBytes
    this.#log = log
  }

  /** Speaks once at each crossing, upwards and back. */
  look({ source, checkpoint }: RunSnapshot): void {
    if (source === null || source.headOrder === null || checkpoint === null) return
    // Another source epoch has another log: the difference means nothing.
    if (source.headOrder >> 96n !== checkpoint.order >> 96n) return
    const keptBytes = Math.max(0, Number(source.headOrder - checkpoint.order))
    const level = this.#levelOf(keptBytes)
    if (level === this.#level) return
    const facts = { keptBytes, limitBytes: this.#limitBytes }
    const limit = formatSize(this.#limitBytes)
    if (level === 'full')
      this.#log.error(`the server keeps more log than max_slot_lag (${limit})`, facts)
    else if (level === 'half')
      this.#log.warn(`the server keeps half of max_slot_lag (${limit})`, facts)
    else this.#log.info('the server keeps less than half of max_slot_lag again', facts)
    this.#level = level
  }

  #levelOf(keptBytes: number): Level {
    if (keptBytes >= this.#limitBytes) return 'full'
    return keptBytes >= this.#limitBytes / 2 ? 'half' : 'below'
  }
}
