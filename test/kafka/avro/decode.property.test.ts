// Random schemas and values: what avsc has encoded is decoded here into the rows that the values
// are, in whatever portions, and avsc's own decoder agrees that they are these values.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AvroDecoder } from '../../../connectors/kafka/avro/decoder.ts'
import { avscType, decodeAll, framed, MemoryRegistry, recordsOf } from './decoding.ts'
import { isRecord } from './strict-reader.ts'
import { cellsOf, namesIn, schemas, valuesOf, type Schema } from './random-schema.ts'

const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 4) * 1000

interface Case {
  readonly schema: Schema
  readonly values: readonly unknown[]
}

const cases: fc.Arbitrary<Case> = schemas.chain((schema) =>
  fc.record({
    schema: fc.constant(schema),
    values: fc.array(valuesOf(schema, namesIn(schema)), { minLength: 1, maxLength: 12 }),
  }),
)

test('rows are the values that avsc has written', async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.integer({ min: 1, max: 5 }), async ({ schema, values }, limit) => {
      const type = avscType(schema)
      const encoded = values.map((value) => type.toBuffer(value))
      const registry = new MemoryRegistry(new Map([[7, JSON.stringify(schema)]]))
      const decoder = new AvroDecoder('t', 'value', { kind: 'registry', registry }, null)
      const records = recordsOf(encoded.map((bytes) => framed(7, bytes)))
      const { rows, dirty } = await decodeAll(decoder, records, limit)
      expect(dirty).toEqual([])
      expect(rows).toEqual(
        encoded.map((bytes, record) => {
          return { record, cells: cellsOf(schema, type.fromBuffer(bytes)) }
        }),
      )
    }),
    { interruptAfterTimeLimit, numRuns: 1_000_000 },
  )
})

/** Changes a few bytes, or leaves some out, or puts some in. */
const damages = fc.array(
  fc.record({
    kind: fc.constantFrom('cut', 'set', 'flip', 'insert', 'remove', 'append'),
    place: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 3, 127, 128, 129, 255)),
  }),
  { minLength: 1, maxLength: 3 },
)

type Damages = typeof damages extends fc.Arbitrary<infer T> ? T : never

function damaged(bytes: Buffer, changes: Damages): Buffer {
  let result = [...bytes]
  for (const { kind, place, byte } of changes) {
    const at = Math.floor(place * result.length)
    if (kind === 'cut') result = result.slice(0, at)
    else if (kind === 'set' && at < result.length) result[at] = byte
    else if (kind === 'flip' && at < result.length) result[at] = (result[at] ?? 0) ^ (byte | 1)
    else if (kind === 'insert') result.splice(at, 0, byte)
    else if (kind === 'remove') result.splice(at, 1)
    else if (kind === 'append') result.push(byte)
  }
  return Buffer.from(result)
}

/** The same object, whichever of two equal keys comes first. */
function parsed(cells: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(cells).map(([path, cell]) => {
    if (typeof cell !== 'string' || !/^[[{]/.test(cell)) return [path, cell]
    try {
      return [path, JSON.parse(cell) as unknown]
    } catch {
      return [path, cell]
    }
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}

test('a record is dirty exactly when it is none, and its neighbours are whole', async () => {
  let verdicts = { whole: 0, dirty: 0 }
  await fc.assert(
    fc.asyncProperty(cases, fc.array(damages), async ({ schema, values }, changes) => {
      const type = avscType(schema)
      const encoded = values.map((value, index) => {
        const bytes = type.toBuffer(value)
        const change = changes[index]
        return change === undefined ? bytes : damaged(bytes, change)
      })
      const registry = new MemoryRegistry(new Map([[7, JSON.stringify(schema)]]))
      const decoder = new AvroDecoder('t', 'value', { kind: 'registry', registry }, null)
      const records = recordsOf(encoded.map((bytes) => framed(7, bytes)))
      const { rows, dirty } = await decodeAll(decoder, records)
      const whole = encoded.map((bytes) => isRecord(schema, bytes))
      expect(dirty.map(({ record }) => record)).toEqual(indexesOf(whole, false))
      expect(rows.map(({ record }) => record)).toEqual(indexesOf(whole, true))
      for (const { record, byteOffset, name } of dirty) {
        expect(name).toBe('RECORD_CORRUPT')
        expect(byteOffset).toBeGreaterThanOrEqual(5)
        expect(byteOffset).toBeLessThanOrEqual((encoded[record]?.length ?? 0) + 5)
      }
      for (const { record, cells } of rows) {
        const value: unknown = type.fromBuffer(encoded[record] ?? Buffer.alloc(0))
        expect(parsed(cells)).toEqual(parsed(cellsOf(schema, value)))
      }
      verdicts = { whole: verdicts.whole + rows.length, dirty: verdicts.dirty + dirty.length }
    }),
    { interruptAfterTimeLimit, numRuns: 1_000_000 },
  )
  expect(verdicts.whole).toBeGreaterThan(0)
  expect(verdicts.dirty).toBeGreaterThan(0)
})

function indexesOf(list: readonly boolean[], wanted: boolean): number[] {
  return [...list.keys()].filter((index) => list[index] === wanted)
}
