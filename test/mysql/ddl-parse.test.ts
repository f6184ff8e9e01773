// The statement parser on the spellings that servers write into their logs and that people send.

import { expect, test } from 'vitest'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import type { Statement, StatementOptions } from '../../connectors/mysql/ddl/statement.ts'
import { formatMysqlType } from '../../connectors/mysql/types.ts'

const mysql: StatementOptions = { ansiQuotes: false, noBackslashEscapes: false, mariadb: false }
const mariadb: StatementOptions = { ...mysql, mariadb: true }

function parse(text: string, options = mysql): Statement {
  return parseStatement(text, options)
}

/** `name type` of every column of CREATE TABLE. */
function columnsOf(text: string, options = mysql): string[] {
  const statement = parse(text, options)
  if (statement.kind !== 'create-table') throw new Error(JSON.stringify(statement))
  const columns = statement.definition?.columns ?? []
  return columns.map(({ name, type, nullable }) => {
    const charset = type.charset === null ? '' : ` ${type.charset}`
    return `${name} ${formatMysqlType(type)}${charset}${nullable ? '' : ' not null'}`
  })
}

/** One line for each action of ALTER TABLE. */
function actionsOf(text: string, options = mysql): string[] {
  const statement = parse(text, options)
  if (statement.kind !== 'alter-table') throw new Error(JSON.stringify(statement))
  return statement.actions.map((action) => {
    switch (action.kind) {
      case 'add-column': {
        const place = action.place.at === 'after' ? `after ${action.place.column}` : action.place.at
        return `add ${action.column.name} ${formatMysqlType(action.column.type)} ${place}`
      }
      case 'drop-column':
        return `drop ${action.name}`
      case 'rename-column':
        return `rename ${action.from} ${action.to}`
      case 'change-column': {
        const { from, column, place } = action
        const where =
          place === null ? '' : place.at === 'after' ? ` after ${place.column}` : ` ${place.at}`
        return `change ${from} ${column.name} ${formatMysqlType(column.type)}${where}`
      }
      case 'set-default':
        return `default ${action.name} ${JSON.stringify(action.default)}`
      case 'add-index':
        return `index ${action.index.name} (${action.index.columns.join()})`
      case 'drop-index':
        return `drop index ${action.name}`
      case 'rename-index':
        return `rename index ${action.from} ${action.to}`
      case 'rename-table':
        return `to ${action.to.database}.${action.to.name}`
      case 'convert-charset':
      case 'default-charset':
        return `${action.kind} ${action.charset}`
      case 'comment':
        return `comment ${action.comment}`
      case 'partition-rows':
        return `rows ${action.verb} ${action.with?.name ?? ''}`
      case 'ignore':
        return 'ignore'
      case 'no-effect':
        return '-'
    }
  })
}

test('columns of CREATE TABLE have the types that the server would give them', () => {
  const text = `CREATE TABLE IF NOT EXISTS \`a\`.\`b c\` (
    \`id\` BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT, -- a comment with a ' quote
    n NUMERIC, d DECIMAL(12,2) DEFAULT '0.00', i INTEGER, i1 INT1, b BOOL, dp DOUBLE PRECISION,
    c CHARACTER VARYING(10) CHARACTER SET latin1 COLLATE latin1_bin, nc NATIONAL CHAR(3),
    t TEXT BINARY, v VARBINARY(9), bi BINARY, bt BIT,
    ts TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    e ENUM('x','it''s',"q\\"q") COLLATE utf8mb4_bin, s SET('a', 'b') CHARSET ascii, j JSON,
    l LONG VARCHAR, f FLOAT(53), y YEAR(4), /* inner ,
    comment ) */ g INT GENERATED ALWAYS AS (i + (1)) STORED COMMENT 'x, y)',
    cb CHAR(4) BYTE, vb VARCHAR(5) CHARACTER SET binary,
    PRIMARY KEY (\`id\`), UNIQUE KEY u (n, d DESC), KEY k ((i + 1)),
    CONSTRAINT fk FOREIGN KEY (i) REFERENCES o (id) ON DELETE SET NULL, CHECK (i > 0)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8 COMMENT='t' PARTITION BY HASH (id) PARTITIONS 4`
  expect(columnsOf(text)).toEqual([
    'id bigint(20) unsigned not null',
    'n decimal(10,0)',
    'd decimal(12,2)',
    'i int',
    'i1 tinyint',
    'b tinyint(1)',
    'dp double',
    'c varchar(10) latin1',
    'nc char(3) utf8mb3',
    't text',
    'v varbinary(9)',
    'bi binary(1)',
    'bt bit(1)',
    'ts timestamp(6)',
    `e enum('x','it''s','q"q') utf8mb4`,
    `s set('a','b') ascii`,
    'j json',
    'l mediumtext',
    'f double',
    'y year(4)',
    'g int',
    'cb binary(4)',
    'vb varbinary(5)',
  ])
  expect(parse(text)).toMatchObject({
    table: { database: 'a', name: 'b c' },
    ifNotExists: true,
    definition: {
      charset: 'utf8mb3',
      comment: 't',
      indexes: [
        { name: 'PRIMARY', columns: ['id'] },
        { name: 'u', columns: ['n', 'd'] },
      ],
    },
  })
})

