import { expect, test } from 'vitest'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { VersionGuard } from '../../runtime/flow/version-guard.ts'

/** One row, always of the same key: of a transaction, or of a chunk with that LOW. */
function rowOf(table: string, op: Op, order: bigint): ChangeBatch {
  return {
    kind: 'changes',
    table,
    schemaVersion: 0,
    rows: 1,
    ops: Uint8Array.of(op),
    columns: [],
    transactions: {
      count: 1,
      orderHigh: 0n,
      orderLow: BigUint64Array.of(order),
      timeUs: BigInt64Array.of(0n),
      idOffsets: Int32Array.of(0, 0),
      idBytes: new Uint8Array(0),
    },
    transaction: Uint32Array.of(0),
    sequence: Uint32Array.of(0),
    keyHash: Int32Array.of(1, 2),
  }
}

test('a TRUNCATE takes chunk rows that are not newer', () => {
  const guard = new VersionGuard()
  guard.start('t', null)
  guard.truncate('t', 5n)
  expect(guard.judge(rowOf('t', Op.read, 5n)).selection).toEqual(new Int32Array(0))
  expect(guard.judge(rowOf('t', Op.read, 6n)).selection).toBeNull()
})

test('a table that takes a name during a hand-over keeps its rows', () => {
  const guard = new VersionGuard()
  guard.start('t', null)
  // The old table is dropped, the new one begins; on an idle log its LOW is the place of both.
  guard.truncate('t', 5n)
  guard.start('t', null)
  expect(guard.judge(rowOf('t', Op.read, 5n)).selection).toBeNull()
})

test('a backfill that begins anew loses to the log rows of before its start', () => {
  const guard = new VersionGuard()
  guard.start('t', null)
  guard.judge(rowOf('t', Op.update, 7n))
  guard.start('t', null)
  expect(guard.judge(rowOf('t', Op.read, 5n)).selection).toEqual(new Int32Array(0))
  expect(guard.judge(rowOf('t', Op.read, 8n)).selection).toBeNull()
})
