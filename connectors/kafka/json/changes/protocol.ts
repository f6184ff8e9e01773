// What tells one envelope of changes from another: where types, images and operations stand in a
// record, and which rows they make.

import type { ColumnType } from '../../../../runtime/data/type.ts'
import type { Cells } from '../../../../runtime/data/json/cells.ts'
import type { Encoding } from '../../../../runtime/data/json/fill.ts'
import type { ScanObject } from '../../../../runtime/data/json/object-scanner.ts'
import type { Shape } from '../../../../runtime/data/json/shape.ts'

/** A column as a record's own types say. */
export interface TypedField {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly encoding: Encoding
}

/** Where the parts of the envelope are that was read last: a slot each. */
export interface EnvelopePlaces {
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** What a protocol is given to make rows from. */
export interface ChangeRows {
  readonly cells: Cells
  /** Reads one image: an object with a value by column. */
  readonly scanImage: ScanObject
  /** Names of columns, one a slot of an image; and the slots of the key among them. */
  readonly columns: readonly string[]
  readonly keyColumns: readonly number[]
  /** Index of the record that is read. */
  record: number
}

/** rows: the record changes rows · skip: it is about something else. */
export type ChangeKind = 'rows' | 'skip'

export interface ChangeProtocol {
  readonly name: string
  readonly envelope: Shape
  readonly slots: number
  /** Slot of the text that says the types of columns; -1: no record says them. */
  readonly typesSlot: number
  /** Slot of a list of names, the key; -1: it is in the record's key, or declared. */
  readonly keySlot: number
  /** Slots of database and table, where a topic may hold several; `null`: it holds one. */
  readonly tableSlots: { readonly database: number; readonly table: number } | null
  /** @param types  what JSON.parse gives for the text of `typesSlot` */
  readTypes(types: unknown): readonly TypedField[]
  /** @returns FAULT when the record is no envelope, or says what cannot be followed */
  kindOf(bytes: Uint8Array, places: EnvelopePlaces): ChangeKind | number
  /** Adds the rows of the record. @returns false when it has a fault */
  addRows(rows: ChangeRows, places: EnvelopePlaces, key: KeyPlace): boolean
}

/** The record's key, -1 where it has none. */
export interface KeyPlace {
  readonly start: number
  readonly end: number
}
