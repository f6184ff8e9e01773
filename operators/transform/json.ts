// `json` of a transform: typed columns out of a column of documents, which are read once, for all
// columns together, by the decoder that reads topics of JSON.

import { PipelineError } from '../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { columnBuilder, type ColumnBuilder } from '../../runtime/data/column/builder.ts'
import { isNull, type BytesColumn } from '../../runtime/data/column/column.ts'
import { Cells, type CellFault } from '../../runtime/data/json/cells.ts'
import { scanDocument } from '../../runtime/data/json/document.ts'
import { FAULT } from '../../runtime/data/json/fault.ts'
import { columnFill, ownFill, type ColumnFill } from '../../runtime/data/json/fill.ts'
import { ABSENT } from '../../runtime/data/json/object-scanner.ts'
import {
  compileScanner,
  stranger,
  type ScanObject,
} from '../../runtime/data/json/object-scanner.ts'
import { restPut } from '../../runtime/data/json/rest.ts'
import { shapeOf } from '../../runtime/data/json/shape.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import { tableKey, type SourceColumn, type SourceTable } from '../../runtime/data/schema.ts'
import { requireSent } from '../../runtime/data/sent-values.ts'
import { formatType, type ColumnType } from '../../runtime/data/type.ts'
import type { DeadRows, RowFault } from './dead-rows.ts'
import type { JsonOptions, SinkKind, TransformOptions } from './options.ts'
import type { Part, Stage } from './stage.ts'

/** Documents whose places are collected before columns are filled: they stay in a near cache. */
const CHUNK_ROWS = 128
const NO_SLOT = -1

/** @throws PipelineError OPERATOR_REFUSED */
export function jsonColumns(
  table: SourceTable,
  options: JsonOptions,
  sink: SinkKind,
  { onError, mask }: Pick<TransformOptions, 'onError' | 'mask'>,
): Stage {
  const isMasked = options.column in mask
  return new JsonColumns(table, options, sink, options.onError ?? onError, isMasked)
}

class JsonColumns implements Stage {
  readonly output: SourceTable
  private readonly column: string
  /** Of the documents, among the table's columns. */
  private readonly at: number
  private readonly made: readonly SourceColumn[]
  private readonly onError: TransformOptions['onError']
  private readonly isMasked: boolean
  private readonly identity: string
  private readonly scan: ScanObject
  private readonly fills: readonly ColumnFill[]
  private readonly cells: Cells
  /** Slot of the document as a whole; NO_SLOT: nobody wants it. */
  private readonly restSlot: number

  constructor(
    table: SourceTable,
    { column, columns, rest }: JsonOptions,
    sink: SinkKind,
    onError: TransformOptions['onError'],
    isMasked: boolean,
  ) {
    this.column = column
    this.onError = onError
    this.isMasked = isMasked
    this.at = documentsOf(table, column)
    this.identity = table.columns[this.at]?.identity ?? ''
    const added = columns.map((one) => ({ ...one, text: formatType(one.type) }))
    const restType = { kind: 'string', json: true } as const
    const all = [
      ...added,
      ...(rest === null ? [] : [{ name: rest, type: restType, nullable: true, text: 'json' }]),
    ]
    this.made = all.map((one) => madeColumn(one, sink))
    requireNew(table, this.made)
    this.output = { ...table, columns: [...table.columns, ...this.made] }
    const paths = columns.map(({ path }, slot) => ({ path, slot }))
    const shape = shapeOf(paths, rest === null ? 'ignored' : 'noted')
    const fills = columns.map(({ name, type, nullable, encoding }, slot) =>
      columnFill(name, slot, type, nullable ? 'never' : 'rows', encoding),
    )
    this.restSlot = rest === null ? NO_SLOT : fills.length
    if (rest !== null) fills.push(ownFill(rest, fills.length, restPut(shape)))
    this.fills = fills
    this.cells = new Cells(fills.length)
    this.scan = compileScanner(`json ${tableKey(table)} ${column}`, shape)
  }

  take(batch: ChangeBatch, dead: DeadRows): readonly Part[] {
    const documents = batch.columns[this.at] as BytesColumn
    requireSent(batch, [documents], '`json`')
    const builders = this.made.map(({ type }) => columnBuilder(type, batch.rows))
    const { cells } = this
    cells.open(documents.bytes, documents.offsets, documents.offsets.subarray(1))
    for (let from = 0; from < batch.rows; from += CHUNK_ROWS) {
      cells.clear()
      const to = Math.min(batch.rows, from + CHUNK_ROWS)
      for (let row = from; row < to; row++) this.scanRow(batch, documents, row, dead)
      this.fill(batch, builders, from, dead)
    }
    const made = builders.map((builder) => builder.view(batch.rows))
    return [{ batch: packBatch({ ...batch, columns: [...batch.columns, ...made] }), parents: null }]
  }

