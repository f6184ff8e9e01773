// Which columns a message type has: messages inside it become columns `a.b`, what repeats in a way
// that no list of the lake holds becomes JSON. A column is known by the numbers of the fields that
// lead to it, since those are what a .proto file may never change.

import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import type { FieldShape, MessageShape, ScalarKind } from './shape.ts'

export interface MappingOptions {
  /** What a field without presence is that has its default. */
  readonly implicitPresence: 'default' | 'null'
  /** One more column for each oneof, with the name of the field that is set. */
  readonly oneofCase: boolean
  /** One more column `__unknown__` with the fields that the schema does not have. */
  readonly unknownFields: boolean
  /** Columns that somebody wants, by name. */
  readonly includes: (column: string) => boolean
}

/** One column. */
export interface Leaf {
  /** Numbers of the fields on the way, joined by dots: `7`, `3.1`. */
  readonly identity: string
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** `repeated int32`, `map<string, acme.Song>`. */
  readonly sourceType: string
  readonly comment: string | null
}

/**
 * A field and what becomes of it. scalar, list: the value itself · wrapper: the value of the
 * message around it · time: a Timestamp or a Duration in microseconds · json: text · nested:
 * columns of its own · skipped: nobody wants it.
 */
export type FieldNode =
  | {
      readonly kind: 'scalar' | 'list' | 'json' | 'time'
      readonly field: FieldShape
      readonly leaf: Leaf
    }
  | {
      readonly kind: 'wrapper'
      readonly field: FieldShape
      readonly leaf: Leaf
      readonly value: FieldShape
    }
  | { readonly kind: 'nested'; readonly field: FieldShape; readonly message: MessageNode }
  | { readonly kind: 'skipped'; readonly field: FieldShape }

export interface CaseNode {
  /** Index in `MessageShape.oneofs`. */
  readonly oneof: number
  readonly leaf: Leaf
}

export interface MessageNode {
  readonly shape: MessageShape
  /** Messages around it. */
  readonly depth: number
  readonly fields: readonly FieldNode[]
  readonly cases: readonly CaseNode[]
}

export interface Mapping {
  readonly root: MessageNode
  readonly leaves: readonly Leaf[]
  /** Of `__unknown__`. */
  readonly unknown: Leaf | null
}

export const UNKNOWN = '__unknown__'

/** Messages in messages in messages ... that become columns. */
const NESTED_MAX = 8

/**
 * @param isJson  identities of messages that an older structure has as JSON: they stay it, since a
 *                column cannot become several
 */
export function mappingOf(
  shape: MessageShape,
  options: MappingOptions,
  isJson: (identity: string) => boolean,
): Mapping {
  const walk = new Walk(options, isJson)
  const root = walk.message(shape, { identity: '', name: '', around: [] })
  const unknown = options.unknownFields ? walk.wanted(UNKNOWN_LEAF) : null
  return { root, leaves: walk.leaves, unknown }
}

const UNKNOWN_LEAF: Leaf = {
  identity: UNKNOWN,
  name: UNKNOWN,
  type: { kind: 'binary' },
  nullable: true,
  sourceType: 'unknown fields',
  comment: null,
}

/** Where a message stands. */
interface Place {
  /** With a dot at its end, unless it is the outermost. */
  readonly identity: string
  readonly name: string
  /** The types around it. */
  readonly around: readonly MessageShape[]
}

class Walk {
  readonly leaves: Leaf[] = []
  private readonly options: MappingOptions
  private readonly isJson: (identity: string) => boolean

  constructor(options: MappingOptions, isJson: (identity: string) => boolean) {
    this.options = options
    this.isJson = isJson
  }

  wanted(leaf: Leaf): Leaf | null {
    if (!this.options.includes(leaf.name)) return null
    this.leaves.push(leaf)
    return leaf
  }

  message(shape: MessageShape, place: Place): MessageNode {
    const fields = shape.fields.map((field) => this.field(field, shape, place))
    const names = this.options.oneofCase ? shape.oneofs : []
    const cases = names.flatMap((name, oneof) => {
      const leaf = this.wanted({
        // Fields have numbers, so this is nobody else's.
        identity: `${place.identity}oneof ${name}`,
        name: `${place.name}${name}_case`,
        type: { kind: 'string' },
        nullable: true,
        sourceType: 'oneof',
        comment: null,
      })
      return leaf === null ? [] : [{ oneof, leaf }]
    })
    return { shape, depth: place.around.length, fields, cases }
  }

