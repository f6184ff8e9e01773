// Random Protobuf schemas, messages for them, and what may happen to messages on their way. All of
// it follows from one seed.

import protobuf from 'protobufjs'

export class Draw {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** @returns 0...count - 1 */
  below(count: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  times<T>(most: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.below(most + 1) }, (_, index) => make(index))
  }

  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items]
    for (let at = copy.length - 1; at > 0; at--) {
      const other = this.below(at + 1)
      const item = copy[at]!
      copy[at] = copy[other]!
      copy[other] = item
    }
    return copy
  }
}

const SCALARS = words(`double float int32 uint32 sint32 fixed32 sfixed32 int64 uint64 sint64
  fixed64 sfixed64 bool string bytes`)
const KEYS = SCALARS.filter((type) => !['double', 'float', 'bytes'].includes(type))
const WELL_KNOWN = words(`Timestamp Duration Struct Value ListValue FieldMask Empty DoubleValue
  FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue StringValue BytesValue`).map(
  (name) => `google.protobuf.${name}`,
)
const IMPORTS = words('timestamp duration struct field_mask empty wrappers')

function words(text: string): string[] {
  return text.split(/\s+/)
}

export type Syntax = 'proto2' | 'proto3'

interface RandomField {
  readonly number: number
  readonly text: (flip: boolean) => string
  readonly oneof: boolean
}

/**
 * A schema as text, twice: as readers have it, and as a writer has it that packs what they do not
 * expect to be packed, and writes defaults that they do not expect to be written.
 */
export interface RandomSchema {
  readonly syntax: Syntax
  readonly text: string
  readonly flipped: string
}

const NUMBERS = Array.from({ length: 20 }, (_, index) => index + 1).concat([
  100, 2047, 2048, 18_000, 300_000, 268_435_456, 536_870_911,
])

// tidy: template: the pieces of a .proto file.
export function randomSchema(draw: Draw): RandomSchema {
  const syntax = draw.of<Syntax>(['proto3', 'proto3', 'proto2'])
  const count = 2 + draw.below(3)
  const messages = Array.from({ length: count }, (_, index) => `M${index}`)
  const fieldsOf = (): RandomField[] => {
    const numbers = draw.shuffled(NUMBERS)
    return draw.times(9, (index) => {
      const number = numbers[index]!
      return { number, oneof: draw.chance(20), text: fieldText(draw, syntax, messages, number) }
    })
  }
  const all = messages.map(() => {
    const fields = fieldsOf()
    return fields.length === 0 && draw.chance(80) ? fieldsOf() : fields
  })
  const write = (flip: boolean): string => {
    const bodies = all.map((fields, index) => {
      const members = fields.filter(({ oneof }) => oneof)
      const own = fields.filter(({ oneof }) => !oneof).map(({ text }) => `  ${text(flip)}`)
      const singular = members.map(
        ({ number }) => `    ${memberType(number, messages)} c${number} = ${number};`,
      )
      if (singular.length > 0) own.push(`  oneof choice {\n${singular.join('\n')}\n  }`)
      return `message M${index} {\n${own.join('\n')}\n}`
    })
    const imports = IMPORTS.map((name) => `import "google/protobuf/${name}.proto";`)
    const colors = 'enum Color { RED = 0; GREEN = 1; BLUE = 7; FAR = 100000; UNDER = -3; }'
    return [`syntax = "${syntax}";`, 'package r;', ...imports, colors, ...bodies].join('\n')
  }
  return { syntax, text: write(false), flipped: write(true) }
}

function memberType(number: number, messages: readonly string[]): string {
  const types = [...SCALARS, 'Color', ...messages, 'google.protobuf.StringValue']
  return [...types, 'google.protobuf.Timestamp'][number % (types.length + 1)]!
}

function fieldText(
  draw: Draw,
  syntax: Syntax,
  messages: readonly string[],
  number: number,
): (flip: boolean) => string {
  const type = draw.of([
    ...SCALARS,
    ...SCALARS,
    'Color',
    'Color',
    ...messages,
    ...messages,
    draw.of(WELL_KNOWN),
  ])
  const [name, kind] = [`f${number}`, draw.below(10)]
  if (kind === 0) {
    const key = draw.of(KEYS)
    return () => `map<${key}, ${type}> ${name} = ${number};`
  }
  if (kind === 1 && syntax === 'proto2') {
    const label = draw.of(['optional', 'repeated'])
    return () =>
      `${label} group G${number} = ${number} { optional int32 a = 1; repeated string b = 2; }`
  }
  if (kind <= 3) {
    const packable =
      type === 'Color' || (SCALARS.includes(type) && type !== 'string' && type !== 'bytes')
    const packed = draw.chance(50)
    return (flip) =>
      `repeated ${type} ${name} = ${number}${packable ? ` [packed = ${packed !== flip}]` : ''};`
  }
  const optional = syntax === 'proto2' || draw.chance(30)
  return (flip) => `${optional || flip ? 'optional ' : ''}${type} ${name} = ${number};`
}

