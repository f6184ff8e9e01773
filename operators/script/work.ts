// A batch through a user's functions, on the script's own thread. Rows that leave are found first,
// then each column is gathered where the script left it alone and written anew where it did not.

import { gatherColumn } from '../../runtime/data/column/append.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { ScriptDefinition, ScriptRow, ScriptValue } from '../../runtime/script.ts'
import type { ScriptColumn, ScriptFailure, ScriptQuestion, ScriptResult } from './messages.ts'
import { columnOf, valuesOf } from './values.ts'

/** A row of the batch that cannot be what the script makes of it. */
class RowFault extends Error {
  readonly row: number

  constructor(row: number, message: string) {
    super(message)
    this.row = row
  }
}

/** @returns what leaves, or the first row that fails where the rules do not let it pass */
export async function runScript(
  definition: ScriptDefinition,
  question: ScriptQuestion,
): Promise<ScriptResult | ScriptFailure> {
  try {
    const batched = definition.onBatch !== undefined
    const leaving = await (batched ? wholeBatch : rowByRow)(definition, question)
    return leaving.result()
  } catch (error) {
    if (!(error instanceof RowFault)) throw error
    return { kind: 'failed', row: error.row, message: error.message }
  }
}

async function rowByRow({ onRow }: ScriptDefinition, question: ScriptQuestion): Promise<Leaving> {
  if (onRow === undefined) throw new TypeError('the script has neither onRow nor onBatch')
  const { table, columns, rows, ops, rules } = question
  const leaving = new Leaving(question, null)
  const context = { table }
  for (let row = 0; row < rows; row++) {
    if (ops[row] === Op.delete) {
      leaving.pass(row)
      continue
    }
    const given: ScriptRow = {}
    for (const [index, { name }] of columns.entries()) given[name] = leaving.input(index, row)
    let made
    try {
      made = await onRow(given, context)
    } catch (error) {
      if (rules.onError === 'stop') throw new RowFault(row, messageOf(error))
      leaving.pass(row)
      continue
    }
    if (made === null) leaving.drop(row)
    else if (Array.isArray(made)) leaving.explode(row, made as readonly ScriptRow[])
    else leaving.change(row, made as ScriptRow)
  }
  return leaving
}

async function wholeBatch(
  { onBatch }: ScriptDefinition,
  question: ScriptQuestion,
): Promise<Leaving> {
  const { table, columns, rows, ops, values } = question
  const named = Object.fromEntries(columns.map(({ name }, index) => [name, values[index]]))
  const batch = { rows, ops, columns: named as Record<string, Column>, context: { table } }
  const made = (await onBatch?.(batch)) ?? {}
  const given = new Map(Object.entries(made.columns ?? {}))
  for (const [name, column] of given) {
    if (column.length === rows) continue
    throw new TypeError(`onBatch gives ${column.length} values of "${name}" for ${rows} rows`)
  }
  const leaving = new Leaving(question, new Set(given.keys()))
  for (let row = 0; row < rows; row++) {
    if (ops[row] === Op.delete) leaving.pass(row)
    else if (made.keep?.[row] === 0) leaving.drop(row)
    else leaving.set(row, given)
  }
  return leaving
}

/** Rows that leave, and the values of each column, in step. */
class Leaving {
  private readonly question: ScriptQuestion
  private readonly all: readonly ScriptColumn[]
  /** By column, once somebody has asked for it: making values costs more than moving columns. */
  private readonly inputs: (readonly (ScriptValue | undefined)[])[] = []
  /** Columns whose values the script may have given; the others move as they are. */
  private readonly touched: readonly number[]
  private readonly names: ReadonlySet<string>
  private readonly parents: number[] = []
  private readonly ops: number[] = []
  /** By column, the values that the script has given. */
  private readonly values: unknown[][]
  /** By column: a value that is not the one that came. */
  private readonly changed: boolean[]
  /** Rows whose added columns stay null, since they passed by the script. */
  private readonly passed = new Set<number>()

  /** @param given  names of the columns that the script has given; `null`: it may be any */
  constructor(question: ScriptQuestion, given: ReadonlySet<string> | null) {
    this.question = question
    this.all = [...question.columns, ...question.added]
    const isAdded = (index: number): boolean => index >= question.columns.length
    this.touched = [...this.all.keys()].filter((index) => {
      return given === null || isAdded(index) || given.has(this.all[index]?.name ?? '')
    })
    this.names = new Set(this.all.map(({ name }) => name))
    this.values = this.all.map(() => [])
    this.changed = this.all.map((_, index) => isAdded(index))
  }

