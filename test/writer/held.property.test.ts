// Rows that leave values out and come before the backfill row of their key (H9), against a model of
// the source. The source changes rows and keys, the log brings the changes later and in order. A
// chunk holds a row as it was when it was read, which may be before or after what the log has
// brought by then, and it arrives at any later moment. Once the log has passed every chunk the lake
// is the source, or its table is parked: which only a change of key may do, and only where the new
// key was read before it.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import { keyGroupOf, keyHashes, writerOf } from '../../runtime/data/key-hash.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { batchOf, field, schemaOf, UNCHANGED, type RowValues, type TestRow } from './batches.ts'
import { TestSink } from './test-sink.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const TABLE = 'shop.notes'
const KEYS = 4
/** Where the row of a swap is in between. */
const ASIDE = KEYS

/** Values of the column that the second version adds: its default, and another. */
const NEW = 7n
const OWN = 8n

function schema(version: number): TableSchema {
  const fields = [
    field(1, 'id', { kind: 'long' }, { nullable: false }),
    field(2, 'a', version === 0 ? { kind: 'int' } : { kind: 'long' }),
    field(3, 'b', { kind: 'string' }),
    field(4, 'c', { kind: 'list', element: { kind: 'int' } }, { elementId: 5 }),
  ]
  // The second version drops c and adds d, with a default for rows that exist.
  if (version > 0) fields[3] = field(6, 'd', { kind: 'long' }, { initialDefault: NEW })
  return schemaOf(TABLE, version, fields)
}

interface SourceRow {
  a: number | undefined
  b: string | undefined
  d: bigint
  /** Order of the last change of its key; `null`: it has the key that it was inserted with. */
  moved: bigint | null
}

type Event = { kind: 'ddl' } | { kind: 'rows'; rows: readonly TestRow[] }

/** An event has its place in the log as order, and a position is the place of the next event. */
class Source {
  readonly rows = new Map<number, SourceRow>()
  readonly log: Event[] = []
  version = 0

  constructor() {
    for (let id = 0; id < KEYS - 1; id++) {
      this.rows.set(id, { a: id, b: `b${id}`, d: NEW, moved: null })
    }
  }

  get head(): bigint {
    return BigInt(this.log.length)
  }

  evolve(): void {
    if (this.version > 0) return
    this.version = 1
    this.log.push({ kind: 'ddl' })
  }

  private push(rows: readonly TestRow[]): void {
    this.log.push({ kind: 'rows', rows })
  }

  /** Values as the log has them: `null` is what it leaves out. */
  private values(id: number, a: number | null, b: string | null): RowValues {
    const rest: RowValues = this.version === 0 ? { c: UNCHANGED } : { d: UNCHANGED }
    return { id, a: a ?? UNCHANGED, b: b ?? UNCHANGED, ...rest }
  }

  insert(id: number, a: number, b: string): void {
    if (this.rows.has(id)) return
    const row = { a, b, d: OWN, moved: null }
    if (this.version === 0) row.d = NEW
    this.rows.set(id, row)
    this.push([{ op: Op.insert, values: this.image(id, row) }])
  }

  update(id: number, a: number | null, b: string | null): void {
    const row = this.rows.get(id)
    if (row === undefined) return
    if (a !== null) row.a = a
    if (b !== null) row.b = b
    this.push([{ op: Op.update, values: this.values(id, a, b) }])
  }

  delete(id: number): void {
    if (this.rows.delete(id)) this.push([{ op: Op.delete, values: { id } }])
  }

  private move(id: number, to: number, a: number | null): TestRow[] {
    const row = this.rows.get(id)!
    this.rows.delete(id)
    if (a !== null) row.a = a
    row.moved = this.head
    this.rows.set(to, row)
    return [
      { op: Op.delete, values: { id } },
      { op: Op.insert, values: this.values(to, a, null) },
    ]
  }

  /** Changes a key; a row that has the new one is deleted first. */
  rename(id: number, to: number, a: number | null): void {
    if (id === to || !this.rows.has(id)) return
    const gone: TestRow[] = this.rows.delete(to) ? [{ op: Op.delete, values: { id: to } }] : []
    this.push([...gone, ...this.move(id, to, a)])
  }

