// How far each partition has been read, and the one position that the runtime knows of it: the sum
// of all next offsets. It never falls, and every record moves it, so a record has an order of its
// own; where to resume stands in the token.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import type { SplitPlace } from './wire/delivery.ts'

export interface Place extends SplitPlace {
  /** Of the newest record before `offset`, milliseconds since 1970; -1: not known. */
  readonly timestampMs: number
}

type MutablePlace = { -readonly [K in keyof Place]: Place[K] }

/** All that split orders; one source has one log. */
const LOG_SPLIT = 'log'
const FORMAT = 1

/** What is resumed from, as JSON. */
interface Token {
  readonly format: typeof FORMAT
  /** What the next offsets of topics came to that are gone. */
  readonly retired: number
  /** Their ids: a broker that has not heard yet may still name them. */
  readonly retiredIds: readonly string[]
  readonly topics: readonly TopicToken[]
}

interface TopicToken {
  readonly id: string
  readonly name: string
  /** By partition: next offset, leader epoch, timestamp. */
  readonly partitions: Record<string, readonly [number, number, number]>
}

export function splitKey(topicId: string, topic: string, partition: number): string {
  return `${topicId}/${topic}/${partition}`
}

export class Places {
  private readonly places = new Map<string, MutablePlace>()
  private readonly retiredIds: Set<string>
  private retired: number
  private sum: number

  /** @param retired  the order below which nothing may begin */
  constructor(retired = 0, retiredIds: readonly string[] = []) {
    this.retiredIds = new Set(retiredIds)
    this.retired = retired
    this.sum = retired
  }

  /** @throws PipelineError CHECKPOINT_CORRUPT */
  static of(position: Position): Places {
    const { retired, retiredIds, topics } = parseToken(position.token)
    const places = new Places(retired, retiredIds)
    for (const { id: topicId, name: topic, partitions } of topics) {
      for (const [number, [offset, leaderEpoch, timestampMs]] of Object.entries(partitions)) {
        const partition = Number(number)
        places.add({ topic, topicId, partition, offset, leaderEpoch, timestampMs })
      }
    }
    return places
  }

  all(): Iterable<Place> {
    return this.places.values()
  }

  get(topicId: string, topic: string, partition: number): Place | null {
    return this.places.get(splitKey(topicId, topic, partition)) ?? null
  }

  add(place: Place): void {
    this.places.set(splitKey(place.topicId, place.topic, place.partition), { ...place })
    this.sum += place.offset
  }

  /** The sum before the record at `offset`, which no other record has. */
  orderBefore(place: Place, offset: number): number {
    return this.sum - place.offset + offset
  }

  advance(place: Place, offset: number, leaderEpoch: number, timestampMs: number): void {
    const own = place as MutablePlace
    this.sum += offset - own.offset
    own.offset = offset
    own.leaderEpoch = leaderEpoch
    if (timestampMs > own.timestampMs) own.timestampMs = timestampMs
  }

  /** Forgets a topic that another one has taken the name of; orders go on behind its records. */
  retire(topicId: string, topic: string): void {
    this.retiredIds.add(topicId)
    for (const [key, place] of this.places) {
      if (place.topicId !== topicId || place.topic !== topic) continue
      this.retired += place.offset
      this.places.delete(key)
    }
  }

  /** What the next offsets of topics came to that are gone. */
  get retiredOrder(): number {
    return this.retired
  }

  /** The topic with this id has been given up for a later one of its name. */
  hasRetired(topicId: string): boolean {
    return this.retiredIds.has(topicId)
  }

  get order(): Order {
    return BigInt(this.sum)
  }

  position(): Position {
    return { split: LOG_SPLIT, order: this.order, token: this.formatToken() }
  }

  private formatToken(): string {
    const topics = new Map<string, TopicToken>()
    for (const { topic, topicId, partition, offset, leaderEpoch, timestampMs } of this.all()) {
      const key = `${topicId}/${topic}`
      const token = topics.get(key) ?? { id: topicId, name: topic, partitions: {} }
      topics.set(key, token)
      token.partitions[partition] = [offset, leaderEpoch, timestampMs]
    }
    const token: Token = {
      format: FORMAT,
      retired: this.retired,
      retiredIds: [...this.retiredIds],
      topics: [...topics.values()],
    }
    return JSON.stringify(token)
  }
}

function parseToken(text: string): Token {
  try {
    const token = JSON.parse(text) as Token
    if (token.format === FORMAT) return token
  } catch (cause) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the position of the topics is no JSON', {
      cause,
    })
  }
  throw new PipelineError('CHECKPOINT_CORRUPT', 'the position of the topics has another format')
}
