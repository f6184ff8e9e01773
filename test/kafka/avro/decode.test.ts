import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AvroDecoder } from '../../../connectors/kafka/avro/decoder.ts'
import { avroFormat } from '../../../connectors/kafka/avro/format.ts'
import type { RecordDecoder } from '../../../connectors/kafka/format.ts'
import type { KnownSchema } from '../../../connectors/kafka/registry/schemas.ts'
import { formatType } from '../../../runtime/data/type.ts'
import { avscType, decodeAll, framed, MemoryRegistry, recordsOf, TestSink } from './decoding.ts'
import { cellsOf, namesIn, type Schema, valuesOf } from './random-schema.ts'

interface Known {
  readonly decoder: AvroDecoder
  readonly registry: MemoryRegistry
}

function decoderOf(schemas: Readonly<Record<number, unknown>>): Known {
  const texts = Object.entries(schemas).map(([id, schema]) => {
    return [Number(id), JSON.stringify(schema)] as const
  })
  const registry = new MemoryRegistry(new Map(texts))
  return { decoder: new AvroDecoder('t', 'value', { kind: 'registry', registry }, null), registry }
}

function record(fields: Readonly<Record<string, unknown>>): Schema {
  const own = Object.entries(fields).map(([name, type]) => ({ name, type }))
  return { type: 'record', name: 'R', fields: own }
}

function columnsOf(decoder: RecordDecoder): string[] {
  return decoder.table.columns.map(({ name, type, nullable }) => {
    const json = type.kind === 'string' && type.json === true ? 'json' : formatType(type)
    return `${name} ${json}${nullable ? '?' : ''}`
  })
}

test('each type has its column', async () => {
  const decimal = (precision: number): unknown => {
    return { type: 'bytes', logicalType: 'decimal', precision, scale: 2 }
  }
  const schema = record({
    nothing: 'null',
    b: 'boolean',
    l: ['null', { type: 'long', logicalType: 'of-somebody' }],
    d: decimal(38),
    long_d: decimal(39),
    e: { type: 'enum', name: 'E', symbols: ['A'] },
    f: { type: 'fixed', name: 'F', size: 3 },
    id: { type: 'string', logicalType: 'uuid' },
    at: { type: 'long', logicalType: 'timestamp-millis' },
    local: { type: 'long', logicalType: 'local-timestamp-micros' },
    list: { type: 'array', items: ['null', 'E'] },
    map: { type: 'map', values: 'int' },
    either: ['null', 'int', 'string'],
    records: { type: 'array', items: { type: 'record', name: 'I', fields: [] } },
    r: ['null', { type: 'record', name: 'N', fields: [{ name: 'x', type: 'int' }] }],
    empty: 'I',
  })
  const { decoder } = decoderOf({ 7: schema })
  await decodeAll(decoder, recordsOf([framed(7, new Uint8Array(0))]))
  expect(columnsOf(decoder)).toEqual([
    'b boolean',
    'l long?',
    'd decimal(38, 2)',
    'long_d string',
    'e string',
    'f binary',
    'id uuid',
    'at timestamptz',
    'local timestamp',
    'list list<string>',
    'map json',
    'either json?',
    'records json',
    'r.x int?',
  ])
})

test('records in records are columns down to eight names, and JSON below', async () => {
  let schema: unknown = 'int'
  for (let depth = 9; depth >= 1; depth--) {
    schema = { type: 'record', name: `R${depth}`, fields: [{ name: `f${depth}`, type: schema }] }
  }
  const { decoder } = decoderOf({ 7: schema })
  const { rows } = await decodeAll(decoder, recordsOf([framed(7, Uint8Array.of(84))]))
  expect(columnsOf(decoder)).toEqual(['f1.f2.f3.f4.f5.f6.f7.f8 json'])
  expect(Object.values(rows[0]?.cells ?? {})).toEqual(['{"f9":42}'])
})

