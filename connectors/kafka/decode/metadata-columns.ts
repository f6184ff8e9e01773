// The columns that every record can give beside its value: where it stands in which topic, when it
// was written, its key and its headers.

import type {
  BytesBuilder,
  ColumnBuilder,
  FixedBuilder,
} from '../../../runtime/data/column/builder.ts'
import type { SourceColumn } from '../../../runtime/data/schema.ts'
import type { PrimitiveType } from '../../../runtime/data/type.ts'
import type { MetadataColumn } from '../options.ts'
import type { RecordSet } from '../records.ts'
import { writeHeaders } from './header-text.ts'

const TYPES = {
  __topic__: { kind: 'string' },
  __partition__: { kind: 'int' },
  __offset__: { kind: 'long' },
  __timestamp__: { kind: 'timestamptz' },
  __key__: { kind: 'binary' },
  __headers__: { kind: 'string', json: true },
} as const satisfies Record<MetadataColumn, PrimitiveType>

const COMMENTS: Readonly<Record<MetadataColumn, string>> = {
  __topic__: 'topic of the record',
  __partition__: 'partition of the record',
  __offset__: 'offset of the record in its partition',
  __timestamp__: 'timestamp of the record',
  __key__: 'bytes of the key',
  __headers__: 'headers, as a list of objects with key and value; base64 where it is no text',
}

/** A record may have no key and no time; the rest is always there. */
const NULLABLE: ReadonlySet<MetadataColumn> = new Set(['__timestamp__', '__key__'])

export function metadataColumn(name: MetadataColumn): SourceColumn {
  return {
    identity: name,
    name,
    type: TYPES[name],
    nullable: NULLABLE.has(name),
    comment: COMMENTS[name],
    sourceType: 'metadata',
    // Rows of before were written without it.
    existing: { kind: 'null' },
  }
}

const TWO_32 = 0x1_0000_0000
const utf8 = new TextEncoder()
/** Milliseconds beyond are not exact here, and their microseconds hardly fit 64 bits. */
const TIME_MS_MAX = Number.MAX_SAFE_INTEGER

/**
 * Fills rows [from, to) of one column.
 *
 * @param record  by row: index of its record in the set
 */
export function fillMetadata(
  name: MetadataColumn,
  builder: ColumnBuilder,
  set: RecordSet,
  record: Int32Array,
  from: number,
  to: number,
): void {
  switch (name) {
    case '__topic__':
      return fillTopic(builder as BytesBuilder, set, from, to)
    case '__partition__':
      ;(builder as FixedBuilder & { values: Int32Array }).values.fill(set.partition, from, to)
      return undefined
    case '__offset__':
      return fillOffsets(builder as FixedBuilder, set, record, from, to)
    case '__timestamp__':
      return fillTimestamps(builder as FixedBuilder, set, record, from, to)
    case '__key__':
      return fillKeys(builder as BytesBuilder, set, record, from, to)
    case '__headers__':
      for (let row = from; row < to; row++) {
        writeHeaders(builder as BytesBuilder, row, set, record[row]!)
      }
      return undefined
  }
}

function fillTopic(builder: BytesBuilder, { topic }: RecordSet, from: number, to: number): void {
  const bytes = utf8.encode(topic)
  for (let row = from; row < to; row++) builder.setBytes(row, bytes, 0, bytes.length)
}

function fillOffsets(
  { pairs }: FixedBuilder,
  { offsets }: RecordSet,
  record: Int32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const offset = offsets[record[row]!]!
    pairs[2 * row] = offset
    pairs[2 * row + 1] = Math.floor(offset / TWO_32)
  }
}

function fillTimestamps(
  builder: FixedBuilder,
  { timestamps }: RecordSet,
  record: Int32Array,
  from: number,
  to: number,
): void {
  const { pairs } = builder
  for (let row = from; row < to; row++) {
    const ms = timestamps[record[row]!]!
    if (ms < 0 || ms > TIME_MS_MAX) {
      builder.setNull(row)
      continue
    }
    // Two products that are exact each: microseconds of a far date need more than 53 bits.
    const high = Math.floor(ms / TWO_32) * 1000
    const low = (ms % TWO_32) * 1000
    pairs[2 * row] = low
    pairs[2 * row + 1] = high + Math.floor(low / TWO_32)
  }
}

function fillKeys(
  builder: BytesBuilder,
  { bytes, keyStart, keyEnd }: RecordSet,
  record: Int32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const index = record[row]!
    const start = keyStart[index]!
    if (start < 0) builder.setNull(row)
    else builder.setBytes(row, bytes, start, keyEnd[index]!)
  }
}
