// Layouts of directories: what they may say, and the folders that they make.

import { expect, test } from 'vitest'
import {
  bindFolders,
  partitionFolder,
  resolveFolders,
  tableFolder,
  timeFolder,
} from '../../connectors/parquet/directory/folders.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { LayoutFault, parseLayout, type FolderLayout } from '../../runtime/data/partition/layout.ts'
import type { PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { field } from '../writer/batches.ts'

function layoutOf(text: string): FolderLayout {
  const layout = parseLayout(text)
  if (layout instanceof LayoutFault) throw new Error(layout.message)
  return layout
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  ts: { kind: 'timestamptz' },
  at: { kind: 'timestamp' },
  born: { kind: 'date' },
  id: { kind: 'long' },
  name: { kind: 'string' },
  raw: { kind: 'binary' },
}
const COLUMNS = Object.entries(TYPES).map(([name, type], index) => field(index + 1, name, type))

function folderOf(text: string, tuple: PartitionTuple): string {
  const bound = bindFolders('t', layoutOf(text), COLUMNS)
  return partitionFolder(resolveFolders('t', bound, COLUMNS), tuple)
}

const int = (value: number): string => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes.toString('base64')
}
const text = (value: string): string => Buffer.from(value).toString('base64')

const DAY = 20_777
const HOUR = DAY * 24 + 7

test('a unit below the next larger one of its column says its own part only', () => {
  const day = int(DAY)
  const hour = int(HOUR)
  expect(folderOf('{table}/dt={day(ts)}/hr={hour(ts)}', [day, hour])).toBe('dt=2026-11-20/hr=07')
  expect(folderOf('dt={day(at)}/hr={hour(ts)}', [day, hour])).toBe('dt=2026-11-20/hr=2026-11-20-07')
  expect(folderOf('hr={hour(ts)}', [hour])).toBe('hr=2026-11-20-07')
  const [year, month] = [int(56), int(56 * 12 + 10)]
  const all = 'y={year(ts)}/m={month(ts)}/d={day(ts)}/h={hour(ts)}'
  expect(folderOf(all, [year, month, day, hour])).toBe('y=2026/m=11/d=20/h=07')
  expect(folderOf('y={year(ts)}/d={day(ts)}', [year, day])).toBe('y=2026/d=2026-11-20')
})

test('the time of a partition tells its folders', () => {
  const all = layoutOf(
    '{table}/y={year(ts)}/m={month(ts)}/d={day(ts)}/h={hour(ts)}/b={bucket[4](id)}',
  )
  expect(timeFolder(all, 3, '2026-11-20-07')).toBe('y=2026/m=11/d=20/h=07')
  expect(timeFolder(layoutOf('dt={day(ts)}/hr={hour(ts)}'), 0, '2026-11-20')).toBe('dt=2026-11-20')
  expect(timeFolder(layoutOf('d={born}'), 0, '2026-11-20')).toBe('d=2026-11-20')
})

test('values are escaped as Hive escapes them; null and nothing are its default partition', () => {
  const of = (value: string | null): string => {
    return folderOf('p={name}', [value === null ? null : text(value)])
  }
  expect(of(null)).toBe('p=__HIVE_DEFAULT_PARTITION__')
  expect(of('')).toBe('p=__HIVE_DEFAULT_PARTITION__')
  expect(of('../../etc')).toBe('p=..%2F..%2Fetc')
  expect(of('a=b/c:d%e f"g\'h')).toBe('p=a%3Db%2Fc%3Ad%25e f%22g%27h')
  expect(of('Straße {x}[1]^\n\0')).toBe('p=Straße %7Bx%7D%5B1%5D%5E%0A%00'.replace('%7D', '}'))
  const long = of('é'.repeat(5000))
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(200)
  expect(long).not.toBe(of('é'.repeat(5001)))
})

test('names of tables become folders that readers look into and that stay below the directory', () => {
  const folder = (namespace: string, name: string): string =>
    tableFolder(layoutOf('lake/{namespace}-{table}'), { namespace, name })
  expect(folder('shop', 'orders')).toBe('lake/shop-orders')
  expect(tableFolder(layoutOf('{table}/'), { namespace: 's', name: '_audit' })).toBe('%5Faudit')
  expect(tableFolder(layoutOf('{table}/'), { namespace: 's', name: '..' })).toBe('%2E.')
  expect(tableFolder(layoutOf('{table}/'), { namespace: 's', name: 'a/b' })).toBe('a%2Fb')
  expect(tableFolder(layoutOf('dt={day(ts)}/'), { namespace: 's', name: 'a' })).toBe('')
})

const FAULTS: readonly (readonly [string, RegExp])[] = [
  ['{table}/{day(ts)}/', /has \{day\(ts\)\}, which is not \{table\}.*name=\{day\(ts\)\}/],
  ['dt={day(ts)}/{table}/', /"\{table\}" below a partition/],
  ['dt={day(ts)}/DT={hour(ts)}', /two folders "dt"|two folders "DT"/],
  ['{table}//dt={day(ts)}', /a folder without a name/],
  ['../{table}', /has the folder "\.\."/],
  ['_hidden/{table}', /has the folder "_hidden"/],
  ['{table}/d-t={day(ts)}', /has "d-t" for a name/],
  ['{table}/dt={dayz(ts)}', /has no transform "dayz"/],
  ['{table}/dt={void(ts)}', /parts nothing/],
]

test('what a layout may not say is said with its reason', () => {
  for (const [layout, reason] of FAULTS) {
    const fault = parseLayout(layout)
    expect(fault instanceof LayoutFault ? fault.message : layout).toMatch(reason)
  }
})

test('a table without the column, with one of the name of a folder, or of another type is refused', () => {
  const refusal = (text: string, columns = COLUMNS): string => {
    try {
      resolveFolders('t', bindFolders('t', layoutOf(text), columns), columns)
    } catch (error) {
      if (error instanceof PipelineError && error.error === 'DDL_UNMAPPABLE') return error.message
      throw error
    }
    return ''
  }
  expect(refusal('dt={day(gone)}')).toBe('table "t" has no column "gone"')
  expect(refusal('NAME={name}')).toBe('table "t" has a column "name", the name of folder NAME=')
  expect(refusal('h={hour(born)}')).toMatch(/"born" of type date, which has no hours/)
  // A rename moves nothing: the fields are bound to ids.
  const bound = bindFolders('t', layoutOf('p={name}'), COLUMNS)
  const renamed = COLUMNS.map((one) => (one.name === 'name' ? { ...one, name: 'label' } : one))
  const resolved = resolveFolders('t', bound, renamed)
  expect(partitionFolder(resolved, [text('x')])).toBe('p=x')
  expect(() =>
    resolveFolders(
      't',
      bound,
      COLUMNS.filter(({ name }) => name !== 'name'),
    ),
  ).toThrow('has lost the column of folder p=')
})
