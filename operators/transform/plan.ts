// A transform for one structure of a table: the columns that leave, their key, and whether rows can
// be left out of this table at all. What cannot be done without losing or doubling rows is refused
// here, before a row is read.

import { PipelineError } from '../../runtime/base/errors.ts'
import {
  compileExpressions,
  type CompileOptions,
  type CompiledExpressions,
  type EventTimeColumn,
  type ExpressionColumn,
  type OutputColumn,
} from '../../runtime/data/expression/compile.ts'
import { TIME_KINDS } from '../../runtime/data/event-times.ts'
import type { ExistingValue, SourceColumn, SourceTable } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import { hiddenColumns, oldColumns, type HiddenColumn } from './hidden-columns.ts'
import { keyOf } from './key.ts'
import { BY_COMMITS, type RowTimes, type SinkKind, type TransformOptions } from './options.ts'
import { quoted, shorthandOf, type Shorthand } from './shorthand.ts'

/** A column that leaves. */
export interface Leaving {
  readonly column: SourceColumn
  /** Index of the input column that it is, hidden ones included; `null`: it is computed. */
  readonly input: number | null
  /** Which program gives it, and as which of its outputs. */
  readonly program: 'projection' | 'shorthand'
  readonly index: number
}

/** Everything that the rows need; made once for a structure. */
export interface TransformPlan {
  readonly output: SourceTable
  readonly leaving: readonly Leaving[]
  /** By column that leaves: part of the key, so that a row without it has no place. */
  readonly isKey: readonly boolean[]
  /** Columns of the batch, then those hidden ones that an expression reads. */
  readonly hidden: readonly HiddenColumn[]
  readonly projection: CompiledExpressions
  readonly shorthand: CompiledExpressions | null
  readonly filter: CompiledExpressions | null
  /** The filter looks only at what a delete carries: the key, and what is the same for all rows. */
  readonly filtersByKey: boolean
  /** Input columns that an expression looks into. */
  readonly reads: ReadonlySet<number>
  /** Some expression asks for rows as they were before an update. */
  readonly readsOldRows: boolean
  /**
   * Columns of the batch whose values nobody is to see: those that are masked, by `mask` or a
   * function, and those that the lake does not get in any form.
   */
  readonly secret: ReadonlySet<number>
}

/**
 * @throws PipelineError EXPRESSION_INVALID, OPERATOR_REFUSED
 */
export function planTransform(
  table: SourceTable,
  options: TransformOptions,
  sink: SinkKind,
  maskKey: Uint8Array | null,
  times: RowTimes,
): TransformPlan {
  const compiling = { maskKey, eventTime: eventTimeOf(table, times) }
  const inputs = new Inputs(table, times)
  const shorthand = shorthandOf(
    options,
    table.columns.map(({ name }) => name),
  )
  const texts = { projection: options.projection ?? '*' }
  // As rows have it, a delete carries its key alone; as readers shall see it, nothing is missing.
  const projection = compileExpressions(inputs.carried, texts, compiling)
  const { columns: outputs } = compileExpressions(inputs.declared, texts, compiling)
  const shorthands = compileShorthand(inputs, shorthand, compiling)
  const leaving = new LeavingColumns(table, options, shorthand, inputs, sink).of(
    outputs,
    shorthands?.declared.columns ?? [],
  )
  const key = keyOf(table, options, leaving, inputs, shorthand)
  const filter =
    options.filter === null
      ? null
      : compileExpressions(inputs.carried, { ...texts, filter: options.filter }, compiling)
  const filtersByKey = filter !== null && inputs.areOfKey(filter.filterColumns)
  if (filter !== null && !filtersByKey) requireFilter(table, options, sink)
  if (sink === 'upsert' && filter !== null) requirePresent(inputs, filter.filterColumns)
  if (options.softDelete !== null) {
    requireSoftDelete(sink, leaving, options.softDelete, options.onError)
  }
  const columns = leaving.map(({ column }) => column)
  const output = { ...table, columns: [...columns, ...softColumns(options)], key }
  const reads = new Set([
    ...projection.usesColumns,
    ...(shorthands?.carried.usesColumns ?? []),
    ...(filter?.filterColumns ?? []),
  ])
  return {
    output,
    leaving,
    isKey: leaving.map(({ column }) => key?.includes(column.identity) === true),
    hidden: inputs.hidden,
    projection,
    shorthand: shorthands?.carried ?? null,
    filter,
    filtersByKey,
    reads,
    readsOldRows: [...reads, ...leaving.map(({ input }) => input)].some((index) =>
      inputs.isOld(index),
    ),
    secret: secretColumns(table, options, leaving, reads, [projection, filter]),
  }
}

