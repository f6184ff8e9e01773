// Images of rows in an envelope, and what is compared and completed between them before they are
// columns: all by the places of their values.

import { Op } from '../../../../runtime/data/batch.ts'
import { failAt, FAULT, refuse } from '../../../../runtime/data/json/fault.ts'
import { OPEN_OBJECT } from '../../../../runtime/data/json/grammar.ts'
import { ABSENT, NULL, UNCHANGED } from '../../../../runtime/data/json/object-scanner.ts'
import type { ChangeRows } from './protocol.ts'

/**
 * Reads the object bytes[start, end), which has been checked.
 *
 * @returns the first of its slots, or FAULT
 */
export function readImage({ cells, scanImage }: ChangeRows, start: number, end: number): number {
  const { bytes, view } = cells
  if (start < 0 || bytes[start] !== OPEN_OBJECT)
    return failAt(start, 'an image of a row is missing')
  const base = cells.takeSlots()
  const close = scanImage(bytes, view, start, end, cells.starts, cells.ends, base, 0)
  return close === FAULT ? FAULT : base
}

/** Values that an update does not have are those that the row has. */
export function keepAbsent({ cells, columns }: ChangeRows, base: number): void {
  for (let slot = base; slot < base + columns.length; slot++) {
    if (cells.starts[slot] === ABSENT) cells.starts[slot] = UNCHANGED
  }
}

/** True when a column of the key has another text in `before`, where that has it at all. */
export function keyDiffers(rows: ChangeRows, before: number, after: number): boolean {
  return rows.keyColumns.some((column) => valueDiffers(rows, before + column, after + column))
}

function valueDiffers({ cells }: ChangeRows, left: number, right: number): boolean {
  const { bytes, starts, ends } = cells
  const [from, to] = [starts[left]!, starts[right]!]
  if (from === ABSENT || to === UNCHANGED) return false
  if (from < 0 || to < 0) return from !== to
  const length = placeEnd(ends[left]!) - from
  if (length !== placeEnd(ends[right]!) - to) return true
  for (let at = 0; at < length; at++) if (bytes[from + at] !== bytes[to + at]) return true
  return false
}

function placeEnd(end: number): number {
  return end < 0 ? ~end : end
}

/** Where `partial` has no value, it gets that of `whole`. */
export function completeFrom(rows: ChangeRows, partial: number, whole: number): void {
  const { starts, ends } = rows.cells
  for (let column = 0; column < rows.columns.length; column++) {
    if (starts[partial + column] !== ABSENT && starts[partial + column] !== UNCHANGED) continue
    const start = starts[whole + column]!
    if (start < 0 && start !== NULL) continue
    starts[partial + column] = start
    ends[partial + column] = ends[whole + column]!
  }
}

/** A delete is nothing without its key. */
export function addDelete(rows: ChangeRows, base: number): boolean {
  const { cells, keyColumns, record } = rows
  if (keyColumns.some((column) => cells.starts[base + column]! < 0)) {
    return refuse(cells.recordStarts[record]!, 'a delete does not say the key of its row')
  }
  cells.addRow(base, Op.delete, record)
  return true
}
