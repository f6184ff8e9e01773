// The rows of a test as a source gives them: a table, and changes of it in columns. An update that
// changes the key is a delete and an insert, as the log of a database has it.

import { PipelineError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import { Op, type ChangeBatch } from '../../data/batch.ts'
import { gatherColumn } from '../../data/column/append.ts'
import type { Column } from '../../data/column/column.ts'
import { parseColumns } from '../../data/expression/parse/columns.ts'
import { namesOf, tableKey, type SourceColumn, type SourceTable } from '../../data/schema.ts'
import { formatType } from '../../data/type.ts'
import { columnText, type TestConfig, type TestRowConfig } from '../../job/config/pipeline-tests.ts'
import { columnOfValues } from './values.ts'

/** @returns the table that the test declares; `null`: it declares none */
export function declaredTable({ table, columns, key }: TestConfig): SourceTable | null {
  if (columns === null) return null
  const texts = Object.entries(columns).map(([name, type]) => columnText(name, type))
  const parsed = parseColumns(texts.join(', '))
  return {
    ...namesOf(table),
    incarnation: 'test',
    columns: parsed.map(({ name, type, nullable }): SourceColumn => ({
      identity: name,
      name,
      type,
      nullable: nullable && key?.includes(name) !== true,
      comment: null,
      sourceType: formatType(type),
      existing: { kind: 'null' },
    })),
    key,
    comment: null,
  }
}

/** A row as the source's log has it. */
interface LogRow {
  readonly op: Op
  readonly values: Readonly<Record<string, unknown>>
  /** `input[0].after`. */
  readonly label: string
}

/** All rows of a test, to be cut into batches. */
export class SourceRows {
  /** Changes: an old row stays with its update. */
  readonly count: number
  /** By change its first row, then the count of rows. */
  private readonly starts: readonly number[]
  private readonly table: SourceTable
  private readonly ops: Uint8Array
  private readonly columns: readonly Column[]

  /**
   * @param oldRows  updates come with the rows that they replaced, where the test has `before`
   * @throws PipelineError CONFIG_VALUE, naming the row and the column
   */
  constructor(table: SourceTable, input: readonly TestRowConfig[], oldRows: boolean) {
    this.table = table
    const rows = input.flatMap((row) => {
      const made = logRows(table, row)
      return oldRows && made.length === 1 ? [...made, ...oldRow(row)] : made
    })
    for (const row of rows) requireColumns(table, row)
    const starts = rows.flatMap(({ op }, at) => (op === Op.before ? [] : [at]))
    this.count = starts.length
    this.starts = [...starts, rows.length]
    this.ops = Uint8Array.from(rows, ({ op }) => op)
    this.columns = table.columns.map(({ name, type }) => {
      const values = rows.map((row) => row.values[name])
      const labels = rows.map((row) => `${row.label}.${name}`)
      return columnOfValues(type, values, labels)
    })
  }

  /** @returns changes [start, end) in memory of their own */
  batch(start: number, end: number): ChangeBatch {
    const first = this.starts[start] ?? 0
    const behind = this.starts[end] ?? 0
    const rows = behind - first
    const selection = Int32Array.from({ length: rows }, (_, at) => first + at)
    return {
      kind: 'changes',
      table: tableKey(this.table),
      schemaVersion: 0,
      rows,
      ops: this.ops.slice(first, behind),
      columns: this.columns.map((column) => gatherColumn(column, selection)),
      transactions: {
        count: 1,
        orderHigh: 0n,
        orderLow: new BigUint64Array(1),
        timeUs: new BigInt64Array(1),
        idOffsets: new Int32Array(2),
        idBytes: new Uint8Array(0),
      },
      transaction: new Uint32Array(rows),
      sequence: Uint32Array.from(selection),
      keyHash: null,
    }
  }
}

function logRows(table: SourceTable, { op, before, after, label }: TestRowConfig): LogRow[] {
  const was = { values: before ?? {}, label: `${label}.before` }
  const is = { values: after ?? {}, label: `${label}.after` }
  switch (op) {
    case 'c':
      return [{ op: Op.insert, ...is }]
    case 'r':
      return [{ op: Op.read, ...is }]
    case 'd':
      return [{ op: Op.delete, ...was }]
    case 'u':
      break
  }
  if (table.key === null) {
    if (before !== null)
      return [
        { op: Op.delete, ...was },
        { op: Op.update, ...is },
      ]
    throw new PipelineError('CONFIG_VALUE', `${label}: an update needs \`before\`: there is no key`)
  }
  const moved = before !== null && keyNames(table).some((name) => differ(before, after, name))
  return moved
    ? [
        { op: Op.delete, ...was },
        { op: Op.insert, ...is },
      ]
    : [{ op: Op.update, ...is }]
}

/** What an update replaced: columns that `before` does not name have stayed. */
function oldRow({ op, before, after, label }: TestRowConfig): LogRow[] {
  if (op !== 'u' || before === null) return []
  return [{ op: Op.before, values: { ...after, ...before }, label: `${label}.before` }]
}

/** A column of the key that `before` does not name has stayed. */
function differ(before: LogRow['values'], after: LogRow['values'] | null, name: string): boolean {
  return name in before && JSON.stringify(before[name]) !== JSON.stringify(after?.[name])
}

function keyNames({ key, columns }: SourceTable): string[] {
  return columns.flatMap(({ identity, name }) => (key?.includes(identity) === true ? [name] : []))
}

function requireColumns(table: SourceTable, { op, values, label }: LogRow): void {
  const names = table.columns.map(({ name }) => name)
  const unknown = Object.keys(values).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const near = nearestName(unknown, names)
    const message = `${label}: the table has no column "${unknown}"`
    const hint = near === null ? `It has ${names.join(', ')}.` : `There is "${near}".`
    throw new PipelineError('CONFIG_VALUE', message, { hint })
  }
  const key = keyNames(table)
  for (const { name, nullable } of table.columns) {
    const wanted = op === Op.delete ? key.includes(name) : !nullable || key.includes(name)
    if (!wanted || (values[name] ?? null) !== null) continue
    throw new PipelineError('CONFIG_VALUE', `${label} lacks "${name}", which cannot be null`)
  }
}
