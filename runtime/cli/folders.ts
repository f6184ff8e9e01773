// Whether the lake and the state can be written, found out without writing.

import { constants, existsSync } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PipelineError } from '../base/errors.ts'
import type { CheckpointRecord } from '../checkpoint/manifest.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { intentOfPart } from '../job/parts-committer.ts'
import { readRequests } from '../job/requests.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Finding } from '../source.ts'
import { ownedBy } from '../../connectors/parquet/directory/committer.ts'
import { directoryOwner } from './directory.ts'
import { catalogProblem } from './lake-catalog.ts'
import { partCheckpoint, saidOfPart, saidOnce } from './sink-parts.ts'

export async function checkFolders(config: PipelineConfig): Promise<Finding[]> {
  const { name, sink, checkpoint, parts } = config
  if (parts !== undefined) {
    const found = await Promise.all(
      parts.map(async (part) =>
        (await checkFolders(part)).map((finding) => saidOfPart(part.part, finding)),
      ),
    )
    return saidOnce(found.flat())
  }
  const state = await checkFolder('checkpoint.store', checkpoint.store.path)
  if (sink.type === 'kafka') return [state]
  const { path } = sink.warehouse
  if (sink.type === 'parquet') {
    return [await checkFolder('sink.path', path), ...(await checkOwner(name, path)), state]
  }
  const catalog = await checkCatalog(sink.catalog.path)
  return [await checkFolder('sink.warehouse', path), catalog, state]
}

/** A directory that nobody has written to yet has no owner. */
async function checkOwner(pipeline: string, path: string): Promise<Finding[]> {
  const owner = await directoryOwner(path)
  if (owner === null) return []
  const ok = owner === pipeline
  const message = ok ? `${path} belongs to this pipeline` : ownedBy(path, owner).message
  return [{ name: 'sink.path', ok, warning: false, message, fix: null }]
}

/**
 * A warehouse on a volume that is not mounted looks like one whose files are lost: each table would
 * be parked, and be read again by a resync, and what is written meanwhile would lie below the mount
 * point. Who asks for a resync has looked.
 *
 * @throws PipelineError STORAGE_FAILED
 */
export async function requireWarehouse(config: PipelineConfig, state: ObjectStore): Promise<void> {
  const { sink } = config
  if (sink.type === 'kafka') return
  const { path } = sink.warehouse
  if ((await entriesOf(path)).length > 0 || (await readRequests(state)).length > 0) return
  const last = await new CheckpointStore(state).peekNewest()
  if (last === null || !hasWritten(last, config)) return
  throw new PipelineError('STORAGE_FAILED', `the warehouse ${path} is empty`, {
    detail: 'The last run left lake tables in it. Nothing was read or written.',
    hint:
      sink.type === 'parquet'
        ? 'Mount it, or correct `sink.path`, and start again. If the files are lost, give the ' +
          'pipeline another `name` and run it anew.'
        : 'Mount it, or correct `sink.warehouse`, and start again. If the files are lost, remove the ' +
          "catalog's file too and run `millrace resync FILE --all`.",
  })
}

/** The commit of the last epoch may have come after its checkpoint, which then lists the intent. */
function hasWritten(last: CheckpointRecord, config: PipelineConfig): boolean {
  const { older } = last
  const { lake } = partCheckpoint(config, last)
  const { part } = config
  const intent =
    part === undefined || last.intent === null ? last.intent : intentOfPart(last.intent, part)
  if (older !== null || lake.some(({ metadataLocation }) => metadataLocation !== null)) return true
  return intent?.tables.some(({ committables }) => committables.length > 0) ?? false
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    // Whoever opens the warehouse says what is wrong with it.
    return ['?']
  }
}

async function checkCatalog(path: string): Promise<Finding> {
  const name = 'sink.catalog'
  if (!existsSync(path)) return checkFolder(name, dirname(path))
  const problem = await catalogProblem(path)
  const detail = problem?.detail == null ? '' : `: ${problem.detail}`
  const message = problem === null ? `${path} is a catalog` : `${problem.message}${detail}`
  return { name, ok: problem === null, warning: false, message, fix: null }
}

/** A folder that is not there yet will be made in the nearest one above it that is. */
async function checkFolder(name: string, path: string): Promise<Finding> {
  let at = path
  while (at !== dirname(at) && !(await exists(at))) at = dirname(at)
  const problem = await problemOf(at)
  return {
    name,
    ok: problem === null,
    warning: false,
    message: problem ?? `${path} can be written`,
    fix: null,
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}

async function problemOf(path: string): Promise<string | null> {
  try {
    if (!(await stat(path)).isDirectory()) return `${path} is not a folder`
    await access(path, constants.W_OK | constants.X_OK)
    return null
  } catch {
    return `${path} cannot be written by this user`
  }
}
