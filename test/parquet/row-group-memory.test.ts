// Builders that one file has used serve the next of the same columns, and show nothing of it.

import { expect, test } from 'vitest'
import type { BytesBuilder } from '../../runtime/data/column/builder.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { ParquetEncoder } from '../../connectors/parquet/encode/encoder.ts'
import { RowGroupMemory } from '../../connectors/parquet/encode/row-group-memory.ts'
import { columnOf, encodeTable, everyTypeTable } from './rows.ts'

const TEXT: ColumnType = { kind: 'string' }

function grownTo(memory: RowGroupMemory, type: ColumnType, bytes: number): BytesBuilder {
  const [builder] = memory.take([type]) as [BytesBuilder]
  builder.reserveRows(1)
  builder.reserveBytes(bytes)
  return builder
}

test('what was given is taken once, by the same types only', () => {
  const memory = new RowGroupMemory()
  const text = grownTo(memory, TEXT, 100_000)
  text.setBytes(0, Uint8Array.of(1, 2, 3), 0, 3)
  memory.give([text])
  expect(memory.take([{ kind: 'binary' }])[0]).not.toBe(text)
  expect(memory.take([TEXT, TEXT])).toHaveLength(2)
  expect(memory.take([TEXT])[0]).toBe(text)
  expect(text.bytesLength).toBe(0)
  expect(memory.take([TEXT])[0]).not.toBe(text)
})

test('the oldest leave when there is too much', () => {
  const memory = new RowGroupMemory(300_000)
  const types: ColumnType[] = [TEXT, { kind: 'binary' }]
  const kept = types.map((type) => grownTo(memory, type, 200_000))
  memory.give([kept[0]!])
  memory.give([kept[1]!])
  expect(memory.take([types[0]!])[0]).not.toBe(kept[0])
  expect(memory.take([types[1]!])[0]).toBe(kept[1])
})

test('a file in used memory is the file in fresh memory', () => {
  const before = everyTypeTable(500)
  const table = everyTypeTable(120)
  const memory = new RowGroupMemory()
  const nulls = new ParquetEncoder(before.fields, { memory })
  const columns = before.fields.map((field, at) => columnOf(field.type, before.values[at]!))
  nulls.append(columns, 500, null)
  nulls.encodeRowGroup()
  nulls.finish()
  const fresh = encodeTable(table, { rowGroupRowsMax: 50 })
  const used = encodeTable(table, { rowGroupRowsMax: 50, memory })
  expect(Buffer.compare(used.bytes, fresh.bytes)).toBe(0)
  expect(used.metrics).toEqual(fresh.metrics)
})