test('a record with more columns than one function holds decodes like any other', async () => {
  const types = ['long', 'string', { type: 'array', items: 'string' }, 'double', 'boolean'] as const
  const inner = (name: string, count: number): Schema => ({
    type: 'record',
    name,
    fields: Array.from({ length: count }, (_, at) => {
      const type = types[at % types.length] ?? 'int'
      return { name: `c${at}`, type: at % 3 === 0 ? ['null', type] : type }
    }),
  })
  const wide: Schema = {
    type: 'record',
    name: 'Wide',
    fields: [
      { name: 'first', type: 'int' },
      { name: 'a', type: ['null', inner('A', 400)] },
      { name: 'b', type: inner('B', 30) },
      { name: 'c', type: [inner('C', 300), 'null'] },
      { name: 'last', type: 'string' },
    ],
  }
  const type = avscType(wide)
  const values = fc.sample(valuesOf(wide, namesIn(wide)), { numRuns: 20, seed: 1 })
  const encoded = values.map((value) => type.toBuffer(value))
  // In the middle one that ends too early.
  const broken = [...encoded.slice(0, 9), encoded[9]!.subarray(0, -1), ...encoded.slice(10)]
  const { decoder } = decoderOf({ 7: wide })
  const { rows, dirty } = await decodeAll(decoder, recordsOf(broken.map((one) => framed(7, one))))
  expect(dirty).toMatchObject([
    { record: 9, message: expect.stringContaining('beyond the record') },
  ])
  const whole = values.flatMap((value, at) =>
    at === 9 ? [] : [{ record: at, cells: cellsOf(wide, value) }],
  )
  expect(rows).toEqual(whole)
})

const poisons: readonly (readonly [string, unknown, readonly number[], number, string])[] = [
  ['truncated', 'long', [0x80], 6, 'the bytes end before the schema does'],
  ['empty', 'long', [], 5, 'the bytes end before the schema does'],
  ['too long', 'int', [2, 0], 6, 'there are more bytes than the schema takes'],
  ['an int of 33 bits', 'int', [0xff, 0xff, 0xff, 0xff, 0x1f], 10, 'more bits'],
  ['a long of 65 bits', 'long', [...Array(9).fill(0xff), 2], 15, 'more bits'],
  ['bad UTF-8', 'string', [6, 0x41, 0xc3, 0x28], 6, 'no UTF-8'],
  ['a surrogate', 'string', [6, 0xed, 0xa0, 0x80], 6, 'no UTF-8'],
  ['an overlong character', 'string', [4, 0xc0, 0xaf], 6, 'no UTF-8'],
  ['a length of a gigabyte', 'bytes', [0x80, 0x80, 0x80, 0x80, 8], 10, 'a length'],
  ['a length below zero', 'bytes', [1, 0], 6, 'a length'],
  ['a length of 2^63', 'string', [...Array(9).fill(0x80), 1], 15, 'a length'],
  [
    'a list of a billion',
    { type: 'array', items: 'int' },
    [0x80, 0x80, 0x80, 0x80, 8],
    10,
    'a len',
  ],
  ['a third branch', ['null', 'int'], [4, 0], 6, 'no such branch'],
  ['branch -1', ['null', 'int'], [1, 0], 6, 'no such branch'],
  ['an unknown symbol', { type: 'enum', name: 'E', symbols: ['A'] }, [2], 6, 'no such symbol'],
  ['a boolean of 2', 'boolean', [2], 6, 'neither 0 nor 1'],
  [
    'a time of a day',
    { type: 'int', logicalType: 'time-millis' },
    [0x80, 0xf0, 0xb2, 0x52],
    9,
    'ran',
  ],
  ['an endless map', { type: 'map', values: 'null' }, [0x80, 0x80, 0x80, 0x80, 8], 10, 'a length'],
  ['no end of nulls', { type: 'array', items: 'null' }, [0xfe, 0xff, 0xff, 0x7f], 9, 'a length'],
]

