// Kafka as a source: topics become tables, their partitions one log. Positions are ours, in the
// checkpoint; the consumer group only shows them to others. There is no first copy beside the log,
// so a table begins with what the log brings.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { namesOf, type SourceTable } from '../../runtime/data/schema.ts'
import type { CommitReceipt } from '../../runtime/sink.ts'
import type {
  ChunkRead,
  LogLink,
  Source,
  SourceContext,
  SourceOpening,
  SplitTimes,
} from '../../runtime/source.ts'
import { DeadLetters } from './dead-letters.ts'
import { type FaultPlace, type SavedDecoders, TopicRows } from './decode/topic-rows.ts'
import {
  addedPlaces,
  type ClusterPort,
  firstPlaces,
  knownOffset,
  selectedTopics,
  type Topic,
} from './discovery.ts'
import type { DecodeFault } from './format.ts'
import type { KafkaOptions } from './options.ts'
import { type Place, Places, splitKey } from './place.ts'
import { LogReading } from './reading.ts'
import { formatSaved, parseSaved } from './saved.ts'
import { SplitBoard } from './split-times.ts'
import { TopicState } from './topic-state.ts'
import { waitsOf } from './waits.ts'
import { Cluster } from './wire/cluster.ts'
import type { RecordReader, SplitState } from './wire/delivery.ts'
import { openReader } from './wire/reader.ts'

/** A cluster is asked for its topics this many times before it counts as silent. */
const SILENT_LOOKS = 3
const STALLED_MS = 100

/** How a cluster is reached; a test plays it. */
export interface KafkaWire {
  open(options: KafkaOptions): Promise<ClusterPort>
  reader(cluster: ClusterPort, options: KafkaOptions): RecordReader
}

const REAL: KafkaWire = {
  open: async ({ cluster }) => Cluster.open(cluster),
  reader: (cluster, { isolation }) => openReader(cluster as Cluster, { isolation }),
}

export function createKafkaSource(options: KafkaOptions, wire: KafkaWire = REAL): Source {
  return new KafkaSource(options, wire)
}

class KafkaSource implements Source {
  private readonly options: KafkaOptions
  private readonly wire: KafkaWire
  private cluster: ClusterPort | null = null
  private reader: RecordReader | null = null
  private reading: LogReading | null = null
  private places = new Places()
  private splitBoard = new SplitBoard()
  private readonly topics = new Map<string, TopicState>()
  private found: readonly Topic[] = []
  private deadLetters: DeadLetters | null = null
  private context: SourceContext | null = null
  private saved: ReadonlyMap<string, SavedDecoders> = new Map()
  private groupFailed = false
  /** Ahead in event time, and over their limits. */
  private pausedSplits: ReadonlySet<string> = new Set()
  private pausedTables: ReadonlySet<string> = new Set()
  /** By topic, as of a moment ago. */
  private stalled: ReadonlyMap<string, readonly SplitState[]> = new Map()
  private stalledAtMs = 0

  constructor(options: KafkaOptions, wire: KafkaWire) {
    this.options = options
    this.wire = wire
  }

  async open(
    saved: Uint8Array | null,
    after: Position | null,
    renew: boolean,
  ): Promise<SourceOpening> {
    await this.close()
    const { options } = this
    const cluster = await this.wire.open(options)
    this.cluster = cluster
    this.found = await selectedTopics(cluster, options.topics)
    this.saved = saved === null ? new Map() : parseSaved(saved)
    this.topics.clear()
    const { deadLetters, namespace } = options
    this.deadLetters = deadLetters && new DeadLetters(namespace, deadLetters)
    if (after === null || renew) {
      this.places = new Places(after === null ? 0 : Number(after.order))
      for (const place of await firstPlaces(cluster, this.found, options)) this.places.add(place)
    } else this.places = Places.of(after)
    this.createKnown()
    const tables = this.tablesNow()
    return { position: this.places.position(), tables, more: this.topics.size > 0 }
  }

  /** Topics that have a place: those of the checkpoint, or all at the first start. */
  private createKnown(): void {
    const counts = new Map<string, { name: string; id: string; partitions: number }>()
    for (const { topic: name, topicId: id } of this.places.all()) {
      const known = counts.get(name) ?? { name, id, partitions: 0 }
      known.partitions++
      counts.set(name, known)
    }
    for (const topic of counts.values()) {
      const state = this.createTopic(topic)
      // It keeps its place for the day when it is selected again.
      state.frozen = !this.options.topics(topic.name)
      this.topics.set(topic.name, state)
    }
  }

  private createTopic(topic: Topic): TopicState {
    const { options } = this
    if (topic.name === options.deadLetters?.table) {
      const message = `topic "${topic.name}" has the name of the table of dead letters`
      const hint = 'Leave it out by `source.topics_exclude`, or give the pipeline another name.'
      throw new PipelineError('CONFIG_VALUE', message, { hint })
    }
    const saved = this.saved.get(`${topic.id}/${topic.name}`) ?? null
    const rows = new TopicRows(topic, options, saved, (fault, place) =>
      this.setAside(topic, fault, place),
    )
    return new TopicState(topic, rows)
  }

