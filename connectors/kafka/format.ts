// The port of what turns the bytes of records into columns. The source knows partitions, positions
// and tombstones; a format knows bytes and their schemas. Records that decode go into builders that
// the source reuses from batch to batch; those that do not are told one by one, and cost the others
// nothing.

import type { ErrorName } from '../../runtime/base/errors.ts'
import type { ColumnBuilder } from '../../runtime/data/column/builder.ts'
import type { SourceColumn } from '../../runtime/data/schema.ts'
import type { RecordSet } from './records.ts'

/** Why the bytes of a record are no rows. */
export interface DecodeFault {
  /** A code of 45xx. */
  readonly name: ErrorName
  readonly message: string
  /** In the key or value; where decoding failed, or 0. */
  readonly byteOffset: number
  /** The schema that the record names, where it names one. */
  readonly schemaId?: string
}

/**
 * Where a decoder puts the rows that it makes. A decoder writes at row `rows` and behind it, and
 * advances `rows` when all rows of a record are whole: so `dirty` can take back what is half done.
 */
export interface RowSink {
  /** One a column of the decoder's structure, in its order. */
  readonly builders: readonly ColumnBuilder[]
  /** Whole rows so far, those of earlier calls included: a decoder begins behind them. */
  rows: number
  /** Op by row. May be replaced by `reserve`. */
  ops: Uint8Array
  /** By row: index of its record in the RecordSet. May be replaced by `reserve`. */
  record: Int32Array
  /** Makes room for rows 0...rows - 1 in the builders, `ops` and `record`. */
  reserve(rows: number): void
  /**
   * The record gives no row. What the builders hold from `rows` on is taken back here.
   *
   * @param record  its index in the RecordSet
   */
  dirty(record: number, fault: DecodeFault): void
}

/** What a decoder makes of a topic: columns without the name of the table, which is the source's. */
export interface FormatTable {
  /** A column's `identity` survives a rename: Protobuf's message path and field number. */
  readonly columns: readonly SourceColumn[]
  /** Identities of the columns that the format itself knows as the key; `null`: none. */
  readonly key: readonly string[] | null
  readonly comment: string | null
}

/**
 * all: every record was decoded, or told as dirty · limit: no row more was wanted · structure: the
 * next record needs another structure · load: it needs something that must be fetched first.
 */
export type DecodeStop = 'all' | 'limit' | 'structure' | 'load'

export interface Decoded {
  /** Index of the first record that was not decoded. */
  next: number
  stop: DecodeStop
}

export interface RecordDecoder {
  /**
   * Structure of the rows that `decode` makes now. Another object when it has changed, which it
   * does only while an `advance` is under way: the source compares before each `decode`.
   */
  readonly table: FormatTable
  /**
   * Decodes keys or values of the records [from, records.count) while they fit `table` and until
   * this call has made about `limit` rows: the rows of one record are never cut. A null key or value is not
   * its business: the source hands over runs of records without them, unless `readsNull`.
   *
   * @returns an object that the next call may reuse
   */
  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded
  /**
   * After a stop: fetches what is missing (waits while the registry is down) and takes the next
   * structure. Other partitions of the topic go on decoding meanwhile, under `table` as it is at
   * each call, and may wait here at the same time.
   *
   * @param records  valid until the first `await`: the next set is read into the same memory
   * @returns `undefined`: done at once, and the rest of `records` is decoded next. Else the records
   *   are fetched again when the promise has settled
   * @throws PipelineError FORMAT_TYPE_CHANGED: there is no such structure, and the table parks
   */
  advance(records: RecordSet, at: number, signal: AbortSignal): Promise<void> | undefined
  /**
   * What `decoder` needs to have `table` again after a restart: the structure of all schemas that
   * were seen, for the first record behind the checkpoint may have an old one. Taken at a Progress;
   * small, since the checkpoint holds it. `null`: nothing is needed.
   */
  save(): string | null
}

export interface RecordFormat {
  /** Null values are the format's own business: envelopes pass over them. */
  readonly readsNull: boolean
  /**
   * Called once for each topic and part. A structure that is not known before the first record has
   * no columns, and the topic no table, until `advance` has found them.
   *
   * @param part   what of the records is decoded
   * @param saved  of the decoder of before; `null`: there was none
   */
  decoder(topic: string, part: RecordPart, saved: string | null): RecordDecoder
}

export type RecordPart = 'key' | 'value'
