// The sink against a Map: any sequence of changes, TRUNCATE, DDL, repairs, crashes and other counts
// of writers. After each epoch the live rows of the lake are those of the model, exactly.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import type { PartitionField } from '../../runtime/data/partition/transform.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { IcebergWriterOptions } from '../../connectors/iceberg/writer/options.ts'
import { batchOf, field, schemaOf, UNCHANGED, type TestRow } from './batches.ts'
import { TestSink } from './test-sink.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const TABLE = 'shop.orders'
/** A value that is larger than a page: most updates leave it out. */
const blob = field(9, 'blob', { kind: 'string' })
const key = field(1, 'id', { kind: 'int' }, { nullable: false })
const value = field(2, 'name', { kind: 'string' })

/** Version v has v further columns; from version 2 on the key is a long. */
function schema(version: number): TableSchema {
  const id = version < 2 ? key : { ...key, type: { kind: 'long' } as const }
  const more = Array.from({ length: version }, (_, at) =>
    field(10 + at, `c${at}`, { kind: 'double' }),
  )
  return schemaOf(TABLE, version, [id, value, blob, ...more])
}

interface Row {
  readonly op: Op
  readonly id: number
  readonly name: string | undefined
  /** `undefined`: null. Looked at only when the row is not partial. */
  readonly blob: string | undefined
  /** An update of a row that exists leaves the blob out. */
  readonly partial: boolean
  /** The key changes to this one; the row keeps its values. Only with one writer. */
  readonly to: number | null
}

type Step =
  | { kind: 'rows'; rows: readonly Row[] }
  | { kind: 'truncate' | 'prepare' | 'ddl' | 'repair' }
  | { kind: 'crash'; writers: number }

const text = fc.option(fc.string({ maxLength: 5 }), { nil: undefined })
const row: fc.Arbitrary<Row> = fc.record({
  op: fc.constantFrom(Op.insert, Op.update, Op.update, Op.update, Op.delete, Op.read),
  id: fc.nat(30),
  name: text,
  blob: text,
  partial: fc.boolean(),
  to: fc.option(fc.nat(30), { freq: 8 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('rows' as const),
      rows: fc.array(row, { minLength: 1, maxLength: 40 }),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ kind: 'prepare' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'truncate' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'ddl' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'repair' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      writers: fc.integer({ min: 1, max: 3 }),
    }),
  },
)

interface Values {
  readonly name: string | undefined
  readonly blob: string | undefined
}
type Model = Map<number, Values>

interface Saved {
  readonly rows: Model
  readonly version: number
  readonly repairing: boolean
  /** What readers see while a repair is under way. */
  readonly visible: Model
}

class Run {
  readonly sink: TestSink
  rows: Model = new Map()
  version = 0
  repairing = false
  visible: Model = new Map()
  saved: Saved = { rows: new Map(), version: 0, repairing: false, visible: new Map() }
  private order = 1n

  constructor(sink: TestSink) {
    this.sink = sink
  }

  async write(rows: readonly Row[]): Promise<void> {
    const batch = rows.flatMap((row) => this.apply(row))
    const numbered = batch.map((row, sequence) => ({ ...row, sequence }))
    // A key change may be cut in two between its delete and its insert.
    const cut = batch.findIndex(({ op }, at) => op === Op.delete && at % 3 === 1) + 1
    for (const part of [numbered.slice(0, cut), numbered.slice(cut)]) {
      if (part.length > 0) await this.sink.write(batchOf(schema(this.version), part, this.order))
    }
    this.order++
  }

