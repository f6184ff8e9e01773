// Columns from the schema that Kafka Connect's JsonConverter writes into each record: its own types,
// the logical types of Connect, and those of Debezium.
// Sources: https://debezium.io/documentation/reference/3.3/connectors/mysql.html, "Data type
// mappings"; org.apache.kafka.connect.data (Kafka 4.3): Date, Decimal, Time, Timestamp.

import type { ColumnType, PrimitiveType } from '../../../../runtime/data/type.ts'
import { AS_TEXT, type Encoding, type TimeUnit } from '../../../../runtime/data/json/fill.ts'
import type { TypedField } from './protocol.ts'

/** A schema of Connect as JSON; what is not there is undefined. */
interface ConnectSchema {
  readonly type?: string
  readonly name?: string
  readonly field?: string
  readonly optional?: boolean
  readonly fields?: readonly ConnectSchema[]
  readonly items?: ConnectSchema
  readonly parameters?: Readonly<Record<string, string>>
}

interface Written {
  readonly type: ColumnType
  readonly encoding: Encoding
}

const JSON_TYPE = { kind: 'string', json: true } as const
const PRECISION_MAX = 38

/** @returns the fields of a row, as an envelope's schema has them; none: it is no such schema */
export function connectFields(schema: unknown): readonly TypedField[] {
  if (!isSchema(schema)) return []
  const image = ['after', 'before']
    .map((name) => schema.fields?.find(({ field }) => field === name))
    .find((found) => found?.fields !== undefined)
  return (image?.fields ?? []).flatMap((field) => {
    if (typeof field.field !== 'string') return []
    return [{ name: field.field, nullable: field.optional === true, ...writtenAs(field) }]
  })
}

function isSchema(value: unknown): value is ConnectSchema {
  return typeof value === 'object' && value !== null
}

function writtenAs(schema: ConnectSchema): Written {
  const logical = logicalType(schema)
  if (logical !== null) return logical
  switch (schema.type) {
    case 'boolean':
      return text({ kind: 'boolean' })
    case 'int8':
    case 'int16':
    case 'int32':
      return text({ kind: 'int' })
    case 'int64':
      return text({ kind: 'long' })
    case 'float':
    case 'float32':
      return text({ kind: 'float' })
    case 'double':
    case 'float64':
      return text({ kind: 'double' })
    case 'bytes':
      return text({ kind: 'binary' })
    case 'string':
      return text({ kind: 'string' })
    case 'array':
      return listOf(schema.items)
    default:
      // struct and map, and what later versions have: its text.
      return text(JSON_TYPE)
  }
}

function listOf(items: ConnectSchema | undefined): Written {
  if (items === undefined) return text(JSON_TYPE)
  const { type, encoding } = writtenAs(items)
  const isNested = type.kind === 'list' || (type.kind === 'string' && type.json === true)
  return isNested ? text(JSON_TYPE) : { type: { kind: 'list', element: type }, encoding }
}

function text(type: ColumnType): Written {
  return { type, encoding: AS_TEXT }
}

function number(kind: 'date' | 'time' | 'timestamp', unit: TimeUnit): Written {
  return { type: { kind }, encoding: { kind: 'number', unit } }
}

function logicalType({ name, parameters }: ConnectSchema): Written | null {
  switch (name) {
    case 'org.apache.kafka.connect.data.Decimal':
      return { type: decimalOf(parameters), encoding: { kind: 'base64' } }
    case 'org.apache.kafka.connect.data.Date':
    case 'io.debezium.time.Date':
      return number('date', 'd')
    case 'org.apache.kafka.connect.data.Time':
    case 'io.debezium.time.Time':
      return number('time', 'ms')
    case 'io.debezium.time.MicroTime':
      return number('time', 'us')
    case 'io.debezium.time.NanoTime':
      return number('time', 'ns')
    case 'org.apache.kafka.connect.data.Timestamp':
    case 'io.debezium.time.Timestamp':
      return number('timestamp', 'ms')
    case 'io.debezium.time.MicroTimestamp':
      return number('timestamp', 'us')
    case 'io.debezium.time.NanoTimestamp':
      return number('timestamp', 'ns')
    case 'io.debezium.time.ZonedTimestamp':
      return text({ kind: 'timestamptz' })
    case 'io.debezium.data.Json':
      return { type: JSON_TYPE, encoding: { kind: 'quoted' } }
    case 'io.debezium.data.Uuid':
      return text({ kind: 'uuid' })
    default:
      return null
  }
}

/** Digits in front of the point are not always said: then as many as there may be. */
function decimalOf(parameters: ConnectSchema['parameters']): PrimitiveType {
  const scale = Number(parameters?.['scale'] ?? 0)
  const said = Number(parameters?.['connect.decimal.precision'] ?? PRECISION_MAX)
  const precision = Math.max(1, Math.min(PRECISION_MAX, said))
  return { kind: 'decimal', precision, scale: Math.max(0, Math.min(scale, precision)) }
}
