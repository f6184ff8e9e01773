// Every kernel against an oracle made of BigInt, Number and strings, over text and binary forms.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileDecoder } from '../../connectors/postgres/decode/generate.ts'
import { daysOf } from '../../connectors/postgres/decode/time.ts'
import { keyText, literalAt } from '../../connectors/postgres/literal.ts'
import type { WireKind } from '../../connectors/postgres/types.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { valueAt, type Value } from './harness.ts'
import {
  DAY_US,
  decimalBinary,
  decimals,
  decimalText,
  instants,
  instantText,
  int64,
} from './wire-values.ts'

const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000

function decode(
  type: ColumnType,
  kind: WireKind,
  format: 'text' | 'binary',
  value: Uint8Array,
  list = false,
): Column {
  const wire = { kind, list, asText: false }
  const field = { name: 'v', type, nullable: true, column: 1, wire, format }
  const create = compileDecoder({ title: 'test', fields: [field], unrepresentableAsNull: false })!
  const builder = columnBuilder(type)
  builder.reserveRows(2)
  const run = create([builder])
  // The value stands between other bytes, in the second of two rows.
  const bytes = new Uint8Array(value.length + 7).fill(0x39)
  bytes.set(value, 3)
  const starts = Int32Array.of(0, 3)
  run(bytes, starts, Int32Array.of(3, -1), 0)
  run(bytes, starts, Int32Array.of(3, value.length), 1)
  return builder.view(2)
}

function decodeText(type: ColumnType, kind: WireKind, text: string, list = false): Value {
  return valueAt(decode(type, kind, 'text', Buffer.from(text), list), 1)
}

const check = (property: fc.IPropertyWithHooks<never> | fc.IProperty<never>): void =>
  fc.assert(property, { interruptAfterTimeLimit, numRuns: 5000 })
const prop = <A>(values: fc.Arbitrary<A>, body: (value: A) => void): fc.IProperty<never> =>
  fc.property(values, body) as unknown as fc.IProperty<never>

test('an int8 of any size is read from text and binary', () => {
  check(
    prop(int64, (value) => {
      expect(decodeText({ kind: 'long' }, 'int8', String(value))).toBe(value)
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      expect(valueAt(decode({ kind: 'long' }, 'int8', 'binary', bytes), 1)).toBe(value)
    }),
  )
})

test('smaller integers are read as int and as long', () => {
  check(
    prop(fc.integer(), (value) => {
      expect(decodeText({ kind: 'int' }, 'int4', String(value))).toBe(value)
      expect(decodeText({ kind: 'long' }, 'int4', String(value))).toBe(BigInt(value))
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(value)
      expect(valueAt(decode({ kind: 'int' }, 'int4', 'binary', bytes), 1)).toBe(value)
      expect(valueAt(decode({ kind: 'long' }, 'int4', 'binary', bytes), 1)).toBe(BigInt(value))
      const oid = valueAt(decode({ kind: 'long' }, 'oid', 'binary', bytes), 1)
      expect(oid).toBe(BigInt(value >>> 0))
      const short = value >> 16
      bytes.writeInt16BE(short)
      expect(valueAt(decode({ kind: 'int' }, 'int2', 'binary', bytes), 1)).toBe(short)
      expect(valueAt(decode({ kind: 'long' }, 'int2', 'binary', bytes), 1)).toBe(BigInt(short))
    }),
  )
})

test('a decimal of any precision and scale is read from text and binary', () => {
  check(
    prop(decimals, ({ precision, scale, unscaled }) => {
      const type = { kind: 'decimal', precision, scale } as const
      expect(decodeText(type, 'numeric', decimalText(unscaled, scale))).toBe(unscaled)
      const bytes = decimalBinary(unscaled, scale)
      expect(valueAt(decode(type, 'numeric', 'binary', bytes), 1)).toBe(unscaled)
    }),
  )
})

test('a decimal with fewer digits behind the point than its scale is filled up', () => {
  check(
    prop(fc.tuple(decimals, fc.nat(10)), ([{ precision, scale, unscaled }, more]) => {
      const wide = Math.min(38 - precision, more)
      const type = { kind: 'decimal', precision: precision + wide, scale: scale + wide } as const
      const expected = unscaled * 10n ** BigInt(wide)
      expect(decodeText(type, 'numeric', decimalText(unscaled, scale))).toBe(expected)
      const bytes = decimalBinary(unscaled, scale)
      expect(valueAt(decode(type, 'numeric', 'binary', bytes), 1)).toBe(expected)
    }),
  )
})

