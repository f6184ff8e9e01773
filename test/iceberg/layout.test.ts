import { expect, test } from 'vitest'
import { dataFilePath, fileIdOf, pathSegment, tablePath } from '../../connectors/iceberg/layout.ts'

test('the file id is read back from a path and from a URI', () => {
  const path = dataFilePath({ namespace: 'public', name: 'orders' }, 0xfffe, '0a1b')
  expect(path).toBe('public/orders/data/0000fffe-0a1b.parquet')
  expect(fileIdOf(path)).toBe(0xfffe)
  expect(fileIdOf(`file:///lake/${path}`)).toBe(0xfffe)
})

test('names of files that others write are not file ids', () => {
  const names = [
    '00000-0-5f2d1c1e-95b3-4ed8-a8a1-5c1c8a9d9d2a-00001.parquet',
    '0191f2b4-5c1c-7000-8000-5c1c8a9d9d2a.parquet',
    '0000fffe.parquet',
  ]
  for (const name of names) expect(fileIdOf(`a/b/data/${name}`)).toBeNull()
})

test('no name leaves its folder, and two names never share one', () => {
  const names = ['..', '.', '.a', 'a.b', 'a/b', 'a~2fb', 'a%2fb', 'a b', 'ä', 'A', 'a_b-c', '~']
  const segments = names.map((name) => pathSegment(name))
  expect(new Set(segments).size).toBe(names.length)
  for (const segment of segments) expect(segment).toMatch(/^[A-Za-z0-9_~-][A-Za-z0-9_.~-]*$/)
  expect(tablePath({ namespace: '..', name: '../x' })).toBe('~2e./~2e.~2fx')
})
