// From what a pipeline says of keys and values to the formats that read them. Each family is loaded
// when a pipeline uses it.

import type { RecordFormat } from '../../connectors/kafka/format.ts'
import type { KafkaSourceConfig } from '../job/config/pipeline-config.ts'

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
  { nullValue }: KafkaSourceConfig,
): Promise<RecordFormat> {
  switch (config.format) {
    case 'raw': {
      const { rawFormat } = await import('../../connectors/kafka/decode/raw.ts')
      return rawFormat({ as: config.as, readsNull: nullValue === 'row' })
    }
  }
}
