// Folders of partitions, spelled as Iceberg's Java library spells them: `ts_day=2024-02-29/h=3`.
// They are for people: readers take a file's partition from its manifest, never from its path.
// Source: Apache Iceberg's PartitionSpec.partitionToPath and Transform.toHumanString.

import { createHash } from 'node:crypto'
import { decodeSingleValue, formatSingleValue } from '../parquet/encode/single-value.ts'
import type { SingleValue } from '../parquet/encode/single-value.ts'
import type { PartitionTuple, PartitionValue } from '../../runtime/data/partition/value.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'
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

/** @returns what people read: `2024-02-29`, `null` */
export function formatPartitionValue(
  { transform, type }: Pick<BoundField, 'transform' | 'type'>,
  value: PartitionValue,
): string {
  if (value === null) return 'null'
  const single = decodeSingleValue(type, Buffer.from(value, 'base64'))
  switch (transform.kind) {
    case 'year':
      return yearText(1970 + (single as number))
    case 'month':
      return monthText(single as number)
    case 'hour': {
      const hours = single as number
      const day = Math.floor(hours / 24)
      return `${dateText(day)}-${String(hours - day * 24).padStart(2, '0')}`
    }
    default:
      return valueText(type, single)
  }
}

function monthText(months: number): string {
  const year = Math.floor(months / 12)
  return `${yearText(1970 + year)}-${String(months - year * 12 + 1).padStart(2, '0')}`
}

function yearText(year: number): string {
  const digits = String(Math.abs(year)).padStart(4, '0')
  return year < 0 ? `-${digits}` : digits
}

function dateText(days: number): string {
  return unquoted({ kind: 'date' }, days)
}

function valueText(type: PrimitiveType, value: SingleValue): string {
  switch (type.kind) {
    case 'string':
      return value as string
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('base64')
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'time':
      return unquoted(type, value)
        .replace(/^(\d\d:\d\d):00$/, '$1')
        .replace(/(\.\d{3})000$/, '$1')
    case 'timestamp':
    case 'timestamptz':
      return unquoted(type, value).replace(/(\.\d*?)0+(?=\+|$)/, '$1')
    default:
      return unquoted(type, value)
  }
}

function unquoted(type: PrimitiveType, value: SingleValue): string {
  return formatSingleValue(type, value).replaceAll('"', '')
}

/** Java's BigDecimal has an exponent where a number is smaller than a millionth. */
function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled)
  const exponent = digits.length - 1 - scale
  if (exponent >= -6) return unquoted({ kind: 'decimal', precision: 38, scale }, unscaled)
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, 1)}${fraction}E${exponent}`
}
