// A transform at work: filter, projection, casts and masks of a batch in one pass over its columns.
// Only rows that leave are computed, and what leaves lies in memory of its own.

import { createHmac } from 'node:crypto'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { timeColumn } from '../../runtime/data/change-columns.ts'
import { appendRows } from '../../runtime/data/column/append.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { bitmapBytes, type Column } from '../../runtime/data/column/column.ts'
import type { Evaluation } from '../../runtime/data/expression/compile.ts'
import type { RowFailure, RowFailures } from '../../runtime/data/expression/failures.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import { requireSent } from '../../runtime/data/sent-values.ts'
import type { DeadRow, OperatorOutput, OperatorPlan } from '../../runtime/operator.ts'
import { DeadRows } from './dead-rows.ts'
import { OldRows } from './old-rows.ts'
import {
  BY_COMMITS,
  type InsertedRows,
  type MaskKey,
  NO_MASK_KEY,
  type RowTimes,
  type SinkKind,
  type TransformOptions,
} from './options.ts'
import { planTransform, type TransformPlan } from './plan.ts'
import { Staged, stagesOf, type LastOperator } from './stages.ts'

/** @returns the plan of one entry of `transform` */
export function transformPlan(
  options: TransformOptions,
  sink: SinkKind,
  maskKey: MaskKey = NO_MASK_KEY,
  inserted: InsertedRows = 'new',
  times: RowTimes = BY_COMMITS,
): OperatorPlan {
  const { json, explode, ...others } = options
  // As it was written before there were these two, where there is none of them.
  const parts = { ...(json.length > 0 && { json }), ...(explode !== null && { explode }) }
  const plain = JSON.stringify({ ...others, ...parts })
  const written = /event_time/i.test(plain) ? plain + JSON.stringify(times.event) : plain
  // The key is fetched where something asks for it, and only there.
  const key = /hmac_sha256/i.test(written) ? maskKey : NO_MASK_KEY
  return {
    get semantics() {
      return written + fingerprint(key())
    },
    plan: (table) => {
      const stages = stagesOf(table, options, sink)
      const last = stages.at(-1)?.output ?? table
      const planned = planTransform(last, options, sink, key(), times)
      const own = new Transform(planned, options, sink, inserted)
      if (own.readsOldRows && inserted === 'unknown') {
        throw new PipelineError('OPERATOR_REFUSED', OLD_OF_TOPICS)
      }
      if (stages.length === 0) return own
      if (own.readsOldRows) throw new PipelineError('OPERATOR_REFUSED', OLD_AND_STAGES)
      return new Staged(table, stages, own)
    },
  }
}

const OLD_OF_TOPICS =
  '`before` and `is_changed` have no value in tables of topics: rows come without those that they ' +
  'replaced'

const OLD_AND_STAGES =
  '`before` and `is_changed` have no place beside `json` and `explode`: rows are not taken apart as ' +
  'they were before an update'

/** Another key gives other rows; what a checkpoint has of it does not give it away. */
function fingerprint(key: Uint8Array | null): string {
  if (key === null) return ''
  return ` ${createHmac('sha256', key).update('millrace mask_key').digest('hex').slice(0, 16)}`
}

/** Rows of a batch that leave, and what they leave as. */
interface LeavingRows {
  /** Ascending; `null`: all. */
  readonly selection: Int32Array | null
  readonly rows: number
  /** By leaving row. */
  readonly ops: Uint8Array
}

class Transform implements LastOperator {
  readonly output: SourceTable
  readonly secret: ReadonlySet<number>
  readonly readsOldRows: boolean
  private readonly plan: TransformPlan
  private readonly options: TransformOptions
  private readonly sink: SinkKind
  private readonly inserted: InsertedRows

  constructor(
    plan: TransformPlan,
    options: TransformOptions,
    sink: SinkKind,
    inserted: InsertedRows,
  ) {
    this.plan = plan
    this.options = options
    this.sink = sink
    this.inserted = inserted
    this.output = plan.output
    this.secret = plan.secret
    this.readsOldRows = plan.readsOldRows
  }

  onBatch(given: ChangeBatch, out: OperatorOutput): void {
    const old = this.readsOldRows ? new OldRows(given) : null
    const batch = old?.batch ?? given
    const inputs = this.inputsOf(batch, old)
    this.requireValues(batch, inputs)
    const dead = new DeadRows()
    let leaving = this.leavingRows(batch, inputs, dead)
    const filtered = batch.rows - leaving.rows - dead.count
    let columns = leaving.rows === 0 ? [] : this.columnsOf(batch, inputs, leaving, dead)
    if (columns === null) {
      leaving = living(leaving, dead)
      columns = leaving.rows === 0 ? [] : this.columnsOf(batch, inputs, leaving, dead)
      if (columns === null) throw new RangeError('a row that was computed cannot be any more')
    }
    const made = leaving.rows === 0 ? null : this.batchOf(batch, columns, leaving)
    // Whatever can go wrong has, before anything is counted or leaves.
    if (dead.count > 0) out.dead(placed(dead.list(), old?.origins ?? null), this.secret)
    if (filtered > 0) out.filtered(filtered)
    if (made !== null) out.emit(made)
  }

