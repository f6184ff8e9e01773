// Rows of any column types as JavaScript values, for tests: made into columns, into a Parquet file,
// and into the canonical cells in which readers state what they read.

import { columnBuilder, type ColumnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType, PrimitiveType } from '../../runtime/data/type.ts'
import { ParquetEncoder, type ParquetOptions } from '../../connectors/parquet/encode/encoder.ts'
import type { ParquetField } from '../../connectors/parquet/encode/leaf.ts'
import type { FileMetrics } from '../../connectors/parquet/encode/metrics.ts'
import type { SingleValue } from '../../connectors/parquet/encode/single-value.ts'
import { doubleCell, floatCell, type Cell } from '../readers/canonical.ts'

/** A value, null, or a list of both. */
export type Value = SingleValue | null | (SingleValue | null)[]

export const primitiveTypes: readonly PrimitiveType[] = [
  { kind: 'boolean' },
  { kind: 'int' },
  { kind: 'long' },
  { kind: 'float' },
  { kind: 'double' },
  { kind: 'decimal', precision: 1, scale: 0 },
  { kind: 'decimal', precision: 9, scale: 2 },
  { kind: 'decimal', precision: 10, scale: 10 },
  { kind: 'decimal', precision: 18, scale: 4 },
  { kind: 'decimal', precision: 19, scale: 0 },
  { kind: 'decimal', precision: 38, scale: 0 },
  { kind: 'decimal', precision: 38, scale: 10 },
  { kind: 'date' },
  { kind: 'time' },
  { kind: 'timestamp' },
  { kind: 'timestamptz' },
  { kind: 'string' },
  { kind: 'string', json: true },
  { kind: 'uuid' },
  { kind: 'binary' },
]

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const longEdges = [0n, 1n, -1n, INT64_MIN, INT64_MAX, 2n ** 53n - 1n, 2n ** 53n + 1n].concat([
  -(2n ** 53n) - 1n,
  2n ** 31n,
  2n ** 32n,
  -(2n ** 31n) - 1n,
  0xffff_ffffn,
])
const textEdges = [
  '',
  'a',
  'ab',
  'abc',
  'abcd',
  'abcde',
  '\u0000',
  '\uFFFF',
  '\u{10FFFF}',
  'é',
  '漢字とかな',
]
  .concat([
    '🚀'.repeat(20),
    'z'.repeat(17),
    '\u{10FFFF}'.repeat(70),
    `${'a'.repeat(15)}\uD7FFz`,
    ' ',
  ])
  .concat(['x'.repeat(199), 'x'.repeat(200), 'x'.repeat(201), 'long '.repeat(2000)])

/** @returns values at which encodings, orders and conversions break */
export function edgeValues(type: PrimitiveType): SingleValue[] {
  switch (type.kind) {
    case 'boolean':
      return [true, false]
    case 'int':
      return [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 255, 256, -256]
    case 'date':
      return [0, 1, -1, 19_782, -719_162, 2_932_896]
    case 'long':
      return longEdges
    case 'time':
      return [0n, 1n, 86_399_999_999n, 43_200_000_000n]
    case 'timestamp':
    case 'timestamptz':
      return [
        0n,
        1n,
        -1n,
        1_709_210_096_123_456n,
        253_402_300_799_999_999n,
        -62_135_596_800_000_000n,
      ]
    case 'float':
      return [0, -0, NaN, Infinity, -Infinity, 1.5, Math.fround(3.4028235e38), Math.fround(1e-45)]
    case 'double':
      return [0, -0, NaN, Infinity, -Infinity, 0.1, Number.MAX_VALUE, 5e-324, 2 ** 53]
    case 'decimal': {
      const max = 10n ** BigInt(type.precision) - 1n
      return [0n, 1n, -1n, max, -max, max / 3n, -(max / 7n)]
    }
    case 'string':
      return type.json ? ['{}', '[1, "é"]', 'null', '""'] : textEdges
    case 'uuid':
      return [0, 255, 127, 128]
        .map((byte) => new Uint8Array(16).fill(byte))
        .concat([Uint8Array.from({ length: 16 }, (_, at) => at * 17)])
    case 'binary':
      return [[], [0], [255], Array(20).fill(255), Array(16).fill(255), Array(17).fill(127)].map(
        (bytes) => Uint8Array.from(bytes as number[]),
      )
  }
}

/** @returns a column of `values`, in memory of its own */
export function columnOf(type: ColumnType, values: readonly Value[]): Column {
  const builder = columnBuilder(type)
  builder.reserveRows(values.length)
  for (const [row, value] of values.entries()) put(builder, row, value)
  return builder.view(values.length)
}

