// Positions of MySQL as sets of transactions, and of MariaDB as the last transaction of each
// domain. The grammar of the text is @vlasky/zongji's; the set algebra is ours, because it has
// none, and a resume is decided by it: what a server has executed must contain what we have read.

import { Buffer } from 'node:buffer'
import { GtidSet as GtidText, MariadbGtidPosition as MariadbText } from '@vlasky/zongji'
import { PipelineError } from '../../runtime/base/errors.ts'

/** Transactions start...end of one source, both included; sorted and apart from each other. */
interface Interval {
  start: bigint
  end: bigint
}

/**
 * A set of MySQL transactions. A source is a server uuid, since 8.3 with an optional tag. Not
 * shared: the operations of two sets make a new one, `add` changes this one.
 */
export class GtidSet {
  /** By source, `uuid` or `uuid:tag`; no empty lists. */
  private readonly sources = new Map<string, Interval[]>()

  /**
   * @param text  as `@@gtid_executed` gives it; line breaks and blanks are allowed
   * @throws PipelineError LOG_CORRUPT when it is no set
   */
  static parse(text: string): GtidSet {
    const set = new GtidSet()
    const compact = text.replaceAll(/\s/g, '')
    if (compact === '') return set
    for (const block of normalized(compact).split(',')) {
      const [uuid = '', ...items] = block.split(':')
      let source = uuid
      for (const item of items) {
        if (!/^\d/.test(item)) {
          source = `${uuid}:${item}`
          continue
        }
        const [first = '', last = first] = item.split('-')
        set.insert(source, BigInt(first), BigInt(last))
      }
    }
    return set
  }

  /** Adds one transaction. Cost: constant when it follows the newest one of its source. */
  add(uuid: string, tag: string, gno: bigint): void {
    const source = tag === '' ? uuid : `${uuid}:${tag}`
    const last = this.sources.get(source)?.at(-1)
    if (last !== undefined && gno === last.end + 1n) last.end = gno
    else this.insert(source, gno, gno)
  }

  has(uuid: string, tag: string, gno: bigint): boolean {
    const intervals = this.sources.get(tag === '' ? uuid : `${uuid}:${tag}`) ?? []
    return intervals.some(({ start, end }) => gno >= start && gno <= end)
  }

  /** @param text  one transaction, as batches carry it: `uuid:gno` or `uuid:tag:gno` */
  hasText(text: string): boolean {
    const [uuid = '', ...rest] = text.split(':')
    return this.has(uuid, rest.length > 1 ? (rest[0] ?? '') : '', BigInt(rest.at(-1) ?? ''))
  }

  get isEmpty(): boolean {
    return this.sources.size === 0
  }

  /** How many transactions it holds. */
  get size(): bigint {
    let count = 0n
    for (const intervals of this.sources.values()) {
      for (const { start, end } of intervals) count += end - start + 1n
    }
    return count
  }

  /** @returns true when every transaction of this set is in `other` */
  isSubsetOf(other: GtidSet): boolean {
    return this.minus(other).isEmpty
  }

  equals(other: GtidSet): boolean {
    return this.toString() === other.toString()
  }

  /** @returns what is in either */
  union(other: GtidSet): GtidSet {
    const set = this.copy()
    for (const [source, intervals] of other.sources) {
      for (const { start, end } of intervals) set.insert(source, start, end)
    }
    return set
  }

  /** @returns what is in this set and not in `other` */
  minus(other: GtidSet): GtidSet {
    const set = new GtidSet()
    for (const [source, intervals] of this.sources) {
      const left = subtract(intervals, other.sources.get(source) ?? [])
      if (left.length > 0) set.sources.set(source, left)
    }
    return set
  }

  /** @returns what is in both */
  intersect(other: GtidSet): GtidSet {
    return this.minus(this.minus(other))
  }

  copy(): GtidSet {
    const set = new GtidSet()
    for (const [source, intervals] of this.sources) {
      set.sources.set(
        source,
        intervals.map(({ start, end }) => ({ start, end })),
      )
    }
    return set
  }

  /** The server's own spelling: sources sorted, tags behind the untagged part of their uuid. */
  toString(): string {
    let text = ''
    let block = ''
    for (const source of [...this.sources.keys()].sort(bySource)) {
      const [uuid = '', tag] = source.split(':')
      const ranges = (this.sources.get(source) ?? []).map(({ start, end }) =>
        start === end ? `${start}` : `${start}-${end}`,
      )
      if (uuid !== block) text += text === '' ? uuid : `,${uuid}`
      if (tag !== undefined) text += `:${tag}`
      text += `:${ranges.join(':')}`
      block = uuid
    }
    return text
  }

