import fc from 'fast-check'
import { expect, test } from 'vitest'
import { firstOutside, scanEventTimes, TimeScan } from '../../runtime/data/event-times.ts'
import { Op } from '../../runtime/data/batch.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'

const DAY_US = 86_400_000_000n

/** By kind of column: microseconds of one. */
const UNITS = [
  ['timestamptz', 1n],
  ['date', DAY_US],
  ['long', 1000n],
] as const

const row = fc.record({
  op: fc.constantFrom(Op.insert, Op.update, Op.delete, Op.read),
  value: fc.oneof(
    { weight: 6, arbitrary: fc.bigInt(-(2n ** 40n), 2n ** 51n) },
    { weight: 1, arbitrary: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
    { weight: 1, arbitrary: fc.constantFrom('null' as const, 'unchanged' as const) },
  ),
})

function columnOf(
  kind: 'timestamptz' | 'date' | 'long',
  rows: readonly { value: bigint | string }[],
): Column {
  const builder = columnBuilder({ kind })
  for (const [index, { value }] of rows.entries()) {
    builder.reserveRows(index + 1)
    if (value === 'null') builder.setNull(index)
    else if (value === 'unchanged') builder.setUnchanged(index)
    else if ('values' in builder && typeof value === 'bigint') {
      if (kind === 'date') builder.values[index] = Number(BigInt.asIntN(24, value))
      else builder.values[index] = value
    }
  }
  return builder.view(rows.length)
}

test('the scan finds the latest time of the rows that have one, and counts the others', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('timestamptz' as const, 'date' as const),
      fc.array(row, { minLength: 1, maxLength: 60 }),
      fc.nat(60),
      fc.nat(60),
      fc.bigInt(0n, 2n ** 52n),
      (kind, rows, one, other, limit) => {
        const column = columnOf(kind, rows)
        const [from, to] = [one, other].map((at) => at % (rows.length + 1)).sort((a, b) => a - b)
        const scan = new TimeScan()
        const ops = Uint8Array.from(rows.map(({ op }) => op))
        scanEventTimes(column, ops, from!, to!, Number(limit), scan)
        const told = rows.flatMap(({ op }, index) => {
          const counts = op !== Op.delete && op !== Op.read && !isUnchanged(column, index)
          return counts && index >= from! && index < to! ? [index] : []
        })
        const times = told
          .filter((index) => !isNull(column, index))
          .map((index) => {
            const { values } = column as { values: ArrayLike<bigint | number> }
            return kind === 'date' ? BigInt(values[index]!) * DAY_US : (values[index] as bigint)
          })
        const usable = times.filter((time) => time <= limit)
        const latest = usable.reduce<bigint | null>(
          (most, time) => (most === null || time > most ? time : most),
          null,
        )
        const found = scan.timesOf('t', 's')
        // Beyond 2^53 a time is exact to a few units, and far outside every range that counts.
        if (latest === null || latest > -(2n ** 53n)) expect(found.maxUs).toBe(latest)
        expect(found.rows).toBe(told.length)
        expect(found.future).toBe(times.length - usable.length)
        expect(found.missing).toBe(told.length - times.length)
      },
    ),
    { numRuns: 3000, interruptAfterTimeLimit: 2000 },
  )
})

test('the first row outside of two times is that of a search row by row, in any unit', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...UNITS),
      fc.array(row, { minLength: 1, maxLength: 60 }),
      fc.bigInt(-(2n ** 40n), 2n ** 50n),
      fc.bigInt(0n, 2n ** 51n),
      ([kind, unit], rows, earliest, width) => {
        const column = columnOf(kind, rows)
        const ops = Uint8Array.from(rows.map(({ op }) => op))
        const latest = earliest + width
        const expected = rows.findIndex(({ op }, index) => {
          if (op === Op.delete || op === Op.read || isUnchanged(column, index)) return false
          if (isNull(column, index)) return true
          const { values } = column as { values: ArrayLike<bigint | number> }
          const time = BigInt(values[index]!) * unit
          return time < earliest || time > latest
        })
        const [low, high] = [Number(earliest), Number(latest)]
        const units = kind === 'long' ? [Number(unit)] : []
        expect(firstOutside(column, ops, 0, rows.length, low, high, ...units)).toBe(expected)
      },
    ),
    { numRuns: 3000, interruptAfterTimeLimit: 2000 },
  )
})
