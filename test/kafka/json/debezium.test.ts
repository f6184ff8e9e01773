// Events as the documentation of Debezium shows them, and what it leaves open.

import { expect, test } from 'vitest'
import {
  debeziumProtocol,
  UNAVAILABLE_VALUE,
} from '../../../connectors/kafka/json/changes/debezium.ts'
import { changesOf, columns, decode, decoder } from './changes.ts'
import { unchanged, type TestRecord } from './records.ts'

/** The schema of a value, as JsonConverter writes it with schemas.enable=true. */
function envelopeSchema(fields: readonly object[]): object {
  const image = (field: string): object => ({ type: 'struct', fields, optional: true, field })
  const op = { type: 'string', optional: false, field: 'op' }
  return { type: 'struct', fields: [image('before'), image('after'), op], optional: false }
}

const CUSTOMERS = envelopeSchema([
  { type: 'int32', optional: false, field: 'id' },
  { type: 'string', optional: false, field: 'first_name' },
  { type: 'string', optional: false, field: 'last_name' },
  { type: 'string', optional: false, field: 'email' },
])
const source = { version: '3.3.0.Final', connector: 'postgresql', name: 'PostgreSQL_server' }
const anne = { id: 1, first_name: 'Anne', last_name: 'Kretchmar', email: 'annek@noanswer.org' }
const mary = { ...anne, first_name: 'Anne Marie' }

function debezium(schema: object | null, payload: object | null, key?: object): TestRecord {
  const value = JSON.stringify(schema === null ? payload : { schema, payload })
  return key === undefined ? { value } : { value, key: JSON.stringify(key) }
}

const KEY = {
  schema: { type: 'struct', fields: [{ type: 'int32', optional: false, field: 'id' }] },
  payload: { id: 1 },
}

test('the events of the Debezium documentation become their rows, typed by their schema', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE))
  const decoding = decode(of, [
    debezium(CUSTOMERS, { before: null, after: anne, source, op: 'c', ts_ms: 1559033904863 }, KEY),
    debezium(CUSTOMERS, { before: { ...anne }, after: mary, source, op: 'u', ts_ms: 1 }, KEY),
    debezium(CUSTOMERS, { before: mary, after: null, source, op: 'd', ts_ms: 2 }, KEY),
    null,
    debezium(CUSTOMERS, { before: null, after: anne, source, op: 'r', ts_ms: 3 }, KEY),
    debezium(CUSTOMERS, { op: 'm', source, message: { prefix: 'foo', content: 'Ymfy' } }),
  ])
  expect(changesOf(decoding)).toEqual([
    ['insert', anne],
    ['update', mary],
    ['delete', mary],
    ['read', anne],
  ])
  expect(decoding.faults.size).toBe(0)
  expect(decoding.structures.at(-1)).toEqual([
    'id int',
    'first_name string',
    'last_name string',
    'email string',
  ])
  expect(of.table.key).toEqual(['id'])
  expect(of.table.columns.map(({ nullable }) => nullable)).toEqual([false, false, false, false])
})

const LOGICAL: readonly (readonly [string, object, unknown, unknown])[] = [
  [
    'decimal(10, 2)',
    {
      type: 'bytes',
      name: 'org.apache.kafka.connect.data.Decimal',
      parameters: { scale: '2', 'connect.decimal.precision': '10' },
    },
    // 1234.50 and -0.01 as unscaled bytes.
    'AeI6',
    123_450n,
  ],
  [
    'decimal(38, 3)',
    { type: 'bytes', name: 'org.apache.kafka.connect.data.Decimal', parameters: { scale: '3' } },
    '/w==',
    -1n,
  ],
  ['date', { type: 'int32', name: 'io.debezium.time.Date' }, 19_000, 19_000],
  ['date', { type: 'int32', name: 'org.apache.kafka.connect.data.Date' }, -1, -1],
  ['time', { type: 'int32', name: 'io.debezium.time.Time' }, 1, 1000n],
  ['time', { type: 'int64', name: 'io.debezium.time.MicroTime' }, 86_399_999_999, 86_399_999_999n],
  ['time', { type: 'int64', name: 'io.debezium.time.NanoTime' }, 5000, 5n],
  ['timestamp', { type: 'int64', name: 'io.debezium.time.Timestamp' }, 1, 1000n],
  ['timestamp', { type: 'int64', name: 'org.apache.kafka.connect.data.Timestamp' }, -1, -1000n],
  [
    'timestamp',
    { type: 'int64', name: 'io.debezium.time.MicroTimestamp' },
    1_558_965_515_240_000,
    1_558_965_515_240_000n,
  ],
  [
    'timestamptz',
    { type: 'string', name: 'io.debezium.time.ZonedTimestamp' },
    '1970-01-01T01:00:00.000001+01:00',
    1n,
  ],
  ['string', { type: 'string', name: 'io.debezium.data.Json' }, '{"a" : 1.0}', '{"a" : 1.0}'],
  ['string', { type: 'string', name: 'io.debezium.data.Enum' }, 'x', 'x'],
  [
    'uuid',
    { type: 'string', name: 'io.debezium.data.Uuid' },
    '00112233-4455-6677-8899-aabbccddeeff',
    '00112233445566778899aabbccddeeff',
  ],
  ['int', { type: 'int32', name: 'io.debezium.time.Year' }, 2026, 2026],
  ['binary', { type: 'bytes' }, 'q80=', 'abcd'],
  ['float', { type: 'float' }, 0.5, 0.5],
  ['double', { type: 'double' }, 'NaN', Number.NaN],
  ['boolean', { type: 'boolean' }, true, true],
  ['long', { type: 'int64' }, 12, 12n],
  ['list<string>', { type: 'array', items: { type: 'string' } }, ['a', null], ['a', null]],
  ['string', { type: 'struct', fields: [] }, { x: [1] }, '{"x":[1]}'],
]

