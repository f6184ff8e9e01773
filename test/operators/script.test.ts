// A user's functions in a thread of their own: what they may do to rows, what is refused, and that
// nothing of a batch leaves when a row of it fails.

import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { ScriptHost } from '../../operators/script/host.ts'
import { scriptPlan } from '../../operators/script/operator.ts'
import { columnOf, valuesOf } from '../../operators/script/values.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { parseType } from '../../runtime/data/type-text.ts'
import { shapeOf } from '../../runtime/job/structures.ts'
import { batchOf, field, schemaOf, type TestRow } from '../writer/batches.ts'
import { holdLaws, runOperator, type LeftRow } from './laws.ts'

const FILE = fileURLToPath(new URL('./scripts/shop.ts', import.meta.url))
const ENTRY = new URL('../../runtime/cli/script-worker.ts', import.meta.url)
const MEMORY = 64 * 2 ** 20

const SCHEMA = schemaOf('shop.orders', 0, [
  field(1, 'id', { kind: 'long' }, { nullable: false }),
  field(2, 'amount', { kind: 'int' }),
  field(3, 'note', { kind: 'string' }),
])
const TABLE = tableOf(SCHEMA)

function tableOf(schema: typeof SCHEMA): SourceTable {
  return shapeOf({ schema, incarnation: '1' } as Parameters<typeof shapeOf>[0])
}

const hosts = new Map<string, ScriptHost>()

afterAll(() => {
  hosts.clear()
})

function hostOf(name: string, timeoutMs = 20_000): ScriptHost {
  const key = `${name} ${timeoutMs}`
  const host =
    hosts.get(key) ??
    new ScriptHost({ file: FILE, export: name, timeoutMs, memoryBytes: MEMORY }, ENTRY)
  hosts.set(key, host)
  return host
}

type Mode = 'upsert' | 'append' | 'changelog'

function planOf(
  name: string,
  mode: Mode,
  onError: 'stop' | 'null' = 'stop',
  timeoutMs?: number,
  inserted: 'new' | 'unknown' = 'new',
): ReturnType<typeof scriptPlan> {
  const options = { mode, onError, inserted, semantics: name }
  return scriptPlan(() => hostOf(name, timeoutMs), options)
}

function row(id: bigint, amount?: number, note?: string, op: TestRow['op'] = Op.insert): TestRow {
  return { op, values: { id, amount, note } }
}

const ROWS = [
  row(1n, 10, 'a'),
  row(2n, -1, 'b', Op.update),
  row(3n, undefined, undefined, Op.delete),
  row(4n, -4, 'd'),
]

function left(name: string, mode: Mode, rows: readonly TestRow[] = ROWS): readonly LeftRow[] {
  return runOperator(planOf(name, mode), TABLE, SCHEMA, rows, [rows.length]).rows
}

