// From a table and the values of a partition to the folder of their files, spelled as Hive spells
// it. Partition fields are bound to field ids at a table's first structure: a rename moves nothing.
// Source: Apache Hive's FileUtils.makePartName and escapePathName.

import { createHash } from 'node:crypto'
import { assert } from '../../../runtime/base/assert.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { FolderLayout, PartitionFolder } from '../../../runtime/data/partition/layout.ts'
import {
  formatTransform,
  parseTransform,
  resultTypeOf,
  transformFault,
  type Transform,
} from '../../../runtime/data/partition/transform.ts'
import type { PartitionTuple, PartitionValue } from '../../../runtime/data/partition/value.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import { formatType, type PrimitiveType } from '../../../runtime/data/type.ts'
import { formatPartitionValue } from '../table/partition-text.ts'

/** What Hive writes for null, and for an empty text, which it cannot tell from it. */
export const NULL_PARTITION = '__HIVE_DEFAULT_PARTITION__'
/** Everything of ours that is no data; readers pass over it. */
export const OWN_FOLDER = '_millrace'
const STAGED = `${OWN_FOLDER}/staged`

/** File systems end a name at 255 bytes. */
const SEGMENT_BYTES_MAX = 200
const DIGEST_LENGTH = 16
const ESCAPED = new Set('"#%\'*/:=?\\{[]^\u007f')

/** One partition field of a table, as plain data. */
export interface FolderField {
  readonly key: string
  /** Field id of the column. */
  readonly sourceId: number
  /** As `formatTransform` spells it. */
  readonly transform: string
  readonly short: boolean
}

/** A field under one structure of its table. */
export interface BoundFolder extends Pick<FolderField, 'key' | 'short'> {
  readonly transform: Transform
  /** Of the column: its place among the fields of the files. */
  readonly column: number
  /** An instant, which a time zone makes a local time of. */
  readonly isInstant: boolean
  /** Of the partition's values. */
  readonly type: PrimitiveType
}

/** @throws PipelineError DDL_UNMAPPABLE when the table lacks a column of the layout */
export function bindFolders(
  table: string,
  { partitions }: FolderLayout,
  columns: readonly Field[],
): FolderField[] {
  return partitions.map(({ key, field: { column, transform }, short }) => {
    const source = columns.find(({ name }) => name === column)
    if (source === undefined) throw unmappable(table, `has no column "${column}"`)
    return { key, sourceId: source.id, transform: formatTransform(transform), short }
  })
}

/**
 * Finds the columns of the fields in a structure of their table.
 *
 * @throws PipelineError DDL_UNMAPPABLE when a column is gone, has become of a type that cannot be
 *         parted so, or has the name of a folder: readers would take the one for the other
 */
export function resolveFolders(
  table: string,
  fields: readonly FolderField[],
  columns: readonly Field[],
): BoundFolder[] {
  return fields.map(({ key, sourceId, transform: text, short }) => {
    const column = columns.findIndex(({ id }) => id === sourceId)
    const source = columns[column]
    const transform = parseTransform(text)
    assert(transform !== null, 'a transform was written by formatTransform')
    if (source === undefined) throw unmappable(table, `has lost the column of folder ${key}=`)
    const fault = transformFault(transform, source.type)
    if (fault !== null) {
      const type = formatType(source.type)
      throw unmappable(table, `has "${source.name}" of type ${type}, which ${fault}`)
    }
    const namesake = columns.find(({ name }) => name.toLowerCase() === key.toLowerCase())
    if (namesake !== undefined) {
      throw unmappable(table, `has a column "${namesake.name}", the name of folder ${key}=`)
    }
    const type = resultTypeOf(transform, source.type as PrimitiveType)
    const isInstant = source.type.kind === 'timestamptz'
    return { key, short, transform, column, isInstant, type }
  })
}

