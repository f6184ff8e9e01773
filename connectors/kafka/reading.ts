// Reads all partitions as one log. One partition at a time gives what it has, in turns; one that
// has nothing to give, whatever it waits for, is passed over. Rows of all partitions of a topic
// share a batch, and between any two records all of them can be handed out and a position be named.

import { PipelineError } from '../../runtime/base/errors.ts'
import { BATCH_AGE_MS_MAX } from '../../runtime/data/batch.ts'
import type { Progress, SourceElement } from '../../runtime/data/element.ts'
import type { SourceContext } from '../../runtime/source.ts'
import type { DeadLetters } from './dead-letters.ts'
import {
  addedPlaces,
  newPlaces,
  selectedTopics,
  type ClusterPort,
  type Topic,
} from './discovery.ts'
import type { KafkaOptions } from './options.ts'
import { type Place, type Places, splitKey } from './place.ts'
import type { RecordSet } from './records.ts'
import { partitionsFewer, positionGone, topicRecreated } from './split-problem.ts'
import type { SplitBoard } from './split-times.ts'
import { parksTable, type Settled, type TopicState } from './topic-state.ts'
import type { Delivery, RecordReader, SplitProblem } from './wire/delivery.ts'

/** Unless it is asked for, a position is named this often while records come. */
const PROGRESS_MS = 200
const WAIT_MS_MAX = 250
/** A clock of a producer may say anything: times beyond the year 9999 are no times. */
const TIME_MS_MAX = 253_402_300_799_999

export interface ReadingParts {
  readonly options: KafkaOptions
  readonly cluster: ClusterPort
  readonly reader: RecordReader
  readonly places: Places
  readonly topics: Map<string, TopicState>
  readonly deadLetters: DeadLetters | null
  readonly splits: SplitBoard
  readonly createTopic: (topic: Topic) => TopicState
  readonly context: SourceContext
  readonly signal: AbortSignal
}

export class LogReading {
  private readonly parts: ReadingParts
  private wake = new AbortController()
  /** Also for who asked before reading began. */
  private requested = true
  /** Newest timestamp of a record. */
  private timeMs: number
  private rowsSinceMs: number | null = null
  private toldMs: number
  private moved = false
  private lookedMs: number
  private looking = false
  private lookFailed = false
  private found: readonly Topic[] | null = null
  private settled: Settled[] = []

  constructor(parts: ReadingParts, timeMs: number) {
    this.parts = parts
    this.timeMs = timeMs
    const now = parts.options.clock.elapsedMs()
    this.toldMs = now
    this.lookedMs = now
  }

  requestProgress(): void {
    this.requested = true
    this.wake.abort()
  }

  /** Milliseconds since the cluster last said which topics it has. */
  get silentMs(): number {
    return this.parts.options.clock.elapsedMs() - this.lookedMs
  }

  /** @param topics  as they are at the start */
  async *read(topics: readonly Topic[]): AsyncGenerator<SourceElement, void> {
    const { reader, signal } = this.parts
    signal.addEventListener('abort', () => this.wake.abort())
    for (const topic of this.parts.topics.values()) this.assign(topic)
    yield* this.applyFound(topics)
    while (!signal.aborted) {
      for (const one of this.settled.splice(0)) yield* this.goOn(one)
      if (this.found !== null) yield* this.applyFound(this.takeFound())
      this.lookAround()
      if (this.progressDue()) yield* this.progress()
      else if (this.flushDue()) yield* this.flush()
      const next = reader.take()
      if (next === null) await this.rest()
      else if (next.kind === 'problem') yield* this.judge(next)
      else yield* this.readDelivery(next)
    }
  }

  private assign(topic: TopicState): void {
    const { places, reader, splits } = this.parts
    if (topic.frozen) return
    splits.assign(
      [...places.all()].filter((place) => isOf(place, topic)),
      reader,
    )
  }

  private assignOne(topicId: string, topic: string, partition: number): void {
    const { places, reader, splits } = this.parts
    const place = places.get(topicId, topic, partition)
    if (place !== null) splits.assign([place], reader)
  }

  private async rest(): Promise<void> {
    const { reader, signal, options } = this.parts
    if (this.wake.signal.aborted) this.wake = new AbortController()
    // What came while this was not listening.
    if (this.requested || this.found !== null || this.settled.length > 0) return
    const age = this.rowsSinceMs === null ? 0 : options.clock.elapsedMs() - this.rowsSinceMs
    const ms = this.rowsSinceMs === null ? WAIT_MS_MAX : Math.max(1, BATCH_AGE_MS_MAX - age)
    try {
      await reader.wait(ms, this.wake.signal)
    } catch (error) {
      if (!this.wake.signal.aborted && !signal.aborted) throw error
    }
  }