  private field(field: FieldShape, parent: MessageShape, place: Place): FieldNode {
    const { kind, type } = columnOf(field)
    const identity = `${place.identity}${field.number}`
    const name = `${place.name}${field.name}`
    if (kind === 'message') {
      const { message } = field
      const around = [...place.around, parent]
      if (message !== null && this.isFlat(message, identity, around)) {
        const wanted = this.leaves.length
        const within = { identity: `${identity}.`, name: `${name}.`, around }
        const node = this.message(message, within)
        if (this.leaves.length === wanted) return { kind: 'skipped', field }
        return { kind: 'nested', field, message: node }
      }
    }
    const optional = field.presence || this.options.implicitPresence === 'null'
    const leaf = this.wanted({
      identity,
      name,
      type,
      // A message that is not there has no fields.
      nullable: optional || place.around.length > 0,
      sourceType: sourceTypeOf(field),
      comment: field.comment,
    })
    if (leaf === null) return { kind: 'skipped', field }
    if (kind !== 'wrapper') return { kind: kind === 'message' ? 'json' : kind, field, leaf }
    const value = field.message?.fields[0]
    return value === undefined ? { kind: 'json', field, leaf } : { kind, field, leaf, value }
  }

  /** A message without fields would leave no trace; one that contains itself would have no end. */
  private isFlat(
    message: MessageShape,
    identity: string,
    around: readonly MessageShape[],
  ): boolean {
    return (
      message.fields.length > 0 &&
      around.length <= NESTED_MAX &&
      !around.includes(message) &&
      !this.isJson(identity)
    )
  }
}

const JSON_TYPE: PrimitiveType = { kind: 'string', json: true }

interface ColumnKind {
  /** message: columns of its own, if it may have them. */
  readonly kind: 'scalar' | 'list' | 'json' | 'time' | 'wrapper' | 'message'
  readonly type: ColumnType
}

const JSON_COLUMN: ColumnKind = { kind: 'json', type: JSON_TYPE }

function columnOf(field: FieldShape): ColumnKind {
  const { kind, message, repeated } = field
  if (field.mapKey !== null || field.group) return JSON_COLUMN
  if (message !== null) return repeated ? JSON_COLUMN : messageColumn(message)
  const type = kind === 'enum' || kind === 'message' ? STRING : TYPES[kind]
  return repeated
    ? { kind: 'list', type: { kind: 'list', element: type } }
    : { kind: 'scalar', type }
}

function messageColumn(message: MessageShape): ColumnKind {
  const { name } = message
  if (!name.startsWith('google.protobuf.')) return { kind: 'message', type: JSON_TYPE }
  switch (name.slice('google.protobuf.'.length)) {
    case 'Timestamp':
      return { kind: 'time', type: { kind: 'timestamptz' } }
    case 'Duration':
      return { kind: 'time', type: { kind: 'long' } }
    case 'DoubleValue':
    case 'FloatValue':
    case 'Int64Value':
    case 'UInt64Value':
    case 'Int32Value':
    case 'UInt32Value':
    case 'BoolValue':
    case 'StringValue':
    case 'BytesValue': {
      const kind = message.fields[0]?.kind ?? 'message'
      if (kind === 'message' || kind === 'enum') return JSON_COLUMN
      return { kind: 'wrapper', type: TYPES[kind] }
    }
    case 'Any':
    case 'Empty':
    case 'FieldMask':
    case 'ListValue':
    case 'Struct':
    case 'Value':
      return JSON_COLUMN
    default:
      return { kind: 'message', type: JSON_TYPE }
  }
}

const STRING: PrimitiveType = { kind: 'string' }
const LONG: PrimitiveType = { kind: 'long' }
const INT: PrimitiveType = { kind: 'int' }
const UNSIGNED_LONG: PrimitiveType = { kind: 'decimal', precision: 20, scale: 0 }

const TYPES: Readonly<Record<ScalarKind, PrimitiveType>> = {
  double: { kind: 'double' },
  float: { kind: 'float' },
  int32: INT,
  sint32: INT,
  sfixed32: INT,
  uint32: LONG,
  fixed32: LONG,
  int64: LONG,
  sint64: LONG,
  sfixed64: LONG,
  uint64: UNSIGNED_LONG,
  fixed64: UNSIGNED_LONG,
  bool: { kind: 'boolean' },
  string: STRING,
  bytes: { kind: 'binary' },
}

function sourceTypeOf(field: FieldShape): string {
  const { kind, message, enumeration, mapKey, repeated, group } = field
  const type = message?.name ?? enumeration?.name ?? kind
  if (mapKey !== null) return `map<${mapKey}, ${type}>`
  return `${repeated ? 'repeated ' : ''}${group ? 'group ' : ''}${type}`
}