  swap(id: number, other: number): void {
    if (id === other || !this.rows.has(id) || !this.rows.has(other)) return
    const aside = this.move(id, ASIDE, null)
    this.push([...aside, ...this.move(other, id, null), ...this.move(ASIDE, other, null)])
  }

  /** The row with all its values. */
  image(id: number, { a, b, d }: SourceRow): RowValues {
    return this.version === 0 ? { id, a, b } : { id, a, b, d }
  }
}

interface Chunk {
  readonly low: bigint
  readonly version: number
  /** `null`: there was no row. */
  readonly values: RowValues | null
}

type Step =
  | { kind: 'insert'; id: number; a: number; b: string }
  | { kind: 'update'; id: number; a: number | null; b: string | null }
  | { kind: 'rename'; id: number; to: number; a: number | null }
  | { kind: 'swap'; id: number; to: number }
  | { kind: 'delete' | 'emit'; id: number }
  | { kind: 'read'; id: number; back: number }
  | { kind: 'deliver'; events: number; cut: number }
  | { kind: 'ddl' | 'prepare' }
  | { kind: 'crash'; writers: number }

const id = fc.nat(KEYS - 1)
const text = fc.string({ maxLength: 3 })
const number = fc.nat(99)

function kind<K extends Step['kind']>(kind: K): fc.Arbitrary<K> {
  return fc.constant(kind)
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: kind('insert'), id, a: number, b: text }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: kind('update'), id, a: fc.option(number), b: fc.option(text) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: kind('rename'), id, to: id, a: fc.option(number) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('swap'), id, to: id }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('delete'), id }) },
  { weight: 5, arbitrary: fc.record({ kind: kind('read'), id, back: fc.nat(2) }) },
  { weight: 5, arbitrary: fc.record({ kind: kind('emit'), id }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: kind('deliver'),
      events: fc.integer({ min: 1, max: 5 }),
      cut: fc.nat(7),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ kind: 'ddl' }, { kind: 'prepare' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind('crash'), writers: fc.integer({ min: 1, max: 3 }) }),
  },
)

interface Progress {
  /** Events of the log that have been sent. */
  position: number
  /** LOW of each key's chunk that has been sent. */
  readonly lows: ReadonlyMap<number, bigint>
}

class Backfill {
  readonly sink = new TestSink({ indexMemoryBytes: 3000 })
  readonly source = new Source()
  private position = 0
  private version = 0
  private lows = new Map<number, bigint>()
  private chunks = new Map<number, Chunk>()
  /** What the guard remembers, and from where on. */
  private changed = new Map<number, bigint>()
  private guardedFrom = 0n
  private saved: Progress = { position: 0, lows: new Map() }
  private readonly repair: boolean

  /** @param repair  the table is read again: its files are held back until the end */
  constructor(repair = false) {
    this.repair = repair
  }

  async begin(): Promise<void> {
    await this.sink.control({ kind: 'schema', schema: schema(this.version) })
    const { repair } = this
    await this.sink.control({ kind: 'backfill', table: TABLE, repair, floor: null })
  }

  async step(step: Step): Promise<void> {
    const { source } = this
    switch (step.kind) {
      case 'insert':
        return source.insert(step.id, step.a, step.b)
      case 'update':
        return source.update(step.id, step.a, step.b)
      case 'rename':
        return source.rename(step.id, step.to, step.a)
      case 'swap':
        return source.swap(step.id, step.to)
      case 'delete':
        return source.delete(step.id)
      case 'ddl':
        return source.evolve()
      case 'read':
        return this.read(step.id, step.back)
      case 'emit':
        return this.emit(step.id)
      case 'deliver':
        return this.deliver(step.events, step.cut)
      case 'prepare':
        return this.prepare()
      case 'crash':
        return this.crash(step.writers)
    }
  }

