// Reads Iceberg tables with pyiceberg, the independent reader closest to the specification's
// text. It refuses tables with equality deletes.
import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import { serverFolder } from '../servers/process.ts'
import { catalogNameOf } from './catalog-name.ts'
import { type CatalogRequest, type LakeDump, readDumpFile, requestText } from './dump-file.ts'
import { runReaderScript } from './python.ts'

/** One process for all tables of the request. */
export async function readIcebergWithPyiceberg(request: CatalogRequest): Promise<LakeDump[]> {
  const folder = await serverFolder('pyiceberg')
  try {
    const output = join(folder, 'dump')
    const tables = (request.tables ?? []).map(requestText)
    const args = [output, request.catalog, catalogNameOf(request), ...tables]
    await runReaderScript('pyiceberg_dump.py', args)
    return await readDumpFile(output)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
