// The lake's part of `drop`: which tables are ours is found out before anything is removed anywhere.
// A name proves nothing: another pipeline, or another tool, may have made the table that ours was
// refused to write to. What counts is the marker that our own commits leave in its metadata.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { tablePath } from '../../connectors/iceberg/layout.ts'
import { filesOfOtherTables, filesOfTable } from '../../connectors/iceberg/orphans.ts'
import { markerName, markerOf } from '../../connectors/iceberg/marker.ts'
import { parseTableMetadata, type TableMetadata } from '../../connectors/iceberg/metadata.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../base/errors.ts'
import type { Catalog, CatalogTable } from '../catalog.ts'
import type { CheckpointRecord } from '../checkpoint/manifest.ts'
import type { IcebergSinkConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import type { Removal } from '../source.ts'
import { lakeTargets } from './lake-target.ts'

/** A table of the lake that the pipeline knows by name, and what is to become of it. */
export interface LakeDecision {
  readonly table: string
  readonly target: CatalogTable
  readonly location: string
  /** Why it stays; `null`: it is ours. */
  readonly kept: string | null
  /**
   * Its files, relative to the warehouse, where others share its folder: a table that was renamed
   * in the catalog stays where it is. `null`: the folder is its own.
   */
  readonly files: readonly string[] | null
}

type Verdict = Pick<LakeDecision, 'kept' | 'files'>

/** Reads only. @returns a decision for each table that is there */
export async function decideLake(
  config: PipelineConfig,
  sink: IcebergSinkConfig,
  catalog: Catalog,
  checkpoint: CheckpointRecord | null,
): Promise<readonly LakeDecision[]> {
  const decisions: LakeDecision[] = []
  const targetOf = lakeTargets(config)
  for (const [table, uuid] of knownTables(checkpoint)) {
    const target = targetOf(table)
    const location = await catalog.load(target)
    if (location === null) continue
    decisions.push({
      table,
      target,
      location,
      ...(await judge(config.name, sink, target, location, uuid)),
    })
  }
  return decisions
}

/**
 * Removes one table: its name first, for readers must never find a table without its files.
 *
 * @throws PipelineError CATALOG_CONFLICT when somebody wrote to it since the decision
 */
export async function removeTable(
  sink: IcebergSinkConfig,
  catalog: Catalog,
  { table, target, location, files }: LakeDecision,
): Promise<Removal> {
  if (!(await catalog.drop(target, location))) {
    throw new PipelineError('CATALOG_CONFLICT', `somebody else writes to lake table ${table}`, {
      hint: 'Stop the other writer, then run `millrace drop FILE` again.',
    })
  }
  for (const path of files ?? [tablePath(target)]) {
    await rm(join(sink.warehouse.path, path), { recursive: true, force: true })
  }
  return { what: `lake table ${table}`, kept: null }
}

/** By name, with the identity that our last commit saw; `null`: none that the checkpoint knows. */
function knownTables(checkpoint: CheckpointRecord | null): Map<string, string | null> {
  const known = new Map<string, string | null>()
  if (checkpoint === null) return known
  // The newest checkpoint may be older than the first commit of a table.
  for (const { schema, united } of checkpoint.source.tables) {
    // The lake's table is the union's.
    if (united === undefined) known.set(schema.table, null)
  }
  for (const { table, tableUuid } of checkpoint.lake) known.set(table, tableUuid)
  return known
}

async function judge(
  name: string,
  sink: IcebergSinkConfig,
  target: CatalogTable,
  location: string,
  uuid: string | null,
): Promise<Verdict> {
  const store = localStore(sink.warehouse.path)
  const files = new LakeFiles(store)
  // Others write a path with percent signs where we write it plain.
  const path = files.pathBelow(location) ?? files.pathBelow(decoded(location))
  if (path === null) return kept(`its files are not below ${sink.warehouse.path}`)
  try {
    const metadata = parseTableMetadata(await store.get(path), location)
    if (markerOf(metadata, name) === null)
      return kept(`pipeline "${name}" has never committed to it`)
    if (uuid !== null && uuid !== metadata.tableUuid) {
      return kept(`it is not the table that pipeline "${name}" wrote to`)
    }
    const pipelines = otherPipelines(metadata, name)
    if (pipelines.length > 0) return kept(`others commit to it as well: ${pipelines.join(', ')}`)
    const inFolder = await store.list(tablePath(target))
    const others = await filesOfOtherTables(store, inFolder, metadata.tableUuid)
    if (others.size === 0) return { kept: null, files: null }
    const own = await filesOfTable(files, metadata, location)
    return { kept: null, files: [...own].filter((file) => !others.has(file)) }
  } catch (error) {
    // Damaged metadata names nobody: rather a table too many than one of somebody else's too few.
    const why = error instanceof Error ? error.message : String(error)
    return kept(`whose it is cannot be told: ${why}`)
  }
}

function kept(reason: string): Verdict {
  return { kept: reason, files: null }
}

function otherPipelines({ properties }: TableMetadata, name: string): string[] {
  const prefix = markerName('')
  return Object.keys(properties)
    .filter((property) => property.startsWith(prefix) && property !== markerName(name))
    .map((property) => `"${property.slice(prefix.length)}"`)
}

function decoded(location: string): string {
  try {
    return decodeURIComponent(location)
  } catch {
    return location
  }
}
