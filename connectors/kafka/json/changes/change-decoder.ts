// Decodes envelopes of changes: first where the parts of the envelope are, then the images in it,
// then columns. Types come from the record itself where it has them: their text is nearly always
// that of the record before, and then costs one comparison of bytes.

import { Buffer } from 'node:buffer'
import { PipelineError } from '../../../../runtime/base/errors.ts'
import type { Decoded, FormatTable, RecordDecoder, RecordFormat, RowSink } from '../../format.ts'
import type { RecordSet } from '../../records.ts'
import { Cells } from '../../../../runtime/data/json/cells.ts'
import { failAt, FAULT } from '../../../../runtime/data/json/fault.ts'
import { columnFill, type ColumnFill } from '../../../../runtime/data/json/fill.ts'
import { COMMA, OPEN_OBJECT } from '../../../../runtime/data/json/grammar.ts'
import {
  ABSENT,
  compileScanner,
  type ScanObject,
} from '../../../../runtime/data/json/object-scanner.ts'
import { documentEnd, scanObjectAt } from '../../../../runtime/data/json/document.ts'
import { shapeOf } from '../../../../runtime/data/json/shape.ts'
import { writeRows } from '../row-writer.ts'
import type { ChangeProtocol, ChangeRows, EnvelopePlaces, TypedField } from './protocol.ts'
import { ChangeStructure, encodingOf, type StructureOptions } from './structure.ts'
import { keyNames, namesAt } from './key-names.ts'
import { wordAt } from './words.ts'

export interface ChangeOptions extends StructureOptions {
  /** `database.table` of the changes that are wanted; `null`: all must be of one. */
  readonly tables: readonly string[] | null
}

export function changeFormat(protocol: () => ChangeProtocol, options: ChangeOptions): RecordFormat {
  return {
    readsNull: true,
    decoder: (topic, _part, saved) => new ChangeDecoder(protocol(), topic, options, saved),
  }
}

const CHUNK_RECORDS = 64
/** Texts of types that are remembered: those of producers that take turns. */
const PLANS_MAX = 16

/** How records with one text of types are read. */
interface Plan {
  readonly typesText: Uint8Array
  readonly fills: readonly ColumnFill[]
}

class ChangeDecoder implements RecordDecoder {
  private readonly protocol: ChangeProtocol
  private readonly options: ChangeOptions
  private readonly title: string
  private readonly structure: ChangeStructure
  private readonly scanEnvelope: ScanObject
  private readonly places: EnvelopePlaces
  private readonly decoded: Decoded = { next: 0, stop: 'all' }
  private rows: ChangeRows
  private cells: Cells
  private plans: Plan[] = []
  private plan: Plan | null = null
  /** Bytes from the beginning of a record to the end of its types, when these come first. */
  private prefix: Uint8Array = new Uint8Array(0)

  constructor(
    protocol: ChangeProtocol,
    topic: string,
    options: ChangeOptions,
    saved: string | null,
  ) {
    this.protocol = protocol
    this.options = options
    this.title = `${protocol.name} ${topic}`
    this.structure = new ChangeStructure(options, saved)
    this.scanEnvelope = compileScanner(`${this.title} envelope`, protocol.envelope)
    const { slots } = protocol
    this.places = { starts: new Int32Array(slots), ends: new Int32Array(slots) }
    this.cells = new Cells(0)
    this.rows = this.useStructure()
  }

  get table(): FormatTable {
    return this.structure.table
  }

  save(): string | null {
    return this.structure.save()
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const { decoded, cells } = this
    const before = sink.rows
    cells.open(records.bytes, records.valueStart, records.valueEnd)
    decoded.stop = 'all'
    decoded.next = from
    for (; decoded.next < records.count; decoded.next++) {
      const made = sink.rows - before + cells.count
      if (made >= limit && made > 0) {
        decoded.stop = 'limit'
        break
      }
      if (!this.readRecord(records, decoded.next, sink)) {
        decoded.stop = 'structure'
        break
      }
      if (cells.count >= CHUNK_RECORDS) this.flush(sink)
    }
    this.flush(sink)
    return decoded
  }