function unmappable(table: string, what: string): PipelineError {
  const detail = '`sink.layout` parts the files of every table by its columns.'
  const hint =
    'Correct `sink.layout` (another one needs another `sink.path`), leave the table out, or undo ' +
    'the change at the source; then run `millrace resync FILE --table TABLE`.'
  return new PipelineError('DDL_UNMAPPABLE', `table "${table}" ${what}`, { detail, hint })
}

/** @returns the folder of a table, relative to the lake; '' is the lake itself */
export function tableFolder({ folders }: FolderLayout, table: CatalogTable): string {
  return folders
    .map((parts) => {
      const name = parts
        .map((part) => {
          if (part.kind === 'text') return part.text
          return escaped(part.kind === 'table' ? table.name : table.namespace)
        })
        .join('')
      return shortened(visible(name))
    })
    .join('/')
}

/** @returns `dt=2026-11-20/hr=07`, '' without fields */
export function partitionFolder(fields: readonly BoundFolder[], tuple: PartitionTuple): string {
  return fields.map((field, index) => segmentOf(field, tuple[index] ?? null)).join('/')
}

function segmentOf(field: BoundFolder, value: PartitionValue): string {
  const text = value === null ? '' : formatPartitionValue(field, value)
  return shortened(`${field.key}=${text === '' ? NULL_PARTITION : escaped(textOf(field, text))}`)
}

function textOf({ short }: Pick<PartitionFolder, 'short'>, text: string): string {
  return short ? text.slice(-2) : text
}

/**
 * @param place  of the field by whose time the partition is told; those above it are larger units
 *               of the same column
 * @param value  as people read it: `2026-11-20-07`
 * @returns the folders down to that field
 */
export function timeFolder({ partitions }: FolderLayout, place: number, value: string): string {
  const [, year = '', month = '', day = '', hour = ''] =
    /^(-?\d+)(?:-(\d\d))?(?:-(\d\d))?(?:-(\d\d))?$/.exec(value) ?? []
  const whole: Readonly<Record<string, string>> = {
    year,
    month: `${year}-${month}`,
    day: `${year}-${month}-${day}`,
    hour: `${year}-${month}-${day}-${hour}`,
  }
  return partitions
    .slice(0, place + 1)
    .map(({ key, short, field: { transform } }) => {
      return `${key}=${textOf({ short }, whole[transform.kind] ?? value)}`
    })
    .join('/')
}

/** As Hive escapes values. */
function escaped(text: string): string {
  let result = ''
  for (const character of text.toWellFormed()) {
    const isPlain = character >= ' ' && !ESCAPED.has(character)
    result += isPlain ? character : `%${hex(character.charCodeAt(0))}`
  }
  return result
}

/** A table `_audit` or `..` must not become a folder that readers pass over, or that leaves ours. */
function visible(name: string): string {
  return /^[._]/.test(name) ? `%${hex(name.charCodeAt(0))}${name.slice(1)}` : name
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0')
}

/** A long value keeps its beginning; the digest tells it from others that begin so. */
function shortened(segment: string): string {
  if (Buffer.byteLength(segment) <= SEGMENT_BYTES_MAX) return segment
  const digest = createHash('sha256').update(segment).digest('hex').slice(0, DIGEST_LENGTH)
  let text = ''
  for (const character of segment) {
    if (Buffer.byteLength(text + character) > SEGMENT_BYTES_MAX - DIGEST_LENGTH - 1) break
    text += character
  }
  return `${text}~${digest}`
}

/** @returns name of a file: `0000002a-k3x.parquet` */
export function fileName(fileId: number, suffix: string): string {
  return `${fileId.toString(16).padStart(8, '0')}-${suffix}.parquet`
}

/** Before its epoch is committed a file has a name that no reader takes for data. */
export function stagedPath(fileId: number, suffix: string): string {
  return `${STAGED}/${fileId.toString(16).padStart(8, '0')}-${suffix}`
}

export const STAGED_FOLDER = STAGED

/** @returns true for names that Millrace gives to data files */
export function isDataFile(path: string): boolean {
  return /(?:^|\/)[0-9a-f]{8}-[0-9a-z_]+\.parquet$/.test(path)
}