function refusalOf(work: () => unknown): PipelineError {
  try {
    work()
  } catch (error) {
    if (error instanceof PipelineError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('a row has the columns that the script adds, and null drops it', () => {
  const values = left('scored', 'append', [row(1n, 3, 'a'), row(2n), row(3n, 4, 'c')])
  expect(values.map((one) => one.values)).toEqual([
    { id: 1n, amount: 3, note: 'a', score: 1.5 },
    { id: 3n, amount: 4, note: 'c', score: 2 },
  ])
})

test('a function without options is a script, and may be asynchronous', () => {
  expect(left('plain', 'append', [row(1n, 1, 'ab')])[0]?.values['note']).toBe('AB')
  expect(left('later', 'append', [row(1n, 1, 'ab')])[0]?.values['note']).toBe('later')
})

test('in upsert a dropped update leaves as a delete, and deletes pass', () => {
  const seen = left('dropping', 'upsert').map(({ op, values }) => [op, values['id']])
  expect(seen).toEqual([
    [Op.insert, 1n],
    [Op.delete, 2n],
    [Op.delete, 3n],
  ])
})

test('in upsert each dropped row of a topic leaves as a delete: it may have an older version', () => {
  const topic = planOf('dropping', 'upsert', 'stop', 20_000, 'unknown')
  const { rows } = runOperator(topic, TABLE, SCHEMA, ROWS, [ROWS.length])
  expect(rows.map(({ op, values }) => [op, values['id']])).toEqual([
    [Op.insert, 1n],
    [Op.delete, 2n],
    [Op.delete, 3n],
    [Op.delete, 4n],
  ])
})

test('a row of a changelog with a key cannot be dropped', () => {
  const { error, message } = refusalOf(() => left('dropping', 'changelog'))
  expect(error).toBe('SCRIPT_FAILED')
  expect(message).toContain('cannot be dropped')
})

test('a row becomes several in append only', () => {
  const rows = [row(1n, 1, 'a'), row(2n, 2, 'b')]
  const operator = planOf('twice', 'append').plan(TABLE)
  let made = 0
  operator.onBatch(batchOf(SCHEMA, rows, 1n), {
    emit: (batch) => {
      made += batch.rows
    },
    filtered: () => expect.fail('nothing is dropped'),
    dead: () => expect.fail('nothing is set aside'),
  })
  expect(made).toBe(4)
  expect(refusalOf(() => left('twice', 'upsert', rows)).message).toContain('mode append')
})

test.each([
  ['rekeyed', 'key column'],
  ['unknown', 'no column "scroe"'],
  ['wrong', '"amount": this string is no int'],
  ['clock', 'deterministic: false'],
])('what %s does is refused', (name, words) => {
  const { error, message } = refusalOf(() => left(name, 'append', [row(1n, 1, 'a')]))
  expect([error, message]).toEqual(['SCRIPT_FAILED', expect.stringContaining(words)])
})

test('chance is there for who asks for it', () => {
  expect(left('chance', 'append', [row(1n, 1, 'a')])[0]?.values['note']).toBe('true')
})

test('nothing of a batch leaves when a row fails, or the row stays as it came', () => {
  const rows = [row(1n, 1, 'a'), row(2n, 13, 'b'), row(3n, 2, 'c')]
  const operator = planOf('throwing', 'append').plan(TABLE)
  const refused = refusalOf(() =>
    operator.onBatch(batchOf(SCHEMA, rows, 1n), {
      emit: () => expect.fail('rows have left'),
      filtered: () => expect.fail('rows were counted'),
      dead: () => expect.fail('rows were set aside'),
    }),
  )
  expect(refused.message).toContain('thirteen')
  const kept = runOperator(planOf('throwing', 'append', 'null'), TABLE, SCHEMA, rows, [3]).rows
  expect(kept.map(({ values }) => values['note'])).toEqual(['ok', 'b', 'ok'])
})

test('a script that does not end is ended, and its row is found', () => {
  const rows = [row(1n, 1, 'a'), row(2n, 13, 'b'), row(3n, 2, 'c')]
  const plan = planOf('endless', 'append', 'null', 1500)
  const kept = runOperator(plan, TABLE, SCHEMA, rows, [3]).rows
  expect(kept.map(({ values }) => values['note'])).toEqual(['ok', 'b', 'ok'])
})

test('a batch script sees columns, and its output is what it declares', () => {
  const plan = planOf('columns', 'append')
  const { rows, filtered } = runOperator(
    plan,
    TABLE,
    SCHEMA,
    [row(1n, 10, 'a'), row(4n, -4, 'd')],
    [2],
  )
  expect(rows.map(({ values }) => values)).toEqual([{ id: 1n, amount: 10, double: 20n }])
  expect(filtered).toBe(1)
})

test('a file that cannot be loaded, or exports something else, says so', () => {
  const start = (file: string, name: string): unknown =>
    new ScriptHost({ file, export: name, timeoutMs: 1000, memoryBytes: MEMORY }, ENTRY)
  expect(refusalOf(() => start(`${FILE}.gone`, 'same')).error).toBe('SCRIPT_INVALID')
  expect(refusalOf(() => start(FILE, 'smae')).message).toContain('exports no "smae", but ')
})

test('scripts keep the laws of operators', { timeout: 120_000 }, () => {
  const amount = fc.option(fc.integer({ min: -3, max: 20 }), { nil: undefined })
  const one = fc
    .tuple(fc.bigInt(0n, 9n), amount, fc.string(), fc.constantFrom(Op.insert, Op.update, Op.delete))
    .map(([id, value, note, op]) => row(id, value, note.toWellFormed(), op))
  for (const name of ['dropping', 'columns']) {
    holdLaws(planOf(name, 'upsert'), TABLE, SCHEMA, one, (rows, ran) => {
      expect(ran.rows.length).toBeLessThanOrEqual(rows.length)
    })
  }
})

const CELLS: readonly (readonly [string, readonly unknown[]])[] = [
  ['boolean', [true, false, null]],
  ['int', [-(2 ** 31), 2 ** 31 - 1, 0, null]],
  ['long', [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, null]],
  ['float', [0.5, -0, Infinity, null]],
  ['double', [0.1, Number.NaN, -Infinity, null]],
  ['decimal(5,2)', ['123.45', '-0.10', null]],
  ['decimal(38,4)', ['9999999999999999999999999999999999.9999', null]],
  ['string', ['', 'ü😀\u0000', null]],
  ['json', ['{"a":9007199254740993}', 'null', null]],
  ['binary', [Uint8Array.of(), Uint8Array.of(255, 0), null]],
  ['uuid', ['00112233-4455-6677-8899-aabbccddeeff', null]],
  ['date', ['2026-01-31', '0001-01-01', '9999-12-31', null]],
  ['time', ['00:00:00', '23:59:59.999999', null]],
  ['timestamp', ['2026-01-31T12:30:00.123456', '1969-12-31T23:59:59.999999', null]],
  ['timestamptz', ['2026-01-31T12:30:00.123456Z', '1969-12-31T00:00:00Z', null]],
  ['list<long>', [[], [1n, null, -(2n ** 63n)], null]],
  ['list<string>', [['a', null, ''], null]],
]

test.each(CELLS)('a %s comes back as it went in', (text, values) => {
  const type = parseType(text) as ColumnType
  const { column, failures } = columnOf(type, values)
  expect(failures).toEqual([])
  expect(valuesOf(column)).toEqual(values)
})

test.each([
  ['int', [1.5, 2 ** 31, '1', true]],
  ['long', [2 ** 53, 1.5, 2n ** 63n, '1']],
  ['decimal(5,2)', ['1.234', 1.5, '12345.6', 'x', 10n ** 6n]],
  ['string', [1, '\ud800', new Date(0)]],
  ['date', ['2026-02-30', 'today', 20_000]],
  ['timestamp', ['2026-01-01T00:00:00.1234567', '2026-01-01T00:00:00Z', new Date(0)]],
  ['timestamptz', ['2026-01-01T00:00:00', new Date(Number.NaN)]],
  ['json', ['{a}', {}]],
  ['boolean', [1, 'true']],
  ['list<int>', ['1', [1.5]]],
])('what is no %s is refused, never bent', (text, values) => {
  const type = parseType(text) as ColumnType
  for (const value of values) {
    expect(columnOf(type, [value]).failures, text).toHaveLength(1)
  }
})

test('a Date is an instant, and a whole number a decimal', () => {
  const at = columnOf({ kind: 'timestamptz' }, [new Date(1)]).column
  expect(valuesOf(at)).toEqual(['1970-01-01T00:00:00.001Z'])
  const whole = columnOf({ kind: 'decimal', precision: 5, scale: 2 }, [7, -3n]).column
  expect(valuesOf(whole)).toEqual(['7.00', '-3.00'])
})
