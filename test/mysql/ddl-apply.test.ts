// Which ALTERs leave the old rows of the lake true, and which make them be read again.

import { expect, test } from 'vitest'
import { alterTable, createTable } from '../../connectors/mysql/ddl/apply.ts'
import type { Applied, DdlContext } from '../../connectors/mysql/ddl/apply.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import type { Statement } from '../../connectors/mysql/ddl/statement.ts'
import { sourceTableOf, type TableState } from '../../connectors/mysql/ddl/state.ts'

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
  expect(parks(TABLE, 'ALTER TABLE t MODIFY id bigint', lenient)).toBeNull()
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

test.each([
  ['double', 'double(10,2)', /rounded/],
  ['double(10,4)', 'double(10,2)', /rounded/],
  ['float', 'double(10,2)', /rounded/],
  ['float(10,2)', 'double(10,2)', /rounded/],
  ['float(10)', 'float(10,2)', /rounded/],
  ['decimal(40,2)', 'decimal(42,1)', /digits/],
  ['decimal(40,2)', 'decimal(42,3)', /digits/],
  // The text of a value has its labels in the order of the type.
  ["set('a','b')", "set('b','a')", /order/],
  ["set('a','b')", "set('b','c','a')", /order/],
  ['text character set latin1', 'text character set utf8mb4', /cut/],
  ['tinytext character set latin1', 'tinytext character set utf8mb4', /cut/],
  ['varchar(255)', 'tinytext', /cut/],
  ['varchar(255) character set latin1', 'tinytext character set utf8mb4', /cut/],
  ['varchar(30000) character set latin1', 'text character set utf32', /cut/],
  // MariaDB fills in the time of the statement, also in strict mode.
  ['timestamp null', 'timestamp not null', /nulls/],
  ['timestamp null', 'timestamp', /nulls/],
  ['timestamp null', "timestamp default '2020-05-05'", /nulls/],
])('the values of %s may not be those of %s in any mode', (from, to, reason) => {
  expect(parks(`id int primary key, a ${from}`, `ALTER TABLE t MODIFY a ${to}`)).toMatch(reason)
})

test.each([
  ['int', 'int unsigned'],
  ['smallint', 'int unsigned'],
  ['double', 'double unsigned'],
  ['float', 'double unsigned'],
  ['float', 'float unsigned'],
  ['double(10,2)', 'double(8,2)'],
  ['decimal(10,2)', 'decimal(10,2) unsigned'],
  ['decimal(10,2)', 'decimal(12,2) zerofill'],
  ['decimal(40,2)', 'decimal(39,2)'],
  ['decimal(40,2)', 'decimal(40,2) unsigned'],
])('the values of %s that %s lacks are clipped outside of strict mode', (from, to) => {
  const columns = `id int primary key, a ${from}`
  expect(parks(columns, `ALTER TABLE t MODIFY a ${to}`)).toBeNull()
  expect(parks(columns, `ALTER TABLE t MODIFY a ${to}`, lenient)).toMatch(/clipped/)
})

test.each([
  ['float', 'double'],
  // One number is a size in bits, and rounds nothing.
  ['float', 'float(10)'],
  ['float(10)', 'float(20)'],
  ['float(10,0)', 'float(10,2)'],
  ['float(10,2)', 'double'],
  ['double(10,2)', 'double(12,4)'],
  ['double unsigned', 'double'],
  ['int unsigned', 'bigint'],
  ['smallint unsigned', 'int unsigned'],
  ['decimal(10,2) unsigned', 'decimal(12,2)'],
  ['decimal(40,2)', 'decimal(42,2)'],
  ["set('a','b')", "set('x','a','y','b')"],
  ["enum('a','b')", "enum('b','a')"],
  ['varchar(16383)', 'text'],
  ['varchar(60)', 'tinytext'],
  ['tinytext', 'varchar(255)'],
  ['varchar(255) character set latin1', 'text character set utf8mb4'],
  ['text character set utf8mb3', 'text character set utf8mb4'],
  ['text character set ascii', 'text character set latin1'],
  ['text', 'mediumtext'],
  ['varbinary(60000)', 'blob'],
  ['bit(8)', 'bit(9)'],
  ['timestamp null', 'timestamp(3) null'],
  ['timestamp not null', 'timestamp(3) not null'],
])('the values of %s are those of %s', (from, to) => {
  const columns = `id int primary key, a ${from}`
  expect(parks(columns, `ALTER TABLE t MODIFY a ${to}`)).toBeNull()
})

