// Values of partitions as people read them, spelled as Iceberg's Java library spells them.
// Source: Apache Iceberg's Transform.toHumanString.

import type { Transform } from '../../../runtime/data/partition/transform.ts'
import type { PartitionValue } from '../../../runtime/data/partition/value.ts'
import type { PrimitiveType } from '../../../runtime/data/type.ts'
import { decodeSingleValue, formatSingleValue } from '../encode/single-value.ts'
import type { SingleValue } from '../encode/single-value.ts'

/** What a value is one of. */
export interface PartitionKind {
  readonly transform: Transform
  /** Of the values, as the transform gives them. */
  readonly type: PrimitiveType
}

/** @returns what people read: `2024-02-29`, `null` */
export function formatPartitionValue(
  { transform, type }: PartitionKind,
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
