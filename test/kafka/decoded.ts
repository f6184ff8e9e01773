// The decoder's answers as plain records, for tests to compare.

import { AbortedFilter } from '../../connectors/kafka/decode/aborted.ts'
import { FetchedBatches } from '../../connectors/kafka/decode/fetched.ts'
import { RecordWalk } from '../../connectors/kafka/decode/record-walk.ts'
import type { RecordSet } from '../../connectors/kafka/records.ts'
import type { ModelHeader, ModelRecord } from './batch-encoder.ts'

/** Of one producer, from its first offset on. */
export interface AbortedEntry {
  readonly producer: number
  readonly first: number
}

const walk = new RecordWalk()

export interface Decoded {
  readonly records: ModelRecord[]
  readonly nextOffset: number
  readonly leaderEpoch: number
}

/** @param aborted  `null`: records of all transactions are wanted */
export function decodeAll(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedEntry[] | null,
): Decoded {
  const filter = aborted === null ? null : new AbortedFilter()
  for (const { producer, first } of aborted ?? []) filter?.add(producer, first)
  const fetched = { topic: 't', partition: 0, offset: from, bytes, aborted: filter }
  const batches = new FetchedBatches(fetched, walk)
  const records: ModelRecord[] = []
  for (let set = batches.next(); set !== null; set = batches.next()) records.push(...recordsOf(set))
  return { records, nextOffset: batches.nextOffset, leaderEpoch: batches.leaderEpoch }
}

export function recordsOf(set: RecordSet): ModelRecord[] {
  return Array.from({ length: set.count }, (_, index) => ({
    offset: set.offsets[index]!,
    timestamp: set.timestamps[index]!,
    key: slice(set.bytes, set.keyStart[index]!, set.keyEnd[index]!),
    value: slice(set.bytes, set.valueStart[index]!, set.valueEnd[index]!),
    headers: headersOf(set, index),
  }))
}

function slice(bytes: Uint8Array, start: number, end: number): Buffer | null {
  return start < 0 ? null : Buffer.from(bytes.subarray(start, end))
}

function headersOf(set: RecordSet, index: number): ModelHeader[] {
  let at = set.headersStart[index]!
  const sized = (): Buffer | null => {
    let raw = 0
    let byte = 0x80
    for (let shift = 0; byte >= 0x80; shift += 7) {
      byte = set.bytes[at++]!
      raw += (byte & 0x7f) * 2 ** shift
    }
    if (raw === 1) return null
    at += raw / 2
    return Buffer.from(set.bytes.subarray(at - raw / 2, at))
  }
  const headers = Array.from({ length: set.headerCount[index]! }, () => {
    const key = String(sized())
    return { key, value: sized() }
  })
  if (at !== set.headersEnd[index]) throw new Error('the headers do not end where they should')
  return headers
}