export function rootOf(text: string): protobuf.Root {
  const root = new protobuf.Root()
  for (const name of IMPORTS) {
    root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {})
  }
  protobuf.parse(text, root, { keepCase: true })
  root.resolveAll()
  return root
}

const INTEGERS: Readonly<Record<string, readonly [string, string]>> = {
  int32: ['-2147483648', '2147483647'],
  sint32: ['-2147483648', '2147483647'],
  sfixed32: ['-2147483648', '2147483647'],
  uint32: ['0', '4294967295'],
  fixed32: ['0', '4294967295'],
  int64: ['-9223372036854775808', '9223372036854775807'],
  sint64: ['-9223372036854775808', '9223372036854775807'],
  sfixed64: ['-9223372036854775808', '9223372036854775807'],
  uint64: ['0', '18446744073709551615'],
  fixed64: ['0', '18446744073709551615'],
}

const TEXTS = [
  '',
  'a',
  'plain text',
  'naïve',
  '日本語のテキスト',
  '🎧 and 🎶',
  '"\\\n\u0001',
  'x'.repeat(130),
  'ä'.repeat(90),
  '\u{10ffff}',
  '\ud7ff\ue000',
]

// tidy: table: a value of each kind.
function scalar(draw: Draw, type: string): unknown {
  const range = INTEGERS[type]
  if (range !== undefined) {
    const small = type.startsWith('u') || type.startsWith('f') ? '3' : '-3'
    const middle = draw.of(['127', '128', '16384', '70000', '2097152'])
    const text = draw.of([...range, '0', '1', small, middle, String(draw.below(1 << 30))])
    return type.endsWith('64') ? text : Number(text)
  }
  switch (type) {
    case 'double':
      return draw.of([0, 1.5, -0, Number.NaN, Infinity, -Infinity, 1e300, 5e-324, 0.1])
    case 'float':
      return Math.fround(draw.of([0, 1.5, -0, Number.NaN, Infinity, 3.4e38, 1e-45, 0.1, 16777216]))
    case 'bool':
      return draw.chance(50)
    case 'bytes':
      return Uint8Array.from({ length: draw.of([0, 1, 5, 40, 200]) }, () => draw.below(256))
    default:
      return draw.of(TEXTS)
  }
}

function isOpen(enumeration: protobuf.Enum): boolean {
  const { _features: features } = enumeration as unknown as { _features: { enum_type: string } }
  return features.enum_type !== 'CLOSED'
}

function value(draw: Draw, field: protobuf.Field, depth: number): unknown {
  const { resolvedType } = field
  if (resolvedType instanceof protobuf.Type) return randomObject(draw, resolvedType, depth + 1)
  if (resolvedType instanceof protobuf.Enum) {
    // Only an open enum may hold a number that it has no name for.
    return draw.of([0, 1, 7, 100_000, -3, ...(isOpen(resolvedType) ? [5, -77] : [])])
  }
  return scalar(draw, field.type)
}

/** @returns what `Type.fromObject` takes */
export function randomObject(draw: Draw, type: protobuf.Type, depth = 0): object {
  switch (type.fullName) {
    case '.google.protobuf.Timestamp':
      return {
        seconds: draw.of(['0', '-1', '1700000000', '-62135596800', '253402300799']),
        nanos: draw.of([0, 1, 999, 1000, 123_456_789, 999_999_999]),
      }
    case '.google.protobuf.Duration': {
      const sign = draw.of([1, -1])
      const seconds = draw.of([0, 1, 315_576_000_000])
      return { seconds: sign * seconds, nanos: sign * draw.of([0, 999, 1500, 999_999_999]) }
    }
    case '.google.protobuf.FieldMask':
      return { paths: draw.times(3, () => draw.of(['a', 'user.display_name', 'b_c'])) }
    default:
      break
  }
  const object: Record<string, unknown> = {}
  const oneofs = new Set<string>()
  for (const field of draw.shuffled(type.fieldsArray)) {
    const of = field.partOf
    if (of !== null && !of.isProto3Optional && oneofs.has(of.name)) continue
    if (draw.chance(depth === 0 ? 25 : 40) || depth > 4) continue
    if (of !== null) oneofs.add(of.name)
    if (field instanceof protobuf.MapField) {
      const entries = draw.times(4, () => {
        const key = scalar(draw, field.keyType)
        return [String(key), value(draw, field, depth)] as const
      })
      object[field.name] = Object.fromEntries(entries)
    } else if (field.repeated) {
      // Lists of messages with lists of messages must not become millions.
      const most = depth > 0 && field.resolvedType instanceof protobuf.Type ? 2 : 40
      object[field.name] = draw.times(draw.of([2, 5, most]), () => value(draw, field, depth))
    } else object[field.name] = value(draw, field, depth)
  }
  return object
}

