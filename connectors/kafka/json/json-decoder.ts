// The `json` format: a record is one object, and becomes one row of typed columns. What the object
// holds besides is left out, kept as text in a column of its own, or becomes new columns.

import { Op } from '../../../runtime/data/batch.ts'
import { parseType } from '../../../runtime/data/type-text.ts'
import { formatType, type ColumnType } from '../../../runtime/data/type.ts'
import type { Decoded, FormatTable, RecordDecoder, RecordFormat, RowSink } from '../format.ts'
import type { RecordPart } from '../format.ts'
import type { RecordSet } from '../records.ts'
import { formatTable, plainColumn, type JsonColumn } from './columns.ts'
import { Cells } from '../../../runtime/data/json/cells.ts'
import { FAULT } from '../../../runtime/data/json/fault.ts'
import { columnFill, ownFill, type ColumnFill } from '../../../runtime/data/json/fill.ts'
import { NewColumns } from './new-columns.ts'
import {
  compileScanner,
  stranger,
  type ScanObject,
} from '../../../runtime/data/json/object-scanner.ts'
import { restPut } from '../../../runtime/data/json/rest.ts'
import { scanDocument } from '../../../runtime/data/json/document.ts'
import { shapeOf, type Shape } from '../../../runtime/data/json/shape.ts'
import { writeRows } from './row-writer.ts'

/**
 * What becomes of members without a column. rest: an object of them, as text, in the column of that
 * name · evolve: each gets a column, of the type of the first value that is not null.
 */
export type UnknownMembers =
  | { readonly kind: 'ignore' }
  | { readonly kind: 'rest'; readonly column: string }
  | { readonly kind: 'evolve' }

export interface JsonOptions {
  readonly columns: readonly JsonColumn[]
  readonly unknown: UnknownMembers
}

/** Records whose places are collected before columns are filled: they stay in the nearest cache. */
const CHUNK_RECORDS = 128

export function jsonFormat(options: JsonOptions): RecordFormat {
  return {
    readsNull: false,
    decoder: (topic, part, saved) => new JsonDecoder(topic, part, options, saved),
  }
}

/** What stands in the way of a structure: made anew when it changes. */
interface Reading {
  readonly scan: ScanObject
  readonly fills: readonly ColumnFill[]
  readonly cells: Cells
  /** Slot of the object as a whole; -1: nobody wants it. */
  readonly restSlot: number
}

class JsonDecoder implements RecordDecoder {
  table: FormatTable
  private readonly options: JsonOptions
  private readonly title: string
  private readonly part: RecordPart
  private columns: readonly JsonColumn[]
  private reading: Reading
  private readonly decoded: Decoded = { next: 0, stop: 'all' }

  constructor(topic: string, part: RecordPart, options: JsonOptions, saved: string | null) {
    this.options = options
    this.part = part
    this.title = `json ${topic} ${part}`
    this.columns = [...options.columns, ...columnsOf(saved, options.columns)]
    this.table = tableOf(this.columns, options.unknown)
    this.reading = this.makeReading()
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const { decoded, reading } = this
    const { cells } = reading
    const { starts, ends } = this.placesOf(records)
    decoded.next = from
    decoded.stop = 'all'
    cells.open(records.bytes, starts, ends)
    let made = 0
    while (decoded.next < records.count && decoded.stop === 'all') {
      if (made >= limit && made > 0) {
        decoded.stop = 'limit'
        break
      }
      cells.clear()
      const room = Math.max(1, Math.min(CHUNK_RECORDS, limit - made))
      const until = Math.min(records.count, decoded.next + room)
      while (decoded.next < until && this.scanRecord(reading, decoded.next)) decoded.next++
      if (decoded.next < until) decoded.stop = 'structure'
      made += cells.count
      writeRows(cells, reading.fills, sink)
    }
    return decoded
  }

  /** @returns false when the record needs another structure */
  private scanRecord({ scan, cells, restSlot }: Reading, record: number): boolean {
    const base = cells.takeSlots()
    stranger.name = -1
    if (scanDocument(scan, cells, record, base) === FAULT) {
      cells.refuseRecord(record)
      return true
    }
    if (stranger.name >= 0) {
      if (restSlot >= 0) {
        cells.starts[base + restSlot] = cells.recordStarts[record] ?? 0
        cells.ends[base + restSlot] = cells.recordEnds[record] ?? 0
      } else {
        const found = new NewColumns(this.columns)
        if (!found.collect(cells.bytes, stranger.name)) {
          cells.refuseRecord(record)
          return true
        }
        cells.returnSlots(base)
        return false
      }
    }
    cells.addRow(base, Op.insert, record)
    return true
  }

  advance(records: RecordSet, at: number): undefined {
    const { cells, scan } = this.reading
    const { starts, ends } = this.placesOf(records)
    cells.open(records.bytes, starts, ends)
    stranger.name = -1
    const base = cells.takeSlots()
    // Another partition may have brought the columns meanwhile.
    if (scanDocument(scan, cells, at, base) === FAULT || stranger.name < 0) return
    const found = new NewColumns(this.columns)
    if (!found.collect(records.bytes, stranger.name)) return
    this.columns = [...this.columns, ...found.columns]
    this.table = tableOf(this.columns, this.options.unknown)
    this.reading = this.makeReading()
  }

  save(): string | null {
    const added = this.columns.slice(this.options.columns.length)
    if (added.length === 0) return null
    return JSON.stringify(added.map(({ name, type }) => [name, typeText(type)]))
  }

  private placesOf(records: RecordSet): { starts: Int32Array; ends: Int32Array } {
    return this.part === 'key'
      ? { starts: records.keyStart, ends: records.keyEnd }
      : { starts: records.valueStart, ends: records.valueEnd }
  }

  private makeReading(): Reading {
    const { columns } = this
    const { unknown } = this.options
    const strangers = { ignore: 'ignored', rest: 'noted', evolve: 'valued' } as const
    const inner = unknown.kind === 'rest' ? 'noted' : 'ignored'
    const paths = columns.map(({ path }, slot) => ({ path, slot }))
    const shape: Shape = shapeOf(paths, strangers[unknown.kind], inner)
    const fills = columns.map(({ name, type, nullable, encoding }, slot) =>
      columnFill(name, slot, type, nullable ? 'never' : 'always', encoding),
    )
    const restSlot = unknown.kind === 'rest' ? columns.length : -1
    if (unknown.kind === 'rest') fills.push(ownFill(unknown.column, restSlot, restPut(shape)))
    const cells = new Cells(fills.length)
    return { scan: compileScanner(this.title, shape), fills, cells, restSlot }
  }
}

function tableOf(columns: readonly JsonColumn[], unknown: UnknownMembers): FormatTable {
  if (unknown.kind !== 'rest') return formatTable(columns, null)
  const rest = plainColumn(unknown.column, { kind: 'string', json: true })
  return formatTable([...columns, rest], null)
}

function typeText(type: ColumnType): string {
  return type.kind === 'string' && type.json === true ? 'json' : formatType(type)
}

/** Columns of before that are not declared by now. */
function columnsOf(saved: string | null, declared: readonly JsonColumn[]): JsonColumn[] {
  if (saved === null) return []
  const columns = JSON.parse(saved) as readonly (readonly [string, string])[]
  return columns.flatMap(([name, text]) => {
    const type = parseType(text)
    if (type === null || declared.some((column) => column.name === name)) return []
    return [plainColumn(name, type)]
  })
}