test('CREATE TABLE ... SELECT in its atomic form is read; from a query alone it is not', () => {
  const options = { ...mysql, ansiQuotes: true }
  expect(
    columnsOf('CREATE TABLE "bb" ("id" int NOT NULL DEFAULT \'0\') START TRANSACTION', options),
  ).toEqual(['id int not null'])
  expect(parse('create table t select * from x')).toMatchObject({
    kind: 'unreadable',
    tables: [{ database: null, name: 't' }],
  })
  expect(parse('create table t (a int) select 1 b')).toMatchObject({ kind: 'unreadable' })
  expect(parse('create table t like d.o')).toMatchObject({ like: { database: 'd', name: 'o' } })
  expect(parse('create table t (like o)')).toMatchObject({ like: { database: null, name: 'o' } })
})

test('every action of ALTER TABLE is read, several in one statement', () => {
  const text = `ALTER ONLINE TABLE t ADD a INT FIRST, ADD COLUMN b VARCHAR(5) DEFAULT 'x,y' AFTER a,
    ADD (c INT, d INT, UNIQUE (c)), ADD INDEX k (a), ADD UNIQUE INDEX u (a(5), b),
    ADD CONSTRAINT p PRIMARY KEY USING BTREE (a),
    ADD CONSTRAINT FOREIGN KEY (a) REFERENCES x (y), DROP e,
    DROP COLUMN IF EXISTS f RESTRICT, DROP PRIMARY KEY, DROP INDEX u2, DROP FOREIGN KEY fk,
    CHANGE g h BIGINT NOT NULL FIRST, MODIFY COLUMN i DATETIME(3) NULL AFTER h,
    RENAME COLUMN j TO k, RENAME INDEX l TO m,
    ALTER n SET DEFAULT 5, ALTER COLUMN o DROP DEFAULT, ALTER INDEX k INVISIBLE,
    CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    DEFAULT CHARACTER SET = latin1 COLLATE latin1_bin, COMMENT = 'c', ENGINE=InnoDB,
    ALGORITHM=INPLACE, LOCK=NONE, ORDER BY a, b, RENAME TO d2.t2`
  expect(actionsOf(text)).toEqual([
    'add a int first',
    'add b varchar(5) after a',
    'add c int last',
    'add d int last',
    'index null (c)',
    '-',
    'index u (,b)',
    'index PRIMARY (a)',
    '-',
    'drop e',
    'drop f',
    'drop index PRIMARY',
    'drop index u2',
    '-',
    'change g h bigint first',
    'change i i datetime(3) after h',
    'rename j k',
    'rename index l m',
    'default n {"kind":"literal","text":"5","hex":false,"unquoted":true}',
    'default o {"kind":"none"}',
    '-',
    'convert-charset utf8mb4',
    'default-charset latin1',
    'comment c',
    '-',
    '-',
    '-',
    '-',
    '-',
    'to d2.t2',
  ])
})

test('IGNORE is kept, wherever it stands among the options', () => {
  expect(actionsOf('ALTER IGNORE TABLE t DROP a', mariadb)).toEqual(['ignore', 'drop a'])
  expect(actionsOf('ALTER ONLINE IGNORE TABLE t DROP a', mariadb)).toEqual(['ignore', 'drop a'])
  expect(actionsOf('ALTER IGNORE ONLINE TABLE t DROP a', mariadb)).toEqual(['ignore', 'drop a'])
  expect(actionsOf('ALTER ONLINE TABLE t DROP a', mariadb)).toEqual(['drop a'])
})

