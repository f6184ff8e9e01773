// Reads Iceberg tables and Parquet files with DuckDB. All cells are made text in SQL, so that no
// conversion to JavaScript values can hide or add a fault.
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { type Cell, type TableDump, tableDump } from './canonical.ts'
import { filesBelow, pythonPackages } from './python.ts'

const VERSION = '1.5.5'
// The order of loading: each needs those before it.
const EXTENSIONS = ['avro', 'httpfs', 'iceberg']

export interface DuckdbReadOptions {
  /** Without it the current snapshot of the metadata file. */
  snapshotId?: bigint | string
  /** Name given to the dump; the location if absent. */
  table?: string
}

/** @param metadataLocation path or file: URI of a metadata.json */
export async function readIcebergWithDuckdb(
  metadataLocation: string,
  options: DuckdbReadOptions = {},
): Promise<TableDump> {
  const path = metadataLocation.replace(/^file:(\/\/)?/, '')
  const { snapshotId, table = metadataLocation } = options
  const snapshot = snapshotId === undefined ? '' : `, snapshot_from_id=${BigInt(snapshotId)}`
  return withDuckdb(async (connection) =>
    dumpRelation(connection, table, `iceberg_scan(${quoted(path)}${snapshot})`),
  )
}

/** @param path a file, or a pattern such as `/data/*.parquet` */
export async function readParquetWithDuckdb(path: string): Promise<TableDump> {
  return withDuckdb(async (connection) =>
    dumpRelation(connection, path, `read_parquet(${quoted(path)})`),
  )
}

/**
 * Runs SQL over a database that is empty, with the iceberg extension loaded; values as DuckDB
 * gives. Its tables and the connection's settings are gone behind it.
 */
export async function withDuckdb<T>(
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  shared ??= openInstance()
  const connection = await (await shared).connect()
  const database = `own_${numbers++}`
  try {
    await connection.run(`ATTACH ':memory:' AS ${database}; USE ${database}`)
    return await work(connection)
  } finally {
    await connection.run(`USE memory; DETACH DATABASE IF EXISTS ${database}`)
    connection.closeSync()
  }
}

/** One for all of a process: to load the extensions takes half a second of a processor. */
let shared: Promise<DuckDBInstance> | undefined
let numbers = 0

async function openInstance(): Promise<DuckDBInstance> {
  const extensions = await extensionFiles()
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    threads: '2',
  })
  const connection = await instance.connect()
  for (const path of extensions) await connection.run(`LOAD ${quoted(path)}`)
  // With the cache on, DuckDB 1.5.5 may apply one file's deletion vector to another.
  await connection.run('SET GLOBAL enable_external_file_cache=false')
  connection.closeSync()
  return instance
}

/** Makes everything that the first read needs. */
export async function prepareDuckdb(): Promise<void> {
  await withDuckdb(async () => {})
}

async function extensionFiles(): Promise<string[]> {
  const packages = EXTENSIONS.map((name) => `duckdb-extension-${name}==${VERSION}`)
  const folder = await pythonPackages(`duckdb-extensions-${VERSION}`, packages)
  const files = await filesBelow(folder, '.duckdb_extension')
  return EXTENSIONS.map((name) => {
    const file = files.find((path) => path.endsWith(`/${name}.duckdb_extension`))
    if (!file) throw new Error(`no DuckDB extension ${name} in ${folder}`)
    return file
  })
}

async function dumpRelation(
  connection: DuckDBConnection,
  table: string,
  relation: string,
): Promise<TableDump> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${relation}`)
  const columns = (described.getRowsJS() as [string, string][]).map(([name, type]) => ({
    name,
    type,
  }))
  const cells = columns.map(({ name, type }) => cellSql(`"${name.replaceAll('"', '""')}"`, type))
  const result = await connection.runAndReadAll(`SELECT ${cells.join(', ')} FROM ${relation}`)
  const isBits = columns.map(({ type }) => /^(FLOAT|DOUBLE)/.test(type))
  const rows = (result.getRowsJS() as Cell[][]).map((row) =>
    row.map((cell, index) => (isBits[index] ? hexOfBits(cell) : cell)),
  )
  return tableDump(
    table,
    columns.map(({ name }) => name),
    rows,
  )
}

function cellSql(value: string, type: string): string {
  if (type.endsWith('[]')) {
    return `list_transform(${value}, lambda e: ${cellSql('e', type.slice(0, -2))})`
  }
  const [base = ''] = type.split('(')
  switch (base) {
    case 'FLOAT':
    case 'DOUBLE':
      return `CASE WHEN isnan(${value}) THEN 'NaN' ELSE ${value}::BIT::VARCHAR END`
    case 'DATE':
      return `(${value} - DATE '1970-01-01')::VARCHAR`
    case 'TIME':
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return `epoch_us(${value})::VARCHAR`
    case 'TIMESTAMP_NS':
      return `epoch_ns(${value})::VARCHAR`
    case 'BLOB':
      return `lower(hex(${value}))`
    case 'BOOLEAN':
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT':
    case 'UTINYINT':
    case 'USMALLINT':
    case 'UINTEGER':
    case 'UBIGINT':
    case 'HUGEINT':
    case 'DECIMAL':
    case 'VARCHAR':
    case 'UUID':
      return `${value}::VARCHAR`
    default:
      throw new Error(`no canonical form for DuckDB's ${type}`)
  }
}

function hexOfBits(cell: Cell): Cell {
  if (Array.isArray(cell)) return cell.map(hexOfBits)
  if (cell === null || cell === 'NaN') return cell
  return BigInt(`0b${cell}`)
    .toString(16)
    .padStart(cell.length / 4, '0')
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
