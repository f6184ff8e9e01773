// Parquet's own structs: page headers, page index, row groups and the footer. Field numbers are
// those of parquet.thrift; a struct is written whole by one function, so that the two can be
// compared.
// Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
// (2.11)

import { Physical, type Leaf, type ParquetField } from './leaf.ts'
import { ThriftWriter } from './thrift.ts'

export const Encoding = { plain: 0, rle: 3, rleDictionary: 8 } as const

const PageType = { data: 0, dictionary: 2 } as const
const Repetition = { required: 0, optional: 1, repeated: 2 } as const
const Converted = {
  utf8: 0,
  list: 3,
  decimal: 5,
  date: 6,
  timestampMicros: 10,
} as const
const Logical = {
  string: 1,
  list: 3,
  decimal: 5,
  date: 6,
  time: 7,
  timestamp: 8,
  uuid: 14,
} as const
const FORMAT_VERSION = 2

/** Smallest and largest value as Parquet stores them, without length prefix. */
export interface Bounds {
  readonly min: Uint8Array
  readonly max: Uint8Array
  /** False: `min` is a shortened value below the smallest one. */
  readonly minExact: boolean
  /** False: `max` is a shortened and incremented value above the largest one. */
  readonly maxExact: boolean
}

export interface PageLocation {
  /** Of the page header, in the file. */
  readonly offset: number
  /** Header included. */
  readonly bytes: number
  /** Row of the row group with which the page starts. */
  readonly firstRow: number
}

/** What the footer and the page index say about one column chunk. Offsets are the file's. */
export interface ChunkMetadata {
  /** Level entries: values, nulls and empty lists. */
  readonly entries: number
  readonly nulls: number
  readonly bytes: number
  readonly bytesUncompressed: number
  readonly dictionaryOffset: number | null
  readonly dataOffset: number
  readonly dataPages: number
  readonly bounds: Bounds | null
  readonly pages: readonly PageLocation[]
  /** Encoded ColumnIndex; `null` when a page has values but no bounds. */
  readonly columnIndex: Uint8Array | null
}

export interface RowGroupMetadata {
  readonly rows: number
  /** Of its first page. */
  readonly offset: number
  readonly bytes: number
  readonly bytesUncompressed: number
  readonly chunks: readonly ChunkMetadata[]
}

/** Where the page index of a chunk was written. */
export interface IndexPlace {
  readonly offset: number
  readonly bytes: number
}

export interface ChunkIndexPlaces {
  readonly columnIndex: IndexPlace | null
  readonly offsetIndex: IndexPlace
}

const writer = new ThriftWriter()

export function encodeDataPageHeader(
  entries: number,
  encoding: number,
  bytesUncompressed: number,
  bytes: number,
): Uint8Array {
  writer.i32(1, PageType.data)
  writer.i32(2, bytesUncompressed)
  writer.i32(3, bytes)
  writer.struct(5, () => {
    writer.i32(1, entries)
    writer.i32(2, encoding)
    writer.i32(3, Encoding.rle)
    writer.i32(4, Encoding.rle)
  })
  writer.stop()
  return writer.take()
}

export function encodeDictionaryPageHeader(
  values: number,
  bytesUncompressed: number,
  bytes: number,
): Uint8Array {
  writer.i32(1, PageType.dictionary)
  writer.i32(2, bytesUncompressed)
  writer.i32(3, bytes)
  writer.struct(7, () => {
    writer.i32(1, values)
    writer.i32(2, Encoding.plain)
  })
  writer.stop()
  return writer.take()
}

/** 0: the pages' bounds have no order; 1: ascending; 2: descending. */
export type BoundaryOrder = 0 | 1 | 2

