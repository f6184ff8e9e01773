import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor.js'
import { afterAll, expect, test } from 'vitest'
import { messageSources } from '../../../connectors/kafka/protobuf/decode/message-decoder.ts'
import { mappingOf } from '../../../connectors/kafka/protobuf/mapping.ts'
import type { ProtobufOptions } from '../../../connectors/kafka/protobuf/options.ts'
import { schemaOfText } from '../../../connectors/kafka/protobuf/schema.ts'
import { NO_STRUCTURE, tableOf, unite } from '../../../connectors/kafka/protobuf/structure.ts'
import { type Clock, systemClock } from '../../../runtime/base/clock.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { formatWith, framed, PlayedRegistry, registryFormat } from './played-registry.ts'
import { decodeAll, type DecodedSet } from './records.ts'

const folder = mkdtempSync(join(tmpdir(), 'protobuf-'))
afterAll(() => rmSync(folder, { recursive: true }))

function rootOf(text: string): protobuf.Root {
  return protobuf.parse(text, { keepCase: true }).root.resolveAll() as protobuf.Root
}

/** Encodes by protobufjs. */
function encode(text: string, name: string, object: object): Uint8Array {
  const type = rootOf(text).lookupType(name)
  return type.encode(type.fromObject(object)).finish()
}

async function decode(
  text: string,
  values: readonly Uint8Array[],
  more: Partial<ProtobufOptions> = {},
  imports: Readonly<Record<string, string>> = {},
): Promise<DecodedSet> {
  const format = registryFormat(new PlayedRegistry().add(7, text, imports), more)
  const decoder = format.decoder('plays', 'value', null)
  return decodeAll(
    decoder,
    values.map((value) => framed(7, value)),
  )
}

function row(set: DecodedSet, record = 0): Record<string, unknown> {
  expect(set.dirties).toEqual([])
  return set.rows.get(record) ?? {}
}

const SONG = 'syntax = "proto3"; package a; message Song { string name = 1; int64 id = 2; }'
const song = (object: object): Uint8Array => encode(SONG, 'a.Song', object)

test('ETL-11: poison gives dirty rows with byte offsets, and neighbours are whole', async () => {
  const deep = (depth: number): Uint8Array => {
    let inner: number[] = []
    for (let level = 0; level < depth && inner.length < 20_000; level++) {
      const length = inner.length
      inner =
        length < 128 ? [10, length, ...inner] : [10, (length & 127) | 128, length >> 7, ...inner]
    }
    return new Uint8Array(inner)
  }
  const text = `syntax = "proto3"; package a; message Song { Song next = 1; string name = 2; }`
  const good = encode(text, 'a.Song', { name: 'ok' })
  const registry = new PlayedRegistry().add(7, text)
  const decoder = registryFormat(registry).decoder('plays', 'value', null)
  const poison = [
    framed(7, new Uint8Array([18, 5, 65])),
    framed(7, new Uint8Array([18, 2, 0xc3, 0x28])),
    framed(99, good),
    framed(7, deep(5000)),
    framed(7, new Uint8Array([18, 0x80, 0x80, 0x80, 0x80, 0x04, 65])),
    new Uint8Array([0, 0, 0]),
  ]
  const values = poison.flatMap((one) => [framed(7, good), one])
  const set = await decodeAll(decoder, [...values, framed(7, good)])
  expect(set.dirties.map(({ record, name, byteOffset }) => [record, name, byteOffset])).toEqual([
    [1, 'RECORD_CORRUPT', 8],
    [3, 'RECORD_CORRUPT', 8],
    [5, 'SCHEMA_UNKNOWN', 1],
    [7, 'RECORD_CORRUPT', expect.any(Number)],
    [9, 'RECORD_CORRUPT', 7],
    [11, 'RECORD_CORRUPT', 0],
  ])
  expect([...set.rows.keys()]).toEqual([0, 2, 4, 6, 8, 10, 12])
  expect([...set.rows.values()].every(({ name }) => name === 'ok')).toBe(true)
})

