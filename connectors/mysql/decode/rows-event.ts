// The heads of rows events: which table, which columns the images hold, where the images are.
// Source: MySQL 9.7 libs/mysql/binlog/event/rows_event.h (class Rows_event).

import { EventType, RowsOp } from './events.ts'

/** How the types of rows events differ. */
export interface RowsForm {
  readonly op: RowsOp
  /** Version 2 has extra data behind the flags. */
  readonly version: 1 | 2
  /** MariaDB: the images are a zlib stream. */
  readonly compressed: boolean
  /** After images of PARTIAL_UPDATE_ROWS. */
  readonly partial: boolean
}

const { insert, update, delete: remove } = RowsOp

const FORMS: Readonly<Record<number, RowsForm>> = {
  [EventType.writeRowsV1]: { op: insert, version: 1, compressed: false, partial: false },
  [EventType.updateRowsV1]: { op: update, version: 1, compressed: false, partial: false },
  [EventType.deleteRowsV1]: { op: remove, version: 1, compressed: false, partial: false },
  [EventType.writeRows]: { op: insert, version: 2, compressed: false, partial: false },
  [EventType.updateRows]: { op: update, version: 2, compressed: false, partial: false },
  [EventType.deleteRows]: { op: remove, version: 2, compressed: false, partial: false },
  [EventType.partialUpdateRows]: { op: update, version: 2, compressed: false, partial: true },
  [EventType.writeRowsCompressedV1]: { op: insert, version: 1, compressed: true, partial: false },
  [EventType.updateRowsCompressedV1]: { op: update, version: 1, compressed: true, partial: false },
  [EventType.deleteRowsCompressedV1]: { op: remove, version: 1, compressed: true, partial: false },
  [EventType.writeRowsCompressed]: { op: insert, version: 2, compressed: true, partial: false },
  [EventType.updateRowsCompressed]: { op: update, version: 2, compressed: true, partial: false },
  [EventType.deleteRowsCompressed]: { op: remove, version: 2, compressed: true, partial: false },
}

/** @returns `null` when events of `type` carry no rows */
export function rowsForm(type: number): RowsForm | null {
  return FORMS[type] ?? null
}
