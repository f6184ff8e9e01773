// What a column's default is as a value of the lake: rows that are older than the column hold it,
// and so do rows of an INSERT that does not mention it. Anything that is not surely a constant is
// unknown: a guess here would be a wrong value in every row.

import { Buffer } from 'node:buffer'
import type { Literal } from '../../../runtime/data/literal.ts'
import type { ExistingValue } from '../../../runtime/data/schema.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'
import { daysOf, NO_DAY } from '../decode/temporal.ts'
import { mapType, type MysqlType, type TypeOptions } from '../types.ts'
import { TEXT_BYTES } from './capacity.ts'
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
      return valueOf(literalOf(column.default, column.type, lake))
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

type LiteralDefault = Extract<ColumnDefault, { kind: 'literal' }>

/** @returns `null` when the server would change the value on its way in */
function literalOf(
  { text, hex, unquoted = false }: LiteralDefault,
  type: MysqlType,
  lake: ColumnType,
): Literal | null {
  if (hex) return hexLiteral(text.replace(/^0x/i, ''), type, lake)
  switch (lake.kind) {
    case 'boolean':
      return text === '0' || text === '1' ? text === '1' : null
    case 'int':
    case 'long':
      return wholeLiteral(text, unquoted, type)
    case 'decimal':
      return type.base === 'bigint' ? integer(text) : unscaled(text, type)
    case 'float':
    case 'double':
      return floating(text, type)
    case 'string':
      return unquoted ? printedText(text, type) : textLiteral(text, type)
    case 'binary':
      // Text is stored in the bytes of the client's charset, which are not known here.
      return /^[\0-\x7f]*$/.test(text) && (!unquoted || printedNumber(text))
        ? bytesLiteral(Buffer.from(text), type)
        : null
    case 'date':
      return dateLiteral(text)
    case 'timestamp':
      return datetimeLiteral(text, type.scale)
    default:
      // TIMESTAMP is read in the time zone of the session, which the log does not always tell.
      return null
  }
}

function hexLiteral(digits: string, type: MysqlType, lake: ColumnType): Literal | null {
  if (lake.kind === 'binary') return bytesLiteral(Buffer.from(digits, 'hex'), type)
  return type.base === 'bit' ? bits(BigInt(`0x${digits === '' ? '0' : digits}`)) : null
}

function bytesLiteral(bytes: Uint8Array, type: MysqlType): Uint8Array | null {
  const width = type.base === 'binary' ? (type.length ?? 1) : bytes.length
  if (bytes.length > width) return null
  const padded = new Uint8Array(width)
  padded.set(bytes)
  return padded
}

function integer(text: string): bigint | null {
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : null
}

function wholeLiteral(text: string, unquoted: boolean, type: MysqlType): bigint | null {
  switch (type.base) {
    case 'time':
      return timeLiteral(text, type.scale)
    case 'year':
      return yearLiteral(text, unquoted)
    case 'bit':
      // Quoted digits are bytes there.
      return unquoted ? bits(integer(text)) : null
    default:
      return integer(text)
  }
}

/** Years of one or two digits are of this century or the last; 0 is 0000, and '0' is 2000. */
function yearLiteral(text: string, unquoted: boolean): bigint | null {
  if (text === '0000' || (unquoted && text === '0')) return 0n
  return /^\d{4}$/.test(text) && text >= '1901' && text <= '2155' ? BigInt(text) : null
}

const FLOATING = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

/** FLOAT(M,D) rounds to its digits before it rounds to bits; only DOUBLE has a negative zero. */
function floating(text: string, { base, length }: MysqlType): number | null {
  const value = base === 'float' ? Math.fround(Number(text)) : Number(text)
  if (!FLOATING.test(text) || !Number.isFinite(value) || Object.is(value, -0)) return null
  return length === null || Number.isInteger(value) ? value : null
}

/** The lake has no unsigned long. */
function bits(value: bigint | null): bigint | null {
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

/** A number that both servers print as it is written, when it becomes text. */
function printedNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d{0,17})(?:\.\d{1,18})?$/.test(text) && !/^-0(?:\.0*)?$/.test(text)
}

function printedText(text: string, type: MysqlType): string | null {
  if (type.base === 'decimal') return decimalText(text, type)
  // MariaDB takes a number for the index of a label, and both a JSON number for a document.
  const becomesText = type.base !== 'enum' && type.base !== 'set' && type.base !== 'json'
  return becomesText && printedNumber(text) ? textLiteral(text, type) : null
}

function textLiteral(text: string, type: MysqlType): string | null {
  switch (type.base) {
    case 'decimal':
      return decimalText(text, type)
    case 'json': {
      // Other documents are printed with their keys in order, and numbers anew.
      const document = text.trim()
      return document === '{}' || document === '[]' ? document : null
    }
    case 'enum':
      return type.labels.includes(text) ? text : null
    case 'set': {
      const wanted = text === '' ? [] : text.split(',')
      const sorted = type.labels.filter((label) => wanted.includes(label))
      return sorted.length === wanted.length ? sorted.join(',') : null
    }
    case 'char':
      return fitting(text, type)?.replace(/ +$/, '') ?? null
    default:
      return fitting(text, type)
  }
}

/** Outside of strict mode MySQL cuts blanks that are too many. */
function fitting(text: string, { base, length }: MysqlType): string | null {
  const characters = Array.from(text).length
  const bytes = TEXT_BYTES[base]
  // No charset has more than four bytes a character.
  return (bytes === undefined ? characters <= (length ?? 1) : characters * 4 <= bytes) ? text : null
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
