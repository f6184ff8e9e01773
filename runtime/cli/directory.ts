// What the commands know of a directory of Parquet files: who has it, where its tables lie, whether
// a pipeline file means the same one as before, and how it is removed.

import { rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DirectoryCommitter, ownedBy } from '../../connectors/parquet/directory/committer.ts'
import {
  isDataFile,
  OWN_FOLDER,
  tableFolder,
  timeFolder,
} from '../../connectors/parquet/directory/folders.ts'
import { ManifestStore } from '../../connectors/parquet/directory/manifest.ts'
import { writerData } from '../../connectors/parquet/directory/writer-state.ts'
import { CHANGELOG_FIELDS } from '../../connectors/parquet/table/fields.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { nearestName } from '../base/nearest.ts'
import type { CatalogTable } from '../catalog.ts'
import type { FolderLayout } from '../data/partition/layout.ts'
import { tableKey } from '../data/schema.ts'
import type { ParquetSinkConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import { columnSelector, sourceSelector } from '../job/config/selector.ts'
import type { Committer, WriterState } from '../sink.ts'
import type { DiscoveredTable, Removal } from '../source.ts'
import { lakeTargets } from './lake-target.ts'
import { operatorPlans } from './operator-plans.ts'
import type { SelectionFault } from './selection.ts'

/** Of dead letters, which have none of the columns by which other tables are parted. */
const PLAIN: FolderLayout = {
  text: '{table}/',
  folders: [[{ kind: 'table' }]],
  partitions: [],
}

/** @returns what gives the layout of a table of the source (`tableKey`) */
export function directoryLayouts(
  { onError: { deadLetters } }: Pick<PipelineConfig, 'onError'>,
  { layout }: ParquetSinkConfig,
): (table: string) => FolderLayout {
  const plain = deadLetters === null ? null : tableKey(deadLetters)
  return (table) => (table === plain ? PLAIN : layout)
}

export async function openDirectory(
  config: PipelineConfig,
  sink: ParquetSinkConfig,
  log: Log,
): Promise<Committer<unknown>> {
  const targetOf = lakeTargets(config)
  const layoutOf = directoryLayouts(config, sink)
  const committer = new DirectoryCommitter({
    pipeline: config.name,
    mode: sink.mode,
    lake: localStore(sink.warehouse.path),
    targetOf,
    folderOf: (table) => tableFolder(layoutOf(table), targetOf(table)),
    log,
  })
  await committer.open()
  // The checkpoint carries committables as it found them; only this sink looks inside.
  return committer
}

/** @returns the pipeline that the directory belongs to; `null`: nobody has written to it */
export async function directoryOwner(path: string): Promise<string | null> {
  return new ManifestStore(localStore(path)).owner()
}

/** @returns the folder of a partition that a time tells, relative to the directory */
export function partitionPlace(
  { layout }: ParquetSinkConfig,
  target: CatalogTable,
  place: number,
  value: string,
): string {
  const folders = [tableFolder(layout, target), timeFolder(layout, place, value)]
  return folders.filter((folder) => folder !== '').join('/')
}

/** Tables that lack a column of the layout, or have one with the name of a folder. */
export function layoutFaults(
  config: PipelineConfig,
  { layout, mode }: ParquetSinkConfig,
  tables: readonly DiscoveredTable[],
): SelectionFault[] {
  const { source } = config
  const selects = sourceSelector(source)
  const excludes = columnSelector(source.type === 'kafka' ? [] : source.columnsExclude)
  const own = mode === 'changelog' ? CHANGELOG_FIELDS.map(({ name }) => name) : []
  return tables.flatMap(({ namespace, name, columns }): SelectionFault[] => {
    if (!selects(namespace, name)) return []
    // Operators make other columns; what is wrong with those parks the table.
    if (operatorPlans(config).of({ namespace, name }) !== null) return []
    const selected = columns.filter((column) => !excludes(namespace, name, column.name))
    const names = [...selected.map((column) => column.name), ...own]
    return layout.partitions.flatMap(({ key, field: { column } }): SelectionFault[] => {
      const fault = (message: string): SelectionFault[] => {
        const text = `table ${namespace}.${name} ${message}`
        return [{ error: 'CONFIG_VALUE', name: 'sink.layout', message: text, fix: null }]
      }
      if (!names.includes(column)) {
        const near = nearestName(column, names)
        return fault(
          `has no column "${column}"${near === null ? '' : ` (did you mean "${near}"?)`}`,
        )
      }
      const namesake = names.find((other) => other.toLowerCase() === key.toLowerCase())
      if (namesake === undefined) return []
      return fault(`has a column "${namesake}", the name of folder ${key}=: take another name`)
    })
  })
}

/**
 * A directory keeps its layout for life: another one is another directory.
 *
 * @throws PipelineError CONFIG_UNSUPPORTED
 */
export function requireSameLayout(
  { layout, timeZone }: ParquetSinkConfig,
  writers: readonly WriterState[],
): void {
  for (const before of writers.map(writerData)) {
    const isSame = before.layout === layout.text && before.timeZone === timeZone
    if (isSame) continue
    const was = `"${before.layout}" in ${before.timeZone}`
    const message = `sink.layout is "${layout.text}" in ${timeZone}, and the directory is ${was}`
    throw new PipelineError('CONFIG_UNSUPPORTED', message, {
      detail: 'The files of one table would lie in two ways. Nothing was read or written.',
      hint:
        'Set `sink.layout` and `sink.time_zone` as they were; or run `millrace drop FILE` and ' +
        'begin anew; or give the other layout a pipeline with a name and a path of its own.',
    })
  }
}

/** Removes the tables, then what says whose they were. */
export async function removeDirectory(
  { name }: PipelineConfig,
  { warehouse: { path } }: ParquetSinkConfig,
): Promise<readonly Removal[]> {
  const store = localStore(path)
  const manifests = new ManifestStore(store)
  const owner = await manifests.owner()
  if (owner === null) return []
  const what = `directory ${path}`
  if (owner !== name) return [{ what, kept: ownedBy(path, owner).message }]
  const removals: Removal[] = []
  const newest = await manifests.newest()
  for (const [table, { folder }] of Object.entries(newest?.tables ?? {})) {
    const folders = new Set<string>()
    for (const file of await store.list(folder)) {
      if (!isDataFile(file) && !file.endsWith('/_SUCCESS')) continue
      await store.delete(file)
      folders.add(dirname(file))
    }
    await removeEmpty(path, folders)
    removals.push({ what: `table ${table} in ${join(path, folder)}`, kept: null })
  }
  await rm(join(path, OWN_FOLDER), { recursive: true, force: true })
  return removals
}

/** Folders with files of somebody else stay, and so does the directory itself. */
async function removeEmpty(root: string, folders: ReadonlySet<string>): Promise<void> {
  for (const folder of folders) {
    for (let at = folder; at !== '.' && at !== ''; at = dirname(at)) {
      try {
        await rmdir(join(root, at))
      } catch {
        break
      }
    }
  }
}
