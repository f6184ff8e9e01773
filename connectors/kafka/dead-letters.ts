// Records that could not be decoded, as rows of a table of their own: what was wrong, where, and
// their bytes, so that nothing is lost. They go the way of all rows and so are committed with their
// neighbours; the limits are looked at row by row, so a flood ends before any of it is committed.

import { createHash } from 'node:crypto'
import { errorCodes } from '../../runtime/base/error-codes.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import {
  columnBuilder,
  type BytesBuilder,
  type ColumnBuilder,
  type FixedBuilder,
} from '../../runtime/data/column/builder.ts'
import { deadLetterTable, DeadLetterLimits } from '../../runtime/data/dead-letters.ts'
import { tableKey, type SourceTable } from '../../runtime/data/schema.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { fillMetadata } from './decode/metadata-columns.ts'
import { RowBuffer } from './decode/row-buffer.ts'
import type { DecodeFault } from './format.ts'
import type { DeadLetterOptions } from './options.ts'
import type { RecordSet } from './records.ts'

/** Columns of the record that others may ask for, too. */
const METADATA = {
  topic: '__topic__',
  partition: '__partition__',
  offset: '__offset__',
  record_time: '__timestamp__',
  key: '__key__',
  headers: '__headers__',
} as const

/** What only rows of a transform have, as the table orders it. */
const OF_ROWS = ['source_table', 'column_name', 'expression', 'op', 'position', 'row']

const utf8 = new TextEncoder()

export class DeadLetters {
  readonly table: SourceTable
  readonly name: string
  private buffer: RowBuffer | null = null
  private readonly builders: ReadonlyMap<string, ColumnBuilder>
  private readonly limits: DeadLetterLimits
  /** The first record of its set that is not counted yet. */
  private from = 0

  constructor(namespace: string, options: DeadLetterOptions) {
    this.limits = new DeadLetterLimits(options)
    this.table = deadLetterTable(namespace, options.table, true)
    this.name = tableKey(this.table)
    this.builders = new Map(this.table.columns.map(({ name, type }) => [name, columnBuilder(type)]))
  }

  get rows(): number {
    return this.buffer?.rows ?? 0
  }

  get full(): boolean {
    return this.buffer?.full ?? false
  }

  /** Rows are written under this structure, which is that of `table`. */
  follow(schema: TableSchema): void {
    const columns = [...this.builders.values()]
    this.buffer = new RowBuffer(schema, columns, columns)
  }

  get isOpen(): boolean {
    return this.buffer !== null
  }

  /** Records of a set are about to be decoded, from this one on. */
  begin(from: number): void {
    this.from = from
  }

  /** Records were read; those that are dead letters have been added besides. */
  count(records: number): void {
    this.limits.count(records)
  }

  /** A checkpoint was taken. */
  endEpoch(): void {
    this.limits.endEpoch()
  }

  /**
   * @param orderBase  order of a record at offset 0 of this partition
   * @throws PipelineError DEAD_LETTERS_MAX
   */
  add(
    topicId: string,
    set: RecordSet,
    record: number,
    fault: DecodeFault,
    orderBase: number,
  ): void {
    const { buffer } = this
    if (buffer === null) return
    const row = buffer.rows
    buffer.reserve(row + 1)
    buffer.record[row] = record
    buffer.ops[row] = Op.insert
    for (const [column, name] of Object.entries(METADATA)) {
      const builder = this.builders.get(column)
      if (builder !== undefined) fillMetadata(name, builder, set, buffer.record, row, row + 1)
    }
    const place = `${topicId}|${set.topic}|${set.partition}|${set.offsets[record] ?? 0}|0`
    this.setText('dlq_id', row, createHash('sha256').update(place).digest('hex'))
    this.setText('code', row, errorCodes[fault.name].code)
    this.setText('message', row, fault.message)
    this.setText('schema_id', row, fault.schemaId ?? null)
    const value = this.builders.get('value') as BytesBuilder
    const start = set.valueStart[record] ?? -1
    if (start < 0) value.setNull(row)
    else value.setBytes(row, set.bytes, start, set.valueEnd[record] ?? start)
    const offset = this.builders.get('byte_offset') as FixedBuilder
    offset.values[row] = fault.byteOffset
    for (const name of OF_ROWS) this.setText(name, row, null)
    buffer.rows = row + 1
    buffer.stamp(row, set, orderBase)
    buffer.bytes += set.bytes.length / Math.max(1, set.count)
    this.judge(set, record)
  }

  take(): ChangeBatch | null {
    return this.buffer === null || this.buffer.rows === 0 ? null : this.buffer.take()
  }

  private setText(name: string, row: number, text: string | null): void {
    const builder = this.builders.get(name) as BytesBuilder
    if (text === null) builder.setNull(row)
    else {
      const bytes = utf8.encode(text)
      builder.setBytes(row, bytes, 0, bytes.length)
    }
  }

  private judge(set: RecordSet, record: number): void {
    const tooMany = this.limits.add('records', record - this.from)
    if (tooMany === null) return
    const offset = set.offsets[record] ?? 0
    throw new PipelineError('DEAD_LETTERS_MAX', `${tooMany} are dead letters`, {
      detail:
        `The last one stands at offset ${offset} of partition ${set.partition} of topic ` +
        `"${set.topic}". Nothing since the last checkpoint is committed.`,
    })
  }
}
