// From the records of one topic to the rows of its table: runs of values and runs of null values,
// each with their keys, and what else the table has of a record. Rows of all partitions go into one
// buffer. What cannot be decoded is told, and costs the records around it nothing.

import { assert } from '../../../runtime/base/assert.ts'
import type { Clock } from '../../../runtime/base/clock.ts'
import { BATCH_ROWS_MAX } from '../../../runtime/data/batch.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { tableKey, type TableSchema } from '../../../runtime/data/schema.ts'
import type { DecodeFault, RecordDecoder, RecordFormat } from '../format.ts'
import type { NullValue } from '../options.ts'
import type { RecordSet } from '../records.ts'
import { shapeOf, type ShapeOptions, type TableShape } from '../table-shape.ts'
import { KeyRows } from './key-rows.ts'
import { fillMetadata } from './metadata-columns.ts'
import { RowBuffer } from './row-buffer.ts'
import { RowTimes, type Fate, type RowTimesOptions } from './row-times.ts'
import { RunView } from './run-view.ts'

export interface TopicRowsOptions extends ShapeOptions {
  readonly key: RecordFormat | null
  readonly value: RecordFormat
  readonly nullValue: NullValue
  /** `null`: nobody asks when rows happened. */
  readonly eventTime: RowTimesOptions | null
  readonly clock: Pick<Clock, 'nowMs'>
}

/** What decoders said at the last checkpoint. */
export interface SavedDecoders {
  readonly key: string | null
  readonly value: string | null
}

export interface FaultPlace {
  readonly set: RecordSet
  /** Its index in the set. */
  readonly record: number
  /** Order of a record at offset 0 of this partition. */
  readonly orderBase: number
  readonly fate: Fate
}

export type OnFault = (fault: DecodeFault, place: FaultPlace) => void

/** Where decoding stands, and the decoder that needs something before it goes on. */
export interface Step {
  next: number
  waits: RecordDecoder | null
}

const KEYLESS: DecodeFault = {
  name: 'RECORD_NULL',
  message: 'a column of source.primary_keys has no value',
  byteOffset: 0,
}

const NO_SCHEMA: TableSchema = {
  table: '',
  version: -1,
  fields: [],
  key: null,
  comment: null,
  lastFieldId: 0,
}

export class TopicRows {
  readonly name: string
  readonly id: string
  /** `tableKey`. */
  readonly table: string
  /** `null`: nobody asks when rows happened. */
  readonly times: RowTimes | null
  /** Null values passed over since the start. */
  skipped = 0
  private readonly options: TopicRowsOptions
  private readonly onFault: OnFault
  private readonly keyDecoder: RecordDecoder | null
  private readonly valueDecoder: RecordDecoder
  private keys: KeyRows | null = null
  private shape: TableShape | null = null
  private buffer = new RowBuffer(NO_SCHEMA, [], [])
  private readonly view = new RunView()
  private readonly step: Step = { next: 0, waits: null }
  /** Rows that one call makes: few behind one that was taken back, with all that followed it. */
  private pace = BATCH_ROWS_MAX

  constructor(
    topic: { readonly name: string; readonly id: string },
    options: TopicRowsOptions,
    saved: SavedDecoders | null,
    onFault: OnFault,
  ) {
    this.name = topic.name
    this.id = topic.id
    this.table = tableKey({ namespace: options.namespace, name: topic.name })
    this.options = options
    this.times = options.eventTime && new RowTimes(this.table, options.eventTime)
    this.onFault = onFault
    this.keyDecoder = options.key?.decoder(topic.name, 'key', saved?.key ?? null) ?? null
    this.valueDecoder = options.value.decoder(topic.name, 'value', saved?.value ?? null)
  }

  get rows(): number {
    return this.buffer.rows
  }

  /** The batch is to be taken before it gets another row. */
  get full(): boolean {
    return this.buffer.full
  }

  take(): ReturnType<RowBuffer['take']> {
    return this.buffer.take()
  }

  /** Rows have a structure. */
  get known(): boolean {
    return this.shape !== null
  }