  input(column: number, row: number): ScriptValue | undefined {
    const came = this.question.values[column]
    if (came === undefined) return undefined
    const values = (this.inputs[column] ??= valuesOf(came))
    return values[row]
  }

  /** As it came, whatever its columns say: a delete has its key alone. */
  pass(row: number): void {
    this.passed.add(this.parents.length)
    this.leave(row, this.opOf(row), (index) => this.input(index, row) ?? null)
  }

  drop(row: number): void {
    const { dropped } = this.question.rules
    if (dropped === 'refuse') {
      throw new RowFault(row, 'a row of a changelog cannot be dropped: an update may follow it')
    }
    // It may be of a row that was not dropped before.
    const replaced = dropped === 'delete' && this.opOf(row) === Op.update
    if (!replaced && dropped !== 'delete any') return
    this.passed.add(this.parents.length)
    this.leave(row, Op.delete, (index) => this.input(index, row) ?? null)
  }

  change(row: number, made: ScriptRow): void {
    this.requireNames(row, made)
    this.leave(row, this.opOf(row), (index) => made[this.all[index]?.name ?? ''])
  }

  explode(row: number, made: readonly ScriptRow[]): void {
    if (!this.question.rules.explodes) {
      throw new RowFault(row, 'a row becomes several in mode append only: they would share a key')
    }
    for (const each of made) this.change(row, each)
  }

  /** @param given  by name; other columns stay */
  set(row: number, given: ReadonlyMap<string, ArrayLike<unknown>>): void {
    for (const name of given.keys()) if (!this.names.has(name)) throw unknownColumn(row, name)
    this.leave(row, this.opOf(row), (index) => {
      const values = given.get(this.all[index]?.name ?? '')
      return values === undefined ? this.input(index, row) : values[row]
    })
  }

  result(): ScriptResult {
    const parents = Int32Array.from(this.parents)
    const values = this.all.map((column, index) => this.columnOf(column, index, parents))
    return { kind: 'done', parents, ops: Uint8Array.from(this.ops), values }
  }

  private columnOf(column: ScriptColumn, index: number, parents: Int32Array): Column {
    const came = this.question.values[index]
    if (came !== undefined && this.changed[index] !== true) {
      return gatherColumn(came, parents)
    }
    const values = this.values[index] ?? []
    const { column: written, failures } = columnOf(column.type, values)
    for (const { row, message } of failures) {
      const isRefused = this.question.rules.onError === 'stop' || !column.nullable
      if (isRefused) throw new RowFault(this.parents[row] ?? 0, `"${column.name}": ${message}`)
    }
    if (!column.nullable) this.requireValues(column, values)
    return written
  }

  private requireValues({ name }: ScriptColumn, values: readonly unknown[]): void {
    for (const [row, value] of values.entries()) {
      if (value !== null && value !== undefined) continue
      if (this.passed.has(row)) continue
      throw new RowFault(this.parents[row] ?? 0, `"${name}" is null, which it must not be`)
    }
  }

  private leave(row: number, op: number, valueOf: (index: number) => unknown): void {
    this.parents.push(row)
    this.ops.push(op)
    for (const index of this.touched) {
      const { isKey, name, type } = this.all[index] as ScriptColumn
      const value = valueOf(index)
      const before = this.input(index, row)
      this.values[index]?.push(value)
      if (this.changed[index] === true && !isKey) continue
      if (isSame(value, before)) {
        // What lies in an array or in bytes may have been changed in place.
        if (type.kind === 'list' || type.kind === 'binary') this.changed[index] = true
        continue
      }
      if (isKey) throw new RowFault(row, `"${name}" is a key column, which stays as it is`)
      this.changed[index] = true
    }
  }

  private requireNames(row: number, made: ScriptRow): void {
    if (typeof made !== 'object') throw new RowFault(row, 'a script gives a row, rows or null')
    for (const name in made) if (!this.names.has(name)) throw unknownColumn(row, name)
  }

  private opOf(row: number): number {
    return this.question.ops[row] ?? Op.insert
  }
}

function isSame(value: unknown, before: unknown): boolean {
  return Object.is(value ?? null, before ?? null)
}

function unknownColumn(row: number, name: string): RowFault {
  return new RowFault(row, `the table has no column "${name}"; declare it in \`output.add\``)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
