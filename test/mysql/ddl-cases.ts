// tidy: table: a line is a statement, and is read as one.
// ALTERs over tables with rows, for ddl-sweep.live.test.ts: by kind, with values that a guess would
// get wrong. `follows`: a table that is read again after it would be read again too often.

import type { DdlCase } from './ddl-sweep.ts'

type Extra = Partial<DdlCase>

/** ALTER TABLE t `action` on (id, `columns`). */
function alter(columns: string, rows: readonly string[], action: string, extra?: Extra): DdlCase {
  return { columns, rows, alter: `ALTER TABLE t ${action}`, ...extra }
}

/** MODIFY of one column from a type to another. */
function modify(from: string, rows: readonly string[], to: string, extra?: Extra): DdlCase {
  return alter(`a ${from}`, rows, `MODIFY a ${to}`, extra)
}

const follows: Extra = { follows: true }
const mysql: Extra = { only: 'mysql' }
const mariadb: Extra = { only: 'mariadb' }
const implied: Extra = { session: { explicit_defaults_for_timestamp: 'OFF' } }
const keepsZero: Extra = { session: { sql_mode: "'NO_AUTO_VALUE_ON_ZERO'" } }
const padsChar: Extra = { session: { sql_mode: "'PAD_CHAR_TO_FULL_LENGTH'" } }

function add(definition: string, extra?: Extra): DdlCase {
  return alter('a int', ['1', 'NULL'], `ADD b ${definition}`, extra)
}

const plainDefaults = [
  'int DEFAULT 5',
  'int DEFAULT (-5)',
  "int DEFAULT '007'",
  'int NOT NULL',
  'bigint unsigned DEFAULT 18446744073709551615',
  'decimal(5,2) DEFAULT 1.5',
  'decimal(40,2) DEFAULT -0',
  'decimal(40,2) NOT NULL',
  'float DEFAULT 1.1',
  'double DEFAULT 1e300',
  'double(5,2) DEFAULT 7',
  "bit(4) DEFAULT b'101'",
  'bit(8) NOT NULL',
  'bit(8) DEFAULT TRUE',
  'year DEFAULT 2024',
  'year DEFAULT 0',
  "year DEFAULT '0000'",
  'year NOT NULL',
  "date DEFAULT '2020-1-5'",
  "datetime DEFAULT '2020-01-05T01:02:03'",
  "datetime(3) DEFAULT '2020-01-05 01:02:03.4'",
  'datetime NULL',
  'timestamp NULL',
  "time DEFAULT '-01:02:03'",
  'time NOT NULL',
  "varchar(20) DEFAULT 'it''s, (x) é'",
  'varchar(20) DEFAULT 12',
  'varchar(20) DEFAULT 1.50',
  'varchar(20) DEFAULT -5',
  'varchar(20) DEFAULT TRUE',
  "varchar(9) DEFAULT N'é'",
  "varchar(9) CHARACTER SET latin1 NOT NULL DEFAULT 'é'",
  "char(20) DEFAULT 'x  '",
  'char(5) NOT NULL',
  "binary(3) DEFAULT 'a'",
  'binary(3) DEFAULT 0x01',
  'binary(3) NOT NULL',
  'text NOT NULL',
  'blob NOT NULL',
  "enum('a','b') NOT NULL",
  "enum('a','b') DEFAULT 'b'",
  "set('a','b') DEFAULT 'b,a'",
  "json DEFAULT ('[]')",
  'int DEFAULT 5 COMMENT "x, y" CHECK (b > 1)',
  'int DEFAULT 5 FIRST',
  'int DEFAULT NULL UNIQUE',
  'int INVISIBLE DEFAULT 5',
]

