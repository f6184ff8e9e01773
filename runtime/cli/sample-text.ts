// What keeps a table from being carried, as `preview` and `types` print it.

import { errorCodes } from '../base/error-codes.ts'
import { printable } from './failure.ts'
import type { TableSample } from './sampling.ts'

/** @returns lines behind those of the table; [] when nothing is wrong */
export function formatSampleError({ error }: TableSample): string[] {
  if (error === null) return []
  const { code } = errorCodes[error.error]
  return [printable(`    ✗ ${code} ${error.message}`), printable(`      fix: ${error.hint}`)]
}

export function errorJson({ error }: TableSample): object | null {
  return error === null ? null : { code: errorCodes[error.error].code, ...error }
}