  private flush(sink: RowSink): void {
    const { cells, plan } = this
    if (cells.count > 0 || cells.faults.length > 0) writeRows(cells, plan?.fills ?? [], sink)
    cells.clear()
  }

  /** @returns false when the record needs another structure */
  private readRecord(records: RecordSet, record: number, sink: RowSink): boolean {
    const { protocol, cells, rows, places } = this
    if (records.valueStart[record]! < 0) return true
    const kind = this.findParts(record) === FAULT ? FAULT : protocol.kindOf(cells.bytes, places)
    if (kind === 'skip' || (kind === 'rows' && !this.isWanted())) return true
    if (kind !== 'rows' || !this.isOfTable(record)) {
      cells.refuseRecord(record)
      return true
    }
    const plan = this.planOf()
    if (plan === 'untyped') {
      failAt(cells.recordStarts[record]!, 'it does not say the types of its columns')
      cells.refuseRecord(record)
      return true
    }
    if (plan === null) return false
    if (plan !== this.plan) this.flush(sink)
    this.plan = plan
    rows.record = record
    const key = { start: records.keyStart[record]!, end: records.keyEnd[record]! }
    if (!protocol.addRows(rows, places, key)) cells.refuseRecord(record)
    return true
  }

  /** Notes where the parts of the envelope are. @returns FAULT when the record is no document */
  private findParts(record: number): number {
    const { cells, prefix } = this
    const { starts, ends } = this.places
    const { bytes, view } = cells
    const start = cells.recordStarts[record]!
    const end = cells.recordEnds[record]!
    starts.fill(ABSENT)
    const behind = start + prefix.length
    if (prefix.length > 0 && behind < end && bytes[behind] === COMMA && this.hasPrefix(start)) {
      const slot = this.protocol.typesSlot
      starts[slot] = behind - this.typesLength
      ends[slot] = behind
      const close = this.scanEnvelope(bytes, view, behind, end, starts, ends, 0, 0)
      if (close === FAULT || close === end) return close
      return close > end ? failAt(end, 'it has no end') : documentEnd(bytes, close, end)
    }
    const close = scanObjectAt(this.scanEnvelope, cells, record, starts, ends)
    if (close !== FAULT) this.notePrefix(start)
    return close
  }

  private typesLength = 0

  private hasPrefix(start: number): boolean {
    const { bytes } = this.cells
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return view.compare(this.prefix, 0, this.prefix.length, start, start + this.prefix.length) === 0
  }

  /** Only where a record begins with its types: `{"schema":...`. */
  private notePrefix(start: number): void {
    const { protocol, cells } = this
    const { starts, ends } = this.places
    const slot = protocol.typesSlot
    const at = slot < 0 ? -1 : starts[slot]!
    if (at < 0 || cells.bytes[at] !== OPEN_OBJECT || at - start > 32) return
    const close = ends[slot]! < 0 ? ~ends[slot]! : ends[slot]!
    const others = starts.some((other, index) => index !== slot && other >= 0 && other < at)
    if (others || cells.bytes[start] !== OPEN_OBJECT) return
    this.prefix = cells.bytes.slice(start, close)
    this.typesLength = close - at
  }

  private isWanted(): boolean {
    const { tables } = this.options
    return tables === null || this.protocol.tableSlots === null || tables.includes(this.tableName())
  }

  /** Without a list of tables, the first one is the one. */
  private isOfTable(record: number): boolean {
    if (this.protocol.tableSlots === null || this.options.tables !== null) return true
    const name = this.tableName()
    this.structure.source ??= name
    if (this.structure.source === name) return true
    failAt(
      this.cells.recordStarts[record]!,
      `it is of another table than "${this.structure.source}"`,
    )
    return false
  }

  private tableName(): string {
    const { starts, ends } = this.places
    const { bytes } = this.cells
    const word = (slot: number): string => wordAt(bytes, starts[slot]!, ends[slot]!) ?? ''
    const { database, table } = this.protocol.tableSlots ?? { database: 0, table: 0 }
    return `${word(database)}.${word(table)}`
  }