const unsureDefaults = [
  'year DEFAULT 70',
  "year DEFAULT '0'",
  "year DEFAULT '00'",
  'year DEFAULT 69',
  'year DEFAULT 02',
  'varchar(20) DEFAULT 1e3',
  'varchar(20) DEFAULT 0012',
  'varchar(20) DEFAULT -0',
  'varchar(20) DEFAULT .5',
  'varchar(20) DEFAULT 5.',
  'varchar(20) DEFAULT (1e3)',
  'varbinary(9) DEFAULT 0012',
  'varbinary(9) DEFAULT 1e3',
  "varchar(20) DEFAULT _latin1'é'",
  "varchar(20) DEFAULT x'41'",
  "enum('b','1','0') DEFAULT 1",
  "enum('a','b') DEFAULT 'A'",
  "set('2','1') DEFAULT 1",
  'float(5,2) DEFAULT 1.239',
  'double(5,2) DEFAULT 1.239',
  'double DEFAULT -0.0',
  'int DEFAULT 5.5',
  "int DEFAULT '1e2'",
  'decimal(5,2) DEFAULT 1.005',
  "bit(8) DEFAULT '5'",
  'date DEFAULT 20200105',
  "date DEFAULT '0000-01-01'",
  'date NOT NULL',
  "datetime DEFAULT '2020-01-05 01:02:03.6'",
  'datetime DEFAULT CURRENT_TIMESTAMP',
  'timestamp NOT NULL',
  "timestamp NULL DEFAULT '2020-01-05 01:02:03'",
  'time DEFAULT 10203',
  "time(2) DEFAULT '01:02:03.456'",
  'int DEFAULT (5 + 1)',
  'int GENERATED ALWAYS AS (a + 1) STORED',
  'int AS (a * 2) VIRTUAL',
  'int AUTO_INCREMENT UNIQUE',
  'serial',
]

const defaults: readonly DdlCase[] = [
  ...plainDefaults.map((definition) => add(definition, follows)),
  ...unsureDefaults.map((definition) => add(definition)),
  add(`json DEFAULT ('{"b":1,"a":[1,2]}')`),
  add(`json DEFAULT ('1.50')`),
  add("varchar(3) DEFAULT 'x     '", mysql),
  add("varchar(30) DEFAULT DATE'2020-1-5'", mariadb),
  add("date DEFAULT DATE'2020-1-5'", { ...mariadb, ...follows }),
  add('uuid DEFAULT uuid()', mariadb),
  add('double DEFAULT pi()', mariadb),
  add('int DEFAULT (a + 1)', mariadb),
  add('inet6 NULL', mariadb),
  add('geometry'),
  ...['timestamp', 'timestamp(3)', 'timestamp COMMENT "x"'].flatMap((definition) => [
    add(definition, follows),
    add(definition, implied),
  ]),
  add('timestamp DEFAULT NULL', { ...mariadb, ...implied }),
  add('timestamp NULL', { ...implied, ...follows }),
  add('varchar(30) DEFAULT "a\\\'b"', { session: { sql_mode: "'NO_BACKSLASH_ESCAPES'" } }),
  add(
    `int1 default 5, ADD c int8 default 6, ADD d middleint default 7, ADD e dec(5,1) default 8.5,
    ADD f fixed(5) default 9, ADD h double precision default 2.5, ADD i float4 default 3.5,
    ADD k numeric default 3, ADD l boolean default false, ADD m bit default 1,
    ADD n character(3) default "x", ADD o character varying(5) default "y",
    ADD p long varchar not null, ADD q text byte not null, ADD r float(30) default 1.1`,
    follows,
  ),
]

