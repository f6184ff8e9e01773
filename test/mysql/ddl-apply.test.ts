// Which ALTERs leave the old rows of the lake true, and which make them be read again.

import { expect, test } from 'vitest'
import { alterTable, createTable } from '../../connectors/mysql/ddl/apply.ts'
import type { Applied, DdlContext } from '../../connectors/mysql/ddl/apply.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import type { Statement } from '../../connectors/mysql/ddl/statement.ts'
import type { TableState } from '../../connectors/mysql/ddl/state.ts'

const types = { tinyint1AsBoolean: false }
const strict: DdlContext = { types, strict: true }
const lenient: DdlContext = { types, strict: false }

function parsed(text: string): Statement {
  const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb: true }
  return parseStatement(text, options)
}

function tableOf(columns: string): TableState {
  const create = parsed(`CREATE TABLE t (${columns})`)
  if (create.kind !== 'create-table') throw new Error(JSON.stringify(create))
  const origin = { database: 'd', name: 't', incarnation: '1', charset: 'utf8mb4' }
  return createTable(create.definition!, origin)
}

function applied(columns: string, alter: string, context = strict): Applied {
  const statement = parsed(alter)
  if (statement.kind !== 'alter-table') throw new Error(JSON.stringify(statement))
  return alterTable(tableOf(columns), statement.actions, context)
}

/** Why the table must be read again; `null` when the lake's rows are still true. */
function parks(columns: string, alter: string, context = strict): string | null {
  const result = applied(columns, alter, context)
  return result.kind === 'unmappable' ? result.reason : null
}

const TABLE = 'id int primary key, a int, s varchar(5)'

test.each([
  'ADD UNIQUE (a)',
  'ADD CONSTRAINT u UNIQUE KEY (a, s)',
  'ADD b int not null UNIQUE',
  'DROP PRIMARY KEY, ADD PRIMARY KEY (a)',
  'MODIFY a int UNIQUE',
  'ADD CHECK (a > 5)',
  'PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9))',
  'CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
  'MODIFY s varchar(9) COLLATE utf8mb4_general_ci',
])('ALTER IGNORE TABLE t %s may have removed rows', (action) => {
  expect(parks(TABLE, `ALTER IGNORE TABLE t ${action}`)).toMatch(/rows that did not fit/)
  expect(parks(TABLE, `ALTER ONLINE IGNORE TABLE t ${action}`)).toMatch(/rows that did not fit/)
  expect(parks(TABLE, `ALTER IGNORE ONLINE TABLE t ${action}`)).toMatch(/rows that did not fit/)
})

test('ALTER IGNORE converts values as outside of strict mode', () => {
  expect(parks(TABLE, 'ALTER IGNORE TABLE t MODIFY a tinyint')).toMatch(/clipped/)
  expect(parks(TABLE, 'ALTER IGNORE TABLE t MODIFY a int NOT NULL')).toMatch(/nulls/)
  expect(parks(TABLE, 'ALTER TABLE t MODIFY a tinyint')).toBeNull()
  expect(parks(TABLE, 'ALTER TABLE t MODIFY a tinyint', lenient)).toMatch(/clipped/)
})

test('ALTER IGNORE that touches no row is followed', () => {
  const actions = 'ADD b int DEFAULT 5, DROP s, RENAME COLUMN a TO c, COMMENT "x"'
  expect(applied(TABLE, `ALTER IGNORE TABLE t ${actions}`)).toMatchObject({
    kind: 'changed',
    state: { columns: [{ name: 'id' }, { name: 'c' }, { name: 'b' }] },
  })
  expect(parks(TABLE, 'ALTER IGNORE TABLE t MODIFY a bigint')).toBeNull()
})

test('a column that becomes AUTO_INCREMENT numbers its zeros and nulls', () => {
  const alter = 'ALTER TABLE t MODIFY id int AUTO_INCREMENT'
  expect(parks(TABLE, alter)).toMatch(/zeros became new numbers/)
  expect(parks(TABLE, alter, { ...strict, keepsZero: false })).toMatch(/zeros/)
  expect(parks(TABLE, alter, { ...strict, keepsZero: true })).toBeNull()
  const serial = 'ALTER TABLE t MODIFY id int SERIAL DEFAULT VALUE'
  expect(parks(TABLE, serial)).toMatch(/zeros became new numbers/)
  const nulls = 'ALTER TABLE t ADD KEY (a), MODIFY a int AUTO_INCREMENT'
  expect(parks(TABLE, nulls, { ...strict, keepsZero: true })).toMatch(/nulls became new numbers/)
  const already = 'id int primary key auto_increment'
  expect(parks(already, 'ALTER TABLE t MODIFY id bigint AUTO_INCREMENT')).toBeNull()
  expect(parks(already, 'ALTER TABLE t MODIFY id bigint')).toBeNull()
})

/** Names of the columns that allow nulls. */
function nullables(columns: string, alter: string): string[] {
  const { state } = applied(columns, alter, { ...strict, keepsZero: true })
  return state!.columns.flatMap(({ name, nullable }) => (nullable ? [name] : []))
}

test('columns of a primary key and AUTO_INCREMENT ones are NOT NULL without saying so', () => {
  expect(nullables(TABLE, 'ALTER TABLE t MODIFY id bigint')).toEqual(['a', 's'])
  expect(nullables(TABLE, 'ALTER TABLE t CHANGE id k bigint NULL')).toEqual(['a', 's'])
  expect(nullables(TABLE, 'ALTER TABLE t DROP PRIMARY KEY, MODIFY id bigint')).toEqual([
    'id',
    'a',
    's',
  ])
  expect(nullables('a int, key (a)', 'ALTER TABLE t MODIFY a int NULL AUTO_INCREMENT')).toEqual([])
})

test('a primary key over a column with nulls makes them zeros outside of strict mode', () => {
  const alter = 'ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a)'
  expect(parks(TABLE, alter)).toBeNull()
  expect(parks(TABLE, alter, lenient)).toMatch(/nulls became the default/)
  expect(parks(TABLE, 'ALTER TABLE t DROP PRIMARY KEY, ADD b int PRIMARY KEY', lenient)).toBeNull()
})
