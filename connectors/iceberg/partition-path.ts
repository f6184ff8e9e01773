// Folders of partitions, spelled as Iceberg's Java library spells them: `ts_day=2024-02-29/h=3`.
// They are for people: readers take a file's partition from its manifest, never from its path.
// Source: Apache Iceberg's PartitionSpec.partitionToPath and Transform.toHumanString.

import { createHash } from 'node:crypto'
import { formatPartitionValue } from '../parquet/table/partition-text.ts'
import type { PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { BoundField } from './partition-spec.ts'

/** File systems end a name at 255 bytes. */
const SEGMENT_BYTES_MAX = 200
const DIGEST_LENGTH = 16

/** @returns folders below the table's data folder, without slashes at the ends */
export function partitionPath(fields: readonly BoundField[], tuple: PartitionTuple): string {
  return fields
    .map((bound, index) => {
      const text = formatPartitionValue(bound, tuple[index] ?? null)
      return shortened(`${escaped(bound.field.name)}=${escaped(text)}`)
    })
    .join('/')
}

/** As a form of HTML is encoded, which leaves no slash and no other character of a path. */
function escaped(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll('%20', '+')
    .replaceAll(/[!'()~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A long value keeps its beginning; the digest tells it from others that begin so. */
function shortened(segment: string): string {
  if (segment.length <= SEGMENT_BYTES_MAX) return segment
  const digest = createHash('sha256').update(segment).digest('hex').slice(0, DIGEST_LENGTH)
  return `${segment.slice(0, SEGMENT_BYTES_MAX - DIGEST_LENGTH - 1)}~${digest}`
}
