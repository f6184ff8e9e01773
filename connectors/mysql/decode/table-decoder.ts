// Decodes rows events of one table shape into the batch under construction, by code generated for
// the shape. It stops where the batch is full, so a caller cuts batches in the middle of an event
// and calls again with the place that it got.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { Op } from '../../../runtime/data/batch.ts'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import type { ExistingValue, TableSchema } from '../../../runtime/data/schema.ts'
import { AbsentColumns } from './absent-columns.ts'
import type { ChangeBuilder } from './change-builder.ts'
import { codePointsOf, charsetKind } from './charset.ts'
import { isReadable, Status, type ColumnTarget } from './column-code.ts'
import type { Binding } from './column-plan.ts'
import { corrupt, viewOf } from './cursor.ts'
import { decimalShape } from './decimal.ts'
import { RowsOp, type Presence, type RowsEvent, type TableMap } from './events.ts'
import { fullSource, partialSource, type RowShape } from './row-code.ts'
import { labelBytes, rowRuntime } from './row-runtime.ts'
import { ColumnCode } from './table-map.ts'
import { calendarTable } from './temporal.ts'

/** How a call of generated code ended. */
interface Outcome {
  row: number
  status: number
  column: number
}

/**
 * Decodes images from bytes[at] on into rows `row`, ... of `columns`, until `stop` is passed or
 * `limit` reached. `end` bounds every read.
 *
 * @returns where the next image begins; on a status other than `done` where the failing one does
 */
type DecodeRows = (
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  stop: number,
  columns: readonly ColumnBuilder[],
  views: DataView[],
  row: number,
  limit: number,
  out: Outcome,
  present: Uint8Array,
  after: Uint8Array,
  anyKey: boolean,
) => number

interface GeneratedCode {
  /** Single images: inserts and deletes. */
  readonly images: DecodeRows
  /** Pairs of before and after images. */
  readonly updates: DecodeRows
}

export class TableDecoder {
  readonly table: TableMap
  readonly schema: TableSchema
  /**
   * Set when `decode` stopped before a row that cannot be carried on: VALUE_UNREPRESENTABLE,
   * UNCHANGED_VALUE_MISSING or LOG_UNKNOWN_EVENT (differences of JSON). Rows before it are in the
   * batch; take it, reset it, park the table.
   */
  failure: PipelineError | null = null
  private readonly oldRows: boolean
  private readonly shape: RowShape
  private readonly absent: AbsentColumns
  private full: GeneratedCode | null = null
  private partial: GeneratedCode | null = null
  private readonly out: Outcome = { row: 0, status: 0, column: -1 }
  private view = viewOf(new Uint8Array(0))

  /**
   * @param binding   by field of `schema`, the index of its column in `table` (`bindColumns`)
   * @param defaults  by field: what an INSERT that does not mention the column stores. Only looked
   *                  at with binlog_row_image=MINIMAL (`defaultOf`)
   * @param unlogged  fields that may change where an update leaves them out
   * @param oldRows   each update is followed by the row that it replaced
   * @throws PipelineError TYPE_UNSUPPORTED when the size of a column's values is unknown
   */
  constructor(
    table: TableMap,
    schema: TableSchema,
    binding: Binding,
    defaults: readonly ExistingValue[],
    unlogged: ReadonlySet<number> = new Set(),
    oldRows = false,
  ) {
    this.oldRows = oldRows
    this.table = table
    this.schema = schema
    const targets = table.columns.map((column, index): ColumnTarget => {
      if (!isReadable(column)) throw unreadable(table, index)
      const field = binding.indexOf(index)
      return { index, column, field, type: schema.fields[field]?.type ?? null }
    })
    const key = (schema.key ?? []).map((field) => binding[field] ?? -1)
    this.shape = { targets, key }
    this.absent = new AbsentColumns(schema, binding, defaults, unlogged)
  }

  /**
   * Decodes row images of `event` from `at` on.
   *
   * @param at        `event.start` at first, then what the last call returned
   * @param into      of this schema; its transaction has been named
   * @param sequence  number in its transaction of the next row
   * @returns where to go on: `event.end` when all is decoded. Before that, either `into.full` or
   *          `failure` is set. Rows appended are the difference of `into.rows`
   * @throws PipelineError LOG_CORRUPT
   */
  decode(event: RowsEvent, at: number, into: ChangeBuilder, sequence: number): number {
    if (event.partial) {
      this.failure = partialJson(this.table)
      return at
    }
    if (
      event.bytes.buffer !== this.view.buffer ||
      event.bytes.byteOffset !== this.view.byteOffset
    ) {
      this.view = viewOf(event.bytes)
    }
    const { presence, op, end } = event
    this.failure = this.problemOf(op, presence)
    let place = at
    let number = sequence
    while (place < end && !into.full && this.failure === null) {
      const first = into.changes
      const replaces = this.oldRows && op === RowsOp.update
      place = replaces
        ? this.updatedRow(event, place, into, number)
        : this.run(event, place, into, number)
      number += into.changes - first
    }
    return place
  }

