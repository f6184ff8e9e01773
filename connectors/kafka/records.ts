// What the log of a Kafka partition is handed on as: the records of one batch as places in its
// decompressed bytes. No record is an object, and no key or value is copied.

/**
 * The committed records of one record batch of one partition, in offset order. The arrays may be
 * longer than `count` and are filled anew for the next set: valid until the consumer asks for it.
 */
export interface RecordSet {
  readonly topic: string
  readonly partition: number
  readonly count: number
  /** Keys, values and headers lie in here. */
  readonly bytes: Uint8Array
  /** Exact below 2^53. A compacted partition has gaps. */
  readonly offsets: Float64Array
  /** Milliseconds since 1970; -1: none. */
  readonly timestamps: Float64Array
  /** The timestamps are the broker's (LogAppendTime), not the producer's. */
  readonly appendTime: boolean
  /** -1: null key. */
  readonly keyStart: Int32Array
  readonly keyEnd: Int32Array
  /** -1: null value, which is a tombstone where keys are compacted. */
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  /** The headers' own bytes, behind the varint with their count. */
  readonly headersStart: Int32Array
  readonly headersEnd: Int32Array
  readonly headerCount: Int32Array
}
