// Which batches of a transactional producer belong to an aborted transaction. The broker lists the
// aborted transactions that an answer touches, in any order and several of one producer; each takes
// effect from its first offset on and ends at its marker, which may lie beyond this answer.

/** The aborted transactions of one answer; filled anew for each. */
export class AbortedFilter {
  #producers = new Float64Array(16)
  #firsts = new Float64Array(16)
  #count = 0
  #next = 0
  /** Producers within an aborted transaction at the place that reading has reached. */
  readonly #open = new Set<number>()

  clear(): void {
    this.#count = 0
    this.#next = 0
    this.#open.clear()
  }

  add(producer: number, firstOffset: number): void {
    if (this.#count === this.#producers.length) this.#grow()
    // Kept in order of the first offsets: brokers send few, and mostly in order.
    let at = this.#count++
    for (; at > 0 && this.#firsts[at - 1]! > firstOffset; at--) {
      this.#firsts[at] = this.#firsts[at - 1]!
      this.#producers[at] = this.#producers[at - 1]!
    }
    this.#firsts[at] = firstOffset
    this.#producers[at] = producer
  }

  /**
   * Asked once for each batch with records of a transaction, in the order of the log.
   *
   * @returns true when none of the records was committed
   */
  isAborted(producer: number, baseOffset: number): boolean {
    while (this.#next < this.#count && this.#firsts[this.#next]! <= baseOffset) {
      this.#open.add(this.#producers[this.#next++]!)
    }
    return this.#open.has(producer)
  }

  /** An abort marker of the producer: what follows belongs to another transaction. */
  ended(producer: number, offset: number): void {
    // Its transaction may have no batch left of its own, after compaction or below what is read.
    this.isAborted(producer, offset)
    this.#open.delete(producer)
  }

  #grow(): void {
    const producers = new Float64Array(this.#count * 2)
    const firsts = new Float64Array(this.#count * 2)
    producers.set(this.#producers)
    firsts.set(this.#firsts)
    this.#producers = producers
    this.#firsts = firsts
  }
}
