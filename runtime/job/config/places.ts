// Where the lake, its catalog and the state lie: local paths, made absolute, whose names every
// reader of the lake can spell, and none of them inside another. `drop` removes whole folders, so
// what lies in one of them would go with it.

import { realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve as resolvePath } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { ConfigDocument } from './document.ts'
import type { FolderConfig } from './pipeline-config.ts'
import { formatPath, type Path } from './problems.ts'

const WAREHOUSE: Path = ['sink', 'warehouse']
/** The warehouse of a sink without a catalog. */
const DIRECTORY: Path = ['sink', 'path']
const CATALOG: Path = ['sink', 'catalog', 'uri']
const STORE: Path = ['pipeline', 'checkpoint', 'store']

export interface Places {
  readonly warehouse: FolderConfig
  /** Absolute path of the SQLite file; `null`: the sink has no catalog. */
  readonly catalog: string | null
  readonly store: FolderConfig
}

/** `catalog`: `null` where the sink has none. */
interface Written {
  readonly warehouse: string
  readonly catalog: string | null
  readonly store: string
}

/**
 * Reports what is wrong.
 *
 * @param folder  of the pipeline file: relative paths begin there
 * @returns `null` when one of them cannot be told
 */
export function resolvePlaces(
  written: Written,
  folder: string,
  document: ConfigDocument,
): Places | null {
  if (namesHome(written, document)) return null
  const path = written.catalog === null ? DIRECTORY : WAREHOUSE
  const warehouse = resolveFolder(written.warehouse, path, folder, document)
  const catalog = written.catalog === null ? null : resolveSqlite(written.catalog, folder, document)
  const store = resolveFolder(written.store, STORE, folder, document)
  if (warehouse !== null) requireSpellable(warehouse.path, path, document)
  if (catalog !== null) requireSpellable(catalog, CATALOG, document)
  if (warehouse === null || store === null) return null
  if (catalog === null && written.catalog !== null) return null
  const places = { warehouse, catalog, store }
  requireApart(places, path, document)
  return places
}

/** Of a sink that has no folder. Reports what is wrong. */
export function resolveStore(
  store: string,
  folder: string,
  document: ConfigDocument,
): FolderConfig | null {
  if (namesHome({ warehouse: '', catalog: null, store }, document)) return null
  return resolveFolder(store, STORE, folder, document)
}

/** `file:///abs`, `/abs`, or a path relative to the pipeline file. */
function resolveFolder(
  written: string,
  path: Path,
  folder: string,
  document: ConfigDocument,
): FolderConfig | null {
  const absolute = written.startsWith('file:') ? pathOfUrl(written) : resolvePath(folder, written)
  if (absolute === null || (/^[a-z][a-z0-9+.-]*:/i.test(written) && !written.startsWith('file:'))) {
    const message = `${formatPath(path)} must be a local folder, as file:///var/lib/lake or ./lake`
    // Of what later versions take it has been said.
    if (!document.isFaulty(path)) document.report(path, { error: 'CONFIG_VALUE', message })
    return null
  }
  const trimmed = resolvePath(absolute)
  return { path: trimmed, uri: pathToFileURL(trimmed).href }
}

/** `null` also for a URL with parts that no path has: they would be dropped without a word. */
function pathOfUrl(written: string): string | null {
  try {
    const { hash, search } = new URL(written)
    return hash === '' && search === '' ? fileURLToPath(written) : null
  } catch {
    return null
  }
}

/** SQLAlchemy's spelling: three slashes before a relative path, four before an absolute one. */
function resolveSqlite(written: string, folder: string, document: ConfigDocument): string | null {
  const location = /^sqlite:\/\/\/([^?#]+)$/.exec(written)?.[1]
  if (location === undefined || location === ':memory:' || location.endsWith('/')) {
    const message = 'sink.catalog.uri must be a SQLite file, as sqlite:////var/lib/lake/catalog.db'
    document.report(CATALOG, { error: 'CONFIG_VALUE', message })
    return null
  }
  return isAbsolute(location) ? resolvePath(location) : resolvePath(folder, location)
}

/** A shell would put a home folder in its place; here it would make a folder of that name. */
function namesHome({ warehouse, catalog, store }: Written, document: ConfigDocument): boolean {
  const places = [
    [catalog === null ? DIRECTORY : WAREHOUSE, warehouse],
    [CATALOG, catalog ?? ''],
    [STORE, store],
  ] as const
  const found = places.filter(([, written]) => /^(?:(?:file|sqlite):\/*)?~/.test(written))
  for (const [path] of found) {
    const message = `${formatPath(path)}: "~" is no folder here; write \${HOME} or the whole path`
    document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return found.length > 0
}

/** DuckDB, pyiceberg and Spark take these for parts of a URL, each at places of its own. */
function requireSpellable(place: string, path: Path, document: ConfigDocument): void {
  const character = /[#?%]/.exec(place)?.[0]
  if (character === undefined) return
  const message =
    `${formatPath(path)}: ${place} has a ${character}, which readers of the lake take for a part ` +
    `of a URL; choose a path without #, ? and %`
  document.report(path, { error: 'CONFIG_VALUE', message })
}

function requireApart(
  { warehouse, catalog, store }: Places,
  path: Path,
  document: ConfigDocument,
): void {
  const [lake, state] = [settled(warehouse.path), settled(store.path)]
  reportNested(STORE, state, path, lake, document)
  if (catalog === null) return
  const file = settled(catalog)
  reportNested(CATALOG, file, STORE, state, document)
  // A catalog beside the folders of the namespaces is what pyiceberg's manual shows.
  if (dirname(file) !== lake) reportNested(CATALOG, file, path, lake, document)
}

function reportNested(
  path: Path,
  place: string,
  otherPath: Path,
  other: string,
  document: ConfigDocument,
): void {
  const [name, otherName] = [formatPath(path), formatPath(otherPath)]
  let message: string
  if (place === other) message = `${name} and ${otherName} must be two places`
  else if (isInside(place, other)) message = `${name} lies in ${otherName}`
  else if (isInside(other, place)) message = `${otherName} lies in ${name}`
  else return
  const why = '; what removes files of the one must not meet the other'
  document.report(path, { error: 'CONFIG_VALUE', message: message + why })
}

function isInside(inner: string, outer: string): boolean {
  const way = relative(outer, inner)
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

/** Through links, as far as the path exists. */
function settled(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(settled(above), basename(path))
  }
}
