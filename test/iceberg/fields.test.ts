import { expect, test } from 'vitest'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import {
  firstFieldId,
  identifierFieldIds,
  lakeFields,
  reservedNames,
} from '../../connectors/parquet/table/fields.ts'
import { formatJson } from '../../connectors/iceberg/json.ts'
import { fieldsOf, icebergSchema } from '../../connectors/iceberg/schema.ts'
import { ORDERS, schemaOf } from './lake.ts'

test('a changelog table has the four columns behind its own, and nothing is required but the op', () => {
  const schema = schemaOf('public.t', [['id!', { kind: 'long' }]], 0, firstFieldId('changelog'))
  const fields = lakeFields(schema, 'changelog')
  expect(fields.map(({ id, name, nullable }) => [id, name, nullable])).toEqual([
    [5, 'id', true],
    [1, '_op', false],
    [2, '_pos', true],
    [3, '_ts', true],
    [4, '_tx', true],
  ])
  expect(identifierFieldIds(schema, 'changelog')).toEqual([])
})

test('a column with the name of a changelog column is refused in that mode only', () => {
  const schema = schemaOf('public.t', [['_op', { kind: 'string' }]], 0, 5)
  expect(() => lakeFields(schema, 'changelog')).toThrow(/"_op" of public.t/)
  expect(lakeFields(schema, 'upsert')).toBe(schema.fields)
})

test('every column that a mode has of its own, and what readers add, is reserved', () => {
  expect(reservedNames('append')).toEqual([])
  expect(reservedNames('upsert')).toEqual(['_pos'])
  const own = lakeFields(schemaOf('t.t', [], 0, 5), 'changelog').map(({ name }) => name)
  expect(reservedNames('changelog')).toEqual(own)
})

test('key columns are identifier fields where Iceberg accepts all of them', () => {
  expect(identifierFieldIds(ORDERS, 'upsert')).toEqual([1])
  expect(identifierFieldIds(ORDERS, 'append')).toEqual([])
  const nullable = schemaOf('t.t', [['id', { kind: 'long' }]])
  expect(identifierFieldIds(nullable, 'upsert')).toEqual([])
  const float = schemaOf('t.t', [['id!', { kind: 'double' }]])
  expect(identifierFieldIds(float, 'upsert')).toEqual([])
})

test('defaults have the JSON form of their type, exactly', () => {
  const field = (
    id: number,
    type: Field['type'],
    initialDefault: Field['initialDefault'],
  ): Field => ({
    id,
    elementId: null,
    identity: String(id),
    name: `c${id}`,
    type,
    nullable: true,
    comment: id === 1 ? 'a "comment"' : null,
    initialDefault,
  })
  const schema: TableSchema = {
    ...ORDERS,
    key: null,
    fields: [
      field(1, { kind: 'int' }, 5n),
      field(2, { kind: 'long' }, 9_223_372_036_854_775_807n),
      field(3, { kind: 'decimal', precision: 9, scale: 2 }, -1420n),
      field(4, { kind: 'date' }, 17_486n),
      field(5, { kind: 'timestamptz' }, 1_510_871_468_000_001n),
      field(6, { kind: 'string', json: true }, '{"a":1}'),
      field(7, { kind: 'boolean' }, false),
      field(8, { kind: 'double' }, 1),
      field(9, { kind: 'binary' }, Uint8Array.of(0, 255)),
      { ...field(10, { kind: 'list', element: { kind: 'int' } }, null), elementId: 11 },
    ],
  }
  const { json } = icebergSchema(schema, 'append')
  const text = formatJson(json)
  for (const part of [
    '"type":"int","doc":"a \\"comment\\"","initial-default":5,"write-default":5',
    '"initial-default":9223372036854775807,',
    '"type":"decimal(9, 2)","initial-default":"-14.20"',
    '"initial-default":"2017-11-16"',
    '"initial-default":"2017-11-16T22:31:08.000001+00:00"',
    '"type":"string","initial-default":"{\\"a\\":1}"',
    '"initial-default":false',
    '"type":"double","initial-default":1.0,"write-default":1.0',
    '"initial-default":"00FF"',
    '"type":{"type":"list","element-id":11,"element":"int","element-required":false}}',
  ]) {
    expect(text).toContain(part)
  }
  expect(text).not.toContain('identifier-field-ids')
  const types = fieldsOf({ schemaId: 0, json }).map(({ type }) => type?.kind)
  expect(types).toEqual(schema.fields.map(({ type }) => type.kind))
})
