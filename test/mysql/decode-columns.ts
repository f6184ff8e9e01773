// Columns of every type that the decoders read, with values for them and the SELECT that shows a
// value exactly. What the log gives and what SELECT gives must be one text (`showOf`).

import type { ColumnType } from '../../runtime/data/type.ts'

/** Numbers that look random and come again with the same seed. */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = seed
  }

  /** 0...2^32 - 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  below(count: number): number {
    return this.next() % count
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  digits(count: number): string {
    return Array.from({ length: count }, () => this.below(10)).join('')
  }

  big(bits: number): bigint {
    let value = 0n
    for (let left = bits; left > 0; left -= 32) value = (value << 32n) | BigInt(this.next())
    // Small numbers as often as large ones.
    return BigInt.asUintN(bits, value) >> BigInt(this.below(bits))
  }
}

export interface TestColumn {
  readonly name: string
  /** Behind the name in CREATE TABLE. */
  readonly ddl: string
  /** An SQL expression of a value that the column can hold. */
  readonly value: (dice: Dice) => string
  /** SELECT expression, `?` being the column; CAST to CHAR by default. */
  readonly select?: string
  readonly only?: 'mysql' | 'mariadb'
}

function integer(name: string, type: string, bits: number, unsigned = false): TestColumn {
  const value = (dice: Dice): string => {
    const edge = unsigned
      ? [0n, (1n << BigInt(bits)) - 1n]
      : [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n, -1n]
    if (dice.chance(4)) return String(dice.pick(edge))
    return String(unsigned ? dice.big(bits) : BigInt.asIntN(bits, dice.big(bits)))
  }
  return { name, ddl: `${type}${unsigned ? ' unsigned' : ''}`, value }
}

function decimal(precision: number, scale: number): TestColumn {
  const value = (dice: Dice): string => {
    const whole = dice.chance(5)
      ? '9'.repeat(precision - scale)
      : dice.digits(dice.below(precision - scale + 1))
    const fraction = dice.chance(5) ? '9'.repeat(scale) : dice.digits(scale)
    return `${dice.chance(2) ? '-' : ''}${whole === '' ? '0' : whole}${scale > 0 ? `.${fraction}` : ''}`
  }
  return { name: `dec_${precision}_${scale}`, ddl: `decimal(${precision},${scale})`, value }
}

const TEXTS = [
  '',
  'a',
  'Stra\u00dfe',
  ' blanks  ',
  "it''s",
  'x\\\\y',
  '\\n\\t',
  '\u20ac 5',
  'long '.repeat(30),
]
const WIDE_TEXTS = [
  ...TEXTS,
  '\u65e5\u672c\u8a9e',
  '\u{1f600} smile',
  '\ufeffbom',
  '\u0416\u0443\u043a',
]

function text(name: string, ddl: string, texts: readonly string[], longest = 150): TestColumn {
  return {
    name,
    ddl,
    value: (dice) => {
      const tail = dice.chance(2) ? '' : dice.digits(dice.below(longest - 150 + 8))
      return `_utf8mb4'${(dice.pick(texts) + tail).slice(0, longest)}'`
    },
  }
}

const two = (value: number): string => String(value).padStart(2, '0')

function clock(dice: Dice, digits: number): string {
  const fraction =
    digits === 0 ? '' : `.${dice.chance(3) ? '0'.repeat(digits) : dice.digits(digits)}`
  return `${two(dice.below(24))}:${two(dice.below(60))}:${two(dice.below(60))}${fraction}`
}

