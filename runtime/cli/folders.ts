// Whether the lake and the state can be written, found out without writing.

import { constants, existsSync } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { Finding } from '../source.ts'
import { catalogProblem } from './lake-catalog.ts'

export async function checkFolders({ sink, checkpoint }: PipelineConfig): Promise<Finding[]> {
  return [
    await checkFolder('sink.warehouse', sink.warehouse.path),
    await checkCatalog(sink.catalog.path),
    await checkFolder('checkpoint.store', checkpoint.store.path),
  ]
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
