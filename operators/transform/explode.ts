// `explode` of a transform: each element of a list, or of a JSON array, becomes a row. The log has
// the row after a change and not the one before it, so where rows are told apart by key a row says
// of every place that an element can have whether there is one: whatever a change has taken away
// leaves as a delete, which changes nothing if it was not there.

import { PipelineError } from '../../runtime/base/errors.ts'
import { BATCH_ROWS_MAX, Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import type { SourceColumn, SourceTable } from '../../runtime/data/schema.ts'
import { requireSent } from '../../runtime/data/sent-values.ts'
import { formatType, type ColumnType } from '../../runtime/data/type.ts'
import type { DeadRows } from './dead-rows.ts'
import { elementsOf, type Elements } from './elements.ts'
import { BatchEnds, gatherOrNull } from './multiplied.ts'
import type { ExplodeOptions, SinkKind, TransformOptions } from './options.ts'
import type { Part, Stage } from './stage.ts'

const INT = { kind: 'int' } as const
/** Of an element that is none: the row's number 0, or that of a delete. */
const NO_ELEMENT = -1

/** @throws PipelineError OPERATOR_REFUSED */
export function explode(
  table: SourceTable,
  options: ExplodeOptions,
  sink: SinkKind,
  onError: TransformOptions['onError'],
): Stage {
  return new Explode(table, options, sink, onError)
}

/** What leaves, by row that leaves. */
interface Leaving {
  rows: number
  /** Of the row that it comes from. */
  readonly parents: Int32Array
  readonly ops: Uint8Array
  readonly ordinals: Int32Array
  /** Index into all elements of the batch; NO_ELEMENT: there is none. */
  readonly elements: Int32Array
}

class Explode implements Stage {
  readonly output: SourceTable
  private readonly options: ExplodeOptions
  private readonly keyed: boolean
  private readonly onError: TransformOptions['onError']
  private readonly at: number
  /** Of the column that is taken apart. */
  private readonly identity: string
  /** By column of the table: a delete needs it. */
  private readonly isKey: readonly boolean[]
  private readonly elementType: ColumnType

  constructor(
    table: SourceTable,
    options: ExplodeOptions,
    sink: SinkKind,
    onError: TransformOptions['onError'],
  ) {
    this.options = options
    this.onError = onError
    this.keyed = sink === 'upsert'
    this.at = explodedColumn(table, options.column)
    this.identity = table.columns[this.at]?.identity ?? ''
    this.isKey = table.columns.map(({ identity }) => table.key?.includes(identity) === true)
    requireMode(sink, options)
    this.elementType = elementTypeOf(table.columns[this.at] as SourceColumn)
    this.output = this.outputOf(table, sink)
  }

  private outputOf(table: SourceTable, sink: SinkKind): SourceTable {
    const { as, ordinal } = this.options
    const element = madeColumn(as, this.elementType, true, sink)
    const number = ordinal === null ? [] : [madeColumn(ordinal, INT, false, sink)]
    const before = table.columns.slice(0, this.at)
    const columns = [...before, element, ...number, ...table.columns.slice(this.at + 1)]
    const names = columns.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) {
      const message = `\`explode\` makes column "${twice}", which is there already`
      throw new PipelineError('OPERATOR_REFUSED', message)
    }
    // In `append` the key is that of the row: its elements come from one image of it, or not at all.
    const parts = this.keyed ? number.map(({ identity }) => identity) : []
    const key = table.key === null ? null : [...table.key, ...parts]
    return { ...table, columns, key }
  }

  take(batch: ChangeBatch, dead: DeadRows): readonly Part[] {
    const exploded = batch.columns[this.at] as Column
    const carried = this.keyed ? batch : { ...batch, ops: onlyNewRows(batch.ops) }
    // What an element's row shares with its siblings cannot be looked up under its own key.
    requireSent(carried, this.keyed ? batch.columns : [exploded], '`explode`')
    const elements = elementsOf(exploded, carried, (row, reason) => {
      if (this.onError !== 'null') this.refuse(batch, row, reason, dead)
    })
    const leaving = this.leavingRows(carried, elements, dead)
    const ends = new BatchEnds(batch, this.at, leaving.parents, leaving.rows)
    const made: Part[] = []
    for (let from = 0; from < leaving.rows;) {
      const to = ends.endOf(from, BATCH_ROWS_MAX)
      made.push(this.partOf(batch, elements, leaving, from, to))
      from = to
    }
    return made
  }

  secretBefore(secret: ReadonlySet<string>): ReadonlySet<string> {
    const before = new Set(secret)
    if (before.delete(identityOf(this.options.as))) before.add(this.identity)
    return before
  }

  private leavingRows(batch: ChangeBatch, elements: Elements, dead: DeadRows): Leaving {
    const { max, outer } = this.options
    const most = this.keyed ? (max ?? 0) + 1 : 1
    let total = 0
    for (const count of elements.counts) total += Math.max(count, most)
    const leaving: Leaving = {
      rows: 0,
      parents: new Int32Array(total),
      ops: new Uint8Array(total),
      ordinals: new Int32Array(total),
      elements: new Int32Array(total),
    }
    const first = outer ? 0 : 1
    for (let row = 0; row < batch.rows; row++) {
      const count = elements.counts[row] as number
      if (max !== null && count > max) {
        this.refuse(batch, row, `it has ${count} elements, and \`max\` is ${max}`, dead)
        continue
      }
      const op = batch.ops[row] as Op
      // A row of the first copy meets what the log has said of every number.
      const isWhole = this.keyed && op !== Op.read
      const last = isWhole ? (max ?? 0) : count
      for (let ordinal = first; ordinal <= last; ordinal++) {
        const isThere = op !== Op.delete && (ordinal === 0 ? count === 0 : ordinal <= count)
        if (!isThere && !isWhole) continue
        const at = leaving.rows++
        leaving.parents[at] = row
        // Whether the element was there before is not known.
        leaving.ops[at] = isThere ? (isWhole ? Op.update : op) : Op.delete
        leaving.ordinals[at] = ordinal
        const isElement = isThere && ordinal > 0
        const element = (elements.starts[row] as number) + ordinal - 1
        leaving.elements[at] = isElement ? element : NO_ELEMENT
      }
    }
    return leaving
  }

  private partOf(
    batch: ChangeBatch,
    elements: Elements,
    leaving: Leaving,
    from: number,
    to: number,
  ): Part {
    const rows = to - from
    const ops = leaving.ops.slice(from, to)
    const parents = leaving.parents.slice(from, to)
    // Of a delete nothing is wanted but its key.
    const living = parents.map((parent, row) => (ops[row] === Op.delete ? NO_ELEMENT : parent))
    const gathered = batch.columns.map((column, index) =>
      index === this.at
        ? null
        : gatherOrNull(column, this.isKey[index] === true ? parents : living),
    )
    const element = gatherOrNull(elements.column, leaving.elements.slice(from, to))
    const marks = { validity: null, unchanged: null }
    const values = leaving.ordinals.slice(from, to)
    const ordinal: Column = { type: INT, layout: 'int32', length: rows, ...marks, values }
    const made = this.options.ordinal === null ? [element] : [element, ordinal]
    const transaction = Uint32Array.from(parents, (row) => batch.transaction[row] as number)
    const sequence = Uint32Array.from(parents, (row) => batch.sequence[row] as number)
    const columns = gathered.flatMap((column) => (column === null ? made : [column]))
    const part = { ...batch, rows, ops, columns, transaction, sequence, keyHash: null }
    return { batch: packBatch(part), parents }
  }

  private refuse(batch: ChangeBatch, row: number, reason: string, dead: DeadRows): void {
    const { column, as } = this.options
    const message = `"${column}" cannot be taken apart: ${reason}`
    if (this.onError === 'dlq') {
      const expression = `explode "${column}"`
      dead.add({ row, error: 'EXPRESSION_FAILED', message, expression }, as)
      return
    }
    throw new PipelineError('EXPRESSION_FAILED', `table "${batch.table}": ${message}`, {
      detail: 'No row of its batch was written.',
    })
  }
}