test('logical types of Connect and Debezium have the values that they stand for', () => {
  const fields = LOGICAL.map(([, schema], at) => ({ ...schema, optional: true, field: `c${at}` }))
  const after = Object.fromEntries(LOGICAL.map(([, , value], at) => [`c${at}`, value]))
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE))
  const { rows, faults } = decode(of, [debezium(envelopeSchema(fields), { after, op: 'c' })])
  expect(faults).toEqual(new Map())
  const expected = Object.fromEntries(LOGICAL.map(([, , , value], at) => [`c${at}`, value]))
  expect(rows[0]?.row).toEqual(expected)
  const types = of.table.columns.map(({ sourceType }) =>
    sourceType.replace(/ \(.*(?:of|64|ted).*/, ''),
  )
  expect(types).toEqual(LOGICAL.map(([type]) => type))
})

test('a decimal beyond its digits is told, however many bytes carry its sign', () => {
  const decimal = {
    type: 'bytes',
    name: 'org.apache.kafka.connect.data.Decimal',
    parameters: { scale: '0', 'connect.decimal.precision': '4' },
    optional: true,
    field: 'd',
  }
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE))
  const value = (bytes: readonly number[]): TestRecord => {
    const after = { d: Buffer.from(bytes).toString('base64') }
    return debezium(envelopeSchema([decimal]), { after, op: 'c' })
  }
  const padded = [...Array.from({ length: 20 }, () => 0xff), 0xd8, 0xf1]
  const { rows, faults } = decode(of, [
    value([0x27, 0x0f]),
    value([0x27, 0x10]),
    value(padded),
    value([0xd8, 0xf0]),
    value([]),
  ])
  expect(rows.map(({ row }) => row['d'])).toEqual([9999n, -9999n])
  expect([...faults.keys()]).toEqual([1, 3, 4])
})

test('without a schema the columns are declared, or the table is refused by name', () => {
  const types = columns({ id: 'long', name: 'string' })
  const change = { before: null, after: { id: 7, name: 'x', more: 1 }, op: 'c' }
  expect(changesOf(decode(decoder(debeziumProtocol('')), []))).toEqual([])
  expect(() => decode(decoder(debeziumProtocol(UNAVAILABLE_VALUE)), [change])).toThrow(
    expect.objectContaining({ error: 'FORMAT_TYPES_MISSING' }),
  )
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE), { columns: types })
  expect(changesOf(decode(of, [change, debezium(CUSTOMERS, change)]))).toEqual([
    ['insert', { id: 7n, name: 'x' }],
    ['insert', { id: 7n, name: 'x' }],
  ])
})

test('an update without the image before is an update; a value that is unavailable is unchanged', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE), {
    columns: columns({ id: 'long', note: 'string', bytes: 'binary', tags: 'list<string>' }),
    primaryKeys: ['id'],
  })
  const after = {
    id: 1,
    note: UNAVAILABLE_VALUE,
    bytes: Buffer.from(UNAVAILABLE_VALUE).toString('base64'),
    tags: [UNAVAILABLE_VALUE],
  }
  expect(
    changesOf(
      decode(of, [
        { before: null, after, op: 'u' },
        { after, op: 'u' },
      ]),
    ),
  ).toEqual([
    ['update', { id: 1n, note: unchanged, bytes: unchanged, tags: unchanged }],
    ['update', { id: 1n, note: unchanged, bytes: unchanged, tags: unchanged }],
  ])
})

