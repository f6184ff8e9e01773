// Bounds of chunks: key values that the server gave us and that go back to it as literals. Nothing
// is ever compared here: how strings are ordered is known to the server alone, and a client that
// guesses puts rows into no chunk.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { present } from '../../../runtime/base/assert.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { MysqlType } from '../types.ts'

/** A key column: what a literal for it looks like. */
export interface KeyPart {
  readonly name: string
  readonly type: MysqlType
}

/** Quotes an identifier. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** Reads a bound back. @throws PipelineError CHECKPOINT_CORRUPT when it is none of ours */
export function parseBound(text: string, parts: readonly KeyPart[]): readonly string[] {
  let values: unknown
  try {
    values = JSON.parse(text)
  } catch {
    values = null
  }
  const valid =
    Array.isArray(values) &&
    values.length === parts.length &&
    values.every((value) => typeof value === 'string')
  if (!valid) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the bound of a backfill chunk is unreadable')
  }
  return values as string[]
}

/** @returns the bound of row `row` of a batch of the table */
export function boundOf(
  schema: TableSchema,
  parts: readonly KeyPart[],
  columns: readonly Column[],
  row: number,
): string {
  const key = present(schema.key, 'a bound needs a key')
  const values = key.map((field, at) => {
    const column = present(columns[field], 'a key column is a column')
    return valueText(column, row, present(parts[at], 'a key column has a part').type)
  })
  return JSON.stringify(values)
}

/** The value as text: numbers and dates as SQL has them, bytes in hex, enum and set as number. */
function valueText(column: Column, row: number, type: MysqlType): string {
  switch (column.layout) {
    case 'bool8':
    case 'int32':
    case 'float32':
    case 'float64': {
      const value = present(column.values[row], 'a key has a value')
      return type.base === 'date' ? dateText(value) : String(value)
    }
    case 'int64':
      return wideText(present(column.values[row], 'a key has a value'), type)
    case 'int128': {
      const low = BigInt.asUintN(64, present(column.values[2 * row], 'a key has a value'))
      const high = present(column.values[2 * row + 1], 'a key has a value')
      return scaledText((high << 64n) | low, type.base === 'decimal' ? type.scale : 0)
    }
    case 'uuid16':
      return Buffer.from(column.values.subarray(row * 16, row * 16 + 16)).toString('hex')
    case 'bytes': {
      const start = present(column.offsets[row], 'a row has a start')
      const end = present(column.offsets[row + 1], 'a row has an end')
      const bytes = Buffer.from(column.bytes.buffer, column.bytes.byteOffset + start, end - start)
      return (
        labelNumber(bytes, type) ??
        (type.base === 'decimal' ? bytes.toString() : bytes.toString('hex'))
      )
    }
    case 'list':
      throw new PipelineError('TYPE_UNSUPPORTED', 'a list cannot be a key')
  }
}

function wideText(value: bigint, type: MysqlType): string {
  switch (type.base) {
    case 'decimal':
      return scaledText(value, type.scale)
    case 'time':
      return durationText(value)
    case 'datetime':
    case 'timestamp':
      return instantText(value)
    default:
      return value.toString()
  }
}

/** Enum and set are ordered by number, so a bound is a number, not a label. */
function labelNumber(label: Buffer, type: MysqlType): string | null {
  const text = label.toString()
  if (type.base === 'enum') return String(type.labels.indexOf(text) + 1)
  if (type.base !== 'set') return null
  const labels = text === '' ? [] : text.split(',')
  return labels.reduce((sum, one) => sum | (1n << BigInt(type.labels.indexOf(one))), 0n).toString()
}

function scaledText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return negative ? `-${text}` : text
}

const DAY_US = 86_400_000_000n
const DAY_MS = 86_400_000

function dateText(days: number): string {
  const date = new Date(days * DAY_MS)
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  const month = String(date.getUTCMonth() + 1).padStart(2, '0')
  return `${year}-${month}-${String(date.getUTCDate()).padStart(2, '0')}`
}

function instantText(us: bigint): string {
  const inDay = ((us % DAY_US) + DAY_US) % DAY_US
  return `${dateText(Number((us - inDay) / DAY_US))} ${clockText(inDay)}`
}

function durationText(us: bigint): string {
  return us < 0n ? `-${clockText(-us)}` : clockText(us)
}

function clockText(us: bigint): string {
  const seconds = us / 1_000_000n
  const [hours, minutes] = [seconds / 3600n, (seconds / 60n) % 60n]
  const whole = [hours, minutes, seconds % 60n].map((part) => String(part).padStart(2, '0'))
  return `${whole.join(':')}.${String(us % 1_000_000n).padStart(6, '0')}`
}

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i
const MOMENT = /^-?[\d:. -]+$/
const HEX = /^([0-9a-f]{2})*$/

/**
 * @returns a literal that the server takes as exactly this value, comparable by the index: text as
 *   a utf8mb4 constant, which the server converts to the column's own charset, never the column
 * @throws PipelineError CHECKPOINT_CORRUPT when the value does not look like one of this type
 */
export function literalOf(value: string, { name, type }: KeyPart): string {
  const { pattern, write } = literalForm(type)
  if (!pattern.test(value)) {
    throw new PipelineError('CHECKPOINT_CORRUPT', `the bound of key column ${name} is unreadable`)
  }
  return write(value)
}

interface LiteralForm {
  readonly pattern: RegExp
  readonly write: (value: string) => string
}

function literalForm(type: MysqlType): LiteralForm {
  switch (type.base) {
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return { pattern: MOMENT, write: (value) => `'${value}'` }
    // A bare number below 100 would mean a year of two digits.
    case 'year':
      return { pattern: NUMBER, write: (value) => `'${value.padStart(4, '0')}'` }
    case 'float':
    case 'double':
      return { pattern: NUMBER, write: (value) => (/e/i.test(value) ? value : `${value}e0`) }
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
    case 'bit':
    case 'enum':
    case 'set':
      return { pattern: NUMBER, write: (value) => value }
    case 'uuid':
      return { pattern: HEX, write: (value) => `'${dashed(value)}'` }
    default:
      return {
        pattern: HEX,
        write: (value) => (type.charset === null ? `X'${value}'` : `_utf8mb4 X'${value}'`),
      }
  }
}

function dashed(hex: string): string {
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
