// Says once what a table waits for: somebody's transaction that stays open can keep a table from
// its first row for hours, and whoever can end it must learn of it.

import type { Log } from '../base/log.ts'
import type { RunSnapshot } from '../job/run-state.ts'

export class WaitWatch {
  readonly #log: Log
  /** By table: what it is known to wait for. */
  readonly #said = new Map<string, string>()

  constructor(log: Log) {
    this.#log = log
  }

  look({ tables }: RunSnapshot): void {
    for (const { progress } of tables) {
      const { table, waitsFor } = progress
      if (waitsFor === null) this.#said.delete(table)
      else if (this.#said.get(table) !== waitsFor) {
        this.#said.set(table, waitsFor)
        this.#log.warn(`table "${table}" waits for ${waitsFor}`, { table })
      }
    }
  }
}
