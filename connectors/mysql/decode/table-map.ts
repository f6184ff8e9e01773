// TABLE_MAP_EVENT: the shape of row images, and with binlog_row_metadata=FULL the names, charsets
// and labels that were true when the rows were written. Nothing here is looked up in the server as
// of now: a table may have changed since.
// Source: MySQL 9.7 libs/mysql/binlog/event/rows_event.h (class Table_map_event).

import { decodeText } from './charset.ts'
import { charsetOfCollation } from './collation.ts'
import { corrupt, type Cursor } from './cursor.ts'
import type { MapColumn, TableMap } from './events.ts'

/** Types of row images (MYSQL_TYPE_*). 140 and 141 are MariaDB's. */
export const ColumnCode = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newDate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  typedArray: 20,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const

/** Columns that the signedness bitmap counts; YEAR is one of them. */
const NUMERIC = new Set<number>([1, 2, 3, 4, 5, 8, 9, 13, 246])
/**
 * Columns that the charset lists count; binary ones are in there with the collation `binary`. So is
 * what has no text at all and is a kind of blob to the server that writes: vectors in MySQL,
 * geometries in MariaDB. Passed over, each would shift the charsets of the texts behind it.
 */
const CHARACTER = [15, 140, 141, 249, 250, 251, 252, 253, 254] as const
const CHARACTER_MYSQL = new Set<number>([...CHARACTER, ColumnCode.vector])
const CHARACTER_MARIADB = new Set<number>([...CHARACTER, ColumnCode.geometry])

/** Kinds of the optional metadata. */
const Metadata = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  simplePrimaryKey: 8,
  prefixPrimaryKey: 9,
  enumSetDefaultCharset: 10,
  enumSetColumnCharset: 11,
  visibility: 12,
} as const

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Columns = Mutable<MapColumn>[]
type Counted = ReadonlySet<number>

/** Reads the body behind the table id and the flags. */
export function readTableMap(id: number, cursor: Cursor, mariadb: boolean): TableMap {
  const database = cursor.text(cursor.lenenc())
  cursor.skip(1)
  const name = cursor.text(cursor.lenenc())
  cursor.skip(1)
  const count = cursor.lenenc()
  const types = cursor.skip(count)
  const metaBytes = cursor.lenenc()
  const metaEnd = cursor.at + metaBytes
  const columns: Mutable<MapColumn>[] = []
  for (let index = 0; index < count; index++) {
    columns.push(readColumn(cursor.bytes[types + index]!, cursor))
  }
  if (cursor.at !== metaEnd) throw corrupt('the column metadata of a table map')
  const nulls = cursor.skip((count + 7) >> 3)
  for (let index = 0; index < count; index++) {
    columns[index]!.nullable = ((cursor.bytes[nulls + (index >> 3)]! >> (index & 7)) & 1) === 1
  }
  const counted = mariadb ? CHARACTER_MARIADB : CHARACTER_MYSQL
  const { primaryKey, full } = readOptional(columns, cursor, counted)
  return { id, database, name, columns, primaryKey, full }
}

/**
 * `meta` of a column by type: bytes at most (varchar, string), bytes of the length (blob, json,
 * geometry), precision << 8 | scale (decimal), bits (bit), digits of a second (time2, datetime2,
 * timestamp2), bytes (enum, set); 0 for the others.
 */
function readColumn(code: number, cursor: Cursor): Mutable<MapColumn> {
  let type = code
  let meta = 0
  switch (code) {
    case ColumnCode.float:
    case ColumnCode.double:
    case ColumnCode.blob:
    case ColumnCode.blobCompressed:
    case ColumnCode.json:
    case ColumnCode.geometry:
    case ColumnCode.vector:
    case ColumnCode.timestamp2:
    case ColumnCode.datetime2:
    case ColumnCode.time2:
      meta = cursor.u8()
      break
    case ColumnCode.varchar:
    case ColumnCode.varcharCompressed:
      meta = cursor.u16()
      break
    case ColumnCode.newDecimal:
      meta = (cursor.u8() << 8) | cursor.u8()
      break
    case ColumnCode.bit: {
      const bits = cursor.u8()
      meta = bits + cursor.u8() * 8
      break
    }
    case ColumnCode.enum:
    case ColumnCode.set:
    case ColumnCode.string:
    case ColumnCode.varString: {
      const first = cursor.u8()
      const second = cursor.u8()
      // Lengths over 255 hide their upper bits, inverted, in the type byte.
      if ((first & 0x30) === 0x30) type = first
      else type = first | 0x30
      meta = (first & 0x30) === 0x30 ? second : second | (((first & 0x30) ^ 0x30) << 4)
      break
    }
  }
  return {
    type,
    meta,
    nullable: false,
    unsigned: false,
    name: null,
    charset: null,
    labels: [],
    invisible: false,
  }
}

