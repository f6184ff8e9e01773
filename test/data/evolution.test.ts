import { expect, test } from 'vitest'
import { evolve, firstSchema, widens, type OlderRows } from '../../runtime/data/evolution.ts'
import type { SourceColumn, SourceTable, TableSchema } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

const options = { firstFieldId: 1, keyed: true }

function column(identity: string, name: string, more: Partial<SourceColumn> = {}): SourceColumn {
  return {
    identity,
    name,
    type: { kind: 'int' },
    nullable: true,
    comment: null,
    sourceType: 'integer',
    existing: { kind: 'null' },
    ...more,
  }
}

function table(...columns: SourceColumn[]): SourceTable {
  const [namespace, name] = ['shop', 'orders']
  return { namespace, name, incarnation: '1', columns, key: ['1'], comment: null }
}

const id = column('1', 'id', { nullable: false })

function schemaOf(source: SourceTable): TableSchema {
  const evolution = firstSchema(source, options)
  if (evolution.kind !== 'evolved') throw new Error(`refused: ${evolution.kind}`)
  return evolution.schema
}

function evolved(
  before: TableSchema,
  after: SourceTable,
  older: OlderRows = 'carried',
): TableSchema {
  const evolution = evolve(before, after, older, options)
  if (evolution.kind !== 'evolved') throw new Error(`not evolved: ${JSON.stringify(evolution)}`)
  return evolution.schema
}

function idsOf({ fields }: TableSchema): Record<string, number> {
  return Object.fromEntries(fields.map((field) => [field.name, field.id]))
}

test('lists take a field id for their elements, and ids go on behind them', () => {
  const list: ColumnType = { kind: 'list', element: { kind: 'int' } }
  const schema = schemaOf(table(id, column('2', 'tags', { type: list }), column('3', 'a')))
  expect(schema.fields.map((field) => [field.id, field.elementId])).toEqual([
    [1, null],
    [2, 3],
    [4, null],
  ])
  expect(schema.lastFieldId).toBe(4)
})

test('a rename keeps the field id, and a swap of two names is two renames', () => {
  const before = schemaOf(table(id, column('2', 'a'), column('3', 'b')))
  const after = evolved(before, table(id, column('2', 'b'), column('3', 'a')))
  expect(idsOf(after)).toEqual({ id: 1, b: 2, a: 3 })
})

test('a column that is dropped and added again under its name has a new field id', () => {
  const before = schemaOf(table(id, column('2', 'a')))
  const dropped = evolved(before, table(id))
  const added = evolved(dropped, table(id, column('3', 'a')))
  expect(idsOf(added)).toEqual({ id: 1, a: 3 })
})

test('a new column with a constant for existing rows carries it as initial default', () => {
  const before = schemaOf(table(id))
  const existing = { kind: 'value', value: 5n } as const
  const after = evolved(before, table(id, column('2', 'n', { nullable: false, existing })))
  expect(after.fields[1]).toMatchObject({ nullable: false, initialDefault: 5n })
})

test('a new column is nullable in the lake when existing rows have no value for it', () => {
  const before = schemaOf(table(id))
  const after = evolved(before, table(id, column('2', 'n', { nullable: false })))
  expect(after.fields[1]).toMatchObject({ nullable: true, initialDefault: null })
})

test('a new column whose existing values nobody knows cannot be carried', () => {
  const before = schemaOf(table(id))
  const after = table(id, column('2', 'n', { existing: { kind: 'unknown' } }))
  expect(evolve(before, after, 'carried', options)).toMatchObject({ error: 'DDL_UNMAPPABLE' })
})

test('a column may become nullable in the lake and never required again', () => {
  const before = schemaOf(table(id, column('2', 'a', { nullable: false })))
  const relaxed = evolved(before, table(id, column('2', 'a')))
  expect(relaxed.fields[1]?.nullable).toBe(true)
  const tightened = table(id, column('2', 'a', { nullable: false }))
  expect(evolve(relaxed, tightened, 'carried', options)).toEqual({ kind: 'same' })
})