  /** Changes the model. @returns the rows that the log has for it */
  private apply({ op, id, name, blob, partial, to }: Row): TestRow[] {
    const before = this.rows.get(id)
    if (op === Op.delete) {
      this.rows.delete(id)
      return [{ op, values: { id } }]
    }
    // While a repair is under way the base of a row may not have come yet.
    const mayLack = before !== undefined && !this.repairing
    if (mayLack && op === Op.update && to !== null && this.sink.writers.length === 1) {
      this.rows.delete(id)
      this.rows.set(to, { name, blob: before.blob })
      const moved: TestRow = { op: Op.insert, values: { id: to, name, blob: UNCHANGED } }
      return [{ op: Op.delete, values: { id } }, moved]
    }
    const lacks = mayLack && op === Op.update && partial
    this.rows.set(id, { name, blob: lacks ? before.blob : blob })
    return [{ op, values: { id, name, blob: lacks ? UNCHANGED : blob } }]
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'rows':
        return this.write(step.rows)
      case 'truncate':
        this.rows.clear()
        return this.sink.control({ kind: 'truncate', table: TABLE, order: this.order++ })
      case 'ddl':
        this.version++
        return this.sink.control({ kind: 'schema', schema: schema(this.version) })
      case 'repair':
        return this.repair()
      case 'prepare':
        return this.prepare()
      case 'crash':
        return this.crash(step.writers)
    }
  }

  /** Begins a repair, or ends the one under way: the chunks bring every row that exists. */
  private async repair(): Promise<void> {
    if (!this.repairing) {
      if (this.sink.epoch === 0) return
      this.visible = new Map(this.saved.visible)
      this.repairing = true
      await this.sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
      return
    }
    const all = [...this.rows].map(([id, { name, blob }]): TestRow => {
      return { op: Op.read, values: { id, name, blob } }
    })
    if (all.length > 0) await this.sink.write(batchOf(schema(this.version), all, this.order++))
    await this.sink.control({ kind: 'settled', table: TABLE, order: this.order, done: true })
    this.repairing = false
  }

  async prepare(): Promise<void> {
    await this.sink.prepare()
    if (!this.repairing) this.visible = new Map(this.rows)
    this.saved = {
      rows: new Map(this.rows),
      version: this.version,
      repairing: this.repairing,
      visible: new Map(this.visible),
    }
    await this.verify()
  }

  async crash(writers: number): Promise<void> {
    const { rows, version, repairing, visible } = this.saved
    this.rows = new Map(rows)
    this.visible = new Map(visible)
    this.version = version
    this.repairing = repairing
    await this.sink.crash(writers)
    await this.begin()
    await this.verify()
  }

  /** What the corridor sends at a start. */
  async begin(): Promise<void> {
    await this.sink.control({ kind: 'schema', schema: schema(this.version) })
    if (!this.repairing) return
    await this.sink.control({ kind: 'backfill', table: TABLE, repair: true, floor: null })
  }

  async verify(): Promise<void> {
    expect(this.sink.parked.get(TABLE)).toBeUndefined()
    const lake = (await this.sink.read(TABLE)).map(({ id, name, blob }) => {
      return `${id}=${name ?? null}/${blob ?? null}`
    })
    const model = [...this.visible].map(([id, { name, blob }]) => {
      return `${id}=${name ?? null}/${blob ?? null}`
    })
    expect(lake.sort()).toEqual(model.sort())
  }
}

async function run(
  steps: readonly Step[],
  indexMemoryBytes: number,
  writers: number,
  more: Partial<IcebergWriterOptions> = {},
): Promise<void> {
  const parquet = { rowGroupRowsMax: 16 }
  const options = { indexMemoryBytes, parquet, bufferBytesMax: 2000, fileBytesMax: 1500, ...more }
  const sink = new TestSink(options)
  await sink.open(writers)
  const run = new Run(sink)
  await run.begin()
  for (const step of steps) await run.step(step)
  if (run.repairing) await run.step({ kind: 'repair' })
  await run.prepare()
  await run.crash(2)
}

test('after each epoch the lake holds the rows of the model', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(2_000, 1_000_000),
      fc.integer({ min: 1, max: 3 }),
      async (steps, memory, writers) => run(steps, memory, writers),
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 3000 },
  )
}, 120_000)

test('the same of a partitioned table, whose rows change partitions, with few open files', async () => {
  const fields: PartitionField[] = [
    { column: 'name', transform: { kind: 'truncate', width: 1 } },
    { column: 'id', transform: { kind: 'bucket', buckets: 3 } },
  ]
  const more = { partitionBy: () => fields, openFilesMax: 3 }
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(2_000, 1_000_000),
      fc.integer({ min: 1, max: 3 }),
      async (steps, memory, writers) => run(steps, memory, writers, more),
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 3000 },
  )
}, 120_000)
