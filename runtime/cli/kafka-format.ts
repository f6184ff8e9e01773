// From what a pipeline says of keys and values to the formats that read them. Each family is loaded
// when a pipeline uses it.

import type { RecordFormat } from '../../connectors/kafka/format.ts'
import type { KafkaSourceConfig } from '../job/config/pipeline-config.ts'
import type { DeclaredColumn } from '../job/config/schema-json-columns.ts'

/** @returns the formats of keys (`null`: they are not read) and values */
export async function recordFormats(
  source: KafkaSourceConfig,
): Promise<{ readonly key: RecordFormat | null; readonly value: RecordFormat }> {
  return {
    key: source.key === null ? null : await recordFormat(source.key, source),
    value: await recordFormat(source.value, source),
  }
}

async function recordFormat(
  config: KafkaSourceConfig['value'],
  { nullValue, primaryKeys }: KafkaSourceConfig,
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
