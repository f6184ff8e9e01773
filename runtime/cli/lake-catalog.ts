// Opening the catalog. Whoever starts the program is told what is wrong with the file before
// anything has been made in it or removed; a pipeline that has run before tries again by itself.

import { existsSync, statSync } from 'node:fs'
import { access, constants, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sqliteCatalog } from '../../connectors/iceberg/catalog-sqlite.ts'
import { PipelineError, type ErrorDetail } from '../base/errors.ts'
import type { Catalog } from '../catalog.ts'
import type { IcebergSinkConfig } from '../job/config/pipeline-config.ts'

const SQLITE_BUSY = 5
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

/** Columns that every writer of SQL catalogs has; `iceberg_type` is added to older ones. */
const LAYOUT: Readonly<Record<string, readonly string[]>> = {
  iceberg_tables: [
    'catalog_name',
    'table_namespace',
    'table_name',
    'metadata_location',
    'previous_metadata_location',
  ],
  iceberg_namespace_properties: ['catalog_name', 'namespace', 'property_key', 'property_value'],
}

const HINT =
  'Correct `sink.catalog.uri`, or the file that it names; `millrace check FILE` looks at it ' +
  'without writing. Where Millrace has ended, start it again then.'

/**
 * Opens the catalog, or creates it.
 *
 * @throws PipelineError CATALOG_UNAVAILABLE, STORAGE_FULL
 */
export async function openCatalog({ catalog }: IcebergSinkConfig): Promise<Catalog> {
  const problem = await catalogProblem(catalog.path)
  if (problem !== null) throw problem
  try {
    return sqliteCatalog({ uri: catalog.uri, name: catalog.name })
  } catch (error) {
    throw await startFailure(catalog.path, error)
  }
}

/**
 * Opens the catalog if there is one: for commands that have nothing to put into a new one.
 *
 * @returns `null` when there is none
 */
export async function openExistingCatalog(sink: IcebergSinkConfig): Promise<Catalog | null> {
  return existsSync(sink.catalog.path) ? openCatalog(sink) : null
}

/**
 * Looks at the catalog without writing to it.
 *
 * @returns what keeps it from being used; `null`: nothing, also when it is not there yet
 */
export async function catalogProblem(path: string): Promise<PipelineError | null> {
  if (!existsSync(path)) return null
  if (!statSync(path).isFile()) return unusable(`catalog ${path} is not a file`)
  const strange = layoutProblem(path)
  if (strange !== null) return strange
  for (const place of [path, dirname(path)]) {
    try {
      await access(place, constants.W_OK)
    } catch (cause) {
      // SQLite makes its log beside the file.
      return unusable(`catalog ${path}: this user may not write to ${place}`, { cause })
    }
  }
  return null
}

function layoutProblem(path: string): PipelineError | null {
  try {
    const database = new DatabaseSync(path, { readOnly: true })
    try {
      for (const [table, wanted] of Object.entries(LAYOUT)) {
        const rows = database.prepare('SELECT name FROM pragma_table_info(?)').all(table)
        const found = rows.map((row) => row['name'])
        const missing = wanted.filter((name) => !found.includes(name))
        // A table that is not there at all will be created.
        if (rows.length === 0 || missing.length === 0) continue
        const detail = `Its table ${table} lacks ${missing.join(', ')}.`
        return unusable(`${path} is no Iceberg catalog`, { detail })
      }
      return null
    } finally {
      database.close()
    }
  } catch (error) {
    const code = sqliteCode(error)
    // Somebody is writing to it, so it is a database; whoever opens it for good waits.
    if (code === SQLITE_BUSY) return null
    if (code === SQLITE_NOTADB) return unusable(`${path} is no SQLite file`, { cause: error })
    return unusable(`catalog ${path} cannot be read`, { detail: said(error), cause: error })
  }
}

async function startFailure(path: string, error: unknown): Promise<PipelineError> {
  const cause = error instanceof PipelineError ? (error.cause ?? error) : error
  if (await isFull(path, cause)) {
    return new PipelineError('STORAGE_FULL', `no space left to open catalog ${path}`, { cause })
  }
  if (error instanceof PipelineError && error.error !== 'CATALOG_UNAVAILABLE') return error
  if (sqliteCode(cause) === SQLITE_BUSY) {
    const hint = 'Another process holds its lock; where Millrace has ended, start it again later.'
    return unusable(`catalog ${path} is locked`, { hint, cause })
  }
  return unusable(`catalog ${path} cannot be opened`, { detail: said(cause), cause })
}

/** SQLite says of a disk without space, at some places, no more than that a write has failed. */
async function isFull(path: string, cause: unknown): Promise<boolean> {
  const code = cause instanceof Error && 'code' in cause ? cause.code : null
  if (sqliteCode(cause) === SQLITE_FULL || code === 'ENOSPC' || code === 'EDQUOT') return true
  if (sqliteCode(cause) === null) return false
  try {
    return (await statfs(dirname(path))).bavail === 0
  } catch {
    return false
  }
}

/** The low byte of SQLite's extended codes is the code; `null`: not an error of SQLite's. */
function sqliteCode(error: unknown): number | null {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : null
  return typeof code === 'number' ? code & 0xff : null
}

function said(error: unknown): string {
  return error instanceof Error ? `The system says: ${error.message}.` : ''
}

function unusable(message: string, facts: ErrorDetail = {}): PipelineError {
  return new PipelineError('CATALOG_UNAVAILABLE', message, { hint: HINT, ...facts })
}
