// The kernels that generated code calls, by the names that it has for them.

import * as bytes from '../kernels/bytes.ts'
import * as columns from '../kernels/columns.ts'
import * as exact from '../kernels/exact.ts'
import * as moments from '../kernels/moments.ts'
import * as numbers from '../kernels/number-text.ts'
import * as times from '../kernels/time-text.ts'
import * as json from '../kernels/json-scan.ts'
import * as uuids from '../kernels/uuid-text.ts'
import { appendRows } from '../../column/append.ts'

export const kernels = {
  ...bytes,
  ...columns,
  ...exact,
  ...moments,
  ...numbers,
  ...times,
  ...json,
  ...uuids,
  appendRows,
}
export type KernelName = keyof typeof kernels