  // Records

  private async *readDelivery(delivery: Delivery): AsyncGenerator<SourceElement, void> {
    const { places, reader, signal, splits } = this.parts
    const { topicId, partition } = delivery
    const topic = this.parts.topics.get(delivery.topic)
    const place = places.get(topicId, delivery.topic, partition)
    if (topic === undefined || topic.id !== topicId || topic.frozen || place === null) {
      reader.remove(topicId, partition)
      return
    }
    for (let set = delivery.next(); set !== null; set = delivery.next()) {
      if (!(yield* this.readSet(topic, place, delivery, set))) return
      if (signal.aborted || splits.isPaused(place)) return
      if (this.hasLeapt(topic, partition)) {
        // Who is too far ahead of the others is found out before it goes on, and they have a turn.
        yield* this.progress()
        return
      }
    }
    // Markers of transactions, aborted records and gaps move the place too.
    this.advance(place, delivery.nextOffset, delivery.leaderEpoch, -1)
  }

  /** @returns false: the rest of the delivery is not to be read */
  private async *readSet(
    topic: TopicState,
    place: Place,
    delivery: Delivery,
    set: RecordSet,
  ): AsyncGenerator<SourceElement, boolean> {
    const { places, deadLetters, context } = this.parts
    const { rows } = topic
    let index = 0
    while (index < set.count) {
      if (!(yield* this.follow(topic))) return false
      deadLetters?.begin(index)
      rows.times?.judgeLate((table) => context.lateBefore(table))
      const { next, waits } = rows.decode(set, index, places.orderBefore(place, 0))
      deadLetters?.count(next - index)
      const last = next === set.count
      const offset = last ? delivery.nextOffset : (set.offsets[next] ?? place.offset)
      this.advance(place, offset, delivery.leaderEpoch, newestOf(set, index, next))
      index = next
      this.noteRows(topic)
      if (waits !== null && !(yield* this.advanceDecoder(topic, place, waits, set, index))) {
        return false
      }
      if (rows.full || deadLetters?.full === true || this.flushDue()) yield* this.flush()
      if (this.requested) yield* this.progress()
    }
    return true
  }

  private hasLeapt({ rows }: TopicState, partition: number): boolean {
    const alignUs = this.parts.options.eventTime?.alignUs ?? null
    return alignUs !== null && rows.times?.hasLeapt(partition, alignUs) === true
  }

  private advance(place: Place, offset: number, leaderEpoch: number, timeMs: number): void {
    if (offset === place.offset) return
    this.parts.places.advance(place, offset, leaderEpoch, timeMs)
    this.moved = true
    const time = Math.min(timeMs, TIME_MS_MAX)
    if (time > this.timeMs) this.timeMs = time
  }

  private noteRows({ rows }: TopicState): void {
    const waiting = rows.rows > 0 || (this.parts.deadLetters?.rows ?? 0) > 0
    if (waiting) this.rowsSinceMs ??= this.parts.options.clock.elapsedMs()
  }

  /**
   * Rows get the structure that the decoders have now.
   *
   * @returns false: the table takes no rows
   */
  private async *follow(topic: TopicState): AsyncGenerator<SourceElement, boolean> {
    const { context, places } = this.parts
    const { rows } = topic
    try {
      if (rows.moved) {
        yield* this.flush()
        const shape = rows.nextShape()
        const schema = shape && context.tableChanged(shape.table, places.order)
        if (shape !== null && schema !== null) rows.follow(shape, schema)
        else if (shape !== null) {
          this.freeze(topic)
          return false
        }
      }
    } catch (error) {
      if (!(error instanceof PipelineError) || !parksTable(error)) throw error
      yield* this.park(topic, error)
      return false
    }
    if (rows.known && context.schemaOf(rows.table) === null) {
      yield* this.flush()
      this.freeze(topic)
      return false
    }
    return true
  }

