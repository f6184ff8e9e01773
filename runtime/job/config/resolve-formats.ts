// Formats of records after validation: paths absolute, secrets as Secret. A format family that has
// either resolves it here; what has neither passes as it is.

import type { ConnectionContext } from './connection.ts'
import type { Path } from './problems.ts'
import { type RegistryConfig, resolveFile, resolveRegistry } from './resolve-registry.ts'
import type { RecordFormatInput } from './schema-formats.ts'

type PlainInput = Exclude<RecordFormatInput, { format: 'avro' }>
type AvroInput = Extract<RecordFormatInput, { format: 'avro' }>

export interface AvroFormatConfig {
  readonly format: 'avro'
  /** `null`: the file's schema is that of all records. */
  readonly registry: RegistryConfig | null
  /** Absolute path; `null`: each record names its schema. */
  readonly schemaFile: string | null
}

export type RecordFormatConfig = PlainInput | AvroFormatConfig

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
