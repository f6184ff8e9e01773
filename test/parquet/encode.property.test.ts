// Random tables: what readers see is what was written, and no statistic excludes a row that exists.

import * as fc from 'fast-check'
import { parquetMetadata, parquetReadObjects, type ParquetQueryFilter } from 'hyparquet'
import { zstdDecompressSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import {
  decodeSingleValue,
  encodeSingleValue,
  type SingleValue,
} from '../../connectors/parquet/encode/single-value.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'
import { columnType, compareSingle, primitiveType, table } from './arbitrary.ts'
import { cellOf, cellsOf, encodeTable, type Value } from './rows.ts'
import { readWithArrow, readWithDuckdb, readWithHyparquet, withDuckdbFile } from './read-back.ts'

const budgetMs = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000
const runs = { numRuns: 100_000, interruptAfterTimeLimit: budgetMs }
const timeout = 5 * budgetMs + 60_000

const options = fc.record({
  compression: fc.constantFrom('zstd' as const, 'gzip' as const, 'none' as const),
  rowGroupRowsMax: fc.constantFrom(5, 64, 1000),
  pageRowsMax: fc.constantFrom(8, 24, 1000),
  pageBytesMax: fc.constantFrom(64, 1024, 1_000_000),
})

// Readers are loaded once. Within the time of a property that may take all of it on a busy machine,
// and a property that is interrupted before its first run has failed.
beforeAll(async () => {
  const [small] = fc.sample(table(columnType, 1, 1), 1)
  if (small === undefined) throw new Error('fast-check gives no sample')
  const { bytes } = encodeTable(small, { compression: 'zstd' }, 1)
  for (const read of [readWithHyparquet, readWithArrow, readWithDuckdb]) {
    await read(bytes, small.fields)
  }
}, 60_000)

test('every reader sees the rows that were written', { timeout }, async () => {
  const property = fc.asyncProperty(
    table(columnType, 200, 4),
    options,
    fc.integer({ min: 1, max: 70 }),
    async (table, options, batchRows) => {
      const { bytes } = encodeTable(table, options, batchRows)
      const expected = cellsOf(table)
      expect(await readWithHyparquet(bytes, table.fields)).toEqual(expected)
      expect(await readWithArrow(bytes, table.fields)).toEqual(expected)
      expect(await readWithDuckdb(bytes, table.fields)).toEqual(expected)
    },
  )
  // Three readers a run: on a busy machine one takes seconds, and none at all is a failure.
  await fc.assert(property, { ...runs, interruptAfterTimeLimit: 5 * budgetMs })
})

const isNaNValue = (value: Value): boolean => typeof value === 'number' && Number.isNaN(value)

test('metrics count and bound what is in the file', { timeout }, () => {
  const property = fc.property(table(columnType, 200, 3), options, (table, options) => {
    const { bytes, metrics } = encodeTable(table, options)
    const rows = table.values[0]!.length
    expect(metrics.bytes).toBe(bytes.length)
    expect(metrics.rowCount).toBe(rows)
    expect(metrics.splitOffsets).toHaveLength(Math.ceil(rows / options.rowGroupRowsMax))
    for (const [at, field] of table.fields.entries()) {
      const values = table.values[at]!
      if (field.type.kind === 'list') {
        const flat = values.flatMap((it) => (it === null || (it as []).length === 0 ? [null] : it))
        expect(metrics.valueCounts.get(field.elementId!)).toBe(flat.length)
        const nulls = flat.filter((it) => it === null).length
        expect(metrics.nullCounts.get(field.elementId!)).toBe(nulls)
        expect(metrics.lowerBounds.has(field.elementId!)).toBe(false)
        continue
      }
      const present = values.filter((it): it is SingleValue => it !== null)
      const numbers = present.filter((it) => !isNaNValue(it))
      expect(metrics.valueCounts.get(field.id)).toBe(rows)
      expect(metrics.nullCounts.get(field.id)).toBe(rows - present.length)
      const isFloat = field.type.kind === 'float' || field.type.kind === 'double'
      expect(metrics.nanCounts.get(field.id)).toBe(
        isFloat ? present.length - numbers.length : undefined,
      )
      expectBounds(field.type, numbers, metrics.lowerBounds.get(field.id), 'lower')
      // Readers that order NaN above everything would skip a file that has one.
      const upper = numbers.length < present.length ? [] : numbers
      expectBounds(field.type, upper, metrics.upperBounds.get(field.id), 'upper')
    }
  })
  fc.assert(property, runs)
})

function expectBounds(
  type: PrimitiveType,
  values: readonly SingleValue[],
  bound: Uint8Array | undefined,
  side: 'lower' | 'upper',
): void {
  const sign = side === 'lower' ? 1 : -1
  if (values.length === 0) {
    expect(bound).toBeUndefined()
    return
  }
  const sorted = [...values].sort((left, right) => sign * compareSingle(left, right))
  const varies = type.kind === 'string' || type.kind === 'binary' || type.kind === 'uuid'
  if (!varies) {
    const zero = (value: SingleValue): SingleValue => (value === 0 ? (sign > 0 ? -0 : 0) : value)
    expect(bound).toEqual(encodeSingleValue(type, zero(sorted[0]!)))
  } else if (bound !== undefined) {
    expect(sign * compareSingle(decodeSingleValue(type, bound), sorted[0]!)).toBeLessThanOrEqual(0)
  } else {
    // Only an upper bound of the highest possible bytes, or a mixed set of uuids, has none.
    expect(side === 'upper' || type.kind === 'uuid').toBe(true)
  }
}

/** DuckDB's order: NaN is equal to itself and above everything. */
function compareSql(left: SingleValue, right: SingleValue): number {
  if (isNaNValue(left) || isNaNValue(right))
    return Number(isNaNValue(left)) - Number(isNaNValue(right))
  return compareSingle(left, right)
}

function literal(type: PrimitiveType, value: SingleValue): string {
  const text = String(cellOf(type, value)).replaceAll("'", "''")
  switch (type.kind) {
    case 'float':
    case 'double':
      return `'${Object.is(value, -0) ? '-0.0' : String(value)}'::${type.kind}`
    case 'date':
      return `(DATE '1970-01-01' + (${text}))`
    case 'time':
      return `TIME '00:00:00' + to_microseconds(${text})`
    case 'timestamp':
      return `make_timestamp(${text})`
    case 'timestamptz':
      return `make_timestamptz(${text})`
    case 'string':
      return `decode(from_hex('${Buffer.from(value as string).toString('hex')}'))`
    case 'binary':
      return `from_hex('${text}')`
    case 'decimal':
      return `'${text}'::DECIMAL(${type.precision}, ${type.scale})`
    default:
      return `'${text}'::${{ int: 'INTEGER', long: 'BIGINT' }[type.kind as 'int'] ?? type.kind}`
  }
}

test(
  'a filter pushed down by DuckDB loses no row and finds none too many',
  { timeout },
  async () => {
    const property = fc.asyncProperty(
      table(primitiveType, 150, 1),
      options,
      async (table, options) => {
        const field = table.fields[0]!
        const type = field.type as PrimitiveType
        const values = table.values[0]!
        const present = values.filter((it): it is SingleValue => it !== null)
        if (present.length === 0) return
        const { bytes } = encodeTable(table, options)
        const probes = [present[0]!, present[present.length - 1]!, present[present.length >> 1]!]
        await withDuckdbFile(bytes, async (connection) => {
          const count = async (where: string): Promise<number> => {
            const result = await connection.runAndReadAll(
              `SELECT count(*)::INT FROM t WHERE ${where}`,
            )
            return Number(result.getRowsJS()[0]![0])
          }
          expect(await count(`${field.name} IS NULL`)).toBe(values.length - present.length)
          for (const probe of probes) {
            const matching = (test: (order: number) => boolean): number =>
              present.filter((value) => test(compareSql(value, probe))).length
            const side = literal(type, probe)
            expect(await count(`${field.name} = ${side}`)).toBe(matching((order) => order === 0))
            expect(await count(`${field.name} > ${side}`)).toBe(matching((order) => order > 0))
            expect(await count(`${field.name} <= ${side}`)).toBe(matching((order) => order <= 0))
          }
        })
      },
    )
    await fc.assert(property, runs)
  },
)

test(
  'pages pruned by hyparquet with the page index hold no matching row',
  { timeout },
  async () => {
    const numeric = primitiveType.filter(({ kind }) => ['int', 'long', 'string'].includes(kind))
    const property = fc.asyncProperty(table(numeric, 200, 2), options, async (table, options) => {
      if (options.compression === 'gzip') return
      const values = table.values[0]!
      const probe = values.find((it) => it !== null)
      if (probe === undefined) return
      const bytes = new Uint8Array(encodeTable(table, options).bytes).buffer
      const read = async (filter: ParquetQueryFilter, usePageIndex: boolean): Promise<unknown> =>
        parquetReadObjects({
          file: bytes,
          metadata: parquetMetadata(bytes),
          compressors: { ZSTD: (page) => zstdDecompressSync(page) },
          rowFormat: 'object',
          filter,
          usePageIndex,
        })
      const name = table.fields[0]!.name
      const found = (await read({ [name]: { $eq: probe } }, true)) as unknown[]
      expect(found).toHaveLength(values.filter((it) => it === probe).length)
      for (const operator of ['$gt', '$lte']) {
        const filter = { [name]: { [operator]: probe } }
        expect(await read(filter, true)).toEqual(await read(filter, false))
      }
    })
    await fc.assert(property, runs)
  },
)
