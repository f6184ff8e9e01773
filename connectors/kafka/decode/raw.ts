// The format of those who want the bytes: one column, `key` or `value`, as they are. As text it
// must be UTF-8, since nothing behind it could hold anything else in a string.

import { Op } from '../../../runtime/data/batch.ts'
import type { BytesBuilder } from '../../../runtime/data/column/builder.ts'
import type {
  Decoded,
  FormatTable,
  RecordDecoder,
  RecordFormat,
  RecordPart,
  RowSink,
} from '../format.ts'
import type { RecordSet } from '../records.ts'
import { isWellFormed, wellFormedEnd } from '../utf8.ts'

export interface RawOptions {
  readonly as: 'binary' | 'text'
  /** A null value is the null of the column. */
  readonly readsNull: boolean
}

export function rawFormat(options: RawOptions): RecordFormat {
  return {
    readsNull: options.readsNull,
    decoder: (_topic, part) => new RawDecoder(part, options.as),
  }
}

class RawDecoder implements RecordDecoder {
  readonly table: FormatTable
  private readonly part: RecordPart
  private readonly text: boolean
  private readonly decoded: Decoded = { next: 0, stop: 'all' }

  constructor(part: RecordPart, as: RawOptions['as']) {
    this.part = part
    this.text = as === 'text'
    const column = {
      identity: part,
      name: part,
      type: { kind: this.text ? 'string' : 'binary' },
      nullable: true,
      comment: null,
      sourceType: 'raw',
      existing: { kind: 'null' },
    } as const
    this.table = { columns: [column], key: null, comment: null }
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const end = Math.min(records.count, from + limit)
    const isKey = this.part === 'key'
    const starts = isKey ? records.keyStart : records.valueStart
    const ends = isKey ? records.keyEnd : records.valueEnd
    const builder = sink.builders[0] as BytesBuilder
    sink.reserve(sink.rows + end - from)
    const { ops, record } = sink
    const { bytes } = records
    let row = sink.rows
    for (let index = from; index < end; index++) {
      const start = starts[index]!
      if (start < 0) builder.setNull(row)
      else if (!this.text || isWellFormed(bytes, start, ends[index]!)) {
        builder.setBytes(row, bytes, start, ends[index]!)
      } else {
        sink.rows = row
        const message = `the ${this.part} is not UTF-8`
        const byteOffset = wellFormedEnd(bytes, start, ends[index]!) - start
        sink.dirty(index, { name: 'RECORD_CORRUPT', message, byteOffset })
        continue
      }
      ops[row] = Op.insert
      record[row] = index
      row++
    }
    sink.rows = row
    this.decoded.next = end
    this.decoded.stop = end === records.count ? 'all' : 'limit'
    return this.decoded
  }

  advance(): undefined {
    return undefined
  }

  save(): null {
    return null
  }
}
