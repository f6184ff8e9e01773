// A catalog that cannot be used is said at the start, in words, and is not touched.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { openCatalog, openExistingCatalog } from '../../runtime/cli/lake-catalog.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import type { IcebergSinkConfig } from '../../runtime/job/config/pipeline-config.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { COMPLETE, icebergOf, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS } from './fake-wiring.ts'

/** A pipeline file whose catalog is `catalog.db` in a new folder. */
function newFile(): { file: string; path: string; sink: IcebergSinkConfig } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-catalog-'))
  const file = writeFile(COMPLETE.replaceAll('/lake/', `${folder}/`))
  return { file, path: join(folder, 'catalog.db'), sink: icebergOf(loadPipeline(file, {})) }
}

function withTables(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

const STRANGE: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ['a folder', (path) => mkdirSync(path), /^catalog \S+ is not a file$/],
  ['text', (path) => writeFileSync(path, 'just some text, and enough of it'), /is no SQLite file$/],
  [
    'a database of something else',
    (path) => withTables(path, 'CREATE TABLE iceberg_tables (name TEXT, place TEXT)'),
    /is no Iceberg catalog$/,
  ],
  [
    'a database with another table of namespaces',
    (path) => withTables(path, 'CREATE TABLE iceberg_namespace_properties (id INT)'),
    /is no Iceberg catalog$/,
  ],
]

for (const [what, make, message] of STRANGE) {
  test(`${what} in the place of the catalog is refused, and stays as it was`, async () => {
    const { file, path, sink } = newFile()
    make(path)
    const bytes = what === 'a folder' ? null : readFileSync(path)
    const error = await openCatalog(sink).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(PipelineError)
    expect(error).toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
    const { message: said, hint } = error as PipelineError
    expect(said).toMatch(message)
    expect(hint).toContain('start it again')
    expect(hint).not.toMatch(/retries|goes on/)
    if (bytes !== null) expect(readFileSync(path)).toEqual(bytes)

    const fake = new FakeWiring()
    fake.tables = [ORDERS]
    const terminal = new FakeTerminal()
    expect(await runCommandLine(['check', file], terminal, fake.wiring)).toBe(3)
    expect(terminal.stdout).toMatch(/^✗ sink\.catalog /m)
    expect(terminal.stdout).toContain(said)
  })
}

test('a catalog of older tools is taken, and a new one is made only to be written to', async () => {
  const { path, sink } = newFile()
  expect(await openExistingCatalog(sink)).toBeNull()
  expect(existsSync(path)).toBe(false)
  withTables(
    path,
    `CREATE TABLE iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,
       previous_metadata_location, PRIMARY KEY (catalog_name, table_namespace, table_name));
     CREATE TABLE iceberg_namespace_properties (catalog_name, namespace, property_key,
       property_value, PRIMARY KEY (catalog_name, namespace, property_key))`,
  )
  const catalog = await openCatalog(sink)
  expect(await catalog.list('public')).toEqual([])
  await catalog.close()
})

test('a catalog that another process has locked is told from a broken one', async () => {
  const { path, sink } = newFile()
  // Not in WAL mode yet: then changing the mode needs the lock that somebody else has.
  withTables(path, 'CREATE TABLE other (id INT)')
  const holder = new DatabaseSync(path)
  holder.exec('BEGIN EXCLUSIVE')
  const error = await openCatalog(sink).catch((thrown: unknown) => thrown)
  holder.exec('ROLLBACK')
  holder.close()
  expect(error).toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
  expect((error as PipelineError).message).toBe(`catalog ${path} is locked`)
  expect((error as PipelineError).hint).toContain('holds its lock')
})