  /** As COM_BINLOG_DUMP_GTID takes it; with tags in the form that only MySQL 8.3 and later know. */
  encode(): Uint8Array {
    const entries = [...this.sources.entries()].sort(([left], [right]) => bySource(left, right))
    const tagged = entries.some(([source]) => source.includes(':'))
    const count = BigInt(entries.length)
    // One word: the count, or with tags the form 1 at both ends and the count between.
    const parts = [uint64(tagged ? (1n << 56n) | (count << 8n) | 1n : count)]
    for (const [source, intervals] of entries) {
      const [uuid = '', tag = ''] = source.split(':')
      parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'))
      if (tagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag, 'latin1'))
      parts.push(uint64(BigInt(intervals.length)))
      for (const { start, end } of intervals) parts.push(uint64(start), uint64(end + 1n))
    }
    return Buffer.concat(parts)
  }

  private insert(source: string, start: bigint, end: bigint): void {
    const intervals = this.sources.get(source) ?? []
    // Everything from `from` to before `to` touches the new interval and becomes one with it.
    let from = intervals.findIndex((interval) => interval.end + 1n >= start)
    if (from === -1) from = intervals.length
    let to = from
    let first = start
    let last = end
    for (; to < intervals.length; to++) {
      const interval = intervals[to]
      if (interval === undefined || interval.start > end + 1n) break
      if (interval.start < first) first = interval.start
      if (interval.end > last) last = interval.end
    }
    intervals.splice(from, to - from, { start: first, end: last })
    this.sources.set(source, intervals)
  }
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

function bySource(left: string, right: string): number {
  return left < right ? -1 : 1
}

function subtract(intervals: readonly Interval[], removed: readonly Interval[]): Interval[] {
  const left: Interval[] = []
  for (const { start, end } of intervals) {
    let from = start
    for (const hole of removed) {
      if (hole.end < from) continue
      if (hole.start > end) break
      if (hole.start > from) left.push({ start: from, end: hole.start - 1n })
      from = hole.end + 1n
    }
    if (from <= end) left.push({ start: from, end })
  }
  return left
}

/** Checks the grammar, sorts, and joins what touches. */
function normalized(text: string): string {
  try {
    // The server allows empty parts between commas, as in `a:1,,b:1`.
    return GtidText.parse(text.split(',').filter(Boolean).join(',')).toString()
  } catch (cause) {
    throw new PipelineError('LOG_CORRUPT', `"${text}" is not a GTID set`, { cause })
  }
}

/** One transaction of MariaDB. */
export interface MariadbGtid {
  readonly domain: number
  readonly server: number
  readonly sequence: bigint
}

/**
 * A position of MariaDB: the last transaction read of each domain. In one domain the log's order is
 * total, but sequence numbers of different servers are never compared: after a failover they may go
 * back.
 */
export class MariadbPosition {
  private readonly domains = new Map<number, MariadbGtid>()

  /** @param text  as `@@gtid_binlog_pos` gives it @throws PipelineError LOG_CORRUPT */
  static parse(text: string): MariadbPosition {
    const position = new MariadbPosition()
    for (const gtid of parseMariadbGtids(text)) {
      if (position.domains.has(gtid.domain)) {
        throw new PipelineError('LOG_CORRUPT', `"${text}" names domain ${gtid.domain} twice`)
      }
      position.add(gtid)
    }
    return position
  }

  /** Records a transaction as the last one of its domain, whatever its number. */
  add(gtid: MariadbGtid): void {
    this.domains.set(gtid.domain, gtid)
  }

  get(domain: number): MariadbGtid | null {
    return this.domains.get(domain) ?? null
  }

  get isEmpty(): boolean {
    return this.domains.size === 0
  }

  all(): readonly MariadbGtid[] {
    return [...this.domains.values()].sort((left, right) => left.domain - right.domain)
  }

  copy(): MariadbPosition {
    const position = new MariadbPosition()
    for (const gtid of this.domains.values()) position.add(gtid)
    return position
  }

  equals(other: MariadbPosition): boolean {
    return this.toString() === other.toString()
  }

  /** As `@@gtid_binlog_pos` and `@slave_connect_state` have it. */
  toString(): string {
    return this.all().map(formatMariadbGtid).join(',')
  }
}

export function formatMariadbGtid({ domain, server, sequence }: MariadbGtid): string {
  return `${domain}-${server}-${sequence}`
}

/**
 * A list of GTIDs, several of one domain allowed: `@@gtid_binlog_state` has the newest of every
 * (domain, server), the last of a domain being its newest.
 *
 * @throws PipelineError LOG_CORRUPT
 */
export function parseMariadbGtids(text: string): readonly MariadbGtid[] {
  const gtids: MariadbGtid[] = []
  for (const part of text.replaceAll(/\s/g, '').split(',')) {
    if (part === '') continue
    try {
      MariadbText.parse(part)
    } catch (cause) {
      throw new PipelineError('LOG_CORRUPT', `"${part}" is not a MariaDB GTID`, { cause })
    }
    const [domain, server, sequence = ''] = part.split('-')
    gtids.push({ domain: Number(domain), server: Number(server), sequence: BigInt(sequence) })
  }
  return gtids
}

/** What stands between a position of ours and a server (`missingFromState`). */
export interface MissingGtid {
  /** Ours. */
  readonly gtid: MariadbGtid
  /** The newest of the same domain and server that the other server knows; `null`: none. */
  readonly known: MariadbGtid | null
}

/**
 * The transactions of `position` that a server with this `@@gtid_binlog_state` does not have: it
 * was rewound, or it is another one. Compared per (domain, server), where numbers only grow.
 */
export function missingFromState(
  position: MariadbPosition,
  state: readonly MariadbGtid[],
): readonly MissingGtid[] {
  const missing: MissingGtid[] = []
  for (const gtid of position.all()) {
    const known = state.find(
      ({ domain, server }) => domain === gtid.domain && server === gtid.server,
    )
    if (known === undefined || known.sequence < gtid.sequence) {
      missing.push({ gtid, known: known ?? null })
    }
  }
  return missing
}
