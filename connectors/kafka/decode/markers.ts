// How the transactions of a producer ended, as the log says: behind its records stands a control
// batch of its own, COMMIT or ABORT. What a coordinator answers may be lost; this is not.

import {
  ATTRIBUTES_AT,
  CONTROL,
  COUNT_AT,
  extentOf,
  LENGTH_AT,
  LENGTH_END,
  PRODUCER_ID_AT,
  RECORDS_AT,
} from './batch-header.ts'
import { int16At, int32At } from './integers.ts'

export type Marker = 'commit' | 'abort'

/** Length, attributes and deltas take a byte each, the key's length one more, its version two. */
const TYPE_AT = RECORDS_AT + 7
const COMMIT = 1

export interface MarkerSearch {
  /** The first of the producer; `null`: there is none in these bytes. */
  readonly marker: Marker | null
  /** Where the search goes on. */
  readonly nextOffset: number
}

/**
 * @param bytes  of one partition, as fetched from `from` on with the records of all transactions
 */
export function findMarker(bytes: Buffer, from: number, producerId: bigint): MarkerSearch {
  const { bytes: whole, nextOffset } = extentOf(bytes, from)
  for (let at = 0; at < whole; at += LENGTH_END + int32At(bytes, at + LENGTH_AT)) {
    if ((int16At(bytes, at + ATTRIBUTES_AT) & CONTROL) === 0) continue
    if (bytes.readBigInt64BE(at + PRODUCER_ID_AT) !== producerId) continue
    if (int32At(bytes, at + COUNT_AT) < 1 || bytes.readBigInt64BE(at) < BigInt(from)) continue
    const marker = int16At(bytes, at + TYPE_AT) === COMMIT ? 'commit' : 'abort'
    return { marker, nextOffset }
  }
  return { marker: null, nextOffset }
}
