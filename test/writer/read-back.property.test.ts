// Values that go into a data file and come back by position are the same values, for every type,
// for columns that were added or widened since, and through the JSON of the checkpoint.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DataFile } from '../../connectors/parquet/table/data-file.ts'
import {
  rawOf,
  rawOfLiteral,
  restoreValue,
  setRaw,
  storeValue,
  type RawValue,
} from '../../connectors/iceberg/writer/raw-values.ts'
import { ReadBack } from '../../connectors/iceberg/writer/read-back.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType, PrimitiveType } from '../../runtime/data/type.ts'
import { memoryStore } from '../index/memory-store.ts'
import { field } from './batches.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

function values(type: PrimitiveType): fc.Arbitrary<RawValue> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean()
    case 'int':
    case 'date':
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return int64
    case 'float':
      return fc.float()
    case 'double':
      return fc.double()
    case 'decimal': {
      const limit = 10n ** BigInt(type.precision) - 1n
      return fc.bigInt({ min: -limit, max: limit })
    }
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 })
    case 'string':
    case 'binary':
      return fc.uint8Array({ maxLength: 60 })
  }
}

const kinds = ['boolean', 'int', 'long', 'float', 'double', 'date', 'time', 'timestamp'] as const
const primitives: PrimitiveType[] = [
  ...kinds.map((kind) => ({ kind })),
  { kind: 'timestamptz' },
  { kind: 'string' },
  { kind: 'uuid' },
  { kind: 'binary' },
  ...[5, 9, 10, 18, 19, 38].map((precision) => ({ kind: 'decimal' as const, precision, scale: 2 })),
]
const types: ColumnType[] = [
  ...primitives,
  ...primitives.map((element) => ({ kind: 'list' as const, element })),
]
const fields = types.map((type, at) => {
  const elementId = type.kind === 'list' ? 1000 + at : null
  return field(at + 1, `c${at}`, type, { elementId })
})

const cells = fields.map(({ type }): fc.Arbitrary<RawValue> => {
  if (type.kind !== 'list') return fc.option(values(type))
  return fc.option(fc.array(fc.option(values(type.element)), { maxLength: 3 }))
})
const rows = fc.array(fc.tuple(...cells), { minLength: 1, maxLength: 70 })

function columnsOf(table: readonly (readonly RawValue[])[]): Column[] {
  return fields.map(({ type }, at) => {
    const builder = columnBuilder(type)
    table.forEach((row, index) => setRaw(builder, index, row[at]!))
    return builder.view(table.length)
  })
}

test('what is read back by position is what was written, for every type', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.infiniteStream(fc.boolean()), async (table, chosen) => {
      const columns = columnsOf(table)
      const store = memoryStore()
      const file = new DataFile(fields, {
        store,
        fileId: 1,
        path: 'x',
        schemaVersion: 0,
        partition: null,
        parquet: { rowGroupRowsMax: 24, pageRowsMax: 8 },
      })
      await file.append(columns, table.length, null)
      await file.finish()
      const positions = table.flatMap((_, row) => (chosen.next().value === true ? [row] : []))
      const read = await new ReadBack(store).read('x', fields, positions)
      for (const [at, column] of columns.entries()) {
        const expected = positions.map((row) => rawOf(column, row))
        expect(read[at], fields[at]!.name).toEqual(expected)
        expect(expected.map(storeValue).map(restoreValue)).toEqual(expected)
      }
    }),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 1000 },
  )
}, 120_000)

test('a column that the file lacks has its default, a widened one its value', async () => {
  const store = memoryStore()
  const before = [
    field(1, 'a', { kind: 'int' }),
    field(2, 'b', { kind: 'float' }),
    field(3, 'c', { kind: 'decimal', precision: 9, scale: 1 }),
    field(4, 'd', { kind: 'list', element: { kind: 'int' } }, { elementId: 5 }),
  ]
  const row: RawValue[] = [-7, 1.5, -123n, [1, null, 3]]
  const file = new DataFile(before, {
    store,
    fileId: 1,
    path: 'x',
    schemaVersion: 0,
    partition: null,
    parquet: {},
  })
  const columns = before.map(({ type }, at) => {
    const builder = columnBuilder(type)
    setRaw(builder, 0, row[at]!)
    return builder.view(1)
  })
  await file.append(columns, 1, null)
  await file.finish()
  const after = [
    { ...before[0]!, name: 'renamed', type: { kind: 'long' } as const },
    { ...before[1]!, type: { kind: 'double' } as const },
    { ...before[2]!, type: { kind: 'decimal', precision: 30, scale: 1 } as const },
    { ...before[3]!, type: { kind: 'list', element: { kind: 'long' } } as const },
    field(6, 'text', { kind: 'string' }, { initialDefault: 'é' }),
    field(7, 'day', { kind: 'date' }, { initialDefault: 10n }),
    field(8, 'none', { kind: 'long' }),
  ]
  const read = await new ReadBack(store).read('x', after, [0])
  const cells = after.map(({ type }, at) => {
    const builder = columnBuilder(type)
    setRaw(builder, 0, read[at]![0]!)
    return rawOf(builder.view(1), 0)
  })
  const text = new Uint8Array(Buffer.from('é'))
  expect(cells).toEqual([-7n, 1.5, -123n, [1n, null, 3n], text, 10, null])
  expect(rawOfLiteral(5n, { kind: 'int' })).toBe(5)
})

test('a damaged data file is an error of the lake, not a crash', async () => {
  const store = memoryStore()
  await store.put('x', new Uint8Array(100))
  const wanted = [field(1, 'a', { kind: 'int' })]
  await expect(new ReadBack(store).read('x', wanted, [0])).rejects.toMatchObject({
    error: 'LAKE_FORMAT',
  })
})
