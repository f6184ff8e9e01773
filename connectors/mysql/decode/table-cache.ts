// The table maps of the running log file by table id. A map and a set of column bitmaps keep their
// identity as long as the server repeats the same bytes, which is nearly always: parsing is paid
// once, and a cached decoder is found without comparing names. The names are never used as the key,
// because an id may be given to another table after a restart.

import { copyOf, corrupt, type Cursor } from './cursor.ts'
import { inflateEvent } from './compressed.ts'
import { RowsOp } from './events.ts'
import type { EventHeader, Presence, RowsEvent, SkippedEvent, TableMap } from './events.ts'
import type { RowsForm } from './rows-event.ts'
import { readTableMap } from './table-map.ts'

/** A rows event without rows that only ends a statement names this table. */
const DUMMY_TABLE = 0xff_ffff

interface Entry {
  readonly table: TableMap
  /** The event's body behind id and flags, to see whether the next one says the same. */
  readonly body: Uint8Array
  /** Of the last rows event, by RowsOp. */
  readonly presences: (CachedPresence | undefined)[]
}

interface CachedPresence {
  readonly bitmaps: Uint8Array
  readonly presence: Presence
}

export class TableCache {
  private readonly entries = new Map<number, Entry>()
  private readonly mariadb: boolean

  constructor(mariadb: boolean) {
    this.mariadb = mariadb
  }

  /** Forgets all: a new file begins, and its server may have been restarted. */
  clear(): void {
    this.entries.clear()
  }

  readMap(cursor: Cursor): TableMap {
    const id = cursor.uint(6)
    cursor.skip(2)
    const known = this.entries.get(id)
    if (known !== undefined && sameBytes(known.body, cursor.bytes, cursor.at, cursor.end)) {
      return known.table
    }
    const body = copyOf(cursor.bytes, cursor.at, cursor.end)
    const table = readTableMap(id, cursor, this.mariadb)
    this.entries.set(id, { table, body, presences: [] })
    return table
  }

  readRows(header: EventHeader, cursor: Cursor, form: RowsForm): RowsEvent | SkippedEvent {
    const id = cursor.uint(6)
    cursor.skip(2)
    if (form.version === 2) cursor.skip(cursor.u16() - 2)
    const count = cursor.lenenc()
    const entry = this.entries.get(id)
    if (entry === undefined) {
      if (id === DUMMY_TABLE) return { ...header, kind: 'skipped' }
      throw corrupt(`rows of table id ${id}, which no table map has named`)
    }
    const { table } = entry
    if (count !== table.columns.length)
      throw corrupt('row images have another width than their table')
    const presence = readPresence(entry, cursor, form.op, count)
    let { bytes, at: start, end } = cursor
    if (form.compressed) {
      bytes = inflateEvent(bytes, start, end)
      start = 0
      end = bytes.length
    }
    const { op, partial } = form
    return { ...header, kind: 'rows', op, table, bytes, start, end, presence, partial }
  }
}

function readPresence(entry: Entry, cursor: Cursor, op: RowsOp, count: number): Presence {
  const bitmapBytes = (count + 7) >> 3
  const start = cursor.skip(op === RowsOp.update ? 2 * bitmapBytes : bitmapBytes)
  const cached = entry.presences[op]
  if (cached !== undefined && sameBytes(cached.bitmaps, cursor.bytes, start, cursor.at)) {
    return cached.presence
  }
  const bitmaps = copyOf(cursor.bytes, start, cursor.at)
  const image = flags(bitmaps, 0, count)
  const after = op === RowsOp.update ? flags(bitmaps, bitmapBytes, count) : image
  const presence = { image, after, full: !image.includes(0) && !after.includes(0) }
  entry.presences[op] = { bitmaps, presence }
  return presence
}

function flags(bitmaps: Uint8Array, start: number, count: number): Uint8Array {
  const present = new Uint8Array(count)
  for (let index = 0; index < count; index++) {
    present[index] = (bitmaps[start + (index >> 3)]! >> (index & 7)) & 1
  }
  return present
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let index = 0, at = start; at < end; index++, at++) {
    if (known[index] !== bytes[at]) return false
  }
  return true
}