/** @param bounds  a page each; `null` for a page without values */
export function encodeColumnIndex(
  bounds: readonly (Bounds | null)[],
  nulls: readonly number[],
  order: BoundaryOrder,
): Uint8Array {
  const none = new Uint8Array(0)
  writer.booleans(
    1,
    bounds.map((page) => page === null),
  )
  writer.binaries(
    2,
    bounds.map((page) => page?.min ?? none),
  )
  writer.binaries(
    3,
    bounds.map((page) => page?.max ?? none),
  )
  writer.i32(4, order)
  writer.i64s(5, nulls)
  writer.stop()
  return writer.take()
}

export function encodeOffsetIndex(pages: readonly PageLocation[]): Uint8Array {
  writer.structs(1, pages, (page) => {
    writer.i64(1, page.offset)
    writer.i32(2, page.bytes)
    writer.i64(3, page.firstRow)
  })
  writer.stop()
  return writer.take()
}

export interface Footer {
  readonly leaves: readonly Leaf[]
  readonly codec: number
  readonly rows: number
  readonly rowGroups: readonly RowGroupMetadata[]
  /** A row group each, a chunk each. */
  readonly indexes: readonly (readonly ChunkIndexPlaces[])[]
  readonly keyValues: Readonly<Record<string, string>>
  readonly createdBy: string
}

/** @returns the FileMetaData struct, without the length and magic behind it */
export function encodeFooter(footer: Footer): Uint8Array {
  writer.i32(1, FORMAT_VERSION)
  writer.structs(2, schemaElements(footer.leaves), (element) => element())
  writer.i64(3, footer.rows)
  const groups = footer.rowGroups.map((group, ordinal) => ({ group, ordinal }))
  writer.structs(4, groups, ({ group, ordinal }) => writeRowGroup(footer, group, ordinal))
  const keyValues = Object.entries(footer.keyValues)
  if (keyValues.length > 0) {
    writer.structs(5, keyValues, ([key, value]) => {
      writer.string(1, key)
      writer.string(2, value)
    })
  }
  writer.string(6, footer.createdBy)
  // Without TYPE_ORDER for every column readers must ignore min_value and max_value.
  writer.structs(7, footer.leaves, () => writer.struct(1, () => {}))
  writer.stop()
  return writer.take()
}

function writeRowGroup(footer: Footer, group: RowGroupMetadata, ordinal: number): void {
  const chunks = group.chunks.map((chunk, at) => ({
    chunk,
    leaf: footer.leaves[at]!,
    places: footer.indexes[ordinal]![at]!,
  }))
  writer.structs(1, chunks, ({ chunk, leaf, places }) => {
    writer.i64(2, 0)
    writer.struct(3, () => writeChunk(footer, leaf, chunk))
    writer.i64(4, places.offsetIndex.offset)
    writer.i32(5, places.offsetIndex.bytes)
    if (places.columnIndex !== null) {
      writer.i64(6, places.columnIndex.offset)
      writer.i32(7, places.columnIndex.bytes)
    }
  })
  writer.i64(2, group.bytesUncompressed)
  writer.i64(3, group.rows)
  writer.i64(5, group.offset)
  writer.i64(6, group.bytes)
  if (ordinal < 0x8000) writer.i16(7, ordinal)
}

function writeChunk(footer: Footer, leaf: Leaf, chunk: ChunkMetadata): void {
  const dictionary = chunk.dictionaryOffset !== null
  const encoding = dictionary ? Encoding.rleDictionary : Encoding.plain
  writer.i32(1, leaf.physical)
  writer.i32s(2, dictionary ? [Encoding.plain, Encoding.rle, encoding] : [encoding, Encoding.rle])
  writer.strings(3, leaf.path)
  writer.i32(4, footer.codec)
  writer.i64(5, chunk.entries)
  writer.i64(6, chunk.bytesUncompressed)
  writer.i64(7, chunk.bytes)
  writer.i64(9, chunk.dataOffset)
  if (chunk.dictionaryOffset !== null) writer.i64(11, chunk.dictionaryOffset)
  writer.struct(12, () => {
    writer.i64(3, chunk.nulls)
    if (chunk.bounds === null) return
    writer.binary(5, chunk.bounds.max)
    writer.binary(6, chunk.bounds.min)
    writer.boolean(7, chunk.bounds.maxExact)
    writer.boolean(8, chunk.bounds.minExact)
  })
  // Readers that prune by dictionary need to know that no data page is plain.
  const pages = [
    { type: PageType.data as number, encoding: encoding as number, count: chunk.dataPages },
  ]
  if (dictionary) pages.unshift({ type: PageType.dictionary, encoding: Encoding.plain, count: 1 })
  writer.structs(13, pages, (page) => {
    writer.i32(1, page.type)
    writer.i32(2, page.encoding)
    writer.i32(3, page.count)
  })
}