const numbers: readonly DdlCase[] = [
  modify('tinyint', ['-128', '127'], 'int', follows),
  modify('int', ['-5', '7'], 'bigint', follows),
  modify('int unsigned', ['4294967295'], 'bigint', follows),
  modify('int', ['1', '300', '-5'], 'tinyint'),
  modify('int', ['1', '-1'], 'int unsigned'),
  modify('smallint unsigned', ['65535'], 'smallint'),
  modify('bigint', ['5', '-5'], 'bigint unsigned'),
  modify('int', ['1', '5'], 'int(3) zerofill'),
  modify('year', ['2024', '0'], 'bigint'),
  modify('smallint', ['2024', '1', '0'], 'year'),
  modify('bit(8)', ['5', '255'], 'bit(9)', follows),
  modify('bit(8)', ['5', '255'], 'bit(4)'),
  modify('bit(8)', ['5', '255'], 'bigint'),
  modify('decimal(10,2)', ['1.25', '-1.25'], 'decimal(12,2)', follows),
  modify('decimal(10,2)', ['1.25', '99999999.99'], 'decimal(5,2)'),
  modify('decimal(10,2)', ['1.25'], 'decimal(10,1)'),
  modify('decimal(10,2)', ['-1.25', '1'], 'decimal(10,2) unsigned'),
  modify('decimal(40,2)', ['1.25', '-5'], 'decimal(42,2)', follows),
  modify('decimal(40,2)', ['1.25', '-5'], 'decimal(42,3)'),
  modify('decimal(40,2)', ['1.25', '-5'], 'decimal(42,1)'),
  modify('decimal(40,2)', ['1.25', '-5'], 'decimal(39,2) unsigned'),
  modify('decimal(40,2)', ['1.25'], 'varchar(50)'),
  modify('double', ['1.239', '12345.678'], 'double(10,2)'),
  modify('double(10,4)', ['1.2399'], 'double(10,2), ALGORITHM=COPY'),
  modify('double(10,2)', ['1.23', '1.5'], 'double(12,4)', follows),
  modify('float', ['1.239', '1.5'], 'double', follows),
  modify('float', ['1.239', '1.5'], 'double(10,2)'),
  modify('float(10,2)', ['1.23'], 'double(10,2)'),
  modify('double', ['1.239', '-1.5'], 'double unsigned'),
  modify('double', ['1.1'], 'float'),
]

const nulls: readonly DdlCase[] = [
  modify('int', ['1', 'NULL'], 'int not null'),
  modify('int not null', ['1'], 'int', follows),
  modify('date', ["'2020-01-01'", 'NULL'], 'date not null'),
  alter('a int', ['1', 'NULL'], 'CHANGE a b int not null default 7'),
  alter('a int', ['1', 'NULL'], 'DROP PRIMARY KEY, ADD PRIMARY KEY (a)'),
  modify('timestamp null', ["'2020-01-01'", 'NULL'], 'timestamp', follows),
  ...['timestamp not null', 'timestamp', "timestamp default '2020-05-05'"].flatMap((to) => [
    modify('timestamp null', ["'2020-01-01'", 'NULL'], to),
    modify('timestamp null', ["'2020-01-01'", 'NULL'], to, implied),
  ]),
  modify('timestamp null', ["'2020-01-01'", 'NULL'], 'timestamp(3) null', follows),
]

const texts = ["'abc'", "''", "'é€'", "'x  '", 'NULL', "'😀'"]
const cut = ["repeat('é', 255)"]

const strings: readonly DdlCase[] = [
  modify('varchar(20)', texts, 'varchar(30)', follows),
  modify('varchar(20)', texts, 'varchar(3)'),
  modify('varchar(20)', texts, 'char(20)'),
  modify('char(20)', texts, 'varchar(20)', follows),
  modify('char(20)', texts, 'varchar(20)', padsChar),
  modify('char(20)', texts, 'text', padsChar),
  modify('varchar(20)', texts, 'text', follows),
  modify('varchar(20)', texts, 'varchar(20) collate utf8mb4_bin', follows),
  modify('varchar(20)', texts, 'varchar(20) character set latin1'),
  modify('varchar(20)', texts, 'varchar(20) character set utf8mb3'),
  modify('varchar(20)', texts, 'varchar(20) character set utf16', follows),
  modify('varchar(20) character set latin1', ["'é€'", "x'818d8f909d'"], 'varchar(20)', follows),
  modify('varchar(20) character set cp1251', ["'Жук'", "'€'"], 'varchar(20)', follows),
  modify('varchar(20) character set cp1251', ["'Жук'"], 'varchar(20) character set koi8r'),
  modify('text character set utf8mb3', ["'é€'"], 'text', follows),
  modify('text character set latin1', ["repeat('é', 50000)"], 'text'),
  modify('tinytext character set latin1', cut, 'tinytext'),
  modify('varchar(255) character set latin1', cut, 'tinytext'),
  modify('varchar(255)', cut, 'tinytext'),
  modify('text', cut, 'text(50)'),
  modify('longtext', ["'é'"], 'text'),
  modify('text', ["'é'"], 'longtext', follows),
  modify('varbinary(20)', ["x'6100'"], 'varbinary(30)', follows),
  modify('varbinary(4)', ["'abc'", "x'0000'"], 'binary(4)'),
  modify('binary(4)', ["'abc'", "x'00'"], 'varbinary(4)'),
  modify('binary(4)', ["'abc'"], 'binary(5)'),
  modify('blob', ["repeat('a', 300)"], 'tinyblob'),
  modify('varchar(20)', ["'{}'", "'[1,2]'"], 'json', mysql),
  modify('json', [`'{"b":1, "a":1.50}'`], 'longtext', follows),
  modify('int', ['1', '-7'], 'varchar(20)'),
  modify('varchar(20)', ["'2020-01-01'"], 'date'),
  modify('varchar(20) compressed', ["'abc'"], 'varchar(20)', { ...mariadb, ...follows }),
  modify('uuid', ["'123e4567-e89b-12d3-a456-426655440000'"], 'varchar(36)', mariadb),
]

