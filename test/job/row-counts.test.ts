// What operators do with rows adds up in every epoch, or the epoch is stopped.

import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import { Trace } from '../../runtime/checkpoint/trace.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { deadLetterTable } from '../../runtime/data/dead-letters.ts'
import type { Element } from '../../runtime/data/element.ts'
import { gatherRows } from '../../runtime/flow/exchange.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import type { OperatorPlan, OperatorPlans } from '../../runtime/operator.ts'
import { madeTable, NONE } from '../operators/made-table.ts'
import { batchOf } from '../writer/batches.ts'

const { table, schema } = madeTable('orders', {
  id: { kind: 'long' },
  n: { kind: 'long' },
  tags: { kind: 'list', element: { kind: 'string' } },
})
const NO_TIMES = { splits: { tables: [], splits: [] }, tables: [] }
const LETTERS = deadLetterTable('millrace', 'shop_dlq', false)

/** Runs rows through the plan. @returns what the epoch counts, and checks it with full writers */
function counted(plan: OperatorPlan): ReturnType<Corridor['barrier']>['counts'] {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  const plans: OperatorPlans = {
    of: ({ name }) => (name === 'orders' ? plan : null),
    target: ({ namespace, name }) => `${namespace}.${name}`,
    deadLetters: { table: LETTERS, rowsMax: null, ratioMax: null, idKey: () => null },
  }
  const options = { keyed: false, firstFieldId: 1 }
  const corridor = new Corridor([output], options, plans)
  corridor.begin({ split: 'log', order: 1n, token: '' }, 0n)
  corridor.openDeadLetters(1n)
  const source = corridor.tableChanged(table, 1n)
  if (source === null) throw new Error('the table has a structure')
  const rows = [0n, 1n, 2n, 3n].map((n) => {
    return { op: Op.insert, values: { id: n, n, tags: ['a', 'b', 'c'] } }
  })
  void corridor.send(batchOf({ ...schema, version: source.version }, rows, 2n))
  return corridor.barrier(1, '', NO_TIMES).counts
}

function check(counts: ReturnType<typeof counted>): void {
  const ops = { insert: 0, update: 0, delete: 0, read: 0 }
  const none = { stale: 0, absorbed: 0, parked: 0, held: 0, ops }
  const writers = counts.map(({ table: name, sent }) => {
    return { table: name, read: sent, written: sent, ...none }
  })
  new Trace({}).check(1, counts, [writers])
}

const NO_COUNTS = { taken: 0, made: 0, sent: 0, skipped: 0, filtered: 0, dead: 0 }

test('rows that are filtered, set aside or taken apart add up', () => {
  const some = counted(
    transformPlan(
      { ...NONE, projection: 'id, 6 / n AS x', filter: 'id <> 3', onError: 'dlq' },
      'append',
    ),
  )
  expect(some).toEqual([
    { ...NO_COUNTS, table: 'shop.orders', taken: 4, sent: 2, filtered: 1, dead: 1 },
    { ...NO_COUNTS, table: 'millrace.shop_dlq', made: 1, sent: 1 },
  ])
  check(some)
  const explode = { column: 'tags', as: 'tag', ordinal: 'no', outer: false, max: null }
  const apart = counted(
    transformPlan({ ...NONE, explode, projection: 'id, no, tag', filter: "tag <> 'b'" }, 'append'),
  )
  expect(apart).toEqual([
    { ...NO_COUNTS, table: 'shop.orders', taken: 4, made: 8, sent: 8, filtered: 4 },
  ])
  check(apart)
})

const TRICKS: readonly (readonly [string, (batch: ChangeBatch) => ChangeBatch[]])[] = [
  ['loses a row', (batch) => [gatherRows(batch, Int32Array.of(0, 1, 3))]],
  ['doubles a row', (batch) => [gatherRows(batch, Int32Array.of(0, 1, 2, 3, 3))]],
  ['loses a batch', () => []],
]

test.each(TRICKS)('an operator that %s stops the epoch', (_, trick) => {
  const counts = counted({
    semantics: 'x',
    plan: (output) => ({
      output,
      onBatch: (batch, out) => {
        for (const one of trick(batch)) out.emit(one)
      },
    }),
  })
  expect(() => check(counts)).toThrow('table "shop.orders" does not add up in epoch 1')
})
