// Columns that row images leave out (binlog_row_image MINIMAL and NOBLOB). What that means depends
// on the operation: an INSERT stored the column's default, an UPDATE left the value as it was, and
// of a deleted row nobody needs more than the key. Reading absence as NULL would overwrite values.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { unreachable } from '../../../runtime/base/assert.ts'
import { Op } from '../../../runtime/data/batch.ts'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { appendLiteral } from './literal-append.ts'
import type { ExistingValue, TableSchema } from '../../../runtime/data/schema.ts'
import type { Binding } from './column-plan.ts'
import type { Presence } from './events.ts'

export class AbsentColumns {
  private readonly schema: TableSchema
  private readonly binding: Binding
  private readonly defaults: readonly ExistingValue[]
  private readonly unlogged: ReadonlySet<number>

  constructor(
    schema: TableSchema,
    binding: Binding,
    defaults: readonly ExistingValue[],
    unlogged: ReadonlySet<number>,
  ) {
    this.schema = schema
    this.binding = binding
    this.defaults = defaults
    this.unlogged = unlogged
  }

  /** @returns why inserts that leave these columns out cannot be decoded; `null` when they can */
  insertProblem({ image, full }: Presence): PipelineError | null {
    if (full) return null
    for (let field = 0; field < this.binding.length; field++) {
      const known = this.defaults[field]?.kind ?? 'unknown'
      if (image[this.binding[field]!] === 0 && known === 'unknown') {
        return this.problem(field, 'an insert left out', 'Its default is not a constant.')
      }
    }
    return null
  }

  /**
   * The servers keep the columns of the primary key, or of a unique index of their choice: where
   * the lake's key is another unique index, nothing tells which row was changed.
   *
   * @returns why updates and deletes with these images cannot be carried on; `null` when they can
   */
  keyProblem({ image, full }: Presence): PipelineError | null {
    if (full) return null
    const missing = this.schema.key?.find((field) => image[this.binding[field]!] === 0)
    if (missing === undefined) return null
    return this.problem(missing, 'a change left out key', 'It names the row by another unique key.')
  }

  /** @returns why an update that leaves these columns out may have changed one of them */
  updateProblem({ after, full }: Presence): PipelineError | null {
    if (full) return null
    for (const field of this.unlogged) {
      if (after[this.binding[field]!] !== 0) continue
      const detail = 'MariaDB does not log what a virtual column is computed to.'
      return this.problem(field, 'an update left out', detail)
    }
    return null
  }

  /** @returns why the new row of a key change is incomplete; `null` when both images make it up */
  missingAfter({ image, after, full }: Presence): PipelineError | null {
    if (full) return null
    for (let field = 0; field < this.binding.length; field++) {
      const column = this.binding[field]!
      if (image[column] === 0 && after[column] === 0) {
        return this.problem(field, 'an update of the key left out', 'The old row is needed for it.')
      }
    }
    return null
  }

  private problem(field: number, verb: string, detail: string): PipelineError {
    const { table, fields } = this.schema
    const message = `${verb} column "${fields[field]?.name}" of table "${table}"`
    return new PipelineError('UNCHANGED_VALUE_MISSING', message, {
      detail,
      hint:
        'Run `SET PERSIST binlog_row_image=FULL` (MariaDB: `SET GLOBAL`), then ' +
        '`millrace resync FILE --table TABLE`.',
    })
  }

  /** Completes rows first...end - 1 of the fields that the images of `op` do not hold. */
  fill(
    op: Op,
    { image, after }: Presence,
    columns: readonly ColumnBuilder[],
    first: number,
    end: number,
  ): void {
    for (let field = 0; field < columns.length; field++) {
      const column = this.binding[field]!
      if (image[column] !== 0 || after[column] !== 0) continue
      const builder = columns[field]!
      for (let row = first; row < end; row++) this.fillRow(op, builder, row, field)
    }
  }

  private fillRow(op: Op, builder: ColumnBuilder, row: number, field: number): void {
    switch (op) {
      case Op.update:
      case Op.before:
        return builder.setUnchanged(row)
      case Op.delete:
        return builder.setNull(row)
      case Op.insert:
      case Op.read:
        break
      default:
        return unreachable(op)
    }
    const value = this.defaults[field]
    if (value?.kind === 'value') appendLiteral(builder, row, value.value)
    else builder.setNull(row)
  }
}
