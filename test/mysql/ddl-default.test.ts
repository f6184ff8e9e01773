// What rows hold in a column that is added with a default: the value that the server stores, or
// nothing is claimed. What the servers store is in ddl-sweep.live.test.ts.

import { expect, test } from 'vitest'
import { alterTable, createTable } from '../../connectors/mysql/ddl/apply.ts'
import type { DdlContext } from '../../connectors/mysql/ddl/apply.ts'
import { defaultOf } from '../../connectors/mysql/ddl/default.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import type { ColumnDefault } from '../../connectors/mysql/ddl/state.ts'
import { makeType } from '../../connectors/mysql/types.ts'
import type { ExistingValue } from '../../runtime/data/schema.ts'
import type { Literal } from '../../runtime/data/literal.ts'

const types = { tinyint1AsBoolean: false }
const unknown: ExistingValue = { kind: 'unknown' }

/** What old rows hold after ADD b. */
function added(
  definition: string,
  mariadb = false,
  context: Partial<DdlContext> = {},
): ExistingValue {
  const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb }
  const origin = { database: 'd', name: 't', incarnation: '1', charset: 'utf8mb4' }
  const indexes = { indexes: [], columns: [], charset: null, comment: null }
  const statement = parseStatement(`ALTER TABLE t ADD b ${definition}`, options)
  if (statement.kind !== 'alter-table') throw new Error(JSON.stringify(statement))
  const state = createTable(indexes, origin)
  const applied = alterTable(state, statement.actions, { types, strict: true, ...context })
  return applied.state!.columns[0]!.existing
}

function value(of: Literal): ExistingValue {
  return { kind: 'value', value: of }
}

test.each([
  ['YEAR DEFAULT 2024', 2024n],
  ["YEAR DEFAULT '2024'", 2024n],
  ['YEAR DEFAULT 1901', 1901n],
  ['YEAR DEFAULT 2155', 2155n],
  ["YEAR DEFAULT '0000'", 0n],
  ['YEAR DEFAULT 0', 0n],
  ['YEAR NOT NULL', 0n],
])('%s is the year that it says', (definition, year) => {
  expect(added(definition)).toEqual(value(year))
})

test.each(['70', "'70'", '69', '1', "'0'", "'00'", '02', '2024.0', '2e3', '02024', "'2e3'"])(
  'YEAR DEFAULT %s is left to the server',
  (year) => expect(added(`YEAR DEFAULT ${year}`)).toEqual(unknown),
)

test.each([
  ['{}', value('{}')],
  ['[]', value('[]')],
  [' {} ', value('{}')],
  ['{"b":1,"a":[1,2]}', unknown],
  ['[1]', unknown],
  ['1.50', unknown],
])('a JSON default of %s is known when the server prints it so', (text, existing) => {
  expect(added(`JSON DEFAULT ('${text}')`)).toEqual(existing)
})

test("JSON of MariaDB is text, and its default is the statement's", () => {
  expect(added(`JSON DEFAULT '{"b":1}'`, true)).toEqual(value('{"b":1}'))
})

test.each(['VARCHAR(20)', 'CHAR(20)', 'TEXT'])(
  'a number as the default of %s is known when it is printed as it is written',
  (type) => {
    for (const number of ['12', '-5', '0', '1.50', '-1.5', '0.5']) {
      expect(added(`${type} DEFAULT ${number}`)).toEqual(value(number))
      expect(added(`${type} DEFAULT (${number})`)).toEqual(value(number))
    }
    expect(added(`${type} DEFAULT +5`)).toEqual(value('5'))
    expect(added(`${type} DEFAULT TRUE`)).toEqual(value('1'))
    for (const number of ['1e3', '0012', '-0', '-0.0', '.5', '5.', '00.5', '1'.repeat(19)]) {
      expect(added(`${type} DEFAULT ${number}`)).toEqual(unknown)
      expect(added(`${type} DEFAULT '${number}'`)).not.toEqual(unknown)
    }
    expect(added(`${type} DEFAULT DATE'2020-1-5'`)).toEqual(unknown)
  },
)