test('floats are read as the value that was written', () => {
  check(
    prop(fc.double(), (value) => {
      const text = Object.is(value, -0) ? '-0' : String(value)
      expect(decodeText({ kind: 'double' }, 'float8', text)).toBe(value)
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleBE(value)
      expect(valueAt(decode({ kind: 'double' }, 'float8', 'binary', bytes), 1)).toBe(value)
    }),
  )
  check(
    prop(fc.float(), (value) => {
      const bytes = Buffer.alloc(4)
      bytes.writeFloatBE(value)
      for (const kind of ['float', 'double'] as const) {
        expect(valueAt(decode({ kind }, 'float4', 'binary', bytes), 1)).toBe(value)
        const digits = Number.isFinite(value) ? value.toPrecision(9) : String(value)
        expect(decodeText({ kind }, 'float4', Object.is(value, -0) ? '-0' : digits)).toBe(value)
      }
    }),
  )
})

test('short numbers with a point are rounded once', () => {
  const short = fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 17n }), fc.nat(25))
  check(
    prop(short, ([digits, scale]) => {
      const text = decimalText(digits, scale)
      expect(decodeText({ kind: 'double' }, 'float8', text)).toBe(Number(text))
    }),
  )
})

test('an instant is read from text, with and without zone, and from binary', () => {
  check(
    prop(instants, (us) => {
      const text = instantText(us)
      expect(decodeText({ kind: 'timestamp' }, 'timestamp', text)).toBe(us)
      expect(decodeText({ kind: 'timestamptz' }, 'timestamptz', `${text}+00`)).toBe(us)
      const zone = us + 19_800_000_000n
      if (zone < 2n ** 63n) {
        const local = `${instantText(zone)}+05:30`
        expect(decodeText({ kind: 'timestamptz' }, 'timestamptz', local)).toBe(us)
      }
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(us - 946_684_800_000_000n)
      expect(valueAt(decode({ kind: 'timestamp' }, 'timestamp', 'binary', bytes), 1)).toBe(us)
      const column = decode({ kind: 'timestamptz' }, 'timestamptz', 'binary', bytes)
      expect(decodeText({ kind: 'timestamptz' }, 'timestamptz', keyText(column, 1))).toBe(us)
    }),
  )
})

test('a date is read from text and binary', () => {
  check(
    prop(fc.integer({ min: -719_162, max: 2_145_031_948 }), (days) => {
      const text = instantText(BigInt(days) * DAY_US).split(' ')[0]!
      const date = { kind: 'date' } as const
      expect(decodeText(date, 'date', text)).toBe(days)
      const [year, month, day] = text.split('-').map(Number)
      expect(daysOf(year!, month!, day!)).toBe(days)
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(days - 10_957)
      const column = decode(date, 'date', 'binary', bytes)
      expect(valueAt(column, 1)).toBe(days)
      expect(keyText(column, 1)).toBe(text)
    }),
  )
})

test('a time of day is read from text and binary', () => {
  check(
    prop(fc.bigInt({ min: 0n, max: DAY_US - 1n }), (us) => {
      const time = { kind: 'time' } as const
      expect(decodeText(time, 'time', instantText(us).split(' ')[1]!)).toBe(us)
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(us)
      expect(valueAt(decode(time, 'time', 'binary', bytes), 1)).toBe(us)
    }),
  )
})

