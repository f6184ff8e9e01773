// Expressions of a pipeline: the columns that come out, their types, and what computes them.

import type { ColumnType } from '../type.ts'
import { columnsOf, IrFactory, type Ir } from './ir.ts'
import { parseExpression, parseProjection } from './parse/parser.ts'
import { resolveProjection, type Output } from './resolve/projection.ts'
import { resolveCondition } from './resolve/resolve.ts'
import { Scope, type ExpressionColumn } from './resolve/scope.ts'

export type { ExpressionColumn } from './resolve/scope.ts'

export interface ExpressionTexts {
  /** Default `*`. */
  readonly projection?: string
  /** Default: every row. */
  readonly filter?: string
}

export interface CompileOptions {
  /** For conversions that name no zone; default UTC. */
  readonly zone?: string
  /** Expressions without AS get names (`column1`), instead of an error. */
  readonly unnamed?: boolean
}

export interface OutputColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Index of the input column that it is, untouched; `null`: it is computed. */
  readonly passThrough: number | null
}

export interface CompiledExpressions {
  readonly columns: readonly OutputColumn[]
  /** Input columns that an expression looks into; those passed on untouched are not among them. */
  readonly usesColumns: ReadonlySet<number>
}

/**
 * @param columns  of the batches; hidden ones are not part of `*`
 * @throws PipelineError EXPRESSION_INVALID, with the place in the text
 */
export function compileExpressions(
  columns: readonly ExpressionColumn[],
  texts: ExpressionTexts,
  options: CompileOptions = {},
): CompiledExpressions {
  const factory = new IrFactory(options.zone ?? 'UTC')
  const fold = (node: Ir): Ir => node
  const source = { text: texts.projection ?? '*', what: 'projection' }
  const scope = new Scope(columns)
  const context = { factory, source, scope, fold }
  const outputs = resolveProjection(context, parseProjection(source), options.unnamed === true)
  const computed = outputs.filter(({ value }) => value.kind !== 'column').map(({ value }) => value)
  if (texts.filter !== undefined) {
    const filterSource = { text: texts.filter, what: 'filter' }
    const names = new Map(outputs.map(({ name, value }) => [name, value]))
    const filterScope = new Scope(columns, names)
    const filterContext = { ...context, source: filterSource, scope: filterScope }
    computed.push(resolveCondition(filterContext, parseExpression(filterSource)))
  }
  return { columns: outputs.map(outputColumn), usesColumns: columnsOf(computed) }
}

function outputColumn({ name, value }: Output): OutputColumn {
  const { type, nullable } = value
  return { name, type, nullable, passThrough: value.kind === 'column' ? value.index : null }
}
