// Values of columns as a script has them, and back. Texts of times, decimals and UUIDs come from
// and go through CAST, so that a script and an expression mean the same by them; what CAST would
// round is an error here.

import { PipelineError } from '../../runtime/base/errors.ts'
import { columnBuilder, type BytesBuilder } from '../../runtime/data/column/builder.ts'
import type { FixedBuilder } from '../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import { listColumn } from '../../runtime/data/column/lists.ts'
import {
  compileExpressions,
  type CompiledExpressions,
} from '../../runtime/data/expression/compile.ts'
import { formatType, type ColumnType, type PrimitiveType } from '../../runtime/data/type.ts'
import type { ScriptValue } from '../../runtime/script.ts'

const LONG_MIN = -(2n ** 63n)
const LONG_MAX = 2n ** 63n - 1n
const INT_MIN = -(2 ** 31)
const INT_MAX = 2 ** 31 - 1

const utf8 = new TextDecoder()

/** @returns a value a row; `undefined` where the source did not send it */
export function valuesOf(column: Column): (ScriptValue | undefined)[] {
  const read = reader(column)
  return Array.from({ length: column.length }, (_, row) => {
    if (isUnchanged(column, row)) return undefined
    return isNull(column, row) ? null : read(row)
  })
}

type Reader = (row: number) => ScriptValue

function reader(column: Column): Reader {
  switch (column.layout) {
    case 'bool8':
      return (row) => column.values[row] === 1
    case 'list': {
      const { offsets } = column
      const elements = valuesOf(column.child) as ScriptValue[]
      return (row) => elements.slice(offsets[row], offsets[row + 1])
    }
    case 'bytes': {
      const { offsets, bytes, type } = column
      if (type.kind === 'binary') return (row) => bytes.slice(offsets[row], offsets[row + 1])
      return (row) => utf8.decode(bytes.subarray(offsets[row], offsets[row + 1]))
    }
    default:
      return plainReader(column)
  }
}

function plainReader(column: Exclude<Column, { layout: 'bool8' | 'bytes' | 'list' }>): Reader {
  const { kind } = column.type
  if (kind === 'int' || kind === 'float' || kind === 'double' || kind === 'long') {
    return (row) => column.values[row] ?? null
  }
  const texts = valuesOf(asText(column))
  if (kind === 'timestamp' || kind === 'timestamptz') {
    return (row) => isoText(String(texts[row]))
  }
  return (row) => texts[row] ?? null
}

/** `2026-01-31 12:30:00+00` as Date and JSON have it. */
function isoText(text: string): string {
  return text.replace(' ', 'T').replace(/\+00(?::00)?$/, 'Z')
}

function asText(column: Column): Column {
  const cast = casting(column.type, 'string')
  const [text] = cast.evaluate([column], column.length).columns
  if (text === undefined) throw new PipelineError('INTERNAL', 'a projection gives its column')
  return text
}

const casts = new Map<string, CompiledExpressions>()

function casting(from: ColumnType, to: string): CompiledExpressions {
  const key = `${formatType(from)} ${to}`
  let cast = casts.get(key)
  if (cast === undefined) {
    const input = { name: 'v', type: from, nullable: true } as const
    cast = compileExpressions([input], { projection: `CAST(v AS ${to}) AS w` })
    casts.set(key, cast)
  }
  return cast
}

/** A row whose value the column cannot hold. */
export interface ValueFailure {
  readonly row: number
  readonly message: string
}

export interface WrittenColumn {
  /** With null where a value failed. */
  readonly column: Column
  readonly failures: readonly ValueFailure[]
}

/** @param values  a value a row; null and `undefined` are null */
export function columnOf(type: ColumnType, values: ArrayLike<unknown>): WrittenColumn {
  if (type.kind === 'list') return listOf(type, values)
  const failures: ValueFailure[] = []
  const write = writer(type)
  const builder = columnBuilder(write.through)
  builder.reserveRows(values.length)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (value === null || value === undefined) {
      builder.setNull(row)
      continue
    }
    const message = write.set(builder, row, value)
    if (message === null) continue
    builder.setNull(row)
    failures.push({ row, message })
  }
  const column = builder.view(values.length)
  if (write.through === type) return { column, failures }
  return castOf(column, type, failures)
}

function castOf(texts: Column, type: ColumnType, before: readonly ValueFailure[]): WrittenColumn {
  const { columns, failures } = casting({ kind: 'string' }, castName(type)).evaluate(
    [texts],
    texts.length,
  )
  const [column] = columns
  if (column === undefined) throw new PipelineError('INTERNAL', 'a projection gives its column')
  const wrong = [...failures.byRow().values()].map(({ row, message }) => ({ row, message }))
  return { column: { ...column, type }, failures: [...before, ...wrong] }
}

function castName(type: ColumnType): string {
  return type.kind === 'string' && type.json === true ? 'json' : formatType(type)
}