  private inputsOf(batch: ChangeBatch, old: OldRows | null): readonly Column[] {
    const { hidden, reads, leaving } = this.plan
    if (hidden.length === 0) return batch.columns
    const first = batch.columns.length
    const named = new Set(leaving.map(({ input }) => input))
    // One that nothing reads is not made: an empty stand-in keeps the places of the others.
    const made = hidden.map((one, index) =>
      reads.has(first + index) || named.has(first + index) ? one.make(batch, old) : NOTHING,
    )
    return [...batch.columns, ...made]
  }

  private requireValues(batch: ChangeBatch, inputs: readonly Column[]): void {
    const { reads, leaving } = this.plan
    const taken = (indexes: Iterable<number | null>): Column[] =>
      [...indexes].flatMap((index) => (index === null ? [] : (inputs[index] ?? [])))
    requireSent(batch, taken(reads), 'an expression')
    if (this.options.onError !== 'dlq' || this.sink !== 'upsert') return
    // The sink would take the value from the row that it has, which need not be the one before:
    // that may have been set aside.
    const passed = taken(leaving.map(({ input }) => input))
    requireSent(batch, passed, 'an entry with `on_error: dlq`')
  }

  private leavingRows(batch: ChangeBatch, inputs: readonly Column[], dead: DeadRows): LeavingRows {
    const { filter, filtersByKey } = this.plan
    const { rows, ops } = batch
    if (filter === null) return { selection: null, rows, ops }
    const { selection: passing, failures } = filter.filter(inputs, rows)
    this.requireDecided(batch, failures, dead)
    if (passing === null) return { selection: null, rows, ops }
    if (filtersByKey || this.sink !== 'upsert') return taken(ops, passing)
    return withDeletes(ops, passing, dead, this.inserted)
  }

  /** A row of which it cannot be said whether it passes is in nobody's place to drop. */
  private requireDecided(batch: ChangeBatch, failures: RowFailures, dead: DeadRows): void {
    if (failures.count === 0) return
    for (const failure of failures.byRow().values()) {
      // A delete lacks what the filter reads: it passes, and the sink knows whether there is a row.
      if (batch.ops[failure.row] === Op.delete && !this.plan.filtersByKey) continue
      if (this.options.onError !== 'dlq') throw dirty(batch, failure)
      dead.add(failure, null)
    }
  }

  /** @returns `null` where rows have died: the others are computed without them */
  private columnsOf(
    batch: ChangeBatch,
    inputs: readonly Column[],
    leaving: LeavingRows,
    dead: DeadRows,
  ): readonly Column[] | null {
    const { projection, shorthand } = this.plan
    const { selection } = leaving
    const living = dead.count
    const projected = projection.evaluate(inputs, batch.rows, selection)
    this.requireComputed(batch, projected, 'projection', leaving, dead)
    const masked = shorthand?.evaluate(inputs, batch.rows, selection) ?? null
    if (masked !== null) this.requireComputed(batch, masked, 'shorthand', leaving, dead)
    if (dead.count > living) return null
    const columns = this.plan.leaving.map(({ program, index }) => {
      const column = (program === 'shorthand' ? masked : projected)?.columns[index]
      if (column === undefined) throw new RangeError('a program gives fewer columns than planned')
      return column
    })
    const { softDelete } = this.options
    return softDelete === null ? columns : this.softDeleted(batch, columns, leaving, softDelete.at)
  }

  /** @throws PipelineError EXPRESSION_FAILED where a value is missing that cannot be null either */
  private requireComputed(
    batch: ChangeBatch,
    { failures }: Evaluation,
    program: 'projection' | 'shorthand',
    { selection, ops }: LeavingRows,
    dead: DeadRows,
  ): void {
    if (failures.count === 0) return
    const all = Array.from({ length: failures.count }, (_, at) => failures.describe(at))
    // What is told of a row is its first column's, however the program goes about it.
    for (const failure of all.sort((a, b) => a.output - b.output)) {
      const index = this.plan.leaving.findIndex(
        (one) => one.program === program && one.index === failure.output,
      )
      // Its column is masked or dropped.
      if (index < 0) continue
      if (this.plan.isKey[index] !== true) {
        if (this.options.onError === 'null') continue
        // Of a delete nothing is wanted but its key.
        const row = selection === null ? failure.row : placeIn(selection, failure.row)
        if (ops[row] === Op.delete) continue
      }
      if (this.options.onError !== 'dlq') throw dirty(batch, failure)
      dead.add(failure, this.plan.leaving[index]?.column.name ?? null)
    }
  }