  /** Of a document that is taken apart as a whole, what is seen of its parts may be seen of it. */
  secretBefore(secret: ReadonlySet<string>): ReadonlySet<string> {
    const before = new Set(secret)
    const hides = this.made.filter(({ identity }) => before.delete(identity)).length > 0
    if (hides || this.isMasked) before.add(this.identity)
    else if (this.restSlot !== NO_SLOT) before.delete(this.identity)
    return before
  }

  private scanRow(batch: ChangeBatch, documents: BytesColumn, row: number, dead: DeadRows): void {
    const { cells, restSlot } = this
    const op = batch.ops[row] as Op
    let base = cells.takeSlots()
    // A delete has its key, and whatever else it may hold is of no use to it.
    if (op !== Op.delete && !isNull(documents, row) && !isNothing(documents, row)) {
      stranger.name = -1
      const end = scanDocument(this.scan, cells, row, base)
      if (end === FAULT) {
        cells.refuseRecord(row)
        const fault = cells.faults.pop()
        if (fault !== undefined) this.refuse(batch, fault, dead)
        // What stood in front of the fault is part of no document.
        cells.returnSlots(base)
        base = cells.takeSlots()
      } else if (restSlot !== NO_SLOT && stranger.name >= 0) {
        cells.starts[base + restSlot] = documents.offsets[row] as number
        cells.ends[base + restSlot] = documents.offsets[row + 1] as number
      }
    }
    cells.addRow(base, op, row)
  }

  private fill(
    batch: ChangeBatch,
    builders: readonly ColumnBuilder[],
    from: number,
    dead: DeadRows,
  ): void {
    const { cells } = this
    for (const [slot, { fill }] of this.fills.entries()) {
      const builder = builders[slot]
      if (builder === undefined) throw new RangeError('each fill has its builder')
      builder.reserveRows(from + cells.count)
      fill(cells, builder, from)
      if (cells.faults.length === 0) continue
      for (const fault of cells.faults) {
        this.refuse(batch, fault, dead)
        cells.starts[(cells.bases[fault.record - from] as number) + slot] = ABSENT
      }
      cells.faults.length = 0
      builder.truncate(from)
      fill(cells, builder, from)
      // A column that has no null has no value for the row either.
      const left = cells.faults.find(({ record }) => !dead.has(record))
      if (left !== undefined) throw this.dirty(batch, left)
      cells.faults.length = 0
    }
  }

  private refuse(batch: ChangeBatch, fault: CellFault, dead: DeadRows): void {
    if (this.onError === 'stop') throw this.dirty(batch, fault)
    if (this.onError === 'null') return
    const { record: row, column } = fault
    const expression = `json "${this.column}"`
    const told = { row, error: 'EXPRESSION_FAILED', message: this.messageOf(fault), expression }
    dead.add(told as RowFault, column ?? this.column)
  }

  private messageOf({ column, reason, byteOffset }: CellFault): string {
    const what = column === null ? 'no JSON document' : `no document with a value for "${column}"`
    return `"${this.column}" holds ${what}: ${reason}, at byte ${byteOffset}`
  }

  private dirty({ table }: ChangeBatch, fault: CellFault): PipelineError {
    const message = `table "${table}": ${this.messageOf(fault)}`
    return new PipelineError('EXPRESSION_FAILED', message, {
      detail: 'No row of its batch was written.',
    })
  }
}

const NULL_TEXT = new TextEncoder().encode('null')

/** @returns true for a document that is null, which databases have beside no document */
function isNothing({ bytes, offsets }: BytesColumn, row: number): boolean {
  const start = offsets[row] as number
  if ((offsets[row + 1] as number) - start !== NULL_TEXT.length) return false
  return NULL_TEXT.every((byte, at) => bytes[start + at] === byte)
}

function documentsOf({ columns }: SourceTable, name: string): number {
  const at = columns.findIndex((column) => column.name === name)
  const column = columns[at]
  if (column === undefined) {
    const message = `\`json\` names column "${name}", which is not there`
    throw new PipelineError('OPERATOR_REFUSED', message, {
      hint: `Its columns are ${columns.map((one) => one.name).join(', ')}.`,
    })
  }
  if (column.type.kind === 'string') return at
  throw new PipelineError(
    'OPERATOR_REFUSED',
    `\`json\` reads texts, and column "${name}" is ${formatType(column.type)}`,
  )
}

function requireNew({ columns }: SourceTable, made: readonly SourceColumn[]): void {
  const names = columns.map(({ name }) => name)
  for (const { name } of made) {
    if (names.includes(name)) {
      const message = `\`json\` makes column "${name}", which is there already`
      throw new PipelineError('OPERATOR_REFUSED', message, {
        hint: 'Give it another name, and say where it stands by `path`.',
      })
    }
    names.push(name)
  }
}

function madeColumn(
  {
    name,
    type,
    nullable,
    text,
  }: { name: string; type: ColumnType; nullable: boolean; text: string },
  sink: SinkKind,
): SourceColumn {
  return {
    identity: `json:${name}`,
    name,
    type,
    nullable,
    comment: null,
    sourceType: text,
    // What the rows of before would have in it is not known: they were never read for it.
    existing: { kind: sink === 'upsert' ? 'unknown' : 'null' },
  }
}