test('a number as the default of bytes is its text, and of labels nothing that is known', () => {
  expect(added('VARBINARY(9) DEFAULT 12')).toEqual(value(new Uint8Array([0x31, 0x32])))
  expect(added('VARBINARY(9) DEFAULT 0012')).toEqual(unknown)
  expect(added('VARBINARY(9) DEFAULT 1e3')).toEqual(unknown)
  // MariaDB takes it for an index, MySQL for a label.
  expect(added("ENUM('b','1') DEFAULT 1")).toEqual(unknown)
  expect(added("SET('2','1') DEFAULT 1")).toEqual(unknown)
  expect(added("ENUM('b','1') DEFAULT '1'")).toEqual(value('1'))
})

test('text that does not fit, or is of another charset, is left to the server', () => {
  expect(added("VARCHAR(3) DEFAULT 'x  '")).toEqual(value('x  '))
  expect(added("VARCHAR(3) DEFAULT 'x     '")).toEqual(unknown)
  expect(added("VARCHAR(2) DEFAULT '\u{1f600}\u{1f600}'")).toEqual(value('\u{1f600}\u{1f600}'))
  expect(added("VARCHAR(9) DEFAULT _latin1'\u00e9'")).toEqual(unknown)
  expect(added("VARCHAR(9) DEFAULT _latin1'e'")).toEqual(value('e'))
  expect(added("VARCHAR(9) DEFAULT _utf16'ab'")).toEqual(unknown)
  expect(added("VARCHAR(9) DEFAULT N'\u00e9'")).toEqual(value('\u00e9'))
  // In the bytes of the client's charset, which are not known here.
  expect(added("VARBINARY(9) DEFAULT '\u00e9'")).toEqual(unknown)
})

test('what FLOAT(M,D) would round is left to the server', () => {
  expect(added('FLOAT(5,2) DEFAULT 1.239')).toEqual(unknown)
  expect(added('DOUBLE(5,2) DEFAULT 1.239')).toEqual(unknown)
  expect(added('DOUBLE(5,2) DEFAULT 7')).toEqual(value(7))
  expect(added('DOUBLE DEFAULT 1.239')).toEqual(value(1.239))
  expect(added('FLOAT DEFAULT 1.5')).toEqual(value(1.5))
  expect(added('FLOAT(20) DEFAULT 1.5')).toEqual(value(1.5))
  expect(added('FLOAT(30) DEFAULT 1.1')).toEqual(value(1.1))
  // DECIMAL has no negative zero, DOUBLE has.
  expect(added('DOUBLE DEFAULT -0.0')).toEqual(unknown)
})

test('text is no number for BIT: it is bytes', () => {
  expect(added("BIT(8) DEFAULT '5'")).toEqual(unknown)
  expect(added('BIT(8) DEFAULT 5')).toEqual(value(5n))
  expect(added("BIT(8) DEFAULT b'101'")).toEqual(value(5n))
  expect(added('BIT(8) DEFAULT TRUE')).toEqual(value(1n))
})

test('a TIMESTAMP that does not say NULL is null only under explicit_defaults_for_timestamp', () => {
  for (const definition of ['TIMESTAMP', 'TIMESTAMP(3)', 'TIMESTAMP DEFAULT NULL']) {
    expect(added(definition)).toEqual(unknown)
    expect(added(definition, false, { explicitTimestamps: false })).toEqual(unknown)
    expect(added(definition, false, { explicitTimestamps: true })).toEqual({ kind: 'null' })
  }
  expect(added('TIMESTAMP NULL')).toEqual({ kind: 'null' })
  expect(added('TIMESTAMP NULL DEFAULT NULL')).toEqual({ kind: 'null' })
  expect(added('DATETIME')).toEqual({ kind: 'null' })
})

test('bytes are read with and without the 0x that information_schema puts before them', () => {
  const type = makeType('binary', { length: 2 })
  const column = { type, nullable: true, generated: null, autoIncrement: false } as const
  for (const text of ['0x61', '61']) {
    const literal: ColumnDefault = { kind: 'literal', text, hex: true }
    expect(defaultOf({ ...column, default: literal }, types)).toEqual(
      value(new Uint8Array([0x61, 0])),
    )
  }
})
