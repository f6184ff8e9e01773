// What stands in front of filter and projection: documents and arrays are taken apart, one stage
// behind the other. A row of which any part cannot be computed is set aside as a whole, as the
// source has it.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { gatherColumn } from '../../runtime/data/column/append.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { DeadRow, Operator, OperatorOutput } from '../../runtime/operator.ts'
import { DeadRows } from './dead-rows.ts'
import { explode } from './explode.ts'
import { jsonColumns } from './json.ts'
import type { JsonOptions, SinkKind, TransformOptions } from './options.ts'
import type { Part, Stage } from './stage.ts'

/** @returns the stages of an entry, each for what leaves the one before */
export function stagesOf(table: SourceTable, options: TransformOptions, sink: SinkKind): Stage[] {
  const { json, explode: exploded, softDelete, onError } = options
  const stages: Stage[] = []
  const last = (): SourceTable => stages.at(-1)?.output ?? table
  const read = (block: JsonOptions): void => {
    stages.push(jsonColumns(last(), block, sink, options))
  }
  if (exploded === null) {
    for (const block of json) read(block)
    return stages
  }
  if (softDelete !== null) throw new PipelineError('OPERATOR_REFUSED', SOFT_ELEMENTS)
  const ofElements = blocksOfElements(json, exploded.as)
  for (const block of json) if (!ofElements.has(block)) read(block)
  stages.push(explode(last(), exploded, sink, onError))
  for (const block of ofElements) read(block)
  return stages
}

/** @returns the blocks that read elements, or what such a block makes */
function blocksOfElements(json: readonly JsonOptions[], element: string): Set<JsonOptions> {
  const names = new Set([element])
  const found = new Set<JsonOptions>()
  for (const block of json) {
    if (!names.has(block.column)) continue
    found.add(block)
    for (const { name } of block.columns) names.add(name)
    if (block.rest !== null) names.add(block.rest)
  }
  return found
}

const SOFT_ELEMENTS =
  '`explode` and `soft_delete` exclude each other: which elements a deleted row had is not known'

/** What takes the batches that leave the last stage. */
export interface LastOperator extends Operator {
  /** Columns of its batches whose values nobody is to see. */
  readonly secret: ReadonlySet<number>
}

export class Staged implements Operator {
  readonly output: SourceTable
  private readonly stages: readonly Stage[]
  private readonly last: LastOperator
  /** Columns of the batch whose values nobody is to see. */
  private readonly secret: ReadonlySet<number>

  constructor(table: SourceTable, stages: readonly Stage[], last: LastOperator) {
    this.stages = stages
    this.last = last
    this.output = last.output
    const { columns } = stages.at(-1)?.output ?? table
    const shown = [...last.secret].map((index) => columns[index]?.identity ?? '')
    const secret = stages.reduceRight<ReadonlySet<string>>(
      (behind, stage) => stage.secretBefore(behind),
      new Set(shown),
    )
    this.secret = new Set(
      table.columns.flatMap(({ identity }, index) => (secret.has(identity) ? [index] : [])),
    )
  }

  onBatch(batch: ChangeBatch, out: OperatorOutput): void {
    const dead = new DeadRows()
    let ran = this.run(batch, dead)
    if (dead.count > 0) {
      // Again without them: of a row that is set aside no part leaves.
      const living = dead.without(null, batch.rows)
      const others = new DeadRows()
      ran = living.length === 0 ? NOTHING : this.run(rowsOf(batch, living), others)
      if (others.count > 0) throw new RangeError('a row that was computed cannot be any more')
      out.dead(dead.list(), this.secret)
    }
    if (ran.filtered > 0) out.filtered(ran.filtered)
    if (ran.made > 0) out.made?.(ran.made)
    for (const made of ran.left) out.emit(made)
  }

  private run(batch: ChangeBatch, dead: DeadRows): Ran {
    let parts: readonly Part[] = [{ batch, parents: null }]
    let [filtered, more] = [0, 0]
    for (const stage of this.stages) {
      parts = parts.flatMap((part) => {
        const own = new DeadRows()
        const made = stage.take(part.batch, own)
        bury(own.list(), part, dead)
        const parents = parentsOf(made, part.batch.rows)
        filtered += part.batch.rows - parents
        more += made.reduce((rows, one) => rows + one.batch.rows, 0) - parents
        return made.map((one) => originsOf(one, part))
      })
    }
    const left: ChangeBatch[] = []
    for (const part of parts) {
      this.last.onBatch(part.batch, {
        emit: (made) => left.push(made),
        filtered: (rows) => {
          filtered += rows
        },
        dead: (rows) => bury(rows, part, dead),
      })
    }
    return { left, filtered, made: more }
  }
}

interface Ran {
  readonly left: readonly ChangeBatch[]
  readonly filtered: number
  /** Rows beside those that came, before a filter. */
  readonly made: number
}

const NOTHING: Ran = { left: [], filtered: 0, made: 0 }

/** @param rows  of the part, which stand for the rows that they come from */
function bury(rows: readonly DeadRow[], { parents }: Part, dead: DeadRows): void {
  for (const one of rows) {
    dead.add(parents === null ? one : { ...one, row: parents[one.row] as number }, one.column)
  }
}

/** @returns of `rows` rows, how many have left in the parts */
function parentsOf(parts: readonly Part[], rows: number): number {
  if (parts.some(({ parents }) => parents === null)) return rows
  return new Set(parts.flatMap(({ parents }) => [...(parents ?? [])])).size
}

/** @returns the part with rows of the first batch as its parents */
function originsOf({ batch, parents }: Part, before: Part): Part {
  if (parents === null) return { batch, parents: before.parents }
  const { parents: origins } = before
  return {
    batch,
    parents: origins === null ? parents : parents.map((row) => origins[row] as number),
  }
}

/** @returns these rows of the batch, in memory of their own */
export function rowsOf(batch: ChangeBatch, rows: Int32Array): ChangeBatch {
  return {
    ...batch,
    rows: rows.length,
    ops: Uint8Array.from(rows, (row) => batch.ops[row] as number),
    columns: batch.columns.map((column) => gatherColumn(column, rows)),
    transaction: Uint32Array.from(rows, (row) => batch.transaction[row] as number),
    sequence: Uint32Array.from(rows, (row) => batch.sequence[row] as number),
    keyHash: null,
  }
}