  /** Reads the chunk of a key. A commit that readers do not see yet pulls its LOW back. */
  read(id: number, back: number): void {
    if (this.lows.has(id)) return
    const row = this.source.rows.get(id)
    const values = row === undefined ? null : this.source.image(id, row)
    const low = BigInt(this.position - back)
    const { guardedFrom } = this
    const { version } = this.source
    this.chunks.set(id, { low: low < guardedFrom ? guardedFrom : low, version, values })
  }

  async emit(id: number): Promise<void> {
    const chunk = this.chunks.get(id)
    if (chunk === undefined) return
    this.chunks.delete(id)
    // The table changed while its chunk was read, which is begun again.
    if (chunk.version !== this.version) return
    const { low, values } = chunk
    this.lows.set(id, low)
    if (values === null) return
    const batch = batchOf(schema(this.version), [{ op: Op.read, values }], low)
    if ((this.changed.get(id) ?? -1n) < low) return this.sink.write(batch)
    const { hashes } = keyHashes([batch.columns[0]!], 1)
    const owner = writerOf(keyGroupOf(hashes[0]!), this.sink.writers.length)
    return this.sink.fill(owner, batch)
  }

  /** Sends events of the log, the rows between two changes of structure in up to two batches. */
  async deliver(events: number, cut: number): Promise<void> {
    let rows: TestRow[] = []
    const send = async (): Promise<void> => {
      for (const part of [rows.slice(0, cut), rows.slice(cut)]) {
        if (part.length === 0) continue
        await this.sink.write(batchOf(schema(this.version), part, part[0]!.order!))
      }
      rows = []
    }
    for (const event of this.source.log.slice(this.position, this.position + events)) {
      const order = BigInt(this.position++)
      if (event.kind === 'ddl') {
        await send()
        this.version = 1
        await this.sink.control({ kind: 'schema', schema: schema(1) })
        continue
      }
      for (const [sequence, row] of event.rows.entries()) {
        this.changed.set(Number(row.values['id']), order)
        rows.push({ ...row, order, sequence })
      }
    }
    await send()
  }

  async prepare(): Promise<void> {
    await this.sink.prepare()
    this.saved = { position: this.position, lows: new Map(this.lows) }
  }

  async crash(writers: number): Promise<void> {
    if (this.sink.epoch === 0) return
    this.position = this.saved.position
    this.lows = new Map(this.saved.lows)
    this.version = this.source.log.slice(0, this.position).some(({ kind }) => kind === 'ddl')
      ? 1
      : 0
    this.chunks.clear()
    this.changed.clear()
    this.guardedFrom = BigInt(this.position)
    await this.sink.crash(writers)
    await this.begin()
  }

  /** Reads what is left and passes every HIGH. */
  async handOver(): Promise<void> {
    const rest = this.source.log.length - this.position
    await this.deliver(rest, rest >> 1)
    for (let id = 0; id < KEYS; id++) {
      this.read(id, 0)
      await this.emit(id)
    }
    const order = this.source.head
    await this.sink.control({ kind: 'settled', table: TABLE, order, done: true })
    await this.prepare()
  }

  async verify(): Promise<void> {
    const rows = [...this.source.rows]
    const reason = this.sink.parked.get(TABLE)
    if (reason !== undefined) {
      expect(reason).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
      const lost = rows.filter(([id, { moved }]) => {
        return moved !== null && (this.lows.get(id) ?? 0n) <= moved
      })
      expect(lost, 'rows that only a chunk after the change of their key could bring').not.toEqual(
        [],
      )
      return
    }
    const withD = this.version > 0
    const lake = (await this.sink.read(TABLE)).map(({ id, a, b, d }) => {
      return `${id} ${a ?? null} ${b ?? null} ${withD ? (d ?? NEW) : ''}`
    })
    const model = rows.map(([id, { a, b, d }]) => {
      return `${id} ${a ?? null} ${b ?? null} ${withD ? d : ''}`
    })
    expect(lake.sort()).toEqual(model.sort())
  }
}

