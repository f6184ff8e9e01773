// What one chunk leaves in the memory of its connection is not seen by the next.

import { expect, test } from 'vitest'
import { ChunkMemory } from '../../connectors/postgres/chunk-memory.ts'
import type { TableBatch } from '../../connectors/postgres/table-batch.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { FixedBuilder } from '../../runtime/data/column/builder.ts'
import { isNull } from '../../runtime/data/column/column.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'

const STAMP = { serial: 0, lsn: 16, time2000Us: 0, latest2000Us: 0, xid: 0 }

function schemaOf(version: number): TableSchema {
  const type = { kind: 'int' } as const
  const field = { id: 1, elementId: null, identity: '1', name: 'a', type, nullable: true }
  const defaults = { initialDefault: null, writeDefault: null, comment: null }
  const fields = [{ ...field, ...defaults }] as unknown as TableSchema['fields']
  return { table: 'public.t', version, fields, key: null } as unknown as TableSchema
}

function put(batch: TableBatch, value: number | null): void {
  batch.reserveRow()
  const builder = batch.builders[0] as FixedBuilder
  if (value === null) builder.setNull(batch.rows)
  else builder.values[batch.rows] = value
  batch.endRow(Op.read, STAMP, batch.rows)
}

test('a batch is kept for its schema and epoch, and begins empty after a chunk that failed', () => {
  const memory = new ChunkMemory()
  const schema = schemaOf(1)
  const first = memory.batchOf(schema, 0)
  put(first, null)
  put(first, 7)
  const second = memory.batchOf(schema, 0)
  expect(second).toBe(first)
  put(second, 5)
  const taken = second.take()
  expect(taken.rows).toBe(1)
  expect(isNull(taken.columns[0]!, 0)).toBe(false)
  expect(memory.batchOf(schema, 1)).not.toBe(first)
  expect(memory.batchOf(schemaOf(1), 1).schema).not.toBe(schema)
})

test('a window is taken once, and one that a huge row has made is not kept', () => {
  const memory = new ChunkMemory()
  expect(memory.takeWindow()).toBeNull()
  const window = new Uint8Array(1024)
  memory.giveWindow(window)
  expect(memory.takeWindow()).toBe(window)
  expect(memory.takeWindow()).toBeNull()
  memory.giveWindow(new Uint8Array(9 * 1024 * 1024))
  expect(memory.takeWindow()).toBeNull()
})
