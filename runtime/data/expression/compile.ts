// Expressions of a pipeline: the columns that come out, their types, and what computes them.
//
//   text -> parse -> resolve (names, types, constants folded) -> program (loops and calls)
//
// Batches may be cut in any way: the result of a row depends on nothing but the row.

import { appendRows } from '../column/append.ts'
import { columnBuilder, type ColumnBuilder } from '../column/builder.ts'
import type { Column } from '../column/column.ts'
import type { ColumnType } from '../type.ts'
import type { RowFailures } from './failures.ts'
import { folded } from './fold.ts'
import { isHashing } from './functions/registry.ts'
import { columnsOf, IrFactory, visit, type Ir } from './ir.ts'
import { parseExpression, parseProjection } from './parse/parser.ts'
import { invalid } from './place.ts'
import { Program } from './program.ts'
import { resolveProjection, type Output } from './resolve/projection.ts'
import { resolveCondition } from './resolve/resolve.ts'
import { Scope, type ExpressionColumn } from './resolve/scope.ts'
import type { EventTimeColumn } from './resolve/times.ts'
import { zoneNamed } from './zone.ts'

export { COMMIT_TIME_COLUMN, type EventTimeColumn } from './resolve/times.ts'
export { withOldColumns, type ExpressionColumn } from './resolve/scope.ts'
export { FILTER_OUTPUT, type RowFailure, type RowFailures } from './failures.ts'

export interface ExpressionTexts {
  /** Default `*`. */
  readonly projection?: string
  /** Default: every row. */
  readonly filter?: string
}

export interface CompileOptions {
  /** For conversions that name no zone; default UTC. */
  readonly zone?: string
  /** Key of hmac_sha256; default: there is none, and it is refused. */
  readonly maskKey?: Uint8Array | null
  /** Expressions without AS get names (`column1`), instead of an error. */
  readonly unnamed?: boolean
  /** What event_time() stands for; default: nothing. */
  readonly eventTime?: EventTimeColumn | null
}

export interface OutputColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Index of the input column that it is, untouched; `null`: it is computed. */
  readonly passThrough: number | null
}

/** What came out of a batch; valid until the next one. */
export interface Evaluation {
  /** One an output column, dense: row i is row `selection[i]` of the batch. */
  readonly columns: readonly Column[]
  readonly rows: number
  /** Rows of the batch that passed, ascending; `null`: all. */
  readonly selection: Int32Array | null
  /**
   * Rows without a value somewhere. One that the filter could not decide has not passed; one of an
   * output is there, with null in that column, whether it is nullable or not.
   */
  readonly failures: RowFailures
}

/**
 * @param columns  of the batches; hidden ones are not part of `*`
 * @throws PipelineError EXPRESSION_INVALID, with the place in the text (`placeOf`)
 */
export function compileExpressions(
  columns: readonly ExpressionColumn[],
  texts: ExpressionTexts,
  options: CompileOptions = {},
): CompiledExpressions {
  const zone = options.zone ?? 'UTC'
  const source = { text: texts.projection ?? '*', what: 'projection' }
  if (zoneNamed(zone) === null) {
    throw invalid(source, { start: 0, end: 1 }, `there is no time zone "${zone}"`)
  }
  const factory = new IrFactory(zone, options.maskKey ?? null)
  const fold = (node: Ir): Ir => folded(factory, node)
  factory.source = source
  const { eventTime = null } = options
  const context = { factory, source, scope: new Scope(columns), fold, eventTime }
  const outputs = resolveProjection(context, parseProjection(source), options.unnamed === true)
  let filter: Ir | null = null
  if (texts.filter !== undefined) {
    const filterSource = { text: texts.filter, what: 'filter' }
    factory.source = filterSource
    const names = new Map(outputs.map(({ name, value }) => [name, value]))
    const scope = new Scope(columns, names)
    filter = resolveCondition(
      { ...context, source: filterSource, scope },
      parseExpression(filterSource),
    )
  }
  return new CompiledExpressions(factory, columns, filter, outputs)
}

export class CompiledExpressions {
  readonly columns: readonly OutputColumn[]
  /**
   * Input columns that an expression looks into; those passed on untouched are not among them. An
   * unchanged value must not reach one of these: it would be taken for the filler that lies there.
   */
  readonly usesColumns: ReadonlySet<number>
  /** The same for the filter alone. */
  readonly filterColumns: ReadonlySet<number>
  /** Input columns that a function masks or hashes: their values are not to be seen as they are. */
  readonly hashedColumns: ReadonlySet<number>
  private readonly program: Program
  private readonly hasFilter: boolean
  /** Of columns that are passed on, for batches of which only some rows pass. */
  private readonly passed: (ColumnBuilder | null)[]

  constructor(
    factory: IrFactory,
    inputs: readonly ExpressionColumn[],
    filter: Ir | null,
    outputs: readonly Output[],
  ) {
    this.columns = outputs.map(outputColumn)
    const numbers = [...outputs.keys()].filter((index) => outputs[index]?.value.kind !== 'column')
    const computed = outputs.flatMap(({ value }) => (value.kind === 'column' ? [] : [value]))
    this.filterColumns = columnsOf(filter === null ? [] : [filter])
    this.usesColumns = columnsOf(filter === null ? computed : [...computed, filter])
    const hashed: Ir[] = []
    visit(filter === null ? computed : [...computed, filter], (node) => {
      if (node.kind === 'call' && isHashing(node.name)) hashed.push(node)
    })
    this.hashedColumns = columnsOf(hashed)
    this.hasFilter = filter !== null
    this.passed = outputs.map(({ value }) =>
      value.kind === 'column' ? columnBuilder(value.type) : null,
    )
    this.program = new Program(factory, inputs, filter, computed, numbers)
  }

  /**
   * Computes filter and projection of a batch.
   *
   * @param columns  one an input column, of its type, `rows` long
   * @param selection  rows to look at, ascending; `null`: all
   */
  evaluate(
    columns: readonly Column[],
    rows: number,
    selection: Int32Array | null = null,
  ): Evaluation {
    const { program } = this
    program.begin(columns, rows, selection)
    const passing = this.hasFilter ? program.filter() : selection
    const count = passing === null ? rows : passing.length
    const computed = program.project()
    let next = 0
    const outputs = this.columns.map(({ passThrough }, index) => {
      const column = passThrough === null ? computed[next++] : columns[passThrough]
      const builder = this.passed[index]
      if (column === undefined) throw new RangeError('a batch has fewer columns than expressions')
      if (passing === null || builder === null || builder === undefined) return column
      builder.reset()
      appendRows(builder, 0, column, count, passing)
      return builder.view(count)
    })
    return { columns: outputs, rows: count, selection: passing, failures: program.failures }
  }

  /**
   * Only the filter.
   *
   * @returns rows that pass, ascending, and those of which it cannot be said; `null`: all pass
   */
  filter(
    columns: readonly Column[],
    rows: number,
    selection: Int32Array | null = null,
  ): { readonly selection: Int32Array | null; readonly failures: RowFailures } {
    this.program.begin(columns, rows, selection)
    const passing = this.hasFilter ? this.program.filter() : selection
    return { selection: passing, failures: this.program.failures }
  }

  /** @returns the generated code, for people: numbers within 2^53, columns with nulls, all rows */
  code(): readonly string[] {
    return this.program.describe({ wide: false, nulls: 'declared', selected: this.hasFilter })
  }
}

function outputColumn({ name, value }: Output): OutputColumn {
  const { type, nullable } = value
  return { name, type, nullable, passThrough: value.kind === 'column' ? value.index : null }
}
