// Names of an expression. An exact match wins, else one match that differs in case only; in a
// projection a name is always a column of the source, in a filter computed columns come second.

import { nearestName } from '../../../base/nearest.ts'
import type { ColumnType } from '../../type.ts'
import type { Ir, IrFactory } from '../ir.ts'
import { invalid, type SourceText, type Span } from '../place.ts'

/** A column that an expression can read. */
export interface ExpressionColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Not part of `*`: metadata as `__op__`, and what is read by functions, whose name is ''. */
  readonly hidden?: boolean
  /** Where its values from before an update are, and whether a row is one; absent: nowhere. */
  readonly old?: { readonly value: number; readonly updated: number }
}

/** @returns the columns of a batch that has rows before updates beside its rows */
export function withOldColumns(columns: readonly ExpressionColumn[]): ExpressionColumn[] {
  const updated = columns.length
  const base = { name: '', hidden: true }
  return [
    ...columns.map((column, index) => {
      return { ...column, old: { value: updated + 1 + index, updated } }
    }),
    { ...base, type: { kind: 'boolean' }, nullable: false },
    ...columns.map(({ type }) => ({ ...base, type, nullable: true })),
  ]
}

export class Scope {
  readonly columns: readonly ExpressionColumn[]
  private readonly computed: ReadonlyMap<string, Ir>

  constructor(columns: readonly ExpressionColumn[], computed: ReadonlyMap<string, Ir> = new Map()) {
    this.columns = columns
    this.computed = computed
  }

  /** @throws PipelineError EXPRESSION_INVALID */
  resolve(factory: IrFactory, source: SourceText, name: string, span: Span): Ir {
    const index = this.find(source, name, span)
    const column = index === null ? undefined : this.columns[index]
    if (index !== null && column !== undefined) {
      return factory.column(index, column.type, column.nullable, span)
    }
    const known = match(name, [...this.computed.keys()])
    const computed = known.length === 1 ? this.computed.get(known[0] ?? '') : undefined
    if (computed !== undefined) return computed
    throw this.missing(source, name, span)
  }

  /** @returns the index of a column; `null` when there is none @throws when there are several */
  find(source: SourceText, name: string, span: Span): number | null {
    const names = this.columns.map((column) => column.name)
    const found = name === '' ? [] : match(name, names)
    if (found.length > 1) {
      const hint = `Write one of ${found.join(', ')} as it is, in double quotes if need be.`
      throw invalid(source, span, `"${name}" can be one of several columns`, hint)
    }
    return found.length === 0 ? null : names.indexOf(found[0] ?? '')
  }

  missing(source: SourceText, name: string, span: Span): Error {
    const columns = this.columns.map((column) => column.name).filter((one) => one !== '')
    const names = [...columns, ...this.computed.keys()]
    const near = nearestName(name, names)
    const known = names.filter((one) => !one.startsWith('__'))
    const hint = near === null ? `Columns are ${listed(known)}.` : `Is ${near} meant?`
    return invalid(source, span, `there is no column "${name}"`, hint)
  }
}

function match(name: string, names: readonly string[]): string[] {
  if (names.includes(name)) return [name]
  const folded = name.toLowerCase()
  return names.filter((one) => one.toLowerCase() === folded)
}

const LISTED_MAX = 20

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_MAX).join(', ')
  return names.length > LISTED_MAX ? `${shown} and ${names.length - LISTED_MAX} more` : shown
}
