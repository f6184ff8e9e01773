import { expect, test } from 'vitest'
import type { JsonColumn } from '../../../connectors/kafka/json/columns.ts'
import { AS_TEXT } from '../../../runtime/data/json/fill.ts'
import { jsonFormat, type UnknownMembers } from '../../../connectors/kafka/json/json-decoder.ts'
import type { RecordDecoder } from '../../../connectors/kafka/format.ts'
import { parseType } from '../../../runtime/data/type-text.ts'
import { decodeAll, recordSet, type Decoding } from './records.ts'

function columns(types: Readonly<Record<string, string>>): JsonColumn[] {
  return Object.entries(types).map(([name, text]) => {
    const [plain = '', required] = text.split(' not ')
    const path = name.split('.')
    return {
      name,
      path,
      type: parseType(plain)!,
      nullable: required === undefined,
      encoding: AS_TEXT,
    }
  })
}

function decoderOf(
  types: Readonly<Record<string, string>>,
  unknown: UnknownMembers = { kind: 'ignore' },
  saved: string | null = null,
): RecordDecoder {
  return jsonFormat({ columns: columns(types), unknown }).decoder('topic', 'value', saved)
}

function decode(decoder: RecordDecoder, texts: readonly string[], limit?: number): Decoding {
  return decodeAll(decoder, recordSet(texts.map((value) => ({ value }))), limit)
}

function rowsOf({ rows }: Decoding): unknown[] {
  return rows.map(({ row }) => row)
}

function reasons({ faults }: Decoding): string[] {
  return [...faults.values()].map(({ message, byteOffset }) => `${byteOffset} ${message}`)
}

test('2^63 - 1 and 38 digits arrive as they are, and one more is told', () => {
  const decoder = decoderOf({ id: 'long', wide: 'decimal(38,0)' })
  const wide = '9'.repeat(38)
  const texts = [
    `{"id":9223372036854775807,"wide":${wide}}`,
    `{"id":-9223372036854775808,"wide":-${wide}}`,
    `{"id":9223372036854775808}`,
    `{"id":1,"wide":1${wide}}`,
    `{"id":9007199254740993}`,
  ]
  const decoding = decode(decoder, texts)
  expect(rowsOf(decoding)).toEqual([
    { id: 2n ** 63n - 1n, wide: BigInt(wide) },
    { id: -(2n ** 63n), wide: -BigInt(wide) },
    { id: 2n ** 53n + 1n, wide: null },
  ])
  expect(reasons(decoding)).toEqual([
    '6 a value does not fit column "id": the number is too large',
    '15 a value does not fit column "wide": the number is too large',
  ])
})

test('json columns keep the text of their values, without white space between tokens', () => {
  const decoder = decoderOf({ payload: 'json' })
  const written = String.raw`{ "a" : 1.00e+2 , "b\u0061" :[ "x y\" ]" , 9007199254740993 ] }`
  const kept = String.raw`{"a":1.00e+2,"b\u0061":["x y\" ]",9007199254740993]}`
  const texts = [`{"payload" : ${written} }`, '{"payload":" s "}', '{"payload":null}']
  expect(rowsOf(decode(decoder, texts))).toEqual([
    { payload: kept },
    { payload: '" s "' },
    { payload: null },
  ])
})

test('a document that nests 100 levels is read, one of 101 is told with its place', () => {
  const decoder = decoderOf({ id: 'int' })
  const nested = (levels: number): string => {
    return `{"x":${'['.repeat(levels)}${']'.repeat(levels)},"id":1}`
  }
  const decoding = decode(decoder, [nested(99), nested(100), nested(10_000)])
  expect(rowsOf(decoding)).toEqual([{ id: 1 }])
  const reason = 'a record is no JSON document: it nests deeper than 100 levels'
  expect(reasons(decoding)).toEqual([`104 ${reason}`, `104 ${reason}`])
})

test('what is behind a document is told with its place', () => {
  const decoding = decode(decoderOf({ id: 'int' }), [
    '{"id":1} \n',
    '{"id":2}{"id":3}',
    '{"id":4',
    '',
  ])
  expect(rowsOf(decoding)).toEqual([{ id: 1 }])
  expect(reasons(decoding)).toEqual([
    '8 a record is no JSON document: something follows the document',
    '7 a record is no JSON document: an object has no end',
    '0 a record is no JSON document: it is no object',
  ])
})

test('a column that is not null needs its value', () => {
  const decoder = decoderOf({ id: 'int not null', name: 'string' })
  const decoding = decode(decoder, ['{"id":1}', '{"id":null}', '{"name":"a"}'])
  expect(rowsOf(decoding)).toEqual([{ id: 1, name: null }])
  expect(reasons(decoding)).toEqual([
    '0 a value does not fit column "id": it is null, and the column is not',
    '0 a value does not fit column "id": it is missing',
  ])
})

