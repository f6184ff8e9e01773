// Producers with old and new schemas of one topic, record by record in any order: every value of
// every record has its place, whichever schema came first and wherever a restart comes between.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AvroDecoder } from '../../../connectors/kafka/avro/decoder.ts'
import type { DecodedRows } from './decoding.ts'
import { avscType, type Cell, decodeAll, framed, MemoryRegistry, recordsOf } from './decoding.ts'

const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 4) * 1000

/** How a field changes in one step. `wrap` allows nulls; `widen` takes the next type of its row. */
const steps = ['keep', 'keep', 'keep', 'rename', 'widen', 'wrap', 'drop', 'back'] as const
type Step = (typeof steps)[number]

const ROWS = [
  ['int', 'long'],
  ['float', 'double'],
  ['string'],
  [
    { type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 },
    { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 },
    { type: 'bytes', logicalType: 'decimal', precision: 30, scale: 2 },
  ],
  [
    { type: 'array', items: 'int' },
    { type: 'array', items: ['null', 'long'] },
  ],
] as const

interface FieldState {
  readonly key: number
  /** All that it had, the current one last. */
  readonly names: readonly string[]
  readonly row: number
  readonly width: number
  readonly nullable: boolean
  readonly present: boolean
  readonly nested: boolean
}

interface Version {
  readonly schema: Record<string, unknown>
  readonly fields: readonly FieldState[]
}

