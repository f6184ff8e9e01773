// A registry of Protobuf schemas that lives in memory, and records as its serializers write them.

import type { KnownSchema, SchemaRegistry } from '../../../connectors/kafka/registry/schemas.ts'
import type { ProtobufOptions } from '../../../connectors/kafka/protobuf/options.ts'
import { ProtobufFormat } from '../../../connectors/kafka/protobuf/format.ts'
import { systemClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'

export class PlayedRegistry implements SchemaRegistry {
  readonly waitsFor = null
  /** By id. */
  readonly schemas = new Map<number, KnownSchema>()
  private readonly fetched = new Set<number>()

  add(id: number, text: string, imports: Readonly<Record<string, string>> = {}): this {
    const references = Object.entries(imports).map(([name, imported]) => {
      return { name, subject: name, version: 1, text: imported }
    })
    this.schemas.set(id, { id, kind: 'PROTOBUF', text, references })
    return this
  }

  known(id: number): KnownSchema | null {
    return this.fetched.has(id) ? (this.schemas.get(id) ?? 'unknown') : null
  }

  async schemaById(id: number): Promise<KnownSchema> {
    await Promise.resolve()
    this.fetched.add(id)
    return this.schemas.get(id) ?? 'unknown'
  }
}

/** @param indexes  as bytes behind the id; a single 0 is the first message */
export function framed(
  id: number,
  message: Uint8Array,
  indexes: readonly number[] = [0],
): Uint8Array {
  const head = [0, id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255]
  return new Uint8Array([...head, ...indexes, ...message])
}

/** A format with the defaults of the pipeline file. */
export function formatWith(
  schema: ProtobufOptions['schema'],
  more: Partial<ProtobufOptions> = {},
): ProtobufFormat {
  return new ProtobufFormat({
    schema,
    framing: schema.kind === 'registry' ? 'confluent' : 'none',
    message: null,
    otherMessages: 'dirty',
    implicitPresence: 'default',
    oneofCase: false,
    unknownFields: false,
    includes: () => true,
    clock: systemClock,
    log: silentLog,
    ...more,
  })
}

export function registryFormat(
  registry: PlayedRegistry,
  more: Partial<ProtobufOptions> = {},
): ProtobufFormat {
  return formatWith({ kind: 'registry', registry }, more)
}
