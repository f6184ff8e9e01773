// Values of a test, as YAML has them, made into columns: by the same conversions that CAST does in
// an expression, so that what a type takes here is what it takes there. A number that YAML has
// rounded is refused, since nobody would see it.

import { PipelineError } from '../../base/errors.ts'
import { columnBuilder, type BytesBuilder } from '../../data/column/builder.ts'
import type { Column } from '../../data/column/column.ts'
import { listColumn } from '../../data/column/lists.ts'
import { compileExpressions } from '../../data/expression/compile.ts'
import { formatType, type ColumnType, type PrimitiveType } from '../../data/type.ts'

/** Doubles have this many decimal digits for sure. */
const DIGITS_MAX = 15

/**
 * @param values  null where there is none
 * @param labels  of the values, for messages; as long
 * @throws PipelineError CONFIG_VALUE
 */
export function columnOfValues(
  type: ColumnType,
  values: readonly unknown[],
  labels: readonly string[],
): Column {
  if (type.kind === 'list') return columnOfLists(type, values, labels)
  const texts = values.map((value, row) =>
    value === null || value === undefined ? null : textOf(type, value, labels[row] ?? ''),
  )
  if (type.kind === 'binary') return bytesColumn(type, texts, labels)
  for (const [row, text] of texts.entries()) {
    if (text !== null && isRounded(type, text)) {
      throw wrong(labels[row] ?? '', `${JSON.stringify(text)} is no ${formatType(type)}`)
    }
  }
  const written = textColumn({ kind: 'string' }, texts)
  if (type.kind === 'string' && type.json !== true) return written
  const target = type.kind === 'string' ? 'json' : formatType(type)
  const input = { name: 'v', type: { kind: 'string' }, nullable: true } as const
  const compiled = compileExpressions([input], { projection: `CAST(v AS ${target}) AS w` })
  const { columns, failures } = compiled.evaluate([written], texts.length)
  if (failures.count > 0) {
    const { row, message } = failures.describe(0)
    throw wrong(labels[row] ?? '', `${JSON.stringify(texts[row])} is no ${target}: ${message}`)
  }
  const [column] = columns
  if (column === undefined) throw new PipelineError('INTERNAL', 'a projection gives its column')
  return column
}

/** CAST rounds, as SQL does; a test that does not say what it means shall say so. */
function isRounded(type: PrimitiveType, text: string): boolean {
  switch (type.kind) {
    case 'int':
    case 'long':
      return !/^\s*[-+]?\d+\s*$/.test(text)
    case 'decimal': {
      const [, fraction = null] = /^\s*[-+]?\d*\.?(\d*)\s*$/.exec(text) ?? []
      return fraction === null || fraction.replace(/0+$/, '').length > type.scale
    }
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return /\.\d{6}\d*[1-9]/.test(text)
    default:
      return false
  }
}

function columnOfLists(
  type: Extract<ColumnType, { kind: 'list' }>,
  values: readonly unknown[],
  labels: readonly string[],
): Column {
  const lists = values.map((value, row) => {
    if (value === null || value === undefined || Array.isArray(value)) return value ?? null
    throw wrong(labels[row] ?? '', 'a list is wanted')
  }) as (readonly unknown[] | null)[]
  const elements = lists.flatMap((list) => list ?? [])
  const names = lists.flatMap((list, row) => (list ?? []).map(() => labels[row] ?? ''))
  const child = columnOfValues(type.element, elements, names)
  return listColumn(type, lists, child)
}

function textColumn(type: PrimitiveType, texts: readonly (string | null)[]): Column {
  return filled(type, texts, (text) => Buffer.from(text))
}

/** Bytes are written, and shown, in hexadecimal digits. */
function bytesColumn(
  type: PrimitiveType,
  texts: readonly (string | null)[],
  labels: readonly string[],
): Column {
  return filled(type, texts, (text, row) => {
    if (/^(?:[0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, 'hex')
    throw wrong(labels[row] ?? '', 'bytes are written in pairs of hexadecimal digits')
  })
}

function filled(
  type: PrimitiveType,
  texts: readonly (string | null)[],
  bytesOf: (text: string, row: number) => Uint8Array,
): Column {
  const builder = columnBuilder(type) as BytesBuilder
  builder.reserveRows(texts.length)
  for (const [row, text] of texts.entries()) {
    if (text === null) {
      builder.setNull(row)
      continue
    }
    const bytes = bytesOf(text, row)
    builder.setBytes(row, bytes, 0, bytes.length)
  }
  return builder.view(texts.length)
}

function textOf(type: PrimitiveType, value: unknown, label: string): string {
  if (type.kind === 'string' && type.json === true) {
    return typeof value === 'string' ? value : JSON.stringify(value)
  }
  if (typeof value === 'string') return value
  switch (type.kind) {
    case 'boolean':
      if (typeof value === 'boolean') return String(value)
      throw wrong(label, 'true or false is wanted')
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'decimal':
      if (typeof value === 'number') return numberText(type, value, label)
      throw wrong(label, 'a number is wanted')
    default:
      // YAML reads 007 as seven and yes, once, as true.
      throw wrong(label, 'text is wanted: put it in quotes')
  }
}

function numberText({ kind }: PrimitiveType, value: number, label: string): string {
  const text = String(value)
  if (kind === 'float' || kind === 'double') return text
  const digits = text.replace(/e.*$/i, '').replaceAll(/[-.]|^-?0\.?0*/g, '')
  if (digits.length <= DIGITS_MAX || Number.isSafeInteger(value)) return text
  throw wrong(label, 'YAML rounds a number of so many digits: put it in quotes')
}

function wrong(label: string, message: string): PipelineError {
  return new PipelineError('CONFIG_VALUE', `${label}: ${message}`)
}