test('rows with missing values come out whole, or their table is parked', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 2 }),
      fc.boolean(),
      async (steps, writers, repair) => {
        const backfill = new Backfill(repair)
        await backfill.sink.open(writers)
        await backfill.begin()
        for (const step of steps) await backfill.step(step)
        await backfill.handOver()
        await backfill.verify()
      },
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 2000 },
  )
}, 120_000)

/** One writer; each step is done in its turn, then the table is handed over. */
async function run(...steps: readonly Step[]): Promise<Backfill> {
  const backfill = new Backfill()
  await backfill.sink.open()
  await backfill.begin()
  for (const step of steps) await backfill.step(step)
  await backfill.handOver()
  return backfill
}

const deliver: Step = { kind: 'deliver', events: 9, cut: 0 }

test('a chunk row gives its values to no other row that has got its key since', async () => {
  const read: Step[] = [
    { kind: 'read', id: 0, back: 0 },
    { kind: 'read', id: 1, back: 0 },
  ]
  const emit: Step[] = [
    { kind: 'emit', id: 0 },
    { kind: 'emit', id: 1 },
  ]
  const swap: Step = { kind: 'swap', id: 0, to: 1 }
  // Deletes 1 before it changes the key.
  const rename: Step = { kind: 'rename', id: 0, to: 1, a: null }
  for (const change of [swap, rename]) {
    for (const steps of [
      [...read, change, deliver, ...emit],
      [...read, change, ...emit, deliver],
      [...read, change, deliver, { kind: 'update', id: 1, a: 7, b: null }, deliver, ...emit],
    ] satisfies Step[][]) {
      const backfill = await run(...steps)
      expect(backfill.sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
      expect(await backfill.sink.read(TABLE)).toEqual([])
    }
  }
})

test('a chunk that is ahead of the log gives no values to a row that had its key before', async () => {
  const backfill = await run(
    { kind: 'rename', id: 0, to: 3, a: null },
    { kind: 'insert', id: 0, a: 50, b: 'other' },
    { kind: 'read', id: 3, back: 0 },
    { kind: 'emit', id: 3 },
    { kind: 'read', id: 0, back: 0 },
    { kind: 'emit', id: 0 },
    deliver,
  )
  expect(backfill.sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
})

test('a row whose key changed is completed by a chunk that was read after the change', async () => {
  const rename: Step = { kind: 'rename', id: 0, to: 3, a: null }
  const read: Step = { kind: 'read', id: 3, back: 0 }
  const emit: Step = { kind: 'emit', id: 3 }
  const update: Step = { kind: 'update', id: 3, a: 7, b: null }
  const prepare: Step = { kind: 'prepare' }
  for (const steps of [
    [rename, deliver, read, emit],
    // The chunk has lost against the update.
    [rename, deliver, read, update, deliver, emit],
    [rename, deliver, prepare, { kind: 'crash', writers: 2 }, read, update, deliver, emit],
    // The next rename takes it away from where it waits.
    [rename, deliver, { kind: 'rename', id: 3, to: 1, a: null }, deliver],
  ] satisfies Step[][]) {
    const backfill = await run(...steps)
    expect(backfill.sink.parked.size).toBe(0)
    await backfill.verify()
  }
})

test('values that the log itself has brought go with a row to its new key', async () => {
  const insert: Step = { kind: 'insert', id: 3, a: 5, b: 'five' }
  const read: Step = { kind: 'read', id: 1, back: 0 }
  const emit: Step = { kind: 'emit', id: 1 }
  const rename: Step = { kind: 'rename', id: 3, to: 1, a: null }
  const backfill = await run(read, emit, insert, rename, deliver)
  expect(backfill.sink.parked.size).toBe(0)
  await backfill.verify()
})

test('a row that still waits when the backfill is done parks its table', async () => {
  const backfill = new Backfill()
  await backfill.sink.open()
  await backfill.begin()
  await backfill.step({ kind: 'update', id: 1, a: 5, b: null })
  await backfill.step(deliver)
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
  await backfill.step(deliver)
  await backfill.prepare()
  expect(backfill.sink.parked.get(TABLE)).toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
  expect(await backfill.sink.read(TABLE)).toEqual([])
})