  private tablesNow(): SourceTable[] {
    const there = new Set(this.found.map(({ id }) => id))
    const shapes = [...this.topics.values()].flatMap((topic) => {
      if (topic.frozen || !there.has(topic.id)) return []
      const shape = topic.rows.nextShape()
      return shape === null ? [] : [shape.table]
    })
    // Without a topic there is nothing that a letter could come from.
    const dead = this.topics.size > 0 ? this.deadLetters?.table : undefined
    return dead === undefined ? shapes : [...shapes, dead]
  }

  /** @throws PipelineError the fault, unless such records become dead letters */
  private setAside(topic: Topic, fault: DecodeFault, place: FaultPlace): void {
    const { set, record, orderBase, fate } = place
    const { deadLetters, context, options } = this
    if (fate === 'drop') return
    if (deadLetters !== null && (fate === 'dlq' || options.onDecodeError === 'dlq')) {
      if (context?.schemaOf(deadLetters.name) == null) {
        throw new PipelineError(
          'TABLE_PARKED',
          `table "${deadLetters.name}" takes no dead letters: it is parked`,
        )
      }
      deadLetters.add(topic.id, set, record, fault, orderBase)
      return
    }
    const offset = set.offsets[record] ?? -1
    const where = `topic "${topic.name}", partition ${set.partition}, offset ${offset}`
    throw new PipelineError(fault.name, `${where}: ${fault.message}`, {
      detail: `Decoding failed at byte ${fault.byteOffset}. Nothing was passed over.`,
    })
  }