  /** The decoders have another structure than the rows: take them, then `follow`. */
  get moved(): boolean {
    const { shape } = this
    if (shape === null) return this.isKnown()
    return shape.valueTable !== this.valueDecoder.table || shape.keyTable !== this.keyTable()
  }

  /** @returns the table as the decoders have it; `null`: its columns are not known yet */
  nextShape(): TableShape | null {
    if (!this.isKnown()) return null
    return shapeOf(this, this.keyTable(), this.valueDecoder.table, this.options)
  }

  /** @param schema  of `shape`: one field a column, in its order */
  follow(shape: TableShape, schema: TableSchema): void {
    assert(this.buffer.rows === 0, 'rows of before have been taken')
    assert(schema.fields.length === shape.origins.length, 'a schema has the columns of its table')
    const builders = shape.valueTable.columns.map(({ type }) => columnBuilder(type))
    const columns = shape.origins.map((origin, index): ColumnBuilder => {
      const own = origin.part === 'value' ? builders[origin.index] : undefined
      return own ?? columnBuilder(schema.fields[index]!.type)
    })
    this.shape = shape
    this.buffer = new RowBuffer(schema, columns, builders)
    this.keys = this.keyDecoder === null ? null : new KeyRows(this.keyDecoder)
    this.times?.follow(schema)
  }

  save(): SavedDecoders {
    return { key: this.keyDecoder?.save() ?? null, value: this.valueDecoder.save() }
  }

  /**
   * Decodes records from `from` on, until the set ends, the batch is full, or a decoder waits.
   *
   * @param orderBase  order of a record at offset 0 of this partition
   * @returns an object that the next call uses again
   */
  decode(set: RecordSet, from: number, orderBase: number): Step {
    const { step, buffer } = this
    step.next = from
    step.waits = null
    const { valueStart } = set
    const ours = !this.options.value.readsNull
    while (step.next < set.count && step.waits === null && !buffer.full) {
      const first = step.next
      const isNull = ours && valueStart[first]! < 0
      let end = first + 1
      const reach = Math.min(set.count, first + this.pace)
      if (ours) while (end < reach && valueStart[end]! < 0 === isNull) end++
      else end = set.count
      if (isNull) this.decodeNulls(set, first, end, orderBase)
      else this.decodeValues(set, first, end, orderBase)
    }
    return step
  }

  private decodeValues(set: RecordSet, from: number, to: number, orderBase: number): void {
    const { buffer, step } = this
    const limit = Math.min(buffer.room(recordBytes(set)), this.pace)
    const end = this.decodeKeys(set, from, Math.min(to, from + limit), orderBase)
    if (end === from) return
    const start = buffer.rows
    const { next, stop } = this.valueDecoder.decode(this.view.of(set, end), from, limit, buffer)
    step.next = next
    if (stop === 'structure' || stop === 'load') step.waits = this.valueDecoder
    this.finish(set, from, start, orderBase)
  }

  /** @returns behind the last record whose key is known; `from`: the step is done, for now */
  private decodeKeys(set: RecordSet, from: number, to: number, orderBase: number): number {
    const { keys, step } = this
    if (keys === null) return to
    const end = keys.decode(set, from, to)
    if (end > from) return end
    if (keys.fault !== null) {
      this.onFault(keys.fault, { set, record: from, orderBase, fate: 'fault' })
      step.next = from + 1
    } else step.waits = keys.decoder
    return from
  }

  private decodeNulls(set: RecordSet, from: number, to: number, orderBase: number): void {
    const { buffer, step, options } = this
    const { nullValue } = options
    if (nullValue === 'skip') {
      this.skipped += to - from
      step.next = to
      return
    }
    const deletes = nullValue === 'delete'
    // A table that is not known yet has no row to delete.
    if (deletes && this.shape === null) {
      step.next = to
      return
    }
    if (!deletes || this.shape?.deletable === false) {
      const message = deletes ? 'the value is null, and the key names no row' : 'the value is null'
      const fault = { name: 'RECORD_NULL', message, byteOffset: 0 } as const
      for (let record = from; record < to; record++) {
        const fate = nullValue === 'dlq' ? 'dlq' : 'fault'
        this.onFault(fault, { set, record, orderBase, fate })
      }
      step.next = to
      return
    }
    const limit = buffer.room(recordBytes(set))
    const end = this.decodeKeys(set, from, Math.min(to, from + limit), orderBase)
    if (end === from) return
    const start = buffer.rows
    for (let record = from; record < end; record++) buffer.addDelete(record)
    step.next = end
    this.finish(set, from, start, orderBase)
  }

