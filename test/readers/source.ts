// The oracle of the source side: rows of a PostgreSQL, MySQL or MariaDB table in canonical form,
// under the product's type mapping. The database does the conversions in SQL; none of the
// product's decoders is involved.
import { type Cell, type TableDump, tableDump } from './canonical.ts'
import { mysqlColumns, readMysqlText } from './source-mysql.ts'
import { postgresColumns, readPostgresText } from './source-postgres.ts'

/** A column, the SQL that gives its cell as text, and what is left to do with that text. */
export interface SourceColumn {
  name: string
  sql: string
  cell?: (text: string) => Cell
}

export interface SourceOptions {
  /** Only these, in this order; all in table order, if not given. */
  columns?: readonly string[]
  /** Columns that the pipeline maps to string by option: the server's own text. */
  asString?: readonly string[]
  /** Condition of a WHERE clause. */
  where?: string
}

/** @param table `schema.name`, without quotes */
export async function readPostgresSource(
  uri: string,
  table: string,
  options: SourceOptions = {},
): Promise<TableDump> {
  const columns = chosen(await postgresColumns(uri, table, options.asString ?? []), options)
  return dumpOf(table, columns, await readPostgresText(uri, table, columns, options.where))
}

/** @param table `database.name`, without quotes */
export async function readMysqlSource(
  uri: string,
  table: string,
  options: SourceOptions = {},
): Promise<TableDump> {
  const columns = chosen(await mysqlColumns(uri, table, options.asString ?? []), options)
  return dumpOf(table, columns, await readMysqlText(uri, table, columns, options.where))
}

function chosen(all: SourceColumn[], options: SourceOptions): SourceColumn[] {
  return (options.columns ?? all.map(({ name }) => name)).map((wanted) => {
    const column = all.find(({ name }) => name === wanted)
    if (!column) throw new Error(`the source table has no column ${wanted}`)
    return column
  })
}

function dumpOf(
  table: string,
  columns: readonly SourceColumn[],
  rows: readonly (string | null)[][],
): TableDump {
  const cells = rows.map((row) =>
    columns.map(({ cell }, index) => {
      const text = row[index] ?? null
      return text === null || !cell ? text : cell(text)
    }),
  )
  return tableDump(
    table,
    columns.map(({ name }) => name),
    cells,
  )
}
