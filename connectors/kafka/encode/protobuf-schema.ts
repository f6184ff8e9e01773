// What a table is called and looks like in Protobuf. The number of a field is the column's id, which
// is never used twice: so a column may be renamed, come and go, and records of all structures are
// read by the newest. Numbers and names of columns that are gone are kept as `reserved`, after what
// the registry has of them, since nobody else remembers.
// Source: https://protobuf.dev/reference/protobuf/proto3-spec/

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import { avroName, type AvroNames } from './avro-schema.ts'
import {
  holds,
  registeredMessage,
  without,
  type NumberRange,
  type RegisteredMessage,
} from './protobuf-registered.ts'

export interface ProtobufField {
  /** Index into the fields of the table. */
  readonly index: number
  readonly number: number
}

export interface ProtobufTable {
  readonly text: string
  readonly fields: readonly ProtobufField[]
}

/** Numbers that Protobuf keeps for itself. */
const RESERVED_FROM = 19_000
const RESERVED_COUNT = 1000

/**
 * @param registered  texts of the schemas that the subject has, the newest first
 * @returns the text of one of them where it has these columns: rows of before are read again after
 *   a crash, and are those of the schema that they had
 * @throws PipelineError DDL_UNMAPPABLE: two columns would have one name, or one the number of
 *   another that is gone
 */
export function protobufOf(
  schema: TableSchema,
  side: 'Key' | 'Value',
  { namespace, table }: AvroNames,
  registered: readonly string[],
): ProtobufTable {
  const { columns, fields } = columnsOf(schema, side)
  const within = `${avroName(namespace)}.${avroName(table)}`
  const textOf = (kept: string, lists: ReadonlyMap<number, string>): string => {
    const head = `syntax = "proto3";\npackage ${within};\n\nmessage ${side} {\n`
    const lines = columns.map(({ type, name, number }) => {
      return `  optional ${typeText(type, number)} ${name} = ${number};\n`
    })
    const nested = [...lists].map(([number, element]) => listText(number, element))
    return `${head}${kept}${lines.join('')}${nested.join('')}}\n`
  }
  const lists = new Map(
    columns.flatMap(({ type, number }): [number, string][] => {
      return type.kind === 'list' ? [[number, primitiveText(type.element)]] : []
    }),
  )
  const known = registered.flatMap((text) => registeredMessage(text, within, side) ?? [])
  const latest = known[0]
  const fresh = textOf('', lists)
  if (latest === undefined) return { text: fresh, fields }
  const wanted = registeredMessage(fresh, within, side)?.columns
  const same = known.find((one) => one.columns === wanted)
  if (same !== undefined) return { text: same.text, fields }
  // A message that is gone would be incompatible, also one that nothing uses.
  return {
    text: textOf(reservedText(schema.table, columns, latest), new Map([...latest.lists, ...lists])),
    fields,
  }
}

interface WrittenColumn {
  readonly name: string
  readonly number: number
  readonly type: ColumnType
}

function columnsOf(
  { table, key, fields: all }: TableSchema,
  side: 'Key' | 'Value',
): { readonly columns: readonly WrittenColumn[]; readonly fields: readonly ProtobufField[] } {
  const indexes = side === 'Key' ? (key ?? []) : all.map((_, index) => index)
  const taken = new Map<string, string>()
  const fields: ProtobufField[] = []
  const columns = indexes.map((index): WrittenColumn => {
    const field = all[index]
    if (field === undefined) throw new RangeError(`a table has no column ${index}`)
    const name = avroName(field.name)
    const other = taken.get(name)
    if (other !== undefined) throw sameName(table, other, field.name, name)
    taken.set(name, field.name)
    const number = field.id < RESERVED_FROM ? field.id : field.id + RESERVED_COUNT
    fields.push({ index, number })
    return { name, number, type: field.type }
  })
  return { columns, fields }
}

/** @returns the lines of what was there once, and is no more */
function reservedText(
  table: string,
  columns: readonly WrittenColumn[],
  { fields, reservedNumbers, reservedNames }: RegisteredMessage,
): string {
  const names = new Set([...reservedNames, ...fields.values()])
  let ranges: readonly NumberRange[] = [
    ...reservedNumbers,
    ...[...fields.keys()].map((number): NumberRange => [number, number]),
  ]
  for (const { name, number } of columns) {
    if (holds(reservedNumbers, number) && !reservedNames.has(name)) {
      throw usedNumber(table, name, number)
    }
    ranges = without(ranges, number)
  }
  for (const { name } of columns) names.delete(name)
  // One by one: registries have misread ranges.
  const numbers = ranges.map(([from, to]) => (from === to ? String(from) : `${from} to ${to}`))
  const texts = [...names].map((name) => JSON.stringify(name))
  const line = (all: readonly string[]): string => {
    return all.length === 0 ? '' : `  reserved ${all.join(', ')};\n`
  }
  return line(numbers) + line(texts)
}

function usedNumber(table: string, name: string, number: number): PipelineError {
  const message = `table "${table}": the number ${number} of "${name}" was that of another column`
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail: 'The registry has the schemas of another pipeline, or of one whose state is lost.',
    hint: 'Write into a topic of another name.',
  })
}

function sameName(table: string, left: string, right: string, name: string): PipelineError {
  const message = `table "${table}": columns "${left}" and "${right}" would both be "${name}"`
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail: 'Names of Protobuf have letters of ASCII, digits and `_`.',
    hint: 'Give one of them another name by `transform`.',
  })
}

/** A list may be null, and so may its elements. */
function listText(number: number, element: string): string {
  const inner = `    message Element {\n      optional ${element} value = 1;\n    }\n`
  return `  message List${number} {\n${inner}    repeated Element elements = 1;\n  }\n`
}

function typeText(type: ColumnType, number: number): string {
  return type.kind === 'list' ? `List${number}` : primitiveText(type)
}

function primitiveText(type: PrimitiveType): string {
  switch (type.kind) {
    case 'boolean':
      return 'bool'
    case 'int':
    case 'date':
      return 'int32'
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 'int64'
    case 'float':
    case 'double':
      return type.kind
    case 'binary':
      return 'bytes'
    case 'decimal':
    case 'string':
    case 'uuid':
      return 'string'
  }
}
