// Formats of records after validation: paths absolute, secrets as Secret. A format family that has
// either resolves it here; what has neither passes as it is.

import { resolve as resolvePath } from 'node:path'
import type { ConnectionContext } from './connection.ts'
import type { Path } from './problems.ts'
import { type RegistryConfig, resolveFile, resolveRegistry } from './resolve-registry.ts'
import type { RecordFormatInput } from './schema-formats.ts'

type PlainInput = Exclude<RecordFormatInput, { format: 'avro' | 'protobuf' }>
type AvroInput = Extract<RecordFormatInput, { format: 'avro' }>
type ProtobufInput = Extract<RecordFormatInput, { format: 'protobuf' }>

export interface AvroFormatConfig {
  readonly format: 'avro'
  /** `null`: the file's schema is that of all records. */
  readonly registry: RegistryConfig | null
  /** Absolute path; `null`: each record names its schema. */
  readonly schemaFile: string | null
}

export interface ProtobufFormatConfig {
  readonly format: 'protobuf'
  /** One of the three is there. Paths are absolute. */
  readonly registry: RegistryConfig | null
  readonly protoFile: string | null
  readonly descriptorFile: string | null
  readonly importRoots: readonly string[]
  readonly framing: 'confluent' | 'none'
  /** `null`: that of the first record. */
  readonly message: string | null
  readonly otherMessages: 'error' | 'skip'
  readonly implicitPresence: 'default' | 'as_null'
  readonly oneofCase: boolean
  readonly unknownFields: boolean
}

export type RecordFormatConfig = PlainInput | AvroFormatConfig | ProtobufFormatConfig

/** @param path  of the block in the file: `source.key` or `source.value` */
export function resolveFormat(
  input: RecordFormatInput,
  path: Path,
  context: ConnectionContext,
): RecordFormatConfig {
  switch (input.format) {
    case 'raw':
    case 'json':
    case 'debezium-json':
    case 'canal-json':
    case 'maxwell-json':
      return input
    case 'avro':
      return resolveAvro(input, path, context)
    case 'protobuf':
      return resolveProtobuf(input, path, context)
  }
}

function resolveAvro(
  { registry, schema_file: file }: AvroInput,
  path: Path,
  context: ConnectionContext,
): AvroFormatConfig {
  if ((registry === undefined) === (file === undefined)) {
    const message = `${path.join('.')} needs a registry or a schema_file, and not both`
    context.document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return {
    format: 'avro',
    registry:
      registry === undefined ? null : resolveRegistry(registry, [...path, 'registry'], context),
    schemaFile: resolveFile(file, [...path, 'schema_file'], context),
  }
}

function resolveProtobuf(
  input: ProtobufInput,
  path: Path,
  context: ConnectionContext,
): ProtobufFormatConfig {
  const { registry, proto_file: protoFile, descriptor_file: descriptorFile } = input
  const name = path.join('.')
  const report = (message: string): void => {
    context.document.report(path, { error: 'CONFIG_VALUE', message })
  }
  const given = [registry, protoFile, descriptorFile].filter((one) => one !== undefined)
  if (given.length !== 1) {
    report(`${name} needs one of registry, proto_file and descriptor_file`)
  }
  const framing = input.framing ?? (registry === undefined ? 'none' : 'confluent')
  if (registry !== undefined && framing === 'none') {
    report(`${name} has a registry, so its records need the framing that names their schema`)
  }
  return {
    format: 'protobuf',
    registry:
      registry === undefined ? null : resolveRegistry(registry, [...path, 'registry'], context),
    protoFile: resolveFile(protoFile, [...path, 'proto_file'], context),
    descriptorFile: resolveFile(descriptorFile, [...path, 'descriptor_file'], context),
    importRoots: input.import_roots.map((root) => resolvePath(context.folder, root)),
    framing,
    message: input.message?.replace(/^\./, '') ?? null,
    otherMessages: input.other_messages,
    implicitPresence: input.implicit_presence,
    oneofCase: input.oneof_case,
    unknownFields: input.unknown_fields,
  }
}
