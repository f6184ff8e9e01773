// Canonical cells of PostgreSQL columns, as SQL by type.
import { Client } from 'pg'
import type { Cell } from './canonical.ts'
import type { SourceColumn } from './source.ts'

interface CatalogColumn {
  name: string
  /** Name of the base type, or of the element type of an array. */
  type: string
  /** pg_type.typtype: `e` for an enum. */
  category: string
  isArray: boolean
}

// A domain is followed to its base type and an array to its elements, which may be a domain.
const COLUMNS_SQL = `
  WITH RECURSIVE step(number, name, type, is_array) AS (
    SELECT attnum, attname, atttypid, false FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT number, name, CASE typtype WHEN 'd' THEN typbasetype ELSE typelem END,
           is_array OR typtype <> 'd'
    FROM step JOIN pg_type ON oid = type
    WHERE typtype = 'd' OR (typcategory = 'A' AND typelem <> 0))
  SELECT name, typname, typtype, is_array FROM step JOIN pg_type ON oid = type
  WHERE typtype <> 'd' AND NOT (typcategory = 'A' AND typelem <> 0)
  ORDER BY number`

export async function postgresColumns(
  uri: string,
  table: string,
  asString: readonly string[],
): Promise<SourceColumn[]> {
  const rows = await queryText(uri, COLUMNS_SQL, [quotedTable(table)])
  return rows.map(([name = '', type = '', category = '', array]) => {
    const column = { name: name ?? '', type: type ?? '', category: category ?? '' }
    const isArray = array === 't'
    return asString.includes(column.name)
      ? { name: column.name, sql: serverText(quoted(column.name)) }
      : columnOf({ ...column, isArray })
  })
}

export async function readPostgresText(
  uri: string,
  table: string,
  columns: readonly SourceColumn[],
  where = 'true',
): Promise<(string | null)[][]> {
  const cells = columns.map(({ sql }) => sql).join(', ')
  return queryText(uri, `SELECT ${cells} FROM ${quotedTable(table)} WHERE ${where}`)
}

function columnOf({ name, type, category, isArray }: CatalogColumn): SourceColumn {
  if (!isArray) return { name, sql: cellSql(quoted(name), type, category) }
  const value = quoted(name)
  const elements = `SELECT json_agg(${cellSql('e', type, category)} ORDER BY o)
    FROM unnest(${value}) WITH ORDINALITY AS u(e, o)`
  const sql = `CASE WHEN ${value} IS NOT NULL THEN coalesce((${elements}), '[]') END`
  return { name, sql, cell: (text) => JSON.parse(text) as Cell }
}

function cellSql(value: string, type: string, category: string): string {
  if (category === 'e') return `${value}::text`
  switch (type) {
    case 'int2':
    case 'int4':
    case 'int8':
    case 'bool':
    case 'numeric':
    case 'uuid':
    case 'bit':
    case 'varbit':
    case 'text':
    case 'varchar':
    case 'name':
    case 'citext':
    case 'xml':
    case 'json':
    case 'jsonb':
      return `${value}::text`
    case 'bpchar':
      // A cast to text would strip the padding, which the log and COPY carry.
      return serverText(value)
    case 'float4':
    case 'float8':
      return `CASE WHEN ${value} = 'NaN' THEN 'NaN' ELSE encode(${type}send(${value}), 'hex') END`
    case 'bytea':
      return `encode(${value}, 'hex')`
    case 'date':
      return finite(value, `(${value} - date '1970-01-01')::text`)
    case 'time':
      return microseconds(value)
    case 'timestamp':
    case 'timestamptz':
      return finite(value, microseconds(value))
    default:
      throw new Error(`type ${type} has no mapping, name its column in asString`)
  }
}

/** Numeric arithmetic, so no microsecond is lost; for timestamptz the epoch is that of UTC. */
function microseconds(value: string): string {
  return `(extract(epoch FROM ${value}) * 1000000)::bigint::text`
}

/** Infinity has no Iceberg value: the cell is its name, which equals no date's. */
function finite(value: string, sql: string): string {
  return `CASE WHEN isfinite(${value}) THEN ${sql} ELSE ${value}::text END`
}

/** The text of the type's output function, null for null. */
function serverText(value: string): string {
  return `CASE WHEN ${value} IS NOT NULL THEN concat(${value}) END`
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function quotedTable(table: string): string {
  const dot = table.indexOf('.')
  return dot < 0 ? quoted(table) : `${quoted(table.slice(0, dot))}.${quoted(table.slice(dot + 1))}`
}

async function queryText(
  uri: string,
  sql: string,
  values: unknown[] = [],
): Promise<(string | null)[][]> {
  const client = new Client({
    connectionString: uri,
    options: '-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1',
    types: { getTypeParser: () => (text: string) => text },
  })
  client.on('error', () => {})
  await client.connect()
  try {
    const result = await client.query<(string | null)[]>({ text: sql, values, rowMode: 'array' })
    return result.rows
  } finally {
    await client.end()
  }
}
