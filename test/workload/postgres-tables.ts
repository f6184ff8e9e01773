// Twelve PostgreSQL tables of all types that the lake can hold, with every replica identity.
import type { Random } from './random.ts'
import type { WorkloadColumn, WorkloadTable } from './table.ts'
import {
  between,
  date,
  decimal,
  type Draw,
  json,
  labels,
  large,
  mixed,
  moment,
  nullable,
  text,
  timeText,
  uuid,
  uuidOf,
} from './values.ts'

const INT16 = 32_767n
const INT32 = 2_147_483_647n
const INT64 = 9_223_372_036_854_775_807n

export function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

function column(name: string, type: string, draw: Draw): WorkloadColumn {
  return { name, type, draw: nullable(draw) }
}

function list(element: Draw, type: string): Draw {
  return (random) => {
    const length = random.int(0, 4)
    const items = Array.from({ length }, () => nullable(element, 0.2)(random))
    return `ARRAY[${items.join(', ')}]::${type}`
  }
}

const smallint = between(-INT16 - 1n, INT16)
const integer = between(-INT32 - 1n, INT32)
const bigint = between(-INT64 - 1n, INT64)
const floats = ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", '0', '1e-30', '3.4e38', '0.1']
const real = mixed(floats, (random) => String(Math.fround(random.next() * 1e6)))
const double = mixed(
  [...floats, '5e-324', '1.7976931348623157e308', '0.30000000000000004'],
  (random) => String((random.next() - 0.5) * 10 ** random.int(-20, 20)),
)
const bits: Draw = (random) => `B'${random.int(0, 7).toString(2).padStart(3, '0')}'`
const anyBits: Draw = (random) => `B'${random.int(0, 2 ** 30).toString(2)}'`
const bytes: Draw = (random) => `'\\x${random.hex(random.int(0, 40))}'`
const time: Draw = mixed(["'00:00:00'", "'23:59:59.999999'"], (random) => quote(timeText(random)))
const free = mixed(['0', '1.500', '-0.0001', '1e40'], decimal(60, 25))

const numberColumns = [
  column('s', 'smallint', smallint),
  column('i', 'integer', integer),
  column('l', 'bigint', bigint),
  column('amount', 'numeric(12,2)', decimal(12, 2)),
  column('exact', 'numeric(38,10)', decimal(38, 10)),
  column('free', 'numeric', free),
  column('r', 'real', real),
  column('d', 'double precision', double),
  column('positive', 'positive', between(1n, INT64)),
]

const textColumns = [
  column('v', 'varchar(40)', text(quote, 40)),
  column('t', 'text', text(quote, 120)),
  column('c', 'char(5)', text(quote, 5)),
  column('mood', 'mood', labels(quote, ['glad', 'sad', 'so so'])),
  column('j', 'json', (random) => quote(json(random))),
  column('jb', 'jsonb', (random) => quote(json(random))),
]

const timeColumns = [
  column('d', 'date', date(quote)),
  column('t', 'time', time),
  column('ts', 'timestamp', moment(quote)),
  column('tz', 'timestamptz', moment(quote, 1, 9999, '+00')),
]

const binaryColumns = [
  column('b', 'bytea', bytes),
  column('three', 'bit(3)', bits),
  column('many', 'bit varying(70)', anyBits),
  column('other', 'uuid', uuid(quote)),
  column('yes', 'boolean', (random) => random.pick(['true', 'false'])),
]

const listColumns = [
  column('ints', 'int[]', list(integer, 'int[]')),
  column('texts', 'text[]', list(text(quote, 10), 'text[]')),
  column('amounts', 'numeric(10,2)[]', list(decimal(10, 2), 'numeric(10,2)[]')),
  column('moments', 'timestamptz[]', list(moment(quote, 1, 9999, '+00'), 'timestamptz[]')),
  column('uuids', 'uuid[]', list(uuid(quote), 'uuid[]')),
]

const number = (value: number): string[] => [String(value)]
/** Keys that lie far apart, at both ends of the range. */
const far = (value: number): string[] => [
  String(value % 2 === 0 ? INT64 - BigInt(value) : -INT64 + BigInt(value)),
]
const wordKey = (value: number): string[] => [
  quote(`${value % 3 === 0 ? 'KEY' : 'key'} ${value % 5 === 0 ? 'ß' : 'ss'}${value}`),
]
const hexKey = (value: number): string[] => [
  quote(uuidOf((value * 2_654_435_761).toString(16).padStart(32, '0').slice(-32))),
]
const pairKey = (value: number): string[] => [String(value % 3), quote(`n${Math.floor(value / 3)}`)]

