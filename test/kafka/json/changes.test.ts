// Envelopes of changes: messages as the documentation of Debezium, canal and Maxwell shows them, and
// what they leave open.

import { expect, test } from 'vitest'
import { canalProtocol } from '../../../connectors/kafka/json/changes/canal.ts'
import {
  changeFormat,
  type ChangeOptions,
} from '../../../connectors/kafka/json/changes/change-decoder.ts'
import {
  debeziumProtocol,
  UNAVAILABLE_VALUE,
} from '../../../connectors/kafka/json/changes/debezium.ts'
import { maxwellProtocol } from '../../../connectors/kafka/json/changes/maxwell.ts'
import type { ChangeProtocol } from '../../../connectors/kafka/json/changes/protocol.ts'
import { plainColumn } from '../../../connectors/kafka/json/columns.ts'
import type { RecordDecoder } from '../../../connectors/kafka/format.ts'
import { parseType } from '../../../runtime/data/type-text.ts'
import { decodeAll, recordSet, unchanged, type Decoding, type TestRecord } from './records.ts'

const OPEN: ChangeOptions = { columns: null, primaryKeys: null, tables: null }

function decoder(
  protocol: ChangeProtocol,
  options: Partial<ChangeOptions> = {},
  saved: string | null = null,
): RecordDecoder {
  return changeFormat(() => protocol, { ...OPEN, ...options }).decoder('topic', 'value', saved)
}

function columns(types: Readonly<Record<string, string>>): ChangeOptions['columns'] {
  return Object.entries(types).map(([name, text]) => {
    const nullable = !text.endsWith(' not null')
    return { ...plainColumn(name, parseType(text.replace(' not null', ''))!), nullable }
  })
}

function decode(of: RecordDecoder, values: readonly (TestRecord | object | null)[]): Decoding {
  return decodeAll(
    of,
    recordSet(
      values.map((value) => {
        if (value === null) return { value }
        return 'value' in value ? value : { value: JSON.stringify(value) }
      }),
    ),
  )
}

function changesOf({ rows }: Decoding): unknown[] {
  return rows.map(({ op, row }) => [op, row])
}

// Debezium

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

// Canal

/** The message that the documentation of Flink's canal-json format shows. */
const CANAL = {
  data: [
    {
      id: '111',
      name: 'scooter',
      description: 'Big 2-wheel scooter',
      weight: '5.18',
    },
  ],
  database: 'inventory',
  es: 1589373560000,
  id: 9,
  isDdl: false,
  mysqlType: {
    id: 'INTEGER',
    name: 'VARCHAR(255)',
    description: 'VARCHAR(512)',
    weight: 'FLOAT',
  },
  old: [{ weight: '5.15' }],
  pkNames: ['id'],
  sql: '',
  sqlType: { id: 4, name: 12, description: 12, weight: 7 },
  table: 'products',
  ts: 1589373560798,
  type: 'UPDATE',
}
const scooter = { id: 111, name: 'scooter', description: 'Big 2-wheel scooter' }

test('the message of the canal documentation becomes its row, typed by mysqlType', () => {
  const of = decoder(canalProtocol)
  const decoding = decode(of, [
    CANAL,
    { ...CANAL, type: 'INSERT', old: null },
    { ...CANAL, type: 'DELETE', old: null },
    { ...CANAL, data: null, old: null, isDdl: true, type: 'ALTER', sql: 'alter table ...' },
    { data: null, isDdl: false, type: 'QUERY', sql: 'insert ...', database: 'x', table: 'y' },
  ])
  const row = { ...scooter, weight: Math.fround(5.18) }
  expect(decoding.faults).toEqual(new Map())
  expect(changesOf(decoding)).toEqual([
    ['update', row],
    ['insert', row],
    ['delete', row],
  ])
  expect(of.table.key).toEqual(['id'])
})

const ORDERS = { ...CANAL, mysqlType: { id: 'bigint(20)', a: 'varchar(9)', b: 'int(11)' } }

test('old pairs with data by index: absent is unchanged, null was null, a new key is two rows', () => {
  const of = decoder(canalProtocol, { primaryKeys: ['id'] })
  const data = [
    { id: '1', a: 'x', b: '1' },
    { id: '2', a: null, b: '2' },
    { id: '3', a: 'z', b: '3' },
    { id: '5', a: 'w' },
  ]
  const old = [{ a: null }, null, { id: '30', a: null }, { id: '50' }]
  expect(changesOf(decode(of, [{ ...ORDERS, data, old }]))).toEqual([
    ['update', { id: 1n, a: 'x', b: 1 }],
    ['update', { id: 2n, a: null, b: 2 }],
    ['delete', { id: 30n, a: null, b: 3 }],
    ['insert', { id: 3n, a: 'z', b: 3 }],
    ['delete', { id: 50n, a: 'w', b: null }],
    ['insert', { id: 5n, a: 'w', b: unchanged }],
  ])
})

test('a row of a message that cannot be read takes its message along, and no other', () => {
  const of = decoder(canalProtocol)
  const rows = (...ids: readonly string[]): object => ({
    ...ORDERS,
    type: 'INSERT',
    old: null,
    data: ids.map((id) => ({ id, a: 'x', b: '1' })),
  })
  const decoding = decode(of, [rows('1', '2'), rows('3', 'x', '4'), rows('5'), rows()])
  expect(decoding.rows.map(({ row }) => row['id'])).toEqual([1n, 2n, 5n])
  expect([...decoding.faults.keys()]).toEqual([1])
  expect(decoding.faults.get(1)?.message).toContain('column "id"')
})