const labelled = ['enum', 'set'].flatMap((kind): DdlCase[] => [
  modify(`${kind}('a','b')`, ["'a'", "'b'", '0'], `${kind}('a','b','c')`, follows),
  modify(`${kind}('a','b')`, ["'a'", "'b'", '0'], `${kind}('x','a','y','b')`, follows),
  modify(`${kind}('a','b')`, ["'a'", "'b'", '0'], `${kind}('b','a')`),
  modify(`${kind}('a','b','c')`, ["'a'", "'c'"], `${kind}('a','b')`),
  modify(`${kind}('a','b')`, ["'a'"], `${kind}('A','b')`),
  modify(`${kind}('a','b')`, ["'a'"], `${kind}('a','b') character set latin1`, follows),
  modify(`${kind}('é','b')`, ["'é'"], `${kind}('é','b') character set latin1`),
  modify(`${kind}('a','b')`, ["'a'", '0'], 'varchar(10)'),
  modify(`${kind}('a','b')`, ["'a'", '0'], 'longtext', follows),
  modify('varchar(10)', ["'a'", "'A'"], `${kind}('a','b')`),
])

const labels: readonly DdlCase[] = [
  ...labelled,
  modify("set('a','b')", ["'a,b'"], "set('b','a')"),
  modify("enum('a','b')", ["'b'"], "set('a','b')"),
]

const both = ["'a', 'x,y', 'é', 'ü'", "0, '', NULL, ''"]
const labelledTable = "a enum('a','b'), b set('x','y'), c varchar(10), d text"

const charsets: readonly DdlCase[] = [
  alter(labelledTable, both, 'CONVERT TO CHARACTER SET latin1'),
  alter(labelledTable, both, 'CONVERT TO CHARACTER SET utf16'),
  alter(labelledTable, both, 'CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', follows),
  alter('c varchar(10), d text', ["'é', '😀'"], 'CONVERT TO CHARACTER SET utf8mb3'),
  alter('c varchar(10), d text', ["'é', '日'"], 'CONVERT TO CHARACTER SET latin1'),
  alter('c varchar(10), d text', ["'é', '日'"], 'CONVERT TO CHARACTER SET binary'),
  alter('c varchar(10)', ["'é'"], 'CONVERT TO CHARACTER SET DEFAULT'),
  alter(
    'c varchar(10)',
    ["'é'"],
    'DEFAULT CHARACTER SET latin1, ADD e varchar(5) DEFAULT "ü"',
    follows,
  ),
  alter('c varchar(10)', ["'é'"], 'CHARACTER SET latin1, MODIFY c char(10)'),
  alter(
    'c varchar(10)',
    ["'é'"],
    'CONVERT TO CHARACTER SET utf8mb4, ADD e varchar(5) DEFAULT "ü"',
    follows,
  ),
]