/** A field of its own row of types, and what becomes of it from version to version. */
const histories = fc.array(
  fc.record({
    row: fc.nat(ROWS.length - 1),
    nested: fc.boolean(),
    begins: fc.nat(2),
    steps: fc.array(fc.constantFrom<Step[]>(...steps), { minLength: 4, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 6 },
)

type Histories = typeof histories extends fc.Arbitrary<infer T> ? T : never

function versionsOf(fields: Histories): Version[] {
  let states = fields.map(({ row, nested, begins }, key): FieldState => {
    const names = [`f${key}`]
    return { key, names, row, width: 0, nullable: false, present: begins === 0, nested }
  })
  const versions = [versionOf(states)]
  for (let at = 0; at < 4; at++) {
    states = states.map((state, key) => {
      const history = fields[key]
      const begun = (history?.begins ?? 0) <= at + 1
      if (!begun) return state
      if ((history?.begins ?? 0) === at + 1) return { ...state, present: true }
      return stepped(state, history?.steps[at] ?? 'keep', at)
    })
    versions.push(versionOf(states))
  }
  return versions
}

function stepped(state: FieldState, step: Step, at: number): FieldState {
  const { names, width, row } = state
  switch (step) {
    case 'rename':
      return state.present ? { ...state, names: [...names, `r${state.key}_${at}`] } : state
    case 'widen':
      return { ...state, width: Math.min(width + 1, (ROWS[row]?.length ?? 1) - 1) }
    case 'wrap':
      return { ...state, nullable: true }
    case 'drop':
      return { ...state, present: false }
    case 'back':
      return { ...state, present: true }
    case 'keep':
      return state
  }
}

function versionOf(fields: readonly FieldState[]): Version {
  const written = (nested: boolean): unknown[] =>
    fields
      .filter((field) => field.present && field.nested === nested)
      .map(({ names, row, width, nullable }) => {
        const type = ROWS[row]?.[width] ?? 'null'
        const own = { name: names.at(-1), aliases: names.slice(0, -1) }
        return { ...own, type: nullable ? ['null', type] : type }
      })
  const inner = { type: 'record', name: 'Inner', fields: written(true) }
  const all = [...written(false), { name: 'in', type: inner }]
  return { schema: { type: 'record', name: 'R', fields: all }, fields }
}

/** A value of the field as avsc takes it, and its cell. */
function valueOf({ row, width, nullable }: FieldState, seed: number): [unknown, Cell] {
  if (nullable && seed % 5 === 0) return [null, null]
  const [value, cell, branch] = plainValue(row, width, seed)
  return [nullable ? { [branch]: value } : value, cell]
}

function plainValue(row: number, width: number, seed: number): [unknown, Cell, string] {
  switch (row) {
    case 0:
      return width === 0 ? [seed, seed, 'int'] : [BigInt(seed) << 20n, BigInt(seed) << 20n, 'long']
    case 1:
      return width === 0 ? [seed / 4, seed / 4, 'float'] : [seed / 7, seed / 7, 'double']
    case 2:
      return [`s${seed}`, `s${seed}`, 'string']
    case 3: {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(seed % 999_999)
      return [bytes, BigInt(seed % 999_999), 'bytes']
    }
    default: {
      if (width === 0) return [[seed, -seed], [seed, -seed], 'array']
      return [[{ long: BigInt(seed) }, null], [BigInt(seed), null], 'array']
    }
  }
}

interface Sent {
  readonly version: Version
  readonly bytes: Uint8Array
  /** By key of the field. */
  readonly cells: ReadonlyMap<number, Cell>
}

/** @param id  in front of the record */
function sent(version: Version, id: number, seed: number): Sent {
  const cells = new Map<number, Cell>()
  const inner: Record<string, unknown> = {}
  const outer: Record<string, unknown> = { in: inner }
  for (const field of version.fields) {
    if (!field.present) continue
    const [value, cell] = valueOf(field, seed + field.key)
    const into = field.nested ? inner : outer
    into[field.names.at(-1) ?? ''] = value
    if (cell !== null) cells.set(field.key, cell)
  }
  const bytes = avscType(version.schema).toBuffer(outer)
  return { version, bytes: framed(id, bytes), cells }
}

/** By key of the field: the cells of a row, ints as the bigints that a long column has. */
function byKey(
  row: DecodedRows['rows'][number],
  fields: readonly FieldState[],
): Map<number, unknown> {
  return new Map(
    Object.entries(row.cells).map(([identity, cell]) => {
      const field = fields.find(({ names, nested }) =>
        names.some((name) => identity === (nested ? `in.${name}` : name)),
      )
      return [field?.key ?? -1, widest(cell)]
    }),
  )
}

function widest(cell: Cell): unknown {
  if (Array.isArray(cell)) return cell.map(widest)
  return typeof cell === 'number' && Number.isInteger(cell) ? BigInt(cell) : cell
}

test('records of all versions, in any order, keep every value through restarts', async () => {
  const picks = fc.array(
    fc.record({ version: fc.nat(4), seed: fc.nat(1_000_000), restart: fc.nat(9) }),
    { minLength: 1, maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(histories, picks, async (fields, order) => {
      const versions = versionsOf(fields)
      const last = versions.at(-1)?.fields ?? []
      const texts = versions.map(({ schema }, at) => [at + 1, JSON.stringify(schema)] as const)
      const origin = () => {
        return { kind: 'registry', registry: new MemoryRegistry(new Map(texts)) } as const
      }
      let decoder = new AvroDecoder('t', 'value', origin(), null)
      const sizes: number[] = []
      let portion: Sent[] = []
      const decode = async (): Promise<void> => {
        const { rows, dirty } = await decodeAll(decoder, recordsOf(portion.map((one) => one.bytes)))
        expect(dirty).toEqual([])
        expect(rows.map((row) => byKey(row, last))).toEqual(
          portion.map(({ cells }) => new Map([...cells].map(([key, cell]) => [key, widest(cell)]))),
        )
        sizes.push(decoder.table.columns.length)
        portion = []
      }
      for (const { version, seed, restart } of order) {
        portion.push(sent(versions[version] ?? versions[0]!, version + 1, seed))
        if (restart !== 0) continue
        await decode()
        const before = decoder.table
        decoder = new AvroDecoder('t', 'value', origin(), decoder.save())
        expect(decoder.table).toEqual(before)
      }
      await decode()
      // It only grows, and a field is one column whatever it was called.
      expect(sizes).toEqual(sizes.toSorted((left, right) => left - right))
      expect(decoder.table.columns.length).toBeLessThanOrEqual(fields.length)
    }),
    { interruptAfterTimeLimit, numRuns: 1_000_000 },
  )
})