  /** @returns false: the partition waits, and is read again from `place` when it need not */
  private async *advanceDecoder(
    topic: TopicState,
    place: Place,
    waits: NonNullable<ReturnType<TopicState['rows']['decode']>['waits']>,
    set: RecordSet,
    at: number,
  ): AsyncGenerator<SourceElement, boolean> {
    const { signal, reader, options } = this.parts
    try {
      const loading = waits.advance(set, at, signal)
      if (loading === undefined) return true
      topic.waiting.set(place.partition, options.clock.nowMs())
      reader.remove(place.topicId, place.partition)
      const settle = (error: Error | null): void => {
        this.settled.push({ topic, place, error })
        this.wake.abort()
      }
      const failed = (reason: unknown): void =>
        settle(reason instanceof Error ? reason : new Error(String(reason)))
      loading.then(() => settle(null), failed)
      return false
    } catch (error) {
      if (!(error instanceof PipelineError) || !parksTable(error)) throw error
      yield* this.park(topic, error)
      return false
    }
  }

  private async *goOn({ topic, place, error }: Settled): AsyncGenerator<SourceElement, void> {
    if (this.parts.signal.aborted) return
    topic.waiting.delete(place.partition)
    if (error !== null) {
      if (!(error instanceof PipelineError) || !parksTable(error)) throw error
      yield* this.park(topic, error)
    }
    if (!topic.frozen) this.parts.splits.assign([place], this.parts.reader)
  }

  // What is handed out

  private flushDue(): boolean {
    const { rowsSinceMs, parts } = this
    return rowsSinceMs !== null && parts.options.clock.elapsedMs() - rowsSinceMs >= BATCH_AGE_MS_MAX
  }

  private *flush(): Generator<SourceElement, void> {
    this.rowsSinceMs = null
    for (const { rows } of this.parts.topics.values()) if (rows.rows > 0) yield rows.take()
    const dead = this.parts.deadLetters?.take() ?? null
    if (dead !== null) yield dead
    for (const topic of this.parts.topics.values()) this.tellTimes(topic)
  }

  /** Its rows have been handed out. */
  private tellTimes({ rows, id, name }: TopicState): void {
    const told = rows.times?.take((partition) => splitKey(id, name, partition)) ?? []
    for (const times of told) this.parts.context.timesRead(times)
  }

  private progressDue(): boolean {
    if (this.requested) return true
    return this.moved && this.parts.options.clock.elapsedMs() - this.toldMs >= PROGRESS_MS
  }

  private *progress(): Generator<SourceElement, void> {
    yield* this.flush()
    this.requested = false
    this.moved = false
    this.toldMs = this.parts.options.clock.elapsedMs()
    const sourceTimeUs = BigInt(Math.max(0, this.timeMs)) * 1000n
    const progress: Progress = {
      kind: 'progress',
      position: this.parts.places.position(),
      sourceTimeUs,
    }
    yield progress
  }

  // Topics that come, go, and are not what they were

  private lookAround(): void {
    const { options, cluster } = this.parts
    if (this.looking || options.clock.elapsedMs() - this.lookedMs < options.refreshMs) return
    this.looking = true
    selectedTopics(cluster, options.topics)
      .then(
        (topics) => {
          this.found = topics
          this.lookFailed = false
          this.lookedMs = options.clock.elapsedMs()
          this.wake.abort()
        },
        (error: unknown) => this.noteLookFailure(error),
      )
      .finally(() => {
        this.looking = false
      })
  }

  /** What is being read goes on; new partitions wait. */
  private noteLookFailure(error: unknown): void {
    const { options, signal } = this.parts
    if (this.lookFailed || signal.aborted) return
    this.lookFailed = true
    const reason = error instanceof Error ? error.message : String(error)
    options.log.warn('the cluster does not say which topics it has', { reason })
  }

  private takeFound(): readonly Topic[] {
    const found = this.found ?? []
    this.found = null
    return found
  }

  private async *applyFound(found: readonly Topic[]): AsyncGenerator<SourceElement, void> {
    const { topics, options, cluster, signal } = this.parts
    for (const topic of found) {
      // From a broker that has not heard yet, or a question of before.
      if (this.parts.places.hasRetired(topic.id)) continue
      const known = topics.get(topic.name)
      if (known === undefined) {
        const places = await this.ofCluster(() => newPlaces(cluster, topic, options.isolation))
        if (signal.aborted) return
        if (places !== null) this.add(topic, places)
      } else if (known.id !== topic.id) yield* this.recreated(known, topic)
      else if (topic.partitions > known.partitions && !known.frozen) {
        this.add(topic, addedPlaces(topic, known.partitions))
      }
    }
  }