function put(builder: ColumnBuilder, row: number, value: Value): void {
  if (value === null) {
    builder.setNull(row)
  } else if (builder.layout === 'list') {
    for (const element of value as (SingleValue | null)[]) {
      builder.child.reserveRows(builder.childLength + 1)
      put(builder.child, builder.childLength++, element)
    }
    builder.endRow(row)
  } else if (builder.layout === 'bytes') {
    const bytes = typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array)
    builder.setBytes(row, bytes, 0, bytes.length)
  } else if (builder.layout === 'uuid16') {
    ;(builder.values as Uint8Array).set(value as Uint8Array, 16 * row)
  } else if (builder.layout === 'int128') {
    const values = builder.values as BigInt64Array
    values[2 * row] = BigInt.asIntN(64, value as bigint)
    values[2 * row + 1] = BigInt.asIntN(64, (value as bigint) >> 64n)
  } else if (builder.layout === 'bool8') {
    builder.values[row] = value === true ? 1 : 0
  } else {
    ;(builder.values as Float64Array)[row] = value as number
  }
}

/** @returns the canonical cell of `value` */
export function cellOf(type: ColumnType, value: Value): Cell {
  if (value === null) return null
  switch (type.kind) {
    case 'list':
      return (value as (SingleValue | null)[]).map((element) => cellOf(type.element, element))
    case 'float':
      return floatCell(value as number)
    case 'double':
      return doubleCell(value as number)
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'uuid':
      return Buffer.from(value as Uint8Array)
        .toString('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('hex')
    default:
      return String(value)
  }
}

export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const point = scale === 0 ? '' : `.${digits.slice(-scale)}`
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${point}`
}

/** A table of test rows: a field each with its values, all equally long. */
export interface TestTable {
  readonly fields: readonly ParquetField[]
  readonly values: readonly (readonly Value[])[]
}

/** Fields get ids 1, 3, 5...; the elements of lists the even ones. */
export function testTable(
  columns: readonly {
    type: ColumnType
    required: boolean
    values: readonly Value[]
    name?: string
  }[],
): TestTable {
  return {
    fields: columns.map(({ type, required, name }, at) => ({
      id: 2 * at + 1,
      name: name ?? `c${at}`,
      type,
      required,
      ...(type.kind === 'list' ? { elementId: 2 * at + 2 } : {}),
    })),
    values: columns.map(({ values }) => values),
  }
}

export interface TestFile {
  readonly bytes: Uint8Array
  readonly metrics: FileMetrics
}

/** @param batchRows  rows of one append; the whole table by default */
export function encodeTable(
  table: TestTable,
  options: ParquetOptions = {},
  batchRows = Infinity,
): TestFile {
  const encoder = new ParquetEncoder(table.fields, options)
  const chunks: Uint8Array[] = []
  const rows = table.values[0]?.length ?? 0
  for (let start = 0; start < rows; start += batchRows) {
    const end = Math.min(rows, start + batchRows)
    const columns = table.fields.map((field, at) =>
      columnOf(field.type, table.values[at]!.slice(start, end)),
    )
    const full = encoder.append(columns, end - start, null)
    chunks.push(...full.flatMap((group) => group.chunks))
  }
  if (encoder.bufferedRows > 0) chunks.push(...encoder.encodeRowGroup().chunks)
  const footer = encoder.finish()
  chunks.push(...footer.chunks)
  return { bytes: Buffer.concat(chunks), metrics: footer.metrics }
}

/** @returns the rows as canonical cells, in file order */
export function cellsOf(table: TestTable): Cell[][] {
  const rows = table.values[0]?.length ?? 0
  return Array.from({ length: rows }, (_, row) =>
    table.fields.map((field, at) => cellOf(field.type, table.values[at]![row]!)),
  )
}

/**
 * Every type, required and nullable, also as lists, over its edge values in shifting neighbourhood.
 */
export function everyTypeTable(rows: number): TestTable {
  const columns = primitiveTypes.flatMap((type, at) => {
    const edges = edgeValues(type)
    const edge = (row: number): SingleValue => edges[(row * (at + 1) + at) % edges.length]!
    const values = Array.from({ length: rows }, (_, row) => edge(row))
    const element = type
    const list = Array.from({ length: rows }, (_, row): Value => {
      if (row % 5 === 4) return null
      return Array.from({ length: row % 4 }, (_, index) =>
        (row + index) % 3 === 0 ? null : edge(row + index),
      )
    })
    return [
      { name: `required_${at}`, type, required: true, values },
      {
        name: `nullable_${at}`,
        type,
        required: false,
        values: values.map((value, row) => (row % 3 === 1 ? null : value)),
      },
      { name: `empty_${at}`, type, required: false, values: values.map(() => null) },
      {
        name: `list_${at}`,
        type: { kind: 'list', element } as const,
        required: false,
        values: list,
      },
      {
        name: `full_${at}`,
        type: { kind: 'list', element } as const,
        required: true,
        values: list.map((value) => value ?? []),
      },
    ]
  })
  return testTable(columns)
}