// The wire

interface Piece {
  readonly field: number
  readonly wire: number
  readonly bytes: Uint8Array
  /** Of its content, where it is of wire type 2. */
  readonly content: number
}

function varintAt(bytes: Uint8Array, at: number): readonly [number, number] {
  let result = 0
  for (let place = at, scale = 1; ; place++, scale *= 128) {
    result += (bytes[place]! & 127) * scale
    if (bytes[place]! < 128) return [result, place + 1]
  }
}

function varintOf(number: number): number[] {
  const bytes: number[] = []
  let rest = number
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

/** Cuts a message into its fields. */
function piecesOf(bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < bytes.length;) {
    const [field, start] = varintAt(bytes, at)
    const end = endOf(bytes, start, field)
    const content = (field & 7) === 2 ? varintAt(bytes, start)[1] - at : 0
    pieces.push({
      field: Math.floor(field / 8),
      wire: field & 7,
      bytes: bytes.slice(at, end),
      content,
    })
    at = end
  }
  return pieces
}

function endOf(bytes: Uint8Array, start: number, field: number): number {
  switch (field & 7) {
    case 0:
      return varintAt(bytes, start)[1]
    case 1:
      return start + 8
    case 2: {
      const [length, behind] = varintAt(bytes, start)
      return behind + length
    }
    case 5:
      return start + 4
    default: {
      let at = start
      for (;;) {
        const [inner, behind] = varintAt(bytes, at)
        if ((inner & 7) === 4) return behind
        at = endOf(bytes, behind, inner)
      }
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces))
}

const UNKNOWN = [
  new Uint8Array([...varintOf(19_001 * 8), 0x96, 0x01]),
  new Uint8Array([...varintOf(19_002 * 8 + 2), 3, 1, 2, 3]),
  new Uint8Array([...varintOf(19_003 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8]),
  new Uint8Array([...varintOf(19_004 * 8 + 5), 1, 2, 3, 4]),
  new Uint8Array([...varintOf(19_005 * 8 + 3), 8, 1, ...varintOf(19_005 * 8 + 4)]),
]

/** The same fields as another writer might put them: reordered, repeated, in pieces, with more. */
export function rewritten(draw: Draw, type: protobuf.Type, bytes: Uint8Array): Uint8Array {
  const pieces = piecesOf(bytes).flatMap((piece) => {
    const field = type.fieldsById[piece.field]?.resolve()
    const inner = field?.resolvedType
    if (piece.wire !== 2 || !(inner instanceof protobuf.Type) || field === undefined || field.map)
      return [piece.bytes]
    const content = rewritten(draw, inner, piece.bytes.slice(piece.content))
    const parts = piecesOf(content)
    const half = draw.below(parts.length + 1)
    const split = !field.repeated && draw.chance(40)
    const contents = split ? [parts.slice(0, half), parts.slice(half)] : [parts]
    return contents.map((some) => {
      const all = joined(some.map((one) => one.bytes))
      return new Uint8Array([...varintOf(piece.field * 8 + 2), ...varintOf(all.length), ...all])
    })
  })
  const more = pieces.filter(() => draw.chance(15))
  // A packed list of nothing is as good as none.
  for (const field of type.fieldsArray) {
    const { resolvedType } = field.resolve()
    const packable = SCALARS.includes(field.type) || resolvedType instanceof protobuf.Enum
    if (!field.repeated || !packable || !draw.chance(15)) continue
    if (field.type === 'string' || field.type === 'bytes') continue
    more.push(new Uint8Array([...varintOf(field.id * 8 + 2), 0]))
  }
  // protobufjs 8.8.1 cannot pass over a group in a message without fields.
  const skippable = type.fieldsArray.length > 0 ? UNKNOWN : UNKNOWN.slice(0, -1)
  const unknown = skippable.filter(() => draw.chance(10))
  const all = [...pieces, ...more, ...unknown]
  return joined(draw.chance(60) ? draw.shuffled(all) : all)
}

/** Bytes that somebody has spoilt. */
export function spoilt(draw: Draw, bytes: Uint8Array): Uint8Array {
  // Not `slice`, with which a Buffer gives the same memory.
  const copy = new Uint8Array(bytes)
  const at = draw.below(Math.max(1, copy.length))
  switch (draw.below(5)) {
    case 0:
      return copy.slice(0, at)
    case 1:
      return new Uint8Array([...copy.slice(0, at), draw.below(256), ...copy.slice(at)])
    case 2:
      return new Uint8Array([...copy.slice(0, at), ...copy.slice(at + 1)])
    case 3:
      copy[at] = draw.below(256)
      return copy
    default:
      copy[at] = copy[at]! ^ (1 << draw.below(8))
      return copy
  }
}
