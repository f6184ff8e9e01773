// Updates that come with the rows they replaced: the batch without these, and their values as
// columns beside it. What is not known is an error: null would say that the value was null.

import { PipelineError } from '../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { appendRows } from '../../runtime/data/column/append.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import { rowsOf } from './stages.ts'

export class OldRows {
  /** The rows that are not old. */
  readonly batch: ChangeBatch
  /** By row of `batch`: its row in the batch that came; `null`: the same. */
  readonly origins: Int32Array | null
  private readonly given: ChangeBatch
  /** By row of `batch`: its old row in the batch that came; without one its own. */
  private readonly places: Int32Array
  /** By row of `batch`: 1 for an update. */
  private readonly updated: Uint8Array

  /** @throws PipelineError UNCHANGED_VALUE_MISSING: an update came without its old row */
  constructor(given: ChangeBatch) {
    this.given = given
    const { ops } = given
    const origins = Int32Array.from(ops.keys()).filter((row) => ops[row] !== Op.before)
    this.updated = Uint8Array.from(origins, (row) => (ops[row] === Op.update ? 1 : 0))
    this.places = origins.map((row) => {
      if (ops[row] !== Op.update) return row
      if (ops[row + 1] !== Op.before) throw missing(given.table)
      return row + 1
    })
    const isWhole = origins.length === given.rows
    this.origins = isWhole ? null : origins
    this.batch = isWhole ? given : rowsOf(given, origins)
  }

  /**
   * @returns a column of the batch as it was before each update; null where there was none
   * @throws PipelineError UNCHANGED_VALUE_MISSING: an old row lacks the column
   */
  column(index: number): Column {
    const { given, places, updated } = this
    const column = given.columns[index]
    if (column === undefined) throw new RangeError('a batch has fewer columns than its table')
    const builder = columnBuilder(column.type)
    appendRows(builder, 0, column, places.length, places)
    for (const [row, place] of places.entries()) {
      if (updated[row] === 0) builder.markNull(row)
      else if (isUnchanged(column, place)) throw missing(given.table)
    }
    // Whether a row itself has the value says nothing about the old one.
    return { ...builder.view(places.length), unchanged: null }
  }

  /** @returns true for the updates */
  updates(): Column {
    const marks = { validity: null, unchanged: null }
    const { updated: values } = this
    return { type: { kind: 'boolean' }, layout: 'bool8', length: values.length, ...marks, values }
  }
}

function missing(table: string): PipelineError {
  return new PipelineError(
    'UNCHANGED_VALUE_MISSING',
    `table "${table}": an expression reads a row before an update, and the log has no such row`,
    {
      hint:
        'Run `ALTER TABLE TABLE REPLICA IDENTITY FULL` (PostgreSQL) or ' +
        '`SET PERSIST binlog_row_image=FULL` (MySQL; MariaDB: `SET GLOBAL`), then ' +
        '`millrace resync FILE --table TABLE`.',
    },
  )
}
