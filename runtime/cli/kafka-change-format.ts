// From what a pipeline says of a stream of changes to the format that reads it.

import type { RecordFormat } from '../../connectors/kafka/format.ts'
import type { ChangeProtocol } from '../../connectors/kafka/json/changes/protocol.ts'
import type { JsonColumn } from '../../connectors/kafka/json/columns.ts'
import type { KafkaSourceConfig } from '../job/config/pipeline-config.ts'

type ChangeConfig = Extract<
  KafkaSourceConfig['value'],
  { readonly format: 'debezium-json' | 'canal-json' | 'maxwell-json' }
>

export async function changeRecords(
  config: ChangeConfig,
  primaryKeys: readonly string[] | null,
): Promise<RecordFormat> {
  const { changeFormat } = await import('../../connectors/kafka/json/changes/change-decoder.ts')
  const tables = ('tables' in config ? config.tables : null) ?? null
  switch (config.format) {
    case 'debezium-json': {
      const { debeziumProtocol } = await import('../../connectors/kafka/json/changes/debezium.ts')
      const columns = config.columns?.map((column) => documentInside(column)) ?? null
      const protocol = (): ChangeProtocol => debeziumProtocol(config.unavailable_value)
      return changeFormat(protocol, { columns, primaryKeys, tables })
    }
    case 'canal-json': {
      const { canalProtocol } = await import('../../connectors/kafka/json/changes/canal.ts')
      const columns = config.columns?.map((column) => bytesInside(documentInside(column))) ?? null
      return changeFormat(() => canalProtocol, { columns, primaryKeys, tables })
    }
    case 'maxwell-json': {
      const { maxwellProtocol } = await import('../../connectors/kafka/json/changes/maxwell.ts')
      return changeFormat(() => maxwellProtocol, { columns: config.columns, primaryKeys, tables })
    }
  }
}

/** Debezium and canal write a JSON document into a string. */
function documentInside(column: JsonColumn): JsonColumn {
  const { type } = column
  const isJson = type.kind === 'string' && type.json === true
  return isJson ? { ...column, encoding: { kind: 'quoted' } } : column
}

/** Canal writes each byte as the character of its number. */
function bytesInside(column: JsonColumn): JsonColumn {
  return column.type.kind === 'binary' ? { ...column, encoding: { kind: 'latin1' } } : column
}
