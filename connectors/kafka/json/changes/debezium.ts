// The envelope of Debezium's JsonConverter: { before, after, op, source, ... }, by itself or as the
// payload beside its schema.
// Source: https://debezium.io/documentation/reference/3.3/connectors/postgresql.html, "Data change
// events".

import { Op } from '../../../../runtime/data/batch.ts'
import { failAt, FAULT } from '../../../../runtime/data/json/fault.ts'
import { OPEN_OBJECT, QUOTE, skipSpace } from '../../../../runtime/data/json/grammar.ts'
import {
  ABSENT,
  compileScanner,
  NULL,
  UNCHANGED,
  type ScanObject,
} from '../../../../runtime/data/json/object-scanner.ts'
import { shapeOf, type Shape } from '../../../../runtime/data/json/shape.ts'
import { documentEnd } from '../../../../runtime/data/json/document.ts'
import { connectFields } from './connect-types.ts'
import { addDelete, completeFrom, keyDiffers, readImage } from './images.ts'
import type { ChangeKind, ChangeProtocol, ChangeRows, EnvelopePlaces } from './protocol.ts'
import type { KeyPlace, TypedField } from './protocol.ts'

const Slot = { schema: 0, payload: 1, before: 2, after: 3, op: 4 } as const
const SLOTS = 5

export const UNAVAILABLE_VALUE = '__debezium_unavailable_value'

const PARTS = (['before', 'after', 'op'] as const).flatMap((name) => [
  { path: [name], slot: Slot[name] },
  { path: ['payload', name], slot: Slot[name] },
])
const ENVELOPE: Shape = shapeOf(
  [...PARTS, { path: ['schema'], slot: Slot.schema }, { path: ['payload'], slot: Slot.payload }],
  'ignored',
)

/** @param unavailable  the connector's `unavailable.value.placeholder` */
export function debeziumProtocol(unavailable: string): ChangeProtocol {
  return new DebeziumProtocol(unavailable)
}

class DebeziumProtocol implements ChangeProtocol {
  readonly name = 'debezium-json'
  readonly envelope = ENVELOPE
  readonly slots = SLOTS
  readonly typesSlot = Slot.schema
  readonly keySlot = -1
  readonly tableSlots = null
  /** As strings and as lists of one string; of columns of bytes the placeholder is base64. */
  private readonly placeholders: readonly Uint8Array[]
  private keyScan: { readonly of: ScanObject; readonly scan: ScanObject } | null = null

  constructor(unavailable: string) {
    const encoder = new TextEncoder()
    const texts = [unavailable, Buffer.from(unavailable).toString('base64')]
    this.placeholders = texts.flatMap((text) => {
      const string = JSON.stringify(text)
      return [encoder.encode(string), encoder.encode(`[${string}]`)]
    })
  }

  readTypes(types: unknown): readonly TypedField[] {
    return connectFields(types)
  }

  kindOf(bytes: Uint8Array, { starts, ends }: EnvelopePlaces): ChangeKind | number {
    // With its schema, a tombstone is { schema: null, payload: null }.
    if (starts[Slot.payload] === NULL) return 'skip'
    const at = starts[Slot.op]!
    if (at < 0 || bytes[at] !== QUOTE || ends[Slot.op] !== at + 3) {
      return failAt(Math.max(at, 0), 'it has no op, as a change of Debezium has')
    }
    switch (String.fromCharCode(bytes[at + 1]!)) {
      case 'c':
      case 'u':
      case 'd':
      case 'r':
        return 'rows'
      // Messages of pg_logical_emit_message are of no table.
      case 'm':
        return 'skip'
      case 't':
        return failAt(at, 'it truncates the table, which has no order between partitions')
      default:
        return failAt(at, 'its op is none of c, r, u, d, t and m')
    }
  }

  addRows(rows: ChangeRows, { starts, ends }: EnvelopePlaces, key: KeyPlace): boolean {
    const { cells, record } = rows
    const { bytes } = cells
    const op = String.fromCharCode(bytes[starts[Slot.op]! + 1]!)
    const hasBefore = starts[Slot.before]! >= 0
    const before = hasBefore
      ? readImage(rows, starts[Slot.before]!, placeOf(ends[Slot.before]!))
      : -1
    if (before === FAULT) return false
    if (hasBefore) this.markPlaceholders(rows, before, ABSENT)
    if (op === 'd') {
      const row = hasBefore ? before : this.keyImage(rows, key)
      return row !== FAULT && addDelete(rows, row)
    }
    const after = readImage(rows, starts[Slot.after]!, placeOf(ends[Slot.after]!))
    if (after === FAULT) return false
    this.markPlaceholders(rows, after, UNCHANGED)
    if (op !== 'u') {
      cells.addRow(after, op === 'r' ? Op.read : Op.insert, record)
      return true
    }
    if (hasBefore && keyDiffers(rows, before, after)) {
      if (!addDelete(rows, before)) return false
      completeFrom(rows, after, before)
      cells.addRow(after, Op.insert, record)
      return true
    }
    cells.addRow(after, Op.update, record)
    return true
  }

  /** The source did not log the value: PostgreSQL's TOAST, mostly. */
  private markPlaceholders({ cells, columns }: ChangeRows, base: number, state: number): void {
    const { bytes, starts, ends } = cells
    for (let slot = base; slot < base + columns.length; slot++) {
      const start = starts[slot]!
      if (start >= 0 && this.isPlaceholder(bytes, start, placeOf(ends[slot]!))) {
        starts[slot] = state
      }
    }
  }

  private isPlaceholder(bytes: Uint8Array, start: number, end: number): boolean {
    for (const text of this.placeholders) {
      if (text.length !== end - start) continue
      let at = 0
      while (at < text.length && text[at] === bytes[start + at]) at++
      if (at === text.length) return true
    }
    return false
  }

  /** A delete without an image has the key that the record has. */
  private keyImage(rows: ChangeRows, { start, end }: KeyPlace): number {
    const { cells } = rows
    const { bytes, view } = cells
    if (start < 0)
      return failAt(cells.recordStarts[rows.record]!, 'a delete has no image, nor a key')
    const at = skipSpace(bytes, start)
    if (at >= end || bytes[at] !== OPEN_OBJECT)
      return failAt(at, 'the key of a delete is no object')
    const base = cells.takeSlots()
    const close = this.scannerOfKeys(rows)(bytes, view, at, end, cells.starts, cells.ends, base, 0)
    if (close === FAULT || documentEnd(bytes, close, end) === FAULT) return FAULT
    return close > end ? failAt(end, 'the key of a delete has no end') : base
  }

  /** Columns by name, at the top or in the payload. */
  private scannerOfKeys({ scanImage, columns, keyColumns }: ChangeRows): ScanObject {
    if (this.keyScan?.of !== scanImage) {
      const paths = keyColumns.flatMap((slot) => {
        const name = columns[slot]!
        return [
          { path: [name], slot },
          { path: ['payload', name], slot },
        ]
      })
      const scan = compileScanner('debezium key', shapeOf(paths, 'ignored'))
      this.keyScan = { of: scanImage, scan }
    }
    return this.keyScan.scan
  }
}

function placeOf(end: number): number {
  return end < 0 ? ~end : end
}