test('nesting to 100 is read and 101 is not', async () => {
  const text = `syntax = "proto3"; package a; message Song { Song next = 1; }`
  const nested = (depth: number): Uint8Array => {
    let inner = new Uint8Array(0)
    for (let level = 0; level < depth; level++) {
      const length =
        inner.length < 128 ? [inner.length] : [(inner.length & 127) | 128, inner.length >> 7]
      inner = new Uint8Array([10, ...length, ...inner])
    }
    return inner
  }
  const set = await decode(text, [nested(100), nested(101)])
  expect(set.dirties.map(({ record }) => record)).toEqual([1])
})

test('ETL-18: 64-bit numbers keep every digit', async () => {
  const text = `syntax = "proto3"; package a;
message N {
  int64 a = 1; uint64 b = 2; sint64 c = 3; fixed64 d = 4; sfixed64 e = 5;
  map<string, int64> f = 6;
}`
  const object = {
    a: '9223372036854775807',
    b: '18446744073709551615',
    c: '-9223372036854775808',
    d: '9223372036854775809',
    e: '-9223372036854775807',
    f: { k: '9223372036854775807' },
  }
  expect(row(await decode(text, [encode(text, 'a.N', object)]))).toEqual({
    a: 9223372036854775807n,
    b: 18446744073709551615n,
    c: -9223372036854775808n,
    d: 9223372036854775809n,
    e: -9223372036854775807n,
    f: '{"k":"9223372036854775807"}',
  })
})

test('a tag or a length that is written too long reads as the same', async () => {
  const set = await decode(SONG, [new Uint8Array([0x8a, 0x80, 0x00, 0x81, 0x00, 65, 0x10, 5])])
  expect(row(set)).toEqual({ name: 'A', id: 5n })
})

test('text that is overwritten must be text, too, whatever its neighbours are', async () => {
  const twice = new Uint8Array([10, 1, 0xff, 10, 1, 66])
  for (const others of [[], [song({ name: 'x' })], [new Uint8Array([10, 1, 0xff])]]) {
    const set = await decode(SONG, [twice, ...others])
    expect(set.dirties[0]).toMatchObject({ record: 0, byteOffset: 8 })
  }
})

test('halves of a character in two texts are not one', async () => {
  const set = await decode(SONG, [new Uint8Array([10, 1, 0xc3]), new Uint8Array([10, 1, 0xa9])])
  expect(set.dirties.map(({ record }) => record)).toEqual([0, 1])
})

test('the last members of a oneof count, and its case is a column if asked', async () => {
  const text = `syntax = "proto3"; package a;
message P { oneof of { string a = 1; Song b = 2; int32 c = 3; } }
message Song { string name = 1; repeated int32 n = 2; }`
  const b = [18, 5, 10, 1, 65, 16, 9]
  const set = await decode(
    text,
    [
      new Uint8Array([...b, 10, 1, 66]),
      new Uint8Array([10, 1, 66, ...b, 18, 2, 16, 8]),
      new Uint8Array([...b, 24, 0, 18, 2, 16, 8]),
      new Uint8Array([24, 0]),
      new Uint8Array([]),
    ],
    { oneofCase: true },
  )
  expect(set.dirties).toEqual([])
  expect([...set.rows.values()]).toEqual([
    { a: 'B', 'b.name': null, 'b.n': null, c: null, of_case: 'a' },
    { a: null, 'b.name': 'A', 'b.n': [9, 8], c: null, of_case: 'b' },
    { a: null, 'b.name': '', 'b.n': [8], c: null, of_case: 'b' },
    { a: null, 'b.name': null, 'b.n': null, c: 0, of_case: 'c' },
    { a: null, 'b.name': null, 'b.n': null, c: null, of_case: null },
  ])
})

