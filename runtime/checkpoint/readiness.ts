// Which partitions are whole, and what has to be said of it. Decided at a barrier from its
// watermark, saved with the epoch's checkpoint, and told when the epoch's commit is known.
//
//   OPEN -> CLOSING -> COMMITTED -> READY (generation n) -> REOPENED -> ... -> READY (n + 1)
//
// OPEN: rows may still come. CLOSING: the watermark has passed, its files are not all in the lake.
// COMMITTED: they are, and not everybody has heard of it. READY: everybody has. REOPENED: changed
// since: a commit that changes rows of an announced partition announces its next generation.
//
// Partitions are taken in the order of time, without gaps: an hour without rows is whole as well,
// or whoever waits for it would wait for ever. One without a time (null) is never announced.
//
// State, bounded by rule: the last PARTITIONS_MAX partitions that were announced. What changes in
// an older one is not announced: its generation is not known, and an id must not come twice.

import type { TimeUnit } from '../data/partition/transform.ts'
import type { TimeZone } from '../data/time-zone.ts'
import { isAnnounceable, partitionAt, partitionLabel, partitionStart } from './partition-time.ts'

export const PARTITIONS_MAX = 1000
/** Undelivered announcements of a table; beyond, generations that others follow are left out. */
export const OUTBOX_MAX = 1000
/** Partitions that one barrier announces for the first time; the others wait for the next. */
const AT_ONCE_MAX = 1000

/** How partitions of one table are announced. */
export interface ReadinessRule {
  /** `TableSchema.table`. */
  readonly table: string
  readonly unit: TimeUnit
  /** Of the partition's numbers. */
  readonly zone: TimeZone
  /** Between the end of a partition and its announcement. */
  readonly delayUs: bigint
  /** Names of those who are told, in order. */
  readonly notifiers: readonly string[]
}

/** What an epoch changes in one partition of a table. */
export interface PartitionChange {
  /** Of the unit, since 1970; `null`: rows without a time. */
  readonly number: number | null
  /** Data files added, with their rows and bytes; 0 where rows were only taken away. */
  readonly files: number
  readonly rows: number
  readonly bytes: number
}

/** One table at a barrier. */
export interface TableCut {
  /** `null`: nothing may be decided now (hand-over, repair, parked). */
  readonly watermarkUs: bigint | null
  readonly changes: readonly PartitionChange[]
  /** TRUNCATE: `changes` are those behind it. */
  readonly all: boolean
  /**
   * First partition that has rows which are in no committed file of this epoch: held back, or still
   * being merged. `null`: all files are closed.
   */
  readonly openFrom: number | null
}

/** What is to be told. */
export interface Announcement {
  /** In the order of the table, from 1. */
  readonly sequence: number
  readonly number: number
  readonly generation: number
  readonly epoch: number
  readonly watermarkUs: bigint
  readonly files: number
  readonly rows: number
  readonly bytes: number
  readonly lateRows: number
  readonly decidedAtMs: number
  readonly exact: boolean
}

export type PartitionState = 'open' | 'closing' | 'committed' | 'ready' | 'reopened'

interface Partition {
  readonly number: number
  /** 0: never announced. */
  generation: number
  /** Epoch of the last announcement, and of the last change. */
  decidedEpoch: number
  changedEpoch: number
  files: number
  rows: number
  bytes: number
  lateRows: number
}

type SavedPartition = readonly [
  number: number,
  generation: number,
  decidedEpoch: number,
  changedEpoch: number,
  files: number,
  rows: number,
  bytes: number,
  lateRows: number,
]

interface SavedTable {
  readonly table: string
  readonly unit: TimeUnit
  readonly next: number | null
  readonly oldest: number | null
  readonly uncountedFrom: number | null
  readonly sequence: number
  readonly watermarkUs: bigint | null
  readonly partitions: readonly SavedPartition[]
  readonly outbox: readonly Announcement[]
  readonly delivered: Readonly<Record<string, number>>
}

/** In the checkpoint. */
export type SavedReadiness = readonly SavedTable[]

/** All tables that have a rule. One that comes later joins with what is known of it. */
export class Readiness {
  private readonly tables = new Map<string, TableReadiness>()
  private readonly saved: SavedReadiness

  constructor(saved: SavedReadiness) {
    this.saved = saved
  }

  join(rule: ReadinessRule): TableReadiness {
    // Numbers of another unit are other partitions: the lake table has been made anew.
    const before = this.saved.find(({ table, unit }) => table === rule.table && unit === rule.unit)
    const table = new TableReadiness(rule, before ?? null)
    this.tables.set(rule.table, table)
    return table
  }

