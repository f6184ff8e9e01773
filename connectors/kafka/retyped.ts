// When a newer schema gives a column another type: what the lake can follow, and what is said when
// it cannot.

import { PipelineError } from '../../runtime/base/errors.ts'
import { formatType, type ColumnType } from '../../runtime/data/type.ts'

/** @returns the error with which `RecordDecoder.advance` parks the table */
export function typeChanged(column: string, before: ColumnType, after: ColumnType): PipelineError {
  const types = `from ${described(before)} to ${described(after)}`
  return new PipelineError('FORMAT_TYPE_CHANGED', `column "${column}" changed ${types}`)
}

function described(type: ColumnType): string {
  return type.kind === 'string' && type.json === true ? 'JSON' : formatType(type)
}
