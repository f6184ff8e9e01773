// fast-check arbitraries of column types, values and whole tables, and the order that values have.

import * as fc from 'fast-check'
import type { ColumnType, PrimitiveType } from '../../runtime/data/type.ts'
import type { SingleValue } from '../../connectors/parquet/encode/single-value.ts'
import { edgeValues, primitiveTypes, testTable, type TestTable, type Value } from './rows.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const DAY_MICROS = 86_400_000_000n
/** Timestamps and dates that every reader's calendar holds: years 1 to 9999. */
const MICROS_MIN = -62_135_596_800_000_000n
const MICROS_MAX = 253_402_300_799_999_999n

export function valueOf(type: PrimitiveType): fc.Arbitrary<SingleValue> {
  const edge = fc.constantFrom(...edgeValues(type))
  return fc.oneof({ weight: 1, arbitrary: edge }, { weight: 2, arbitrary: anyValue(type) })
}

function anyValue(type: PrimitiveType): fc.Arbitrary<SingleValue> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.oneof(fc.integer(), fc.integer({ min: -3, max: 3 }))
    case 'date':
      return fc.integer({ min: -719_162, max: 2_932_896 })
    case 'long':
      return fc.oneof(
        fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
        fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }),
      )
    case 'time':
      return fc.bigInt({ min: 0n, max: DAY_MICROS - 1n })
    case 'timestamp':
    case 'timestamptz':
      return fc.bigInt({ min: MICROS_MIN, max: MICROS_MAX })
    case 'float':
      return fc.oneof(fc.float(), fc.constantFrom(0, -0, 1, -1))
    case 'double':
      return fc.oneof(fc.double(), fc.constantFrom(0, -0, 1, -1))
    case 'decimal': {
      const max = 10n ** BigInt(type.precision) - 1n
      return fc.bigInt({ min: -max, max })
    }
    case 'string':
      if (type.json === true) return fc.json()
      return fc.oneof(
        fc.string({ unit: 'binary', maxLength: 90 }),
        fc.string({ unit: fc.constantFrom('a', '\u{10FFFF}', '\uD7FF', '🚀'), maxLength: 70 }),
      )
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 })
    case 'binary':
      return fc.oneof(
        fc.uint8Array({ maxLength: 90 }),
        fc.array(fc.constantFrom(255, 254, 0), { maxLength: 70 }).map((it) => Uint8Array.from(it)),
      )
  }
}

export const primitiveType = fc.constantFrom(...primitiveTypes)

export const columnType: fc.Arbitrary<ColumnType> = fc.oneof(
  { weight: 3, arbitrary: primitiveType },
  { weight: 1, arbitrary: primitiveType.map((element) => ({ kind: 'list', element }) as const) },
)

/** Values repeat often, so that dictionaries and runs occur. */
function columnValues(type: ColumnType, required: boolean, rows: number): fc.Arbitrary<Value[]> {
  const single: fc.Arbitrary<Value> =
    type.kind === 'list'
      ? fc.array(fc.option(valueOf(type.element), { freq: 4 }), { maxLength: 4 })
      : valueOf(type)
  const one = required ? single : fc.option(single, { freq: 3 })
  const pool = fc.array(one, { minLength: 1, maxLength: 12 })
  const picks = fc.array(fc.nat(11), { minLength: rows, maxLength: rows })
  return fc
    .tuple(pool, picks)
    .map(([pool, picks]) => picks.map((pick) => pool[pick % pool.length]!))
}

export function table(
  type: fc.Arbitrary<ColumnType>,
  rowsMax: number,
  columnsMax: number,
): fc.Arbitrary<TestTable> {
  return fc
    .tuple(
      fc.integer({ min: 0, max: rowsMax }),
      fc.array(fc.tuple(type, fc.boolean()), { minLength: 1, maxLength: columnsMax }),
    )
    .chain(([rows, columns]) =>
      fc.tuple(
        ...columns.map(([type, required]) =>
          columnValues(type, required, rows).map((values) => ({ type, required, values })),
        ),
      ),
    )
    .map((columns) => testTable(columns))
}

/** Iceberg's order without NaN: numbers by value, text by code point, bytes unsigned. */
export function compareSingle(left: SingleValue, right: SingleValue): number {
  if (typeof left === 'string' && typeof right === 'string') {
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right)
  return left < right ? -1 : left > right ? 1 : 0
}
