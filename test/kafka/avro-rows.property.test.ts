// Rows as Avro: whatever a row holds, avsc reads the same by the schema that was registered for it,
// and by that of a later structure.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AvroRows } from '../../connectors/kafka/encode/avro-rows.ts'
import { avroOfKey, avroOfRow } from '../../connectors/kafka/encode/avro-schema.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Field } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { batchOf, field, schemaOf, UNCHANGED, type CellValue } from '../writer/batches.ts'
import { avscOf, unframed, unscaledOf } from './avro/avsc-reader.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 5000 }
const names = { namespace: 'shop', table: 'orders' }
const LONG = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const ID = 0x7fff_fffe

interface Cell {
  readonly type: ColumnType
  readonly value: CellValue
  /** What avsc must give. */
  readonly read: unknown
}

const long = (kind: 'long' | 'time' | 'timestamp' | 'timestamptz'): fc.Arbitrary<Cell> =>
  fc.bigInt(LONG).map((value) => ({ type: { kind }, value, read: value }))

const decimal = (precision: number): fc.Arbitrary<Cell> => {
  const end = 10n ** BigInt(precision) - 1n
  return fc
    .tuple(fc.bigInt({ min: -end, max: end }), fc.nat(precision))
    .map(([value, scale]) => ({ type: { kind: 'decimal', precision, scale }, value, read: value }))
}

const cells: fc.Arbitrary<Cell> = fc.oneof(
  long('long'),
  long('time'),
  long('timestamp'),
  long('timestamptz'),
  decimal(18),
  decimal(38),
  fc.integer().map((value): Cell => ({ type: { kind: 'int' }, value, read: value })),
  fc.integer().map((value): Cell => ({ type: { kind: 'date' }, value, read: value })),
  fc.boolean().map((value): Cell => ({ type: { kind: 'boolean' }, value, read: value })),
  fc.double().map((value): Cell => ({ type: { kind: 'double' }, value, read: value })),
  fc.float().map((value): Cell => ({ type: { kind: 'float' }, value, read: Math.fround(value) })),
  fc
    .string({ unit: 'binary' })
    .filter((text) => text.isWellFormed())
    .map((value): Cell => ({ type: { kind: 'string' }, value, read: value })),
)

function told(type: ColumnType, value: unknown): unknown {
  return type.kind === 'decimal' && value !== null ? unscaledOf(value as Buffer) : value
}

test('every value is read back as it was, null or not', () => {
  const column = fc.record({ cell: cells, nullable: fc.boolean(), absent: fc.boolean() })
  const property = fc.property(fc.array(column, { minLength: 1, maxLength: 8 }), (row) => {
    const fields = row.map(({ cell, nullable }, at) =>
      field(at + 1, `c${at}`, cell.type, { nullable: at > 0 && nullable }),
    )
    const schema = schemaOf('shop.orders', 0, fields)
    const isAbsent = (at: number): boolean =>
      (at > 0 && row[at]?.nullable && row[at].absent) === true
    const values = row.map(({ cell }, at) => [`c${at}`, isAbsent(at) ? undefined : cell.value])
    const batch = batchOf(
      schema,
      [{ op: Op.insert, values: Object.fromEntries(values) as Record<string, CellValue> }],
      1n,
    )
    const avro = avroOfRow(schema, names, null)
    const bytes = new AvroRows(avro, ID).encode(batch, 0)
    if (bytes === null) throw new Error('a row has no value')
    const { id, payload } = unframed(Buffer.from(bytes.bytes.subarray(bytes.start, bytes.end)))
    expect(id).toBe(ID)
    const read = avscOf(avro.text).fromBuffer(payload) as Record<string, unknown>
    const cellsRead = row.map(({ cell }, at) => told(cell.type, read[`c${at}`]))
    expect(cellsRead).toEqual(row.map(({ cell }, at) => (isAbsent(at) ? null : cell.read)))
    const key = new AvroRows(avroOfKey(schema, names), 1).encode(batch, 0)
    const keyBytes = Buffer.from(key?.bytes.subarray(key.start, key.end) ?? [])
    const keyRead = avscOf(avroOfKey(schema, names).text).fromBuffer(unframed(keyBytes).payload)
    const { type, read: first } = row[0]?.cell ?? { type: { kind: 'int' }, read: null }
    expect(told(type, (keyRead as Record<string, unknown>)['c0'])).toEqual(first)
  })
  fc.assert(property, limits)
})