test('labels of ASCII survive in another charset outside of strict mode too', () => {
  const columns = "id int primary key, a enum('a','b'), b set('a','b'), c varchar(5)"
  const alter = (column: string): string => `ALTER TABLE t MODIFY ${column} character set latin1`
  expect(parks(columns, alter("a enum('a','b')"), lenient)).toBeNull()
  expect(parks(columns, alter("b set('a','b')"), lenient)).toBeNull()
  expect(parks(columns, alter('c varchar(5)'), lenient)).toMatch(/question marks/)
})

test('TIMESTAMP allows nulls where explicit_defaults_for_timestamp is on', () => {
  const columns = 'id int primary key, a timestamp null'
  const alter = 'ALTER TABLE t MODIFY a timestamp'
  expect(parks(columns, alter, { ...strict, explicitTimestamps: true })).toBeNull()
  expect(parks(columns, alter, { ...strict, explicitTimestamps: false })).toMatch(/nulls/)
})

test('CHAR is padded when it becomes another type under PAD_CHAR_TO_FULL_LENGTH', () => {
  const columns = 'id int primary key, a char(10)'
  const pads = { ...strict, padsChar: true }
  expect(parks(columns, 'ALTER TABLE t MODIFY a varchar(20)')).toBeNull()
  expect(parks(columns, 'ALTER TABLE t MODIFY a varchar(20)', pads)).toMatch(/blanks/)
  expect(parks(columns, 'ALTER TABLE t MODIFY a text', pads)).toMatch(/blanks/)
  expect(parks(columns, 'ALTER TABLE t MODIFY a char(20)', pads)).toBeNull()
})

test.each([
  ['text(50)', 'tinytext'],
  ['text(64)', 'text'],
  ['text(100) character set latin1', 'tinytext'],
  ['text(20000)', 'mediumtext'],
  ['text(65535) character set latin1', 'text'],
  ['text', 'text'],
  ['blob(255)', 'tinyblob'],
  ['blob(256)', 'blob'],
  ['blob(16777216)', 'longblob'],
  ['text(50) character set binary', 'tinyblob'],
])('a column of %s is a %s', (definition, base) => {
  const column = tableOf(`id int primary key, a ${definition}`).columns[1]!
  expect(column.type).toMatchObject({ base, length: null })
})

test('TEXT(n) takes what the type that it stands for takes', () => {
  expect(parks('id int primary key, a text', 'ALTER TABLE t MODIFY a text(50)')).toMatch(/cut/)
  expect(parks('id int primary key, a text(50)', 'ALTER TABLE t MODIFY a text')).toBeNull()
})

test.each([
  ['a varchar(5), g int as (length(a)) stored', 'CONVERT TO CHARACTER SET latin1'],
  ['a varchar(5), g int as (length(a)) virtual', 'MODIFY a varchar(5) CHARACTER SET latin1'],
  ["a varchar(5), g int as (a = 'X') virtual", 'MODIFY a varchar(5) COLLATE utf8mb4_bin'],
  ["a enum('x','y'), g int as (a + 0) stored", "MODIFY a enum('y','x')"],
  ['a datetime(3), g varchar(50) as (a) virtual', 'MODIFY a datetime(6)'],
  ['a int unsigned, g varchar(9) as (a) virtual', 'MODIFY a int unsigned zerofill'],
  ['a int zerofill, g varchar(9) as (a) virtual', 'MODIFY a bigint'],
  ['a float, g varchar(9) as (a) stored', 'MODIFY a double'],
])('a generated column of (%s) may be another after %s', (columns, action) => {
  const table = `id int primary key, ${columns}`
  expect(parks(table, `ALTER TABLE t ${action}`)).toMatch(/"g" is computed from others/)
  expect(parks(table, `ALTER TABLE t ${action}, DROP g`)).toBeNull()
})