test('unknown fields are a piece of the message that a later schema reads', async () => {
  const newer = `syntax = "proto3"; package a;
message P { int32 a = 1; Q q = 2; string later = 900; } message Q { int32 b = 1; repeated string c = 2; }`
  const older = `syntax = "proto3"; package a; message P { int32 a = 1; Q q = 2; } message Q { int32 b = 1; }`
  const object = { a: 1, q: { b: 2, c: ['x', 'yy'] }, later: 'z' }
  const set = await decode(older, [encode(newer, 'a.P', object), new Uint8Array([8, 1])], {
    unknownFields: true,
  })
  const bytes = Buffer.from(String(row(set)['__unknown__']).slice(2), 'hex')
  const type = rootOf(newer).lookupType('a.P')
  expect(type.toObject(type.decode(bytes))).toEqual({ q: { c: ['x', 'yy'] }, later: 'z' })
  expect(row(set, 1)['__unknown__']).toBeNull()
})

test('enums are names, and a number that has none is digits', async () => {
  const text = `syntax = "proto3"; package a;
message P { E e = 1; repeated E l = 2; optional E o = 3; map<int32, E> m = 4; }
enum E { NONE = 0; SOME = 1; FAR = 5000; LESS = -1; }`
  const object = { e: 77, l: [0, 1, 5000, -1, 9], m: { 1: 5000, 2: 12 } }
  const set = await decode(text, [encode(text, 'a.P', object), new Uint8Array([])])
  expect(row(set)).toEqual({
    e: '77',
    l: ['NONE', 'SOME', 'FAR', 'LESS', '9'],
    o: null,
    m: '{"1":"FAR","2":12}',
  })
  expect(row(set, 1)).toEqual({ e: 'NONE', l: [], o: null, m: '{}' })
})

test('an Any is the message that it names, or bytes where nobody knows it', async () => {
  const text = `syntax = "proto3"; package a; import "google/protobuf/any.proto";
import "google/protobuf/duration.proto"; import "google/protobuf/field_mask.proto";
message P {
  google.protobuf.Any x = 1; google.protobuf.FieldMask mask = 2; google.protobuf.Duration d = 3;
}
message Song { string name = 1; }`
  const any = (url: string, value: readonly number[]): number[] => {
    const name = Buffer.from(`type.googleapis.com/${url}`)
    const inner = [10, name.length, ...name, 18, value.length, ...value]
    return [10, inner.length, ...inner]
  }
  const set = await decode(text, [
    new Uint8Array(any('a.Song', [10, 1, 65])),
    new Uint8Array(any('b.Other', [10, 1, 65])),
    new Uint8Array(any('google.protobuf.Duration', [8, 1, 16, 0x80, 0xca, 0xb5, 0xee, 0x01])),
    new Uint8Array([18, 12, 10, 4, ...Buffer.from('user'), 10, 4, ...Buffer.from('a_bc')]),
    new Uint8Array([26, 2, 8, 90]),
  ])
  const url = 'type.googleapis.com/'
  expect([0, 1, 2].map((record) => JSON.parse(String(row(set, record)['x'])) as unknown)).toEqual([
    { '@type': `${url}a.Song`, name: 'A' },
    { '@type': `${url}b.Other`, value: 'CgFB' },
    { '@type': `${url}google.protobuf.Duration`, value: '1.500s' },
  ])
  expect(row(set, 3)['mask']).toBe('"user,aBc"')
  expect(row(set, 4)['d']).toBe(90_000_000n)
})

test('records of other messages are skipped or told, by the place behind the schema id', async () => {
  const text = `syntax = "proto3"; package a; message P { int32 x = 1; message Q { string y = 1; } }
message Z { int32 z = 1; }`
  const registry = new PlayedRegistry().add(7, text)
  const values = [
    framed(7, new Uint8Array([8, 5])),
    framed(7, new Uint8Array([10, 1, 65]), [4, 0, 0]),
    framed(7, new Uint8Array([8, 5]), [2, 2]),
    framed(7, new Uint8Array([8, 6]), [2, 0]),
    framed(7, new Uint8Array([8, 5]), [2, 10]),
  ]
  const told = await decodeAll(registryFormat(registry).decoder('t', 'value', null), values)
  expect([...told.rows]).toEqual([
    [0, { x: 5 }],
    [3, { x: 6 }],
  ])
  expect(told.dirties.map(({ message }) => message)).toEqual([
    'the record is a a.P.Q, not a a.P',
    'the record is a a.Z, not a a.P',
    'the record is a message that its schema does not have, not a a.P',
  ])
  const other = registryFormat(registry, { message: 'a.P.Q', otherMessages: 'skip' })
  const skipped = await decodeAll(other.decoder('t', 'value', null), values)
  expect([...skipped.rows]).toEqual([[1, { y: 'A' }]])
  expect(skipped.dirties).toHaveLength(1)
})

