// The flat messages of canal: one record holds rows of one table, `data[i]` with what `old[i]` had
// before. Both are lists that pair by index.
// Source: https://github.com/alibaba/canal (1.1.8), FlatMessage.

import { Op } from '../../../../runtime/data/batch.ts'
import { failAt, FAULT } from '../../../../runtime/data/json/fault.ts'
import {
  CLOSE_ARRAY,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  skipSpace,
  valueEnd,
} from '../../../../runtime/data/json/grammar.ts'
import { shapeOf, type Shape } from '../../../../runtime/data/json/shape.ts'
import { addDelete, completeFrom, keepAbsent, keyDiffers, readImage } from './images.ts'
import { mysqlFields } from './mysql-types.ts'
import type { ChangeKind, ChangeProtocol, ChangeRows, EnvelopePlaces } from './protocol.ts'
import type { TypedField } from './protocol.ts'
import { wordAt } from './words.ts'

const NAMES = ['data', 'old', 'type', 'mysqlType', 'pkNames', 'isDdl', 'database', 'table'] as const
const Slot = {
  data: 0,
  old: 1,
  type: 2,
  mysqlType: 3,
  pkNames: 4,
  isDdl: 5,
  database: 6,
  table: 7,
} as const
const ENVELOPE: Shape = shapeOf(
  NAMES.map((name) => ({ path: [name], slot: Slot[name] })),
  'ignored',
)

const LETTER_T = 0x74

export const canalProtocol: ChangeProtocol = {
  name: 'canal-json',
  envelope: ENVELOPE,
  slots: NAMES.length,
  typesSlot: Slot.mysqlType,
  keySlot: Slot.pkNames,
  tableSlots: { database: Slot.database, table: Slot.table },
  readTypes: (types: unknown): readonly TypedField[] => mysqlFields(types),

  kindOf(bytes: Uint8Array, { starts, ends }: EnvelopePlaces): ChangeKind | number {
    const type = wordAt(bytes, starts[Slot.type]!, ends[Slot.type]!)
    const at = Math.max(0, starts[Slot.type]!)
    if (type === null) return failAt(at, 'it has no type, as a message of canal has')
    if (type === 'TRUNCATE') return failAt(at, 'it truncates the table, which is not followed')
    const ddl = starts[Slot.isDdl]!
    if (ddl >= 0 && bytes[ddl] === LETTER_T) return 'skip'
    if (type === 'INSERT' || type === 'UPDATE' || type === 'DELETE') return 'rows'
    return starts[Slot.data]! < 0 ? 'skip' : failAt(at, 'its type is of no change that is known')
  },

  addRows(rows: ChangeRows, { starts, ends }: EnvelopePlaces): boolean {
    const { bytes } = rows.cells
    const type = wordAt(bytes, starts[Slot.type]!, ends[Slot.type]!)
    const data = new Elements(bytes, starts[Slot.data]!)
    const old = new Elements(bytes, type === 'UPDATE' ? starts[Slot.old]! : -1)
    if (!data.isList) return failAt(data.start, 'its data is no list of rows') !== FAULT
    while (data.next()) {
      old.next()
      const row = readImage(rows, data.start, data.end)
      if (row === FAULT) return false
      const isWhole = type === 'UPDATE' ? addUpdate(rows, row, old) : addOther(rows, row, type)
      if (!isWhole) return false
    }
    return true
  },
}

function addOther(rows: ChangeRows, row: number, type: string | null): boolean {
  if (type === 'DELETE') return addDelete(rows, row)
  rows.cells.addRow(row, Op.insert, rows.record)
  return true
}

function addUpdate(rows: ChangeRows, row: number, old: Elements): boolean {
  if (old.start >= 0 && rows.cells.bytes[old.start] === OPEN_OBJECT) {
    const before = readImage(rows, old.start, old.end)
    if (before === FAULT) return false
    return addChange(rows, before, row)
  }
  keepAbsent(rows, row)
  rows.cells.addRow(row, Op.update, rows.record)
  return true
}

/**
 * An update whose former values are known where they differ.
 *
 * @param before  the image of what has changed: other columns are as in `row`
 */
export function addChange(rows: ChangeRows, before: number, row: number): boolean {
  const { cells, record } = rows
  if (!keyDiffers(rows, before, row)) {
    keepAbsent(rows, row)
    cells.addRow(row, Op.update, record)
    return true
  }
  completeFrom(rows, before, row)
  if (!addDelete(rows, before)) return false
  completeFrom(rows, row, before)
  keepAbsent(rows, row)
  cells.addRow(row, Op.insert, record)
  return true
}

/** The elements of a list whose text has been checked. */
class Elements {
  readonly isList: boolean
  /** Of the element; -1: there is none. */
  start = -1
  end = -1
  private readonly bytes: Uint8Array
  private at: number

  constructor(bytes: Uint8Array, start: number) {
    this.bytes = bytes
    this.isList = start >= 0 && bytes[start] === OPEN_ARRAY
    this.start = start
    this.at = this.isList ? skipSpace(bytes, start + 1) : -1
  }

  /** @returns false behind the last */
  next(): boolean {
    const { bytes, at } = this
    if (at < 0 || bytes[at] === CLOSE_ARRAY) {
      this.start = -1
      return false
    }
    this.start = at
    this.end = valueEnd(bytes, at, bytes.length, 0)
    const behind = skipSpace(bytes, this.end)
    this.at = bytes[behind] === COMMA ? skipSpace(bytes, behind + 1) : behind
    return true
  }
}
