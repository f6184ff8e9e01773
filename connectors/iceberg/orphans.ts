// Files of ours in a table's folder that nothing refers to: what a crash left behind. Looked for
// only where we do not write, at the start of a pipeline under its lock, since a file that a writer
// has just finished is referred to by nothing either.
//
// Other engines write whenever they like, and nothing refers to what they have written until they
// commit. So only names that Millrace alone makes count; the files go much later, and only if still
// nothing refers to them then (`unreachable`).
//
// A folder may hold the files of several tables: a catalog renames a table without moving it, and
// its old name may be given to a new one, or two catalogs may share a warehouse. So a file that
// another table's metadata in the folder refers to is no orphan either.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { CatalogTable } from '../../runtime/catalog.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { LakeFiles } from './lake-files.ts'
import { isOwnFile, tablePath } from './layout.ts'
import { metadataVersion, parseTableMetadata, type TableMetadata } from './metadata.ts'
import type { ScanSource } from './scan.ts'
import { filesOfSnapshots } from './snapshot-files.ts'

/**
 * Every file that a reader of any retained snapshot may open, as paths below the warehouse.
 *
 * @throws PipelineError LAKE_FORMAT
 * Cost: reads all manifests of all retained snapshots once.
 */
export async function filesOfTable(
  files: LakeFiles,
  metadata: TableMetadata,
  location: string,
): Promise<Set<string>> {
  const uris = await filesOfSnapshots(files, metadata.snapshots)
  uris.add(location)
  for (const { metadataFile } of metadata.metadataLog) uris.add(metadataFile)
  for (const name of ['statistics', 'partition-statistics']) {
    const items = metadata.rest[name]
    for (const item of Array.isArray(items) ? (items as { 'statistics-path'?: string }[]) : []) {
      if (item['statistics-path'] !== undefined) uris.add(item['statistics-path'])
    }
  }
  return new Set([...uris].flatMap((uri) => files.pathBelow(uri) ?? []))
}

const METADATA_FILE = /\.metadata\.json(?:\.gz)?$/

/**
 * The files of every other table whose metadata lies among `paths`, whatever the catalog says of it.
 *
 * @param uuid  of the table that is not another one
 * @throws PipelineError LAKE_FORMAT when a file is missing that another table refers to
 */
export async function filesOfOtherTables(
  warehouse: ObjectStore,
  paths: readonly string[],
  uuid: string,
): Promise<Set<string>> {
  const files = new LakeFiles(warehouse)
  const newest = new Map<string, { location: string; metadata: TableMetadata }>()
  for (const path of paths) {
    if (!METADATA_FILE.test(path)) continue
    const location = files.uri(path)
    const metadata = await metadataOfOther(files, location, uuid)
    if (metadata === null) continue
    const known = newest.get(metadata.tableUuid)
    if (known !== undefined && metadataVersion(known.location) > metadataVersion(location)) continue
    newest.set(metadata.tableUuid, { location, metadata })
  }
  const used = new Set<string>()
  for (const { location, metadata } of newest.values()) {
    for (const path of await filesOfTable(files, metadata, location)) used.add(path)
  }
  return used
}

/** Every writer states the uuid before the lists that make a metadata file large. */
const UUID_WITHIN_BYTES = 4096

/**
 * @returns `null` where it is the table's own, which is seen at its beginning: a crash leaves
 *          hundreds of these, of some megabytes each, at ten commits a second. And where it is no
 *          metadata after all: half written, or of another format
 */
async function metadataOfOther(
  files: LakeFiles,
  location: string,
  uuid: string,
): Promise<TableMetadata | null> {
  try {
    const bytes = await files.read(location)
    const beginning = Buffer.from(bytes.subarray(0, UUID_WITHIN_BYTES)).toString('latin1')
    if (/"table-uuid"\s*:\s*"([^"]*)"/.exec(beginning)?.[1] === uuid) return null
    const metadata = parseTableMetadata(bytes, location)
    return metadata.tableUuid === uuid ? null : metadata
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error !== 'LAKE_FORMAT') throw error
    return null
  }
}

/**
 * @param keep  data files of intents that are not committed yet, relative to the warehouse
 * @returns files of ours in the table's folder that neither the metadata nor `keep` names; [] when
 *          there is no such table, for then nothing says what its files are worth
 */
export async function findOrphans(
  source: ScanSource,
  table: CatalogTable,
  keep: ReadonlySet<string>,
): Promise<readonly string[]> {
  // Listed first: what is committed meanwhile was in the list before it was referred to.
  const present = await source.warehouse.list(tablePath(table))
  const own = present.filter((path) => isOwnFile(path) && !keep.has(path))
  return own.length === 0 ? [] : unreachable(source, table, own)
}

/**
 * @param paths  relative to the warehouse
 * @returns those that nothing refers to; [] when there is no such table
 * @throws PipelineError LAKE_FORMAT, CATALOG_UNAVAILABLE
 */
export async function unreachable(
  source: ScanSource,
  table: CatalogTable,
  paths: readonly string[],
): Promise<readonly string[]> {
  const { catalog, warehouse } = source
  const location = await catalog.load(table)
  if (location === null) return []
  const files = new LakeFiles(warehouse)
  const metadata = parseTableMetadata(await files.read(location), location)
  const own = await filesOfTable(files, metadata, location)
  const free = paths.filter((path) => !own.has(path))
  if (free.length === 0) return []
  const rest = (await warehouse.list(tablePath(table))).filter((path) => !own.has(path))
  const others = await filesOfOtherTables(warehouse, rest, metadata.tableUuid)
  return free.filter((path) => !others.has(path))
}
