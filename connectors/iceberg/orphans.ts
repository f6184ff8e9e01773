// Files of ours in a table's folder that nothing refers to: what a crash left behind. Looked for
// only where we do not write, at the start of a pipeline under its lock, since a file that a writer
// has just finished is referred to by nothing either.
//
// Other engines write whenever they like, and nothing refers to what they have written until they
// commit. So only names that Millrace alone makes count; the files go much later, and only if still
// nothing refers to them then (`unreachable`).

import type { CatalogTable } from '../../runtime/catalog.ts'
import { LakeFiles } from './lake-files.ts'
import { isOwnFile, tablePath } from './layout.ts'
import { parseTableMetadata } from './metadata.ts'
import type { ScanSource } from './scan.ts'
import { filesOfSnapshots } from './snapshot-files.ts'

/**
 * Every file that a reader of any retained snapshot may open, as paths below the warehouse.
 *
 * @returns `null` when there is no such table
 * @throws PipelineError LAKE_FORMAT
 * Cost: reads all manifests of all retained snapshots once.
 */
export async function reachableFiles(
  { catalog, warehouse }: ScanSource,
  table: CatalogTable,
): Promise<Set<string> | null> {
  const location = await catalog.load(table)
  if (location === null) return null
  const files = new LakeFiles(warehouse)
  const metadata = parseTableMetadata(await files.read(location), location)
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
  const reachable = await reachableFiles(source, table)
  return reachable === null ? [] : paths.filter((path) => !reachable.has(path))
}
