// A disk without space under the catalog, by the errors that SQLite gives of one.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { openCatalog } from '../../runtime/cli/lake-catalog.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { COMPLETE, icebergOf, writeFile } from '../config/pipeline-file.ts'

let cause: Error = new Error('none')

vi.mock('../../connectors/iceberg/catalog-sqlite.ts', () => ({
  sqliteCatalog: () => {
    throw new PipelineError('CATALOG_UNAVAILABLE', 'cannot open catalog', { cause })
  },
}))

test('a full disk is told from a catalog that cannot be opened', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-full-'))
  const file = writeFile(COMPLETE.replaceAll('/lake/', `${folder}/`))
  const sink = icebergOf(loadPipeline(file, {}))
  const errorOf = async (facts: object): Promise<unknown> => {
    cause = Object.assign(new Error('database or disk is full'), facts)
    return openCatalog(sink).catch((thrown: unknown) => thrown)
  }
  const full = { error: 'STORAGE_FULL', spec: { code: 'MR-5008' } }
  expect(await errorOf({ errcode: 13 })).toMatchObject(full)
  expect(await errorOf({ code: 'ENOSPC' })).toMatchObject(full)
  // SQLITE_IOERR_WRITE, on a disk that has space.
  expect(await errorOf({ errcode: 778 })).toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
})