  private problemOf(op: RowsOp, presence: Presence): PipelineError | null {
    const { absent } = this
    if (op === RowsOp.insert) return absent.insertProblem(presence)
    const problem = absent.keyProblem(presence)
    return op === RowsOp.update ? (problem ?? absent.updateProblem(presence)) : problem
  }

  /** One call of generated code, and what it could not do itself. */
  private run(event: RowsEvent, at: number, into: ChangeBuilder, sequence: number): number {
    const { presence, op } = event
    const code = this.codeFor(presence)
    const decode = op === RowsOp.update ? code.updates : code.images
    // Room for 1 row is room for 256 or more.
    into.reserveRows(into.rows + 2)
    const limit = Math.min(into.capacity, into.limits.rowsMax - 1)
    const next = this.call(decode, event, at, into, limit, false)
    this.finish(OP_OF[op], presence, into, sequence, next - at)
    const { status, column } = this.out
    if (status === Status.keyChanged) {
      const start = sequence + (this.out.row - this.firstRow)
      return this.replacedRow(event, next, into, start)
    }
    if (status === Status.corrupt) throw corrupt(`rows of table ${this.table.name}`)
    if (status === Status.unrepresentable) this.failure = this.unrepresentable(column)
    return next
  }

  /** Row of the batch that the last call began with. */
  private firstRow = 0

  private call(
    decode: DecodeRows,
    { bytes, end, presence }: RowsEvent,
    at: number,
    into: ChangeBuilder,
    limit: number,
    anyKey: boolean,
  ): number {
    const { out, view } = this
    this.firstRow = into.rows
    const { image, after } = presence
    const stop = Math.min(end, at + into.limits.bytesMax - into.bytes)
    const { columns, views, rows } = into
    try {
      return decode(
        bytes,
        view,
        at,
        end,
        stop,
        columns,
        views,
        rows,
        limit,
        out,
        image,
        after,
        anyKey,
      )
    } catch (error) {
      // A DataView refuses to read beyond the bytes.
      if (error instanceof RangeError && /outside the bounds/.test(error.message)) {
        throw corrupt(`rows of table ${this.table.name}`)
      }
      throw error
    }
  }

  /** Completes the rows of the last call: ops, columns that the images lack, transaction. */
  private finish(
    op: Op,
    presence: Presence,
    into: ChangeBuilder,
    sequence: number,
    bytes: number,
  ): void {
    const { row } = this.out
    into.ops.fill(op, into.rows, row)
    if (!presence.full) this.absent.fill(op, presence, into.columns, into.rows, row)
    into.addRows(row - into.rows, sequence, bytes, op === Op.before)
  }

  /**
   * An update that changes the key: a delete of the old row and an insert of the new one. Without a
   * key only the old row says which one it was: it comes as a delete before the update.
   */
  private replacedRow(event: RowsEvent, at: number, into: ChangeBuilder, sequence: number): number {
    const { presence } = event
    const missing = this.absent.missingAfter(presence)
    if (missing !== null) {
      this.failure = missing
      return at
    }
    // `full` has kept room for two rows, but those before this one in the same call may have
    // taken it: the caller takes the batch and comes again.
    if (into.full) return at
    into.reserveRows(into.rows + 2)
    const code = this.codeFor(presence)
    const before: Presence = { ...presence, after: presence.image }
    const image = { ...event, presence: before }
    this.call(code.images, image, at, into, into.rows + 1, true)
    if (this.out.status !== Status.done) return this.rowFailed(at)
    this.finish(Op.delete, before, into, sequence, 0)
    const next = this.call(code.updates, event, at, into, into.rows + 1, true)
    if (this.out.status !== Status.done) return this.rowFailed(at)
    const op = this.schema.key === null ? Op.update : Op.insert
    this.finish(op, presence, into, sequence + 1, next - at)
    return next
  }

