// Every type, by log and by backfill, against what the server itself says (goal: one value has one
// form). Method: random rows go in as SQL; the log and the chunks decode them; a third reading asks
// the server for a canonical text that no decoder of ours is needed for.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import {
  majors,
  optionsFor,
  queryPostgres,
  readTable,
  run,
  started,
  withPostgres,
  type Value,
} from './harness.ts'

interface TypeCase {
  readonly type: string
  /** Values as SQL text literals (without a cast); null comes by itself. */
  readonly values: fc.Arbitrary<string>
  /** SQL expression over `v` whose text is the canonical form. */
  readonly canonical: string
  /** The same text of a decoded value. */
  readonly print: (value: Value) => string
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.replaceAll('\0', '')),
  fc.constantFrom('', ' ', 'NULL', 'null', '{}', '"', '\\', "'", ',', 'a'.repeat(5000), 'ä€😀'),
)
const integer = (bits: bigint): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }),
      fc.constantFrom(0n, -1n, 2n ** (bits - 1n) - 1n, -(2n ** (bits - 1n))),
      fc.bigInt({ min: -1000n, max: 1000n }),
    )
    .map(String)
const decimal = (precision: number, scale: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 10n ** BigInt(precision) - 1n }),
      fc.nat(precision),
    )
    .map(([negative, digits, shift]) => {
      const shown = (digits / 10n ** BigInt(shift)).toString().padStart(scale + 1, '0')
      const point = shown.length - scale
      const number = scale === 0 ? shown : `${shown.slice(0, point)}.${shown.slice(point)}`
      return negative ? `-${number}` : number
    })
const pad = (value: number, width = 2): string => String(value).padStart(width, '0')
const date = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: 1, max: 9999 }),
      fc.integer({ min: 1900, max: 2100 }),
      fc.integer({ min: 1, max: 200_000 }),
    ),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
  )
  .map(([year, month, day]) => `${pad(year, 4)}-${pad(month)}-${pad(day)}`)
const time = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.oneof(fc.constant(0), fc.nat(999_999)))
  .map(([hour, minute, second, us]) => `${pad(hour)}:${pad(minute)}:${pad(second)}.${pad(us, 6)}`)
const instant = fc.tuple(date, time).map(([day, clock]) => `${day} ${clock}`)
const hex = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: min, maxLength: max })
    .map((bytes) => Buffer.from(bytes).toString('hex'))
const float64 = fc.double().map((value) => {
  if (Number.isNaN(value)) return 'NaN'
  return Object.is(value, -0) ? '-0' : String(value)
})
const float32 = fc.float().map((value) => {
  if (Number.isNaN(value)) return 'NaN'
  return Object.is(value, -0) ? '-0' : String(value)
})
const bits = (min: number, max: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom('0', '1'), { minLength: min, maxLength: max }).map((all) => all.join(''))
const json = fc
  .oneof(
    fc.json(),
    fc.constantFrom('{"b":1,"a":1.50,"a":2}', '9007199254740993', '1e400', '" "', '[ ]', 'null'),
  )
  .map((value) => value.replaceAll('\\u0000', ''))
const arrayItem = (item: string | null): string =>
  item === null ? 'NULL' : `"${item.replaceAll(/["\\]/g, '\\$&')}"`
const array = (element: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.option(element, { nil: null }), { maxLength: 5 })
    .map((all) => `{${all.map(arrayItem).join(',')}}`)

const printText = (value: Value): string => String(value)
const us = `(extract(epoch FROM v) * 1000000)::numeric(38,0)::text`
const printFloat = (value: Value): string => {
  const buffer = Buffer.alloc(8)
  buffer.writeDoubleBE(value as number)
  // The bits of NaN are nobody's business.
  return Number.isNaN(value) ? 'NaN' : buffer.toString('hex')
}
const printFloat32 = (value: Value): string => {
  const buffer = Buffer.alloc(4)
  buffer.writeFloatBE(value as number)
  return Number.isNaN(value) ? 'NaN' : buffer.toString('hex')
}
const floatBits = (type: string): string =>
  `CASE WHEN v = 'NaN' THEN 'NaN' ELSE encode(${type}send(v), 'hex') END`
