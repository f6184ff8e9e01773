// `__commit_time__`, commit_time() and event_time(): what they stand for in each kind of source.

import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import { BY_COMMITS, type RowTimes } from '../../operators/transform/options.ts'
import { operatorPlans } from '../../runtime/cli/operator-plans.ts'
import { Op } from '../../runtime/data/batch.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { batchOf } from '../writer/batches.ts'
import { rowsOf } from './laws.ts'
import { madeTable, NONE } from './made-table.ts'

const { table, schema } = madeTable('orders', {
  id: { kind: 'long' },
  at: { kind: 'timestamp' },
  ms: { kind: 'long' },
  name: { kind: 'string' },
})

/** What the projection makes of one row; its commit times are 1 s and 5 s after 1970. */
function computed(expression: string, times?: RowTimes): unknown {
  const projection = `id, ${expression} AS x`
  const plan = transformPlan({ ...NONE, projection }, 'append', undefined, 'new', times)
  const operator = plan.plan(table)
  const values = { id: 1n, at: 77n, ms: 3n, name: 'n' }
  const batch = batchOf(schema, [{ op: Op.insert, values }], 7n)
  const { transactions } = batch
  const found: unknown[] = []
  const never = (): never => expect.unreachable()
  operator.onBatch(
    {
      ...batch,
      transactions: {
        ...transactions,
        timeUs: BigInt64Array.of(1_000_000n),
        latestUs: BigInt64Array.of(5_000_000n),
      },
    },
    {
      emit: (made) =>
        found.push(...rowsOf(made, operator.output).map(({ values: row }) => row['x'])),
      filtered: never,
      dead: never,
    },
  )
  return found[0]
}

const byColumn = (column: string): RowTimes => ({ commits: true, event: { column, unit: null } })
const topic = (event: RowTimes['event']): RowTimes => ({ commits: false, event })

test('rows of a database have the latest commit time, and go by it without a column', () => {
  for (const expression of ['__commit_time__', 'commit_time()', 'event_time()', 'COMMIT_TIME()']) {
    expect(computed(expression), expression).toBe(5_000_000n)
    expect(computed(expression, BY_COMMITS), expression).toBe(5_000_000n)
  }
  expect(computed('__source_commit_time__')).toBe(1_000_000n)
  expect(computed('event_time()', byColumn('at'))).toBe(77n)
  // Tables without the column, or whose column tells no time, go by their commits.
  expect(computed('event_time()', byColumn('gone'))).toBe(5_000_000n)
  expect(computed('event_time()', byColumn('name'))).toBe(5_000_000n)
})

test('rows of topics have the time that the file says, and no commits', () => {
  const unit = null
  expect(computed('event_time()', topic({ column: 'at', unit }))).toBe(77n)
  expect(computed('event_time()', topic({ column: 'ms', unit: 'ms' }))).toBe(3000n)
  expect(computed('event_time()', topic({ column: 'ms', unit: 's' }))).toBe(3_000_000n)
  const stamp = topic({ column: '__source_commit_time__', unit })
  expect(computed('event_time()', stamp)).toBe(1_000_000n)
  expect(() => computed('event_time()', topic(null))).toThrow('event_time has no value here')
  expect(() => computed('commit_time()', stamp)).toThrow('commit_time has no value here')
  expect(() => computed('__commit_time__', stamp)).toThrow('there is no column "__commit_time__"')
  expect(() => computed('event_time(1)')).toThrow('event_time takes 0 arguments')
})

test('another event time is another transform, where it is asked for', () => {
  const semantics = (projection: string, times: RowTimes): string =>
    transformPlan({ ...NONE, projection }, 'append', undefined, 'new', times).semantics
  const [one, other] = [byColumn('at'), byColumn('ms')]
  expect(semantics('event_time() AS x', one)).not.toBe(semantics('event_time() AS x', other))
  expect(semantics('EVENT_TIME() AS x', one)).not.toBe(semantics('EVENT_TIME() AS x', other))
  expect(semantics('*', one)).toBe(semantics('*', other))
})

test('the pipeline file says it', () => {
  const file = (source: string): string =>
    COMPLETE.replace(/^source:\n/m, `source:\n${source}`) +
    'transform: [{ from: "public.*", projection: "id, event_time() AS x" }]\n'
  const typeOf = (source: string): unknown => {
    const plans = operatorPlans(loadPipeline(writeFile(file(source)), {}))
    const plan = plans.of({ namespace: 'public', name: 'orders' })?.plan(table)
    return plan?.output.columns[1]?.type
  }
  expect(typeOf('')).toEqual({ kind: 'timestamptz' })
  expect(typeOf('  event_time: { column: at }\n')).toEqual({ kind: 'timestamp' })
})
