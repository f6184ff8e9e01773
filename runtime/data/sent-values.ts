// The guard of whatever looks into rows on their way: a value that the source did not send is a
// filler in its column, and must never be taken for one.

import { PipelineError } from '../base/errors.ts'
import { Op, type ChangeBatch } from './batch.ts'
import { isUnchanged, type Column } from './column/column.ts'

/**
 * Deletes are passed over: they carry their key alone.
 *
 * @param columns  of the batch that are read
 * @param reader  who reads them, for the message: `an expression`
 * @throws PipelineError UNCHANGED_VALUE_MISSING
 */
export function requireSent(batch: ChangeBatch, columns: Iterable<Column>, reader: string): void {
  for (const column of columns) {
    if (column.unchanged === null) continue
    for (let row = 0; row < batch.rows; row++) {
      if (batch.ops[row] === Op.delete || !isUnchanged(column, row)) continue
      throw new PipelineError(
        'UNCHANGED_VALUE_MISSING',
        `table "${batch.table}": ${reader} reads a value that the log does not carry`,
        { hint: 'Run `ALTER TABLE TABLE REPLICA IDENTITY FULL` (PostgreSQL), then resync.' },
      )
    }
  }
}