const plain = { changesKeys: true, truncates: false, keys: 160 }
const byInt = { ...plain, keyColumns: [{ name: 'id', type: 'integer' }], key: number }
const byLong = { ...plain, keyColumns: [{ name: 'id', type: 'bigint' }], key: far }

/** The table whose structure changes; writers keep to these columns. */
export const EVOLVING: WorkloadTable = {
  ...byInt,
  name: 'evolving',
  columns: [column('n', 'bigint', bigint), column('note', 'text', text(quote, 30))],
}

export const POSTGRES_TABLES: readonly WorkloadTable[] = [
  { ...byInt, name: 'numbers', columns: numberColumns },
  { ...byLong, name: 'texts', columns: textColumns },
  { ...byInt, name: 'Times & "dates"', columns: timeColumns },
  {
    ...plain,
    name: 'binaries',
    keyColumns: [{ name: 'id', type: 'uuid' }],
    key: hexKey,
    columns: binaryColumns,
  },
  { ...byInt, name: 'lists', columns: listColumns },
  {
    ...plain,
    name: 'pairs',
    keyColumns: [
      { name: 'tenant', type: 'smallint' },
      { name: 'name', type: 'varchar(20)' },
    ],
    key: pairKey,
    columns: [column('n', 'integer', integer), column('v', 'varchar(20)', text(quote, 20))],
  },
  {
    ...plain,
    name: 'words',
    keyColumns: [{ name: 'word', type: 'text' }],
    key: wordKey,
    columns: [column('n', 'bigint', bigint)],
  },
  {
    ...byInt,
    name: 'full_rows',
    columns: [column('big', 'text', large(quote, 9000)), column('n', 'integer', integer)],
    after: [
      'ALTER TABLE full_rows ALTER COLUMN big SET STORAGE EXTERNAL',
      'ALTER TABLE full_rows REPLICA IDENTITY FULL',
    ],
    keys: 60,
  },
  {
    ...plain,
    name: 'by_index',
    keyColumns: [{ name: 'id', type: 'integer' }],
    key: number,
    columns: [
      // The key of the log and of the lake is this column, not the primary key.
      { name: 'code', type: 'bigint NOT NULL', draw: (random) => String(random.int(0, 400)) },
      column('v', 'text', text(quote, 20)),
    ],
    after: [
      'CREATE UNIQUE INDEX by_index_code ON by_index (code)',
      'ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code',
    ],
  },
  {
    // Large values out of line under the default identity: updates leave them out of the log.
    ...byInt,
    name: 'toasted',
    columns: [column('big', 'text', large(quote, 7000)), column('n', 'integer', integer)],
    after: ['ALTER TABLE toasted ALTER COLUMN big SET STORAGE EXTERNAL'],
    changesKeys: false,
    keys: 60,
  },
  { ...byLong, name: 'scratch', columns: numberColumns.slice(0, 4), truncates: true },
  EVOLVING,
]

export const POSTGRES_SETUP: readonly string[] = [
  "CREATE TYPE mood AS ENUM ('glad', 'sad', 'so so')",
  'CREATE DOMAIN positive AS bigint CHECK (value > 0)',
]

/** Columns that DDL may add to the evolving table, with a default for some. */
export const ADDED_COLUMNS: readonly {
  type: string
  draw: Draw
  constant: (random: Random) => string
}[] = [
  { type: 'integer', draw: integer, constant: (random) => integer(random) },
  { type: 'text', draw: text(quote, 20), constant: (random) => text(quote, 20)(random) },
  { type: 'numeric(8,2)', draw: decimal(8, 2), constant: (random) => decimal(8, 2)(random) },
  { type: 'varchar(12)', draw: text(quote, 12), constant: (random) => text(quote, 12)(random) },
  { type: 'boolean', draw: (random) => random.pick(['true', 'false']), constant: () => 'true' },
  {
    type: 'timestamptz',
    draw: moment(quote, 1, 9999, '+00'),
    constant: () => "'2024-02-29 12:00:00+00'",
  },
  { type: 'real', draw: real, constant: () => '0.1' },
]