test('partition statements that move rows are told from those that do not', () => {
  expect(actionsOf('alter table t exchange partition p with table x without validation')).toEqual([
    'rows EXCHANGE x',
  ])
  expect(actionsOf('alter table t truncate partition p0, p1')[0]).toBe('rows TRUNCATE ')
  expect(actionsOf('alter table t drop partition p0, p1')[0]).toBe('rows DROP ')
  expect(
    actionsOf(
      'alter table t add partition (partition p values less than (5), partition q values in (1))',
    ),
  ).toEqual(['-'])
  expect(
    actionsOf('alter table t reorganize partition p into (partition a values less than (1))'),
  ).toEqual(['-'])
  expect(
    actionsOf(
      `alter table t partition by range (a) (partition p values less than (1),
        partition q values less than (9))`,
    ),
  ).toEqual(['-'])
  expect(actionsOf('alter table t import tablespace')).toEqual(['rows IMPORT '])
})

test('version comments are code for the server that they are for', () => {
  expect(
    columnsOf('create table t (a int /*!80023 INVISIBLE */, b int /*!99999 NOT NULL */)'),
  ).toEqual(['a int', 'b int'])
  expect(
    columnsOf('create table t (a int) /*!50100 PARTITION BY HASH (a) (SELECT */ # end'),
  ).toEqual(['a int'])
  const both = 'create table t (a /*M!100100 varchar(3)*/ /*!80000 int */)'
  expect(columnsOf(both)).toEqual(['a int'])
  expect(columnsOf(both, mariadb)).toEqual(['a varchar(3)'])
  expect(actionsOf('/*!40000 ALTER TABLE `t` DROP x */')).toEqual(['drop x'])
})

test('JSON is a type of MySQL and a LONGTEXT of MariaDB', () => {
  expect(columnsOf('create table t (j json)')).toEqual(['j json'])
  expect(columnsOf('create table t (j json)', mariadb)).toEqual(['j longtext utf8mb4'])
})

test('quotes and escapes follow the sql_mode', () => {
  expect(actionsOf('alter table "t" drop "x"', { ...mysql, ansiQuotes: true })).toEqual(['drop x'])
  expect(actionsOf("alter table t comment 'a\\'b', drop c")).toEqual(["comment a'b", 'drop c'])
  const plain = { ...mysql, noBackslashEscapes: true }
  expect(actionsOf("alter table t comment 'a\\', drop c", plain)).toEqual(['comment a\\', 'drop c'])
  expect(actionsOf('alter table `t``x` drop `drop`')).toEqual(['drop drop'])
})

test('statements around tables are read', () => {
  expect(parse('RENAME TABLE a TO tmp, d.b TO a, tmp TO d.b')).toEqual({
    kind: 'rename-table',
    renames: [
      { from: { database: null, name: 'a' }, to: { database: null, name: 'tmp' } },
      { from: { database: 'd', name: 'b' }, to: { database: null, name: 'a' } },
      { from: { database: null, name: 'tmp' }, to: { database: 'd', name: 'b' } },
    ],
  })
  expect(parse('DROP TABLE IF EXISTS `a`,`d`.`b` /* generated by server */')).toMatchObject({
    kind: 'drop-table',
    temporary: false,
    tables: [{ name: 'a' }, { database: 'd', name: 'b' }],
  })
  expect(parse('DROP TEMPORARY TABLE IF EXISTS x')).toMatchObject({ temporary: true })
  expect(parse('truncate d.t')).toMatchObject({
    kind: 'truncate',
    table: { database: 'd', name: 't' },
  })
  expect(parse('TRUNCATE TABLE t\0')).toMatchObject({ kind: 'truncate', table: { name: 't' } })
  expect(actionsOf('CREATE UNIQUE INDEX u USING BTREE ON d.t (a, b(3))')).toEqual(['index u (a,)'])
  expect(actionsOf('CREATE INDEX u ON t (a)')).toEqual(['-'])
  expect(actionsOf('DROP INDEX `PRIMARY` ON t')).toEqual(['drop index PRIMARY'])
  expect(parse('create database `x` charset utf8')).toMatchObject({
    kind: 'create-database',
    charset: 'utf8mb3',
  })
  expect(parse('DROP SCHEMA IF EXISTS x')).toEqual({ kind: 'drop-database', database: 'x' })
  expect(parse('alter database collate = utf8mb4_bin')).toMatchObject({
    database: null,
    charset: 'utf8mb4',
  })
  expect(
    actionsOf('SET STATEMENT max_statement_time=1, x=(2) FOR ALTER TABLE t DROP a', mariadb),
  ).toEqual(['drop a'])
})