  /**
   * @returns `null`: the structure does not hold the record's types; untyped: there is a structure,
   *          and the record, unlike others, does not say its types
   */
  private planOf(): Plan | 'untyped' | null {
    const { structure } = this
    const { bytes } = this.cells
    const { start, end } = this.typesPlace()
    for (const plan of this.plans) if (sameText(plan.typesText, bytes, start, end)) return plan
    const fields = start < 0 ? [] : this.fieldsAt(start, end)
    if (structure.columns.length === 0) return null
    if (!structure.declared) {
      if (fields.length === 0) return 'untyped'
      if (!structure.holds(fields)) return null
    }
    const plan = this.makePlan(start < 0 ? new Uint8Array(0) : bytes.slice(start, end), fields)
    if (this.plans.length === PLANS_MAX) this.plans.shift()
    this.plans.push(plan)
    return plan
  }

  /** Of the text with the types; -1 where they are declared, or not said. */
  private typesPlace(): { readonly start: number; readonly end: number } {
    const slot = this.structure.declared ? -1 : this.protocol.typesSlot
    const start = slot < 0 ? -1 : this.places.starts[slot]!
    return start < 0 ? { start: -1, end: -1 } : { start, end: placeOf(this.places.ends[slot]!) }
  }

  private makePlan(typesText: Uint8Array, fields: readonly TypedField[]): Plan {
    const { structure } = this
    const key = new Set(structure.keyColumns())
    const fills = structure.columns.map((column, slot) => {
      const needed = key.has(slot) ? 'always' : column.nullable ? 'never' : 'rows'
      const encoding = encodingOf(fields, column)
      return columnFill(column.name, slot, column.type, needed, encoding)
    })
    return { typesText, fills }
  }

  private fieldsAt(start: number, end: number): readonly TypedField[] {
    const text = new TextDecoder().decode(this.cells.bytes.subarray(start, end))
    return this.protocol.readTypes(JSON.parse(text))
  }

  advance(records: RecordSet, at: number): undefined {
    const { cells, structure } = this
    cells.open(records.bytes, records.valueStart, records.valueEnd)
    // Another partition may have brought the structure meanwhile.
    if (this.findParts(at) === FAULT || this.planOf() !== null) return
    const { start, end } = this.typesPlace()
    const fields = start < 0 ? [] : this.fieldsAt(start, end)
    if (fields.length === 0) throw typesMissing(records.topic, this.protocol.name)
    const names = new Set(fields.map(({ name }) => name))
    const key = this.keyOf(records, at)
    structure.take(fields, key?.every((name) => names.has(name)) === true ? key : null)
    this.rows = this.useStructure()
  }

  private keyOf({ bytes, keyStart, keyEnd }: RecordSet, at: number): readonly string[] | null {
    const { keySlot } = this.protocol
    if (keySlot < 0) return keyNames(bytes, keyStart[at]!, keyEnd[at]!)
    const { starts, ends } = this.places
    return namesAt(bytes, starts[keySlot]!, placeOf(ends[keySlot]!))
  }

  private useStructure(): ChangeRows {
    const { structure } = this
    const names = structure.columns.map(({ name }) => name)
    const paths = structure.columns.map(({ path }, slot) => ({ path, slot }))
    this.plans = []
    this.plan = null
    this.cells = new Cells(names.length)
    return {
      cells: this.cells,
      scanImage: compileScanner(`${this.title} image`, shapeOf(paths, 'ignored')),
      columns: names,
      keyColumns: structure.keyColumns(),
      record: 0,
    }
  }
}

function placeOf(end: number): number {
  return end < 0 ? ~end : end
}

function sameText(text: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (start < 0) return text.length === 0
  if (text.length !== end - start) return false
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.compare(text, 0, text.length, start, end) === 0
}

function typesMissing(topic: string, format: string): PipelineError {
  return new PipelineError(
    'FORMAT_TYPES_MISSING',
    `records of topic "${topic}" do not say the types of their columns`,
    { detail: `The format is ${format}, and the value has no schema.` },
  )
}
