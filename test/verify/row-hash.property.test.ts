// Goal: rows have one hash exactly when they hold the same values. Method: pairs of rows of every
// type, mostly with a single value that differs, laid into columns at different places.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { setRaw, storeValue, type RawValue } from '../../connectors/iceberg/writer/raw-values.ts'
import { ROW_WORDS, rowHashes } from '../../runtime/cli/verify/row-hash.ts'
import { valueText } from '../../runtime/cli/verify/value-text.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const timeBox = { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 1_000_000 }

const bytes = (length?: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array(length === undefined ? { maxLength: 40 } : { minLength: length, maxLength: length })
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => Buffer.from(value))
const wide = fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n })
const small = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const time = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n })

const types: readonly (readonly [ColumnType, fc.Arbitrary<RawValue>])[] = [
  [{ kind: 'boolean' }, fc.boolean()],
  [{ kind: 'int' }, fc.integer()],
  [{ kind: 'date' }, fc.integer({ min: -100_000, max: 100_000 })],
  [{ kind: 'long' }, small],
  [{ kind: 'time' }, fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  [{ kind: 'timestamp' }, time],
  [{ kind: 'timestamptz' }, time],
  [{ kind: 'float' }, fc.float()],
  [{ kind: 'double' }, fc.double()],
  [
    { kind: 'decimal', precision: 18, scale: 4 },
    fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
  ],
  [{ kind: 'decimal', precision: 38, scale: 6 }, wide],
  [{ kind: 'string' }, text],
  [{ kind: 'binary' }, bytes()],
  [{ kind: 'uuid' }, bytes(16)],
  [
    { kind: 'list', element: { kind: 'int' } },
    fc.array(fc.option(fc.integer({ max: 2, min: 0 })), { maxLength: 4 }),
  ],
  [{ kind: 'list', element: { kind: 'string' } }, fc.array(fc.option(text), { maxLength: 3 })],
]

interface Table {
  readonly types: readonly ColumnType[]
  readonly rows: readonly (readonly RawValue[])[]
}

/** Some rows, each a copy of the first with at most one other value. */
const table: fc.Arbitrary<Table> = fc
  .array(fc.constantFrom(...types), { minLength: 1, maxLength: 5 })
  .chain((chosen) => {
    const row = fc.tuple(...chosen.map(([, value]) => fc.option(value, { nil: null, freq: 4 })))
    const column = fc.nat({ max: chosen.length - 1 })
    return fc
      .tuple(row, fc.array(fc.tuple(row, column), { minLength: 1, maxLength: 6 }))
      .map(([first, others]) => ({
        types: chosen.map(([type]) => type),
        rows: [first, ...others.map(([other, at]) => first.with(at, other[at] ?? null))],
      }))
  })

function columnsOf({ types: columnTypes, rows }: Table): Column[] {
  return columnTypes.map((type, index) => {
    const builder = columnBuilder(type)
    rows.forEach((row, at) => setRaw(builder, at, row[index] ?? null))
    return builder.view(rows.length)
  })
}

function hashOf(hashes: Int32Array, row: number): string {
  return hashes.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS).join()
}

test('two rows have one hash exactly when every value is the same, and so have their texts', () => {
  fc.assert(
    fc.property(table, ({ types: columnTypes, rows }) => {
      const columns = columnsOf({ types: columnTypes, rows })
      const hashes = rowHashes(columns, rows.length)
      const stored = rows.map((row) => JSON.stringify(row.map(storeValue)))
      const texts = rows.map((_, row) => columns.map((column) => valueText(column, row)).join())
      for (const [row, one] of stored.entries()) {
        expect(hashOf(hashes, row) === hashOf(hashes, 0)).toBe(one === stored[0])
        expect(texts[row] === texts[0]).toBe(one === stored[0])
        // Where a row lies in a batch has no part in its hash.
        const alone = rowHashes(columnsOf({ types: columnTypes, rows: [rows[row] ?? []] }), 1)
        expect(hashOf(alone, 0)).toBe(hashOf(hashes, row))
      }
    }),
    timeBox,
  )
})

test('no two of a million consecutive rows share a hash', () => {
  const rows = 1_000_000
  const values = Int32Array.from({ length: rows }, (_, row) => row)
  const type = { kind: 'int' } as const
  const column: Column = {
    type,
    layout: 'int32',
    length: rows,
    validity: null,
    unchanged: null,
    values,
  }
  const hashes = rowHashes([column], rows)
  // The first 64 bits alone must do: 1e6 rows share them with a probability of 3e-8.
  const pairs = new BigInt64Array(rows)
  const words = new Int32Array(pairs.buffer)
  for (let row = 0; row < rows; row++) {
    words[2 * row] = hashes[row * ROW_WORDS] ?? 0
    words[2 * row + 1] = hashes[row * ROW_WORDS + 1] ?? 0
  }
  pairs.sort()
  const shared = pairs.findIndex((pair, at) => at > 0 && pair === pairs[at - 1])
  expect(shared).toBe(-1)
})
