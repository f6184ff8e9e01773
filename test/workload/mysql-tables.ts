// Twelve tables of all types of MySQL and MariaDB that the lake can hold, in several character sets
// and collations. Zero dates are left out: they have no place in the lake and park their table.
import type { MysqlServer } from '../servers/mysql-family.ts'
import type { AddableColumn } from './evolving.ts'
import type { WorkloadColumn, WorkloadTable } from './table.ts'
import {
  between,
  date,
  decimal,
  type Draw,
  json,
  labels,
  large,
  LATIN,
  mixed,
  moment,
  nullable,
  text,
  timeText,
  uuid,
  uuidOf,
} from './values.ts'

type Kind = MysqlServer['kind']

const INT32 = 2_147_483_647n
const INT64 = 9_223_372_036_854_775_807n

/** Without the backslash, which is an escape here and none in other SQL modes. */
export function quote(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

function column(name: string, type: string, draw: Draw): WorkloadColumn {
  // A TIMESTAMP without NULL would be filled by the server where NULL is written.
  const nulls = type.startsWith('timestamp') ? `${type} NULL` : type
  return { name, type: nulls, draw: nullable(draw) }
}

const int = between(-INT32 - 1n, INT32)
const bigint = between(-INT64 - 1n, INT64)
const float = mixed(['0', '1e-30', '3.4e38', '0.1', '16777217'], (random) =>
  String(Math.fround(random.next() * 1e6)),
)
const double = mixed(['0', '5e-324', '1.7976931348623157e308', '0.30000000000000004'], (random) =>
  // MySQL prints 22 characters of a double at most: more digits would not come back as they were.
  ((random.next() - 0.5) * 10 ** random.int(-20, 20)).toExponential(14),
)
const bytes: Draw = (random) => `x'${random.hex(random.int(0, 40))}'`
const fixedBytes: Draw = mixed(["x'01000000'", "x'00'", "x''"], (random) => `x'${random.hex(4)}'`)
const duration: Draw = mixed(["'00:00:00'", "'-838:59:58.999999'", "'838:59:58.5'"], (random) =>
  quote(`${random.pick(['', '-'])}${random.int(0, 700)}${timeText(random).slice(2)}`),
)
const set: Draw = (random) => quote(random.some(['x', 'y', 'z']).join(','))

const numberColumns = [
  column('flag', 'tinyint(1)', between(-128n, 127n)),
  column('tiny', 'tinyint unsigned', between(0n, 255n)),
  column('small', 'smallint', between(-32_768n, 32_767n)),
  column('medium', 'mediumint unsigned', between(0n, 16_777_215n)),
  column('i', 'int', int),
  column('u', 'int unsigned', between(0n, 4_294_967_295n)),
  column('l', 'bigint', bigint),
  column('ul', 'bigint unsigned', between(0n, 18_446_744_073_709_551_615n)),
  column('f', 'float', float),
  column('d', 'double', double),
]

const exactColumns = [
  column('amount', 'decimal(12,2)', decimal(12, 2)),
  column('exact', 'decimal(38,10)', decimal(38, 10)),
  column('vast', 'decimal(65,30)', decimal(65, 30)),
  column('positive', 'decimal(9,4) unsigned', decimal(9, 4, false)),
  column('three', 'bit(3)', between(0n, 7n)),
  column('many', 'bit(63)', between(0n, INT64)),
]

const textColumns = [
  column('v', 'varchar(40)', text(quote, 40)),
  column('t', 'text', text(quote, 120)),
  column('c', 'char(5)', text(quote, 5)),
  column('latin', 'varchar(30) character set latin1', text(quote, 30, LATIN)),
  column('mood', "enum('glad','sad','so so')", labels(quote, ['glad', 'sad', 'so so'])),
  column('letters', "set('x','y','z')", set),
  column('long_one', 'longtext', large(quote, 3000)),
]

const timeColumns = [
  column('d', 'date', date(quote, 1000)),
  column('t', 'time(6)', duration),
  column('dt', 'datetime(6)', moment(quote, 1000)),
  column('seconds', 'datetime', moment(quote, 1000, 9998)),
  column('ts', 'timestamp(6)', moment(quote, 1970, 2037)),
  column(
    'y',
    'year',
    mixed(['1901', '2155', '0'], (random) => String(random.int(1901, 2155))),
  ),
]

const binaryColumns = [
  column('b', 'blob', bytes),
  column('fixed', 'binary(4)', fixedBytes),
  column('vb', 'varbinary(60)', bytes),
]

const number = (value: number): string[] => [String(value)]
const far = (value: number): string[] => [
  String(value % 2 === 0 ? INT64 - BigInt(value) : -INT64 + BigInt(value)),
]
const unsignedKey = (value: number): string[] => [
  String(value % 2 === 0 ? 18_446_744_073_709_551_615n - BigInt(value) : BigInt(value)),
]
/** Different under every collation: case and accents are equal under some. */
const wordKey = (value: number): string[] => [
  quote(`${value % 3 === 0 ? 'KEY' : 'key'} ${value % 5 === 0 ? 'Ä' : 'a'}${value}`),
]
const bytesKey = (value: number): string[] => [
  `x'${(value * 2_654_435_761).toString(16).padStart(16, '0').slice(-16)}'`,
]
const pairKey = (value: number): string[] => [quote(`n${Math.floor(value / 3)}`), String(value % 3)]

const plain = { changesKeys: true, truncates: false, keys: 160 }
const byInt = { ...plain, keyColumns: [{ name: 'id', type: 'int' }], key: number }
const byLong = { ...plain, keyColumns: [{ name: 'id', type: 'bigint' }], key: far }

function words(name: string, type: string): WorkloadTable {
  const columns = [column('n', 'bigint', bigint)]
  return { ...plain, name, keyColumns: [{ name: 'word', type }], key: wordKey, columns }
}

/** The table whose structure changes; writers keep to these columns. */
export const MYSQL_EVOLVING: WorkloadTable = {
  ...byInt,
  name: 'evolving',
  columns: [column('n', 'bigint', bigint), column('note', 'varchar(60)', text(quote, 30))],
}

export function mysqlTables(kind: Kind): WorkloadTable[] {
  // MySQL's JSON is a type of its own; MariaDB has a UUID and keeps JSON as it was written.
  const own =
    kind === 'mysql'
      ? column('j', 'json', (random) => quote(json(random)))
      : column('other', 'uuid', uuid(quote))
  const accents = kind === 'mysql' ? 'utf8mb4_0900_ai_ci' : 'utf8mb4_unicode_ci'
  return [
    { ...byInt, name: 'numbers', columns: numberColumns },
    {
      ...plain,
      name: 'exact',
      keyColumns: [{ name: 'id', type: 'bigint unsigned' }],
      key: unsignedKey,
      columns: exactColumns,
    },
    { ...byLong, name: 'texts', columns: [...textColumns, own] },
    { ...byInt, name: 'times `and` dates', columns: timeColumns },
    {
      ...plain,
      name: 'binaries',
      keyColumns: [{ name: 'id', type: 'binary(8)' }],
      key: bytesKey,
      columns: binaryColumns,
    },
    {
      ...plain,
      name: 'pairs',
      keyColumns: [
        { name: 'name', type: 'varchar(20)' },
        { name: 'tenant', type: 'smallint' },
      ],
      key: pairKey,
      columns: [column('n', 'int', int), column('v', 'varchar(20)', text(quote, 20))],
    },
    words('words', `varchar(40) collate ${accents}`),
    words('latin_words', 'char(36) character set latin1 collate latin1_swedish_ci'),
    {
      ...plain,
      name: 'days',
      keyColumns: [
        { name: 'day', type: 'date' },
        { name: 'at', type: 'datetime(3)' },
      ],
      key: dayKey,
      columns: [column('n', 'decimal(20,0)', decimal(20, 0))],
    },
    {
      ...plain,
      name: 'uuids',
      keyColumns: [{ name: 'id', type: kind === 'mysql' ? 'char(36)' : 'uuid' }],
      key: (value) => [quote(uuidOf((value * 2_654_435_761).toString(16).padStart(32, '0')))],
      columns: [column('v', 'text', text(quote, 20))],
    },
    { ...byLong, name: 'scratch', columns: numberColumns.slice(0, 4), truncates: true },
    MYSQL_EVOLVING,
  ]
}

function dayKey(value: number): string[] {
  const day = String(1 + (value % 28)).padStart(2, '0')
  const ms = String(value % 1000).padStart(3, '0')
  const minute = String(Math.floor(value / 1000) % 60).padStart(2, '0')
  const hour = String(Math.floor(value / 60_000) % 24).padStart(2, '0')
  return [quote(`2024-02-${day}`), quote(`1999-12-31 ${hour}:${minute}:00.${ms}`)]
}

export const MYSQL_ADDED_COLUMNS: readonly AddableColumn[] = [
  { type: 'int', draw: int, constant: (random) => int(random) },
  { type: 'decimal(8,2)', draw: decimal(8, 2), constant: (random) => decimal(8, 2)(random) },
  { type: 'varchar(12)', draw: text(quote, 12), constant: (random) => text(quote, 12)(random) },
  { type: 'tinyint(1)', draw: between(0n, 1n), constant: () => '1' },
  { type: 'datetime(6)', draw: moment(quote, 1000), constant: () => "'2024-02-29 12:00:00.5'" },
  { type: 'float', draw: float, constant: () => '0.5' },
  { type: "enum('a','b')", draw: labels(quote, ['a', 'b']), constant: () => "'b'" },
]