test.each([
  'MODIFY a bigint',
  'MODIFY a int NOT NULL COMMENT "x"',
  'RENAME COLUMN g TO h, ADD b int DEFAULT 5',
  'ALTER a SET DEFAULT 3',
  'DEFAULT CHARACTER SET latin1',
  'CONVERT TO CHARACTER SET utf8mb4',
])('a generated column stays what it is after %s', (action) => {
  const table = 'id int primary key, a int, g int as (a + 1) stored'
  expect(parks(table, `ALTER TABLE t ${action}`)).toBeNull()
})

test('a column that is added as a generated one concerns no old row but by its value', () => {
  const alter = 'ALTER TABLE t MODIFY a varchar(9) CHARACTER SET latin1, ADD g int AS (length(a))'
  expect(applied('id int primary key, a varchar(5)', alter).kind).toBe('changed')
})

/** Names in their order after an ALTER of (id, a, b, c). */
function order(alter: string): string {
  const { state } = applied('id int primary key, a int, b int, c int', `ALTER TABLE t ${alter}`)
  return state?.columns.map(({ name }) => name).join(' ') ?? 'unclear'
}

test.each([
  ['ADD d int AFTER a, MODIFY a int FIRST', 'a id d b c'],
  ['ADD d int AFTER a, MODIFY a int AFTER c', 'id d b c a'],
  ['MODIFY b int AFTER a, MODIFY a int AFTER c', 'id b c a'],
  ['MODIFY a int AFTER b, MODIFY b int AFTER a', 'id a b c'],
  ['MODIFY a int AFTER c, MODIFY b int AFTER a', 'id c a b'],
  ['ADD x int AFTER b, MODIFY b int FIRST, ADD y int AFTER b', 'b y id a x c'],
  ['MODIFY c int AFTER b, MODIFY b int AFTER a, MODIFY a int AFTER id', 'id a b c'],
  ['CHANGE a b int AFTER c, CHANGE b a int FIRST', 'a id c b'],
  ['CHANGE a d int AFTER b, ADD a int AFTER c', 'id b d c a'],
  ['DROP a, MODIFY b int FIRST, ADD a int AFTER b', 'b a id c'],
])('%s: a column that moves keeps its place until its turn', (alter, names) => {
  expect(order(alter)).toBe(names)
})

test('IF NOT EXISTS looks at the columns before the statement', () => {
  expect(order('DROP IF EXISTS a, ADD IF NOT EXISTS a int DEFAULT 5')).toBe('id b c')
  expect(order('ADD IF NOT EXISTS A int, ADD IF NOT EXISTS d int')).toBe('id a b c d')
  expect(order('RENAME COLUMN a TO d, ADD IF NOT EXISTS a int')).toBe('id d b c')
  expect(order('CHANGE a d int, ADD IF NOT EXISTS d int')).toBe('id d b c')
  expect(order('ADD IF NOT EXISTS d int, ADD IF NOT EXISTS d int')).toBe('id a b c d')
})

test('a statement that would make two columns of one name shows that the table is another', () => {
  expect(order('ADD a int')).toBe('unclear')
  expect(order('ADD d int, ADD D int')).toBe('unclear')
  expect(order('RENAME COLUMN b TO a')).toBe('unclear')
  expect(order('RENAME COLUMN a TO b, RENAME COLUMN b TO a')).toBe('id b a c')
  expect(order('DROP b, CHANGE a b int, ADD a int')).toBe('id b c a')
})

test('a column may be called period', () => {
  const table = 'id int primary key, period int'
  const { state } = applied(table, 'ALTER TABLE t DROP period')
  expect(state?.columns.map(({ name }) => name)).toEqual(['id'])
  expect(applied(table, 'ALTER TABLE t DROP PERIOD FOR SYSTEM_TIME').kind).toBe('changed')
})

test('what old rows hold in a column that was excluded under its old name is not known', () => {
  const { state } = applied(
    'id int primary key, x int, a int',
    'ALTER TABLE t RENAME COLUMN x TO y',
  )
  expect(state!.columns.map(({ existing }) => existing.kind)).toEqual(['null', 'unknown', 'null'])
  const swap = 'ALTER TABLE t CHANGE x a int, CHANGE a x int'
  const swapped = applied('id int primary key, x int, a int', swap).state!
  const included = sourceTableOf(swapped, types, (name) => name !== 'x').table
  expect(included.columns.map(({ name, existing }) => [name, existing.kind])).toEqual([
    ['id', 'null'],
    ['a', 'unknown'],
  ])
})
