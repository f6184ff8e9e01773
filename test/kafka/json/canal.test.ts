// Messages as the documentation of canal and Maxwell shows them, and what it leaves open.

import { expect, test } from 'vitest'
import { canalProtocol } from '../../../connectors/kafka/json/changes/canal.ts'
import { maxwellProtocol } from '../../../connectors/kafka/json/changes/maxwell.ts'
import { changesOf, columns, decode, decoder } from './changes.ts'
import { unchanged } from './records.ts'

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

test('ETL-20: old pairs with data by index: absent is unchanged, null was null, a new key two rows', () => {
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