const unscaled = (scale: number): string => `trunc(v::numeric * 10::numeric ^ ${scale})::text`
const printList = (print: (value: Value) => string): ((value: Value) => string) => {
  return (value) =>
    JSON.stringify((value as Value[]).map((item) => (item === null ? null : print(item))))
}
const list = (expression: string): string =>
  `CASE WHEN v IS NOT NULL THEN (
     SELECT coalesce(jsonb_agg(${expression} ORDER BY i), '[]')::text
     FROM unnest(v) WITH ORDINALITY u(v, i)
   ) END`

const cases: readonly TypeCase[] = [
  { type: 'boolean', values: fc.constantFrom('t', 'f'), canonical: 'v::text', print: printText },
  { type: 'smallint', values: integer(16n), canonical: 'v::text', print: printText },
  { type: 'integer', values: integer(32n), canonical: 'v::text', print: printText },
  { type: 'bigint', values: integer(64n), canonical: 'v::text', print: printText },
  { type: 'oid', values: fc.nat(0xffff_ffff).map(String), canonical: 'v::text', print: printText },
  { type: 'real', values: float32, canonical: floatBits('float4'), print: printFloat32 },
  { type: 'double precision', values: float64, canonical: floatBits('float8'), print: printFloat },
  { type: 'numeric(9,2)', values: decimal(9, 2), canonical: unscaled(2), print: printText },
  { type: 'numeric(18,0)', values: decimal(18, 0), canonical: unscaled(0), print: printText },
  { type: 'numeric(18,18)', values: decimal(18, 18), canonical: unscaled(18), print: printText },
  { type: 'numeric(18,7)', values: decimal(18, 7), canonical: unscaled(7), print: printText },
  { type: 'numeric(38,10)', values: decimal(38, 10), canonical: unscaled(10), print: printText },
  { type: 'numeric(38,37)', values: decimal(38, 37), canonical: unscaled(37), print: printText },
  { type: 'numeric(20,5)', values: decimal(20, 5), canonical: unscaled(5), print: printText },
  { type: 'numeric(2,5)', values: decimal(2, 5), canonical: unscaled(5), print: printText },
  { type: 'numeric(5,-2)', values: decimal(6, 0), canonical: 'v::text', print: printText },
  {
    type: 'numeric',
    values: fc.oneof(decimal(60, 25), fc.constantFrom('NaN', 'Infinity')),
    canonical: 'v::text',
    print: printText,
  },
  { type: 'numeric(60,3)', values: decimal(60, 3), canonical: 'v::text', print: printText },
  {
    type: 'char(7)',
    values: text.map((value) => Array.from(value).slice(0, 7).join('')),
    canonical: 'textin(bpcharout(v))',
    print: printText,
  },
  {
    type: 'varchar(30)',
    values: text.map((value) => Array.from(value).slice(0, 30).join('')),
    canonical: 'v::text',
    print: printText,
  },
  { type: 'text', values: text, canonical: 'v', print: printText },
  {
    type: 'name',
    values: text.map((value) => Array.from(value).slice(0, 10).join('')),
    canonical: 'v::text',
    print: printText,
  },
  {
    type: 'xml',
    values: fc.constantFrom('<a/>', '<a>ä</a>', 'x', '<?xml version="1.0"?><b/>'),
    canonical: 'textin(xml_out(v))',
    print: printText,
  },
  {
    type: 'mood',
    values: fc.constantFrom('sad', 'ok', "it's", 'ü'),
    canonical: 'v::text',
    print: printText,
  },
  { type: 'price', values: decimal(10, 2), canonical: unscaled(2), print: printText },
  {
    type: 'bytea',
    values: hex(0, 60).map((value) => `\\x${value}`),
    canonical: "encode(v, 'hex')",
    print: printText,
  },
  { type: 'bit(9)', values: bits(9, 9), canonical: 'v::text', print: printText },
  { type: 'varbit', values: bits(0, 70), canonical: 'v::text', print: printText },
  { type: 'uuid', values: hex(16, 16), canonical: "replace(v::text, '-', '')", print: printText },
  { type: 'date', values: date, canonical: "(v - date '1970-01-01')::text", print: printText },
  { type: 'time', values: time, canonical: us, print: printText },
  { type: 'timestamp', values: instant, canonical: us, print: printText },
  {
    type: 'timestamptz',
    values: instant.map((value) => `${value}+05:30`),
    canonical: us,
    print: printText,
  },
  { type: 'timestamp(3)', values: instant, canonical: us, print: printText },
  { type: 'json', values: json, canonical: 'v::text', print: printText },
  {
    type: 'jsonb',
    values: json.filter((value) => !/1e400/.test(value)),
    canonical: 'v::text',
    print: printText,
  },
  {
    type: 'integer[]',
    values: array(integer(32n)),
    canonical: list('v::text'),
    print: printList(printText),
  },
  { type: 'text[]', values: array(text), canonical: list('v'), print: printList(printText) },
  {
    type: 'numeric(30,4)[]',
    values: array(decimal(30, 4)),
    canonical: list(unscaled(4)),
    print: printList(printText),
  },
  {
    type: 'timestamptz[]',
    values: array(instant.map((value) => `${value}Z`)),
    canonical: list(us),
    print: printList(printText),
  },
  {
    type: 'bytea[]',
    values: array(hex(0, 9).map((value) => `\\x${value}`)),
    canonical: list("encode(v, 'hex')"),
    print: printList(printText),
  },
  {
    type: 'mood[]',
    values: array(fc.constantFrom('sad', "it's")),
    canonical: list('v::text'),
    print: printList(printText),
  },
  {
    type: 'uuid[]',
    values: array(hex(16, 16)),
    canonical: list("replace(v::text, '-', '')"),
    print: printList(printText),
  },
  {
    type: 'float8[]',
    values: array(float64),
    canonical: list(floatBits('float8')),
    print: printList(printFloat),
  },
]

