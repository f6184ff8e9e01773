// Files of our encoder mean to other readers what was put into them.

import { expect, test } from 'vitest'
import { ParquetEncoder, type ParquetOptions } from '../../connectors/parquet/encode/encoder.ts'
import { columnBuilder, type FixedBuilder } from '../../runtime/data/column/builder.ts'
import {
  cellsOf,
  columnOf,
  encodeTable,
  everyTypeTable,
  testTable,
  type TestTable,
  type Value,
} from './rows.ts'
import { metadataOf, readWithArrow, readWithDuckdb, readWithHyparquet } from './read-back.ts'

const integers = (count: number, value: (row: number) => Value): Value[] =>
  Array.from({ length: count }, (_, row) => value(row))

async function expectReadBack(table: TestTable, bytes: Uint8Array): Promise<void> {
  const expected = cellsOf(table)
  expect(await readWithHyparquet(bytes, table.fields)).toEqual(expected)
  expect(await readWithArrow(bytes, table.fields)).toEqual(expected)
  expect(await readWithDuckdb(bytes, table.fields)).toEqual(expected)
}

const variants: [string, ParquetOptions, number, number][] = [
  ['zstd', { compression: 'zstd' }, 60, Infinity],
  ['gzip', { compression: 'gzip' }, 60, Infinity],
  ['no compression', { compression: 'none' }, 61, Infinity],
  ['row groups of 7 rows', { compression: 'zstd', rowGroupRowsMax: 7 }, 60, 13],
  ['one row', { compression: 'zstd' }, 1, Infinity],
]

for (const [name, options, rows, batchRows] of variants) {
  test(`every type survives with ${name}`, async () => {
    const table = everyTypeTable(rows)
    const { bytes } = encodeTable(table, options, batchRows)
    await expectReadBack(table, bytes)
  })
}

test('a file without rows has a schema and no row groups', async () => {
  const table = everyTypeTable(0)
  const { bytes, metrics } = encodeTable(table)
  await expectReadBack(table, bytes)
  expect(metadataOf(bytes).row_groups).toEqual([])
  expect(metrics.rowCount).toBe(0)
  expect(metrics.bytes).toBe(bytes.length)
})

test('field ids, annotations, key values and column orders are in the footer', () => {
  const { bytes } = encodeTable(everyTypeTable(3), {
    keyValues: { 'iceberg.schema': '{"type":"struct"}' },
    createdBy: 'millrace test',
  })
  const metadata = metadataOf(bytes)
  const element = (name: string): object => metadata.schema.find((it) => it.name === name)!
  expect(metadata.created_by).toBe('millrace test')
  expect(metadata.key_value_metadata).toEqual([
    { key: 'iceberg.schema', value: '{"type":"struct"}' },
  ])
  expect(element('required_0')).toMatchObject({ field_id: 1, repetition_type: 'REQUIRED' })
  expect(element('nullable_0')).toMatchObject({ field_id: 3, repetition_type: 'OPTIONAL' })
  expect(element('list_0')).toMatchObject({ field_id: 7, converted_type: 'LIST' })
  expect(element('element')).toMatchObject({ field_id: 8, repetition_type: 'OPTIONAL' })
  expect(element('required_14')).toMatchObject({
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'MICROS' },
  })
  expect(element('required_15')).toMatchObject({
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  })
  expect(element('required_18')).toMatchObject({ type_length: 16, logical_type: { type: 'UUID' } })
  expect(element('required_10')).toMatchObject({ type_length: 16, precision: 38, scale: 0 })
  expect(element('required_9')).toMatchObject({ type_length: 9, precision: 19 })
})

test('a dictionary is used where it pays and given up where it does not', async () => {
  const rows = 40_000
  const table = testTable([
    { type: { kind: 'int' }, required: true, values: integers(rows, (row) => row % 100) },
    { type: { kind: 'int' }, required: true, values: integers(rows, (row) => row * 7919) },
    { type: { kind: 'string' }, required: false, values: integers(rows, (row) => `k${row % 997}`) },
    { type: { kind: 'string' }, required: true, values: integers(rows, (row) => `key-${row}`) },
    // Few distinct values in the sample's windows, then many: given up on the way.
    {
      type: { kind: 'long' },
      required: true,
      values: integers(rows, (row) => (row < 6000 ? 1n : BigInt(row))),
    },
    {
      type: { kind: 'timestamp' },
      required: true,
      values: integers(rows, (row) => BigInt(row >> 6)),
    },
    {
      type: { kind: 'uuid' },
      required: true,
      values: integers(rows, (row) => new Uint8Array(16).fill(row % 7)),
    },
    {
      type: { kind: 'double' },
      required: true,
      values: integers(rows, (row) => [0, -0, NaN][row % 3]!),
    },
  ])
  const { bytes } = encodeTable(table, {}, 16_384)
  await expectReadBack(table, bytes)
  const chunks = metadataOf(bytes).row_groups[0]!.columns.map((column) => column.meta_data!)
  const indexed = chunks.map((chunk) => chunk.encodings.includes('RLE_DICTIONARY'))
  expect(indexed).toEqual([true, false, true, false, false, true, true, true])
})

test('runs, packed groups and their borders are what the hybrid encoding says', async () => {
  const lengths = [1, 7, 8, 9, 23, 24, 25, 31, 33, 64, 100, 3, 1, 1, 40]
  const values = lengths.flatMap((length, at) =>
    Array.from({ length }, (_, step) => (at % 3 === 2 ? (step * 5 + at) % 40 : at)),
  )
  const nulls = values.map((value, row) => (row % 50 < 27 ? null : value))
  const table = testTable([
    { type: { kind: 'int' }, required: true, values },
    { type: { kind: 'int' }, required: false, values: nulls },
    { type: { kind: 'string' }, required: true, values: values.map((value) => `value ${value}`) },
  ])
  await expectReadBack(table, encodeTable(table).bytes)
})

