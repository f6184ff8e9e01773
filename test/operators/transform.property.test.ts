import { createHash, createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import type { SinkKind, TransformOptions } from '../../operators/transform/options.ts'
import { chained } from '../../runtime/cli/operator-chain.ts'
import { Op } from '../../runtime/data/batch.ts'
import { batchOf, UNCHANGED, type TestRow } from '../writer/batches.ts'
import { holdLaws, runOperator, type LeftRow } from './laws.ts'
import { madeTable, NONE } from './made-table.ts'

const { table, schema } = madeTable('orders', {
  id: { kind: 'long' },
  city: { kind: 'string' },
  amount: { kind: 'long' },
  gone: { kind: 'boolean' },
})

function plan(options: Partial<TransformOptions>, sink: SinkKind = 'upsert') {
  return transformPlan({ ...NONE, ...options }, sink)
}

/** A delete carries the key alone. */
const row: fc.Arbitrary<TestRow> = fc
  .record({
    op: fc.constantFrom(Op.insert, Op.update, Op.delete, Op.read),
    id: fc.bigInt({ min: 0n, max: 5n }),
    city: fc.option(fc.constantFrom('Bonn', 'bonn', 'Ulm', ''), { nil: undefined }),
    amount: fc.option(fc.bigInt({ min: -3n, max: 3n }), { nil: undefined }),
    gone: fc.option(fc.boolean(), { nil: undefined }),
  })
  .map(({ op, id, city, amount, gone }) => {
    const nothing = { city: undefined, amount: undefined, gone: undefined }
    const rest = op === Op.delete ? nothing : { city, amount, gone }
    return { op, values: { id, ...rest } }
  })

function shown({ op, values }: { op: number; values: Readonly<Record<string, unknown>> }): unknown {
  return { op, values }
}

function expected(
  rows: readonly TestRow[],
  change: (row: TestRow) => { op: number; values: Record<string, unknown> } | null,
): unknown[] {
  return rows.flatMap((row) => change(row) ?? [])
}

test('a projection computes, renames and leaves out, for deletes as well', () => {
  const projection = 'id, upper(city) AS city_up, amount + 1 AS next, __op__ AS what, __db__ AS db'
  holdLaws(plan({ projection }), table, schema, row, (rows, ran) => {
    const model = expected(rows, ({ op, values: { id, city, amount } }) => ({
      op,
      values: {
        id,
        city_up: city === undefined ? null : String(city).toUpperCase(),
        next: amount === undefined ? null : (amount as bigint) + 1n,
        what: 'cudr'[op],
        db: 'shop',
      },
    }))
    expect(ran.rows.map(shown)).toEqual(model)
  })
})

test('an update that does not pass a filter leaves as a delete, and deletes always leave', () => {
  holdLaws(plan({ filter: 'amount > 0' }), table, schema, row, (rows, ran) => {
    const model = expected(rows, ({ op, values }) => {
      const passes = typeof values['amount'] === 'bigint' && values['amount'] > 0n
      const all = Object.fromEntries(
        Object.entries(values).map(([name, value]) => [name, value ?? null]),
      )
      if (passes || op === Op.delete) return { op, values: all }
      return op === Op.update ? { op: Op.delete, values: all } : null
    })
    expect(ran.rows.map(shown)).toEqual(model)
  })
})

test('a filter by the key takes every change of its rows out, and nothing else', () => {
  holdLaws(plan({ filter: 'id % 2 = 0', projection: 'id' }), table, schema, row, (rows, ran) => {
    const model = expected(rows, ({ op, values: { id } }) =>
      (id as bigint) % 2n === 0n ? { op, values: { id } } : null,
    )
    expect(ran.rows.map(shown)).toEqual(model)
  })
})

/** The tables that a sink in mode `upsert` would have. */
function upserted(rows: readonly LeftRow[]): Map<unknown, unknown> {
  const lake = new Map<unknown, unknown>()
  for (const { op, values } of rows) {
    if (op === Op.delete) lake.delete(values['id'])
    else lake.set(values['id'], values)
  }
  return lake
}

test('what a filtered table holds is what a filter of the whole table would show', () => {
  holdLaws(plan({ filter: "city = 'Bonn' AND NOT gone" }), table, schema, row, (rows, ran) => {
    // Whatever an insert finds under its key, a source has deleted it before.
    const source = new Map<unknown, Record<string, unknown>>()
    const changes = rows.filter(({ op, values: { id } }) => {
      const there = source.has(id)
      if (op === Op.delete) return source.delete(id)
      if ((op === Op.insert || op === Op.read) === there) return false
      source.set(id, { id })
      return true
    })
    const all = runOperator(plan({}), table, schema, changes, [100])
    const some = runOperator(
      plan({ filter: "city = 'Bonn' AND NOT gone" }),
      table,
      schema,
      changes,
      [100],
    )
    const shows = [...upserted(all.rows)].filter(([, values]) => {
      const { city, gone } = values as Record<string, unknown>
      return city === 'Bonn' && gone === false
    })
    expect(upserted(some.rows)).toEqual(new Map(shows))
    expect(ran.filtered).toBeLessThanOrEqual(rows.length)
  })
})

test('a filtered topic holds the newest record of each key, or none if that does not pass', () => {
  const filter = "city = 'Bonn' AND NOT gone"
  const topic = transformPlan({ ...NONE, filter }, 'upsert', undefined, 'unknown')
  holdLaws(topic, table, schema, row, (rows, ran) => {
    // Nothing is deleted before a record comes that says something else of its key.
    const all = runOperator(plan({}), table, schema, rows, [100])
    const shows = [...upserted(all.rows)].filter(([, values]) => {
      const { city, gone } = values as Record<string, unknown>
      return city === 'Bonn' && gone === false
    })
    expect(upserted(ran.rows)).toEqual(new Map(shows))
  })
})

test('a soft delete is an update that keeps what the row had', () => {
  const softDelete = { column: 'is_deleted', at: 'deleted_at' }
  holdLaws(plan({ softDelete }), table, schema, row, (rows, ran) => {
    const model = expected(rows, ({ op, values }) => {
      const live = { is_deleted: false, deleted_at: null }
      if (op !== Op.delete) {
        const all = Object.entries(values).map(([name, value]) => [name, value ?? null])
        return { op, values: { ...Object.fromEntries(all), ...live } as Record<string, unknown> }
      }
      const kept = { city: 'unchanged', amount: 'unchanged', gone: 'unchanged' }
      const marks = { is_deleted: true, deleted_at: 1_000_007n }
      return { op: Op.update, values: { id: values['id'], ...kept, ...marks } }
    })
    expect(ran.rows.map(shown)).toEqual(model)
  })
})

test('casts and masks take the place of what passes on, and expressions see what they hide', () => {
  const options = {
    projection: '*, lower(city) AS city_low',
    cast: { id: 'string', amount: 'double' },
    mask: { gone: 'drop', city: "'***'" },
  }
  holdLaws(plan(options), table, schema, row, (rows, ran) => {
    const model = expected(rows, ({ op, values: { id, city, amount } }) => ({
      op,
      values: {
        id: String(id),
        city: '***',
        amount: amount === undefined ? null : Number(amount),
        city_low: city === undefined ? null : String(city).toLowerCase(),
      },
    }))
    expect(ran.rows.map(shown)).toEqual(model)
  })
})

test('a row that cannot be computed stops its batch before any of it left, or is null', () => {
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, amount: 1n } },
    { op: Op.insert, values: { id: 2n, amount: 0n } },
  ]
  const projection = 'id, 10 / amount AS share'
  expect(() => runOperator(plan({ projection }), table, schema, rows, [9])).toThrow(
    /table "shop\.orders": .* in 10 \/ amount/,
  )
  const lenient = runOperator(plan({ projection, onError: 'null' }), table, schema, rows, [9])
  expect(lenient.rows.map(({ values }) => values['share'])).toEqual([10n, null])
  // A filter is never null: nobody knows whether the row is wanted.
  const filter = '10 / amount > 1'
  expect(() => runOperator(plan({ filter, onError: 'null' }), table, schema, rows, [9])).toThrow(
    /10 \/ amount/,
  )
})