const TYPES = `
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s', 'ü');
CREATE DOMAIN money_amount AS numeric(10,2) CHECK (VALUE < 1e9);
CREATE DOMAIN price AS money_amount;`

/** jsonb writes text with spaces; a list of texts is compared as values. */
function sameText(left: string, right: string, { type }: TypeCase): boolean {
  if (!type.endsWith('[]')) return left === right
  return JSON.stringify(JSON.parse(left)) === JSON.stringify(JSON.parse(right))
}

const ROWS = Number(process.env['TYPE_ROWS'] ?? 300)

for (const major of majors) {
  test.skipIf(!(await available(`postgres${major}`)))(
    `PostgreSQL ${major}: every type has one value in log, backfill and server`,
    async () => {
      const server = await started(major, { timezone: 'America/New_York', datestyle: 'German' })
      try {
        const uri = server.uri()
        await queryPostgres(uri, TYPES)
        const columns = cases.map(({ type }, index) => `c${index} ${type}`)
        await queryPostgres(uri, `CREATE TABLE t (id int PRIMARY KEY, ${columns.join(', ')})`)
        const running = await run(optionsFor(server))
        const rows = fc.sample(
          fc.tuple(...cases.map(({ values }) => fc.option(values, { nil: null, freq: 8 }))),
          {
            numRuns: ROWS,
            ...(process.env['SEED'] !== undefined && { seed: Number(process.env['SEED']) }),
          },
        )
        await withPostgres(uri, async (client) => {
          const names = cases.map((_, index) => `c${index}`)
          const places = cases.map(({ type }, index) => `$${index + 2}::${type}`)
          const sql = `INSERT INTO t (id, ${names.join(', ')}) VALUES ($1, ${places.join(', ')})`
          for (const [id, row] of rows.entries()) await client.query(sql, [id, ...row])
        })
        await running.caughtUp()
        const chunk = await readTable(running, 'public.t', 37)
        expect(running.runtime.parked).toEqual(new Map())
        expect(running.changes.length).toBe(ROWS)
        expect(chunk.rows.length).toBe(ROWS)
        const expressions = cases.map(
          ({ canonical }, index) =>
            `(SELECT ${canonical} FROM (SELECT c${index} AS v) x) AS c${index}`,
        )
        const asked = await queryPostgres(
          uri,
          `SET timezone = 'UTC'; SELECT ${expressions.join(', ')} FROM t ORDER BY id`,
        )
        for (let row = 0; row < ROWS; row++) {
          const logged = running.changes[row]!.row
          expect(logged).toEqual(chunk.rows[row]!.row)
          for (const [index, each] of cases.entries()) {
            const value = logged[`c${index}`]!
            const canonical = asked[row]![`c${index}`] as string | null
            if (value === null || canonical === null)
              expect([index, row, value]).toEqual([index, row, canonical])
            else if (!sameText(each.print(value), canonical, each)) {
              expect([each.type, row, rows[row]![index], each.print(value)]).toEqual([
                each.type,
                row,
                rows[row]![index],
                canonical,
              ])
            }
          }
        }
        await running.stop()
      } finally {
        await server.stop()
      }
    },
  )
}