test('references of a registry, and types that serializers know, are imported', async () => {
  const text = `syntax = "proto3"; package a; import "song.proto"; import "confluent/type/decimal.proto";
import "google/protobuf/descriptor.proto"; import "google/api/annotations.proto";
extend google.protobuf.FieldOptions { string hint = 50000; }
message P { b.Song song = 1 [(hint) = "x"]; confluent.type.Decimal price = 2; }`
  const imports = {
    'song.proto': 'syntax = "proto3"; package b; message Song { string name = 1; }',
  }
  const set = await decode(text, [new Uint8Array([10, 3, 10, 1, 65, 18, 2, 24, 2])], {}, imports)
  expect(row(set)).toMatchObject({ 'song.name': 'A', 'price.scale': 2 })
})

const RETYPED: readonly (readonly [string, string, string])[] = [
  ['string to int32', 'string x = 1;', 'int32 x = 1;'],
  ['a value to a list', 'int32 x = 1;', 'repeated int32 x = 1;'],
  ['a value to a message', 'int32 x = 1;', 'Inner x = 1;'],
  ['a message to a value', 'Inner x = 1;', 'int32 x = 1;'],
  ['a map to text', 'map<string, string> x = 1;', 'string x = 1;'],
  ['a duration to a number', 'google.protobuf.Duration x = 1;', 'int64 x = 1;'],
  ['int64 to uint64', 'int64 x = 1;', 'uint64 x = 1;'],
]