  /** An update, and behind it the row that it replaced; neither, where one cannot be decoded. */
  private updatedRow(event: RowsEvent, at: number, into: ChangeBuilder, sequence: number): number {
    const { presence } = event
    into.reserveRows(into.rows + 2)
    const code = this.codeFor(presence)
    const next = this.call(code.updates, event, at, into, into.rows + 1, false)
    if (this.out.status === Status.keyChanged) return this.replacedRow(event, at, into, sequence)
    if (this.out.status !== Status.done) return this.rowFailed(at)
    const changes = into.changes
    this.finish(Op.update, presence, into, sequence, 0)
    const before: Presence = { ...presence, after: presence.image }
    this.call(code.images, { ...event, presence: before }, at, into, into.rows + 1, true)
    if (this.out.status !== Status.done) {
      into.rows--
      into.changes = changes
      return this.rowFailed(at)
    }
    this.finish(Op.before, before, into, sequence, next - at)
    return next
  }

  private rowFailed(at: number): number {
    const { status, column } = this.out
    if (status === Status.corrupt) throw corrupt(`rows of table ${this.table.name}`)
    this.failure = this.unrepresentable(column)
    return at
  }

  private unrepresentable(index: number): PipelineError {
    const column = this.table.columns[index]
    const name = `${this.table.database}.${this.table.name}`
    return new PipelineError(
      'VALUE_UNREPRESENTABLE',
      `column "${column?.name ?? index}" of table "${name}" has a value that the lake cannot hold`,
      { detail: reasonOf(column?.type ?? 0) },
    )
  }

  private codeFor({ full }: Presence): GeneratedCode {
    if (full) {
      this.full ??= this.compile('full', fullSource(this.shape))
      return this.full
    }
    this.partial ??= this.compile('partial', partialSource(this.shape))
    return this.partial
  }

  private compile(variant: string, source: string): GeneratedCode {
    const { database, name, columns } = this.table
    dump(`${database}.${name}.${this.schema.version}.${variant}.js`, source)
    const { dayBefore, length } = calendarTable()
    const charsets = columns.map(({ charset }) =>
      charset !== null && charsetKind(charset) === 'single' ? codePointsOf(charset) : null,
    )
    const labels = columns.map((column) => labelBytes(column.labels))
    const shapes = columns.map(({ type, meta }) =>
      type === ColumnCode.newDecimal ? decimalShape(meta >> 8, meta & 0xff) : null,
    )
    // Code for each table shape is what this room is for.
    // oxlint-disable-next-line typescript/no-implied-eval
    const factory = new Function(
      'runtime, shapes, tables, labels, dayBefore, monthLength',
      `'use strict'\n${source}`,
    )
    return factory(rowRuntime, shapes, charsets, labels, dayBefore, length) as GeneratedCode
  }
}

const OP_OF: Readonly<Record<RowsOp, Op>> = {
  [RowsOp.insert]: Op.insert,
  [RowsOp.update]: Op.update,
  [RowsOp.delete]: Op.delete,
}

function reasonOf(type: number): string {
  switch (type) {
    case ColumnCode.tiny:
      return 'The column is read as boolean, and the value is neither 0 nor 1.'
    case ColumnCode.bit:
      return 'The value has its 64th bit set, which a signed long has no place for.'
    case ColumnCode.date:
    case ColumnCode.datetime:
    case ColumnCode.datetime2:
    case ColumnCode.timestamp:
    case ColumnCode.timestamp2:
      return 'The date is zero, has a zero part, or does not exist.'
    default:
      return 'The bytes are no text in the charset of the column.'
  }
}

function unreadable(table: TableMap, index: number): PipelineError {
  const { type, name } = table.columns[index]!
  return new PipelineError(
    'TYPE_UNSUPPORTED',
    `column "${name ?? index}" of table "${table.database}.${table.name}" has unknown type ${type}`,
  )
}

function partialJson({ database, name }: TableMap): PipelineError {
  return new PipelineError(
    'LOG_UNKNOWN_EVENT',
    `updates of table "${database}.${name}" are in the log as differences of JSON documents`,
    {
      hint:
        'Run `SET PERSIST binlog_row_value_options=""`, end the sessions that set it, then run ' +
        '`millrace resync FILE --table TABLE`.',
    },
  )
}

/** MILLRACE_DUMP_DECODERS=folder keeps the code that runs, to be read and profiled. */
function dump(name: string, source: string): void {
  const folder = process.env['MILLRACE_DUMP_DECODERS']
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name.replaceAll(/[^\w.-]/g, '_')), `${source}\n`)
}
