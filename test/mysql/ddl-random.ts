// Statements of several clauses over tables of several columns, drawn by a seed. The cases that are
// written out try one thing at a time; these try what clauses do to each other.

import { Dice } from './decode-columns.ts'
import type { DdlCase } from './ddl-sweep.ts'

/** By name: type of a column, and a value. */
const COLUMNS: Readonly<Record<string, readonly [type: string, value: string]>> = {
  a: ['int', '7'],
  b: ['varchar(20)', "'\u00e9 x '"],
  c: ["enum('a','b')", "'b'"],
  d: ['decimal(10,2)', '-1.50'],
  e: ['timestamp null', "'2020-01-01'"],
  f: ['float', '1.1'],
  h: ['text character set latin1', "'\u00e9'"],
  i: ['smallint unsigned', '65535'],
  k: ['datetime(3)', "'2020-01-01 01:02:03.5'"],
  l: ['char(5)', "'ab'"],
  m: ['bit(9)', '300'],
  n: ['year', '2024'],
  o: ['binary(3)', "x'61'"],
  p: ["set('x','y')", "'x,y'"],
  q: ['time', "'-10:00:00'"],
  r: ['bigint', '-5'],
  s: ['double', '0.1'],
}

const TYPES = [
  ...Object.values(COLUMNS).map(([type]) => type),
  ...`bigint; int unsigned; smallint; varchar(30); varchar(3); text; longtext; tinytext;
    enum('b','a'); enum('a','b','c'); set('x','z','y'); set('y','x'); int not null;
    decimal(12,2); decimal(10,2) unsigned; double; double(8,3); float unsigned;
    timestamp; timestamp(3) null; datetime(6); datetime; date; time(2); year;
    char(9); bit(12); varbinary(9); varchar(20) character set latin1`.split(';'),
]

const ADDED = `int default 5; varchar(9) default '\u00fc'; varchar(9) default 012; year default 5;
  datetime default '2020-01-01'; timestamp null; timestamp; int not null; text; bit(3) default 3;
  enum('q','r') not null; decimal(4,1) default 2; int as (7) stored; double default 1e3;
  char(4) default 'x '; int auto_increment unique`.split(';')

/** Columns of which both servers let a generated one be made. */
const BASES = ['a', 'b', 'c', 'd', 'k']

/** @returns `count` cases; what the server refuses says nothing */
export function randomCases(kind: 'mysql' | 'mariadb', seed: number, count: number): DdlCase[] {
  const dice = new Dice(seed)
  return Array.from({ length: count }, () => {
    const names = Object.keys(COLUMNS).filter((name) => name === 'a' || !dice.chance(3))
    const base = dice.pick(BASES.filter((name) => names.includes(name)))
    const generated = dice.chance(6) ? `, g varchar(60) as (concat(${base})) stored` : ''
    const ignore = kind === 'mariadb' && dice.chance(8) ? 'IGNORE ' : ''
    const clauses = Array.from({ length: 1 + dice.below(3) }, () => clause(dice, names, kind))
    const row = (nulls: boolean): string =>
      names.map((name) => (nulls && dice.chance(3) ? 'NULL' : COLUMNS[name]![1])).join(', ') +
      (generated === '' ? '' : ', default')
    return {
      columns: names.map((name) => `${name} ${COLUMNS[name]![0]}`).join(', ') + generated,
      rows: [row(false), row(true)],
      alter: `ALTER ${ignore}TABLE t ${clauses.join(', ')}`,
    }
  })
}

function clause(dice: Dice, names: readonly string[], kind: 'mysql' | 'mariadb'): string {
  const name = dice.pick(names)
  const other = dice.pick(names.filter((some) => some !== name))
  const fresh = `n${dice.below(1000)}`
  const place = dice.pick(['', '', 'FIRST', `AFTER ${other}`])
  const [type, otherType] = [COLUMNS[name]![0], COLUMNS[other]![0]]
  const clauses = [
    `ADD ${fresh} ${dice.pick(ADDED)} ${place}`,
    `ADD ${fresh} ${dice.pick(ADDED)} ${place}`,
    `MODIFY ${name} ${dice.pick(TYPES)} ${place}`,
    `MODIFY ${name} ${dice.pick(TYPES)} ${place}`,
    `MODIFY ${name} ${dice.pick(TYPES)} ${place}`,
    `MODIFY ${name} ${type} ${dice.pick(['not null', 'comment "c, (d"', 'first'])}`,
    `DROP ${name}`,
    `DROP ${name}, ADD ${name} ${dice.pick(ADDED)}`,
    `RENAME COLUMN ${name} TO ${fresh}`,
    `CHANGE ${name} ${other} ${type}, CHANGE ${other} ${name} ${otherType}`,
    `CONVERT TO CHARACTER SET ${dice.pick(['latin1', 'utf8mb4', 'utf8mb3', 'utf16'])}`,
    dice.pick([
      'ALGORITHM=COPY',
      'ENGINE=InnoDB',
      'DEFAULT CHARSET latin1',
      `ADD UNIQUE (${name})`,
    ]),
    ...(kind === 'mariadb' ? [`ADD IF NOT EXISTS ${name} int default 9`] : []),
  ]
  return dice.pick(clauses)
}
