// Lines to paste that read a lake table with the tools that people have.

import { fileURLToPath } from 'node:url'
import { tableFolder } from '../../connectors/parquet/directory/folders.ts'
import type { TableStatus } from '../console/status.ts'
import type { ParquetSinkConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import { lakeTargets } from './lake-target.ts'
import { sinkParts } from './sink-parts.ts'

const SPARK_ICEBERG = 'org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0'
const SPARK_SQLITE = 'org.xerial:sqlite-jdbc:3.50.3.0'

export interface QueryHints {
  readonly table: string
  readonly duckdb: string
  readonly pyiceberg?: string
  readonly pyarrow?: string
  readonly spark: string
}

/** @returns `null` when the table has not been committed yet */
export function queryHints(
  config: Pick<PipelineConfig, 'routes' | 'sink' | 'parts'>,
  status: TableStatus,
): QueryHints | null {
  const { table, commit } = status
  if (config.parts !== undefined) {
    const sinks = sinkParts(config)?.of(table) ?? []
    const own = config.parts.filter(({ part }) => sinks.includes(part))
    const part = own.find(({ sink }) => sink.type === 'iceberg') ?? own[0]
    return part === undefined ? null : queryHints(part, status)
  }
  if (commit.metadata_location === null) return null
  if (config.sink.type === 'parquet') return directoryHints(config, config.sink, table)
  if (config.sink.type === 'kafka') return null
  const { catalog, warehouse } = config.sink
  const { namespace, name } = lakeTargets(config)(table)
  const path = pathOf(commit.metadata_location)
  const python = [
    'from pyiceberg.catalog.sql import SqlCatalog',
    `lake = SqlCatalog(${quote(catalog.name)}, uri=${quote(catalog.uri)}, ` +
      `warehouse=${quote(warehouse.uri)})`,
    `print(lake.load_table((${quote(namespace)}, ${quote(name)})).scan().to_arrow())`,
  ]
  const prefix = `spark.sql.catalog.${catalog.name}`
  const settings = [
    [prefix, 'org.apache.iceberg.spark.SparkCatalog'],
    [`${prefix}.catalog-impl`, 'org.apache.iceberg.jdbc.JdbcCatalog'],
    [`${prefix}.uri`, `jdbc:sqlite:${catalog.path}`],
    [`${prefix}.warehouse`, warehouse.uri],
    [`${prefix}.jdbc.schema-version`, 'V1'],
  ]
  // To Java's catalog a dot divides one namespace from that inside it.
  const parts = [catalog.name, ...namespace.split('.'), name]
  const spark = [
    `spark-sql --packages ${SPARK_ICEBERG},${SPARK_SQLITE}`,
    ...settings.map(([key, value]) => `--conf ${shellQuote(`${key}=${value}`)}`),
    `-e ${shellQuote(`SELECT * FROM ${parts.map(backtick).join('.')}`)}`,
  ]
  const scan = `iceberg_scan('${path.replaceAll("'", "''")}')`
  // With its file cache DuckDB 1.5.5 can apply the deletion vector of one file to another.
  const setting = 'SET enable_external_file_cache = false'
  const sql = `INSTALL iceberg; LOAD iceberg; ${setting}; SELECT * FROM ${scan};`
  return {
    table,
    duckdb: `duckdb -c ${shellQuote(sql)}`,
    pyiceberg: python.join('\n'),
    spark: spark.join(' \\\n  '),
  }
}

function directoryHints(
  config: Pick<PipelineConfig, 'routes'>,
  { warehouse, layout }: ParquetSinkConfig,
  table: string,
): QueryHints {
  const folder = tableFolder(layout, lakeTargets(config)(table))
  const path = folder === '' ? warehouse.path : `${warehouse.path}/${folder}`
  const files = `${path}/**/*.parquet`.replaceAll("'", "''")
  const options = 'hive_partitioning = true, union_by_name = true'
  const python = [
    'import pyarrow.dataset as ds',
    `print(ds.dataset(${quote(path)}, format="parquet", partitioning="hive").to_table())`,
  ]
  return {
    table,
    duckdb: `duckdb -c ${shellQuote(`SELECT * FROM read_parquet('${files}', ${options});`)}`,
    pyarrow: python.join('\n'),
    spark: `spark-sql -e ${shellQuote(`SELECT * FROM parquet.${backtick(path)}`)}`,
  }
}

/** @returns lines for people, the tool's name above each */
export function formatHints({ table, duckdb, pyiceberg, pyarrow, spark }: QueryHints): string {
  const python =
    pyiceberg === undefined
      ? ['# Python, with pyarrow', pyarrow ?? '']
      : ['# Python, with pyiceberg[sql-sqlite,pyarrow]', pyiceberg]
  return [`to query ${table}:`, '', '# DuckDB', duckdb, '', ...python, '', '# Spark', spark].join(
    '\n',
  )
}

function pathOf(location: string): string {
  return location.startsWith('file:') ? fileURLToPath(location) : location
}

/** A string literal of Python (and of JSON: both read the same escapes). */
function quote(text: string): string {
  return JSON.stringify(text)
}

/** An argument to paste, in quotes where it needs them. */
export function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : shellQuote(text)
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function backtick(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}
