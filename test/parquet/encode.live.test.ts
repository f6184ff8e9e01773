// Files of our encoder read by Arrow's C++ reader (pyarrow), in the form in which all of the
// project's readers state rows. Needs a Python, which the readers bring along.

import { expect, test } from 'vitest'
import type { ParquetOptions } from '../../connectors/parquet/encode/encoder.ts'
import { differenceOf, tableDump } from '../readers/canonical.ts'
import { readParquetWithPyarrow } from '../readers/pyarrow.ts'
import { cellsOf, encodeTable, everyTypeTable, type TestTable } from './rows.ts'
import { withFile } from './read-back.ts'

const variants: [string, ParquetOptions, number][] = [
  ['zstd and one row group', {}, 200],
  ['gzip and pages of 8 rows', { compression: 'gzip', pageRowsMax: 8 }, 61],
  ['no compression and row groups of 7 rows', { compression: 'none', rowGroupRowsMax: 7 }, 60],
  ['no rows', {}, 0],
]

async function expectDump(table: TestTable, options: ParquetOptions): Promise<void> {
  const columns = table.fields.map(({ name }) => name)
  const expected = tableDump('written', columns, cellsOf(table))
  await withFile(encodeTable(table, options).bytes, async (path) => {
    const [dump] = await readParquetWithPyarrow([path])
    expect(differenceOf(expected, dump!)).toEqual({ missing: [], extra: [] })
  })
}

for (const [name, options, rows] of variants) {
  test(`pyarrow reads every type with ${name}`, async () => {
    await expectDump(everyTypeTable(rows), options)
  })
}
