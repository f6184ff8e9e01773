// What a column's default is as a value of the lake: rows that are older than the column hold it,
// and so do rows of an INSERT that does not mention it. Anything that is not surely a constant is
// unknown: a guess here would be a wrong value in every row.

import { Buffer } from 'node:buffer'
import type { Literal } from '../../../runtime/data/literal.ts'
import type { ExistingValue } from '../../../runtime/data/schema.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'
import { daysOf, NO_DAY } from '../decode/temporal.ts'
import { mapType, type MysqlType, type TypeOptions } from '../types.ts'
import type { ColumnDefault } from './state.ts'

/** What decides a column's default; a ColumnState or a ColumnDefinition. */
export interface DefaultSource {
  readonly type: MysqlType
  readonly nullable: boolean
  readonly default: ColumnDefault
  readonly generated: 'stored' | 'virtual' | null
  readonly autoIncrement: boolean
}

const UNKNOWN: ExistingValue = { kind: 'unknown' }

/** @returns what a row holds in the column that was given no value for it */
export function defaultOf(column: DefaultSource, options: TypeOptions): ExistingValue {
  if (column.generated !== null || column.autoIncrement) return UNKNOWN
  const { type: lake } = mapType(column.type, options)
  if (lake === null) return UNKNOWN
  switch (column.default.kind) {
    case 'null':
      return { kind: 'null' }
    case 'none':
      return column.nullable ? { kind: 'null' } : valueOf(implicitDefault(column.type, lake))
    case 'literal':
      return valueOf(literalOf(column.default.text, column.default.hex, column.type, lake))
    case 'expression':
      return UNKNOWN
  }
}

function valueOf(value: Literal | null): ExistingValue {
  return value === null ? UNKNOWN : { kind: 'value', value }
}

/** Of a NOT NULL column without a default: 0, the empty string, the first label. */
function implicitDefault(type: MysqlType, lake: ColumnType): Literal | null {
  switch (lake.kind) {
    case 'boolean':
      return false
    case 'int':
    case 'long':
    case 'decimal':
      return 0n
    case 'float':
    case 'double':
      return 0
    case 'binary':
      return new Uint8Array(type.base === 'binary' ? (type.length ?? 1) : 0)
    case 'string':
      if (type.base === 'json') return 'null'
      if (type.base === 'decimal') return decimalText('0', type)
      return type.base === 'enum' ? (type.labels[0] ?? null) : ''
    default:
      // The zero date, which has no place in the lake.
      return null
  }
}

/** @returns `null` when the server would change the value on its way in */
function literalOf(text: string, hex: boolean, type: MysqlType, lake: ColumnType): Literal | null {
  if (lake.kind === 'binary') {
    const bytes = Buffer.from(text, hex ? 'hex' : 'utf8')
    const width = type.base === 'binary' ? (type.length ?? 1) : bytes.length
    if (bytes.length > width) return null
    const padded = new Uint8Array(width)
    padded.set(bytes)
    return padded
  }
  if (type.base === 'bit') return bitLiteral(text, hex)
  if (hex) return null
  switch (lake.kind) {
    case 'boolean':
      return text === '0' || text === '1' ? text === '1' : null
    case 'int':
    case 'long':
      return type.base === 'time' ? timeLiteral(text, type.scale) : integer(text)
    case 'decimal':
      return type.base === 'bigint' ? integer(text) : unscaled(text, type)
    case 'float':
      return finite(Math.fround(Number(text)))
    case 'double':
      return finite(Number(text))
    case 'string':
      return textLiteral(text, type)
    case 'date':
      return dateLiteral(text)
    case 'timestamp':
      return datetimeLiteral(text, type.scale)
    default:
      // TIMESTAMP is read in the time zone of the session, which the log does not always tell.
      return null
  }
}

function integer(text: string): bigint | null {
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : null
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function bitLiteral(text: string, hex: boolean): bigint | null {
  const value = hex ? BigInt(`0x${text === '' ? '0' : text}`) : integer(text)
  return value !== null && value >= 0n && value < 2n ** 63n ? value : null
}

/** Digits beyond the scale would be rounded. */
function unscaled(text: string, { scale }: MysqlType): bigint | null {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text)
  const [, sign = '', whole = '', fraction = ''] = match ?? []
  if (match === null || whole + fraction === '' || fraction.length > scale) return null
  const value = BigInt(whole + fraction.padEnd(scale, '0'))
  return sign === '-' ? -value : value
}

/** A decimal of more digits than the lake has, as the server prints it. */
function decimalText(text: string, type: MysqlType): string | null {
  const value = unscaled(text, type)
  if (value === null) return null
  const digits = (value < 0n ? -value : value).toString().padStart(type.scale + 1, '0')
  const point = digits.length - type.scale
  const fraction = type.scale === 0 ? '' : `.${digits.slice(point)}`
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`
}

function textLiteral(text: string, type: MysqlType): string | null {
  switch (type.base) {
    case 'decimal':
      return decimalText(text, type)
    case 'enum':
      return type.labels.includes(text) ? text : null
    case 'set': {
      const wanted = text === '' ? [] : text.split(',')
      const sorted = type.labels.filter((label) => wanted.includes(label))
      return sorted.length === wanted.length ? sorted.join(',') : null
    }
    case 'char':
      return text.replace(/ +$/, '')
    default:
      return text
  }
}

const DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})$/

function dateLiteral(text: string): bigint | null {
  const match = DATE.exec(text)
  if (match === null) return null
  const days = daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
  return days === NO_DAY ? null : BigInt(days)
}

const CLOCK = /^(-?)(\d{1,3}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?$/

/** Microseconds; `null` too when the fraction would be rounded. */
function timeLiteral(text: string, digits: number): bigint | null {
  const match = CLOCK.exec(text)
  if (match === null) return integer(text) === 0n ? 0n : null
  const [, sign, hours, minutes, seconds, fraction = ''] = match
  if (fraction.length > digits) return null
  const whole = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds))
  const micros = whole * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  return sign === '-' ? -micros : micros
}

function datetimeLiteral(text: string, digits: number): bigint | null {
  const [date = '', time = '00:00:00', ...rest] = text.trim().split(/[ T]/)
  const days = dateLiteral(date)
  const micros = timeLiteral(time, digits)
  if (rest.length > 0 || days === null || micros === null || micros < 0n) return null
  return days * 86_400_000_000n + micros
}