test('rows that cannot be computed are set aside, and their neighbours leave as if alone', () => {
  const options = {
    projection: '*, 6 / amount AS share, CAST(city AS long) AS number',
    filter: "amount >= -2 OR city = 'Ulm' OR 1 / amount = 1",
    onError: 'dlq' as const,
  }
  const isDead = ({ op, values: { city, amount } }: TestRow): boolean => {
    if (op === Op.delete) return false
    const passes = (amount !== undefined && (amount as bigint) >= -2n) || city === 'Ulm'
    // A delete takes the place of an update that does not pass, and needs no values.
    return passes && (amount === 0n || city !== undefined)
  }
  holdLaws(plan(options), table, schema, row, (rows, ran) => {
    const dead = [...rows.keys()].filter((at) => isDead(rows[at]!))
    expect(ran.dead.map((one) => one.row)).toEqual(dead)
    const alive = rows.map((one, sequence) => ({ sequence, ...one })).filter((one) => !isDead(one))
    if (alive.length === 0) return
    const alone = runOperator(plan(options), table, schema, alive, [100])
    expect(ran.rows).toEqual(alone.rows)
    for (const { column, expression } of ran.dead) {
      expect([
        ['share', '6 / amount'],
        ['number', 'CAST(city AS long)'],
      ]).toContainEqual([column, expression])
    }
  })
})