  async *read(
    _after: Position,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncIterable<SourceElement> {
    const { options, places, topics, deadLetters } = this
    const cluster = this.opened()
    this.context = context
    if (deadLetters !== null) {
      const schema = context.tableChanged(deadLetters.table, places.order)
      if (schema !== null) deadLetters.follow(schema)
    }
    const reader = this.wire.reader(cluster, options)
    this.reader = reader
    this.splitBoard = new SplitBoard()
    const splits = this.splitBoard
    const createTopic = (topic: Topic): TopicState => this.createTopic(topic)
    const timeMs = Math.max(-1, ...[...places.all()].map(({ timestampMs }) => timestampMs))
    this.reading = new LogReading(
      {
        options,
        cluster,
        reader,
        places,
        topics,
        deadLetters,
        splits,
        createTopic,
        context,
        signal,
      },
      timeMs,
    )
    yield* this.reading.read(this.found)
  }

  requestProgress(): void {
    this.reading?.requestProgress()
  }

  link(): LogLink | null {
    const { reading, reader, options } = this
    if (reading === null || reader === null) return null
    const states = reader.states()
    // One partition that waits is no silence; a cluster of which nobody answers is.
    const answers = states.some(({ stalled }) => stalled?.reason !== 'broker-unreachable')
    const sinceMs = Math.max(0, ...states.map(({ stalled }) => stalled?.sinceMs ?? 0))
    const silentMs =
      states.length === 0
        ? reading.silentMs
        : answers
          ? 0
          : Math.max(0, options.clock.nowMs() - sinceMs)
    return { open: true, silentMs, silentMsMax: SILENT_LOOKS * options.refreshMs, lost: null }
  }

  /** Without `eventTime` no split tells its time, and no table has a watermark. */
  splits(): readonly SplitTimes[] {
    const { options, places, topics, reader, splitBoard } = this
    if (options.eventTime === null) return []
    return splitBoard.list(places.all(), topics, reader?.states() ?? [], options.clock.nowMs())
  }

  pauseSplits(splits: ReadonlySet<string>): void {
    this.pausedSplits = splits
    this.pause()
  }

  pauseTables(tables: ReadonlySet<string>): void {
    // It is called for each batch, and most pipelines have no limits.
    if (tables.size === 0 && this.pausedTables.size === 0) return
    this.pausedTables = tables
    this.pause()
  }

  private pause(): void {
    const { reader, places, topics, pausedTables } = this
    if (reader === null) return
    const splits = new Set(this.pausedSplits)
    if (pausedTables.size > 0) {
      for (const { topicId, topic, partition } of places.all()) {
        const table = topics.get(topic)?.rows.table
        if (table !== undefined && pausedTables.has(table)) {
          splits.add(splitKey(topicId, topic, partition))
        }
      }
    }
    this.splitBoard.pause(splits, places.all(), reader)
  }

  confirm(): void {
    // Topics are looked for at the start, and nothing else is hidden from the log.
  }

  confirmed(): boolean {
    return true
  }

  waitsFor(table: string): string | null {
    const { reader, options } = this
    const topic = this.topics.get(namesOf(table).name)
    if (topic?.rows.table !== table || topic.frozen || reader === null) return null
    const nowMs = options.clock.nowMs()
    // Asked of all tables, one after the other: of thousands of partitions once is enough.
    if (nowMs - this.stalledAtMs > STALLED_MS) {
      this.stalled = Map.groupBy(
        reader.states().filter(({ stalled }) => stalled !== null),
        ({ topicId }) => topicId,
      )
      this.stalledAtMs = nowMs
    }
    return waitsOf(topic, this.stalled.get(topic.id) ?? [], nowMs)
  }

  async head(): Promise<Position> {
    const cluster = this.opened()
    const heads = new Places(this.places.retiredOrder)
    const read: Place[] = []
    for (const place of this.wantedPlaces()) {
      if (this.isOver(place)) heads.add(place)
      else read.push(place)
    }
    const found = await cluster.offsets(read, 'latest', this.options.isolation)
    const known = new Map(
      this.reader
        ?.states()
        .map((state) => [splitKey(state.topicId, state.topic, state.partition), state]),
    )
    for (const [index, place] of read.entries()) {
      const state = known.get(splitKey(place.topicId, place.topic, place.partition))
      const answer = found[index]
      // A partition without a leader goes as far as it did when it had one.
      const last = state !== undefined && state.highWatermark >= 0 ? state.highWatermark : null
      const offset = answer?.offset == null && last !== null ? last : knownOffset(place, answer)
      heads.add({ ...place, offset: Math.max(offset, place.offset) })
    }
    return heads.position()
  }

  /** Nothing of it is read any more: its table takes no rows, or another topic has its name. */
  private isOver({ topic, topicId }: Place): boolean {
    const known = this.topics.get(topic)
    if (known?.id === topicId && known.frozen) return true
    const now = this.found.find(({ name }) => name === topic)
    return now !== undefined && now.id !== topicId && !this.places.hasRetired(now.id)
  }

  /** What is read, and what will be once the first look has been followed. */
  private wantedPlaces(): Place[] {
    const { places, topics, options } = this
    const wanted = [...places.all()]
    for (const topic of this.found) {
      const known = topics.get(topic.name)
      const refused = known !== undefined && known.id !== topic.id
      if ((refused && options.onRecreate === 'stop') || places.hasRetired(topic.id)) continue
      const there = refused || known === undefined ? 0 : known.partitions
      wanted.push(...addedPlaces(topic, there))
    }
    return wanted
  }

  /** Partitions that are not read any more hold nobody up. */
  reaches(position: Position, target: Position): boolean {
    const now = Places.of(position)
    for (const { topicId, topic, partition, offset } of Places.of(target).all()) {
      const state = this.topics.get(topic)
      if (this.places.hasRetired(topicId) || state?.refusedId === topicId) continue
      if (state?.id === topicId && state.frozen) continue
      const place = now.get(topicId, topic, partition)
      if (place === null || place.offset < offset) return false
    }
    return true
  }

  async estimateRows(): Promise<number | null> {
    return null
  }

  async splitKeys(): Promise<readonly string[]> {
    return []
  }

  async openChunk(): Promise<ChunkRead> {
    throw new PipelineError('INTERNAL', 'a topic has no rows beside its log')
  }

  async mayBackfill(): Promise<{ ready: true }> {
    return { ready: true }
  }

  lowBound(processed: Position): Order {
    return processed.order
  }

  save(): Uint8Array {
    this.deadLetters?.endEpoch()
    const decoders = [...this.topics.values()].map(
      ({ id, name, rows }) => [`${id}/${name}`, rows.save()] as const,
    )
    return formatSaved(new Map(decoders))
  }

  async acknowledge(receipt: CommitReceipt): Promise<void> {
    const { groupId, log } = this.options
    if (groupId === null || this.cluster === null) return
    const offsets = [...Places.of(receipt.position).all()].filter(({ topic, topicId }) => {
      const state = this.topics.get(topic)
      return state?.id === topicId && !state.frozen
    })
    if (offsets.length === 0) return
    try {
      await this.cluster.commitGroupOffsets(groupId, offsets)
      this.groupFailed = false
    } catch (error) {
      // Whoever looks at the group sees an old lag; nothing here depends on it.
      const reason = error instanceof Error ? error.message : String(error)
      if (!this.groupFailed)
        log.warn('positions cannot be reported to the group', { groupId, reason })
      this.groupFailed = true
    }
  }

  async close(): Promise<void> {
    const { reader, cluster } = this
    this.reader = null
    this.reading = null
    this.cluster = null
    await reader?.close()
    await cluster?.close()
  }

  private opened(): ClusterPort {
    if (this.cluster === null) throw new PipelineError('INTERNAL', 'a source is opened first')
    return this.cluster
  }
}