  /** Fills what the value does not give of the rows from `start` on, and tells the faults. */
  private finish(set: RecordSet, from: number, start: number, orderBase: number): void {
    const { buffer, step, keys, shape } = this
    buffer.reserve(buffer.rows)
    const { columns, record, rows } = buffer
    if (shape !== null && rows > start) {
      for (const [index, origin] of shape.origins.entries()) {
        const builder = columns[index]!
        if (origin.part === 'metadata') {
          fillMetadata(origin.name, builder, set, record, start, rows)
        } else if (origin.part === 'key') {
          keys?.fill(builder, origin.index, record, start, rows)
        }
      }
    }
    const faults = buffer.takeFaults()
    const back = this.takeBack(start, set)
    for (const { record: at, fault } of faults) {
      const told = back === null || at < back.record
      if (told) this.onFault(fault, { set, record: at, orderBase, fate: 'fault' })
    }
    if (back !== null) {
      this.onFault(back.fault, { set, record: back.record, orderBase, fate: back.fate })
      step.next = back.record + 1
      step.waits = null
    }
    // Where one row after the other has no key or no time, each is decoded once or twice.
    this.pace = back === null ? Math.min(BATCH_ROWS_MAX, this.pace * 2) : 1
    buffer.stamp(start, set, orderBase)
    buffer.bytes += (step.next - from) * recordBytes(set)
  }

  /**
   * Takes back the first record with a row that has no key or no time, and all behind it; what the
   * others say of time is noted.
   *
   * @returns `null`: all rows stay
   */
  private takeBack(
    start: number,
    set: RecordSet,
  ): { readonly record: number; readonly fault: DecodeFault; readonly fate: Fate } | null {
    const { buffer, times, options } = this
    const clockMs = times === null ? 0 : options.clock.nowMs()
    let row = this.firstKeyless(start)
    const untimely = times?.firstUntimely(buffer, set, start, row, clockMs) ?? null
    if (untimely !== null) row = untimely.row
    const record = row === buffer.rows ? null : buffer.record[row]!
    if (record !== null) {
      while (row > start && buffer.record[row - 1] === record) row--
      buffer.truncate(row)
    }
    times?.note(buffer, set, start, row, clockMs)
    if (record === null) return null
    const { fault, fate } = untimely ?? { fault: KEYLESS, fate: 'fault' }
    return { record, fault, fate }
  }

  /** @returns the first row whose key has no value, or behind the last */
  private firstKeyless(start: number): number {
    const { buffer } = this
    let row = buffer.rows
    for (const index of buffer.schema.key ?? []) {
      const at = buffer.columns[index]!.firstNull(start, row)
      if (at >= 0) row = at
    }
    return row
  }

  private keyTable(): TableShape['keyTable'] {
    return this.keyDecoder?.table ?? null
  }

  /** Without a column the value has no structure yet, and a key may not have one either. */
  private isKnown(): boolean {
    const keyKnown = this.keyDecoder === null || this.keyDecoder.table.columns.length > 0
    return keyKnown && this.valueDecoder.table.columns.length > 0
  }
}

/** Bytes of a record of the set, on the average. */
function recordBytes({ count, keyStart, valueStart, headersStart, headersEnd }: RecordSet): number {
  const key = keyStart[0]!
  const value = valueStart[0]!
  const start = key >= 0 ? key : value >= 0 ? value : headersStart[0]!
  return Math.ceil((headersEnd[count - 1]! - start) / count)
}
