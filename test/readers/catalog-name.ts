// The name under which tables stand in a shared SQLite catalog; readers must use the same.
import { DatabaseSync } from 'node:sqlite'
import type { CatalogRequest } from './dump-file.ts'

export function catalogNameOf(request: CatalogRequest): string {
  if (request.catalogName !== undefined) return request.catalogName
  const database = new DatabaseSync(request.catalog, { readOnly: true })
  try {
    const rows = database.prepare('SELECT DISTINCT catalog_name AS name FROM iceberg_tables').all()
    const [only, ...others] = rows.map((row) => String(row['name']))
    if (only === undefined || others.length > 0) {
      throw new Error(`${request.catalog} holds ${rows.length} catalogs, give a catalogName`)
    }
    return only
  } finally {
    database.close()
  }
}
