// Values of PostgreSQL's types, in the text and the binary form that the server sends.

import fc from 'fast-check'
import type { WireKind } from '../../connectors/postgres/types.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

export const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 62n }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([power, off, negative]) => (negative ? -1n : 1n) * (2n ** power + off)),
  fc
    .tuple(fc.nat(18), fc.constantFrom(-1n, 0n, 1n))
    .map(([power, off]) => 10n ** BigInt(power) + off),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n),
)

export interface Decimal {
  readonly precision: number
  readonly scale: number
  readonly unscaled: bigint
}

export const decimals: fc.Arbitrary<Decimal> = fc
  .tuple(fc.integer({ min: 1, max: 38 }), fc.nat(38))
  .chain(([precision, scale]) =>
    fc
      .tuple(
        fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n }),
        fc.nat(precision),
      )
      .map(([digits, shift]) => ({
        precision,
        scale: Math.min(scale, precision),
        unscaled: digits / 10n ** BigInt(shift),
      })),
  )

export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  return `${unscaled < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`
}

/** numeric_send by its definition: digits in base 10,000 around the point, no zeros at the ends. */
export function decimalBinary(unscaled: bigint, scale: number): Buffer {
  const pad = (4 - (scale % 4)) % 4
  let left = (unscaled < 0n ? -unscaled : unscaled) * 10n ** BigInt(pad)
  const digits: number[] = []
  for (; left > 0n; left /= 10_000n) digits.unshift(Number(left % 10_000n))
  let weight = digits.length - 1 - (scale + pad) / 4
  while (digits.at(-1) === 0) digits.pop()
  if (digits.length === 0) weight = 0
  const bytes = Buffer.alloc(8 + 2 * digits.length)
  bytes.writeUInt16BE(digits.length, 0)
  bytes.writeInt16BE(weight, 2)
  bytes.writeUInt16BE(unscaled < 0n && digits.length > 0 ? 0x4000 : 0, 4)
  bytes.writeUInt16BE(scale, 6)
  for (const [at, digit] of digits.entries()) bytes.writeUInt16BE(digit, 8 + 2 * at)
  return bytes
}