test('a row that the filter cannot judge is set aside, and does not leave as a delete', () => {
  const rows: TestRow[] = [
    { op: Op.update, values: { id: 1n, amount: 0n } },
    { op: Op.update, values: { id: 2n, amount: -1n } },
    { op: Op.update, values: { id: 3n, amount: 1n } },
  ]
  const ran = runOperator(
    plan({ filter: '1 / amount > 0', onError: 'dlq' }),
    table,
    schema,
    rows,
    [9],
  )
  expect(ran.dead).toMatchObject([{ row: 0, column: null, expression: '1 / amount' }])
  expect(ran.rows.map(({ op, values }) => [op, values['id']])).toEqual([
    [Op.delete, 2n],
    [Op.update, 3n],
  ])
})

test('what one operator sets aside is told only when the one behind it has not failed', () => {
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, amount: 0n } },
    { op: Op.insert, values: { id: 2n, amount: 2n } },
  ]
  const first = plan({ projection: 'id, 4 / amount AS share', onError: 'dlq' })
  const through = chained(first, plan({ projection: 'id, 1 / (share - 1) AS other' }))!
  const ran = runOperator(through, table, schema, rows, [9])
  expect(ran.dead).toMatchObject([{ row: 0, column: 'share' }])
  expect(ran.rows.map(({ values }) => values)).toEqual([{ id: 2n, other: 1n }])
  const failing = chained(first, plan({ projection: 'id, 1 / (share - 2) AS other' }))!
  const operator = failing.plan(table)
  const nothing = (): never => expect.fail('something has left')
  expect(() =>
    operator.onBatch(batchOf(schema, rows, 7n), {
      emit: nothing,
      filtered: nothing,
      dead: nothing,
    }),
  ).toThrow('division by zero')
})

test('a value that the log does not carry passes on, and no expression takes it for another', () => {
  const rows: TestRow[] = [{ op: Op.update, values: { id: 1n, city: UNCHANGED, amount: 2n } }]
  const passed = runOperator(plan({ projection: '*, amount + 1 AS n' }), table, schema, rows, [1])
  expect(passed.rows[0]?.values).toMatchObject({ city: 'unchanged', n: 3n })
  const reads = plan({ projection: '*, upper(city) AS up' })
  expect(() => runOperator(reads, table, schema, rows, [1])).toThrow('the log does not carry')
})