const temporal: readonly DdlCase[] = [
  modify('datetime', ["'2020-01-01 01:02:03'"], 'datetime(3)', follows),
  modify('datetime(3)', ["'2020-01-01 01:02:03.567'"], 'datetime'),
  modify('timestamp(6) null', ["'2020-01-01 01:02:03.567'"], 'timestamp(3) null'),
  modify('time(3)', ["'-01:02:03.567'"], 'time(6)', follows),
  modify('time(3)', ["'-01:02:03.567'"], 'time'),
  modify('datetime', ["'2020-01-01 01:02:03'"], 'date'),
  modify('date', ["'2020-01-01'"], 'datetime'),
  modify('datetime', ["'2020-01-01 01:02:03'"], 'timestamp null'),
  modify('datetime', ["'2020-01-01'", 'NULL'], 'datetime on update current_timestamp', follows),
]

const numbered = 'a int not null, unique (a)'

const counters: readonly DdlCase[] = [
  alter(numbered, ['0', '5', '-3'], 'MODIFY a int auto_increment'),
  alter(numbered, ['0', '5', '-3'], 'MODIFY a int auto_increment', { ...keepsZero, ...follows }),
  alter(numbered, ['0', '5'], 'CHANGE a b bigint auto_increment'),
  alter(numbered, ['0', '5'], 'MODIFY a int serial default value'),
  alter('a int null, unique (a)', ['7', '5', 'NULL'], 'MODIFY a int auto_increment', keepsZero),
  alter(
    'a int not null auto_increment, unique (a)',
    ['7', '5'],
    'MODIFY a bigint auto_increment',
    follows,
  ),
  alter('a int not null auto_increment, unique (a)', ['7', '5'], 'AUTO_INCREMENT = 100', follows),
  alter('a int', ['1', '2'], 'MODIFY id bigint', follows),
  alter('a int', ['1', '2'], 'MODIFY id bigint not null auto_increment'),
  alter('a int', ['1', '2'], 'CHANGE id b bigint unsigned'),
  alter('a int', ['1', '2'], 'RENAME COLUMN id TO b', follows),
]

const generated: readonly DdlCase[] = [
  alter('a int, g int as (a + 1) stored', ['1, default'], 'MODIFY g int as (a + 2) stored'),
  alter('a int, g int as (a + 1) stored', ['1, default'], 'MODIFY g int'),
  alter('a int, g int as (a + 1) virtual', ['1, default'], 'RENAME COLUMN g TO h', follows),
  alter('a int, g int as (a + 1) virtual', ['1, default'], 'ADD b int default 5, DROP g', follows),
  alter('a int, g int as (a + 1) stored', ['1, default'], 'MODIFY a bigint', follows),
  alter('a int, g int as (a + 1) virtual', ['1, default'], 'DROP g, ADD g int as (a + 2) virtual'),
  alter(
    'a varchar(9), g int as (length(a)) stored',
    ["'é', default"],
    'CONVERT TO CHARACTER SET latin1',
  ),
  alter(
    'a varchar(9), g int as (length(a)) virtual',
    ["'é', default"],
    'MODIFY a varchar(9) character set latin1',
  ),
  alter(
    'a varchar(9), g int as (a = "X") virtual',
    ["'x', default"],
    'MODIFY a varchar(9) collate utf8mb4_bin',
  ),
  alter("a enum('x','y'), g int as (a + 0) stored", ["'x', default"], "MODIFY a enum('y','x')"),
  alter(
    'a datetime(3), g varchar(50) as (a) stored',
    ["'2020-01-01', default"],
    'MODIFY a datetime(6)',
  ),
  alter(
    'a int unsigned, g varchar(9) as (concat(a)) virtual',
    ['7, default'],
    'MODIFY a int(5) zerofill',
  ),
]

const three = 'a int, b int, c int'

