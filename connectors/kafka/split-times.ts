// How each partition is, as far as event time is concerned, and which of them are paused because
// they are ahead of the others. At its end is only a partition whose leader has said so a moment
// ago and whose rows have all been handed out; whatever else keeps rows back is no quiet.

import type { SplitTimes } from '../../runtime/source.ts'
import { type Place, splitKey } from './place.ts'
import type { TopicState } from './topic-state.ts'
import type { RecordReader, SplitState } from './wire/delivery.ts'

/** A leader is asked several times a second; of one that does not answer nothing is known. */
const ANSWER_AGE_MS_MAX = 2000

export class SplitBoard {
  private paused: ReadonlySet<string> = new Set()
  /** Of topics that were given up for others of their names. */
  private readonly retired: SplitTimes[] = []

  /** @param nowMs  milliseconds since 1970 */
  list(
    places: Iterable<Place>,
    topics: ReadonlyMap<string, TopicState>,
    states: readonly SplitState[],
    nowMs: number,
  ): readonly SplitTimes[] {
    const known = new Map(
      states.map((state) => [splitKey(state.topicId, state.topic, state.partition), state]),
    )
    const list = [...this.retired]
    for (const place of places) {
      const split = keyOf(place)
      const topic = topics.get(place.topic)
      const state = known.get(split)
      if (topic === undefined || topic.id !== place.topicId || topic.frozen) {
        list.push({ split, tables: [], state: 'finished', clockUs: null })
        continue
      }
      const answeredMs = state?.answeredMs ?? null
      list.push({
        split,
        tables: [topic.rows.table],
        state: state === undefined ? 'blocked' : stateOf(place, topic, state, nowMs),
        clockUs: answeredMs === null ? null : BigInt(Math.round(answeredMs)) * 1000n,
      })
    }
    return list
  }

  /** Its partitions will not be listed any more, and must not hold a table for ever. */
  retire(places: Iterable<Place>, { id, name }: TopicState): void {
    for (const place of places) {
      if (place.topicId !== id || place.topic !== name) continue
      this.retired.push({ split: keyOf(place), tables: [], state: 'finished', clockUs: null })
    }
  }

  /** These and no others are not read. */
  pause(splits: ReadonlySet<string>, places: Iterable<Place>, reader: RecordReader): void {
    const before = this.paused
    if (before.size === 0 && splits.size === 0) return
    this.paused = new Set(splits)
    for (const place of places) {
      const split = keyOf(place)
      if (splits.has(split)) reader.pause(place.topicId, place.partition)
      else if (before.has(split)) reader.resume(place.topicId, place.partition)
    }
  }

  /** A reader forgets that a partition was paused when it is told anew where to read. */
  assign(places: readonly Place[], reader: RecordReader): void {
    reader.assign(places.map((place) => ({ ...place })))
    for (const place of places) {
      if (this.isPaused(place)) reader.pause(place.topicId, place.partition)
    }
  }

  isPaused(place: Place): boolean {
    return this.paused.size > 0 && this.paused.has(keyOf(place))
  }
}

function stateOf(
  { partition, offset }: Place,
  { waiting, rows }: TopicState,
  { paused, stalled, atEnd, nextOffset, answeredMs }: SplitState,
  nowMs: number,
): SplitTimes['state'] {
  if (paused || stalled !== null || waiting.has(partition)) return 'blocked'
  const isFresh = answeredMs !== null && Math.abs(nowMs - answeredMs) <= ANSWER_AGE_MS_MAX
  if (!isFresh) return 'blocked'
  const isDone = offset >= nextOffset && rows.times?.waits(partition) !== true
  return atEnd && isDone ? 'at-end' : 'reading'
}

function keyOf({ topicId, topic, partition }: Place): string {
  return splitKey(topicId, topic, partition)
}