/** In `append` the sink carries no other rows: they pass for deletes, whose values nobody reads. */
function onlyNewRows(ops: Uint8Array): Uint8Array {
  return ops.map((op) => (op === Op.update ? Op.delete : op))
}

function explodedColumn({ columns, key }: SourceTable, name: string): number {
  const at = columns.findIndex((column) => column.name === name)
  const column = columns[at]
  if (column === undefined) {
    const message = `\`explode\` names column "${name}", which is not there`
    throw new PipelineError('OPERATOR_REFUSED', message, {
      hint: `Its columns are ${columns.map((one) => one.name).join(', ')}.`,
    })
  }
  if (key?.includes(column.identity) === true) {
    throw new PipelineError(
      'OPERATOR_REFUSED',
      `\`explode\` cannot take key column "${name}" apart`,
    )
  }
  return at
}

function elementTypeOf({ name, type }: SourceColumn): ColumnType {
  if (type.kind === 'list') return type.element
  if (type.kind === 'string' && type.json === true) return type
  const message = `\`explode\` takes a list or json, and column "${name}" is ${formatType(type)}`
  throw new PipelineError('OPERATOR_REFUSED', message, {
    hint: 'A text that holds an array becomes json by an entry of `json`, or in the source.',
  })
}

function requireMode(sink: SinkKind, { ordinal, max }: ExplodeOptions): void {
  if (sink === 'append') return
  if (sink === 'changelog') {
    throw new PipelineError('OPERATOR_REFUSED', '`explode` cannot be right in mode changelog', {
      detail:
        'The log has the row after an update, not the one before it: which elements the update ' +
        'has taken away is not known, and a changelog would have to show them as deletes.',
      hint: 'Use mode append or upsert, or take the array apart when the changelog is read.',
    })
  }
  if (ordinal === null) {
    throw new PipelineError('OPERATOR_REFUSED', '`explode` needs `ordinal` in mode upsert', {
      detail: "An element's key is that of its row, and its number.",
    })
  }
  if (max !== null) return
  throw new PipelineError('OPERATOR_REFUSED', '`explode` needs `max` in mode upsert', {
    detail:
      'The log has the row after an update, not the one before it: which elements the update has ' +
      'taken away is not known, so every number up to `max` that has none is deleted.',
    hint: 'Give the largest number of elements that a row can have; one with more is an error.',
  })
}

function madeColumn(
  name: string,
  type: ColumnType,
  nullable: boolean,
  sink: SinkKind,
): SourceColumn {
  return {
    identity: identityOf(name),
    name,
    type,
    nullable,
    comment: null,
    sourceType: formatType(type),
    // Rows of before were never taken apart.
    existing: { kind: sink === 'upsert' ? 'unknown' : 'null' },
  }
}

function identityOf(name: string): string {
  return `explode:${name}`
}