test.each(RETYPED)('ETL-10: %s parks the table, and names the column', async (_, before, after) => {
  const text = (field: string): string => `syntax = "proto3"; package a;
import "google/protobuf/duration.proto"; message P { ${field} } message Inner { int32 y = 1; }`
  const registry = new PlayedRegistry().add(1, text(before)).add(2, text(after))
  const decoder = registryFormat(registry).decoder('t', 'value', null)
  const empty = new Uint8Array([])
  await decodeAll(decoder, [framed(1, empty)])
  const { table } = decoder
  const error: unknown = await decodeAll(decoder, [framed(2, empty)]).catch(
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(PipelineError)
  expect(error).toMatchObject({ error: 'FORMAT_TYPE_CHANGED' })
  expect((error as PipelineError).message).toMatch(/column "x(?:\.y)?" changed from /)
  expect(decoder.table).toBe(table)
})

test('ETL-10: a field added, renamed and widened, with the older schema met last', async () => {
  const older = `syntax = "proto3"; package a; message P { int32 n = 7; string five = 5; int32 gone = 9; }`
  const newer = `syntax = "proto3"; package a; message P { int64 n = 7; string title = 5; bool added = 21; }`
  const registry = new PlayedRegistry().add(1, older).add(2, newer)
  const decoder = registryFormat(registry).decoder('t', 'value', null)
  const set = await decodeAll(decoder, [
    framed(2, encode(newer, 'a.P', { n: '5000000000', title: 'new', added: true })),
    framed(1, encode(older, 'a.P', { n: -3, five: 'old', gone: 4 })),
    framed(2, encode(newer, 'a.P', { n: 1 })),
  ])
  expect(row(set, 0)).toEqual({ title: 'new', n: 5000000000n, added: true })
  expect(row(set, 1)).toEqual({ title: 'old', n: -3n, added: null, gone: 4 })
  expect(row(set, 2)).toEqual({ title: '', n: 1n, added: false, gone: null })
  expect(set.tables.map(({ at }) => at)).toEqual([0, 1])
})

test('a name that was given up goes to the field that has it now', async () => {
  const older = `syntax = "proto3"; package a; message P { int32 x = 1; }`
  const newer = `syntax = "proto3"; package a; message P { string x = 2; }`
  const registry = new PlayedRegistry().add(1, older).add(2, newer)
  const decoder = registryFormat(registry).decoder('t', 'value', null)
  await decodeAll(decoder, [framed(1, new Uint8Array([8, 1])), framed(2, new Uint8Array([]))])
  expect(decoder.table.columns.map(({ identity, name }) => [identity, name])).toEqual([
    ['1', 'x__1'],
    ['2', 'x'],
  ])
})

/** A clock whose time is what the test says. */
function playedClock(time: { ms: number }): Clock {
  return { ...systemClock, elapsedMs: () => time.ms }
}

test('a .proto file that changes is read again, a broken one is not taken, and both survive', async () => {
  const file = join(folder, 'song.proto')
  const time = { ms: 0 }
  const schema = { kind: 'files', source: { kind: 'proto', file, importRoots: [] } } as const
  const format = formatWith(schema, { clock: playedClock(time) })
  writeFileSync(file, SONG)
  const decoder = format.decoder('songs', 'value', null)
  const names = (): string[] => decoder.table.columns.map(({ name }) => name)
  expect(row(await decodeAll(decoder, [song({ name: 'A' })]))).toEqual({ name: 'A', id: 0n })
  writeFileSync(file, 'syntax = "proto3"; package a; message Song { string title = ')
  time.ms += 2000
  expect(row(await decodeAll(decoder, [song({ name: 'B' })]))).toEqual({ name: 'B', id: 0n })
  writeFileSync(file, SONG.replace('string name = 1;', 'string title = 1; bool live = 3;'))
  time.ms += 2000
  expect(row(await decodeAll(decoder, [song({ name: 'C' })]))).toEqual({
    title: 'C',
    id: 0n,
    live: false,
  })
  writeFileSync(file, SONG)
  const again = format.decoder('songs', 'value', decoder.save())
  expect(names()).toEqual(['title', 'id', 'live'])
  expect(again.table.columns.map(({ name }) => name)).toEqual(['name', 'id', 'live'])
})

test('a file without the message, or that is not there, is an error that names it', () => {
  const source = (file: string): ProtobufOptions['schema'] => {
    return { kind: 'files', source: { kind: 'proto', file, importRoots: [] } }
  }
  const file = join(folder, 'other.proto')
  writeFileSync(file, SONG)
  const wrong = formatWith(source(file), { message: 'a.Sung' })
  expect(() => wrong.decoder('t', 'value', null)).toThrow('there is no message "a.Sung"')
  const gone = formatWith(source(join(folder, 'gone.proto')))
  expect(() => gone.decoder('t', 'value', null)).toThrow('gone.proto" cannot be read')
})

test('a descriptor set says the same as its text', async () => {
  const text = `syntax = "proto3"; package a;
message Song {
  string name = 1; optional int32 n = 2; map<string, int32> m = 3;
  message In { int32 z = 1; } In in = 4;
}`
  const file = join(folder, 'song.desc')
  const set = rootOf(text).toDescriptor('proto3')
  writeFileSync(file, descriptor.FileDescriptorSet.encode(set).finish())
  const schema = { kind: 'files', source: { kind: 'descriptors', file } } as const
  const values = [encode(text, 'a.Song', { name: 'x', m: { k: 1 }, in: { z: 2 } })]
  const ours = formatWith(schema, { message: 'a.Song' }).decoder('t', 'value', null)
  expect(row(await decodeAll(ours, values))).toEqual({
    name: 'x',
    n: null,
    m: '{"k":1}',
    'in.z': 2,
  })
  const framedBy = formatWith(schema, { message: 'a.Song.In', framing: 'confluent' })
  const inner = framed(1, new Uint8Array([8, 9]), [4, 0, 0])
  expect(row(await decodeAll(framedBy.decoder('t', 'value', null), [inner]))).toEqual({ z: 9 })
})

test('a message with more columns than one function takes is decoded by several', async () => {
  const fields = Array.from({ length: 400 }, (_, n) => `int64 f${n} = ${n + 1};`).join(' ')
  const text = `syntax = "proto3"; package a; message Wide { ${fields} string last = 500; }`
  const object = (seed: number): object => ({
    ...Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`f${n}`, n * seed])),
    last: `row ${seed}`,
  })
  const bytes = [1, 2, 3].map((seed) => encode(text, 'a.Wide', object(seed)))
  const set = await decode(text, [bytes[0]!, bytes[1]!.slice(0, -2), bytes[2]!])
  expect(set.dirties.map(({ record }) => record)).toEqual([1])
  expect(set.rows.get(2)).toMatchObject({ f0: 0n, f1: 3n, f399: 1197n, last: 'row 3' })
})