test('the rest holds every member without a column, the last of each name', () => {
  const rest = { kind: 'rest', column: 'rest' } as const
  const decoder = decoderOf({ id: 'int', 'user.id': 'int', 'user.name': 'string' }, rest)
  const texts = [
    '{"id":1,"user":{"id":2}}',
    '{"a":1,"id":1,"b":{ "c" : [ 1 ] },"a":{"x":2}}',
    '{"user":{"id":2,"age":3,"name":"n","tags":[]},"z":null}',
    '{"user":{"id":2,"age":3},"user":{"id":4}}',
    '{"user":null,"\\u0069d":7,"k\\u0041":1}',
  ]
  const user = { id: null, 'user.id': null, 'user.name': null }
  expect(rowsOf(decode(decoder, texts))).toEqual([
    { ...user, id: 1, 'user.id': 2, rest: null },
    { ...user, id: 1, rest: '{"b":{"c":[1]},"a":{"x":2}}' },
    { ...user, 'user.id': 2, 'user.name': 'n', rest: '{"user":{"age":3,"tags":[]},"z":null}' },
    { ...user, 'user.id': 4, rest: null },
    { ...user, id: 7, rest: '{"k\\u0041":1}' },
  ])
})

test('members that come become columns before the record that has them', () => {
  const decoder = decoderOf({ id: 'int' }, { kind: 'evolve' })
  const texts = [
    '{"id":1}',
    '{"id":2,"later":null}',
    '{"id":3,"s":"x","l":12,"d":1.5,"b":true,"j":{"a":[1]},"big":9223372036854775808}',
    '{"id":4,"l":9223372036854775807,"later":[]}',
    '{"id":5,"l":"text"}',
  ]
  const { rows, structures, faults } = decode(decoder, texts)
  const added = ['s string', 'l long', 'd double', 'b boolean', 'j string', 'big decimal(38, 0)']
  expect(structures).toEqual([
    ['id int'],
    ['id int', ...added],
    ['id int', ...added, 'later string'],
  ])
  expect(rows.map(({ record }) => record)).toEqual([0, 1, 2, 3])
  expect(rows[2]?.row).toEqual({
    id: 3,
    s: 'x',
    l: 12n,
    d: 1.5,
    b: true,
    j: '{"a":[1]}',
    big: 2n ** 63n,
  })
  expect(rows[3]?.row).toMatchObject({ l: 2n ** 63n - 1n, later: '[]' })
  expect([...faults.keys()]).toEqual([4])
})

test('columns that came are there after a restart, also before the first record', () => {
  const before = decoderOf({ id: 'int' }, { kind: 'evolve' })
  decode(before, ['{"id":1,"a":1,"b":{}}'])
  const after = decoderOf({ id: 'int' }, { kind: 'evolve' }, before.save())
  expect(after.table).toEqual(before.table)
  expect(rowsOf(decode(after, ['{"id":2,"b":[ 1 ]}']))).toEqual([{ id: 2, a: null, b: '[1]' }])
  expect(decoderOf({ id: 'int' }).save()).toBeNull()
})

test('names that can be no columns make their record dirty, and nothing else', () => {
  const decoder = decoderOf({ id: 'int' }, { kind: 'evolve' })
  const texts = ['{"id":1,"":2}', String.raw`{"id":2,"\ud800":1}`, '{"id":3}']
  const decoding = decode(decoder, texts)
  expect(rowsOf(decoding)).toEqual([{ id: 3 }])
  expect([...decoding.faults.keys()]).toEqual([0, 1])
})

test('a limit ends a call, and the next one goes on behind it', () => {
  const texts = Array.from({ length: 1000 }, (_, id) => (id % 7 === 3 ? '{' : `{"id":${id}}`))
  const { rows, faults } = decode(decoderOf({ id: 'int' }), texts, 10)
  const good = texts.flatMap((text, id) => (text === '{' ? [] : [id]))
  expect(rows.map(({ row }) => row['id'])).toEqual(good)
  expect(rows.map(({ record }) => record)).toEqual(good)
  expect(faults.size).toBe(1000 - good.length)
})

test('a wide record in any order is read', () => {
  const names = Array.from({ length: 700 }, (_, index) => `column_${index}`)
  const decoder = decoderOf(Object.fromEntries(names.map((name) => [name, 'int'])))
  const shuffled = [...names].sort((left, right) => left.localeCompare(right))
  const text = (order: readonly string[]): string =>
    JSON.stringify(Object.fromEntries(order.map((name) => [name, names.indexOf(name)])))
  const expected = Object.fromEntries(names.map((name, index) => [name, index]))
  const decoding = decode(decoder, [text(names), text(shuffled), text(names.toReversed())])
  expect(rowsOf(decoding)).toEqual([expected, expected, expected])
})
