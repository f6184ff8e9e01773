// Updates that leave values out and come before the backfill row of their key (H9): the source has
// all rows from the start, the backfill delivers each once, at any moment, as it was at some
// earlier moment or as it is now; the log's changes come in between. At the end the lake is the
// source.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import { keyGroupOf, keyHashes, writerOf } from '../../runtime/data/key-hash.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { batchOf, field, schemaOf, UNCHANGED, type RowValues } from './batches.ts'
import { TestSink } from './test-sink.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const TABLE = 'shop.notes'
const KEYS = 8

function schema(version: number): TableSchema {
  const fields = [
    field(1, 'id', { kind: 'long' }, { nullable: false }),
    field(2, 'a', version === 0 ? { kind: 'int' } : { kind: 'long' }),
    field(3, 'b', { kind: 'string' }),
    field(4, 'c', { kind: 'list', element: { kind: 'int' } }, { elementId: 5 }),
  ]
  // The second version drops c and adds d, with a default for rows that exist.
  if (version > 0) fields[3] = field(6, 'd', { kind: 'string' }, { initialDefault: 'new' })
  return schemaOf(TABLE, version, fields)
}

interface Source {
  a: number | undefined
  b: string | undefined
  d: string
}

type Step =
  | { kind: 'update'; id: number; a: number | null; b: string | null }
  | { kind: 'delete'; id: number }
  | { kind: 'chunk'; id: number }
  | { kind: 'ddl' | 'prepare' }
  | { kind: 'crash'; writers: number }

const id = fc.nat(KEYS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      id,
      a: fc.option(fc.nat(99)),
      b: fc.option(fc.string({ maxLength: 3 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), id }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('chunk' as const), id }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'ddl' as const }, { kind: 'prepare' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'prepare' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      writers: fc.integer({ min: 1, max: 3 }),
    }),
  },
)

class Backfill {
  readonly sink = new TestSink({ indexMemoryBytes: 3000 })
  version = 0
  source = new Map<number, Source>()
  /** As each row was when its chunk was read. */
  snapshot = new Map<number, Source>()
  delivered = new Set<number>()
  changed = new Set<number>()
  private order = 1n
  private saved = {
    version: 0,
    source: this.source,
    delivered: new Set<number>(),
    changed: new Set<number>(),
  }

  constructor() {
    for (let id = 0; id < KEYS; id++) this.source.set(id, { a: id, b: `b${id}`, d: 'new' })
    for (const [id, row] of this.source) this.snapshot.set(id, { ...row })
  }

  private values(id: number, { a, b, d }: Source): RowValues {
    return this.version === 0 ? { id, a, b } : { id, a, b, d }
  }

  async begin(): Promise<void> {
    await this.sink.control({ kind: 'schema', schema: schema(this.version) })
    await this.sink.control({ kind: 'backfill', table: TABLE, repair: false, floor: null })
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'update':
        return this.update(step)
      case 'delete':
        this.source.delete(step.id)
        this.changed.add(step.id)
        return this.log(Op.delete, { id: step.id })
      case 'chunk':
        return this.chunk(step.id)
      case 'ddl':
        if (this.version > 0) return undefined
        this.version = 1
        return this.sink.control({ kind: 'schema', schema: schema(1) })
      case 'prepare':
        return this.prepare()
      case 'crash':
        return this.crash(step.writers)
    }
  }

  private async update({ id, a, b }: Extract<Step, { kind: 'update' }>): Promise<void> {
    const row = this.source.get(id)
    if (row === undefined) return
    if (a !== null) row.a = a
    if (b !== null) row.b = b
    const values: RowValues = { id, a: a ?? UNCHANGED, b: b ?? UNCHANGED }
    const rest: RowValues = this.version === 0 ? { c: UNCHANGED } : { d: UNCHANGED }
    this.changed.add(id)
    await this.log(Op.update, { ...values, ...rest })
  }

  private log(op: Op, values: RowValues): Promise<void> {
    return this.sink.write(batchOf(schema(this.version), [{ op, values }], this.order++))
  }

  /** The chunk's row is older than any change of the log here, as the guard would find it. */
  async chunk(id: number): Promise<void> {
    if (this.delivered.has(id)) return
    this.delivered.add(id)
    const row = this.snapshot.get(id)!
    const batch = batchOf(schema(this.version), [{ op: Op.read, values: this.values(id, row) }], 0n)
    if (!this.changed.has(id)) return this.sink.write(batch)
    const { hashes } = keyHashes([batch.columns[0]!], 1)
    const owner = writerOf(keyGroupOf(hashes[0]!), this.sink.writers.length)
    return this.sink.fill(owner, batch)
  }

  async prepare(): Promise<void> {
    await this.sink.prepare()
    const source = new Map([...this.source].map(([id, row]) => [id, { ...row }]))
    const { version, delivered, changed } = this
    this.saved = { version, source, delivered: new Set(delivered), changed: new Set(changed) }
  }

  async crash(writers: number): Promise<void> {
    if (this.sink.epoch === 0) return
    const { version, source, delivered, changed } = this.saved
    this.version = version
    this.source = new Map([...source].map(([id, row]) => [id, { ...row }]))
    this.delivered = new Set(delivered)
    this.changed = new Set(changed)
    await this.sink.crash(writers)
    await this.begin()
  }

  async finish(): Promise<void> {
    for (let id = 0; id < KEYS; id++) await this.chunk(id)
    await this.sink.control({ kind: 'settled', table: TABLE, order: this.order, done: true })
    await this.prepare()
    expect(this.sink.parked.size).toBe(0)
    const lake = (await this.sink.read(TABLE)).map(({ id, a, b, d }) => {
      return `${id} ${a ?? null} ${b ?? null} ${this.version === 0 ? '' : (d ?? 'new')}`
    })
    const model = [...this.source].map(([id, { a, b, d }]) => {
      return `${id} ${a ?? null} ${b ?? null} ${this.version === 0 ? '' : d}`
    })
    expect(lake.sort()).toEqual(model.sort())
  }
}

test('rows with missing values wait for their backfill row and come out whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 2 }),
      async (steps, writers) => {
        const backfill = new Backfill()
        await backfill.sink.open(writers)
        await backfill.begin()
        for (const step of steps) await backfill.step(step)
        await backfill.finish()
      },
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 2000 },
  )
}, 120_000)

test('a row that still waits when the backfill is done parks its table', async () => {
  const backfill = new Backfill()
  await backfill.sink.open()
  await backfill.begin()
  await backfill.step({ kind: 'update', id: 1, a: 5, b: null })
  await backfill.prepare()
  expect(backfill.sink.prepared[0]!.counts[0]).toMatchObject({ read: 1, written: 0, held: 1 })
  await backfill.prepare()
  expect(backfill.sink.prepared[0]!.counts[0]).toMatchObject({ read: 0, held: 1 })
  await backfill.sink.control({ kind: 'settled', table: TABLE, order: 9n, done: true })
  await backfill.prepare()
  expect(backfill.sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
})

test('a handed-over table with a value that nobody knows is parked, never filled with null', async () => {
  const backfill = new Backfill()
  await backfill.sink.open()
  await backfill.sink.control({ kind: 'schema', schema: schema(0) })
  await backfill.step({ kind: 'update', id: 1, a: 5, b: null })
  await backfill.prepare()
  expect(backfill.sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
  expect(await backfill.sink.read(TABLE)).toEqual([])
})
