// Where the files of a lake table lie. Everything of a table stands below one folder, and a data
// file's name begins with its file id: manifests alone are enough to get from a path to the id.
// Names tell what Millrace wrote, since other engines write to the same folders.

import type { CatalogTable } from '../../runtime/catalog.ts'
import { assert } from '../../runtime/base/assert.ts'
import { randomUuid } from '../../runtime/base/clock.ts'

/** The table's folder, relative to the warehouse. */
export function tablePath(table: CatalogTable): string {
  return `${pathSegment(table.namespace)}/${pathSegment(table.name)}`
}

/**
 * A name of a table or namespace as one folder name. Letters, digits, `_` and `-` stay, dots stay
 * inside; every other byte of the UTF-8 form becomes `~` and two hex digits. Names may hold `/`,
 * `..`, `%` or spaces: these would leave the folder, or be unescaped by one reader and not by
 * another.
 */
export function pathSegment(name: string): string {
  let segment = ''
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte)
    const plain = /[A-Za-z0-9_-]/.test(character) || (character === '.' && segment !== '')
    segment += plain ? character : `~${byte.toString(16).padStart(2, '0')}`
  }
  return segment
}

/**
 * Path of a data file, relative to the warehouse.
 *
 * @param fileId  u32
 * @param suffix  lowercase letters, digits and `_`; tells attempts apart. No `-`: the name of a
 *                foreign file that is a UUID must never read as one of ours
 * @param folder  of the file's partition, below the table's data folder; '': none
 */
export function dataFilePath(
  table: CatalogTable,
  fileId: number,
  suffix: string,
  folder = '',
): string {
  assert(/^[0-9a-z_]+$/.test(suffix), 'the suffix of a data file is of [0-9a-z_]')
  assert(fileId > 0 && fileId <= 0xffff_ffff, 'a file id is a u32 above 0')
  const name = `${fileId.toString(16).padStart(8, '0')}-${suffix}.parquet`
  return `${tablePath(table)}/data/${folder === '' ? '' : `${folder}/`}${name}`
}

/** @returns the file id in a data file's path or URI; `null`: Millrace did not write the file */
export function fileIdOf(path: string): number | null {
  const match = /\/([0-9a-f]{8})-[0-9a-z_]+\.parquet$/.exec(path)
  return match?.[1] === undefined ? null : Number.parseInt(match[1], 16)
}

/** "millra", as the beginning of a UUID of version 8: those that others make are of 4 or 7. */
const OWN_ID = '6d696c6c-7261-8'
const OWN_NAME = new RegExp(`(?:^|[/-])${OWN_ID}[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}[^/]*$`)

/**
 * The id in the name of a metadata file, manifest, list or Puffin file. A UUID, because readers and
 * other writers take a metadata file's name apart and expect one.
 */
export function ownFileId(): string {
  return `${OWN_ID}${randomUuid().slice(OWN_ID.length)}`
}

/** True for the files that Millrace writes, by their names. */
export function isOwnFile(path: string): boolean {
  return fileIdOf(path) !== null || OWN_NAME.test(path)
}
