// What Parquet stores: the leaves of a schema, each with its physical type, its logical type and
// the levels that say where a value is missing. One field has one leaf; a list has the three-level
// form.
// Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md (2.11)

import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import { present } from '../../../runtime/base/assert.ts'

export interface ParquetField {
  /** Iceberg's field id. */
  readonly id: number
  readonly name: string
  readonly type: ColumnType
  readonly required: boolean
  /** Field id of the elements; lists have one. Elements are optional. */
  readonly elementId?: number
}

/** Parquet's `Type`. */
export const Physical = {
  boolean: 0,
  int32: 1,
  int64: 2,
  float: 4,
  double: 5,
  byteArray: 6,
  fixedLenByteArray: 7,
} as const
export type Physical = (typeof Physical)[keyof typeof Physical]

/** How the kernels of this folder see the dense values of a leaf. */
export const Storage = {
  /** Uint8Array, one byte a value, 0 or 1. */
  bool: 'bool',
  /** Int32Array, one word a value: int, date, float, decimal of up to 9 digits. */
  word: 'word',
  /** Int32Array, two words a value, low word first: long, double, times, decimal of 10 to 18. */
  pair: 'pair',
  /** Uint8Array, `width` bytes a value, as the file has them: uuid, decimal of 19 to 38 digits. */
  fixed: 'fixed',
  /** Offsets and bytes: string, binary. */
  bytes: 'bytes',
} as const
export type Storage = (typeof Storage)[keyof typeof Storage]

export interface Leaf {
  readonly field: ParquetField
  /** Field id under which statistics are reported: the element's for a list. */
  readonly id: number
  readonly type: PrimitiveType
  readonly path: readonly string[]
  readonly physical: Physical
  readonly storage: Storage
  /** Bytes of one value in the file; 0 for `bytes` and `bool`. */
  readonly width: number
  readonly definitionMax: number
  readonly repetitionMax: number
}

const DECIMAL_INT32_PRECISION_MAX = 9
const DECIMAL_INT64_PRECISION_MAX = 18

/** @returns the smallest count of bytes whose two's complement holds `precision` digits */
export function decimalBytes(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n
  let bytes = 1
  while (1n << BigInt(8 * bytes - 1) <= largest) bytes++
  return bytes
}

/** @returns the leaves of `fields`, in their order: one a field */
export function leavesOf(fields: readonly ParquetField[]): Leaf[] {
  return fields.map((field) => {
    const optional = field.required ? 0 : 1
    if (field.type.kind !== 'list') {
      return leaf(field, field.id, field.type, [field.name], optional, 0)
    }
    const id = present(field.elementId, 'a list field has an element id')
    // The repeated group and the optional element each add a definition level.
    return leaf(field, id, field.type.element, [field.name, 'list', 'element'], optional + 2, 1)
  })
}

function leaf(
  field: ParquetField,
  id: number,
  type: PrimitiveType,
  path: readonly string[],
  definitionMax: number,
  repetitionMax: number,
): Leaf {
  return { field, id, type, path, ...storageOf(type), definitionMax, repetitionMax }
}

function storageOf(type: PrimitiveType): Pick<Leaf, 'physical' | 'storage' | 'width'> {
  switch (type.kind) {
    case 'boolean':
      return { physical: Physical.boolean, storage: Storage.bool, width: 0 }
    case 'int':
    case 'date':
      return { physical: Physical.int32, storage: Storage.word, width: 4 }
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return { physical: Physical.int64, storage: Storage.pair, width: 8 }
    case 'float':
      return { physical: Physical.float, storage: Storage.word, width: 4 }
    case 'double':
      return { physical: Physical.double, storage: Storage.pair, width: 8 }
    case 'decimal':
      if (type.precision <= DECIMAL_INT32_PRECISION_MAX) {
        return { physical: Physical.int32, storage: Storage.word, width: 4 }
      }
      if (type.precision <= DECIMAL_INT64_PRECISION_MAX) {
        return { physical: Physical.int64, storage: Storage.pair, width: 8 }
      }
      return {
        physical: Physical.fixedLenByteArray,
        storage: Storage.fixed,
        width: decimalBytes(type.precision),
      }
    case 'uuid':
      return { physical: Physical.fixedLenByteArray, storage: Storage.fixed, width: 16 }
    case 'string':
    case 'binary':
      return { physical: Physical.byteArray, storage: Storage.bytes, width: 0 }
  }
}
