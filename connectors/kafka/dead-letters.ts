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
import { tableKey, type SourceColumn, type SourceTable } from '../../runtime/data/schema.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'
import { fillMetadata } from './decode/metadata-columns.ts'
import { RowBuffer } from './decode/row-buffer.ts'
import type { DecodeFault } from './format.ts'
import type { DeadLetterOptions } from './options.ts'
import type { RecordSet } from './records.ts'

/** The ratio is one of these many records. */
const WINDOW = 10_000
/** The window moves in steps of this many. */
const STEP = 1000

type Name = (typeof COLUMNS)[number][0]

const COLUMNS = [
  [
    'dlq_id',
    { kind: 'string' },
    false,
    'SHA-256 of where the record stands: the same when read again',
  ],
  ['code', { kind: 'string' }, false, 'what `millrace explain CODE` explains'],
  ['message', { kind: 'string' }, false, null],
  ['topic', { kind: 'string' }, false, null],
  ['partition', { kind: 'int' }, false, null],
  ['offset', { kind: 'long' }, false, null],
  ['record_time', { kind: 'timestamptz' }, true, null],
  ['key', { kind: 'binary' }, true, null],
  ['value', { kind: 'binary' }, true, null],
  ['headers', { kind: 'string', json: true }, false, null],
  ['schema_id', { kind: 'string' }, true, 'schema that the record names, where it names one'],
  ['byte_offset', { kind: 'int' }, false, 'where in the value, or the key, decoding failed'],
] as const satisfies readonly (readonly [string, PrimitiveType, boolean, string | null])[]

/** Columns of the record that others may ask for, too. */
const METADATA = {
  topic: '__topic__',
  partition: '__partition__',
  offset: '__offset__',
  record_time: '__timestamp__',
  key: '__key__',
  headers: '__headers__',
} as const

const utf8 = new TextEncoder()

export class DeadLetters {
  readonly table: SourceTable
  readonly name: string
  private readonly options: DeadLetterOptions
  private buffer: RowBuffer | null = null
  private readonly builders: ReadonlyMap<Name, ColumnBuilder>
  private ofEpoch = 0
  /** [records, dead letters among them] of the last steps; the newest last. */
  private readonly steps: { records: number; dead: number }[] = [{ records: 0, dead: 0 }]

  constructor(namespace: string, options: DeadLetterOptions) {
    this.options = options
    this.table = {
      namespace,
      name: options.table,
      incarnation: '',
      columns: COLUMNS.map(([name, type, nullable, comment]): SourceColumn => ({
        identity: name,
        name,
        type,
        nullable,
        comment,
        sourceType: 'dead letter',
        existing: { kind: 'null' },
      })),
      key: null,
      comment: 'records that could not be decoded',
    }
    this.name = tableKey(this.table)
    this.builders = new Map(COLUMNS.map(([name, type]) => [name, columnBuilder(type)]))
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

  /** Records were read; those that are dead letters are added besides. */
  count(records: number): void {
    const { steps } = this
    const last = steps.at(-1)
    if (last !== undefined) last.records += records
    if (last === undefined || last.records >= STEP) steps.push({ records: 0, dead: 0 })
    if (steps.length > WINDOW / STEP + 1) steps.shift()
  }

  /** A checkpoint was taken. */
  endEpoch(): void {
    this.ofEpoch = 0
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
      const builder = this.builders.get(column as Name)
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
    buffer.rows = row + 1
    buffer.stamp(row, set, orderBase)
    buffer.bytes += set.bytes.length / Math.max(1, set.count)
    this.judge(set, record)
  }

  take(): ChangeBatch | null {
    return this.buffer === null || this.buffer.rows === 0 ? null : this.buffer.take()
  }

  private setText(name: Name, row: number, text: string | null): void {
    const builder = this.builders.get(name) as BytesBuilder
    if (text === null) builder.setNull(row)
    else {
      const bytes = utf8.encode(text)
      builder.setBytes(row, bytes, 0, bytes.length)
    }
  }

  private judge(set: RecordSet, record: number): void {
    const { rowsMax, ratioMax } = this.options
    this.ofEpoch++
    const last = this.steps.at(-1)
    if (last !== undefined) last.dead++
    const dead = this.steps.reduce((sum, step) => sum + step.dead, 0)
    const tooMany = rowsMax !== null && this.ofEpoch > rowsMax
    const tooDense = ratioMax !== null && dead > ratioMax * WINDOW
    if (!tooMany && !tooDense) return
    const what = tooMany
      ? `more than ${rowsMax} records since the last checkpoint`
      : `more than ${dead - 1} of the last ${WINDOW} records`
    const offset = set.offsets[record] ?? 0
    throw new PipelineError('DEAD_LETTERS_MAX', `${what} cannot be decoded`, {
      detail:
        `The last one stands at offset ${offset} of partition ${set.partition} of topic ` +
        `"${set.topic}". Nothing since the last checkpoint is committed.`,
    })
  }
}