const refusals: readonly (readonly [Partial<TransformOptions>, SinkKind, string])[] = [
  [{ projection: 'city' }, 'upsert', 'key column "id" does not leave as it is'],
  [{ projection: 'city' }, 'append', 'key column "id" does not leave as it is'],
  [{ projection: 'id + 1 AS id, city' }, 'upsert', 'key column "id" does not leave as it is'],
  [{ mask: { id: 'drop' } }, 'upsert', 'key column "id" does not leave as it is'],
  [{ cast: { id: 'int' } }, 'upsert', 'key column "id" does not leave as it is'],
  [{ primaryKeys: ['id', 'amount'] }, 'upsert', '"amount" of `primary_keys` can be null'],
  [{ primaryKeys: ['nope', 'id'] }, 'upsert', 'names "nope", which does not leave'],
  [
    { primaryKeys: ['shard'], projection: '*, __db__ AS shard' },
    'upsert',
    '`primary_keys` lacks "id", a key column',
  ],
  [
    { primaryKeys: ['id', 'n'], projection: '*, coalesce(amount, 0) AS n' },
    'upsert',
    'column "n" of `primary_keys` is no key column of the source',
  ],
  [{ filter: 'amount > 0' }, 'changelog', 'a changelog cannot be filtered by columns that change'],
  [
    { filter: 'amount > 0', softDelete: { column: 'd', at: null } },
    'upsert',
    'a filter on columns and `soft_delete` exclude each other',
  ],
  [{ softDelete: { column: 'd', at: null } }, 'append', '`soft_delete` has no use in mode append'],
  [{ softDelete: { column: 'city', at: null } }, 'upsert', 'has a column "city" of its own'],
  [{ mask: { email: 'drop' } }, 'upsert', '`mask` names column "email", which is not there'],
  [{ projection: 'id, upper(citty) AS c' }, 'upsert', 'there is no column "citty"'],
]

for (const [options, sink, message] of refusals) {
  test(`refused before a row is read in ${sink}: ${JSON.stringify(options)}`, () => {
    expect(() => plan(options, sink).plan(table)).toThrow(message)
  })
}

test('a shard column joins the key of a table', () => {
  const { output } = plan({
    primaryKeys: ['shard', 'id'],
    projection: '*, __db__ AS shard',
  }).plan(table)
  expect(output.key).toEqual(['expr:shard', 'c.id'])
})

test('the masks that have names hide what they say', () => {
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 7n, city: 'ann.b@mail.io 12', amount: 1n } },
  ]
  const masked = (mask: string): unknown => {
    const options = { mask: { city: mask }, projection: 'id, city' }
    return runOperator(plan(options), table, schema, rows, [1]).rows[0]?.values['city']
  }
  const digest = createHash('sha256').update('ann.b@mail.io 12').digest('hex')
  expect(masked('sha256')).toBe(digest)
  expect(masked('partial(2,4)')).toBe('an**********o 12')
  expect(masked('digits')).toBe('ann.b@mail.io **')
  expect(masked('all')).toBe('****')
  expect(masked('email')).toBe('a****@mail.io 12')
  expect(() => masked('hmac_sha256')).toThrow('needs a key')
})

test('a mask by a key gives what the key gives, also to a column of the key, and shows no key', () => {
  const key = Buffer.from('sixteen bytes at least')
  const options = { ...NONE, mask: { id: 'hmac_sha256' }, projection: 'id' }
  const keyed = transformPlan(options, 'upsert', () => key)
  const rows: TestRow[] = [{ op: Op.insert, values: { id: 7n } }]
  const [row] = runOperator(keyed, table, schema, rows, [1]).rows
  expect(row?.values['id']).toBe(createHmac('sha256', key).update('7').digest('hex'))
  const other = transformPlan(options, 'upsert', () => Buffer.from('another key of many bytes'))
  expect(other.semantics).not.toBe(keyed.semantics)
  expect(keyed.semantics).not.toContain('sixteen')
})

test('where rows are set aside, a value that the log does not carry is taken from no other row', () => {
  const rows: TestRow[] = [{ op: Op.update, values: { id: 1n, city: UNCHANGED, amount: 2n } }]
  const run = (sink: SinkKind) => {
    const options = { projection: '*, 1 / amount AS n', onError: 'dlq' as const }
    return runOperator(plan(options, sink), table, schema, rows, [1])
  }
  expect(() => run('upsert')).toThrow('`on_error: dlq` reads a value that the log does not carry')
  expect(run('changelog').rows).toHaveLength(1)
  const soft = { softDelete: { column: 'dead', at: null }, onError: 'dlq' as const }
  expect(() => plan(soft).plan(table)).toThrow('exclude each other')
})

test('of a row with several faults the first column tells', () => {
  const rows: TestRow[] = [{ op: Op.insert, values: { id: 1n, city: 'x', amount: 0n } }]
  const projection = 'id, CAST(city AS long) AS a, 1 / amount AS b, CAST(city AS long) + 1 AS c'
  const ran = runOperator(plan({ projection, onError: 'dlq' }), table, schema, rows, [1])
  expect(ran.dead).toMatchObject([{ column: 'a' }])
})