  /** Deletes become updates that leave the row's values as they are. */
  private softDeleted(
    batch: ChangeBatch,
    columns: readonly Column[],
    { selection, rows, ops }: LeavingRows,
    at: string | null,
  ): readonly Column[] {
    const deleted = new Uint8Array(rows)
    let any = false
    for (let row = 0; row < rows; row++) {
      if (ops[row] !== Op.delete) continue
      deleted[row] = 1
      any = true
    }
    const kept = any
      ? columns.map((column, index) =>
          this.plan.isKey[index] === true ? column : keptWhere(column, deleted),
        )
      : columns
    const type = { kind: 'boolean' } as const
    const marks = { validity: null, unchanged: null }
    const flag: Column = { type, layout: 'bool8', length: rows, ...marks, values: deleted }
    if (at === null) return [...kept, flag]
    const times = columnBuilder({ kind: 'timestamptz' })
    appendRows(times, 0, timeColumn(batch), rows, selection)
    for (let row = 0; row < rows; row++) if (deleted[row] === 0) times.markNull(row)
    return [...kept, flag, times.view(rows)]
  }

  private batchOf(
    batch: ChangeBatch,
    columns: readonly Column[],
    { selection, rows, ops }: LeavingRows,
  ): ChangeBatch {
    const soft = this.options.softDelete !== null
    const made = {
      ...batch,
      rows,
      columns,
      ops: soft ? ops.map((op) => (op === Op.delete ? Op.update : op)) : ops,
      transaction: gathered(batch.transaction, selection),
      sequence: gathered(batch.sequence, selection),
      keyHash: null,
    }
    // Nothing was computed: the batch's own memory goes on.
    const untouched =
      selection === null && columns.every((column) => batch.columns.includes(column))
    return untouched ? made : packBatch(made)
  }
}

/** Stands where nobody looks. */
const NOTHING: Column = {
  type: { kind: 'boolean' },
  layout: 'bool8',
  length: 0,
  validity: null,
  unchanged: null,
  values: new Uint8Array(0),
}

function taken(ops: Uint8Array, selection: Int32Array): LeavingRows {
  const left = new Uint8Array(selection.length)
  for (let row = 0; row < left.length; row++) left[row] = ops[selection[row] as number] as number
  return { selection, rows: left.length, ops: left }
}

/**
 * A delete leaves whatever its columns say, since it carries the key alone. An update that does not
 * pass may be of a row that did before: it leaves as a delete, which changes nothing if it did not.
 * So does an inserted row where an older version of it may have passed.
 */
function withDeletes(
  ops: Uint8Array,
  passing: Int32Array,
  dead: DeadRows,
  inserted: InsertedRows,
): LeavingRows {
  const rows = ops.length
  const selection = new Int32Array(rows)
  const left = new Uint8Array(rows)
  let count = 0
  let next = 0
  for (let row = 0; row < rows; row++) {
    const passes = passing[next] === row
    if (passes) next++
    const op = ops[row] as number
    if (!passes && inserted === 'new' && op !== Op.delete && op !== Op.update) continue
    if (dead.has(row)) continue
    selection[count] = row
    left[count++] = passes ? op : Op.delete
  }
  return { selection: selection.slice(0, count), rows: count, ops: left.slice(0, count) }
}

/** @returns them as rows of the batch that came */
function placed(rows: readonly DeadRow[], origins: Int32Array | null): readonly DeadRow[] {
  if (origins === null) return rows
  return rows.map((one) => ({ ...one, row: origins[one.row] ?? 0 }))
}

/** @returns the rows that leave without those that have died */
function living({ selection, rows, ops }: LeavingRows, dead: DeadRows): LeavingRows {
  const left = dead.without(selection, rows)
  const places = selection === null ? left : left.map((row) => placeIn(selection, row))
  return { selection: left, rows: left.length, ops: Uint8Array.from(places, (at) => ops[at] ?? 0) }
}

/** @returns the place of a row in an ascending selection that has it */
function placeIn(selection: Int32Array, row: number): number {
  let [low, high] = [0, selection.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((selection[middle] as number) <= row) low = middle
    else high = middle
  }
  return low
}

function gathered(values: Uint32Array, selection: Int32Array | null): Uint32Array {
  if (selection === null) return values
  const left = new Uint32Array(selection.length)
  for (let row = 0; row < left.length; row++) left[row] = values[selection[row] as number] as number
  return left
}

/** @returns the column with the rows of `where` as what the source did not send */
function keptWhere(column: Column, where: Uint8Array): Column {
  const unchanged = column.unchanged?.slice() ?? new Uint8Array(bitmapBytes(where.length))
  const validity = column.validity?.slice() ?? null
  for (let row = 0; row < where.length; row++) {
    if (where[row] === 0) continue
    const bit = 1 << (row & 7)
    unchanged[row >> 3] = (unchanged[row >> 3] as number) | bit
    if (validity !== null) validity[row >> 3] = (validity[row >> 3] as number) | bit
  }
  return { ...column, unchanged, validity }
}

function dirty({ table }: ChangeBatch, { message, expression }: RowFailure): PipelineError {
  return new PipelineError('EXPRESSION_FAILED', `table "${table}": ${message} in ${expression}`, {
    detail: 'No row of its batch was written.',
  })
}
