// What is counted of a run's events, and what is not: cuts between epochs, one after the other.

import { expect, test } from 'vitest'
import type { ErrorName, ErrorRecord } from '../../runtime/base/errors.ts'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import type { TableRecord } from '../../runtime/flow/tables.ts'
import { EventCounts } from '../../runtime/job/event-counts.ts'
import { RunState } from '../../runtime/job/run-state.ts'

function field(identity: string, changes: Partial<Field> = {}): Field {
  return {
    id: Number(identity),
    elementId: null,
    identity,
    name: `c${identity}`,
    type: { kind: 'int' },
    nullable: true,
    comment: null,
    initialDefault: null,
    ...changes,
  }
}

function record(
  version: number,
  fields: readonly Field[],
  changes: Partial<TableRecord> & { readonly table?: string; readonly key?: number[] } = {},
): TableRecord {
  const { table = 'public.t', key = [0], ...rest } = changes
  const schema: TableSchema = { table, version, fields, key, comment: null, lastFieldId: 9 }
  return {
    incarnation: '1',
    phase: 'streaming',
    backfill: null,
    floor: null,
    reason: null,
    shape: null,
    lake: null,
    semantics: null,
    waitsFor: null,
    ...rest,
    schema,
  }
}

function reasonOf(error: ErrorName): ErrorRecord {
  return { error, message: 'a reason', detail: null, hint: '' }
}

/** As `table kind decision count`. */
function ddlOf(...cuts: readonly (readonly TableRecord[])[]): string[] {
  const events = new EventCounts()
  for (const cut of cuts) events.addCut(cut, [])
  return events
    .ddl()
    .map(({ table, kind, decision, count }) => `${table} ${kind} ${decision} ${count}`)
}

const ONE = [field('1')]
const TWO = [field('1'), field('2')]

test('each change of structure is counted by what it did', () => {
  const steps: readonly (readonly [string, TableRecord, TableRecord])[] = [
    ['add_column applied 1', record(0, ONE), record(1, TWO)],
    ['drop_column applied 1', record(0, TWO), record(1, ONE)],
    ['rename_column applied 1', record(0, ONE), record(1, [field('1', { name: 'other' })])],
    ['alter_type applied 1', record(0, ONE), record(1, [field('1', { type: { kind: 'long' } })])],
    ['nullability applied 1', record(0, [field('1', { nullable: false })]), record(1, ONE)],
    ['comment applied 1', record(0, ONE), record(1, [field('1', { comment: 'x' })])],
    ['reorder_columns applied 1', record(0, TWO), record(1, TWO.toReversed(), { key: [1] })],
    ['mixed applied 1', record(0, ONE), record(1, [field('2', { identity: '2' })])],
    ['mixed applied 3', record(0, ONE), record(3, TWO)],
    ['create_table applied 1', record(0, ONE), record(1, TWO, { incarnation: '2' })],
    ['drop_table kept 1', record(0, ONE), record(0, ONE, { phase: 'dropped' })],
    [
      'unmappable parked 1',
      record(0, ONE),
      record(0, ONE, { phase: 'parked', reason: reasonOf('KEY_CHANGED') }),
    ],
  ]
  for (const [expected, before, after] of steps) {
    expect(ddlOf([before], [after], [after])).toEqual([`public.t ${expected}`])
  }
})

test('what was there before, what the lake wanted, and a repair are no changes of structure', () => {
  expect(ddlOf([record(5, TWO)], [record(5, TWO)])).toEqual([])
  // A version of the lake's: the source has changed nothing.
  expect(ddlOf([record(5, TWO)], [record(6, TWO)])).toEqual([])
  const parked = record(5, ONE, { phase: 'parked', reason: reasonOf('VALUE_UNREPRESENTABLE') })
  expect(ddlOf([record(5, ONE)], [parked], [record(7, TWO)])).toEqual([])
  const joined = record(0, ONE, { table: 'public.new' })
  expect(ddlOf([record(5, TWO)], [record(5, TWO), joined])).toEqual([
    'public.new create_table applied 1',
  ])
})

test('a table that is parked is one error, until it comes back and is parked again', () => {
  const events = new EventCounts()
  const parked = record(0, ONE, { phase: 'parked', reason: reasonOf('VALUE_UNREPRESENTABLE') })
  const refused = [{ table: 'public.x', reason: reasonOf('TYPE_UNSUPPORTED') }]
  for (const cut of [parked, parked, record(0, ONE), parked]) events.addCut([cut], refused)
  expect(events.errors()).toEqual([
    { error: 'VALUE_UNREPRESENTABLE', class: 'notify', count: 2 },
    { error: 'TYPE_UNSUPPORTED', class: 'notify', count: 1 },
  ])
  expect(events.ddl()).toEqual([])
})

test('what ends an attempt is a retry, and what ends the run is fatal', () => {
  const state = new RunState(0)
  state.phase = 'retrying'
  state.error = reasonOf('CONNECT_FAILED')
  state.phase = 'running'
  state.error = null
  state.phase = 'retrying'
  state.error = reasonOf('CONNECT_FAILED')
  state.addCommitRetry(reasonOf('CATALOG_UNAVAILABLE'))
  state.phase = 'failed'
  state.error = reasonOf('LOG_GAP')
  const { errors, retries, error } = state.snapshot([], 0)
  expect(error?.error).toBe('LOG_GAP')
  expect(errors).toEqual([
    { error: 'CONNECT_FAILED', class: 'retry', count: 2 },
    { error: 'CATALOG_UNAVAILABLE', class: 'retry', count: 1 },
    { error: 'LOG_GAP', class: 'fatal', count: 1 },
  ])
  expect(retries).toEqual([
    { component: 'pipeline', error: 'CONNECT_FAILED', count: 2 },
    { component: 'commit', error: 'CATALOG_UNAVAILABLE', count: 1 },
  ])
})