interface Writer {
  /** What the builder is of: the column's type, or text that is cast to it. */
  readonly through: PrimitiveType
  /** @returns what is wrong with the value; nothing was written then */
  readonly set: (
    builder: ReturnType<typeof columnBuilder>,
    row: number,
    value: unknown,
  ) => string | null
}

function writer(type: PrimitiveType): Writer {
  switch (type.kind) {
    case 'boolean':
      return fixed(type, (value) => (typeof value === 'boolean' ? Number(value) : null))
    case 'int':
      return fixed(type, intOf)
    case 'long':
      return fixed(type, longOf)
    case 'float':
    case 'double':
      return fixed(type, (value) => (typeof value === 'number' ? value : null))
    case 'binary':
      return bytes(type, type, (value) => (value instanceof Uint8Array ? value : null))
    case 'string':
      if (type.json !== true) return bytes(type, type, (value) => utf8Of(value))
      return bytes({ kind: 'string' }, type, (value) => utf8Of(value))
    default:
      return bytes({ kind: 'string' }, type, (value) => utf8Of(exactText(type, value)))
  }
}

function fixed(type: PrimitiveType, read: (value: unknown) => number | bigint | null): Writer {
  return {
    through: type,
    set: (builder, row, value) => {
      const found = read(value)
      if (found === null) return wrongValue(type, value)
      const { values } = builder as FixedBuilder
      ;(values as { [row: number]: number | bigint })[row] = found
      return null
    },
  }
}

function bytes(
  through: PrimitiveType,
  type: PrimitiveType,
  read: (value: unknown) => Uint8Array | null,
): Writer {
  return {
    through,
    set: (builder, row, value) => {
      const found = read(value)
      if (found === null) return wrongValue(type, value)
      ;(builder as BytesBuilder).setBytes(row, found, 0, found.length)
      return null
    },
  }
}

function utf8Of(value: unknown): Uint8Array | null {
  // Half a surrogate pair has no bytes of its own.
  return typeof value === 'string' && value.isWellFormed() ? Buffer.from(value) : null
}

function intOf(value: unknown): number | null {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) return null
  return number < INT_MIN || number > INT_MAX ? null : number
}

function longOf(value: unknown): bigint | null {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return null
  if (typeof value !== 'bigint' && typeof value !== 'number') return null
  const whole = BigInt(value)
  return whole < LONG_MIN || whole > LONG_MAX ? null : whole
}

/** @returns text that CAST takes without rounding; `null`: there is none */
function exactText(type: PrimitiveType, value: unknown): string | null {
  if (value instanceof Date) {
    return type.kind === 'timestamptz' && !Number.isNaN(value.getTime())
      ? value.toISOString()
      : null
  }
  if (type.kind === 'decimal') return decimalText(type.scale, value)
  if (typeof value !== 'string') return null
  // CAST takes UTC for the one, and drops the zone of the other.
  const hasZone = /(?:Z|[+-]\d\d(?::?\d\d)?)$/i.test(value.replace(/^.{10}/, ''))
  if (type.kind === 'timestamptz' && !hasZone) return null
  if (type.kind === 'timestamp' && hasZone) return null
  // Microseconds are all there is: what stands behind them would be cut off.
  return /\.\d{6}\d*[1-9]/.test(value) ? null : value
}

function decimalText(scale: number, value: unknown): string | null {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : null
  if (typeof value !== 'string') return null
  const [, fraction = null] = /^\s*[-+]?\d*\.?(\d*)\s*$/.exec(value) ?? []
  if (fraction === null || fraction.replace(/0+$/, '').length > scale) return null
  return value
}

function listOf(
  type: Extract<ColumnType, { kind: 'list' }>,
  values: ArrayLike<unknown>,
): WrittenColumn {
  const failures: ValueFailure[] = []
  const elements: unknown[] = []
  const rowOf: number[] = []
  const lists = Array.from({ length: values.length }, (_, row): readonly unknown[] | null => {
    const value = values[row]
    if (value === null || value === undefined) return null
    if (!Array.isArray(value)) {
      failures.push({ row, message: wrongValue(type, value) })
      return null
    }
    for (const element of value) {
      elements.push(element)
      rowOf.push(row)
    }
    return value
  })
  const child = columnOf(type.element, elements)
  for (const { row, message } of child.failures) failures.push({ row: rowOf[row] ?? 0, message })
  return { column: listColumn(type, lists, child.column), failures }
}

function wrongValue(type: ColumnType, value: unknown): string {
  return `${shown(value)} is no ${formatType(type)}`
}

/** The kind of a value, never the value: it may be one that nobody should read in a log. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Date) return 'a Date'
  if (value instanceof Uint8Array) return 'a Uint8Array'
  return typeof value === 'object' ? 'an object' : `this ${typeof value}`
}
