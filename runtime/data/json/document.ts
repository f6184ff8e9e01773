// A record as one JSON document that is an object, and nothing behind it.

import type { Cells } from './cells.ts'
import { failAt, FAULT } from './fault.ts'
import { OPEN_OBJECT, skipSpace } from './grammar.ts'
import type { ScanObject } from './object-scanner.ts'

/**
 * Notes the places of a record's values in the slots from `base` on.
 *
 * @returns the place behind the document, or FAULT
 */
export function scanDocument(scan: ScanObject, cells: Cells, record: number, base: number): number {
  return scanObjectAt(scan, cells, record, cells.starts, cells.ends, base)
}

/** The same, with slots that are not of a row. */
export function scanObjectAt(
  scan: ScanObject,
  { bytes, view, recordStarts, recordEnds }: Cells,
  record: number,
  starts: Int32Array,
  ends: Int32Array,
  base = 0,
): number {
  const end = recordEnds[record]!
  let at = recordStarts[record]!
  if (at < 0) return failAt(at, 'it is null')
  if (bytes[at] !== OPEN_OBJECT) at = skipSpace(bytes, at)
  if (at >= end || bytes[at] !== OPEN_OBJECT) return failAt(at, 'it is no object')
  const close = scan(bytes, view, at, end, starts, ends, base, 0)
  if (close === FAULT || close === end) return close
  return close > end ? failAt(end, 'it has no end') : documentEnd(bytes, close, end)
}

/** White space may follow a document, and nothing else. */
export function documentEnd(bytes: Uint8Array, close: number, end: number): number {
  const at = skipSpace(bytes, close)
  return at < end ? failAt(at, 'something follows the document') : end
}
