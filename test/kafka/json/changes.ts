// Decoders of envelopes over records that are written as objects.

import {
  changeFormat,
  type ChangeOptions,
} from '../../../connectors/kafka/json/changes/change-decoder.ts'
import type { ChangeProtocol } from '../../../connectors/kafka/json/changes/protocol.ts'
import { plainColumn } from '../../../connectors/kafka/json/columns.ts'
import type { RecordDecoder } from '../../../connectors/kafka/format.ts'
import { parseType } from '../../../runtime/data/type-text.ts'
import { decodeAll, recordSet, type Decoding, type TestRecord } from './records.ts'

const OPEN: ChangeOptions = { columns: null, primaryKeys: null, tables: null }

export function decoder(
  protocol: ChangeProtocol,
  options: Partial<ChangeOptions> = {},
  saved: string | null = null,
): RecordDecoder {
  return changeFormat(() => protocol, { ...OPEN, ...options }).decoder('topic', 'value', saved)
}

export function columns(types: Readonly<Record<string, string>>): ChangeOptions['columns'] {
  return Object.entries(types).map(([name, text]) => {
    const nullable = !text.endsWith(' not null')
    return { ...plainColumn(name, parseType(text.replace(' not null', ''))!), nullable }
  })
}

export function decode(
  of: RecordDecoder,
  values: readonly (TestRecord | object | null)[],
): Decoding {
  return decodeAll(
    of,
    recordSet(
      values.map((value) => {
        if (value === null) return { value }
        return 'value' in value ? value : { value: JSON.stringify(value) }
      }),
    ),
  )
}

export function changesOf({ rows }: Decoding): unknown[] {
  return rows.map(({ op, row }) => [op, row])
}