/** The schema in depth-first order, each element as the writer of its struct. */
function schemaElements(leaves: readonly Leaf[]): (() => void)[] {
  const elements = [
    () => {
      writer.string(4, 'table')
      writer.i32(5, leaves.length)
    },
  ]
  for (const leaf of leaves) {
    const field = leaf.field
    const repetition = field.required ? Repetition.required : Repetition.optional
    if (leaf.repetitionMax === 0) {
      elements.push(() => writeLeaf(leaf, repetition, field.name))
      continue
    }
    elements.push(
      () => writeList(field, repetition),
      () => {
        writer.i32(3, Repetition.repeated)
        writer.string(4, 'list')
        writer.i32(5, 1)
      },
      () => writeLeaf(leaf, Repetition.optional, 'element'),
    )
  }
  return elements
}

function writeList(field: ParquetField, repetition: number): void {
  writer.i32(3, repetition)
  writer.string(4, field.name)
  writer.i32(5, 1)
  writer.i32(6, Converted.list)
  writer.i32(9, field.id)
  writer.struct(10, () => writer.struct(Logical.list, () => {}))
}

function writeLeaf(leaf: Leaf, repetition: number, name: string): void {
  const type = leaf.type
  writer.i32(1, leaf.physical)
  if (leaf.physical === Physical.fixedLenByteArray) writer.i32(2, leaf.width)
  writer.i32(3, repetition)
  writer.string(4, name)
  const converted = convertedType(leaf)
  if (converted !== null) writer.i32(6, converted)
  if (type.kind === 'decimal') {
    writer.i32(7, type.scale)
    writer.i32(8, type.precision)
  }
  writer.i32(9, leaf.id)
  writeLogical(leaf)
}

/** The older annotation, where one means the same: there is none for local times and uuid. */
function convertedType(leaf: Leaf): number | null {
  switch (leaf.type.kind) {
    case 'string':
      return Converted.utf8
    case 'decimal':
      return Converted.decimal
    case 'date':
      return Converted.date
    case 'timestamptz':
      return Converted.timestampMicros
    default:
      return null
  }
}

function writeLogical(leaf: Leaf): void {
  const type = leaf.type
  switch (type.kind) {
    case 'string':
      writer.struct(10, () => writer.struct(Logical.string, () => {}))
      break
    case 'uuid':
      writer.struct(10, () => writer.struct(Logical.uuid, () => {}))
      break
    case 'date':
      writer.struct(10, () => writer.struct(Logical.date, () => {}))
      break
    case 'decimal':
      writer.struct(10, () =>
        writer.struct(Logical.decimal, () => {
          writer.i32(1, type.scale)
          writer.i32(2, type.precision)
        }),
      )
      break
    case 'time':
      writer.struct(10, () => writer.struct(Logical.time, () => writeMicros(false)))
      break
    case 'timestamp':
      writer.struct(10, () => writer.struct(Logical.timestamp, () => writeMicros(false)))
      break
    case 'timestamptz':
      writer.struct(10, () => writer.struct(Logical.timestamp, () => writeMicros(true)))
      break
    default:
  }
}

/** Body of TimeType and TimestampType: unit 2 of TimeUnit is microseconds. */
function writeMicros(adjustedToUtc: boolean): void {
  writer.boolean(1, adjustedToUtc)
  writer.struct(2, () => writer.struct(2, () => {}))
}