function date(dice: Dice): string {
  const year = dice.chance(4)
    ? dice.pick([1, 50, 999, 1000, 1582, 1600, 1969, 1970, 9999])
    : 1900 + dice.below(200)
  const month = 1 + dice.below(12)
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const last = dice.pick([1, 15, 28, month === 2 ? (leap ? 29 : 28) : 30])
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(last)}`
}

function datetime(digits: number): TestColumn {
  const value = (dice: Dice): string => `'${date(dice)} ${clock(dice, digits)}'`
  return { name: `dt_${digits}`, ddl: `datetime(${digits})`, value }
}

function timestamp(digits: number): TestColumn {
  const value = (dice: Dice): string => {
    if (dice.chance(6)) return dice.pick(["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"])
    const day = `${1971 + dice.below(66)}-${two(1 + dice.below(12))}-${two(1 + dice.below(28))}`
    return `'${day} ${clock(dice, digits)}'`
  }
  return { name: `ts_${digits}`, ddl: `timestamp(${digits}) null`, value }
}

function time(digits: number): TestColumn {
  const value = (dice: Dice): string => {
    if (dice.chance(6)) return dice.pick(["'838:59:59'", "'-838:59:59'", "'00:00:00'"])
    const sign = dice.chance(2) ? '-' : ''
    return `'${sign}${dice.below(838)}:${clock(dice, digits).slice(3)}'`
  }
  return { name: `time_${digits}`, ddl: `time(${digits})`, value }
}

function bits(count: number): TestColumn {
  const value = (dice: Dice): string => `b'${dice.big(count === 64 ? 63 : count).toString(2)}'`
  return { name: `bit_${count}`, ddl: `bit(${count})`, value, select: '? + 0' }
}

function bytes(name: string, ddl: string, longest: number): TestColumn {
  const value = (dice: Dice): string => {
    const length = dice.below(longest + 1)
    // Zero bytes at the end are what the log leaves out of BINARY.
    const body = Array.from({ length }, () => dice.pick(['00', '01', 'ff', '27', '5c', '80']))
    return `x'${body.join('')}'`
  }
  return { name, ddl, value, select: 'LOWER(HEX(?))' }
}

function float(name: string, ddl: string): TestColumn {
  const value = (dice: Dice): string => {
    if (dice.chance(5)) return dice.pick(['0', '-1.5', '3.4e38', '1e-38', '16777217'])
    return `${dice.chance(2) ? '-' : ''}${dice.digits(3)}.${dice.digits(6)}e${dice.below(20) - 10}`
  }
  return { name, ddl, value, select: '? + 0e0' }
}

function json(depth: number, dice: Dice): string {
  const kind = dice.below(depth > 2 ? 6 : 9)
  switch (kind) {
    case 0:
      return String(BigInt.asIntN(64, dice.big(64)))
    case 1:
      return `${dice.chance(2) ? '-' : ''}${dice.below(1000)}.${dice.digits(5)}e${dice.below(60) - 30}`
    case 2:
      return JSON.stringify(
        dice.pick([
          '',
          'plain',
          'q"\\/\b\f\n\r\t\u0001\u001f',
          'é\u65e5\u{1f600}',
          'x'.repeat(200),
        ]),
      )
    case 3:
      return dice.pick(
        [
          'true',
          'false',
          'null',
          '0',
          '-1',
          '1.0',
          '1e400',
          '18446744073709551615',
          '9007199254740993',
        ].filter((text) => text !== '1e400'),
      )
    case 4:
      return String(dice.below(70_000) - 35_000)
    case 5:
      return dice.pick(['[]', '{}', '""'])
    case 6:
      return `[${Array.from({ length: dice.below(6) }, () => json(depth + 1, dice)).join(',')}]`
    default: {
      const keys = ['b', 'a', 'aa', 'é', 'key with "quotes"', '', 'z'.repeat(40)]
      const member = (): string => `${JSON.stringify(dice.pick(keys))}:${json(depth + 1, dice)}`
      return `{${Array.from({ length: dice.below(6) }, member).join(',')}}`
    }
  }
}

const jsonLiteral = (dice: Dice): string => {
  if (dice.chance(8)) {
    return dice.pick([
      `json_array(x'00ff', b'101', cast('2015-01-15' as date),
        cast('2015-01-15 23:24:25.12' as datetime(3)))`,
      `json_array(cast('-838:59:59.5' as time(1)), cast(1.50 as decimal(5,2)),
        cast(-0.005 as decimal(65,30)))`,
      `json_object('t', timestamp'2015-01-15 23:24:25.123456', 'n', null,
        'b', cast(repeat('x',100) as binary))`,
      "json_array(repeat('y', 70000), json_object('k', 100000), 65536, -32769)",
    ])
  }
  const escaped = json(0, dice).replaceAll('\\', '\\\\').replaceAll("'", "''")
  return `cast(_utf8mb4'${escaped}' as json)`
}

const labels = "'','red','gr\u00fcn','it''s,x','\u20ac'".replace("'',", '')

const everyColumn: readonly TestColumn[] = [
  integer('i8', 'tinyint', 8),
  integer('i1', 'tinyint(1)', 8),
  integer('u8', 'tinyint', 8, true),
  integer('i16', 'smallint', 16),
  integer('u16', 'smallint', 16, true),
  integer('i24', 'mediumint', 24),
  integer('u24', 'mediumint', 24, true),
  integer('i32', 'int', 32),
  integer('u32', 'int', 32, true),
  integer('i64', 'bigint', 64),
  integer('u64', 'bigint', 64, true),
  decimal(1, 0),
  decimal(5, 5),
  decimal(9, 4),
  decimal(12, 2),
  decimal(15, 6),
  decimal(16, 8),
  decimal(18, 0),
  decimal(18, 9),
  decimal(19, 2),
  decimal(27, 13),
  decimal(38, 10),
  decimal(30, 30),
  decimal(38, 30),
  decimal(40, 3),
  decimal(65, 30),
  float('f', 'float'),
  float('d', 'double'),
  bits(1),
  bits(8),
  bits(13),
  bits(31),
  bits(33),
  bits(40),
  bits(63),
  bits(64),
  { name: 'dat', ddl: 'date', value: (dice) => `'${date(dice)}'` },
  {
    name: 'y',
    ddl: 'year',
    value: (dice) => dice.pick(['0', '1901', '2155', '2024']),
    select: '? + 0',
  },
  ...[0, 1, 2, 3, 4, 5, 6].map(datetime),
  ...[0, 1, 3, 6].map(timestamp),
  ...[0, 1, 2, 3, 4, 5, 6].map(time),
  text('c10', 'char(10) character set utf8mb4', ['', 'x', 'ü€'], 4),
  text('c255', 'char(255) character set utf8mb4', WIDE_TEXTS),
  text('v20', 'varchar(20) character set utf8mb4', ['', 'abc', '\u65e5\u672c'], 20),
  text('v400', 'varchar(400) character set utf8mb4', WIDE_TEXTS),
  text(
    'v3',
    'varchar(300) character set utf8mb3',
    WIDE_TEXTS.filter((t) => !t.includes('\u{1f600}')),
  ),
  text('tt', 'tinytext character set utf8mb4', ['', 'tiny']),
  text('t', 'text character set utf8mb4', WIDE_TEXTS, 5000),
  text('mt', 'mediumtext character set utf8mb4', WIDE_TEXTS, 9000),
  text('lt', 'longtext character set utf8mb4', WIDE_TEXTS),
  text('l1', 'varchar(300) character set latin1', TEXTS),
  text('cl1', 'char(200) character set latin1', TEXTS),
  text(
    'asc',
    'varchar(300) character set ascii',
    TEXTS.filter((t) => /^[\0-\x7f]*$/.test(t)),
  ),
  text('cy', 'text character set cp1251', ['', '\u0416\u0443\u043a', '\u20ac', 'latin']),
  text('gr', 'varchar(30) character set greek', ['', '\u03b1\u03b2\u03b3', 'latin'], 30),
  text(
    'u2',
    'varchar(300) character set ucs2',
    WIDE_TEXTS.filter((t) => !t.includes('\u{1f600}')),
  ),
  text('u16le', 'varchar(300) character set utf16le', WIDE_TEXTS),
  text('u16be', 'text character set utf16', WIDE_TEXTS),
  text('u32be', 'varchar(300) character set utf32', WIDE_TEXTS),
  bytes('b4', 'binary(4)', 4),
  bytes('b255', 'binary(255)', 40),
  bytes('vb', 'varbinary(30)', 30),
  bytes('vb2', 'varbinary(300)', 300),
  bytes('bl', 'blob', 400),
  bytes('tbl', 'tinyblob', 100),
  {
    name: 'e',
    ddl: `enum(${labels}) character set utf8mb4`,
    value: (dice) => String(1 + dice.below(4)),
  },
  {
    name: 'el',
    ddl: `enum('ä','b','€') character set latin1`,
    value: (dice) => String(1 + dice.below(3)),
  },
  { name: 'e0', ddl: `enum('x','y')`, value: (dice) => dice.pick(['0', '1', '2']) },
  {
    name: 's',
    ddl: `set('a','b','ü','d','e','f','g','h','i') character set latin1`,
    value: (dice) => String(dice.below(512)),
  },
  {
    name: 's64',
    ddl: `set(${Array.from({ length: 64 }, (_, index) => `'l${index}'`).join(',')})`,
    value: (dice) => dice.big(64).toString(),
  },
  { name: 'j', ddl: 'json', value: jsonLiteral, only: 'mysql' },
  {
    name: 'j_text',
    ddl: 'json',
    value: (dice) => `'${json(0, dice).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`,
    only: 'mariadb',
  },
  {
    name: 'uu',
    ddl: 'uuid',
    value: (dice) =>
      dice.pick([
        "'123e4567-e89b-12d3-a456-426655440000'",
        "'00000000-0000-0000-0000-000000000001'",
        "'ffffffff-0000-4000-8000-000000000000'",
      ]),
    only: 'mariadb',
  },
  text('vc', 'varchar(300) compressed character set utf8mb4', WIDE_TEXTS, 300),
  text('tc', 'text compressed character set latin1', TEXTS, 3000),
  bytes('bc', 'blob compressed', 400),
]

