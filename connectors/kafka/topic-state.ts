// One topic under reading: its rows and decoders, and whether its partitions are read at all. A
// table that takes no rows stops its topic where it stands: nothing is read past it, so whoever
// takes it up again finds the place.

import type { PipelineError } from '../../runtime/base/errors.ts'
import type { TopicRows } from './decode/topic-rows.ts'
import type { Topic } from './discovery.ts'
import type { Place } from './place.ts'

/** A partition whose decoder has got what it waited for, or never will. */
export interface Settled {
  readonly topic: TopicState
  readonly place: Place
  /** `null`: it has got it. */
  readonly error: Error | null
}

export class TopicState {
  readonly name: string
  readonly id: string
  readonly rows: TopicRows
  /** Partitions that are known, read or not. */
  partitions: number
  /** Not read any more. */
  frozen = false
  /** The topic that has its name now and is not read: it was said. */
  refusedId: string | null = null
  /** Partitions whose decoder waits for something, and since when: milliseconds since 1970. */
  readonly waiting = new Map<number, number>()

  constructor({ name, id, partitions }: Topic, rows: TopicRows) {
    this.name = name
    this.id = id
    this.rows = rows
    this.partitions = partitions
  }
}

/** Of a structure that the lake cannot follow: the table's trouble, not the pipeline's. */
export function parksTable({ error }: PipelineError): boolean {
  switch (error) {
    case 'FORMAT_TYPE_CHANGED':
    case 'DDL_UNMAPPABLE':
    case 'TYPE_UNSUPPORTED':
    case 'KEY_CHANGED':
    case 'TABLE_WITHOUT_KEY':
      return true
    default:
      return false
  }
}
