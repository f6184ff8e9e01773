import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test } from 'vitest'
import { sqliteCatalog, sqlitePath } from '../../connectors/iceberg/catalog-sqlite.ts'
import { testCatalog } from '../conformance/catalog.ts'

const made: string[] = []
async function newFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-catalog-'))
  made.push(folder)
  return join(folder, 'sub', 'catalog.db')
}
afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true })
})

testCatalog('sqlite', async () => {
  const uri = `sqlite:///${await newFile()}`
  return async () => sqliteCatalog({ uri, name: 'lake' })
})

test('two catalogs of different names share a file without seeing each other', async () => {
  const uri = `sqlite:///${await newFile()}`
  const table = { namespace: 'a', name: 'b' }
  const [left, right] = ['left', 'right'].map((name) => sqliteCatalog({ uri, name }))
  expect(await left!.swap([{ table, expected: null, next: 'x' }])).toEqual([])
  expect(await right!.load(table)).toBeNull()
  await left!.close()
  await right!.close()
})

test('a view is no table, and a row without type is one', async () => {
  const path = await newFile()
  const catalog = sqliteCatalog({ uri: `sqlite:///${path}`, name: 'lake' })
  const database = new DatabaseSync(path)
  const insert = database.prepare(
    `INSERT INTO iceberg_tables VALUES ('lake', 'a', ?, 'here', NULL, ?)`,
  )
  insert.run('view', 'VIEW')
  insert.run('old', null)
  expect(await catalog.load({ namespace: 'a', name: 'view' })).toBeNull()
  const view = { table: { namespace: 'a', name: 'view' }, expected: 'here', next: 'there' }
  expect(await catalog.swap([view])).toEqual([view.table])
  expect(await catalog.list('a')).toEqual([{ namespace: 'a', name: 'old' }])
  database.close()
  await catalog.close()
})

test('a catalog of the layout before types is upgraded as Java does it', async () => {
  const path = await newFile()
  await sqliteCatalog({ uri: `sqlite:///${path}`, name: 'lake' }).close()
  const database = new DatabaseSync(path)
  database.exec('ALTER TABLE iceberg_tables DROP COLUMN iceberg_type')
  database.exec(`INSERT INTO iceberg_tables VALUES ('lake', 'a', 'b', 'here', NULL)`)
  database.close()
  const catalog = sqliteCatalog({ uri: `sqlite:///${path}`, name: 'lake' })
  const table = { namespace: 'a', name: 'b' }
  expect(await catalog.load(table)).toBe('here')
  expect(await catalog.swap([{ table, expected: 'here', next: 'there' }])).toEqual([])
  await catalog.close()
})

test('a catalog that cannot be opened says that it is unavailable', async () => {
  const path = await newFile()
  await sqliteCatalog({ uri: `sqlite:///${path}`, name: 'lake' }).close()
  await writeFile(path, 'this is no database, but it is long enough to be looked at as one')
  const options = { uri: `sqlite:///${path}`, name: 'lake' }
  expect(() => sqliteCatalog(options)).toThrow(
    expect.objectContaining({ error: 'CATALOG_UNAVAILABLE' }),
  )
})

test('only absolute paths are taken, in the form that pyiceberg takes', () => {
  expect(sqlitePath('sqlite:////lake/catalog.db')).toBe('/lake/catalog.db')
  for (const uri of ['sqlite:///lake.db', '/lake.db', 'sqlite://', 'sqlite:////']) {
    expect(() => sqlitePath(uri)).toThrow(expect.objectContaining({ error: 'CONFIG_VALUE' }))
  }
})
