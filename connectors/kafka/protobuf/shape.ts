// What a decoder must know of a message type, as plain data: protobufjs resolves names, editions
// and extensions, and nothing behind this file sees its objects.

import protobuf from 'protobufjs'

export type ScalarKind =
  | 'double'
  | 'float'
  | 'int32'
  | 'uint32'
  | 'sint32'
  | 'fixed32'
  | 'sfixed32'
  | 'int64'
  | 'uint64'
  | 'sint64'
  | 'fixed64'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes'

export type FieldKind = ScalarKind | 'enum' | 'message'

export interface EnumShape {
  readonly name: string
  /** By number; of several names for one number the first. */
  readonly labels: ReadonlyMap<number, string>
  /** `google.protobuf.NullValue`, which is null in JSON. */
  readonly isNull: boolean
}

export interface FieldShape {
  readonly number: number
  /** As the .proto file has it; `[pkg.name]` for an extension. */
  readonly name: string
  readonly jsonName: string
  readonly kind: FieldKind
  readonly repeated: boolean
  /** Kind of the keys of a map, whose values have `kind`; `null`: no map. */
  readonly mapKey: ScalarKind | null
  /** A group: enclosed by tags instead of preceded by its length. */
  readonly group: boolean
  /** That it was not written can be told from its default. */
  readonly presence: boolean
  /** Index of its oneof in `MessageShape.oneofs`; -1: none. */
  readonly oneof: number
  readonly enumeration: EnumShape | null
  readonly message: MessageShape | null
  readonly comment: string | null
}

export interface MessageShape {
  /** `acme.Play`, without a leading dot. */
  readonly name: string
  /** By ascending number. */
  readonly fields: readonly FieldShape[]
  /** Names; those that stand for `optional` are left out. */
  readonly oneofs: readonly string[]
}

/** Types by name, each made once: a type may contain itself. */
export class Shapes {
  private readonly root: protobuf.Root
  private readonly messages = new Map<string, MessageShape>()
  private readonly enums = new Map<string, EnumShape>()

  /** @param root  resolved */
  constructor(root: protobuf.Root) {
    this.root = root
  }

  /** @param name  full, without a leading dot @returns `null`: there is no such message */
  message(name: string): MessageShape | null {
    const known = this.messages.get(name)
    if (known !== undefined) return known
    const type = this.root.lookup(`.${name}`, [protobuf.Type])
    // A lookup falls back to shorter paths.
    if (!(type instanceof protobuf.Type) || plainName(type) !== name) return null
    return this.messageOf(type)
  }

  private messageOf(type: protobuf.Type): MessageShape {
    const name = plainName(type)
    const known = this.messages.get(name)
    if (known !== undefined) return known
    const oneofs = type.oneofsArray.filter((oneof) => !oneof.isProto3Optional)
    const fields: FieldShape[] = []
    const shape: MessageShape = { name, fields, oneofs: oneofs.map((oneof) => oneof.name) }
    this.messages.set(name, shape)
    for (const field of type.fieldsArray) fields.push(this.fieldOf(field.resolve(), oneofs))
    fields.sort((left, right) => left.number - right.number)
    return shape
  }

  private fieldOf(field: protobuf.Field, oneofs: readonly protobuf.OneOf[]): FieldShape {
    const { resolvedType } = field
    const message = resolvedType instanceof protobuf.Type ? this.messageOf(resolvedType) : null
    const enumeration = resolvedType instanceof protobuf.Enum ? this.enumOf(resolvedType) : null
    const scalar = field.type as ScalarKind
    const extension = field.declaringField ?? null
    const name = extension === null ? field.name : `[${plainName(extension)}]`
    return {
      number: field.id,
      name,
      jsonName: extension === null ? field.jsonName : name,
      kind: message === null ? (enumeration === null ? scalar : 'enum') : 'message',
      repeated: field.repeated,
      mapKey: field instanceof protobuf.MapField ? (field.keyType as ScalarKind) : null,
      group: field.delimited,
      // A message that was not written is not an empty one, whatever its file says of presence.
      presence: hasPresence(field) || (message !== null && !field.repeated && !field.map),
      oneof: field.partOf === null ? -1 : oneofs.indexOf(field.partOf),
      enumeration,
      message,
      comment: field.comment ?? null,
    }
  }

  private enumOf(enumeration: protobuf.Enum): EnumShape {
    const name = plainName(enumeration)
    const known = this.enums.get(name)
    if (known !== undefined) return known
    const labels = new Map<number, string>()
    for (const [label, number] of Object.entries(enumeration.values)) {
      if (!labels.has(number)) labels.set(number, label)
    }
    const shape = { name, labels, isNull: name === 'google.protobuf.NullValue' }
    this.enums.set(name, shape)
    return shape
  }
}

/** Declared as a boolean, but the oneof where there is one. */
function hasPresence({ hasPresence: presence }: { readonly hasPresence: unknown }): boolean {
  return Boolean(presence)
}

function plainName(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, '')
}