for (const [name, type, bytes, byteOffset, message] of poisons) {
  test(`${name}: a dirty row with its byte offset, and whole neighbours`, async () => {
    const { decoder } = decoderOf({ 7: record({ f: type }), 8: record({ g: 'int' }) })
    const good = framed(8, Uint8Array.of(2))
    const all = [good, framed(7, Uint8Array.from(bytes)), good]
    const { rows, dirty } = await decodeAll(decoder, recordsOf(all))
    expect(dirty).toMatchObject([{ record: 1, name: 'RECORD_CORRUPT', byteOffset }])
    expect(dirty[0]?.message).toContain(message)
    expect(rows).toEqual([
      { record: 0, cells: { g: 1 } },
      { record: 2, cells: { g: 1 } },
    ])
  })
}

test('the last bytes of the memory are not read beyond', async () => {
  const schema = record({ s: 'string', d: ['null', 'double'], l: { type: 'array', items: 'long' } })
  const whole = avscType(schema).toBuffer({ s: 'abcdefg', d: { double: 1 }, l: [5n, 300n] })
  for (let length = 0; length < whole.length; length++) {
    const { decoder } = decoderOf({ 7: schema })
    const records = recordsOf([framed(7, whole.subarray(0, length))], 0)
    const { rows, dirty } = await decodeAll(decoder, records)
    expect([length, rows.length, dirty.length]).toEqual([length, 0, 1])
    const offset = dirty[0]?.byteOffset ?? -1
    expect(offset).toBeLessThanOrEqual(length + 5)
  }
})

test('values within values are read to a depth that the stack bears', async () => {
  const list = { type: 'record', name: 'L', fields: [{ name: 'next', type: ['null', 'L'] }] }
  const { decoder } = decoderOf({ 7: record({ head: list }) })
  const chain = (length: number): Uint8Array => {
    return framed(7, Uint8Array.from([...Array<number>(length).fill(2), 0]))
  }
  const { rows, dirty } = await decodeAll(decoder, recordsOf([chain(40), chain(10_000), chain(0)]))
  expect(rows.map((row) => row.record)).toEqual([0, 2])
  expect(rows[1]?.cells).toEqual({ head: '{"next":null}' })
  expect(dirty).toMatchObject([{ record: 1, message: 'column "head": values are nested too deep' }])
})

test('what is framed otherwise, or with an id that nobody knows, is dirty by its own words', async () => {
  const { decoder, registry } = decoderOf({ 7: record({ f: 'int' }), 9: { type: 'nonsense' } })
  const text = Buffer.from('{"f":1}')
  const glue = Buffer.concat([Buffer.from([3, 0]), Buffer.alloc(17)])
  const good = framed(7, Uint8Array.of(2))
  const values = [text, good, glue, framed(8, good), Buffer.from([0, 1]), framed(9, good), good]
  const { rows, dirty } = await decodeAll(decoder, recordsOf(values))
  expect(rows.map((row) => row.record)).toEqual([1, 6])
  expect(dirty.map(({ record: at, name, message }) => [at, name, message])).toEqual([
    [0, 'RECORD_CORRUPT', 'byte 123 stands where 0 and a schema id are expected'],
    [2, 'RECORD_CORRUPT', expect.stringContaining('AWS Glue')],
    [3, 'SCHEMA_UNKNOWN', 'schema id 8 is unknown'],
    [4, 'RECORD_CORRUPT', '2 bytes are too few for a schema id'],
    [5, 'SCHEMA_UNKNOWN', 'schema 9 cannot be read: type "nonsense" is not defined'],
  ])
  // All that the records ahead need is asked for at once.
  expect(registry.asked).toEqual([7, 8, 9])
})

