// Canonical cells of MySQL and MariaDB columns, as SQL by type and a last step on the text.
import { withMysql } from '../servers/clients.ts'
import { doubleCell, floatCell } from './canonical.ts'
import type { SourceColumn } from './source.ts'

const COLUMNS_SQL = `
  SELECT column_name, data_type, column_type, numeric_precision, numeric_scale
  FROM information_schema.columns WHERE table_schema = ? AND table_name = ?
  ORDER BY ordinal_position`

type TextRow = (string | null)[]

export async function mysqlColumns(
  uri: string,
  table: string,
  asString: readonly string[],
): Promise<SourceColumn[]> {
  const rows = await queryText(uri, COLUMNS_SQL, partsOf(table))
  return rows.map((row) => {
    const [name, type, fullType, precision, scale] = row.map((text) => text ?? '')
    if (name === undefined || type === undefined) throw new Error('a column without name or type')
    if (asString.includes(name)) return { name, sql: `CAST(${quoted(name)} AS CHAR)` }
    const isUnsigned = fullType?.includes('unsigned') ?? false
    return { name, ...cellOf(quoted(name), type, isUnsigned, `${precision}, ${scale}`) }
  })
}

export async function readMysqlText(
  uri: string,
  table: string,
  columns: readonly SourceColumn[],
  where = 'true',
): Promise<TextRow[]> {
  const cells = columns.map(({ sql }) => sql).join(', ')
  const from = partsOf(table).map(quoted).join('.')
  return queryText(uri, `SELECT ${cells} FROM ${from} WHERE ${where}`)
}

function cellOf(
  value: string,
  type: string,
  isUnsigned: boolean,
  size: string,
): Omit<SourceColumn, 'name'> {
  switch (type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
      // By way of a number, for ZEROFILL puts zeros into the text.
      return { sql: `CAST(CAST(${value} AS ${isUnsigned ? 'UNSIGNED' : 'SIGNED'}) AS CHAR)` }
    case 'decimal':
      return { sql: `CAST(CAST(${value} AS DECIMAL(${size})) AS CHAR)` }
    case 'float':
      // A FLOAT prints six digits only; as a double it prints all that it holds.
      return { sql: `CAST(${value} * 1e0 AS CHAR)`, cell: (text) => floatCell(Number(text)) }
    case 'double':
      // Not `* 1e0`, as for floats: an expression prints at most 22 characters, a column all of
      // them.
      return { sql: `CAST(${value} AS CHAR)`, cell: (text) => doubleCell(Number(text)) }
    case 'bit':
      // A long has the same 64 bits, so the highest is its sign.
      return { sql: `CAST(CAST(CAST(${value} AS UNSIGNED) AS SIGNED) AS CHAR)` }
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'set':
    case 'json':
    case 'uuid':
      return { sql: `CAST(${value} AS CHAR CHARACTER SET utf8mb4)` }
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { sql: `LOWER(HEX(${value}))` }
    case 'date':
      // Zero and partial dates are no days: null, as the policy `null` maps them.
      return { sql: `CAST(DATEDIFF(${value}, '1970-01-01') AS CHAR)` }
    case 'time':
      return { sql: `CAST(${value} AS CHAR)`, cell: timeMicroseconds }
    case 'datetime':
    case 'timestamp':
      return { sql: momentSql(value), cell: momentMicroseconds }
    default:
      throw new Error(`type ${type} has no mapping, name its column in asString`)
  }
}

/** `-838:59:59.123456` as microseconds; hours may exceed a day. */
function timeMicroseconds(text: string): string {
  const match = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text)
  if (!match) throw new Error(`no time of day or duration: ${text}`)
  const [, sign = '', hours = '', minutes = '', seconds = '', fraction = ''] = match
  const whole = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds)
  const total = whole * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  return String(sign === '-' ? -total : total)
}

/** Null for zero and partial dates; the text otherwise. */
function momentSql(value: string): string {
  return `IF(DATEDIFF(${value}, '1970-01-01') IS NULL, NULL, CAST(${value} AS CHAR))`
}

/** `1969-12-31 23:59:59.5`, taken as UTC, as microseconds since 1970. */
function momentMicroseconds(text: string): string {
  const [seconds = '', fraction = ''] = text.split('.')
  const milliseconds = Date.parse(`${seconds.replace(' ', 'T')}Z`)
  if (Number.isNaN(milliseconds)) throw new Error(`no date and time: ${text}`)
  return String(BigInt(milliseconds) * 1000n + BigInt(fraction.padEnd(6, '0')))
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function partsOf(table: string): string[] {
  const dot = table.indexOf('.')
  if (dot < 0) throw new Error(`${table} is no database.table`)
  return [table.slice(0, dot), table.slice(dot + 1)]
}

/** All values as the server printed them; TIMESTAMP columns in UTC. */
async function queryText(uri: string, sql: string, values: string[] = []): Promise<TextRow[]> {
  return withMysql(uri, async (connection) => {
    await connection.query("SET NAMES utf8mb4, time_zone = '+00:00'")
    const [rows] = await connection.query({
      sql,
      values,
      rowsAsArray: true,
      typeCast: (field) => field.string('utf8'),
    })
    return rows as TextRow[]
  })
}
