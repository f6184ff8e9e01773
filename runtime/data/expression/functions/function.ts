// What a function of the library is: how it is called, what it gives for which types, and its
// kernel, which works on whole columns.
//
// To add a function:
//   1. Write its kernel in the file of its group (string.ts, numeric.ts, time.ts, ...): a loop over
//      `rows` that skips where `live` is 0, reads typed arrays, and writes `out`. Every row has to
//      be written, in order: a value, `out.setNull(row)`, or `call.fail(row, message)`.
//   2. Add its FunctionSpec to the list that the file exports; registry.ts has the files.
//   3. Add its line to test/expression/cases/<group>.ts, with the SQL of the oracle.
// Then `node runtime/cli/main.ts explain-expr --markdown > docs/expressions.md`.
//
// Rules: null in, null out, unless the overload says `nulls: 'kernel'`. A function has no state, and
// sees no clock, locale or randomness. It never throws for a row. What depends on constants alone
// (a pattern, a unit) is made once, in `prepare`, which may refuse them.

import type { ColumnBuilder } from '../../column/builder.ts'
import type { Column } from '../../column/column.ts'
import type { Literal } from '../../literal.ts'
import type { ColumnType } from '../../type.ts'
import type { Interval } from '../expression-type.ts'

export interface KernelCall {
  /** Dense, `rows` long, of the types of the overload's parameters; a constant is repeated. */
  readonly args: readonly Column[]
  readonly rows: number
  /**
   * By row: 0 where nothing is to be computed, since an argument is null (or, with
   * `nulls: 'kernel'`, only an error) or the row takes another branch. Write null there.
   */
  readonly live: Uint8Array
  /** Reset, with room for `rows` rows. */
  readonly out: ColumnBuilder
  /**
   * Makes the row an error, and writes its null.
   *
   * @param message  lowercase, names no value; one of few texts, not one a row
   */
  fail(row: number, message: string): void
}

export type Kernel = (call: KernelCall) => void

/** `strict`: null in, null out, done by the caller. `kernel`: it looks at validity itself. */
export type NullRule = 'strict' | 'kernel'

/**
 * What a parameter takes. Numbers widen (int, long, decimal, double; float to double), a date to
 * its midnight, json to string. `number`: any number as it is. `same`: all arguments of the call that
 * are `same` get their common type. `element`: of the first argument, a list. `any`: as it is.
 * `constant ...` must be known when the expression is compiled, and is not null.
 */
export type Parameter =
  | Exclude<ColumnType['kind'], 'list'>
  | 'json'
  | 'number'
  | 'same'
  | 'list'
  | 'element'
  | 'any'
  | 'interval'
  | `constant ${'string' | 'int' | 'long'}`

/** What an argument is when it is a constant; `undefined` when it is none. */
export type ConstantArgument = Literal | Interval | null | undefined

export interface Binding {
  /** Of the arguments, after they were widened. */
  readonly types: readonly ColumnType[]
  readonly constants: readonly ConstantArgument[]
  readonly result: ColumnType
  /** Time zone of the pipeline, where the call names none. */
  readonly zone: string
  /** `secrets.mask_key`; `null`: there is none. */
  readonly maskKey: Uint8Array | null
}

/** @returns a constant text; `null` when the argument was left out */
export function textConstant({ constants }: Binding, index: number): string | null {
  const value = constants[index]
  return typeof value === 'string' ? value : null
}

export interface Overload {
  readonly parameters: readonly Parameter[]
  /** How many of the last parameters can be left out. */
  readonly optional?: number
  /** The last parameter can be repeated. */
  readonly variadic?: true
  readonly result:
    | ColumnType
    | ((types: readonly ColumnType[], constants: readonly ConstantArgument[]) => ColumnType)
  readonly nulls?: NullRule
  /** May give null where no argument is. */
  readonly nullable?: true
  /** `kernel` rule: never gives null. */
  readonly neverNull?: true
  /** May call `fail`. */
  readonly fails?: true
  /** Worth computing once for equal texts of a batch: patterns, hashes, JSON. */
  readonly costly?: true
  /** @throws Refusal when a constant is none that the function takes */
  readonly prepare: (binding: Binding) => Kernel
}

export type FunctionGroup = 'string' | 'numeric' | 'time' | 'json' | 'list' | 'hash' | 'change'

export interface FunctionSpec {
  /** Lowercase. */
  readonly name: string
  readonly group: FunctionGroup
  /** As documents show it: `lpad(s, n[, pad])`. */
  readonly usage: string
  /** One sentence for documents. */
  readonly summary: string
  /** The first is taken that the arguments fit without, else with the least widening. */
  readonly overloads: readonly Overload[]
}

/** A constant argument that a function does not take; becomes an error with its place. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly argument: number
  readonly hint: string | undefined

  constructor(argument: number, message: string, hint?: string) {
    super(message)
    this.argument = argument
    this.hint = hint
  }
}
