// Reads single rows of data files back: the values that an update left out. Footers and page
// indexes of the files that were read last stay in memory; of the data only the pages with wanted
// rows are read.

import { zstdDecompressSync, gunzipSync } from 'node:zlib'
import type { AsyncBuffer, FileMetaData, parquetScan as openScan } from 'hyparquet'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { assert } from '../../../runtime/base/assert.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { PrimitiveType } from '../../../runtime/data/type.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import { decodeBigEndian } from '../../parquet/encode/single-value.ts'
import { openStateFile, type StateFile } from '../index/state-files.ts'
import { rawOfLiteral, type RawValue } from './raw-values.ts'

const OPEN_FILES_MAX = 64
/** Rows that are skipped cost less than another read. */
const GAP_ROWS = 4096

type ParquetScan = Awaited<ReturnType<typeof openScan>>

interface OpenFile {
  readonly file: StateFile
  readonly scan: ParquetScan
  /** First row of each row group, and the count of rows at the end. */
  readonly groups: readonly number[]
  /** Column name by field id. */
  readonly columns: ReadonlyMap<number, string>
}

export class ReadBack {
  private readonly store: ObjectStore
  /** The one that was used last is the last. */
  private readonly open = new Map<string, OpenFile>()

  constructor(store: ObjectStore) {
    this.store = store
  }

  /**
   * @param path       of a finished data file
   * @param fields     wanted columns, found by their ids; one that the file lacks has its default
   * @param positions  row numbers, ascending
   * @returns by field: the values, in the order of `positions`
   * @throws PipelineError LAKE_FORMAT, STORAGE_FAILED
   */
  async read(
    path: string,
    fields: readonly Field[],
    positions: readonly number[],
  ): Promise<RawValue[][]> {
    try {
      const file = await this.openFile(path)
      const columns: RawValue[][] = []
      for (const field of fields) columns.push(await readColumn(file, field, positions))
      return columns
    } catch (cause) {
      if (cause instanceof PipelineError) throw cause
      throw new PipelineError('LAKE_FORMAT', `data file "${path}" cannot be read back`, { cause })
    }
  }

  private async openFile(path: string): Promise<OpenFile> {
    const known = this.open.get(path)
    if (known !== undefined) {
      this.open.delete(path)
      this.open.set(path, known)
      return known
    }
    const opened = await openParquet(await openStateFile(this.store, path))
    this.open.set(path, opened)
    if (this.open.size > OPEN_FILES_MAX) {
      for (const [oldest, { file }] of this.open) {
        file.close()
        this.open.delete(oldest)
        break
      }
    }
    return opened
  }

  close(): void {
    for (const { file } of this.open.values()) file.close()
    this.open.clear()
  }
}

async function openParquet(file: StateFile): Promise<OpenFile> {
  const buffer: AsyncBuffer = {
    byteLength: file.bytes,
    slice(start, end = file.bytes) {
      const bytes = new Uint8Array(end - start)
      file.read(start, bytes)
      return bytes.buffer
    },
  }
  // Loaded by the first file: most pipelines never read one back.
  const { parquetMetadataAsync, parquetScan } = await import('hyparquet')
  const metadata = await parquetMetadataAsync(buffer)
  const columns = columnsById(metadata)
  for (const element of metadata.schema) {
    // Values as they are stored: conversions lose digits of decimals and microseconds.
    if (element.type === undefined) continue
    delete element.converted_type
    delete element.logical_type
  }
  const scan = await parquetScan({
    file: buffer,
    metadata,
    utf8: false,
    compressors: {
      ZSTD: (page: Uint8Array) => zstdDecompressSync(page),
      GZIP: (page: Uint8Array) => gunzipSync(page),
    },
  })
  const groups = [0]
  for (const { num_rows: rows } of metadata.row_groups) {
    groups.push((groups.at(-1) ?? 0) + Number(rows))
  }
  return { file, scan, groups, columns }
}

/** Top-level columns: their elements are the children of the root. */
function columnsById({ schema }: FileMetaData): Map<number, string> {
  const columns = new Map<number, string>()
  let at = 1
  const skip = (): void => {
    const children = schema[at]?.num_children ?? 0
    at++
    for (let child = 0; child < children; child++) skip()
  }
  while (at < schema.length) {
    const element = schema[at]
    if (element?.field_id !== undefined) columns.set(element.field_id, element.name)
    skip()
  }
  return columns
}

async function readColumn(
  { scan, groups, columns }: OpenFile,
  field: Field,
  positions: readonly number[],
): Promise<RawValue[]> {
  const column = columns.get(field.id)
  if (column === undefined) {
    const { initialDefault, type } = field
    const value = initialDefault === null ? null : rawOfLiteral(initialDefault, type)
    return positions.map(() => value)
  }
  const values: RawValue[] = []
  let next = 0
  let group = 0
  while (next < positions.length) {
    const rowStart = positions[next] as number
    while ((groups[group + 1] ?? 0) <= rowStart && group + 1 < groups.length) group++
    const groupEnd = groups[group + 1] ?? 0
    assert(rowStart < groupEnd, 'a position lies in its file')
    let until = next + 1
    let rowEnd = rowStart + 1
    while (until < positions.length) {
      const position = positions[until] as number
      if (position >= groupEnd || position - rowEnd > GAP_ROWS) break
      rowEnd = position + 1
      until++
    }
    const rows = await scan.readColumn({ column, rowStart, rowEnd })
    for (; next < until; next++) {
      const stored: unknown = rows[(positions[next] as number) - rowStart]
      values.push(rawOfStored(field, stored))
    }
  }
  return values
}

function rawOfStored({ type }: Field, stored: unknown): RawValue {
  if (stored === undefined || stored === null) return null
  if (type.kind !== 'list') return rawOfPrimitive(type, stored)
  return Array.from(stored as ArrayLike<unknown>, (element) =>
    element === undefined || element === null ? null : rawOfPrimitive(type.element, element),
  )
}

function rawOfPrimitive(type: PrimitiveType, stored: unknown): RawValue {
  switch (type.kind) {
    case 'decimal':
      if (stored instanceof Uint8Array) return decodeBigEndian(stored)
      return BigInt(stored as number | bigint)
    case 'string':
    case 'binary':
    case 'uuid':
      return new Uint8Array(stored as Uint8Array)
    default:
      return stored as RawValue
  }
}
