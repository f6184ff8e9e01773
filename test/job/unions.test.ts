// Tables that are one in the lake, as the corridor makes them one.

import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import { Trace } from '../../runtime/checkpoint/trace.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { Element } from '../../runtime/data/element.ts'
import type { SourceColumn, SourceTable } from '../../runtime/data/schema.ts'
import type { TableRecord } from '../../runtime/flow/tables.ts'
import type { OperatorPlans } from '../../runtime/operator.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import { batchOf } from '../writer/batches.ts'

const UNION = '.lake.o'

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

function table(name: string, ...columns: SourceColumn[]): SourceTable {
  const base = { namespace: 's', name, incarnation: '1', key: ['1'], comment: null }
  return { ...base, columns: [column('1', 'id'), ...columns] }
}

const SHARD = transformPlan(
  {
    projection: '*, __table__ AS shard',
    filter: null,
    cast: {},
    mask: {},
    primaryKeys: ['shard', 'id'],
    softDelete: null,
    onError: 'stop',
    json: [],
    explode: null,
  },
  'upsert',
)

function open(
  more: Partial<OperatorPlans> = {},
  keyed = true,
): { corridor: Corridor; sent: Element[] } {
  const sent: Element[] = []
  const output = { send: (element: Element) => sent.push(element), ready: () => undefined }
  const plans: OperatorPlans = {
    of: ({ namespace }) => (namespace === 's' ? SHARD : null),
    target: () => 'lake.o',
    unionOf: ({ namespace }) => (namespace === 's' ? { table: UNION, disjoint: false } : null),
    ...more,
  }
  return { corridor: new Corridor([output], { keyed, firstFieldId: 1 }, plans), sent }
}

function unionOf(corridor: Corridor): TableRecord {
  const record = corridor.tables.get(UNION)
  if (record === undefined) throw new Error('the union is known')
  return record
}

function fieldsOf(corridor: Corridor): string[] {
  return unionOf(corridor).schema.fields.map(({ name, type }) => `${name} ${type.kind}`)
}

function errorOf(corridor: Corridor, name: string): string | null {
  const record = corridor.tables.get(name)
  return (corridor.refused.get(name) ?? record?.reason ?? null)?.message ?? null
}

test('a union has the columns of all tables in the widest types, whichever comes first', () => {
  const narrow = table('a', column('2', 'v'))
  const wide = table('b', column('2', 'v', { type: { kind: 'long' } }), column('3', 'w'))
  for (const tables of [
    [narrow, wide],
    [wide, narrow],
  ]) {
    const { corridor } = open()
    for (const each of tables) expect(corridor.tableChanged(each, 1n)).not.toBeNull()
    expect(fieldsOf(corridor).sort()).toEqual(['id int', 'shard string', 'v long', 'w int'])
    const required = unionOf(corridor).schema.fields.filter(({ nullable }) => !nullable)
    expect(required.map(({ name }) => name).sort()).toEqual(['id', 'shard'])
  }
})

test('rows enter as those of the union, and say which table they are of', async () => {
  const { corridor, sent } = open()
  const schema = corridor.tableChanged(table('a', column('2', 'v')), 1n)
  corridor.tableChanged(
    table('b', column('2', 'w'), column('3', 'v', { type: { kind: 'long' } })),
    1n,
  )
  if (schema === null) throw new Error('it is taken')
  await corridor.send(batchOf(schema, [{ op: Op.insert, values: { id: 1, v: 7 } }], 5n))
  const batch = sent.findLast((element): element is ChangeBatch => element.kind === 'changes')
  const union = unionOf(corridor).schema
  expect(batch).toMatchObject({ table: UNION, origin: 's.a', schemaVersion: union.version })
  expect(batch?.columns.map(({ type }) => type.kind)).toEqual(union.fields.map((f) => f.type.kind))
  const { counts } = corridor.barrier(1, '', { splits: { tables: [], splits: [] }, tables: [] })
  const none = { skipped: 0, filtered: 0, dead: 0 }
  expect(counts).toEqual([
    { table: 's.a', taken: 1, made: 0, sent: 0, united: 1, ...none },
    { table: UNION, taken: 0, made: 1, sent: 1, ...none },
  ])
  const written = { written: 1, stale: 0, absorbed: 0, parked: 0, held: 0 }
  const ops = { insert: 1, update: 0, delete: 0, read: 0 }
  new Trace({}).check(1, counts, [[{ table: UNION, read: 1, ...written, ops }]])
  const short = counts.map((each) => ({ ...each, united: 0 }))
  expect(() => new Trace({}).check(1, short, [])).toThrow('does not add up')
})

test('a table without a column of its own in the key is refused beside another', () => {
  const { corridor } = open({ of: () => null })
  corridor.newTables = 'park'
  corridor.tableChanged(table('a'), 1n)
  expect(corridor.tableChanged(table('b'), 1n)).toBeNull()
  expect(corridor.refused.get('s.b')).toMatchObject({ error: 'ROUTE_TAKEN' })
  const disjoint = open({ of: () => null, unionOf: () => ({ table: UNION, disjoint: true }) })
  disjoint.corridor.tableChanged(table('a'), 1n)
  expect(disjoint.corridor.tableChanged(table('b'), 1n)).not.toBeNull()
  const both = open({ of: () => null }, false)
  both.corridor.tableChanged(table('a'), 1n)
  expect(both.corridor.tableChanged(table('b'), 1n)).not.toBeNull()
})

