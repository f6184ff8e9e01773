// The laws of operators (runtime/operator.ts), for any operator and any input: what leaves does not
// depend on how the rows were cut into batches, comes in the order in which it went in, is the same
// twice, and every row that went in has left or was counted.

import * as fc from 'fast-check'
import { expect } from 'vitest'
import { BATCH_ROWS_MAX, type ChangeBatch } from '../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import type { SourceTable, TableSchema } from '../../runtime/data/schema.ts'
import type { DeadRow, OperatorPlan } from '../../runtime/operator.ts'
import { batchOf, type TestRow } from '../writer/batches.ts'

export interface LeftRow {
  readonly op: number
  readonly order: bigint
  readonly sequence: number
  readonly values: Readonly<Record<string, unknown>>
}

export interface Ran {
  readonly rows: readonly LeftRow[]
  readonly filtered: number
  /** Set aside: by row of the input, what was wrong. */
  readonly dead: readonly DeadRow[]
}

/**
 * Runs a fresh operator over rows cut into batches of these sizes, repeated as needed.
 *
 * @param multiplies  a row may leave several times
 */
export function runOperator(
  plan: OperatorPlan,
  table: SourceTable,
  schema: TableSchema,
  rows: readonly TestRow[],
  cuts: readonly number[],
  multiplies = false,
): Ran {
  const operator = plan.plan(table)
  const left: LeftRow[] = []
  const dead: DeadRow[] = []
  let filtered = 0
  let [made, more] = [0, 0]
  for (let at = 0, cut = 0; at < rows.length; cut++) {
    const size = cuts[cut % cuts.length] ?? 1
    const part = rows.slice(at, at + size).map((row, index) => ({ sequence: at + index, ...row }))
    const start = at
    at += size
    operator.onBatch(batchOf(schema, part, 7n), {
      emit: (batch) => {
        made += batch.rows
        expect(batch.rows).toBeGreaterThan(0)
        expect(batch.rows).toBeLessThanOrEqual(BATCH_ROWS_MAX)
        left.push(...rowsOf(batch, operator.output))
      },
      filtered: (count) => {
        filtered += count
      },
      made: (count) => {
        more += count
      },
      dead: (found) => dead.push(...found.map((one) => ({ ...one, row: start + one.row }))),
    })
  }
  // Conservation: what has left has not been counted, and the other way round.
  const parents = new Set(left.map(({ order, sequence }) => `${order} ${sequence}`))
  expect(made + filtered + dead.length).toBe(rows.length + more)
  if (!multiplies) expect(more).toBe(0)
  else expect(parents.size).toBeLessThanOrEqual(rows.length)
  return { rows: left, filtered, dead }
}

/** Holds the laws for random rows; `check` may look at what left. */
export function holdLaws(
  plan: OperatorPlan,
  table: SourceTable,
  schema: TableSchema,
  row: fc.Arbitrary<TestRow>,
  check: (rows: readonly TestRow[], ran: Ran) => void,
  multiplies = false,
): void {
  const input = fc.array(row, { maxLength: 60 })
  const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(input, sizes, (rows, cuts) => {
      const run = (sizes: readonly number[]): Ran =>
        runOperator(plan, table, schema, rows, sizes, multiplies)
      const whole = run([Math.max(1, rows.length)])
      expect(run(cuts)).toEqual(whole)
      expect(run([1])).toEqual(whole)
      check(rows, whole)
    }),
    { numRuns: 150 },
  )
}

export function rowsOf(batch: ChangeBatch, { columns }: SourceTable): LeftRow[] {
  expect(batch.columns.map(({ type }) => type)).toEqual(columns.map(({ type }) => type))
  return Array.from({ length: batch.rows }, (_, row) => {
    const values = columns.map(({ name }, index) => [name, valueAt(batch.columns[index]!, row)])
    return {
      op: batch.ops[row]!,
      order: batch.transactions.orderLow[batch.transaction[row]!]!,
      sequence: batch.sequence[row]!,
      values: Object.fromEntries(values) as Record<string, unknown>,
    }
  })
}

function valueAt(column: Column, row: number): unknown {
  if (isNull(column, row)) return null
  if (isUnchanged(column, row)) return 'unchanged'
  switch (column.layout) {
    case 'bytes':
      return Buffer.from(
        column.bytes.subarray(column.offsets[row], column.offsets[row + 1]),
      ).toString()
    case 'bool8':
      return column.values[row] === 1
    case 'list': {
      const { child, offsets } = column
      const [from, to] = [offsets[row]!, offsets[row + 1]!]
      return Array.from({ length: to - from }, (_, at) => valueAt(child, from + at))
    }
    case 'uuid16':
    case 'int128':
      throw new Error(`no test looks at ${column.layout}`)
    default:
      return column.values[row]
  }
}
