// The first records of a set, as a set: what a decoder gets that must stop before the next null
// value. One object is used again and again, over the arrays of whatever set it looks at.

import type { RecordSet } from '../records.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export class RunView {
  private own: Mutable<RecordSet> | null = null

  /** @returns the records [0, count) of `set`; valid until the next call */
  of(set: RecordSet, count: number): RecordSet {
    if (count === set.count) return set
    const own = (this.own ??= viewed(set))
    own.topic = set.topic
    own.partition = set.partition
    own.bytes = set.bytes
    own.offsets = set.offsets
    own.timestamps = set.timestamps
    own.appendTime = set.appendTime
    own.keyStart = set.keyStart
    own.keyEnd = set.keyEnd
    own.valueStart = set.valueStart
    own.valueEnd = set.valueEnd
    own.headersStart = set.headersStart
    own.headersEnd = set.headersEnd
    own.headerCount = set.headerCount
    own.count = count
    return own
  }
}

/** A copy of what a set shows: it may be of a class that keeps more. */
function viewed(set: RecordSet): Mutable<RecordSet> {
  const { topic, partition, count, bytes, offsets, timestamps, appendTime } = set
  const { keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd, headerCount } = set
  return {
    topic,
    partition,
    count,
    bytes,
    offsets,
    timestamps,
    appendTime,
    keyStart,
    keyEnd,
    valueStart,
    valueEnd,
    headersStart,
    headersEnd,
    headerCount,
  }
}
