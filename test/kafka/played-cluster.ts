// A cluster in memory, and a reader of its partitions: what the source sees of both, without bytes
// of the protocol. Sets are cut at random places, and share one memory as the real ones do.

import { NO_TOPIC_ID } from '../../connectors/kafka/wire/metadata.ts'
import type { ClusterPort } from '../../connectors/kafka/discovery.ts'
import type { RecordSet } from '../../connectors/kafka/records.ts'
import type { KafkaWire } from '../../connectors/kafka/source.ts'
import type {
  Delivery,
  RecordReader,
  SplitPlace,
  SplitProblem,
  SplitState,
} from '../../connectors/kafka/wire/delivery.ts'
import { PipelineError } from '../../runtime/base/errors.ts'

export interface PlayedRecord {
  readonly key: string | null
  readonly value: string | Uint8Array | null
  readonly timestampMs: number
}

/** A record, or what a marker or the cleaner leaves: an offset without one. */
export type PlayedEntry = PlayedRecord | null

export class PlayedPartition {
  readonly entries: PlayedEntry[] = []
  /** Of the first record that is still there. */
  startOffset = 0
  leader = 1
}

export interface PlayedTopic {
  id: string
  readonly partitions: PlayedPartition[]
}

let ids = 0

export function topicId(): string {
  return `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`
}

export class PlayedCluster implements ClusterPort {
  readonly topics = new Map<string, PlayedTopic>()
  /** By group and `topic/partition`. */
  readonly groups = new Map<string, Map<string, number>>()
  /** Nothing answers. */
  down = false
  /** When leaders have answered last. */
  answeredMs: () => number | null = () => Date.now()
  idsGiven = true
  /** Records of one set, and sets of one delivery, at most. */
  setRows = 3
  deliverySets = 2

  create(name: string, partitions: number): PlayedTopic {
    const topic = {
      id: topicId(),
      partitions: Array.from({ length: partitions }, () => new PlayedPartition()),
    }
    this.topics.set(name, topic)
    return topic
  }

  append(name: string, partition: number, ...entries: readonly PlayedEntry[]): void {
    this.topics.get(name)?.partitions[partition]?.entries.push(...entries)
  }

  wire(): KafkaWire {
    return {
      open: async () => {
        this.ask()
        return this
      },
      reader: () => new PlayedReader(this),
    }
  }

  private ask(): void {
    if (this.down) throw new PipelineError('CONNECT_FAILED', 'nobody answers')
  }

  async metadata(): ReturnType<ClusterPort['metadata']> {
    this.ask()
    return {
      clusterId: 'played',
      brokers: new Map([[1, { host: 'played', port: 9092 }]]),
      topics: new Map(
        [...this.topics].map(([name, { id, partitions }]) => [
          name,
          {
            name,
            topicId: this.idsGiven ? id : NO_TOPIC_ID,
            internal: name.startsWith('__'),
            problem: null,
            partitions: partitions.map(({ leader }, partition) => ({
              partition,
              leader,
              leaderEpoch: 0,
            })),
          },
        ]),
      ),
    }
  }

  async offsets(
    ...[partitions, wanted]: Parameters<ClusterPort['offsets']>
  ): ReturnType<ClusterPort['offsets']> {
    this.ask()
    return partitions.map(({ topic, partition }) => {
      const found = this.topics.get(topic)?.partitions[partition]
      const { entries = [], startOffset = 0, leader = -1 } = found ?? {}
      const later = entries.findIndex(
        (entry) => entry !== null && typeof wanted === 'number' && entry.timestampMs >= wanted,
      )
      const offset =
        wanted === 'earliest'
          ? startOffset
          : wanted === 'latest' || later < 0
            ? entries.length
            : later
      const answers = leader >= 0
      const detail = answers ? '' : 'it has no leader'
      return { topic, partition, offset: answers ? offset : null, leaderEpoch: 0, detail }
    })
  }

  async groupOffsets(
    ...[group, partitions]: Parameters<ClusterPort['groupOffsets']>
  ): ReturnType<ClusterPort['groupOffsets']> {
    const known = this.groups.get(group)
    return partitions.flatMap(({ topic, partition }) => {
      const offset = known?.get(`${topic}/${partition}`)
      return offset === undefined ? [] : [{ topic, partition, offset, leaderEpoch: -1 }]
    })
  }

  async commitGroupOffsets(
    ...[group, offsets]: Parameters<ClusterPort['commitGroupOffsets']>
  ): Promise<void> {
    this.ask()
    const known = this.groups.get(group) ?? new Map<string, number>()
    this.groups.set(group, known)
    for (const { topic, partition, offset } of offsets) known.set(`${topic}/${partition}`, offset)
  }

  async close(): Promise<void> {}
}

interface PlayedSplit {
  place: SplitPlace
  next: number
  told: boolean
  paused: boolean
}

class PlayedReader implements RecordReader {
  private readonly cluster: PlayedCluster
  private readonly splits = new Map<string, PlayedSplit>()
  private readonly set = new SharedSet()

  constructor(cluster: PlayedCluster) {
    this.cluster = cluster
  }

  assign(places: readonly SplitPlace[]): void {
    for (const place of places) {
      const key = `${place.topicId}/${place.partition}`
      this.splits.set(key, { place: { ...place }, next: place.offset, told: false, paused: false })
    }
  }

