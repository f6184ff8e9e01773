// What histories of rows do not reach: structure that changes while rows wait, memory that several
// tables share, and a backfill that begins anew in the middle of a transaction.

import { expect, test } from 'vitest'
import { Op, transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import { UnkeyedTables } from '../../runtime/flow/unkeyed-tables.ts'
import type { ChunkVisibility } from '../../runtime/source.ts'
import { batchOf, unkeyed } from './simulated-source.ts'

const { table, version } = unkeyed

function rowsAt(order: bigint): ChangeBatch {
  return batchOf(order, [Op.insert], [{ key: Number(order), value: 1 }])
}

/** Shows what is older than `end`. */
function before(end: bigint): ChunkVisibility {
  return {
    certainFrom: 0n,
    shows: (transactions, index) => transactionOrder(transactions, index) < end,
  }
}

test('rows that the chunk does not show go on when it is accepted', () => {
  const tables = new UnkeyedTables(1e6)
  tables.begin(table, 0n)
  for (const order of [1n, 2n, 3n]) expect(tables.take(rowsAt(order))).toBeNull()
  const passed = tables.accept(table, 1n, before(3n), version)
  expect(passed?.map(({ transactions }) => transactionOrder(transactions, 0))).toEqual([3n])
  expect(tables.take(rowsAt(2n))).toBeNull()
  expect(tables.take(rowsAt(4n))).toMatchObject({ rows: 1 })
  tables.end(table)
  expect(tables.take(rowsAt(2n))).toMatchObject({ rows: 1 })
})

test('rows of an older structure are left to a chunk that shows them', () => {
  const tables = new UnkeyedTables(1e6)
  tables.begin(table, 0n)
  tables.take(rowsAt(5n))
  expect(tables.accept(table, 1n, before(5n), version + 1)).toBeNull()
  expect(tables.accept(table, 5n, before(6n), version + 1)).toBeNull()
  expect(tables.accept(table, 6n, before(6n), version + 1)).toEqual([])
})

test('what there is no memory for is left to a chunk that shows it, of every table', () => {
  const tables = new UnkeyedTables(5000)
  tables.begin(table, 0n)
  tables.begin('shop.other', 0n)
  tables.take({ ...rowsAt(1n), table: 'shop.other' })
  tables.take(rowsAt(2n))
  tables.take(rowsAt(3n))
  tables.take(rowsAt(4n))
  expect(tables.accept('shop.other', 1n, before(2n), version)).toBeNull()
  expect(tables.accept('shop.other', 2n, before(2n), version)).toEqual([])
  expect(tables.accept(table, 3n, before(4n), version)).toBeNull()
  expect(tables.accept(table, 4n, before(4n), version)).toHaveLength(1)
})

test('a backfill that begins anew within a transaction waits for a chunk that shows it', () => {
  const tables = new UnkeyedTables(1e6)
  tables.begin(table, 0n)
  expect(tables.accept(table, 1n, { ...before(9n), shows: () => null }, version)).toEqual([])
  expect(tables.take(rowsAt(5n))).toBe('undecided')
  tables.begin(table, 3n)
  expect(tables.accept(table, 4n, before(5n), version)).toBeNull()
  expect(tables.accept(table, 6n, before(6n), version)).toEqual([])
})
