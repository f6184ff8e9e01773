// Formats of records after validation: paths absolute, secrets as Secret. A format family that has
// either resolves it here; what has neither passes as it is.

import type { ConnectionContext } from './connection.ts'
import type { Path } from './problems.ts'
import type { RecordFormatInput } from './schema-formats.ts'

export type RecordFormatConfig = RecordFormatInput

/** @param _path  of the block in the file: `source.key` or `source.value` */
export function resolveFormat(
  input: RecordFormatInput,
  _path: Path,
  _context: ConnectionContext,
): RecordFormatConfig {
  return input
}
