// A format whose records say which version of the structure they need: `2:text` needs two columns.
// A version may have to be loaded first, until the test lets it come.

import type { BytesBuilder } from '../../runtime/data/column/builder.ts'
import { Op } from '../../runtime/data/batch.ts'
import type {
  Decoded,
  FormatTable,
  RecordDecoder,
  RecordFormat,
  RowSink,
} from '../../connectors/kafka/format.ts'
import type { RecordSet } from '../../connectors/kafka/records.ts'

export class StagedFormat implements RecordFormat {
  readonly readsNull = false
  /** Versions that come when the test says so. */
  readonly loads = new Map<number, Promise<void>>()
  /** Thrown by `advance` for this version. */
  readonly refused = new Map<number, Error>()

  decoder(_topic: string, _part: string, saved: string | null): RecordDecoder {
    return new StagedDecoder(this, saved === null ? 0 : Number(saved))
  }
}

function tableOf(version: number): FormatTable {
  const columns = Array.from({ length: version }, (_, index) => ({
    identity: `c${index + 1}`,
    name: `c${index + 1}`,
    type: { kind: 'string' as const },
    nullable: true,
    comment: null,
    sourceType: 'text',
    existing: { kind: 'null' as const },
  }))
  return { columns, key: null, comment: null }
}

class StagedDecoder implements RecordDecoder {
  table: FormatTable
  private readonly format: StagedFormat

  constructor(format: StagedFormat, version: number) {
    this.format = format
    this.table = tableOf(version)
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const known = this.table.columns.length
    let index = from
    for (; index < records.count && index < from + limit; index++) {
      const { version, text } = valueOf(records, index)
      if (Number.isNaN(version)) {
        sink.dirty(index, { name: 'RECORD_CORRUPT', message: 'it has no version', byteOffset: 0 })
        continue
      }
      if (version > known) {
        return { next: index, stop: this.format.loads.has(version) ? 'load' : 'structure' }
      }
      const row = sink.rows
      sink.reserve(row + 1)
      const bytes = Buffer.from(text)
      for (const [column, builder] of sink.builders.entries()) {
        if (column >= version) builder.setNull(row)
        else (builder as BytesBuilder).setBytes(row, bytes, 0, bytes.length)
      }
      sink.ops[row] = Op.insert
      sink.record[row] = index
      sink.rows = row + 1
    }
    return { next: index, stop: index < records.count ? 'limit' : 'all' }
  }

  advance(records: RecordSet, at: number): Promise<void> | undefined {
    const { version } = valueOf(records, at)
    const refused = this.format.refused.get(version)
    if (refused !== undefined) throw refused
    const loading = this.format.loads.get(version)
    const take = (): void => {
      if (version > this.table.columns.length) this.table = tableOf(version)
    }
    if (loading !== undefined) return loading.then(take)
    take()
    return undefined
  }

  save(): string {
    return String(this.table.columns.length)
  }
}

function valueOf(records: RecordSet, index: number): { version: number; text: string } {
  const { bytes, valueStart, valueEnd } = records
  const text = Buffer.from(bytes.subarray(valueStart[index], valueEnd[index])).toString()
  const [, digits, rest = ''] = /^(\d):(.*)$/s.exec(text) ?? []
  return { version: Number(digits ?? NaN), text: rest }
}