test.each([
  ['insert into d.t values (1)', 'insert', ['d.t']],
  ['INSERT IGNORE t SET a = 1', 'insert', ['t']],
  ['replace low_priority into t select * from x', 'replace', ['t']],
  ['update t a join d.x b on a.i = b.i set a.v = 1', 'update', ['t', 'd.x']],
  ['update (select 1 as i) d join t on d.i = t.i set t.v = 1', 'update', ['t']],
  ['update t a join d.x b on a.i = (select 1) join u set a.v = 1', 'update', ['t', 'd.x', 'u']],
  ['update ((select 1) union (select 2)) d, t set t.v = 1', 'update', ['t']],
  ['update (t join (with q as (select 1) select * from q) d) set t.v = 1', 'update', ['t']],
  ['update t partition (p0, p1), u set t.v = 1', 'update', ['t', 'u']],
  ['delete a from (select 1 as i) d join t as a using (i)', 'delete', ['t']],
  ['delete from t where a = 1', 'delete', ['t']],
  ['delete a, b from t a inner join u b', 'delete', ['t', 'u']],
  ["LOAD DATA LOCAL INFILE 'f' INTO TABLE t FIELDS TERMINATED BY ','", 'load', ['t']],
  ['call p(1)', 'call', []],
  ['SELECT `d`.`f`(1)', 'select', []],
])('%s is a statement that changes rows', (text, verb, tables) => {
  const statement = parse(text)
  if (statement.kind !== 'dml') throw new Error(JSON.stringify(statement))
  expect(statement.verb).toBe(verb)
  const names = statement.tables.map(({ database, name }) =>
    database === null ? name : `${database}.${name}`,
  )
  expect(names).toEqual(tables)
})

test.each([
  ['BEGIN', 'begin'],
  ['START TRANSACTION', 'begin'],
  ['commit', 'commit'],
  ['ROLLBACK', 'rollback'],
  ['ROLLBACK TO `s`', 'savepoint'],
  ['SAVEPOINT `s`', 'savepoint'],
  ["GRANT ALL ON *.* TO 'u'@'%'", 'no-effect'],
  ['CREATE DEFINER=`root`@`%` PROCEDURE `p`() BEGIN DROP TABLE t; END', 'no-effect'],
  ['create view v as select 1', 'no-effect'],
  ['FLUSH TABLES', 'no-effect'],
  ["SET PASSWORD FOR 'u'@'%'='x'", 'no-effect'],
  ['RENAME USER a TO b', 'no-effect'],
  ['', 'no-effect'],
])('%s is of kind %s', (text, kind) => {
  expect(parse(text).kind).toBe(kind)
})

test('XA statements name their transaction in one spelling', () => {
  const xid = "X'6131',X'',1"
  expect(parse("XA COMMIT X'6131',X'',1")).toEqual({
    kind: 'xa',
    verb: 'commit',
    xid,
    onePhase: false,
  })
  expect(parse("XA START 'a1'")).toMatchObject({ verb: 'start', xid })
  expect(parse("XA COMMIT 'a1','',1 ONE PHASE")).toMatchObject({ xid, onePhase: true })
})

test('what cannot be read is said with the tables that it names', () => {
  expect(parse('ALTER TABLE d.t ADD')).toMatchObject({
    kind: 'unreadable',
    tables: [{ database: 'd', name: 't' }],
  })
  expect(parse("ALTER TABLE t COMMENT 'open")).toMatchObject({ kind: 'unreadable', tables: [] })
  expect(parse('FROBNICATE TABLE t')).toMatchObject({ kind: 'unreadable' })
})