/** Of a database, a table without the column goes by the time of its commits. */
function eventTimeOf(
  { columns }: SourceTable,
  { commits, event }: RowTimes,
): EventTimeColumn | null {
  if (event === null || !commits) return event
  const told = columns.find(({ name }) => name === event.column)
  return told !== undefined && TIME_KINDS.has(told.type.kind) ? event : BY_COMMITS.event
}

function secretColumns(
  { columns }: SourceTable,
  { mask }: TransformOptions,
  leaving: readonly Leaving[],
  reads: ReadonlySet<number>,
  programs: readonly (CompiledExpressions | null)[],
): ReadonlySet<number> {
  const shown = new Set(leaving.map(({ input }) => input))
  const hashed = new Set(programs.flatMap((program) => [...(program?.hashedColumns ?? [])]))
  const isSecret = (name: string, index: number): boolean =>
    name in mask || (!shown.has(index) && (hashed.has(index) || !reads.has(index)))
  return new Set(columns.flatMap(({ name }, index) => (isSecret(name, index) ? [index] : [])))
}

/** What an expression can name: the table's columns, then the hidden ones. */
export class Inputs {
  readonly hidden: readonly HiddenColumn[]
  readonly declared: readonly ExpressionColumn[]
  readonly carried: readonly ExpressionColumn[]
  /** Columns from here on tell of rows before updates. */
  readonly oldFrom: number
  private readonly table: SourceTable

  constructor(table: SourceTable, times: RowTimes) {
    this.table = table
    const named = hiddenColumns(table, times)
    const old = oldColumns(table)
    this.hidden = [...named, ...old]
    this.oldFrom = table.columns.length + named.length
    const hidden = this.hidden.map(({ name, type, nullable }) => {
      return { name, type, nullable, hidden: true }
    })
    const updated = this.oldFrom
    const column = ({ name, type, nullable }: SourceColumn, index: number): ExpressionColumn => {
      const known = { name, type, nullable }
      return old.length === 0 ? known : { ...known, old: { value: updated + 1 + index, updated } }
    }
    this.declared = [...table.columns.map(column), ...hidden]
    const carried = table.columns.map((one, index) => ({
      ...column(one, index),
      nullable: one.nullable || !this.isKey(one.identity),
    }))
    this.carried = [...carried, ...hidden]
  }

  isKey(identity: string): boolean {
    return this.table.key?.includes(identity) === true
  }

  /** True when a delete has all of them. */
  areOfKey(indexes: ReadonlySet<number>): boolean {
    const { columns } = this.table
    return [...indexes].every((index) => {
      const column = columns[index]
      if (column !== undefined) return this.isKey(column.identity)
      const hidden = this.hidden[index - columns.length]
      return hidden !== undefined && (hidden.constant !== null || hidden.name === '__op__')
    })
  }

  isOld(index: number | null): boolean {
    return index !== null && index >= this.oldFrom
  }

  /** @returns the column of the table that the input is, now or before an update */
  sourceOf(index: number): SourceColumn | undefined {
    return this.table.columns[this.isOld(index) ? index - this.oldFrom - 1 : index]
  }

  /** @returns what a hidden column is for all rows; `null`: it is no such column */
  constantOf(index: number): string | null {
    return this.hidden[index - this.table.columns.length]?.constant ?? null
  }
}

function compileShorthand(
  inputs: Inputs,
  { expressions }: Shorthand,
  compiling: CompileOptions,
): { carried: CompiledExpressions; declared: CompiledExpressions } | null {
  if (expressions.size === 0) return null
  const items = [...expressions].map(([name, expression]) => `${expression} AS ${quoted(name)}`)
  const texts = { projection: items.join(', ') }
  return {
    carried: compileExpressions(inputs.carried, texts, compiling),
    declared: compileExpressions(inputs.declared, texts, compiling),
  }
}

/** Brings projection and shorthand together. */
class LeavingColumns {
  private readonly table: SourceTable
  private readonly options: TransformOptions
  private readonly shorthand: Shorthand
  private readonly inputs: Inputs
  private readonly sink: SinkKind

  constructor(
    table: SourceTable,
    options: TransformOptions,
    shorthand: Shorthand,
    inputs: Inputs,
    sink: SinkKind,
  ) {
    this.table = table
    this.options = options
    this.shorthand = shorthand
    this.inputs = inputs
    this.sink = sink
  }