const MYSQL: readonly (readonly [string, string, string, unknown])[] = [
  ['int', 'tinyint(1)', '1', 1],
  ['int', 'smallint(5) unsigned', '65535', 65_535],
  ['long', 'int(10) unsigned', '4294967295', 4_294_967_295n],
  ['decimal(20, 0)', 'bigint(20) unsigned', '18446744073709551615', 2n ** 64n - 1n],
  ['decimal(12, 2)', 'decimal(12,2)', '-1234.50', -123_450n],
  ['string', 'decimal(65,30)', '1.5', '1.5'],
  ['double', 'double', '1.5e300', 1.5e300],
  ['date', 'date', '1970-01-02', 1],
  ['timestamp', 'datetime(6)', '1970-01-01 00:00:01.000002', 1_000_002n],
  ['timestamp', 'timestamp', '1970-01-01 00:00:01', 1_000_000n],
  ['long', 'time', '-838:59:59.5', -3_020_399_500_000n],
  ['int', 'year(4)', '2026', 2026],
  ['long', 'bit(8)', '5', 5n],
  ['string', 'json', '{"a": "é"}', '{"a": "é"}'],
  ['binary', 'varbinary(9)', '\u0000aé\u00ff', '0061e9ff'],
  ['string', "enum('a','b')", 'a', 'a'],
]

test('strings of canal are typed by mysqlType', () => {
  const mysqlType = Object.fromEntries(MYSQL.map(([, type], at) => [`c${at}`, type]))
  const data = [Object.fromEntries(MYSQL.map(([, , value], at) => [`c${at}`, value]))]
  const of = decoder(canalProtocol)
  const message = { ...CANAL, type: 'INSERT', pkNames: null, mysqlType, data, old: null }
  const { rows, faults } = decode(of, [message])
  expect(faults).toEqual(new Map())
  expect(rows[0]?.row).toEqual(Object.fromEntries(MYSQL.map((row, at) => [`c${at}`, row[3]])))
  expect(of.table.columns.map(({ sourceType }) => sourceType.replace(/ \([a-z].*/, ''))).toEqual(
    MYSQL.map(([type]) => type),
  )
})

test('changes of a second table are told, also after a restart; of a list others are passed over', () => {
  const insert = { ...ORDERS, type: 'INSERT', old: null, data: [{ id: '1', a: 'x', b: '1' }] }
  const other = { ...insert, table: 'customers' }
  const of = decoder(canalProtocol)
  expect([...decode(of, [insert, other, insert]).faults.keys()]).toEqual([1])
  const after = decoder(canalProtocol, {}, of.save())
  expect([...decode(after, [other]).faults.keys()]).toEqual([0])
  const listed = decoder(canalProtocol, { tables: ['inventory.products'] })
  const decoding = decode(listed, [other, insert, other])
  expect(decoding.rows.map(({ record }) => record)).toEqual([1])
  expect(decoding.faults.size).toBe(0)
})

test('a truncate of canal is told', () => {
  const of = decoder(canalProtocol)
  const truncate = { ...CANAL, data: null, old: null, isDdl: true, type: 'TRUNCATE' }
  expect([...decode(of, [truncate]).faults.keys()]).toEqual([0])
})

// Maxwell

test('the records of the Maxwell documentation become their rows', () => {
  const of = decoder(maxwellProtocol, {
    columns: columns({ id: 'long', m: 'decimal(12,6)', c: 'timestamp', comment: 'string' }),
  })
  const record = (type: string, data: object, old?: object): object => ({
    database: 'test',
    table: 'e',
    type,
    ts: 1477053217,
    xid: 23396,
    commit: true,
    position: 'master.000006:800911',
    primary_key_columns: ['id'],
    data,
    ...(old === undefined ? {} : { old }),
  })
  const row = { id: 1, m: 4.2341, c: '2016-10-21 05:33:37.523000', comment: 'I am a creature.' }
  const changed = { ...row, m: 5.444, c: '2016-10-21 05:33:54.631000' }
  const typed = { ...row, id: 1n, m: 4_234_100n, c: 1_477_028_017_523_000n }
  const typedAfter = { ...typed, m: 5_444_000n, c: 1_477_028_034_631_000n }
  const keyed = decoder(maxwellProtocol, {
    columns: columns({ id: 'long', m: 'decimal(12,6)', c: 'timestamp', comment: 'string' }),
    primaryKeys: ['id'],
  })
  const decoding = decode(keyed, [
    record('insert', row),
    record('update', changed, { m: row.m, c: row.c }),
    record('update', { ...row, id: 2 }, { id: 1 }),
    record('delete', { ...row, id: 2 }),
    { database: 'test', table: 'e', type: 'bootstrap-start', ts: 1, data: {} },
    record('bootstrap-insert', row),
    { database: 'test', table: 'e', type: 'bootstrap-complete', ts: 1, data: {} },
    { type: 'table-alter', database: 'test', table: 'e', old: {}, def: {}, ts: 1, sql: 'ALTER' },
    record('insert', { id: 'one' }),
  ])
  expect(changesOf(decoding)).toEqual([
    ['insert', typed],
    ['update', typedAfter],
    ['delete', typed],
    ['insert', { ...typed, id: 2n }],
    ['delete', { ...typed, id: 2n }],
    ['read', typed],
  ])
  expect([...decoding.faults.keys()]).toEqual([8])
  expect(changesOf(decode(of, [record('update', { id: 1 })]))).toEqual([
    ['update', { id: 1n, m: unchanged, c: unchanged, comment: unchanged }],
  ])
  expect(() => decode(decoder(maxwellProtocol), [record('insert', row)])).toThrow(
    expect.objectContaining({ error: 'FORMAT_TYPES_MISSING' }),
  )
})