  remove(id: string, partition: number): void {
    this.splits.delete(`${id}/${partition}`)
  }

  pause(id: string, partition: number): void {
    const split = this.splits.get(`${id}/${partition}`)
    if (split !== undefined) split.paused = true
  }

  resume(id: string, partition: number): void {
    const split = this.splits.get(`${id}/${partition}`)
    if (split !== undefined) split.paused = false
  }

  take(): Delivery | SplitProblem | null {
    for (const [key, split] of this.splits) {
      const found = this.problemOf(split) ?? this.deliveryOf(split)
      if (found === null) continue
      // The next call begins with another one.
      this.splits.delete(key)
      this.splits.set(key, split)
      return found
    }
    return null
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 2)))
    signal.throwIfAborted()
  }

  states(): readonly SplitState[] {
    return [...this.splits.values()].map(({ place, next, paused }) => ({
      ...place,
      nextOffset: next,
      logStartOffset: 0,
      highWatermark: -1,
      lastStableOffset: -1,
      paused,
      atEnd: next >= (this.partitionOf(place)?.entries.length ?? Infinity),
      answeredMs: this.cluster.answeredMs(),
      stalled: this.stallOf(place),
    }))
  }

  async close(): Promise<void> {
    this.splits.clear()
  }

  private partitionOf({ topic, partition }: SplitPlace): PlayedPartition | undefined {
    return this.cluster.topics.get(topic)?.partitions[partition]
  }

  private stallOf({ topic, partition }: SplitPlace): SplitState['stalled'] {
    if (this.cluster.down) return { reason: 'broker-unreachable', sinceMs: 1, detail: '' }
    const leader = this.cluster.topics.get(topic)?.partitions[partition]?.leader ?? -1
    return leader < 0 ? { reason: 'no-leader', sinceMs: 1, detail: '' } : null
  }

  private problemOf(split: PlayedSplit): SplitProblem | null {
    const { topic, topicId: id, partition } = split.place
    const now = this.cluster.topics.get(topic)
    const base = { kind: 'problem', topic, topicId: id, partition, offset: split.next } as const
    if (split.told) return null
    const found = now?.partitions[partition]
    const told = (problem: SplitProblem): SplitProblem => {
      split.told = true
      return problem
    }
    if (now === undefined) return told({ ...base, problem: 'missing' })
    if (now.id !== id) return told({ ...base, problem: 'recreated', newTopicId: now.id })
    if (found === undefined) return told({ ...base, problem: 'missing' })
    const { startOffset, entries } = found
    if (split.next >= startOffset && split.next <= entries.length) return null
    return told({
      ...base,
      problem: 'out-of-range',
      logStartOffset: startOffset,
      highWatermark: entries.length,
    })
  }

  private deliveryOf(split: PlayedSplit): Delivery | null {
    const { topic, topicId: id, partition } = split.place
    const found = this.cluster.topics.get(topic)?.partitions[partition]
    if (split.told || split.paused || found === undefined || found.leader < 0) return null
    const { entries } = found
    if (split.next >= entries.length) return null
    const end = Math.min(
      entries.length,
      split.next + this.cluster.deliverySets * this.cluster.setRows,
    )
    const { set, cluster } = this
    return {
      kind: 'records',
      topic,
      topicId: id,
      partition,
      get nextOffset() {
        return split.next
      },
      leaderEpoch: 0,
      next: () => {
        const rows: { readonly offset: number; readonly record: PlayedRecord }[] = []
        while (split.next < end && rows.length < cluster.setRows) {
          const record = entries[split.next]
          if (record != null) rows.push({ offset: split.next, record })
          split.next++
        }
        if (rows.length > 0) return set.fill(topic, partition, rows)
        return null
      },
    }
  }
}

const utf8 = new TextEncoder()

/** One memory for all sets of a reader: what is kept beyond the next one shows itself. */
class SharedSet implements RecordSet {
  topic = ''
  partition = 0
  count = 0
  bytes = new Uint8Array(64 * 1024)
  offsets = new Float64Array(1024)
  timestamps = new Float64Array(1024)
  appendTime = false
  keyStart = new Int32Array(1024)
  keyEnd = new Int32Array(1024)
  valueStart = new Int32Array(1024)
  valueEnd = new Int32Array(1024)
  headersStart = new Int32Array(1024)
  headersEnd = new Int32Array(1024)
  headerCount = new Int32Array(1024)
  private at = 0

  fill(
    topic: string,
    partition: number,
    rows: readonly { readonly offset: number; readonly record: PlayedRecord }[],
  ): RecordSet {
    this.bytes.fill(0xff)
    this.topic = topic
    this.partition = partition
    this.count = rows.length
    this.at = 0
    for (const [index, { offset, record }] of rows.entries()) {
      this.offsets[index] = offset
      this.timestamps[index] = record.timestampMs
      this.keyStart[index] = this.put(record.key)
      this.keyEnd[index] = this.at
      this.valueStart[index] = this.put(record.value)
      this.valueEnd[index] = this.at
      this.headersStart[index] = this.at
      this.headersEnd[index] = this.at
      this.headerCount[index] = 0
    }
    return this
  }

  private put(text: string | Uint8Array | null): number {
    if (text === null) return -1
    const start = this.at
    const bytes = typeof text === 'string' ? utf8.encode(text) : text
    this.bytes.set(bytes, start)
    this.at += bytes.length
    return start
  }
}