test('a schema of another language makes its records dirty, not the topic', async () => {
  const { decoder, registry } = decoderOf({ 7: record({ f: 'int' }) })
  const known = registry.known.bind(registry)
  const protobuf: KnownSchema = { id: 5, kind: 'PROTOBUF', text: 'syntax', references: [] }
  registry.known = (id) => (id === 5 ? protobuf : known(id))
  const good = framed(7, Uint8Array.of(2))
  const { rows, dirty } = await decodeAll(decoder, recordsOf([framed(5, good), good]))
  expect(rows).toHaveLength(1)
  expect(dirty).toMatchObject([
    { name: 'SCHEMA_UNKNOWN', message: 'schema 5 is PROTOBUF, not Avro' },
  ])
})

test('a value that is no record is one column, named after what it is', async () => {
  const { registry } = decoderOf({ 7: ['null', 'string'] })
  const decoder = new AvroDecoder('t', 'key', { kind: 'registry', registry }, null)
  const values = recordsOf([framed(7, Uint8Array.of(2, 2, 0x61)), framed(7, Uint8Array.of(0))])
  const keys = { ...values, keyStart: values.valueStart, keyEnd: values.valueEnd }
  const { rows } = await decodeAll(decoder, keys)
  expect(columnsOf(decoder)).toEqual(['key string?'])
  expect(rows.map(({ cells }) => cells)).toEqual([{ key: 'a' }, {}])
})

test('a schema from a file needs no frame, and is the structure before the first record', async () => {
  const text = JSON.stringify(record({ a: 'int', b: 'string' }))
  const format = avroFormat({ schemaFile: { path: 'a.avsc', text } })
  const decoder = format.decoder('t', 'value', null)
  expect(columnsOf(decoder)).toEqual(['a int', 'b string'])
  const { rows } = await decodeAll(decoder, recordsOf([Uint8Array.of(2, 2, 0x78)]))
  expect(rows).toEqual([{ record: 0, cells: { a: 1, b: 'x' } }])
  // The file has changed between two runs: b is called c now.
  const renamed = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'a', type: 'long' },
      { name: 'c', aliases: ['b'], type: 'string' },
    ],
  }
  const later = avroFormat({ schemaFile: { path: 'a.avsc', text: JSON.stringify(renamed) } })
  const next = later.decoder('t', 'value', decoder.save())
  expect(columnsOf(next)).toEqual(['a int', 'b string'])
  const again = await decodeAll(next, recordsOf([Uint8Array.of(2, 2, 0x78)]))
  expect(again.rows).toEqual([{ record: 0, cells: { a: 1n, b: 'x' } }])
  expect(columnsOf(next)).toEqual(['a long', 'c string'])
  const broken = { schemaFile: { path: 'a.avsc', text: '{"type":"record"}' } }
  expect(() => avroFormat(broken).decoder('t', 'value', null)).toThrow('the Avro schema in a.avsc')
})

test('schemas of references define the types that a schema names', async () => {
  const { registry } = decoderOf({})
  const home = {
    type: 'record',
    name: 'Home',
    namespace: 'x',
    fields: [{ name: 's', type: 'int' }],
  }
  const person = {
    type: 'record',
    name: 'P',
    namespace: 'x',
    fields: [{ name: 'h', type: 'Home' }],
  }
  const reference = { name: 'x.Home', subject: 'home', version: 1, text: JSON.stringify(home) }
  const text = JSON.stringify(person)
  registry.known = () => ({ id: 7, kind: 'AVRO', text, references: [reference] })
  const decoder = new AvroDecoder('t', 'value', { kind: 'registry', registry }, null)
  const { rows } = await decodeAll(decoder, recordsOf([framed(7, Uint8Array.of(2))]))
  expect(rows).toEqual([{ record: 0, cells: { 'h.s': 1 } }])
})

