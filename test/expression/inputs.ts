// One table of random inputs that every case reads: a column for each type and kind of value, with
// nulls, extremes, NaN, -0, empty texts and letters of several bytes. The seed is fixed; set
// ORACLE_SEED for others.

import type { ColumnType } from '../../runtime/data/type.ts'
import type { ColumnValue } from '../../runtime/data/expression/column-value.ts'

export const INPUT_ROWS = 10_000
const NULL_SHARE = 0.08
const EXTREME_SHARE = 0.15

export type Random = () => number

/** mulberry32: small, and the same everywhere. */
export function randomOf(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface InputColumn {
  readonly name: string
  readonly type: ColumnType
  /** Without nulls, then declared so. */
  readonly required?: true
  /** Taken now and then. */
  readonly extremes: readonly ColumnValue[]
  readonly value: (random: Random) => ColumnValue
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!
}

function integer(random: Random, low: number, high: number): bigint {
  return BigInt(low + Math.floor(random() * (high - low + 1)))
}

/** Of as many bits as you like, evenly over lengths. */
function wide(random: Random, bits: number): bigint {
  const length = Math.floor(random() * bits)
  let value = 1n
  for (let bit = 0; bit < length; bit++) value = (value << 1n) | (random() < 0.5 ? 0n : 1n)
  return random() < 0.5 ? value : -value
}

function digits(random: Random, most: number): bigint {
  const length = 1 + Math.floor(random() * most)
  let text = ''
  for (let at = 0; at < length; at++) text += Math.floor(random() * 10)
  return random() < 0.5 ? BigInt(text) : -BigInt(text)
}

const LETTERS = Array.from('abcABC  019.,-_%ßäÖéΣσςİıǅ日本語🙂👍́ﬁ\n\t"\\/:')

function text(random: Random, most = 12): string {
  const length = Math.floor(random() * most)
  let value = ''
  for (let at = 0; at < length; at++) value += pick(random, LETTERS)
  return value
}

function ascii(random: Random): string {
  const length = Math.floor(random() * 10)
  let value = ''
  for (let at = 0; at < length; at++) value += pick(random, Array.from('abcxyzABC 012-_,.'))
  return value
}

const LONG_MAX = 9_223_372_036_854_775_807n
const DAY = 86_400_000_000n

function longs(name: string): InputColumn {
  return {
    name,
    type: { kind: 'long' },
    extremes: [LONG_MAX, -LONG_MAX - 1n, 0n, 1n, -1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n],
    value: (random) => wide(random, 62),
  }
}

function ints(name: string): InputColumn {
  return {
    name,
    type: { kind: 'int' },
    extremes: [2_147_483_647n, -2_147_483_648n, 0n, 1n, -1n],
    value: (random) => wide(random, 31),
  }
}

function doubles(name: string): InputColumn {
  return {
    name,
    type: { kind: 'double' },
    extremes: [0, -0, NaN, Infinity, -Infinity, 1.5, -2.5, 1e308, 5e-324, 2 ** 53, 1e21, 1e-7],
    value: (random) => (random() - 0.5) * 10 ** Math.floor(random() * 20 - 6),
  }
}

function decimals(name: string, precision: number, scale: number): InputColumn {
  const most = 10n ** BigInt(precision) - 1n
  return {
    name,
    type: { kind: 'decimal', precision, scale },
    extremes: [most, -most, 0n, 1n, -1n, 10n ** BigInt(scale), 5n * 10n ** BigInt(scale)],
    value: (random) => digits(random, precision),
  }
}

function texts(name: string, most = 12): InputColumn {
  return {
    name,
    type: { kind: 'string' },
    extremes: ['', ' ', 'a', 'ß', 'İ', '🙂', 'abc'.repeat(30)],
    value: (random) => text(random, most),
  }
}

function moments(name: string, kind: 'timestamp' | 'timestamptz'): InputColumn {
  return {
    name,
    type: { kind },
    extremes: [0n, -1n, DAY - 1n, 951_782_400_000_000n, 253_402_300_799_999_999n, -DAY * 700_000n],
    value: (random) =>
      integer(random, -1_000_000_000, 2_500_000_000) * 1_000_000n +
      (random() < 0.5 ? integer(random, 0, 999_999) : 0n),
  }
}

function dates(name: string): InputColumn {
  return {
    name,
    type: { kind: 'date' },
    extremes: [0n, -1n, 11_016n, 19_782n, 2_932_896n, -719_162n],
    value: (random) => integer(random, -30_000, 40_000),
  }
}

/** Texts of values of other types, most of them right. */
function spelled(
  name: string,
  words: readonly string[],
  value: (r: Random) => string,
): InputColumn {
  return { name, type: { kind: 'string' }, extremes: words, value }
}

const two = (value: bigint): string => String(value).padStart(2, '0')

function dateText(random: Random): string {
  return `${integer(random, 1900, 2100)}-${two(integer(random, 1, 12))}-${two(integer(random, 1, 31))}`
}

function timeText(random: Random): string {
  const hms = [23, 59, 59].map((most) => two(integer(random, 0, most))).join(':')
  return random() < 0.5 ? hms : `${hms}.${String(integer(random, 0, 999_999))}`
}

function jsonText(random: Random, depth = 0): string {
  const roll = random()
  if (depth > 2 || roll < 0.4) {
    return pick(random, [
      '1',
      '-2.5',
      '1000.0',
      '"x"',
      '"a\\"b"',
      '"ä"',
      'true',
      'false',
      'null',
      '""',
    ])
  }
  const items = Array.from({ length: Math.floor(random() * 4) }, () => jsonText(random, depth + 1))
  if (roll < 0.6) return `[${items.join(',')}]`
  const keys = ['a', 'b', 'key', 'ä']
  return `{${items.map((item, index) => `"${keys[index]}":${item}`).join(',')}}`
}

export const inputs: readonly InputColumn[] = [
  { ...ints('i'), required: true },
  ints('j'),
  { ...longs('l'), required: true },
  longs('m'),
  // Small counts and positions.
  { ...ints('n'), extremes: [0n, 1n, -1n], value: (random) => integer(random, -4, 12) },
  { ...longs('k'), extremes: [0n, 1n, -1n], value: (random) => integer(random, -70, 70) },
  { ...doubles('x'), required: true },
  doubles('y'),
  // Doubles near 1.
  { ...doubles('r'), extremes: [0, -0, 1, -1, 0.5], value: (random) => (random() - 0.5) * 20 },
  {
    name: 'f',
    type: { kind: 'float' },
    extremes: [0, -0, NaN, Infinity, -Infinity, 1.5, 16_777_216, Math.fround(0.1)],
    value: (random) => Math.fround((random() - 0.5) * 10 ** Math.floor(random() * 12 - 4)),
  },
  { ...decimals('p', 10, 2), required: true },
  decimals('q', 18, 4),
  decimals('w', 30, 10),
  decimals('v', 38, 2),
  { ...texts('s'), required: true },
  texts('u'),
  texts('c1', 3),
  { ...texts('a'), extremes: ['', ' ', 'a', 'abc'], value: (random) => ascii(random) },
  {
    name: 'b',
    type: { kind: 'boolean' },
    extremes: [true],
    value: (random) => random() < 0.5,
  },
  { name: 'c', type: { kind: 'boolean' }, extremes: [], value: (random) => random() < 0.5 },
  { ...dates('d'), required: true },
  dates('e'),
  moments('ts', 'timestamp'),
  moments('ts2', 'timestamp'),
  // Hours around the two days of 2026 on which clocks of Berlin change, on local clocks.
  {
    name: 'tl',
    type: { kind: 'timestamp' },
    extremes: [1_774_747_800_000_000n, 1_792_894_200_000_000n],
    value: (random) =>
      pick(random, [1_774_742_400n, 1_792_890_000n]) * 1_000_000n +
      integer(random, -20_000, 20_000) * 1_000_000n,
  },
  moments('tz', 'timestamptz'),
  {
    name: 'tm',
    type: { kind: 'time' },
    extremes: [0n, DAY - 1n],
    value: (random) => integer(random, 0, 86_399) * 1_000_000n + integer(random, 0, 999_999),
  },
  {
    name: 'bin',
    type: { kind: 'binary' },
    extremes: [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(255, 128)],
    value: (random) =>
      Uint8Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * 256)),
  },
  {
    name: 'id',
    type: { kind: 'uuid' },
    extremes: [new Uint8Array(16), new Uint8Array(16).fill(255)],
    value: (random) => Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)),
  },
  {
    name: 'li',
    type: { kind: 'list', element: { kind: 'int' } },
    extremes: [[], [null], [1n, 1n]],
    value: (random) =>
      Array.from({ length: Math.floor(random() * 6) }, () =>
        random() < 0.1 ? null : integer(random, -5, 5),
      ),
  },
  {
    name: 'ls',
    type: { kind: 'list', element: { kind: 'string' } },
    extremes: [[], [null], ['']],
    value: (random) =>
      Array.from({ length: Math.floor(random() * 6) }, () =>
        random() < 0.1 ? null : text(random, 4),
      ),
  },
  spelled(
    'nums',
    [
      '',
      'x',
      '1e400',
      'NaN',
      '-inf',
      'infinity',
      ' 12 ',
      '1.',
      '.5',
      '-',
      '1e',
      '0x10',
      '+7',
      '007',
    ],
    (random) =>
      random() < 0.5 ? String(wide(random, 70)) : String((random() - 0.5) * 10 ** (random() * 20)),
  ),
  spelled('bools', ['true', 'FALSE', 't', 'f', '1', '0', 'yes', 'no', '', 'x'], (random) =>
    pick(random, ['true', 'false', 'True', 'nope']),
  ),
  spelled('dts', ['', '2026-02-29', '2024-02-29', '2026-13-01', '0001-01-01', 'x'], dateText),
  spelled('tms', ['', '24:00:00', '23:59', '12:60:00', '00:00:00', '1:02:03'], timeText),
  spelled(
    'tss',
    ['', '2026-01-01', '2026-01-01T00:00:00', '2026-02-30 00:00:00', '2026-01-01 25:00:00'],
    (random) => `${dateText(random)}${random() < 0.5 ? ' ' : 'T'}${timeText(random)}`,
  ),
  spelled('ids', ['', 'x', '00000000-0000-0000-0000-000000000000'], (random) => {
    const hex = Array.from({ length: 32 }, () => pick(random, Array.from('0123456789abcdefABCDEF')))
    const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
    return [...parts, hex.slice(20)].map((part) => part.join('')).join(random() < 0.8 ? '-' : '')
  }),
  {
    name: 'js',
    type: { kind: 'string', json: true },
    extremes: ['{}', '[]', 'null', '{"a":{"b":[1,2]}}', '[[1],{"a":"x"}]'],
    value: (random) => jsonText(random),
  },
]

/** @returns `INPUT_ROWS` values of each column, in the order of `inputs` */
export function inputValues(seed: number): ColumnValue[][] {
  return inputs.map((column, index) => {
    const random = randomOf(seed + index * 7919)
    return Array.from({ length: INPUT_ROWS }, () => {
      if (column.required !== true && random() < NULL_SHARE) return null
      const extreme = column.extremes.length > 0 && random() < EXTREME_SHARE
      return extreme ? pick(random, column.extremes) : column.value(random)
    })
  })
}