test('a value without a place in the lake is refused, in text and binary', () => {
  const texts: readonly (readonly [ColumnType, WireKind, string])[] = [
    [{ kind: 'date' }, 'date', 'infinity'],
    [{ kind: 'date' }, 'date', '-infinity'],
    [{ kind: 'date' }, 'date', '0001-12-31 BC'],
    [{ kind: 'timestamp' }, 'timestamp', 'infinity'],
    [{ kind: 'timestamp' }, 'timestamp', '0044-03-15 00:00:00 BC'],
    [{ kind: 'timestamptz' }, 'timestamptz', '294247-01-10 04:00:54.775808+00'],
    [{ kind: 'time' }, 'time', '24:00:00'],
    [{ kind: 'decimal', precision: 5, scale: 2 }, 'numeric', 'NaN'],
    [{ kind: 'decimal', precision: 30, scale: 2 }, 'numeric', '-Infinity'],
  ]
  for (const [type, kind, text] of texts) {
    expect(() => decodeText(type, kind, text)).toThrow(
      expect.objectContaining({ at: expect.any(Number) }),
    )
  }
  const binaries: readonly (readonly [ColumnType, WireKind, string])[] = [
    [{ kind: 'date' }, 'date', '7fffffff'],
    [{ kind: 'date' }, 'date', '80000000'],
    [{ kind: 'date' }, 'date', 'fff4dbf8'],
    [{ kind: 'timestamp' }, 'timestamp', '7fffffffffffffff'],
    [{ kind: 'timestamp' }, 'timestamp', '8000000000000000'],
    [{ kind: 'time' }, 'time', '000000141dd76000'],
    [{ kind: 'decimal', precision: 5, scale: 2 }, 'numeric', '00000000c0000000'],
    [{ kind: 'decimal', precision: 30, scale: 2 }, 'numeric', '00000000f0000020'],
  ]
  for (const [type, kind, hex] of binaries) {
    expect(() => decode(type, kind, 'binary', Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ at: expect.any(Number) }),
    )
  }
})

test('bytes and identifiers are read from hexadecimal text and as they are', () => {
  check(
    prop(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const hex = Buffer.from(bytes).toString('hex')
      expect(decodeText({ kind: 'binary' }, 'bytea', `\\x${hex}`)).toBe(hex)
      expect(valueAt(decode({ kind: 'binary' }, 'bytea', 'binary', bytes), 1)).toBe(hex)
    }),
  )
  check(
    prop(fc.uuid(), (uuid) => {
      const hex = uuid.replaceAll('-', '')
      expect(decodeText({ kind: 'uuid' }, 'uuid', uuid)).toBe(hex)
      const bytes = Buffer.from(hex, 'hex')
      expect(valueAt(decode({ kind: 'uuid' }, 'uuid', 'binary', bytes), 1)).toBe(hex)
    }),
  )
})

test('a list of any texts is read, with quotes, escapes and NULL', () => {
  const element = fc.option(fc.string({ unit: 'binary', maxLength: 300 }), { nil: null })
  check(
    prop(fc.array(element, { maxLength: 6 }), (items) => {
      const shown = items.map((item) => {
        if (item === null) return 'NULL'
        // The server quotes what could be misread; what it need not quote stays bare.
        return /^[A-Za-z0-9]+$/.test(item) && item.toUpperCase() !== 'NULL'
          ? item
          : `"${item.replaceAll(/["\\]/g, '\\$&')}"`
      })
      const type = { kind: 'list', element: { kind: 'string' } } as const
      expect(decodeText(type, 'text', `{${shown.join(',')}}`, true)).toEqual(
        items.map((item) => (item === null ? null : Buffer.from(item).toString('utf8'))),
      )
    }),
  )
})

test('an array that does not end is an error, and nothing behind it is read', () => {
  const type = { kind: 'list', element: { kind: 'string' } } as const
  const texts = fc.constantFrom('{1,2}', '{"a b","c\\\\"}', '{NULL,"x"}', '1 2 3', '{}')
  check(
    prop(fc.tuple(texts, fc.nat(12)), ([text, cut]) => {
      const part = text.slice(0, cut)
      const read = (): Value => decodeText(type, 'text', part, true)
      if (part === text && text.startsWith('{')) expect(read()).toBeInstanceOf(Array)
      else expect(read).toThrow(expect.objectContaining({ error: 'LOG_CORRUPT' }))
    }),
  )
})

test('the text of a key is read back as the same value', () => {
  check(
    prop(decimals, ({ precision, scale, unscaled }) => {
      const type = { kind: 'decimal', precision, scale } as const
      const column = decode(type, 'numeric', 'text', Buffer.from(decimalText(unscaled, scale)))
      expect(keyText(column, 1)).toBe(decimalText(unscaled, scale))
      expect(literalAt(column, 1)).toBe(unscaled)
    }),
  )
  const column = decode({ kind: 'time' }, 'time', 'text', Buffer.from('01:02:03.04'))
  expect(keyText(column, 1)).toBe('01:02:03.040000')
})
