// A list column from lists that somebody has written down and a column of their elements.

import type { ListType } from '../type.ts'
import { appendRows } from './append.ts'
import { ListBuilder } from './builder.ts'
import type { Column } from './column.ts'

/**
 * @param lists  by row; only their lengths count; null is null
 * @param elements  of all lists, one behind the other
 */
export function listColumn(
  type: ListType,
  lists: readonly ({ readonly length: number } | null)[],
  elements: Column,
): Column {
  const builder = new ListBuilder(type)
  builder.reserveRows(lists.length)
  if (elements.length > 0) appendRows(builder.child, 0, elements, elements.length, null)
  for (const [row, list] of lists.entries()) {
    builder.childLength += list?.length ?? 0
    if (list === null) builder.setNull(row)
    else builder.endRow(row)
  }
  return builder.view(lists.length)
}