interface OptionalParts {
  readonly primaryKey: readonly number[] | null
  readonly full: boolean
}

function readOptional(columns: Columns, cursor: Cursor, counted: Counted): OptionalParts {
  const of = (types: (type: number) => boolean): Mutable<MapColumn>[] =>
    columns.filter(({ type }) => types(type))
  const texts = of((type) => counted.has(type))
  const choices = of((type) => type === ColumnCode.enum || type === ColumnCode.set)
  const labels: {
    readonly columns: Mutable<MapColumn>[]
    readonly at: number
    readonly end: number
  }[] = []
  let primaryKey: number[] | null = null
  let full = columns.length === 0
  while (cursor.left > 0) {
    const kind = cursor.u8()
    const length = cursor.lenenc()
    const end = cursor.skip(length) + length
    const part = cursor.within(end - length, end)
    switch (kind) {
      case Metadata.signedness:
        eachBit(
          part,
          of((type) => NUMERIC.has(type)),
          (column) => (column.unsigned = true),
        )
        break
      case Metadata.defaultCharset:
        readDefaultCharset(part, texts)
        break
      case Metadata.columnCharset:
        readCharsets(part, texts)
        break
      case Metadata.enumSetDefaultCharset:
        readDefaultCharset(part, choices)
        break
      case Metadata.enumSetColumnCharset:
        readCharsets(part, choices)
        break
      case Metadata.columnName:
        for (const column of columns) column.name = part.text(part.lenenc())
        full = true
        break
      case Metadata.setLabels:
        labels.push({ columns: of((type) => type === ColumnCode.set), at: end - length, end })
        break
      case Metadata.enumLabels:
        labels.push({ columns: of((type) => type === ColumnCode.enum), at: end - length, end })
        break
      case Metadata.simplePrimaryKey:
        primaryKey = []
        while (part.left > 0) primaryKey.push(part.lenenc())
        break
      case Metadata.prefixPrimaryKey:
        primaryKey = []
        for (; part.left > 0; part.lenenc()) primaryKey.push(part.lenenc())
        break
      case Metadata.visibility:
        for (const column of columns) column.invisible = true
        eachBit(part, columns, (column) => (column.invisible = false))
        break
      default:
        // Geometry types, vector dimensions and what later servers add: the columns say enough.
        break
    }
  }
  // Labels are in the columns' charsets, which may come behind them.
  for (const { columns: owners, at, end } of labels) readLabels(cursor.within(at, end), owners)
  if (primaryKey?.some((index) => index >= columns.length)) throw corrupt('a key of a table map')
  return { primaryKey, full }
}

/** Bitmaps of metadata have the first column in the highest bit. */
function eachBit<T>(part: Cursor, columns: readonly T[], set: (column: T) => void): void {
  const at = part.skip((columns.length + 7) >> 3)
  columns.forEach((column, index) => {
    if (((part.bytes[at + (index >> 3)]! >> (7 - (index & 7))) & 1) === 1) set(column)
  })
}

/** One collation for all, and pairs of (index, collation) for the others. */
function readDefaultCharset(part: Cursor, columns: readonly Mutable<MapColumn>[]): void {
  const charset = charsetOf(part.lenenc())
  for (const column of columns) column.charset = charset
  while (part.left > 0) {
    const column = columns[part.lenenc()]
    if (column === undefined) throw corrupt('a charset of a table map')
    column.charset = charsetOf(part.lenenc())
  }
}

function readCharsets(part: Cursor, columns: readonly Mutable<MapColumn>[]): void {
  for (const column of columns) column.charset = charsetOf(part.lenenc())
}

/** An id that we do not know is named as it is: the column is then refused by that name. */
function charsetOf(collation: number): string {
  return charsetOfCollation(collation) ?? `collation ${collation}`
}

function readLabels(part: Cursor, columns: readonly Mutable<MapColumn>[]): void {
  for (const column of columns) {
    const labels: string[] = []
    for (let count = part.lenenc(); count > 0; count--) {
      const length = part.lenenc()
      const at = part.skip(length)
      const label = decodeText(column.charset ?? 'utf8mb4', part.bytes, at, at + length)
      // Of a charset that cannot be converted: the column is refused before a label is needed.
      labels.push(label ?? '')
    }
    column.labels = labels
  }
}