  /** @returns `null`: the cluster does not say it now; it is asked again with the next look */
  private async ofCluster<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof PipelineError) || error.spec.action !== 'retry') throw error
      this.noteLookFailure(error)
      return null
    }
  }

  private add(topic: Topic, places: readonly Place[]): void {
    const { parts } = this
    const state = parts.topics.get(topic.name) ?? parts.createTopic(topic)
    parts.topics.set(topic.name, state)
    state.partitions = topic.partitions
    for (const place of places) parts.places.add(place)
    this.moved = true
    parts.splits.assign(places, parts.reader)
    const partitions = places.map(({ partition }) => partition)
    parts.options.log.info('new partitions are read', { topic: topic.name, partitions })
  }

  private async *recreated(known: TopicState, topic: Topic): AsyncGenerator<SourceElement, void> {
    const { options, context, places, cluster, topics, splits } = this.parts
    if (options.onRecreate === 'stop') {
      if (known.refusedId === topic.id) return
      known.refusedId = topic.id
      yield* this.park(known, topicRecreated(topic.name, known.id, topic.id))
      return
    }
    const first = await this.ofCluster(() => newPlaces(cluster, topic, options.isolation))
    if (first === null) return
    yield* this.flush()
    this.freeze(known)
    context.tableDropped(known.rows.table, places.order)
    splits.retire(places.all(), known)
    places.retire(known.id, known.name)
    topics.delete(known.name)
    options.log.warn('a topic was deleted and made again: it is read from its beginning', {
      topic: topic.name,
      before: known.id,
      now: topic.id,
    })
    this.add(topic, first)
  }

  private async *judge(problem: SplitProblem): AsyncGenerator<SourceElement, void> {
    const { cluster, options, reader, context, places } = this.parts
    const { topic: name, topicId, partition } = problem
    const topic = this.parts.topics.get(name)
    reader.remove(topicId, partition)
    if (topic === undefined || topic.id !== topicId || topic.frozen) return
    switch (problem.problem) {
      case 'out-of-range':
      case 'truncated':
        throw positionGone(problem)
      case 'unauthorized':
        throw new PipelineError('PRIVILEGE_MISSING', `topic "${name}" may not be read by this user`)
      case 'recreated':
      case 'missing': {
        const found = (await selectedTopics(cluster, options.topics)).find(
          (one) => one.name === name,
        )
        const stale = found !== undefined && places.hasRetired(found.id)
        if (stale) this.assignOne(topicId, name, partition)
        else if (found !== undefined && found.id !== topicId) yield* this.recreated(topic, found)
        else if (found !== undefined && found.partitions <= partition) {
          throw partitionsFewer(name, partition)
        } else if (found !== undefined) this.assignOne(topicId, name, partition)
        else {
          yield* this.flush()
          this.freeze(topic)
          context.tableDropped(topic.rows.table, places.order)
          options.log.warn('a topic was deleted; the lake keeps its table', { topic: name })
        }
      }
    }
  }

  private async *park(
    topic: TopicState,
    error: PipelineError,
  ): AsyncGenerator<SourceElement, void> {
    yield* this.flush()
    this.freeze(topic)
    this.parts.context.park(topic.rows.table, this.withPlace(topic, error))
    this.parts.options.log.warn('the table of a topic takes no rows any more', {
      topic: topic.name,
      code: error.spec.code,
      reason: error.message,
    })
  }

  /** There is no first copy that could repair a table, so whoever goes on needs the place. */
  private withPlace({ name, id }: TopicState, cause: PipelineError): PipelineError {
    if (cause.error === 'POSITION_GONE') return cause
    const offsets = [...this.parts.places.all()]
      .filter((place) => place.topic === name && place.topicId === id)
      .map(({ partition, offset }) => `${partition}: ${offset}`)
    const place = `{ offsets: { ${JSON.stringify(name)}: { ${offsets.join(', ')} } } }`
    return new PipelineError(cause.error, cause.message, {
      ...(cause.detail !== null && { detail: cause.detail }),
      hint:
        `The topic is read no further. Another pipeline can go on behind its table, ` +
        `with \`start: ${place}\`.`,
      cause,
    })
  }

  private freeze(topic: TopicState): void {
    topic.frozen = true
    for (const place of this.parts.places.all()) {
      if (isOf(place, topic)) this.parts.reader.remove(place.topicId, place.partition)
    }
  }
}

function isOf(place: Place, { name, id }: TopicState): boolean {
  return place.topic === name && place.topicId === id
}

function newestOf({ timestamps }: RecordSet, from: number, to: number): number {
  let newest = -1
  for (let index = from; index < to; index++) {
    const timestamp = timestamps[index] ?? -1
    if (timestamp > newest) newest = timestamp
  }
  return newest
}
