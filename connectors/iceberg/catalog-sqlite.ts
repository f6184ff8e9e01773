// An Iceberg catalog in one SQLite file, in the layout that pyiceberg's SqlCatalog and Java's
// JdbcCatalog (schema version V1) share. A swap is one database transaction: all its tables move or
// none does, and each must be where the caller saw it.
//
// SQLite is called on the thread that coordinates everything, so nobody may wait in it for another
// process's lock: a statement gives up after a moment, and is tried again by a timer.

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { systemClock, type Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Catalog, CatalogSwap, CatalogTable } from '../../runtime/catalog.ts'

const LAYOUT = `
  CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
  );
  CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
  );`

/** Rows of views have the type VIEW; writers before it existed left the column null. */
const IS_TABLE = `(iceberg_type = 'TABLE' OR iceberg_type IS NULL)`
const ONE_TABLE = 'catalog_name = ? AND table_namespace = ? AND table_name = ?'

export interface SqliteCatalogOptions {
  /** `sqlite:////absolute/path`, as SQLAlchemy and pyiceberg write it. */
  readonly uri: string
  /** The name that readers of the catalog must use, too. */
  readonly name: string
  readonly clock?: Clock
}

/** While it opens, nothing else runs yet that a wait could hold up. */
const OPEN_BUSY_MS = 5000
/** Longer than another engine's commit takes, as a rule; shorter than anybody would notice. */
const BUSY_MS = 50
/** Pauses between the attempts on a catalog that another process holds: five seconds in all. */
const PAUSES_MS = [50, 100, 200, 400, 800, 1600, 1600]
const SQLITE_BUSY = 5

/** @returns the path in a `sqlite:////absolute/path` URI @throws PipelineError CONFIG_VALUE */
export function sqlitePath(uri: string): string {
  const path = /^sqlite:\/\/\/(\/.+)$/.exec(uri)?.[1]
  if (path !== undefined) return path
  throw new PipelineError('CONFIG_VALUE', `catalog URI "${uri}" is not sqlite:////absolute/path`)
}

/** Opens or creates the catalog. @throws PipelineError CONFIG_VALUE, CATALOG_UNAVAILABLE */
export function sqliteCatalog(options: SqliteCatalogOptions): Catalog {
  const { uri, name, clock = systemClock } = options
  const path = sqlitePath(uri)
  const database = translated(`open catalog ${path}`, () => openDatabase(path))
  return new SqliteCatalog(name, database, clock)
}

function openDatabase(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true })
  const database = new DatabaseSync(path, { timeout: OPEN_BUSY_MS })
  // WAL lets readers read while we commit. FULL: a swap that returned survives a power cut.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec(LAYOUT)
  const columns = database.prepare(`SELECT name FROM pragma_table_info('iceberg_tables')`).all()
  if (!columns.some((column) => column['name'] === 'iceberg_type')) {
    // A catalog of older pyiceberg or of Java's V0: this is Java's own upgrade.
    database.exec('ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)')
  }
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
  return database
}

class SqliteCatalog implements Catalog {
  readonly #name: string
  readonly #database: DatabaseSync
  readonly #clock: Clock
  readonly #select: StatementSync
  readonly #update: StatementSync
  readonly #insert: StatementSync

  constructor(name: string, database: DatabaseSync, clock: Clock) {
    this.#name = name
    this.#database = database
    this.#clock = clock
    this.#select = database.prepare(
      `SELECT metadata_location FROM iceberg_tables WHERE ${ONE_TABLE} AND ${IS_TABLE}`,
    )
    this.#update = database.prepare(
      `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
       WHERE ${ONE_TABLE} AND ${IS_TABLE} AND metadata_location = ?`,
    )
    this.#insert = database.prepare(
      `INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,
       previous_metadata_location, iceberg_type) VALUES (?, ?, ?, ?, NULL, 'TABLE')
       ON CONFLICT DO NOTHING`,
    )
  }

  async load({ namespace, name }: CatalogTable): Promise<string | null> {
    const row = await this.#answered('read the catalog', () =>
      this.#select.get(this.#name, namespace, name),
    )
    const location = row?.['metadata_location']
    return typeof location === 'string' ? location : null
  }

  async list(namespace: string): Promise<readonly CatalogTable[]> {
    const rows = await this.#answered('read the catalog', () =>
      this.#database
        .prepare(
          `SELECT table_name FROM iceberg_tables
           WHERE catalog_name = ? AND table_namespace = ? AND ${IS_TABLE} ORDER BY table_name`,
        )
        .all(this.#name, namespace),
    )
    return rows.map((row) => ({ namespace, name: String(row['table_name']) }))
  }

  async createNamespace(namespace: string): Promise<void> {
    await this.#answered('write to the catalog', () =>
      this.#database
        .prepare(
          `INSERT INTO iceberg_namespace_properties
           (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')
           ON CONFLICT DO NOTHING`,
        )
        .run(this.#name, namespace),
    )
  }

  swap(swaps: readonly CatalogSwap[]): Promise<readonly CatalogTable[] | 'busy'> {
    return this.#patiently('write to the catalog', () => this.#swapAll(swaps))
  }

  #swapAll(swaps: readonly CatalogSwap[]): CatalogTable[] {
    // IMMEDIATE takes the write lock before the first read: two swaps never interleave.
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const conflicts = swaps.filter((swap) => !this.#swapOne(swap)).map(({ table }) => table)
      this.#database.exec(conflicts.length === 0 ? 'COMMIT' : 'ROLLBACK')
      return conflicts
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #swapOne({ table: { namespace, name }, expected, next }: CatalogSwap): boolean {
    const key = [this.#name, namespace, name] as const
    const result =
      expected === null
        ? this.#insert.run(...key, next)
        : this.#update.run(next, expected, ...key, expected)
    return result.changes === 1
  }

  async drop({ namespace, name }: CatalogTable, expected: string): Promise<boolean> {
    const result = await this.#answered('write to the catalog', () =>
      this.#database
        .prepare(`DELETE FROM iceberg_tables WHERE ${ONE_TABLE} AND ${IS_TABLE}
                  AND metadata_location = ?`)
        .run(this.#name, namespace, name, expected),
    )
    return result.changes === 1
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  /** @throws PipelineError CATALOG_UNAVAILABLE, also when another process holds the catalog */
  async #answered<T>(what: string, work: () => T): Promise<T> {
    const result = await this.#patiently(what, work)
    if (result !== 'busy') return result
    const detail = 'Another process holds its lock; nothing was changed.'
    throw new PipelineError('CATALOG_UNAVAILABLE', `cannot ${what}`, { detail })
  }

  /** @param work  changes nothing when it finds the catalog held */
  async #patiently<T>(what: string, work: () => T): Promise<T | 'busy'> {
    for (const pauseMs of [...PAUSES_MS, null]) {
      try {
        return translated(what, work)
      } catch (error) {
        if (!(error instanceof PipelineError) || !isBusy(error.cause)) throw error
        if (pauseMs !== null) await this.#clock.sleep(pauseMs)
      }
    }
    return 'busy'
  }
}

/** The low byte of SQLite's extended codes is the code. */
function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : null
  return typeof code === 'number' && (code & 0xff) === SQLITE_BUSY
}

function translated<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof PipelineError) throw error
    const detail = error instanceof Error ? `${error.message}.` : ''
    throw new PipelineError('CATALOG_UNAVAILABLE', `cannot ${what}`, { detail, cause: error })
  }
}
