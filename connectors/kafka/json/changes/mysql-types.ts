// Columns from the types of MySQL as canal writes them (`mysqlType`), and how canal writes their
// values: all as strings.
// Source: https://github.com/alibaba/canal (1.1.8), MQMessageUtils.messageConverter and
// LogEventConvert.parseOneRow.

import type { ColumnType } from '../../../../runtime/data/type.ts'
import { AS_TEXT, type Encoding } from '../../../../runtime/data/json/fill.ts'
import type { TypedField } from './protocol.ts'

const PRECISION_MAX = 38

interface Written {
  readonly type: ColumnType
  readonly encoding: Encoding
}

/** @param types  names with their types, such as { id: "bigint(20) unsigned" } */
export function mysqlFields(types: unknown): readonly TypedField[] {
  if (typeof types !== 'object' || types === null) return []
  return Object.entries(types).map(([name, type]) => ({
    name,
    nullable: true,
    ...writtenAs(String(type)),
  }))
}

function writtenAs(declared: string): Written {
  const [, base = '', length, scale] =
    /^\s*([a-z]+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?/.exec(declared.toLowerCase()) ?? []
  const unsigned = /\b(?:unsigned|zerofill)\b/i.test(declared)
  switch (base) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'year':
      return text({ kind: 'int' })
    case 'int':
    case 'integer':
      return text({ kind: unsigned ? 'long' : 'int' })
    case 'bigint':
      return text(unsigned ? { kind: 'decimal', precision: 20, scale: 0 } : { kind: 'long' })
    case 'bit':
      return text({ kind: 'long' })
    case 'decimal':
    case 'numeric':
      return decimalOf(Number(length ?? 10), Number(scale ?? 0))
    case 'float':
      return text({ kind: 'float' })
    case 'double':
    case 'real':
      return text({ kind: 'double' })
    case 'date':
      return text({ kind: 'date' })
    // Canal prints both in the zone of its own process, and says none.
    case 'datetime':
    case 'timestamp':
      return text({ kind: 'timestamp' })
    case 'time':
      return { type: { kind: 'long' }, encoding: { kind: 'duration' } }
    case 'json':
      return { type: { kind: 'string', json: true }, encoding: { kind: 'quoted' } }
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { type: { kind: 'binary' }, encoding: { kind: 'latin1' } }
    default:
      return text({ kind: 'string' })
  }
}

function text(type: ColumnType): Written {
  return { type, encoding: AS_TEXT }
}

function decimalOf(precision: number, scale: number): Written {
  if (precision > PRECISION_MAX) return text({ kind: 'string' })
  return text({ kind: 'decimal', precision, scale: Math.min(scale, precision) })
}