/** MySQL has no compressed columns. */
export const columns = everyColumn.map((column): TestColumn =>
  / compressed/.test(column.ddl) ? { ...column, only: 'mariadb' } : column,
)

export function columnsFor(kind: 'mysql' | 'mariadb'): readonly TestColumn[] {
  return columns.filter(({ only }) => only === undefined || only === kind)
}

/** What `SELECT` shows of a column, as text. */
export function selectOf(column: TestColumn): string {
  const name = `\`${column.name}\``
  return `CAST(${(column.select ?? '?').replace('?', name)} AS CHAR) AS ${name}`
}

/**
 * The text of a value as `cellOf` gives it, from what SELECT shows. Independent of the decoders.
 */
export function showOf(type: ColumnType, shown: string | null): string | null {
  if (shown === null) return null
  switch (type.kind) {
    case 'decimal':
      return String(BigInt(shown.replace('.', '')))
    case 'float':
    case 'double':
      return String(Number(shown))
    case 'date':
      return String(microsOf(shown, '00:00:00') / 86_400_000_000n)
    case 'timestamp':
    case 'timestamptz': {
      const [day = '', clockText = ''] = shown.split(' ')
      return String(microsOf(day, clockText))
    }
    case 'long':
      return shown.includes(':') ? String(clockMicros(shown)) : shown
    case 'uuid':
      return shown.replaceAll('-', '')
    default:
      return shown
  }
}

function clockMicros(shown: string): bigint {
  const negative = shown.startsWith('-')
  const [hours = '', minutes = '', seconds = ''] = shown.replace('-', '').split(':')
  const [whole = '', fraction = ''] = seconds.split('.')
  const total =
    (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(whole)) * 1_000_000n +
    BigInt(fraction.padEnd(6, '0'))
  return negative ? -total : total
}

function microsOf(day: string, clockText: string): bigint {
  const date = new Date(0)
  const [year = 0, month = 1, dayOfMonth = 1] = day.split('-').map(Number)
  date.setUTCFullYear(year, month - 1, dayOfMonth)
  return BigInt(date.getTime()) * 1000n + clockMicros(clockText)
}
