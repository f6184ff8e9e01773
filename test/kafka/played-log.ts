// The log of one partition as a broker keeps it, played in memory: transactions of several
// producers, markers, the list of aborted transactions, and what the cleaner leaves of all that. It
// answers fetches as brokers do: whole batches from the one that holds the offset, then a part.

import {
  encodeBatch,
  encodeMarker,
  type ModelCodec,
  type ModelRecord,
  PLAIN_BATCH,
} from './batch-encoder.ts'
import type { AbortedEntry } from './decoded.ts'

/** `producer` 0 writes without transactions. `end` without an open transaction does nothing. */
export type PlayedStep =
  | {
      readonly kind: 'write'
      readonly producer: number
      /** By record: whether the cleaner has removed it by the time of reading. */
      readonly removed: readonly boolean[]
      readonly codec: ModelCodec
    }
  | {
      readonly kind: 'end'
      readonly producer: number
      readonly commits: boolean
      /** Of an aborted transaction: what the cleaner has removed. Each includes those before. */
      readonly cleaned: 'nothing' | 'records' | 'entry' | 'marker'
    }

interface StoredBatch {
  readonly base: number
  readonly last: number
  readonly bytes: Buffer
}

interface OpenTransaction {
  readonly first: number
  readonly writes: { readonly at: number; readonly kept: readonly ModelRecord[] }[]
}

export interface PlayedAnswer {
  readonly bytes: Buffer
  readonly aborted: readonly AbortedEntry[]
}

export class PlayedLog {
  /** What a reader of committed records must see, in order. */
  readonly committed: readonly ModelRecord[]
  readonly lastStableOffset: number
  readonly #batches: (StoredBatch | null)[] = []
  readonly #entries: (AbortedEntry & { readonly last: number })[] = []
  readonly #kept: OpenTransaction['writes'] = []
  #end = 0

  constructor(steps: readonly PlayedStep[]) {
    const open = new Map<number, OpenTransaction>()
    const committed: ModelRecord[] = []
    for (const step of steps) {
      if (step.kind === 'write') this.#write(step, open, committed)
      else this.#finish(step, open, committed)
    }
    const firsts = [...open.values()].map(({ first }) => first)
    this.lastStableOffset = Math.min(this.#end, ...firsts)
    this.committed = committed
      .filter(({ offset }) => offset < this.lastStableOffset)
      .sort((one, other) => one.offset - other.offset)
  }

  /** The whole log, what is not stable included. */
  get all(): Buffer {
    return Buffer.concat(this.#batches.flatMap((batch) => (batch === null ? [] : [batch.bytes])))
  }

  /** What a reader of all records must see, in order. */
  get written(): ModelRecord[] {
    return this.#kept.flatMap(({ at, kept }) => (this.#batches[at] === null ? [] : kept))
  }

  /** @param size  bytes that are wanted; the first batch comes whole whatever its size */
  fetch(from: number, size: number): PlayedAnswer {
    const there = this.#batches.filter(
      (batch): batch is StoredBatch =>
        batch !== null && batch.last >= from && batch.base < this.lastStableOffset,
    )
    const bytes = Buffer.concat(there.map((batch) => batch.bytes))
    const cut = Math.max(size, there[0]?.bytes.length ?? 0)
    const entries = this.#entries.filter(({ last }) => last >= from)
    // Newest first: the order says nothing.
    const aborted = entries.map(({ producer, first }) => ({ producer, first })).reverse()
    return { bytes: bytes.subarray(0, cut), aborted }
  }

  #write(
    { producer, removed, codec }: Extract<PlayedStep, { kind: 'write' }>,
    open: Map<number, OpenTransaction>,
    committed: ModelRecord[],
  ): void {
    const base = this.#end
    this.#end += removed.length
    const kept = removed.flatMap((gone, index) => (gone ? [] : [recordAt(base + index, producer)]))
    const kind = { transactional: producer > 0, producer: producer === 0 ? -1 : producer, codec }
    const batch = { ...PLAIN_BATCH, ...kind, base, last: this.#end - 1, records: kept }
    this.#batches.push({ base, last: batch.last, bytes: encodeBatch(batch) })
    this.#kept.push({ at: this.#batches.length - 1, kept })
    if (producer === 0) {
      committed.push(...kept)
      return
    }
    const transaction = open.get(producer) ?? { first: base, writes: [] }
    transaction.writes.push({ at: this.#batches.length - 1, kept })
    open.set(producer, transaction)
  }

  #finish(
    { producer, commits, cleaned }: Extract<PlayedStep, { kind: 'end' }>,
    open: Map<number, OpenTransaction>,
    committed: ModelRecord[],
  ): void {
    const transaction = open.get(producer)
    if (transaction === undefined) return
    open.delete(producer)
    const offset = this.#end++
    if (commits) committed.push(...transaction.writes.flatMap(({ kept }) => kept))
    else {
      const { first, writes } = transaction
      if (cleaned !== 'nothing') for (const { at } of writes) this.#batches[at] = null
      const listed = cleaned === 'nothing' || cleaned === 'records'
      if (listed) this.#entries.push({ producer, first, last: offset })
      if (cleaned === 'marker') return
    }
    const bytes = encodeMarker(offset, producer, commits ? 1 : 0)
    this.#batches.push({ base: offset, last: offset, bytes })
  }
}

function recordAt(offset: number, producer: number): ModelRecord {
  const value = Buffer.from(`${producer}:${offset}`)
  return { offset, timestamp: 1_700_000_000_000 + offset, key: null, value, headers: [] }
}
