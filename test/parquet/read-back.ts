// Reads Parquet bytes with readers that know nothing of our encoder, into canonical cells in file
// order: hyparquet, arrow-rs (parquet-wasm, which hands its rows to hyparquet) and DuckDB.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { parquetMetadata, parquetReadObjects, type FileMetaData } from 'hyparquet'
import { Compression, readParquet, writeParquet, WriterPropertiesBuilder } from 'parquet-wasm'
import type { ColumnType } from '../../runtime/data/type.ts'
import type { ParquetField } from '../../connectors/parquet/encode/leaf.ts'
import { decodeBigEndian } from '../../connectors/parquet/encode/single-value.ts'
import type { Cell } from '../readers/canonical.ts'
import { cellOf, decimalText, type Value } from './rows.ts'

const compressors = {
  ZSTD: (page: Uint8Array) => zstdDecompressSync(page),
  GZIP: (page: Uint8Array) => gunzipSync(page),
}

/** Values as they are stored: hyparquet's own conversions lose digits of decimals and micros. */
const parsers = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  dateFromDays: (days: number) => days,
  uuidFromBytes: (bytes: Uint8Array) => bytes,
}

export function metadataOf(bytes: Uint8Array): FileMetaData {
  return parquetMetadata(arrayBufferOf(bytes))
}

export async function readWithHyparquet(
  bytes: Uint8Array,
  fields: readonly ParquetField[],
): Promise<Cell[][]> {
  const file = arrayBufferOf(bytes)
  const metadata = parquetMetadata(file)
  for (const element of metadata.schema) {
    if (element.converted_type !== 'DECIMAL') continue
    delete element.converted_type
    delete element.logical_type
  }
  const rows = await parquetReadObjects({ file, metadata, compressors, parsers, utf8: false })
  return rows.map((row) => fields.map((field) => storedCell(field.type, row[field.name])))
}

/** Decoded by arrow-rs and written by it without dictionaries and compression, for hyparquet. */
export async function readWithArrow(
  bytes: Uint8Array,
  fields: readonly ParquetField[],
): Promise<Cell[][]> {
  const properties = new WriterPropertiesBuilder()
    .setCompression(Compression.UNCOMPRESSED)
    .setDictionaryEnabled(false)
    .build()
  return readWithHyparquet(writeParquet(readParquet(bytes), properties), fields)
}

function arrayBufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

function storedCell(type: ColumnType, value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (type.kind === 'list') {
    return (value as unknown[]).map((element) => storedCell(type.element, element))
  }
  if (type.kind === 'decimal') {
    const unscaled =
      value instanceof Uint8Array ? decodeBigEndian(value) : BigInt(value as number | bigint)
    return decimalText(unscaled, type.scale)
  }
  if (type.kind === 'float') return cellOf(type, Math.fround(value as number))
  return cellOf(type, value as Value)
}

/** Writes the bytes to a file that lives as long as `work` runs. */
export async function withFile<T>(
  bytes: Uint8Array,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'parquet-'))
  try {
    const path = join(folder, 'test.parquet')
    await writeFile(path, bytes)
    return await work(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs SQL over the file, which is the view `t`. */
export async function withDuckdbFile<T>(
  bytes: Uint8Array,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  return withFile(bytes, async (path) => {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    const connection = await instance.connect()
    try {
      await connection.run(`CREATE VIEW t AS SELECT * FROM read_parquet('${path}')`)
      return await work(connection)
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  })
}

/** All cells become text in SQL, so that no conversion to JavaScript values hides a fault. */
export async function readWithDuckdb(
  bytes: Uint8Array,
  fields: readonly ParquetField[],
): Promise<Cell[][]> {
  return withDuckdbFile(bytes, async (connection) => {
    const cells = fields.map((field) => cellSql(field.name, field.type))
    const result = await connection.runAndReadAll(`SELECT ${cells.join(', ')} FROM t`)
    const rows = result.getRowsJS() as Cell[][]
    return rows.map((row) => row.map((cell, at) => canonical(fields[at]!.type, cell)))
  })
}

function cellSql(value: string, type: ColumnType): string {
  switch (type.kind) {
    case 'list':
      return `list_transform(${value}, lambda e: ${cellSql('e', type.element)})`
    case 'float':
    case 'double':
      return `CASE WHEN isnan(${value}) THEN 'NaN' ELSE ${value}::BIT::VARCHAR END`
    case 'date':
      return `(${value} - DATE '1970-01-01')::VARCHAR`
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return `epoch_us(${value})::VARCHAR`
    case 'binary':
      return `lower(hex(${value}))`
    default:
      return `${value}::VARCHAR`
  }
}

function canonical(type: ColumnType, cell: Cell): Cell {
  if (Array.isArray(cell)) {
    return type.kind === 'list' ? cell.map((element) => canonical(type.element, element)) : cell
  }
  if (cell === null || cell === 'NaN') return cell
  if (type.kind === 'float' || type.kind === 'double') {
    return BigInt(`0b${cell}`)
      .toString(16)
      .padStart(cell.length / 4, '0')
  }
  // DuckDB leaves out the zero where a decimal has no digit before the point.
  return type.kind === 'decimal' ? cell.replace(/^(-?)\./, '$10.') : cell
}
