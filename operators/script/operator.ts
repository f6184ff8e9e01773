// `script`: a user's function between the rows of a table and the lake. What it declares is the
// structure that leaves; its rows come back before the next batch is looked at.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { gatherColumn } from '../../runtime/data/column/append.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import type { SourceColumn, SourceTable } from '../../runtime/data/schema.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { requireSent } from '../../runtime/data/sent-values.ts'
import { parseType } from '../../runtime/data/type-text.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { Operator, OperatorOutput, OperatorPlan } from '../../runtime/operator.ts'
import type { ScriptHost } from './host.ts'
import type { ScriptColumn, ScriptQuestion, ScriptResult, ScriptRules } from './messages.ts'
import { columnOf } from './values.ts'

export interface ScriptPlanOptions {
  readonly onError: ScriptRules['onError']
  /** Mode of the sink. */
  readonly mode: 'upsert' | 'append' | 'changelog'
  /** What a row replaces that comes as inserted. */
  readonly inserted: 'new' | 'unknown'
  /** Changes with the text of the file. */
  readonly semantics: string
}

/** @param host  is asked for once a table is planned: its thread is not needed before */
export function scriptPlan(host: () => ScriptHost, options: ScriptPlanOptions): OperatorPlan {
  return {
    semantics: options.semantics,
    plan: (table) => new Script(host(), table, options),
  }
}

class Script implements Operator {
  readonly output: SourceTable
  private readonly host: ScriptHost
  private readonly table: string
  private readonly columns: readonly ScriptColumn[]
  private readonly added: readonly ScriptColumn[]
  /** By column of the table: it leaves. */
  private readonly leaves: readonly boolean[]
  private readonly rules: ScriptRules

  constructor(host: ScriptHost, table: SourceTable, options: ScriptPlanOptions) {
    const { onError, mode } = options
    const { drop } = host.definition
    this.host = host
    this.table = tableKey(table)
    this.columns = table.columns.map((column) => scriptColumn(column, table))
    const added = addedColumns(host.definition.add, table, mode)
    this.added = added.map((column) => scriptColumn(column, table))
    requireDropped(drop, table)
    this.leaves = table.columns.map(({ name }) => !drop.includes(name))
    const left = table.columns.filter((_, index) => this.leaves[index])
    this.output = { ...table, columns: [...left, ...added] }
    const keyedDrop = mode === 'changelog' && table.key !== null ? 'refuse' : 'drop'
    const deleted = options.inserted === 'unknown' ? 'delete any' : 'delete'
    const dropped = mode === 'upsert' ? deleted : keyedDrop
    this.rules = { dropped, explodes: mode === 'append', onError }
  }

  onBatch(batch: ChangeBatch, out: OperatorOutput): void {
    requireSent(batch, batch.columns, 'a script')
    const results = this.resultsOf(batch)
    // Whatever can go wrong has, before anything is counted or leaves.
    for (const { from, rows, result } of results) {
      const parents = new Set(result.parents).size
      if (rows > parents) out.filtered(rows - parents)
      if (result.parents.length > parents) out.made?.(result.parents.length - parents)
      if (result.parents.length > 0) out.emit(this.batchOf(batch, from, result))
    }
  }

  private resultsOf(batch: ChangeBatch): Answered[] {
    const whole = this.answered(batch, 0, batch.rows)
    if (whole !== null) return [whole]
    // It stands, or has eaten its memory: the row that does it is found alone.
    const results: Answered[] = []
    for (let row = 0; row < batch.rows; row++) {
      const one = this.answered(batch, row, 1)
      if (one !== null) results.push(one)
      else if (this.rules.onError === 'stop') throw this.failed(batch, 'it gave no answer in time')
      else results.push(this.passed(batch, row))
    }
    return results
  }

  private answered(batch: ChangeBatch, from: number, rows: number): Answered | null {
    const { table, columns, added, rules } = this
    const part = rows === batch.rows ? packBatch(batch) : partOf(batch, from, rows)
    const { ops, columns: values } = part
    const question: ScriptQuestion = { table, columns, added, rules, rows, ops, values }
    const answer = this.host.ask(question)
    if (answer === null) return null
    if (answer.kind === 'failed') throw this.failed(batch, answer.message)
    return { from, rows, result: answer }
  }

  /** A row that the script cannot take, with null in what it would have added. */
  private passed(batch: ChangeBatch, row: number): Answered {
    const { ops, columns } = partOf(batch, row, 1)
    const nothing = this.added.map(({ type }) => columnOf(type, [null]).column)
    const values = [...columns, ...nothing]
    return { from: row, rows: 1, result: { kind: 'done', parents: Int32Array.of(0), ops, values } }
  }

  private batchOf(batch: ChangeBatch, from: number, result: ScriptResult): ChangeBatch {
    const { parents, ops, values } = result
    const columns = values.filter((_, index) => this.leaves[index] ?? true)
    const rows = parents.length
    const at = (array: Uint32Array): Uint32Array => {
      return Uint32Array.from(parents, (parent) => array[from + parent] ?? 0)
    }
    const { transaction, sequence } = batch
    const marks = { transaction: at(transaction), sequence: at(sequence), keyHash: null }
    return packBatch({ ...batch, rows, columns, ops, ...marks })
  }

  private failed(batch: ChangeBatch, why: string): PipelineError {
    return new PipelineError('SCRIPT_FAILED', `table "${batch.table}": the script failed: ${why}`, {
      detail: 'No row of its batch was written.',
    })
  }
}

/** A range of the batch, and what has become of it. */
interface Answered {
  readonly from: number
  readonly rows: number
  readonly result: ScriptResult
}

function partOf(
  batch: ChangeBatch,
  from: number,
  rows: number,
): { readonly ops: Uint8Array; readonly columns: readonly Column[] } {
  const selection = Int32Array.from({ length: rows }, (_, index) => from + index)
  const columns = batch.columns.map((column) => gatherColumn(column, selection))
  return { ops: batch.ops.slice(from, from + rows), columns }
}

function scriptColumn({ identity, name, type, nullable }: SourceColumn, { key }: SourceTable) {
  return { name, type, nullable, isKey: key?.includes(identity) === true }
}

function addedColumns(
  add: readonly (readonly [string, string])[],
  { columns }: SourceTable,
  mode: ScriptPlanOptions['mode'],
): SourceColumn[] {
  return add.map(([name, text]) => {
    const type = parseType(text)
    if (type === null) {
      throw new PipelineError('OPERATOR_REFUSED', `a script adds "${name}" of no type "${text}"`)
    }
    if (columns.some((column) => column.name === name)) {
      throw new PipelineError('OPERATOR_REFUSED', `a script adds "${name}", which is there already`)
    }
    return {
      identity: `script:${name}`,
      name,
      type,
      nullable: true,
      comment: null,
      sourceType: formatType(type),
      // What rows of before would have in it is not known: they never passed the script.
      existing: { kind: mode === 'upsert' ? 'unknown' : 'null' },
    }
  })
}

function requireDropped(drop: readonly string[], { columns, key }: SourceTable): void {
  for (const name of drop) {
    const column = columns.find((one) => one.name === name)
    if (column === undefined) {
      throw new PipelineError('OPERATOR_REFUSED', `a script drops "${name}", which is not there`)
    }
    if (key?.includes(column.identity) !== true) continue
    throw new PipelineError('OPERATOR_REFUSED', `a script drops "${name}", a key column`)
  }
}