const retypings: readonly (readonly [string, unknown, unknown, string])[] = [
  ['string to int', 'string', 'int', 'column "f" changed from string to int'],
  ['long to double', 'long', 'double', 'column "f" changed from long to double'],
  ['double to long', 'double', 'long', 'column "f" changed from double to long'],
  ['text to a union', 'string', ['string', 'int'], 'column "f" changed from string to JSON'],
  [
    'a value to a record',
    'int',
    { type: 'record', name: 'N', fields: [{ name: 'x', type: 'int' }] },
    'field "f" is int in one schema and a record in another',
  ],
  [
    'another scale',
    { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 },
    { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 3 },
    'column "f" changed from decimal(9, 2) to decimal(9, 3)',
  ],
]

for (const [name, before, after, message] of retypings) {
  test(`${name} is refused by name, and records of before go on`, async () => {
    const { decoder } = decoderOf({ 7: record({ f: before }), 8: record({ f: after }) })
    const old = framed(7, avscType(record({ f: before })).toBuffer({ f: sampleOf(before) }))
    await decodeAll(decoder, recordsOf([old]))
    const table = decoder.table
    const mixed = recordsOf([old, framed(8, Uint8Array.of(0)), old])
    const failure = { error: 'FORMAT_TYPE_CHANGED', message }
    await expect(decodeAll(decoder, mixed)).rejects.toMatchObject(failure)
    expect(decoder.table).toBe(table)
    expect((await decodeAll(decoder, recordsOf([old, old]))).rows).toHaveLength(2)
  })
}

function sampleOf(type: unknown): unknown {
  if (type === 'string') return 'x'
  if (type === 'long') return 5n
  return typeof type === 'string' ? 5 : Buffer.from([5])
}

test('a narrower value of an older schema keeps its number in a wider column', async () => {
  const { decoder } = decoderOf({ 7: record({ f: 'int' }), 8: record({ f: 'double' }) })
  const double = framed(8, avscType(record({ f: 'double' })).toBuffer({ f: 0.5 }))
  const int = framed(7, avscType(record({ f: 'int' })).toBuffer({ f: -(2 ** 31) }))
  const { rows } = await decodeAll(decoder, recordsOf([double, int]))
  expect(rows.map(({ cells }) => cells)).toEqual([{ f: 0.5 }, { f: -(2 ** 31) }])
})

test('what was JSON stays JSON when a newer schema has one type only', async () => {
  const { decoder } = decoderOf({ 7: record({ f: ['int', 'string'] }), 8: record({ f: 'string' }) })
  const either = framed(7, Uint8Array.of(0, 4))
  const text = framed(8, Uint8Array.of(2, 0x22))
  const { rows } = await decodeAll(decoder, recordsOf([either, text]))
  expect(rows.map(({ cells }) => cells)).toEqual([{ f: '2' }, { f: '"\\""' }])
})

test('no more rows are made than were asked for, and none is made twice', () => {
  const { registry } = decoderOf({})
  registry.known = () => ({ id: 7, kind: 'AVRO', text: '"int"', references: [] })
  const decoder = new AvroDecoder('t', 'value', { kind: 'registry', registry }, null)
  const records = recordsOf(Array.from({ length: 10 }, (_, n) => framed(7, Uint8Array.of(n * 2))))
  expect(decoder.decode(records, 0, 4, new TestSink([]))).toEqual({ next: 0, stop: 'structure' })
  expect(decoder.advance(records, 0, new AbortController().signal)).toBe(undefined)
  const sink = new TestSink([{ kind: 'int' }])
  expect(decoder.decode(records, 0, 4, sink)).toEqual({ next: 4, stop: 'limit' })
  expect(decoder.decode(records, 4, 4, sink)).toEqual({ next: 8, stop: 'limit' })
  expect(decoder.decode(records, 8, 4, sink)).toEqual({ next: 10, stop: 'all' })
  const column = sink.builders[0]?.view(sink.rows)
  expect(column).toMatchObject({ values: Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) })
  expect([...sink.record.subarray(0, 10)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})
