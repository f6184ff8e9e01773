// The rows of Maxwell's daemon: one record a row, `data` with what `old` had before. It says no
// types, so they stand in the pipeline file.
// Source: https://maxwells-daemon.io/dataformat/ (1.42).

import { Op } from '../../../../runtime/data/batch.ts'
import { failAt, FAULT } from '../../../../runtime/data/json/fault.ts'
import { OPEN_OBJECT } from '../../../../runtime/data/json/grammar.ts'
import { shapeOf, type Shape } from '../../../../runtime/data/json/shape.ts'
import { addChange } from './canal.ts'
import { addDelete, keepAbsent, readImage } from './images.ts'
import type { ChangeKind, ChangeProtocol, ChangeRows, EnvelopePlaces } from './protocol.ts'
import { wordAt } from './words.ts'

const NAMES = ['data', 'old', 'type', 'database', 'table'] as const
const Slot = { data: 0, old: 1, type: 2, database: 3, table: 4 } as const
const ENVELOPE: Shape = shapeOf(
  NAMES.map((name) => ({ path: [name], slot: Slot[name] })),
  'ignored',
)

/** Beginning and end of a bootstrap, and statements, are about no row. */
const OTHERS = /^(?:bootstrap-(?:start|complete)|(?:table|database)-(?:create|alter|drop))$/

export const maxwellProtocol: ChangeProtocol = {
  name: 'maxwell-json',
  envelope: ENVELOPE,
  slots: NAMES.length,
  typesSlot: -1,
  keySlot: -1,
  tableSlots: { database: Slot.database, table: Slot.table },
  readTypes: () => [],

  kindOf(bytes: Uint8Array, { starts, ends }: EnvelopePlaces): ChangeKind | number {
    const type = wordAt(bytes, starts[Slot.type]!, ends[Slot.type]!)
    const at = Math.max(0, starts[Slot.type]!)
    switch (type) {
      case null:
        return failAt(at, 'it has no type, as a record of Maxwell has')
      case 'insert':
      case 'update':
      case 'delete':
      case 'bootstrap-insert':
        return 'rows'
      default:
        return OTHERS.test(type) ? 'skip' : failAt(at, 'its type is of no change that is known')
    }
  },

  addRows(rows: ChangeRows, { starts, ends }: EnvelopePlaces): boolean {
    const { cells, record } = rows
    const { bytes } = cells
    const type = wordAt(bytes, starts[Slot.type]!, ends[Slot.type]!)
    const row = readImage(rows, starts[Slot.data]!, placeOf(ends[Slot.data]!))
    if (row === FAULT) return false
    if (type === 'delete') return addDelete(rows, row)
    if (type !== 'update') {
      cells.addRow(row, type === 'insert' ? Op.insert : Op.read, record)
      return true
    }
    const old = starts[Slot.old]!
    if (old >= 0 && bytes[old] === OPEN_OBJECT) {
      const before = readImage(rows, old, placeOf(ends[Slot.old]!))
      return before !== FAULT && addChange(rows, before, row)
    }
    keepAbsent(rows, row)
    cells.addRow(row, Op.update, record)
    return true
  },
}

function placeOf(end: number): number {
  return end < 0 ? ~end : end
}