  of(outputs: readonly OutputColumn[], shorthands: readonly OutputColumn[]): Leaving[] {
    const replaced = [...this.shorthand.expressions.keys()]
    return outputs.flatMap((output, index): Leaving[] => {
      const { passThrough, name } = output
      const input = passThrough
      const source = input === null ? undefined : this.table.columns[input]
      const own = { input, program: 'projection', index } as const
      if (source === undefined) {
        if (input !== null) this.requireShown(input)
        const constant = input === null ? null : this.inputs.constantOf(input)
        const column = this.computed(output, null)
        return [{ column: constant === null ? column : { ...column, constant }, ...own }]
      }
      // A column that is listed under another name is masked as well.
      if (this.shorthand.dropped.has(source.name)) return []
      const at = replaced.indexOf(source.name)
      const short = shorthands[at]
      if (short === undefined) return [{ column: { ...source, name }, ...own }]
      const column = this.computed({ ...short, name }, source)
      return [{ column, input: null, program: 'shorthand', index: at }]
    })
  }

  /** What a masked column was is as secret as what it is. */
  private requireShown(input: number): void {
    const name = this.inputs.isOld(input) ? this.inputs.sourceOf(input)?.name : undefined
    if (name === undefined) return
    if (!this.shorthand.dropped.has(name) && !this.shorthand.expressions.has(name)) return
    throw new PipelineError('OPERATOR_REFUSED', `before(${quoted(name)}) is of a masked column`, {
      hint: `Mask it as well, as in sha256(before(${quoted(name)})).`,
    })
  }

  private computed(
    { name, type, nullable }: OutputColumn,
    source: SourceColumn | null,
  ): SourceColumn {
    const isKey = source !== null && this.inputs.isKey(source.identity)
    const becomesNull = this.options.onError === 'null' && !isKey
    // What the rows of before would have in it is not known: they were never read for it.
    const existing: ExistingValue = { kind: this.sink === 'upsert' ? 'unknown' : 'null' }
    return {
      identity: `expr:${name}`,
      name,
      type,
      nullable: nullable || becomesNull,
      comment: source?.comment ?? null,
      sourceType: formatType(type),
      existing,
    }
  }
}

/** Rows of a filter on other columns than the key can come and go with an update. */
function requireFilter(
  { key }: SourceTable,
  { softDelete }: TransformOptions,
  sink: SinkKind,
): void {
  if (softDelete !== null) {
    throw new PipelineError(
      'OPERATOR_REFUSED',
      'a filter on columns and `soft_delete` exclude each other',
      {
        hint: 'A row that the filter has left out cannot be marked as deleted: filter by the key alone.',
      },
    )
  }
  if (sink !== 'changelog' || key === null) return
  throw new PipelineError(
    'OPERATOR_REFUSED',
    'a changelog cannot be filtered by columns that change',
    {
      detail:
        'The log has the row after an update, not the one before it: whether the filter let that one ' +
        'through is not known, so what the update would be to readers is not either.',
      hint: 'Filter by columns of the key, or filter the changelog when it is read.',
    },
  )
}

/** Whether a row is in a table that follows the source cannot depend on its last update alone. */
function requirePresent(inputs: Inputs, reads: ReadonlySet<number>): void {
  if (![...reads].some((index) => inputs.isOld(index))) return
  throw new PipelineError(
    'OPERATOR_REFUSED',
    'a filter of mode upsert cannot look at rows before updates',
    {
      detail: 'A row that the filter does not let through is deleted, whatever it was before.',
      hint: 'Take `before` and `is_changed` into the projection, or write a changelog.',
    },
  )
}

function requireSoftDelete(
  sink: SinkKind,
  leaving: readonly Leaving[],
  { column, at }: NonNullable<TransformOptions['softDelete']>,
  onError: TransformOptions['onError'],
): void {
  if (onError === 'dlq') {
    throw new PipelineError(
      'OPERATOR_REFUSED',
      '`soft_delete` and `on_error: dlq` exclude each other',
      { hint: 'A row that was set aside when it was inserted is not there to be marked.' },
    )
  }
  if (sink !== 'upsert') {
    throw new PipelineError('OPERATOR_REFUSED', `\`soft_delete\` has no use in mode ${sink}`, {
      hint: 'In `changelog` a delete is a row of its own; in `append` there are none.',
    })
  }
  for (const name of at === null ? [column] : [column, at]) {
    if (!leaving.some((one) => one.column.name === name)) continue
    throw new PipelineError('OPERATOR_REFUSED', `the table has a column "${name}" of its own`)
  }
}

/** In the order in which the rows have them, behind all others. */
function softColumns({ softDelete }: TransformOptions): SourceColumn[] {
  if (softDelete === null) return []
  const { column, at } = softDelete
  const base = { comment: null, existing: { kind: 'unknown' } } as const
  const flag: SourceColumn = {
    ...base,
    identity: `soft:${column}`,
    name: column,
    type: { kind: 'boolean' },
    nullable: false,
    sourceType: 'boolean',
  }
  if (at === null) return [flag]
  const time: SourceColumn = {
    ...base,
    identity: `soft:${at}`,
    name: at,
    type: { kind: 'timestamptz' },
    nullable: true,
    sourceType: 'timestamptz',
  }
  return [flag, time]
}