export const DAY_US = 86_400_000_000n
export const instants = fc.oneof(
  fc.bigInt({ min: -62_135_596_800_000_000n, max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
  fc.bigInt({ min: -1_000_000n, max: 1_000_000n }),
  fc.constantFrom(-62_135_596_800_000_000n, 2n ** 63n - 1n, 0n, -1n),
)

/** The server's text: built on the calendar of Date, 400 years at a time. */
export function instantText(us: bigint): string {
  const cycle = 146_097n * DAY_US
  const base = us >= 0n ? us / cycle : (us - cycle + 1n) / cycle
  const date = new Date(Number((us - base * cycle) / 1000n))
  const year = date.getUTCFullYear() + Number(base) * 400
  const fraction = String(((us % 1_000_000n) + 1_000_000n) % 1_000_000n).padStart(6, '0')
  const shown = fraction === '000000' ? '' : `.${fraction.replace(/0+$/, '')}`
  const iso = date.toISOString()
  const day = `${String(year).padStart(4, '0')}-${iso.slice(5, 10)}`
  return `${day} ${iso.slice(11, 19)}${shown}`
}

/** A value in both forms. */
export interface Sent {
  readonly text: string
  readonly binary: Buffer
}

export interface ColumnKind {
  readonly type: ColumnType
  readonly kind: WireKind
  readonly list?: true
  /** That the lake can hold. */
  readonly usual: fc.Arbitrary<Sent>
  /** That it cannot. */
  readonly refused?: readonly Sent[]
}

function written(bytes: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(bytes)
  write(buffer)
  return buffer
}

const long = (value: bigint): Buffer => written(8, (bytes) => bytes.writeBigInt64BE(value))
const int = (value: number): Buffer => written(4, (bytes) => bytes.writeInt32BE(value))
const sent = (text: string, hex: string): Sent => ({ text, binary: Buffer.from(hex, 'hex') })
const floatText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

const texts = fc
  .oneof(
    { weight: 20, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
    { weight: 4, arbitrary: fc.string({ minLength: 100, maxLength: 300 }) },
    { weight: 1, arbitrary: fc.nat(20_000).map((count) => 'x'.repeat(count)) },
  )
  .map((text): Sent => {
    const binary = Buffer.from(text)
    return { text: binary.toString(), binary }
  })

const smallInts = fc.oneof(fc.integer(), fc.integer({ min: -1000, max: 1000 }))
const int4 = smallInts.map((value) => ({ text: String(value), binary: int(value) }))
const int2 = fc.integer({ min: -32_768, max: 32_767 }).map((value) => ({
  text: String(value),
  binary: written(2, (bytes) => bytes.writeInt16BE(value)),
}))
const float4 = fc.float().map((value) => ({
  text: floatText(Number.isFinite(value) ? Number(value.toPrecision(9)) : value),
  binary: written(4, (bytes) => bytes.writeFloatBE(value)),
}))
const float8 = fc
  .oneof(
    fc.double(),
    fc.tuple(fc.integer(), fc.nat(12)).map(([digits, scale]) => digits / 10 ** scale),
  )
  .map((value) => ({
    text: floatText(value),
    binary: written(8, (bytes) => bytes.writeDoubleBE(value)),
  }))

function zoned(us: bigint, zone: string): Sent {
  return { text: `${instantText(us)}${zone}`, binary: long(us - 946_684_800_000_000n) }
}

const endless = [sent('infinity', '7fffffffffffffff'), sent('-infinity', '8000000000000000')]
const beforeChrist = -62_135_596_800_000_000n - 946_684_800_000_000n - 1n

function timestampKind(kind: 'timestamp' | 'timestamptz'): ColumnKind {
  const zone = kind === 'timestamptz' ? '+00' : ''
  const bc = { text: `0044-03-15 00:00:00${zone} BC`, binary: long(beforeChrist) }
  const refused = [...endless, bc]
  return { type: { kind }, kind, usual: instants.map((us) => zoned(us, zone)), refused }
}

function decimalKind(precision: number, scale: number): ColumnKind {
  const limit = 10n ** BigInt(precision)
  const usual = fc
    .tuple(fc.bigInt({ min: 1n - limit, max: limit - 1n }), fc.nat(precision), fc.nat(6))
    .map(([digits, shift, zeros]) => {
      const power = 10n ** BigInt(Math.min(zeros, precision))
      const unscaled = (digits / 10n ** BigInt(shift) / power) * power
      return { text: decimalText(unscaled, scale), binary: decimalBinary(unscaled, scale) }
    })
  const refused = [
    sent('NaN', '00000000c0000000'),
    sent('Infinity', '00000000d0000020'),
    sent('-Infinity', '00000000f0000020'),
  ]
  return { type: { kind: 'decimal', precision, scale }, kind: 'numeric', usual, refused }
}

const DECIMALS = [
  [1, 0],
  [5, 2],
  [12, 2],
  [9, 9],
  [12, 4],
  [15, 0],
  [15, 7],
  [18, 1],
  [18, 13],
  [18, 18],
  [19, 4],
  [38, 10],
] as const

const listOfInts: ColumnKind = {
  type: { kind: 'list', element: { kind: 'int' } },
  kind: 'int4',
  list: true,
  usual: fc.array(fc.option(smallInts), { maxLength: 5 }).map((items) => {
    const text = `{${items.map((item) => item ?? 'NULL').join(',')}}`
    return { text, binary: Buffer.from(text) }
  }),
  refused: ['{{1,2},{3,4}}', '[2:3]={1,2}'].map((text) => ({ text, binary: Buffer.from(text) })),
}

const listOfTexts: ColumnKind = {
  type: { kind: 'list', element: { kind: 'string' } },
  kind: 'text',
  list: true,
  usual: fc.array(fc.option(fc.string({ maxLength: 40 })), { maxLength: 5 }).map((items) => {
    const shown = items.map((item) =>
      item === null ? 'NULL' : `"${item.replaceAll(/["\\]/g, '\\$&')}"`,
    )
    const text = `{${shown.join(',')}}`
    return { text, binary: Buffer.from(text) }
  }),
  refused: [{ text: '{"abc",{1}}', binary: Buffer.from('{"abc",{1}}') }],
}

export const int8Kind: ColumnKind = {
  type: { kind: 'long' },
  kind: 'int8',
  usual: int64.map((value) => ({ text: String(value), binary: long(value) })),
}

/** Every pair of a wire form and a lake type that has a kernel. */
export const columnKinds: readonly ColumnKind[] = [
  int8Kind,
  {
    type: { kind: 'boolean' },
    kind: 'bool',
    usual: fc.boolean().map((value) => (value ? sent('t', '01') : sent('f', '00'))),
  },
  { type: { kind: 'int' }, kind: 'int2', usual: int2 },
  { type: { kind: 'long' }, kind: 'int2', usual: int2 },
  { type: { kind: 'int' }, kind: 'int4', usual: int4 },
  { type: { kind: 'long' }, kind: 'int4', usual: int4 },
  {
    type: { kind: 'long' },
    kind: 'oid',
    usual: smallInts.map((value) => ({ text: String(value >>> 0), binary: int(value) })),
  },
  { type: { kind: 'float' }, kind: 'float4', usual: float4 },
  { type: { kind: 'double' }, kind: 'float4', usual: float4 },
  { type: { kind: 'double' }, kind: 'float8', usual: float8 },
  ...DECIMALS.map(([precision, scale]) => decimalKind(precision, scale)),
  { type: { kind: 'string' }, kind: 'text', usual: texts },
  {
    type: { kind: 'string' },
    kind: 'jsonb',
    usual: texts.map(({ text, binary }) => {
      return { text, binary: Buffer.concat([Buffer.from([1]), binary]) }
    }),
  },
  {
    type: { kind: 'binary' },
    kind: 'bytea',
    usual: fc.uint8Array({ maxLength: 200 }).map((bytes) => {
      const binary = Buffer.from(bytes)
      return { text: `\\x${binary.toString('hex')}`, binary }
    }),
  },
  {
    type: { kind: 'uuid' },
    kind: 'uuid',
    usual: fc.uuid().map((text) => sent(text, text.replaceAll('-', ''))),
  },
  {
    type: { kind: 'date' },
    kind: 'date',
    usual: fc
      .oneof(
        fc.integer({ min: -719_162, max: 2_145_031_948 }),
        fc.integer({ min: -719_162, max: 2_932_896 }),
      )
      .map((days) => ({
        text: instantText(BigInt(days) * DAY_US).split(' ')[0]!,
        binary: int(days - 10_957),
      })),
    refused: [
      sent('infinity', '7fffffff'),
      sent('-infinity', '80000000'),
      sent('0001-12-31 BC', 'fff4dbf8'),
    ],
  },
  {
    type: { kind: 'time' },
    kind: 'time',
    usual: fc.bigInt({ min: 0n, max: DAY_US - 1n }).map((us) => ({
      text: instantText(us).split(' ')[1]!,
      binary: long(us),
    })),
    refused: [sent('24:00:00', '000000141dd76000')],
  },
  timestampKind('timestamp'),
  timestampKind('timestamptz'),
  {
    type: { kind: 'timestamptz' },
    kind: 'timestamptz',
    usual: instants
      .filter((us) => us < 2n ** 62n && us > -62_135_500_000_000_000n)
      .map((us) => ({ ...zoned(us, ''), text: `${instantText(us + 19_800_000_000n)}+05:30` })),
  },
  listOfInts,
  listOfTexts,
]