test('columns that nobody wants are passed over, and change nothing', async () => {
  const text = `syntax = "proto3"; package a; import "google/protobuf/timestamp.proto";
message P {
  int32 a = 1; string b = 2; Q c = 3; repeated int32 d = 4; double e = 5;
  google.protobuf.Timestamp f = 6;
}
message Q { int32 x = 1; }`
  const bytes = new Uint8Array([8, 1, 18, 1, 65, 26, 2, 8, 3, 34, 2, 1, 2, 32, 3, 50, 2, 8, 1])
  const set = await decode(text, [bytes], { includes: (name) => name === 'a' || name === 'f' })
  expect(row(set)).toEqual({ a: 1, f: 1_000_000n })
})

test('the code of a decoder is the one that was looked at last', () => {
  const text = `syntax = "proto3"; package a; message Play {
  int64 id = 1; string title = 2; optional Device device = 3; repeated sint32 skips = 4;
  Song song = 16; }
enum Device { NONE = 0; PHONE = 1; } message Song { string name = 1; }`
  const schema = schemaOfText('play.proto', text, () => null)
  const options = {
    implicitPresence: 'default' as const,
    oneofCase: false,
    unknownFields: false,
    includes: (): boolean => true,
  }
  const mapping = mappingOf(schema.message('a.Play')!, options, () => false)
  const { columns } = tableOf(unite(NO_STRUCTURE, mapping.leaves, 1))
  const plan = { title: 'play', mapping, columns, nullDefaults: false, types: () => null }
  const sources = (['fast', 'careful'] as const).flatMap((mode) => messageSources(plan, mode))
  const golden = join(import.meta.dirname, '..', '..', 'golden', 'protobuf', 'play.js.txt')
  const text2 = sources.join('\n\n')
  if (process.env['GOLDEN'] === 'write') writeFileSync(golden, `${text2}\n`)
  expect(`${text2}\n`).toBe(readFileSync(golden, 'utf8'))
})

test('what another value takes the place of has to be a value, too', async () => {
  const text = `syntax = "proto3"; package a; import "google/protobuf/wrappers.proto";
    message Song { oneof choice { Song inner = 1; int64 id = 2; }
      google.protobuf.StringValue name = 3; }`
  const bad = [0xc3, 0x28]
  const set = await decode(text, [
    // A member of a oneof whose message is broken, and the member behind it.
    new Uint8Array([10, 2, 0, 0, 16, 7]),
    new Uint8Array([10, 2, 16, 5, 16, 7]),
    // Text that is none, in two messages, and in one.
    new Uint8Array([26, 4, 10, 2, ...bad, 26, 3, 10, 1, 97]),
    new Uint8Array([26, 7, 10, 2, ...bad, 10, 1, 97]),
    new Uint8Array([26, 6, 10, 1, 98, 10, 1, 97]),
  ])
  expect(set.dirties.map(({ record, name }) => [record, name])).toEqual([
    [0, 'RECORD_CORRUPT'],
    [2, 'RECORD_CORRUPT'],
    [3, 'RECORD_CORRUPT'],
  ])
  expect(set.rows.get(1)).toMatchObject({ id: 7n, name: null })
  expect(set.rows.get(4)).toMatchObject({ name: 'a' })
})

test('a packed list of nothing is as if it had not been written', async () => {
  const text = `syntax = "proto3"; package a;
    message Song { repeated int32 plays = 1; repeated Song inner = 2; }`
  const set = await decode(text, [new Uint8Array([10, 0, 18, 2, 10, 0])])
  expect(row(set)).toEqual({ plays: [], inner: '[{}]' })
})