  of(table: string): TableReadiness | null {
    return this.tables.get(table) ?? null
  }

  save(): SavedReadiness {
    return [...this.tables.values()].map((table) => table.save())
  }
}

export class TableReadiness {
  readonly rule: ReadinessRule
  watermarkUs: bigint | null = null
  /** The watermark has passed a partition with rows that are held back. */
  waitsForRows = false
  /** Since the process started. */
  announced = 0
  lateRows = 0
  private readonly partitions = new Map<number, Partition>()
  /** First partition whose turn has not come; `null`: none has come yet. */
  private next: number | null = null
  /** Older partitions are forgotten. */
  private oldest: number | null = null
  /** Files of partitions from here on were not all counted. */
  private uncountedFrom: number | null = null
  private sequence = 0
  private outbox: Announcement[] = []
  private readonly delivered = new Map<string, number>()

  constructor(rule: ReadinessRule, saved: SavedTable | null) {
    this.rule = rule
    if (saved !== null) this.load(saved)
    // Whoever is told from now on hears of what is decided from now on.
    for (const name of rule.notifiers) {
      if (!this.delivered.has(name)) this.delivered.set(name, this.sequence)
    }
    this.forgetDelivered()
  }

  private load(saved: SavedTable): void {
    this.next = saved.next
    this.oldest = saved.oldest
    this.uncountedFrom = saved.uncountedFrom
    this.sequence = saved.sequence
    this.watermarkUs = saved.watermarkUs
    this.outbox = [...saved.outbox]
    for (const entry of saved.partitions) {
      const [number, generation, decidedEpoch, changedEpoch, files, rows, bytes, lateRows] = entry
      const counts = { files, rows, bytes, lateRows }
      this.partitions.set(number, { number, generation, decidedEpoch, changedEpoch, ...counts })
    }
    for (const name of this.rule.notifiers) {
      const at = saved.delivered[name]
      if (at !== undefined) this.delivered.set(name, at)
    }
  }

  decide(epoch: number, cut: TableCut, nowMs: number): void {
    if (cut.all) for (const partition of this.partitions.values()) empty(partition, epoch)
    for (const change of cut.changes) this.apply(epoch, change)
    this.boundOpen()
    const { watermarkUs, openFrom } = cut
    this.waitsForRows = false
    if (watermarkUs === null) return
    if (this.watermarkUs === null || watermarkUs > this.watermarkUs) this.watermarkUs = watermarkUs
    this.waitsForRows = openFrom !== null && this.hasPassed(openFrom)
    const closedBefore = cut.openFrom ?? Number.POSITIVE_INFINITY
    this.announceAgain(epoch, closedBefore, nowMs)
    this.announceNext(epoch, closedBefore, nowMs)
    this.forgetOld()
    this.boundOutbox()
  }

  /** A commit up to `epoch` has changed these partitions: they are looked at at the next barrier. */
  touched(epoch: number, numbers: readonly number[]): void {
    for (const number of numbers) this.apply(epoch, { number, files: 0, rows: 0, bytes: 0 })
  }

  private apply(epoch: number, { number, files, rows, bytes }: PartitionChange): void {
    if (number === null || !isAnnounceable(this.rule.unit, number)) return
    if (this.oldest !== null && number < this.oldest) return
    const partition = this.partitionOf(number)
    partition.files += files
    partition.rows += rows
    partition.bytes += bytes
    if (partition.generation > 0) {
      partition.lateRows += rows
      this.lateRows += rows
    }
    if (epoch > partition.changedEpoch) partition.changedEpoch = epoch
  }

  private partitionOf(number: number): Partition {
    const known = this.partitions.get(number)
    if (known !== undefined) return known
    const counts = { files: 0, rows: 0, bytes: 0, lateRows: 0 }
    const partition = { number, generation: 0, decidedEpoch: 0, changedEpoch: 0, ...counts }
    this.partitions.set(number, partition)
    return partition
  }

  /** Partitions whose turn has come before, and that have changed since. */
  private announceAgain(epoch: number, closedBefore: number, nowMs: number): void {
    const { next } = this
    if (next === null) return
    for (const partition of this.inOrder()) {
      if (partition.number >= next || partition.number >= closedBefore) continue
      // The first turns begin with the watermark; what lies before it has its delay to wait for.
      if (isDue(partition) && this.hasPassed(partition.number))
        this.announce(partition, epoch, nowMs)
    }
  }

