import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonFormat } from '../../../connectors/kafka/json/json-decoder.ts'
import type { JsonColumn } from '../../../connectors/kafka/json/columns.ts'
import { AS_TEXT, type Encoding } from '../../../runtime/data/json/fill.ts'
import { parseType } from '../../../runtime/data/type-text.ts'
import { documents } from './documents.ts'
import { expectedRow, isJson, jsonOf } from './oracle.ts'
import { decodeAll, recordSet, type Row } from './records.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const time = { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 1_000_000 }

function column(path: string, text: string, encoding: Encoding = AS_TEXT): JsonColumn {
  const nullable = !text.endsWith(' not null')
  const type = parseType(text.replace(' not null', ''))!
  return { name: path, path: path.split('.'), type, nullable, encoding }
}

const COLUMNS = [
  column('id', 'long'),
  column('small', 'int'),
  column('amount', 'decimal(12,2)'),
  column('wide', 'decimal(38,10)'),
  column('eighteen', 'decimal(18,0)'),
  column('ratio', 'double'),
  column('near', 'float'),
  column('flag', 'boolean'),
  column('name', 'string'),
  column('na"me\\\n', 'string'),
  column('größe', 'string'),
  column('payload', 'json'),
  column('day', 'date'),
  column('clock', 'time'),
  column('local', 'timestamp'),
  column('at', 'timestamptz'),
  column('at_ms', 'timestamptz', { kind: 'number', unit: 'ms' }),
  column('at_s', 'timestamp', { kind: 'number', unit: 's' }),
  column('at_ns', 'timestamp', { kind: 'number', unit: 'ns' }),
  column('days', 'date', { kind: 'number', unit: 'd' }),
  column('uuid', 'uuid'),
  column('blob', 'binary'),
  column('tags', 'list<string>'),
  column('numbers', 'list<long>'),
  column('user.id', 'long'),
  column('user.name', 'string'),
  column('user', 'json'),
]

/** Few columns, so that most rows are whole. */
const schemas = fc.subarray(COLUMNS, { minLength: 1, maxLength: 4 })

function comparable(row: Row, columns: readonly JsonColumn[]): Row {
  return Object.fromEntries(
    columns.map(({ name, type }) => {
      const value = row[name]
      return [name, isJson(type) && typeof value === 'string' ? jsonOf(value) : value]
    }),
  )
}

/** Decodes and compares with the oracle, record by record. @returns how many are dirty */
function compare(values: readonly Uint8Array[], columns: readonly JsonColumn[]): number {
  const format = jsonFormat({ columns, unknown: { kind: 'ignore' } })
  const records = recordSet(values.map((value) => ({ value })))
  const { rows, faults } = decodeAll(format.decoder('topic', 'value', null), records)
  const expected = values.map((value) => expectedRow(value, columns))
  const got: (Row | null)[] = values.map(() => null)
  for (const { record, row } of rows) got[record] = comparable(row, columns)
  expect(got).toEqual(expected)
  const dirty = expected.flatMap((row, index) => (row === null ? [index] : []))
  expect([...faults.keys()]).toEqual(dirty)
  for (const [record, { byteOffset, message }] of faults) {
    expect(byteOffset, message).toBeLessThanOrEqual(values[record]!.length)
  }
  return dirty.length
}

/** Columns, and values of records for them. */
function cases(
  value: (text: fc.Arbitrary<string>) => fc.Arbitrary<Uint8Array>,
): fc.Arbitrary<readonly [readonly JsonColumn[], readonly Uint8Array[]]> {
  return schemas.chain((columns) =>
    fc.tuple(
      fc.constant(columns),
      fc.array(value(documents(columns)), { minLength: 1, maxLength: 12 }),
    ),
  )
}

test('documents become the rows that JSON.parse and exact arithmetic give', () => {
  const whole = cases((texts) => texts.map((text) => Buffer.from(text)))
  let rows = 0
  let dirty = 0
  fc.assert(
    fc.property(whole, ([columns, values]) => {
      const faults = compare(values, columns)
      dirty += faults
      rows += values.length - faults
    }),
    time,
  )
  expect(rows).toBeGreaterThan(dirty / 4)
})

/** No UTF-8: overlong, half a pair, too large, cut off, a byte that begins nothing. */
const BAD_UTF8 = ['c080', 'e08080', 'f0808080', 'eda080', 'edbfbf', 'f4908080', 'e282', '80', 'ff']

const corruption = fc.oneof(
  fc.record({
    kind: fc.constant('utf8' as const),
    at: fc.nat(),
    value: fc.nat(BAD_UTF8.length - 1),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), value: fc.nat(7) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(), value: fc.nat(3) }),
)

function corrupted(
  text: string,
  changes: readonly { kind: string; at: number; value: number }[],
): Uint8Array {
  let bytes = Buffer.from(text)
  for (const { kind, at: place, value } of changes) {
    if (bytes.length === 0) break
    const at = place % bytes.length
    if (kind === 'cut') bytes = bytes.subarray(0, at)
    else if (kind === 'set') bytes[at] = value
    else if (kind === 'flip') bytes[at] = bytes[at]! ^ (1 << value)
    else if (kind === 'insert' || kind === 'utf8') {
      const more = kind === 'utf8' ? Buffer.from(BAD_UTF8[value]!, 'hex') : Buffer.of(value)
      bytes = Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)])
    } else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + value)])
  }
  return bytes
}

test('of damaged records exactly those are told that JSON.parse refuses, and no neighbour is lost', () => {
  const damaged = cases((texts) =>
    fc
      .tuple(texts, fc.array(corruption, { maxLength: 2 }))
      .map(([text, changes]) => corrupted(text, changes)),
  )
  fc.assert(
    fc.property(damaged, ([columns, values]) => {
      compare(values, columns)
    }),
    time,
  )
})

test('a double is the nearest to its text, whatever the text', () => {
  const column = [
    {
      name: 'd',
      path: ['d'],
      type: { kind: 'double' } as const,
      nullable: true,
      encoding: AS_TEXT,
    },
  ]
  const decoder = jsonFormat({ columns: column, unknown: { kind: 'ignore' } }).decoder(
    't',
    'value',
    null,
  )
  const spellings = fc
    .tuple(
      fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
      fc.constantFrom(
        String,
        (d: number) => d.toPrecision(15),
        (d: number) => d.toPrecision(17),
      ),
    )
    .map(([value, spell]) => spell(value))
  const plain = fc
    .tuple(fc.nat(9_999_999), fc.nat(999_999_999), fc.nat(16))
    .map(([upper, lower, point]) => {
      const digits = `${upper + 1}${String(lower).padStart(9, '0')}`
      return `${digits.slice(0, point) || '0'}.${digits.slice(point) || '0'}`.replace(
        /^0+(?=\d)/,
        '',
      )
    })
  fc.assert(
    fc.property(fc.array(fc.oneof(spellings, plain), { minLength: 1 }), (texts) => {
      const records = recordSet(texts.map((text) => ({ value: `{"d":${text}}` })))
      const { rows } = decodeAll(decoder, records)
      expect(rows.map(({ row }) => row['d'])).toEqual(texts.map(Number))
    }),
    { ...time, interruptAfterTimeLimit: SECONDS * 500 },
  )
})
