// Rows that an operator could not compute, on their way into their own table: through the same
// exchange and behind the same barriers as their neighbours, so that one epoch has both.

import { createHash, createHmac } from 'node:crypto'
import { errorCodes } from '../base/error-codes.ts'
import { PipelineError } from '../base/errors.ts'
import { Op, type ChangeBatch } from '../data/batch.ts'
import { opColumn, positionColumn } from '../data/change-columns.ts'
import { columnBuilder, type BytesBuilder, type ColumnBuilder } from '../data/column/builder.ts'
import { appendRows } from '../data/column/append.ts'
import { DeadLetterLimits } from '../data/dead-letters.ts'
import { packBatch } from '../data/pack.ts'
import { rowJson } from '../data/row-json.ts'
import { tableKey, type SourceTable, type TableSchema } from '../data/schema.ts'
import type { DeadLetterPlan, DeadRow } from '../operator.ts'

const encoder = new TextEncoder()

export class DeadLetters {
  readonly table: SourceTable
  readonly name: string
  private readonly limits: DeadLetterLimits
  private readonly idKey: () => Uint8Array | null

  constructor({ table, rowsMax, ratioMax, idKey }: DeadLetterPlan) {
    this.idKey = idKey
    this.table = table
    this.name = tableKey(table)
    this.limits = new DeadLetterLimits({ rowsMax, ratioMax })
  }

  /**
   * The source has letters of its own.
   *
   * @throws PipelineError DEAD_LETTERS_MAX
   */
  passed(rows: number): void {
    for (let row = 0; row < rows; row++) {
      const tooMany = this.limits.add('rows', 0)
      if (tooMany === null) continue
      const detail = 'Nothing since the last checkpoint is committed.'
      throw new PipelineError('DEAD_LETTERS_MAX', `${tooMany} are dead letters`, { detail })
    }
  }

  /** Rows went through operators that may have set some aside. */
  count(rows: number): void {
    this.limits.count(rows)
  }

  /** A checkpoint is taken here. */
  endEpoch(): void {
    this.limits.endEpoch()
  }

  /**
   * @param batch  of which `dead` are rows, as the operator was given it
   * @param schema  of the batch
   * @param version  of the structure that the letters have
   * @param secret  columns whose values are not shown
   * @returns the letters, one a row, with the transactions of their rows
   * @throws PipelineError DEAD_LETTERS_MAX
   */
  letters(
    batch: ChangeBatch,
    schema: TableSchema,
    version: number,
    dead: readonly DeadRow[],
    secret: ReadonlySet<number>,
  ): ChangeBatch {
    for (const letter of dead) this.judge(batch.table, letter)
    const rows = Int32Array.from(dead, ({ row }) => row)
    const made = new Map<string, ColumnBuilder>()
    for (const { name, type } of this.table.columns) {
      const builder = columnBuilder(type, dead.length)
      builder.reserveRows(dead.length)
      made.set(name, builder)
    }
    this.write(made, batch, schema, dead, secret)
    appendRows(taken(made, 'op'), 0, opColumn(batch), rows.length, rows)
    appendRows(taken(made, 'position'), 0, positionColumn(batch), rows.length, rows)
    return packBatch({
      ...batch,
      table: this.name,
      schemaVersion: version,
      rows: rows.length,
      ops: new Uint8Array(rows.length).fill(Op.insert),
      columns: [...made.values()].map((builder) => builder.view(rows.length)),
      transaction: Uint32Array.from(rows, (row) => batch.transaction[row] ?? 0),
      sequence: Uint32Array.from(rows, (row) => batch.sequence[row] ?? 0),
      keyHash: null,
    })
  }

  private write(
    made: ReadonlyMap<string, ColumnBuilder>,
    batch: ChangeBatch,
    schema: TableSchema,
    dead: readonly DeadRow[],
    secret: ReadonlySet<number>,
  ): void {
    const names = schema.fields.map(({ name }) => name)
    const idOf = this.idsOf(batch, schema, secret)
    const append = rowJson(batch.columns, names, secret)
    const json = made.get('row') as BytesBuilder
    const texts: Readonly<Record<string, (letter: DeadRow) => string | null>> = {
      dlq_id: ({ row }) => idOf(row),
      code: ({ error }) => errorCodes[error].code,
      message: ({ message }) => message,
      source_table: () => batch.table,
      column_name: ({ column }) => column,
      expression: ({ expression }) => expression,
    }
    for (const [at, letter] of dead.entries()) {
      for (const [name, text] of Object.entries(texts)) {
        setText(made.get(name) as BytesBuilder, at, text(letter))
      }
      append(json, letter.row)
      json.endRow(at)
    }
    const filled = new Set([...Object.keys(texts), 'op', 'position', 'row'])
    for (const [name, builder] of made) {
      if (filled.has(name)) continue
      for (let at = 0; at < dead.length; at++) builder.setNull(at)
    }
  }

  /**
   * A row of the log has a place there. Rows of two chunks may have one and the same, and one row
   * has several when it is read again: its key says which one it is.
   */
  private idsOf(
    batch: ChangeBatch,
    { key, fields }: TableSchema,
    secret: ReadonlySet<number>,
  ): (row: number) => string {
    const positions = positionColumn(batch)
    const keyed = key !== null && key.length > 0
    const columns = keyed ? key.flatMap((index) => batch.columns[index] ?? []) : []
    const names = keyed ? key.map((index) => fields[index]?.name ?? '') : []
    const append = rowJson(columns, names, new Set())
    const text = columnBuilder({ kind: 'string' }) as BytesBuilder
    // Who guesses a key that is masked must not see in the id that the guess is right.
    const sealing = keyed && key.some((index) => secret.has(index)) ? this.idKey() : null
    return (row) => {
      const hash = sealing === null ? createHash('sha256') : createHmac('sha256', sealing)
      const read = batch.ops[row] === Op.read
      hash.update(`${batch.table}|${read ? 'r|' : ''}`)
      if (!read || !keyed) return hash.update(textAt(positions, row)).digest('hex')
      text.bytesLength = 0
      append(text, row)
      return hash.update(text.bytes.subarray(0, text.bytesLength)).digest('hex')
    }
  }

  private judge(table: string, { row, message, expression }: DeadRow): void {
    const tooMany = this.limits.add('rows', row)
    if (tooMany === null) return
    throw new PipelineError('DEAD_LETTERS_MAX', `${tooMany} cannot be computed`, {
      detail:
        `The last one is of table "${table}": ${message} in ${expression}. Nothing since the ` +
        'last checkpoint is committed.',
    })
  }
}

function taken(made: ReadonlyMap<string, ColumnBuilder>, name: string): ColumnBuilder {
  const builder = made.get(name)
  if (builder === undefined) throw new RangeError(`dead letters have no column ${name}`)
  return builder
}

function setText(builder: BytesBuilder, row: number, text: string | null): void {
  if (text === null) builder.setNull(row)
  else {
    const bytes = encoder.encode(text)
    builder.setBytes(row, bytes, 0, bytes.length)
  }
}

function textAt(column: ReturnType<typeof positionColumn>, row: number): string {
  if (column.layout !== 'bytes') return ''
  return Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1])).toString()
}