  private announceNext(epoch: number, closedBefore: number, nowMs: number): void {
    this.next ??= this.firstPartition(closedBefore)
    const { unit, zone } = this.rule
    const last = Math.min(closedBefore, this.next + AT_ONCE_MAX)
    for (let number = this.next; number < last && this.hasPassed(number); number++) {
      const known = this.partitions.get(number)
      this.next = number + 1
      // An hour that the clocks leave out has no rows, and nobody waits for it.
      const isThere = partitionStart(unit, number, zone) < partitionStart(unit, number + 1, zone)
      if (isThere || known !== undefined) this.announce(this.partitionOf(number), epoch, nowMs)
    }
  }

  /**
   * Begins with the first partition that has rows, so far as it is not too long ago.
   *
   * @param openFrom  one whose rows wait to be shown
   */
  private firstPartition(openFrom: number): number {
    const { unit, zone } = this.rule
    const now = partitionAt(unit, this.watermarkUs ?? 0n, zone)
    const oldest = now - PARTITIONS_MAX
    this.oldest = oldest
    for (const number of this.partitions.keys()) {
      if (number < oldest) this.partitions.delete(number)
    }
    return Math.min(now, openFrom < oldest ? now : openFrom, ...this.partitions.keys())
  }

  /** The watermark has, and the delay behind its end is over. */
  hasPassed(number: number): boolean {
    const { unit, zone, delayUs } = this.rule
    const end = partitionStart(unit, number + 1, zone)
    return this.watermarkUs !== null && this.watermarkUs >= end + delayUs
  }

  private announce(partition: Partition, epoch: number, nowMs: number): void {
    partition.generation++
    partition.decidedEpoch = epoch
    const { number, generation, files, rows, bytes, lateRows } = partition
    this.sequence++
    this.announced++
    this.outbox.push({
      sequence: this.sequence,
      number,
      generation,
      epoch,
      watermarkUs: this.watermarkUs ?? 0n,
      files,
      rows,
      bytes,
      lateRows,
      decidedAtMs: nowMs,
      exact: this.uncountedFrom === null || number < this.uncountedFrom,
    })
    this.forgetDelivered()
  }

  /**
   * What was decided from `epoch` on rests on commits that will never be made. It has not been
   * told, and is decided anew, as the next generation, when the table is whole again.
   */
  revoke(epoch: number): void {
    for (const { number, epoch: decided } of this.outbox) {
      const partition = decided < epoch ? undefined : this.partitions.get(number)
      if (partition !== undefined) partition.decidedEpoch = -1
    }
    this.outbox = this.outbox.filter((one) => one.epoch < epoch)
  }

  /**
   * What a notifier has to be told next.
   *
   * @param known  every commit of the table before this epoch is in the lake
   */
  pending(notifier: string, known: number): Announcement | null {
    const at = this.delivered.get(notifier) ?? this.sequence
    const first = this.outbox.find(({ sequence }) => sequence > at)
    return first === undefined || first.epoch >= known ? null : first
  }

  /** @returns announcements that a notifier has not heard of; those that cannot be told yet too */
  backlog(notifier: string): number {
    const at = this.delivered.get(notifier) ?? this.sequence
    return this.outbox.filter(({ sequence }) => sequence > at).length
  }

  isDelivered(notifier: string, sequence: number): void {
    const at = this.delivered.get(notifier)
    if (at === undefined || sequence > at) this.delivered.set(notifier, sequence)
    this.forgetDelivered()
  }

  /** @returns how far a notifier has heard */
  deliveredTo(notifier: string): number {
    return this.delivered.get(notifier) ?? 0
  }

  announcement(sequence: number): Announcement | null {
    return this.outbox.find((one) => one.sequence === sequence) ?? null
  }

  /** @param known  as of `pending` */
  stateOf(number: number, known: number): PartitionState {
    const partition = this.partitions.get(number)
    const isPast = this.next !== null && number < this.next
    if (partition === undefined) return isPast ? 'ready' : 'open'
    const told = this.outbox.findLast((one) => one.number === number)
    return this.stateWith(partition, told?.epoch ?? null, known)
  }

  /** @param told  epoch of its announcement that not everybody has heard; `null`: everybody has */
  private stateWith(partition: Partition, told: number | null, known: number): PartitionState {
    const { number, generation } = partition
    if (generation === 0) return this.hasPassed(number) ? 'closing' : 'open'
    if (isDue(partition)) return 'reopened'
    if (told === null) return 'ready'
    if (told < known) return 'committed'
    return generation === 1 ? 'closing' : 'reopened'
  }