test('pages are cut by rows and by bytes, and empty values cost nothing', async () => {
  const rows = 140_000
  const table = testTable([
    { type: { kind: 'long' }, required: true, values: integers(rows, (row) => BigInt(row)) },
    {
      type: { kind: 'binary' },
      required: false,
      values: integers(rows, (row) =>
        row % 1000 === 0
          ? new Uint8Array(100_000).fill(row >> 8)
          : row % 2
            ? null
            : new Uint8Array(),
      ),
    },
    {
      type: { kind: 'list', element: { kind: 'int' } },
      required: false,
      values: integers(rows, (row) => (row % 10 === 0 ? null : row % 3 === 0 ? [] : [row, null])),
    },
  ])
  const { bytes } = encodeTable(table, { compression: 'zstd' }, 10_000)
  const expected = cellsOf(table)
  expect(await readWithHyparquet(bytes, table.fields)).toEqual(expected)
  expect(await readWithDuckdb(bytes, table.fields)).toEqual(expected)
})

test('a selection picks rows, and a batch is cut at the row group limit', async () => {
  const values = integers(1000, (row) => (row % 9 === 0 ? null : `row ${row}`))
  const table = testTable([
    { type: { kind: 'string' }, required: false, values },
    { type: { kind: 'long' }, required: true, values: integers(1000, (row) => BigInt(row)) },
  ])
  const columns = table.fields.map((field, at) => columnOf(field.type, table.values[at]!))
  const selection = Int32Array.from({ length: 300 }, (_, at) => at * 3)
  const encoder = new ParquetEncoder(table.fields, { rowGroupRowsMax: 128 })
  const groups = [...encoder.append(columns, 300, selection)]
  expect(encoder.bufferedRows).toBe(44)
  groups.push(encoder.encodeRowGroup())
  expect(groups.map(({ rows }) => rows)).toEqual([128, 128, 44])
  const chunks = [...groups.flatMap((group) => group.chunks), ...encoder.finish().chunks]
  const picked: TestTable = {
    fields: table.fields,
    values: table.values.map((column) => Array.from(selection, (row) => column[row]!)),
  }
  await expectReadBack(picked, Buffer.concat(chunks))
})

test('a row group is full at its byte limit', () => {
  const table = testTable([
    { type: { kind: 'string' }, required: true, values: integers(100, () => 'x'.repeat(1000)) },
  ])
  const encoder = new ParquetEncoder(table.fields, { rowGroupBytesMax: 150_000 })
  const columns = [columnOf({ kind: 'string' }, table.values[0]!)]
  const groups = [1, 2, 3].map(() => encoder.append(columns, 100, null))
  expect(groups.map((full) => full.map(({ rows }) => rows))).toEqual([[], [200], []])
  expect(encoder.bufferedRows).toBe(100)
})

test('a file continued from a saved state is the file written in one go', () => {
  const table = everyTypeTable(60)
  const whole = encodeTable(table, { rowGroupRowsMax: 20 }).bytes
  const columns = table.fields.map((field, at) => columnOf(field.type, table.values[at]!))
  const options: ParquetOptions = { rowGroupRowsMax: 20 }
  let encoder = new ParquetEncoder(table.fields, options)
  const chunks: Uint8Array[] = []
  for (let start = 0; start < 60; start += 20) {
    const selection = Int32Array.from({ length: 20 }, (_, at) => start + at)
    const full = encoder.append(columns, 20, selection)
    chunks.push(...full.flatMap((group) => group.chunks))
    encoder = new ParquetEncoder(table.fields, options, structuredClone(encoder.save()))
    expect(encoder.rowCount).toBe(start + 20)
  }
  const footer = encoder.finish()
  chunks.push(...footer.chunks)
  expect(Buffer.concat(chunks).equals(whole)).toBe(true)
  expect(footer.metrics).toEqual(encodeTable(table, options).metrics)
})

test('a buffered row can be read until its row group is encoded', () => {
  const table = testTable([
    { type: { kind: 'int' }, required: true, values: integers(30, (row) => row) },
  ])
  const encoder = new ParquetEncoder(table.fields, { rowGroupRowsMax: 20 })
  encoder.append([columnOf({ kind: 'int' }, table.values[0]!)], 30, null)
  const at = (position: number): unknown => {
    const buffered = encoder.bufferedRow(position)
    if (buffered === null) return null
    const column = buffered.group.column(0)
    return column.layout === 'int32' ? column.values[buffered.row] : undefined
  }
  expect([0, 19, 20, 29, 30].map(at)).toEqual([null, null, 20, 29, null])
  encoder.encodeRowGroup()
  expect([0, 19, 20, 29, 30].map(at)).toEqual([null, null, null, null, null])
})

test('unchanged values, nulls in required fields and foreign types are refused', () => {
  const field = { id: 1, name: 'a', type: { kind: 'int' }, required: true } as const
  const encoder = new ParquetEncoder([field])
  const builder = columnBuilder({ kind: 'int' }) as FixedBuilder
  builder.reserveRows(2)
  builder.values[0] = 1
  builder.setUnchanged(1)
  expect(() => encoder.append([builder.view(2)], 2, null)).toThrow(/unchanged/)
  expect(() => encoder.append([columnOf({ kind: 'int' }, [1, null])], 2, null)).toThrow(/required/)
  expect(() => encoder.append([columnOf({ kind: 'date' }, [1, 2])], 2, null)).toThrow(/type/)
  expect(() => encoder.append([], 2, null)).toThrow(/column/)
  encoder.append([builder.view(2)], 1, Int32Array.of(0))
  expect(encoder.bufferedRows).toBe(1)
})
