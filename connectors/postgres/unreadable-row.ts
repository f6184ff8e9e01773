// What is said of a row of the log that cannot be read: it parks its table.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { LogParser } from './decode/log-parser.ts'
import type { LogTable } from './log-table.ts'
import { qualified } from './publication.ts'

export function unreadableRow(
  { key, shape }: LogTable,
  { reason, reasonKey, column }: Pick<LogParser, 'reason' | 'reasonKey' | 'column'>,
): PipelineError {
  if (reason === 'no key') {
    const message = `the old row of a change of table "${key}" came without its key`
    return new PipelineError('TABLE_REPLICA_IDENTITY', message, {
      detail: 'The replica identity of a partition differs from that of the table.',
      hint:
        `Give ${qualified(shape.source)} and its partitions one replica identity, ` +
        `then run \`millrace resync FILE --table ${key}\`.`,
    })
  }
  if (reason === 'toasted key' || reason === null) {
    const message = `an update of table "${key}" left out its key`
    return new PipelineError('UNCHANGED_VALUE_MISSING', message)
  }
  const name = shape.columns[column]?.name ?? '?'
  const row = reasonKey === '' ? '' : ` of row ${reasonKey}`
  const message = `column "${name}" of table "${key}"${row} has no value in the lake`
  return new PipelineError('VALUE_UNREPRESENTABLE', message, {
    detail: `The value is ${reason.message}.`,
  })
}

/** Under FULL the key is that of the catalog, which may be younger than the rows. */
export function nullKey(table: string, column: string): PipelineError {
  const message = `key column "${column}" of table "${table}" is null in a row`
  return new PipelineError('VALUE_UNREPRESENTABLE', message, {
    detail: 'The row was written before the column became a part of the key.',
    hint: `Run \`millrace resync FILE --table ${table}\`.`,
  })
}