  /** For the status. */
  summary(known: number): {
    readonly open: number
    readonly reopened: number
    readonly last: { readonly value: string; readonly generation: number } | null
  } {
    // In the order of the outbox, so that the last of a partition stays.
    const told = new Map(this.outbox.map(({ number, epoch }) => [number, epoch]))
    let [open, reopened] = [0, 0]
    let last: Partition | null = null
    for (const partition of this.partitions.values()) {
      const state = this.stateWith(partition, told.get(partition.number) ?? null, known)
      if (state === 'reopened') reopened++
      else if (state === 'open' || state === 'closing') open++
      else if (last === null || partition.number > last.number) last = partition
    }
    if (last === null) return { open, reopened, last }
    const value = partitionLabel(this.rule.unit, last.number)
    return { open, reopened, last: { value, generation: last.generation } }
  }

  private *inOrder(): Generator<Partition> {
    const numbers = [...this.partitions.keys()].sort((left, right) => left - right)
    for (const number of numbers) yield this.partitionOf(number)
  }

  /** Rows far ahead, by wrong clocks, must not make the state grow. */
  private boundOpen(): void {
    const from = this.next ?? Number.NEGATIVE_INFINITY
    const ahead = [...this.partitions.keys()].filter((number) => number >= from)
    if (ahead.length <= PARTITIONS_MAX) return
    ahead.sort((left, right) => left - right)
    // Before the first decision it is the newest that will be announced.
    const dropped =
      this.next === null ? ahead.slice(0, -PARTITIONS_MAX) : ahead.slice(PARTITIONS_MAX)
    for (const number of dropped) this.partitions.delete(number)
    const first = dropped[0]
    if (this.next === null || first === undefined) return
    if (this.uncountedFrom === null || first < this.uncountedFrom) this.uncountedFrom = first
  }

  private forgetOld(): void {
    const { next } = this
    if (next === null) return
    const past = [...this.partitions.keys()].filter((number) => number < next)
    if (past.length <= PARTITIONS_MAX) return
    past.sort((left, right) => left - right)
    for (const number of past.slice(0, -PARTITIONS_MAX)) this.partitions.delete(number)
    this.oldest = past.at(-PARTITIONS_MAX) ?? next
  }

  private forgetDelivered(): void {
    const heard = this.rule.notifiers.map((name) => this.delivered.get(name) ?? this.sequence)
    const all = Math.min(this.sequence, ...heard)
    if ((this.outbox[0]?.sequence ?? all + 1) > all) return
    this.outbox = this.outbox.filter(({ sequence }) => sequence > all)
  }

  /** A generation that another follows in the outbox says nothing that the other does not. */
  private boundOutbox(): void {
    let surplus = this.outbox.length - OUTBOX_MAX
    if (surplus <= 0) return
    const newest = new Map(this.outbox.map(({ number, sequence }) => [number, sequence]))
    this.outbox = this.outbox.filter(({ number, sequence }) => {
      const isFollowed = newest.get(number) !== sequence
      return !(isFollowed && surplus-- > 0)
    })
  }

  save(): SavedTable {
    const { next, oldest, uncountedFrom, sequence, watermarkUs, outbox } = this
    return {
      table: this.rule.table,
      unit: this.rule.unit,
      next,
      oldest,
      uncountedFrom,
      sequence,
      watermarkUs,
      partitions: [...this.partitions.values()].map((one): SavedPartition => {
        const { number, generation, decidedEpoch, changedEpoch } = one
        const { files, rows, bytes, lateRows } = one
        return [number, generation, decidedEpoch, changedEpoch, files, rows, bytes, lateRows]
      }),
      outbox: [...outbox],
      delivered: Object.fromEntries(this.delivered),
    }
  }
}

/** It was announced, and has changed since, or what was decided had to be taken back. */
function isDue({ generation, decidedEpoch, changedEpoch }: Partition): boolean {
  return generation === 0 || changedEpoch > decidedEpoch
}

function empty(partition: Partition, epoch: number): void {
  if (partition.files === 0) return
  partition.files = 0
  partition.rows = 0
  partition.bytes = 0
  partition.changedEpoch = epoch
}

/**
 * What is left of the decisions when the waiting intents are given up, and all is read anew.
 *
 * @param committed  by table: the last epoch that the lake is known to have
 */
export function withoutWaiting(
  saved: SavedReadiness,
  committed: ReadonlyMap<string, number>,
): SavedReadiness {
  return saved.map((table) => {
    const last = committed.get(table.table) ?? 0
    const given = new Set(table.outbox.filter(({ epoch }) => epoch > last).map((one) => one.number))
    const partitions = table.partitions.map((partition): SavedPartition => {
      const [number, generation, , ...rest] = partition
      return given.has(number) ? [number, generation, -1, ...rest] : partition
    })
    return { ...table, partitions, outbox: table.outbox.filter(({ epoch }) => epoch <= last) }
  })
}