const structure: readonly DdlCase[] = [
  alter(three, ['1, 2, 3'], 'CHANGE a b int, CHANGE b c int, CHANGE c a int', follows),
  alter(three, ['1, 2, 3'], 'RENAME COLUMN a TO b, RENAME COLUMN b TO a', follows),
  alter(three, ['1, 2, 3'], 'RENAME COLUMN a TO b, DROP COLUMN b, ADD a int DEFAULT 7', follows),
  alter(three, ['1, 2, 3'], 'DROP a, ADD a varchar(5) DEFAULT "x" FIRST', follows),
  alter(three, ['1, 2, 3'], 'ADD d int DEFAULT 4 AFTER a, MODIFY a bigint FIRST', follows),
  alter(three, ['1, 2, 3'], 'MODIFY b int AFTER a, MODIFY a int AFTER c', follows),
  alter(three, ['1, 2, 3'], 'CHANGE a d int AFTER c, ADD a int DEFAULT 9 AFTER d', follows),
  alter(three, ['1, 2, 3'], 'ADD (d int DEFAULT 1, e varchar(4) DEFAULT "q"), DROP a', follows),
  alter(
    three,
    ['1, 2, 3'],
    'ADD d int DEFAULT 4 FIRST, ADD e int DEFAULT 5 FIRST, MODIFY c int FIRST',
    follows,
  ),
  alter(
    three,
    ['1, 2, 3'],
    'ALTER a SET DEFAULT 5, RENAME COLUMN b TO d, MODIFY c bigint',
    follows,
  ),
  alter(
    '`a b` int, `c``d` int',
    ['1, 2'],
    'CHANGE `a b` `e f` bigint, DROP `c``d`, ADD `ü(` int DEFAULT 3',
    follows,
  ),
  alter('period int', ['1'], 'DROP period', { ...mysql, ...follows }),
  alter('a int', ['1'], 'ADD b int /*!50000 DEFAULT 5 */ /*M! DEFAULT 6 */ -- x\n'),
  alter('a int', ['1'], 'DROP IF EXISTS a, ADD IF NOT EXISTS a int DEFAULT 5', {
    ...mariadb,
    ...follows,
  }),
  alter('a int', ['1'], 'ADD IF NOT EXISTS A int DEFAULT 7, MODIFY IF EXISTS z int', {
    ...mariadb,
    ...follows,
  }),
  alter('a int', ['1'], 'ADD CONSTRAINT CHECK (a > 0), ADD INDEX (a)', follows),
  alter('a int not null', ['1'], 'ADD UNIQUE u (a), COMMENT "x", ENGINE=InnoDB', follows),
  alter('a int', ['1', '2'], 'PARTITION BY HASH (id) PARTITIONS 4', follows),
  alter('a int', ['1', '2'], 'TRUNCATE PARTITION p0', {
    options: 'PARTITION BY HASH (id) PARTITIONS 2',
  }),
  alter('a int', ['1', '300', '-5'], 'MODIFY a tinyint', { options: 'ENGINE=MyISAM' }),
  { columns: 'a int not null', rows: ['1'], alter: 'CREATE UNIQUE INDEX u ON t (a)', ...follows },
]

function ignoring(
  columns: string,
  rows: readonly string[],
  action: string,
  extra?: Extra,
): DdlCase {
  return { columns, rows, alter: `ALTER IGNORE TABLE t ${action}`, ...mariadb, ...extra }
}

const ignored: readonly DdlCase[] = [
  ignoring('a int not null', ['1', '1', '2'], 'ADD UNIQUE u (a)'),
  ignoring('a int', ['1', 'NULL'], 'MODIFY a int not null'),
  ignoring('a int', ['1', '300'], 'MODIFY a tinyint'),
  ignoring('a int', ['1', '300'], 'ADD CHECK (a > 1)'),
  ignoring('a int', ['1', '300'], 'ADD b int not null unique'),
  ignoring('a int', ['1', '3'], 'PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (2))'),
  ignoring(
    'a varchar(5) collate utf8mb4_bin, unique (a)',
    ["'a'", "'A'"],
    'CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
  ),
  ignoring('a int', ['1', '300'], 'ADD b int default 4, DROP a', follows),
]

export const cases: readonly DdlCase[] = [
  ...defaults,
  ...numbers,
  ...nulls,
  ...strings,
  ...labels,
  ...charsets,
  ...temporal,
  ...counters,
  ...generated,
  ...structure,
  ...ignored,
]