test('a type that does not fit and another key keep a table out, and the others go on', () => {
  const { corridor } = open()
  corridor.newTables = 'park'
  corridor.tableChanged(table('a', column('2', 'v')), 1n)
  corridor.tableChanged(table('b', column('2', 'v', { type: { kind: 'string' } })), 1n)
  expect(errorOf(corridor, 's.b')).toContain('column "v" is string, and int in the others')
  corridor.tableChanged({ ...table('c'), key: null }, 1n)
  expect(errorOf(corridor, 's.c')).not.toBeNull()
  expect(corridor.schemaOf('s.a')).not.toBeNull()
  expect(unionOf(corridor).phase).toBe('streaming')
})

const FIVE = { existing: { kind: 'value', value: 5n } } as const

test('the same column with the same default comes to the tables one by one', () => {
  const { corridor } = open()
  for (const name of ['a', 'b', 'c']) corridor.tableChanged(table(name), 1n)
  expect(corridor.tableChanged(table('a', column('2', 'd', FIVE)), 2n)).not.toBeNull()
  expect(corridor.tableChanged(table('b', column('2', 'd', FIVE)), 3n)).not.toBeNull()
  expect(corridor.tableChanged(table('c', column('2', 'd')), 4n)).toBeNull()
  expect(errorOf(corridor, 's.c')).toContain('other values in the new column "d"')
})

test('a column that comes back, or has another name, parks all tables together', () => {
  for (const next of [
    [table('a'), table('a', column('3', 'v'))],
    [table('a', column('2', 'renamed'))],
    [table('a', column('3', 'v'))],
  ]) {
    const { corridor, sent } = open()
    for (const name of ['a', 'b']) corridor.tableChanged(table(name, column('2', 'v')), 1n)
    for (const each of next) corridor.tableChanged(each, 2n)
    expect([...corridor.tables.values()].map(({ phase }) => phase)).toEqual(Array(3).fill('parked'))
    expect(sent.at(-1)).toMatchObject({ kind: 'park', table: UNION })
    expect(fieldsOf(corridor)).toContain('v int')
    corridor.rebuild(unionOf(corridor), null)
    expect([...corridor.tables.values()].map(({ phase }) => phase)).not.toContain('parked')
  }
})

test('the sink hears of one hand-over: from the first table to the last', () => {
  const { corridor, sent } = open()
  for (const name of ['a', 'b']) corridor.tableChanged(table(name), 1n)
  const told = (): string[] =>
    sent.splice(0).flatMap((element) => {
      if (element.kind === 'schema' || element.kind === 'changes') return []
      return [`${element.kind} ${'origin' in element ? element.origin : 'all'}`]
    })
  told()
  const begin = (name: string): void =>
    corridor.control({ kind: 'backfill', table: `s.${name}`, repair: false, floor: null })
  const end = (name: string): void =>
    corridor.control({ kind: 'settled', table: `s.${name}`, order: 9n, done: true })
  begin('a')
  begin('b')
  expect(unionOf(corridor).phase).toBe('backfilling')
  end('a')
  expect(told()).toEqual(['backfill s.a', 'backfill all', 'backfill s.b', 'settled s.a'])
  end('b')
  expect(told()).toEqual(['settled s.b', 'settled all'])
  expect(unionOf(corridor).phase).toBe('streaming')
})

test('TRUNCATE of one table parks all where rows are told apart by key, and is told where not', () => {
  for (const keyed of [true, false]) {
    const { corridor } = open({}, keyed)
    for (const name of ['a', 'b']) corridor.tableChanged(table(name), 1n)
    corridor.tableTruncated('s.a', 2n)
    const phase = keyed ? 'parked' : 'streaming'
    expect([...corridor.tables.values()].map((record) => record.phase)).toEqual(
      Array(3).fill(phase),
    )
  }
})

test('a checkpoint is gone on from, and not by another route', () => {
  const { corridor } = open()
  for (const name of ['a', 'b']) corridor.tableChanged(table(name), 1n)
  corridor.tableDropped('s.b', 2n)
  const saved = structuredClone([...corridor.tables.values()])
  const again = open().corridor
  for (const record of structuredClone(saved)) again.restore(record)
  expect(again.tableChanged(table('a', column('2', 'x')), 3n)).not.toBeNull()
  expect(fieldsOf(again)).toContain('x int')
  const other = open({ unionOf: () => null }).corridor
  expect(() => saved.forEach((record) => other.restore(record))).toThrow('`route` makes it one by')
})

test('what parks one table while a checkpoint is taken up parks those behind it too', () => {
  const { corridor } = open()
  for (const name of ['a', 'b']) corridor.tableChanged(table(name), 1n)
  const saved = structuredClone([...corridor.tables.values()])
  for (const record of saved) if (record.schema.table === 's.a') record.semantics = 'another'
  const again = open().corridor
  for (const record of saved) again.restore(record)
  expect([...again.tables.values()].map(({ phase }) => phase)).toEqual(Array(3).fill('parked'))
})
