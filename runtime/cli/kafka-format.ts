// From what a pipeline says of keys and values to the formats that read them. Each family is loaded
// when a pipeline uses it.

import { readFileSync } from 'node:fs'
import type { RecordFormat } from '../../connectors/kafka/format.ts'
import type { KafkaOptions } from '../../connectors/kafka/options.ts'
import type { ProtobufOptions } from '../../connectors/kafka/protobuf/options.ts'
import type { RegistryProbe, SchemaRegistry } from '../../connectors/kafka/registry/schemas.ts'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { KafkaSourceConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import type { AvroFormatConfig, ProtobufFormatConfig } from '../job/config/resolve-formats.ts'
import type { RegistryConfig } from '../job/config/resolve-registry.ts'
import type { DeclaredColumn } from '../job/config/schema-json-columns.ts'
import { changeRecords } from './kafka-change-format.ts'

/** @returns the formats of keys (`null`: they are not read) and values, and what they ask */
export async function recordFormats(
  pipeline: PipelineConfig,
  source: KafkaSourceConfig,
  log: Log,
): Promise<Pick<KafkaOptions, 'key' | 'value' | 'registries'>> {
  const registries = new Set<RegistryProbe>()
  let opened: Promise<(config: RegistryConfig) => SchemaRegistry & RegistryProbe> | null = null
  const registryOf: RegistryOf = async (config) => {
    opened ??= import('./schema-registry.ts').then(({ registriesOf }) =>
      registriesOf(pipeline, log),
    )
    const registry = (await opened)(config)
    registries.add(registry)
    return registry
  }
  const format = async (config: KafkaSourceConfig['value']): Promise<RecordFormat> => {
    return recordFormat(config, source, registryOf, log)
  }
  const key = source.key === null ? null : await format(source.key)
  const value = await format(source.value)
  return { key, value, registries: [...registries] }
}

/** Keys and values with one registry share its client. */
type RegistryOf = (config: RegistryConfig) => Promise<SchemaRegistry>

async function recordFormat(
  config: KafkaSourceConfig['value'],
  { nullValue, primaryKeys }: KafkaSourceConfig,
  registryOf: RegistryOf,
  log: Log,
): Promise<RecordFormat> {
  switch (config.format) {
    case 'raw': {
      const { rawFormat } = await import('../../connectors/kafka/decode/raw.ts')
      return rawFormat({ as: config.as, readsNull: nullValue === 'row' })
    }
    case 'json': {
      const { jsonFormat } = await import('../../connectors/kafka/json/json-decoder.ts')
      const columns = withKey(config.schema, primaryKeys)
      return jsonFormat({ columns, unknown: config.unknown })
    }
    case 'debezium-json':
    case 'canal-json':
    case 'maxwell-json':
      return changeRecords(config, primaryKeys)
    case 'avro':
      return avro(config, registryOf)
    case 'protobuf':
      return protobuf(config, registryOf, log)
  }
}

async function avro(config: AvroFormatConfig, registryOf: RegistryOf): Promise<RecordFormat> {
  const { avroFormat } = await import('../../connectors/kafka/avro/format.ts')
  const { registry, schemaFile: path } = config
  if (registry !== null) return avroFormat({ registry: await registryOf(registry) })
  return avroFormat({ schemaFile: { path: path ?? '', text: textOf(path ?? '') } })
}

async function protobuf(
  config: ProtobufFormatConfig,
  registryOf: RegistryOf,
  log: Log,
): Promise<RecordFormat> {
  const { ProtobufFormat } = await import('../../connectors/kafka/protobuf/format.ts')
  const { framing, message, oneofCase, unknownFields } = config
  return new ProtobufFormat({
    schema: await protobufSchemas(config, registryOf),
    framing,
    message,
    otherMessages: config.otherMessages === 'skip' ? 'skip' : 'dirty',
    implicitPresence: config.implicitPresence === 'as_null' ? 'null' : 'default',
    oneofCase,
    unknownFields,
    includes: () => true,
    clock: systemClock,
    log,
  })
}

async function protobufSchemas(
  { registry, protoFile, descriptorFile, importRoots }: ProtobufFormatConfig,
  registryOf: RegistryOf,
): Promise<ProtobufOptions['schema']> {
  if (registry !== null) return { kind: 'registry', registry: await registryOf(registry) }
  if (protoFile !== null) {
    return { kind: 'files', source: { kind: 'proto', file: protoFile, importRoots } }
  }
  return { kind: 'files', source: { kind: 'descriptors', file: descriptorFile ?? '' } }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('CONFIG_VALUE', `the schema file ${path} cannot be read`, { cause })
  }
}

/** A row without its key could not be told from others. */
function withKey(
  columns: readonly DeclaredColumn[],
  primaryKeys: readonly string[] | null,
): DeclaredColumn[] {
  return columns.map((column) =>
    primaryKeys?.includes(column.name) === true ? { ...column, nullable: false } : column,
  )
}