test('types widen as Iceberg promotes them, and in no other way', () => {
  const decimal = (precision: number, scale: number): ColumnType => {
    return { kind: 'decimal', precision, scale }
  }
  expect(widens({ kind: 'int' }, { kind: 'long' })).toBe(true)
  expect(widens({ kind: 'float' }, { kind: 'double' })).toBe(true)
  expect(widens(decimal(10, 2), decimal(12, 2))).toBe(true)
  expect(widens({ kind: 'long' }, { kind: 'int' })).toBe(false)
  expect(widens(decimal(12, 2), decimal(10, 2))).toBe(false)
  expect(widens(decimal(10, 2), decimal(12, 3))).toBe(false)
  expect(widens({ kind: 'int' }, { kind: 'string' })).toBe(false)
  expect(widens({ kind: 'timestamp' }, { kind: 'timestamptz' })).toBe(false)
  const before = schemaOf(table(id, column('2', 'a')))
  const text = table(id, column('2', 'a', { type: { kind: 'string' } }))
  expect(evolve(before, text, 'carried', options)).toMatchObject({ error: 'DDL_UNMAPPABLE' })
})

test('a new column whose existing rows have NaN or infinity cannot be carried', () => {
  const before = schemaOf(table(id))
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const existing = { kind: 'value', value } as const
    const after = table(id, column('2', 'n', { type: { kind: 'double' }, existing }))
    expect(evolve(before, after, 'carried', options)).toMatchObject({ error: 'DDL_UNMAPPABLE' })
  }
})

test('another key is refused, and allowed when all rows are gone', () => {
  const before = schemaOf(table(id, column('2', 'b', { nullable: false })))
  const after = { ...table(id, column('2', 'b', { nullable: false })), key: ['2'] }
  expect(evolve(before, after, 'carried', options)).toMatchObject({ error: 'KEY_CHANGED' })
  for (const older of ['gone', 'visible'] as const) {
    expect(evolved(before, after, older).key).toEqual([1])
    const more = { ...after, columns: [...after.columns, column('3', 'c')] }
    expect(evolved(before, more, older).key).toEqual([1])
  }
})

test('two columns of one name are refused', () => {
  const before = schemaOf(table(id, column('2', 'e')))
  const after = table(id, column('2', 'e'), column('3', 'e'))
  expect(evolve(before, after, 'carried', options)).toMatchObject({ error: 'DDL_UNMAPPABLE' })
})

test('a table without a key is refused where rows are told apart by it', () => {
  const keyless = { ...table(id), key: null }
  expect(firstSchema(keyless, options)).toMatchObject({ error: 'TABLE_WITHOUT_KEY' })
  expect(firstSchema(keyless, { ...options, keyed: false })).toMatchObject({ kind: 'evolved' })
})

test('a new incarnation keeps columns of the same name and type, and replaces the others', () => {
  const before = schemaOf(table(id, column('2', 'a'), column('3', 'b')))
  const text: ColumnType = { kind: 'string' }
  const after = evolved(
    before,
    table(
      column('1', 'id', { nullable: false }),
      column('2', 'b'),
      column('3', 'a', { type: text }),
    ),
    'gone',
  )
  expect(idsOf(after)).toEqual({ id: 1, b: 3, a: 4 })
})

test('a new column may be required only where readers see no older rows under it', () => {
  const before = schemaOf(table(id, column('2', 'a', { nullable: false })))
  const a = column('9', 'a', { nullable: false })
  for (const existing of [{ kind: 'unknown' }, { kind: 'value', value: 5n }] as const) {
    const added = column('3', 'n', { nullable: false, existing })
    const gone = evolved(before, table(id, a, added), 'gone')
    expect(gone.fields.map(({ nullable }) => nullable)).toEqual([false, false, false])
    const visible = evolved(before, table(id, a, added), 'visible')
    expect(visible.fields.map(({ nullable }) => nullable)).toEqual([false, false, true])
    expect(visible.fields[2]?.initialDefault).toBeNull()
  }
})

test('nothing changed is nothing new', () => {
  const source = table(id, column('2', 'a', { comment: 'x' }))
  expect(evolve(schemaOf(source), source, 'carried', options)).toEqual({ kind: 'same' })
})
