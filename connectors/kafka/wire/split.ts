// One partition under reading: where it is, what of it is fetched and not yet read, and why it may
// have nothing to give. It holds no connection; the reader decides whom it is asked from.

import type { FetchedBatches } from '../decode/fetched.ts'
import type { RecordSet } from '../records.ts'
import type {
  Delivery,
  Problem,
  ReadOptions,
  SplitPlace,
  SplitProblem,
  SplitState,
  StallReason,
} from './delivery.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 2_000

/** What a fetch brought. */
export interface Piece {
  readonly bytes: Buffer
  readonly batches: FetchedBatches
}

/** What a split's owner is told. */
export interface SplitOwner {
  /** Bytes of it were read, or dropped: there is room for the next fetch. */
  released(split: Split, bytes: number): void
}

export class Split {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Where the next fetch begins, and the epoch of the record before. */
  fetchOffset = 0
  fetchEpoch = -1
  leader = -1
  leaderEpoch = -1
  paused = false
  problem: SplitProblem | null = null
  /** The source has been told of the problem. */
  told = false
  bufferedBytes = 0
  /** Which of the fills of all splits was its last: who waited longest is asked for first. */
  filled = 0
  /** More than usual, when a batch did not fit. */
  bytesWanted = 0
  /** Not asked for before this time of the clock that never goes back. */
  retryAtMs = 0
  /** Counts places: an answer to a question for another place is not for this one. */
  turn = 0
  logStartOffset = -1
  highWatermark = -1
  lastStableOffset = -1
  /** Since when metadata calls the topic missing, or another; `null`: it does not. */
  doubt: { readonly kind: string; readonly sinceMs: number } | null = null
  outOfRange = 0
  #nextOffset = 0
  #nextEpoch = -1
  #failures = 0
  #asked = false
  #answeredMs: number | null = null
  #stalled: SplitState['stalled'] = null
  readonly #pieces: Piece[] = []
  readonly #owner: SplitOwner

  constructor({ topic, topicId, partition }: SplitPlace, owner: SplitOwner) {
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.#owner = owner
  }

  moveTo({ offset, leaderEpoch }: SplitPlace): void {
    this.turn += 1
    this.problem = null
    this.told = false
    this.doubt = null
    this.outOfRange = 0
    this.bytesWanted = 0
    this.retryAtMs = 0
    this.#failures = 0
    this.#asked = false
    this.#stalled = null
    this.#nextOffset = offset
    this.#nextEpoch = leaderEpoch
    this.dropBuffer()
  }

  /** Forgets what was fetched and not read; it is fetched again. */
  dropBuffer(): void {
    this.turn += 1
    const bytes = this.bufferedBytes
    this.#pieces.length = 0
    this.bufferedBytes = 0
    this.fetchOffset = this.#nextOffset
    this.fetchEpoch = this.#nextEpoch
    if (bytes > 0) this.#owner.released(this, bytes)
  }

  get ready(): boolean {
    return !this.paused && (this.#pieces.length > 0 || (this.problem !== null && !this.told))
  }

  add(bytes: Buffer, batches: FetchedBatches): void {
    this.#pieces.push({ bytes, batches })
    this.bufferedBytes += bytes.length
  }

  /** The oldest piece that is not read to its end. */
  delivery(): Delivery | null {
    const [piece] = this.#pieces
    return piece === undefined ? null : new PieceDelivery(this, piece)
  }

  /** The next set of the piece; `null`: it is read, or was dropped meanwhile. */
  read(piece: Piece): RecordSet | null {
    if (this.#pieces[0] !== piece) return null
    const set = piece.batches.next()
    this.#nextOffset = piece.batches.nextOffset
    if (piece.batches.leaderEpoch >= 0) this.#nextEpoch = piece.batches.leaderEpoch
    if (set !== null) return set
    this.#pieces.shift()
    this.bufferedBytes -= piece.bytes.length
    this.#owner.released(this, piece.bytes.length)
    return null
  }

  get place(): { readonly offset: number; readonly leaderEpoch: number } {
    return { offset: this.#nextOffset, leaderEpoch: this.#nextEpoch }
  }

  /** The leader has answered for this split, and its offsets are noted. */
  answered(isolation: ReadOptions['isolation'], nowMs: number): void {
    this.#failures = 0
    this.#asked = true
    this.#answeredMs = nowMs
    const end = this.lastStableOffset
    const waits = isolation === 'read_committed' && end < this.highWatermark
    if (waits && this.fetchOffset >= end) {
      const detail = `records from offset ${end} on belong to a transaction that is not finished`
      this.stall('open-transaction', detail, nowMs)
    } else this.#stalled = null
    this.doubt = null
    this.outOfRange = 0
  }

  stall(reason: StallReason, detail: string, nowMs: number): void {
    const since = this.#stalled?.reason === reason ? this.#stalled.sinceMs : nowMs
    this.#stalled = { reason, detail, sinceMs: since }
  }

  /** It is asked for again a little later, each time in a row later. */
  backOff(elapsedMs: number): void {
    this.#asked = false
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures)
    this.#failures += 1
    this.retryAtMs = elapsedMs + waitMs
  }

  /** The source must judge; nothing more is fetched. What was fetched before is read first. */
  fail(problem: Problem): void {
    const { topic, topicId, partition, fetchOffset: offset } = this
    const named = { kind: 'problem', topic, topicId, partition, offset } as const
    this.problem = { ...named, ...problem }
  }

  state(isolation: ReadOptions['isolation']): SplitState {
    const { topic, topicId, partition, logStartOffset, highWatermark, lastStableOffset } = this
    const end = isolation === 'read_committed' ? lastStableOffset : highWatermark
    const atEnd = this.#asked && end >= 0 && this.#nextOffset >= end
    const offsets = { logStartOffset, highWatermark, lastStableOffset }
    const names = { topic, topicId, partition, paused: this.paused }
    const place = { nextOffset: this.#nextOffset, leaderEpoch: this.#nextEpoch }
    const answeredMs = this.#answeredMs
    return { ...names, ...place, ...offsets, atEnd, answeredMs, stalled: this.#stalled }
  }
}

class PieceDelivery implements Delivery {
  readonly kind = 'records'
  readonly #split: Split
  readonly #piece: Piece

  constructor(split: Split, piece: Piece) {
    this.#split = split
    this.#piece = piece
  }

  get topic(): string {
    return this.#split.topic
  }

  get topicId(): string {
    return this.#split.topicId
  }

  get partition(): number {
    return this.#split.partition
  }

  get nextOffset(): number {
    return this.#piece.batches.nextOffset
  }

  get leaderEpoch(): number {
    const { leaderEpoch } = this.#piece.batches
    return leaderEpoch < 0 ? this.#split.place.leaderEpoch : leaderEpoch
  }

  next(): RecordSet | null {
    return this.#split.read(this.#piece)
  }
}