const LONG_TYPE: ColumnType = { kind: 'long' }
const REQUIRED = { nullable: false }

/** Writes by one structure and reads by another. */
function readBy(
  written: readonly Field[],
  row: Record<string, CellValue>,
  reader: readonly Field[],
) {
  const before = schemaOf('shop.orders', 0, written)
  const avro = avroOfRow(before, names, null)
  const later = avroOfRow(schemaOf('shop.orders', 1, reader), names, avro.text)
  const batch = batchOf(before, [{ op: Op.insert, values: row }], 1n)
  const bytes = new AvroRows(avro, 1).encode(batch, 0)
  const { payload } = unframed(Buffer.from(bytes?.bytes.subarray(bytes.start, bytes.end) ?? []))
  const [writerType, readerType] = [avscOf(avro.text), avscOf(later.text)]
  return { ...readerType.fromBuffer(payload, readerType.createResolver(writerType)) } as object
}

test('a later structure reads the records of the ones before', () => {
  const id = field(1, 'id', LONG_TYPE, REQUIRED)
  const gone = field(2, 'gone', { kind: 'string' }, REQUIRED)
  const later = [
    id,
    field(3, 'added', { kind: 'string' }),
    field(4, 'seven', { kind: 'int' }, { initialDefault: 7n }),
    field(5, 'price', { kind: 'decimal', precision: 20, scale: 2 }, { initialDefault: -129n }),
    field(6, 'big', LONG_TYPE, { initialDefault: 9_007_199_254_740_993n, nullable: false }),
    // What a required column is called after it has been renamed.
    field(2, 'renamed', { kind: 'string' }, REQUIRED),
  ]
  const read = readBy([id, gone], { id: 1n, gone: 'x' }, later) as { price: Buffer }
  expect({ ...read, price: unscaledOf(read.price) }).toEqual({
    id: 1n,
    added: null,
    seven: 7,
    price: -129n,
    big: expect.anything() as unknown,
    renamed: null,
  })
  const text = avroOfRow(schemaOf('shop.orders', 1, later), names, null).text
  expect(text).toContain('"default":9007199254740993}')
  expect(text).toContain('{"name":"renamed","type":"string"}')
  const wider = [field(1, 'id', LONG_TYPE, REQUIRED), field(2, 'n', LONG_TYPE)]
  const narrow = [id, field(2, 'n', { kind: 'int' }, REQUIRED)]
  expect(readBy(narrow, { id: 1n, n: 5 }, wider)).toEqual({ id: 1n, n: 5n })
})

test('a column that could be null once stays so, and names are what Avro takes', () => {
  const before = avroOfRow(schemaOf('t', 0, [field(1, 'n', LONG_TYPE)]), names, null)
  const required = schemaOf('t', 1, [field(1, 'n', LONG_TYPE, REQUIRED)])
  expect(avroOfRow(required, names, before.text)).toEqual(before)
  const odd = schemaOf('t', 0, [field(1, '1 \u00fc', LONG_TYPE), field(2, 'b-c', LONG_TYPE)])
  const { text } = avroOfRow(odd, { namespace: 'my-shop', table: '2026' }, null)
  const parsed = JSON.parse(text) as { namespace: string; fields: { name: string; doc: string }[] }
  expect(parsed.namespace).toBe('my_shop._2026')
  expect(parsed.fields.map(({ name, doc }) => [name, doc])).toEqual([
    ['_1__', '1 \u00fc'],
    ['b_c', 'b-c'],
  ])
  const same = schemaOf('t', 0, [field(1, 'b-c', LONG_TYPE), field(2, 'b_c', LONG_TYPE)])
  expect(() => avroOfRow(same, names, null)).toThrow('columns "b-c" and "b_c" would both be "b_c"')
})

test('a value that the log left out is no value', () => {
  const schema = schemaOf('t', 0, [field(1, 'a', LONG_TYPE), field(2, 'b', LONG_TYPE)])
  const batch = batchOf(schema, [{ op: Op.update, values: { a: 1n, b: UNCHANGED } }], 1n)
  expect(new AvroRows(avroOfRow(schema, names, null), 1).encode(batch, 0)).toBeNull()
})