test('a changed key is a delete and an insert, which takes unavailable values from before', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE), {
    columns: columns({ id: 'long', note: 'string' }),
    primaryKeys: ['id'],
  })
  const before = { id: 1, note: 'long text' }
  const after = { id: 2, note: UNAVAILABLE_VALUE }
  const { rows } = decode(of, [{ before, after, op: 'u' }])
  expect(rows.map(({ op, row, record }) => [op, row, record])).toEqual([
    ['delete', { id: 1n, note: 'long text' }, 0],
    ['insert', { id: 2n, note: 'long text' }, 0],
  ])
})

test('a delete without an image has the key of its record, or is told', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE), {
    columns: columns({ id: 'long', note: 'string not null' }),
    primaryKeys: ['id'],
  })
  const gone = JSON.stringify({ before: null, after: null, op: 'd' })
  const { rows, faults } = decode(of, [
    { key: '{"id":5}', value: gone },
    { key: JSON.stringify({ schema: {}, payload: { id: 6 } }), value: gone },
    { value: gone },
    { key: '{"other":1}', value: gone },
    { key: '{"id":', value: gone },
  ])
  expect(rows.map(({ op, row }) => [op, row])).toEqual([
    ['delete', { id: 5n, note: null }],
    ['delete', { id: 6n, note: null }],
  ])
  expect([...faults.keys()]).toEqual([2, 3, 4])
})

test('what is no change, and a truncate, are told and cost no neighbour', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE), { columns: columns({ id: 'long' }) })
  const good = { after: { id: 1 }, op: 'c' }
  const { rows, faults } = decode(of, [
    good,
    { status: 'BEGIN', id: '571' },
    good,
    { op: 't', source },
    { after: null, op: 'c' },
    { after: { id: 'x' }, op: 'c' },
    { after: { id: 1 }, op: 'x' },
    { schema: null, payload: null },
    good,
    { value: '{"after":{"id":1},"op":"c"}x' },
  ])
  expect(rows.map(({ record }) => record)).toEqual([0, 2, 8])
  expect([...faults.keys()]).toEqual([1, 3, 4, 5, 6, 9])
})

test('producers with an old and a new schema take turns, and every value arrives', () => {
  const id = { type: 'int32', optional: false, field: 'id' }
  const old = envelopeSchema([id, { type: 'int32', optional: false, field: 'n' }])
  const next = envelopeSchema([
    id,
    { type: 'int64', optional: false, field: 'n' },
    { type: 'string', optional: false, field: 'more' },
  ])
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE))
  const values = [0, 1, 2, 3, 4, 5].map((n) =>
    n % 2 === 0
      ? debezium(old, { after: { id: n, n }, op: 'c' }, { id: n })
      : debezium(next, { after: { id: n, n, more: `m${n}` }, op: 'c' }, { id: n }),
  )
  const { rows, structures, faults } = decode(of, values)
  expect(faults.size).toBe(0)
  expect(rows.map(({ row }) => row)).toEqual([
    { id: 0, n: 0 },
    ...[1, 2, 3, 4, 5].map((n) => ({ id: n, n: BigInt(n), more: n % 2 === 0 ? null : `m${n}` })),
  ])
  expect(structures.slice(1)).toEqual([
    ['id int', 'n int'],
    ['id int', 'n long', 'more string'],
  ])
  const after = decoder(debeziumProtocol(UNAVAILABLE_VALUE), {}, of.save())
  expect(after.table).toEqual(of.table)
  const again = decode(after, [values[0]!, values[1]!])
  expect(again.structures).toHaveLength(1)
  expect(again.rows.map(({ row }) => row)).toEqual([
    { id: 0, n: 0n, more: null },
    { id: 1, n: 1n, more: 'm1' },
  ])
})

test('a schema that turns a text into a number parks the table', () => {
  const of = decoder(debeziumProtocol(UNAVAILABLE_VALUE))
  const schema = (type: string): object => envelopeSchema([{ type, optional: true, field: 'a' }])
  decode(of, [debezium(schema('string'), { after: { a: 'x' }, op: 'c' })])
  expect(() => decode(of, [debezium(schema('int32'), { after: { a: 1 }, op: 'c' })])).toThrow(
    expect.objectContaining({ error: 'FORMAT_TYPE_CHANGED' }),
  )
})
