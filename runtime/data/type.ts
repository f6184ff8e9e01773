// The types that may travel through a pipeline: Iceberg's primitives, lists of them, and text that
// is known to be JSON. Nothing in between can hold what the lake cannot, so a source refuses a
// column it cannot express in these.
// Source: Apache Iceberg specification, "Schemas and Data Types" (format versions 2 and 3).

export type PrimitiveType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int' }
  | { readonly kind: 'long' }
  | { readonly kind: 'float' }
  | { readonly kind: 'double' }
  /** `precision` 1...38, `scale` 0...precision. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** Days since 1970-01-01. */
  | { readonly kind: 'date' }
  /** Microseconds since midnight. */
  | { readonly kind: 'time' }
  /** Microseconds since 1970-01-01T00:00:00 without a zone. */
  | { readonly kind: 'timestamp' }
  /** Microseconds since 1970-01-01T00:00:00Z. */
  | { readonly kind: 'timestamptz' }
  /** UTF-8. `json` says that the text is a JSON document; the lake stores a string. */
  | { readonly kind: 'string'; readonly json?: true }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'binary' }

export interface ListType {
  readonly kind: 'list'
  readonly element: PrimitiveType
}

export type ColumnType = PrimitiveType | ListType

/** How the values of a column lie in memory. */
export const Layout = {
  /** Uint8Array, one byte a value, 0 or 1. */
  bool8: 'bool8',
  /** Int32Array. */
  int32: 'int32',
  /** BigInt64Array; kernels look at the same bytes as little-endian Int32 pairs. */
  int64: 'int64',
  float32: 'float32',
  float64: 'float64',
  /** 16 bytes a value, little-endian two's complement: BigInt64Array of (low, high). */
  int128: 'int128',
  /** Uint8Array, 16 bytes a value, in the order of the text form. */
  uuid16: 'uuid16',
  /** Int32Array of `rows + 1` offsets into a Uint8Array. */
  bytes: 'bytes',
  /** Int32Array of `rows + 1` offsets into a child column. */
  list: 'list',
} as const
export type Layout = (typeof Layout)[keyof typeof Layout]

/** Decimals of up to this many digits are int64; longer ones int128. */
export const DECIMAL64_PRECISION_MAX = 18

/** @returns the memory layout of a column of `type` */
export function layoutOf(type: ColumnType): Layout {
  switch (type.kind) {
    case 'boolean':
      return Layout.bool8
    case 'int':
    case 'date':
      return Layout.int32
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return Layout.int64
    case 'float':
      return Layout.float32
    case 'double':
      return Layout.float64
    case 'decimal':
      return type.precision <= DECIMAL64_PRECISION_MAX ? Layout.int64 : Layout.int128
    case 'uuid':
      return Layout.uuid16
    case 'string':
    case 'binary':
      return Layout.bytes
    case 'list':
      return Layout.list
  }
}

/** @returns bytes of one value of a fixed-width layout; 4 (one offset) for `bytes` and `list` */
export function widthOf(layout: Layout): number {
  switch (layout) {
    case 'bool8':
      return 1
    case 'int32':
    case 'float32':
    case 'bytes':
    case 'list':
      return 4
    case 'int64':
    case 'float64':
      return 8
    case 'int128':
    case 'uuid16':
      return 16
  }
}

/** @returns the type as Iceberg spells it: `decimal(12,2)`, `list<int>` */
export function formatType(type: ColumnType): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`
    case 'list':
      return `list<${formatType(type.element)}>`
    default:
      return type.kind
  }
}

export function sameType(left: ColumnType, right: ColumnType): boolean {
  if (left.kind === 'string' && right.kind === 'string') return left.json === right.json
  return formatType(left) === formatType(right)
}
