// Single values: a default in the catalog's text form, and a key column's value as text that the
// server reads back as the same value.

import { assert } from '../../runtime/base/assert.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { Literal } from '../../runtime/data/literal.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { compileDecoder } from './decode/generate.ts'
import { UnrepresentableValue } from './decode/unrepresentable.ts'
import type { WireType } from './types.ts'

/** @returns the value of a text form; `null` when the lake has no literal for it */
export function literalOf(text: string, type: ColumnType, wire: WireType): Literal | null {
  if (type.kind === 'list') return null
  const field = { name: 'literal', type, nullable: false, column: 0, wire, format: 'text' } as const
  const create = compileDecoder({ title: 'literal', fields: [field], unrepresentableAsNull: false })
  if (create === null) return null
  const builder = columnBuilder(type)
  builder.reserveRows(1)
  const bytes = Buffer.from(text, 'utf8')
  try {
    create([builder])(bytes, Int32Array.of(0), Int32Array.of(bytes.length), 0)
  } catch (error) {
    if (error instanceof UnrepresentableValue) return null
    throw error
  }
  return literalAt(builder.view(1), 0)
}

/** @returns the value of a row, which is neither null nor a list */
export function literalAt(column: Column, row: number): Literal {
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'int32':
      return BigInt(column.values[row] ?? 0)
    case 'int64':
      return column.values[row] ?? 0n
    case 'float32':
    case 'float64':
      return column.values[row] ?? 0
    case 'int128': {
      const low = BigInt.asUintN(64, column.values[2 * row] ?? 0n)
      return ((column.values[2 * row + 1] ?? 0n) << 64n) | low
    }
    case 'uuid16':
      return column.values.slice(16 * row, 16 * row + 16)
    case 'bytes': {
      const value = column.bytes.slice(column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0)
      return column.type.kind === 'string' ? Buffer.from(value).toString('utf8') : value
    }
    case 'list':
      assert(false, 'a list is never a literal')
  }
}

/** @returns the text of a key value, which the server reads back as the same value */
export function keyText(column: Column, row: number): string {
  const value = literalAt(column, row)
  const type = column.type
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value).toString('hex')
    return type.kind === 'uuid' ? hex : `\\x${hex}`
  }
  switch (type.kind) {
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'date':
      return dateText(Number(value))
    case 'time':
      return timeText(Number(value))
    case 'timestamp':
    case 'timestamptz':
      return instantText(value as bigint, type.kind === 'timestamptz')
    case 'float':
    case 'double':
      // PostgreSQL reads a negative zero and NaN as JavaScript writes them.
      return String(value)
    default:
      return String(value)
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  const sign = unscaled < 0n ? '-' : ''
  return sign + (scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`)
}

const DAY_US = 86_400_000_000n

function dateText(days: number): string {
  const { year, month, day } = civilOf(days)
  return `${String(year).padStart(4, '0')}-${padded(month)}-${padded(day)}`
}

function timeText(us: number): string {
  const seconds = Math.floor(us / 1e6)
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return `${clock.map(padded).join(':')}.${String(us % 1e6).padStart(6, '0')}`
}

function instantText(us: bigint, zoned: boolean): string {
  const days = us >= 0n ? us / DAY_US : -((-us + DAY_US - 1n) / DAY_US)
  const text = `${dateText(Number(days))} ${timeText(Number(us - days * DAY_US))}`
  return zoned ? `${text}+00` : text
}

function padded(part: number): string {
  return String(part).padStart(2, '0')
}

/** The day of the proleptic Gregorian calendar. */
function civilOf(days: number): { year: number; month: number; day: number } {
  // Source: https://howardhinnant.github.io/date_algorithms.html, civil_from_days
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  const dayOfYear = dayOfEra - (365 * yearOfEra + leapDays)
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}
