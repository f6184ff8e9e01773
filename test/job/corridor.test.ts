import { expect, test } from 'vitest'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import { transformPlan } from '../../operators/transform/operator.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { deadLetterTable } from '../../runtime/data/dead-letters.ts'
import type { Element } from '../../runtime/data/element.ts'
import { tableKey, type SourceColumn, type SourceTable } from '../../runtime/data/schema.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import { batchOf } from '../writer/batches.ts'

const NO_TIMES = { splits: { tables: [], splits: [] }, tables: [] }

function column(identity: string, name: string, more: Partial<SourceColumn> = {}): SourceColumn {
  return {
    identity,
    name,
    type: { kind: 'int' },
    nullable: identity !== '1',
    comment: null,
    sourceType: 'integer',
    existing: { kind: 'null' },
    ...more,
  }
}

function table(...columns: SourceColumn[]): SourceTable {
  const base = { namespace: 'shop', name: 'orders', incarnation: '1', key: ['1'], comment: null }
  return { ...base, columns: [column('1', 'id'), ...columns] }
}

function open(keyed = true): { corridor: Corridor; sent: Element[] } {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  return { corridor: new Corridor([output], { keyed, firstFieldId: 1 }), sent }
}

test('a table that a change of structure parked is repaired under the structure that it has', () => {
  const { corridor } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  const added = column('3', 'n', { existing: { kind: 'unknown' } })
  expect(corridor.tableChanged(table(column('2', 'v'), added), 2n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  expect(record).toMatchObject({ phase: 'parked', reason: { error: 'DDL_UNMAPPABLE' } })
  corridor.rebuild(record, null)
  expect(record.schema.fields.map(({ name }) => name)).toEqual(['id', 'v', 'n'])
  expect(record.phase).toBe('streaming')
})

test('what changes while a table is parked is in the structure that its repair starts from', () => {
  const { corridor } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  const reason = { error: 'KEY_CHANGED', message: 'm', detail: null, hint: 'h' } as const
  corridor.parkRecord('shop.orders', reason)
  expect(corridor.tableChanged(table(column('2', 'v'), column('3', 'late')), 2n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  corridor.rebuild(record, null)
  expect(record.schema.fields.map(({ name }) => name)).toEqual(['id', 'v', 'late'])
})

test('an adopted table that is another one gets field ids that the lake does not have', () => {
  const { corridor, sent } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  corridor.rebuild(record, { lastSchemaId: 4, lastColumnId: 9, renumber: true })
  expect(record.schema).toMatchObject({ version: 5, lastFieldId: 11 })
  expect(record.schema.fields.map(({ id }) => id)).toEqual([10, 11])
  expect(sent.at(-1)).toMatchObject({ kind: 'schema', schema: { version: 5 } })
})

function required(corridor: Corridor): readonly string[] {
  const fields = corridor.tables.get('shop.orders')?.schema.fields ?? []
  return fields.filter(({ nullable }) => !nullable).map(({ name }) => name)
}

const added = column('3', 'n', { nullable: false, existing: { kind: 'unknown' } })

test('a new required column of a re-created table is required where its older rows go', () => {
  const { corridor } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  corridor.tableChanged({ ...table(added), incarnation: '2' }, 2n)
  expect(required(corridor)).toEqual(['id', 'n'])
})

test('a new required column of a re-created table is nullable where its older rows stay', () => {
  const { corridor } = open(false)
  corridor.tableChanged(table(column('2', 'v')), 1n)
  corridor.tableChanged({ ...table(added), incarnation: '2' }, 2n)
  expect(required(corridor)).toEqual(['id'])
})

test('a new required column is nullable when a repair brings it beside the older rows', () => {
  const { corridor } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  expect(corridor.tableChanged(table(column('2', 'v'), added), 2n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  corridor.rebuild(record, null)
  expect(required(corridor)).toEqual(['id'])
})

test('no column of an adopted table is required, since its files have none of the new ids', () => {
  const { corridor } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  corridor.rebuild(record, { lastSchemaId: 4, lastColumnId: 9, renumber: true })
  expect(required(corridor)).toEqual([])
})

test('a table that comes back has its structure told again, before what says that it is empty', () => {
  const { corridor, sent } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  corridor.tableDropped('shop.orders', 2n)
  sent.length = 0
  corridor.tableChanged({ ...table(column('2', 'v')), incarnation: '2' }, 3n)
  expect(sent.map(({ kind }) => kind)).toEqual(['schema', 'truncate'])
})

test('a table that cannot be taken in is told at every barrier until it is there or gone', () => {
  const { corridor } = open()
  corridor.begin({ split: 'log', order: 1n, token: '' }, 0n)
  const error = new PipelineError('TABLE_WITHOUT_KEY', 'it has no key')
  corridor.park('shop.orders', error)
  corridor.park('shop.other', error)
  const refused = (): string[] =>
    corridor.barrier(1, '', NO_TIMES).refused.map(({ table: name }) => name)
  expect(refused()).toEqual(['shop.orders', 'shop.other'])
  corridor.tableChanged(table(column('2', 'v')), 1n)
  expect(refused()).toEqual(['shop.other'])
  corridor.tableDropped('shop.other', 2n)
  expect(refused()).toEqual([])
})

test('a table that is gone is not parked, whoever stumbles over it', () => {
  const { corridor, sent } = open()
  corridor.tableChanged(table(column('2', 'v')), 1n)
  corridor.tableDropped('shop.orders', 2n)
  sent.length = 0
  const error = new PipelineError('VALUE_UNREPRESENTABLE', 'a value')
  corridor.parkRecord('shop.orders', recordOf(error))
  expect(corridor.tables.get('shop.orders')?.phase).toBe('dropped')
  expect(corridor.refused.size).toBe(0)
  expect(sent).toEqual([])
})

test('a table that comes back in a form that cannot be carried is parked, not gone', () => {
  const { corridor } = open()
  const orders = table(column('2', 'v'))
  corridor.begin({ split: 'log', order: 1n, token: '' }, 0n)
  corridor.tableChanged(orders, 1n)
  corridor.tableDropped('shop.orders', 2n)
  const keyless = { ...orders, incarnation: '2', key: null }
  expect(corridor.tableChanged(keyless, 3n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  expect(record).toMatchObject({ phase: 'parked', reason: { error: 'TABLE_WITHOUT_KEY' } })
  expect(record?.shape).toEqual(keyless)
})

test('a table that cannot be taken in is told although one of its name has gone', () => {
  const { corridor } = open()
  const refused = (): string[] =>
    corridor.barrier(1, '', NO_TIMES).refused.map(({ table: name }) => name)
  corridor.begin({ split: 'log', order: 1n, token: '' }, 0n)
  corridor.tableChanged(table(column('2', 'v')), 1n)
  corridor.tableDropped('shop.orders', 2n)
  corridor.park('shop.orders', new PipelineError('TABLE_WITHOUT_KEY', 'it has no key'))
  expect(refused()).toEqual(['shop.orders'])
  corridor.tableChanged({ ...table(column('2', 'v')), incarnation: '3' }, 3n)
  expect(refused()).toEqual([])
  expect(corridor.tables.get('shop.orders')?.phase).toBe('streaming')
})

test('a row without a key parks its table, whoever would own it', () => {
  const outputs = [0, 1].map(() => ({ send: () => undefined, ready: () => undefined }))
  const corridor = new Corridor(outputs, { keyed: true, firstFieldId: 1 })
  corridor.begin({ split: 'log', order: 1n, token: '' }, 0n)
  const schema = corridor.tableChanged(table(column('2', 'v')), 1n)
  if (schema === null) throw new Error('the table has a structure')
  const batch = batchOf(schema, [{ op: Op.delete, values: {} }], 2n)
  expect(corridor.send(batch)).toBeUndefined()
  expect(corridor.tables.get('shop.orders')).toMatchObject({ phase: 'parked' })
  const counts = [
    { table: 'shop.orders', taken: 0, made: 0, sent: 0, skipped: 1, filtered: 0, dead: 0 },
  ]
  expect(corridor.barrier(1, '', NO_TIMES).counts).toEqual(counts)
})

test('a table with a column of the lake’s own name is parked until the column has another one', () => {
  const output = { send: () => undefined, ready: () => undefined }
  const options = { keyed: true, firstFieldId: 1, reservedNames: ['_pos'] }
  const corridor = new Corridor([output], options)
  const orders = table(column('2', 'v'))
  corridor.tableChanged(orders, 1n)
  expect(corridor.tableChanged(table(column('2', '_pos')), 2n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  if (record === undefined) throw new Error('the table is known')
  const parked = { phase: 'parked', reason: { error: 'DDL_UNMAPPABLE' } }
  expect(record).toMatchObject(parked)
  expect(record.reason?.hint).toContain('columns_exclude')
  for (let attempt = 0; attempt < 2; attempt++) {
    corridor.rebuild(record, null)
    expect(record).toMatchObject(parked)
  }
  corridor.tableChanged(table(column('2', 'position')), 3n)
  corridor.rebuild(record, null)
  expect(record).toMatchObject({ phase: 'streaming', reason: null })
  expect(record.schema.fields.map(({ name }) => name)).toEqual(['id', 'position'])
})

test('a new table with a column of the lake’s own name parks alone, and its lake table lacks it', () => {
  const output = { send: () => undefined, ready: () => undefined }
  const options = { keyed: true, firstFieldId: 1, reservedNames: ['_pos'] }
  const corridor = new Corridor([output], options)
  const orders = table(column('2', '_pos'), column('3', 'v'))
  expect(() => corridor.tableChanged(orders, 1n)).toThrow('table "shop.orders": column "_pos" has')
  corridor.newTables = 'park'
  expect(corridor.tableChanged(orders, 1n)).toBeNull()
  const record = corridor.tables.get('shop.orders')
  expect(record).toMatchObject({ phase: 'parked', shape: orders })
  expect(record?.schema.fields.map(({ name }) => name)).toEqual(['id', 'v'])
})

test('a second table that is routed to the name of a first is refused, and the first goes on', () => {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  const plans = { of: () => null, target: () => 'lake.orders' }
  const corridor = new Corridor([output], { keyed: true, firstFieldId: 1 }, plans)
  corridor.tableChanged(table(column('2', 'v')), 1n)
  const other = { ...table(column('2', 'v')), namespace: 'shop_2' }
  expect(() => corridor.tableChanged(other, 2n)).toThrow('are routed to one')
  corridor.newTables = 'park'
  expect(corridor.tableChanged(other, 2n)).toBeNull()
  expect(corridor.schemaOf('shop.orders')).not.toBeNull()
  const refused = corridor.barrier(1, '', NO_TIMES).refused
  expect(refused.map(({ table, reason }) => [table, reason.error])).toEqual([
    ['shop_2.orders', 'ROUTE_TAKEN'],
  ])
})

const LETTERS = deadLetterTable('millrace', 'shop_dlq', false)

/** Rows whose `v` is zero die; of the letters that enter, id and row. */
function burying(mask: Record<string, string>, idKey: Uint8Array | null = null) {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  const plan = transformPlan(
    {
      projection: 'id, v, 6 / v AS share',
      filter: null,
      primaryKeys: null,
      cast: {},
      mask,
      softDelete: null,
      json: [],
      explode: null,
      onError: 'dlq',
    },
    'upsert',
  )
  const corridor = new Corridor(
    [output],
    { keyed: true, firstFieldId: 1 },
    {
      of: ({ name }) => (name === 'orders' ? plan : null),
      target: tableKey,
      deadLetters: { table: LETTERS, rowsMax: null, ratioMax: 0.001, idKey: () => idKey },
    },
  )
  const schema = corridor.tableChanged(table(column('2', 'v'), column('3', 'other')), 1n)
  if (schema === null) throw new Error('it is carried')
  corridor.openDeadLetters(1n)
  const letters = (): { id: string; row: string }[] => {
    return sent.flatMap((element) => {
      if (element.kind !== 'changes' || element.table !== 'millrace.shop_dlq') return []
      const [id, row] = [element.columns[0], element.columns.at(-1)]
      return Array.from({ length: element.rows }, (_, at) => {
        return { id: textOf(id, at), row: textOf(row, at) }
      })
    })
  }
  return { corridor, schema, letters }
}

function textOf(column: Column | undefined, row: number): string {
  if (column?.layout !== 'bytes') throw new Error('a text')
  const { bytes, offsets } = column
  return Buffer.from(bytes.subarray(offsets[row], offsets[row + 1])).toString()
}

test('rows of two chunks from one place of the log are two letters, one read twice is one', () => {
  const { corridor, schema, letters } = burying({})
  const send = (op: Op, id: number): void => {
    void corridor.send(batchOf(schema, [{ op, values: { id, v: 0 } }], 5n))
  }
  for (const id of [1, 2, 2]) send(Op.read, id)
  send(Op.update, 1)
  const ids = letters().map(({ id }) => id)
  expect(ids[1]).toBe(ids[2])
  expect(new Set(ids).size).toBe(3)
})

test('a letter shows neither what is masked nor what does not leave, and is no test of guesses', () => {
  const values = { id: 7, v: 0, other: 3 }
  const idOf = (mask: Record<string, string>, key: string | null) => {
    const { corridor, schema, letters } = burying(mask, key === null ? null : Buffer.from(key))
    void corridor.send(batchOf(schema, [{ op: Op.read, values }], 5n))
    return letters()[0]
  }
  const open = idOf({}, 'a')
  expect(open?.row).toBe('{"id":7,"v":0,"other":"****"}')
  const sealed = idOf({ id: 'sha256' }, 'a')
  expect(sealed?.row).toBe('{"id":"****","v":0,"other":"****"}')
  expect(sealed?.id).not.toBe(open?.id)
  expect(sealed?.id).not.toBe(idOf({ id: 'sha256' }, 'b')?.id)
})

test('the share of dead letters is of the last 10,000 rows, in batches of any size', () => {
  const rows = (count: number, dead: number) => {
    return Array.from({ length: count }, (_, id) => {
      return { op: Op.insert, values: { id, v: id < dead ? 0 : 1 } }
    })
  }
  const { corridor, schema, letters } = burying({})
  // Never more than ten of 10,000, though 30 of what three batches bring.
  for (const order of [1n, 2n, 3n]) void corridor.send(batchOf(schema, rows(12_000, 10), order))
  expect(letters()).toHaveLength(30)
  void corridor.send(batchOf(schema, rows(8000, 0), 4n))
  void corridor.send(batchOf(schema, rows(20, 10), 5n))
  const last = batchOf(schema, rows(1, 1), 6n)
  expect(() => corridor.send(last)).toThrow('more than 10 of the last 10000 rows')
})

test('a table of the source with the name of that of dead letters is refused', () => {
  const { corridor } = burying({})
  const impostor = { ...table(), namespace: 'millrace', name: 'shop_dlq' }
  expect(() => corridor.tableChanged(impostor, 2n)).toThrow('has the name of that of dead letters')
})
