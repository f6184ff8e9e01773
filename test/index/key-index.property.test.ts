// The index against a Map. Keys are few and budgets tiny, so that folds, splits, merges of deltas
// and resets happen all the time; every epoch may end in a crash or with another count of writers.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyIndex } from '../../connectors/iceberg/index/key-index.ts'
import type { IndexState } from '../../connectors/iceberg/index/manifest.ts'
import { Op } from '../../runtime/data/batch.ts'
import { segmentsOf, type HashWords } from '../../runtime/data/key-hash.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { memoryStore } from './memory-store.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

interface TableModel {
  readonly name: string
  words: HashWords
  /** By key number: `file:position`. */
  readonly rows: Map<number, string>
}

interface Checkpoint {
  readonly states: readonly IndexState[]
  readonly files: ReadonlySet<string>
  readonly tables: readonly TableModel[]
}

/** A hash for key number `key`: spread over all segments, neighbours differ in one word. */
function hashOf(key: number, words: HashWords): number[] {
  const spread = Math.imul(key >> 1, 0x9e3779b1) | 0
  return words === 2 ? [spread, key] : [spread, key >> 2, key & 1, key & 2]
}

/** More than the steps use, so that some are nowhere. */
const KEYS = Array.from({ length: 2700 }, (_, key) => key)

/** Segments of a writer. */
function rangeOf(index: KeyIndex): { start: number; end: number } {
  return (index as unknown as { options: { start: number; end: number } }).options
}

/** Writers of one pipeline over one store, with the model beside them. */
class Pipeline {
  readonly store: ObjectStore & { objects: Map<string, Uint8Array> } = memoryStore()
  readonly memoryBytes: number
  tables: TableModel[]
  writers: KeyIndex[] = []
  epoch = 0
  /**
   * What the index reported of this epoch, and what the model expects: `table file:position` of a
   * row that was replaced, `table absent` for a delete of a key that was not there.
   */
  replaced: string[] = []
  expected: string[] = []
  checkpoints: Checkpoint[] = []
  private starts = 0
  private file = 0

  constructor(tables: TableModel[], memoryBytes: number) {
    this.tables = tables
    this.memoryBytes = memoryBytes
  }

  async start(count: number, states: readonly IndexState[]): Promise<void> {
    this.starts++
    this.writers = []
    for (let writer = 0; writer < count; writer++) {
      const prefix = `index/s${this.starts}w${writer}`
      const index = await KeyIndex.open(
        {
          store: this.store,
          prefix,
          memoryBytes: this.memoryBytes,
          ...segmentsOf(writer, count),
          onResolved: (table, { count, files, positions, deletesAbsent }) => {
            for (let at = 0; at < count; at++) {
              this.replaced.push(`${table} ${files[at]}:${positions[at]}`)
            }
            for (let at = 0; at < deletesAbsent; at++) this.replaced.push(`${table} absent`)
          },
        },
        states,
      )
      this.writers.push(index)
    }
  }

  async apply(table: TableModel, rows: readonly { key: number; remove: boolean }[]): Promise<void> {
    const { words } = table
    for (const index of this.writers) {
      const { start, end } = rangeOf(index)
      const mine = rows.filter(({ key }) => {
        const segment = hashOf(key, words)[0]! >>> 24
        return segment >= start && segment < end
      })
      if (mine.length === 0) continue
      const hashes = Int32Array.from(mine.flatMap(({ key }) => hashOf(key, words)))
      const ops = Uint8Array.from(mine, ({ remove }) => (remove ? Op.delete : Op.update))
      const file = ++this.file
      const target = index.table(table.name, words)
      target.apply(hashes, ops, null, mine.length, file, 0)
      let position = 0
      for (const { key, remove } of mine) {
        const before = table.rows.get(key)
        if (before !== undefined) this.expected.push(`${table.name} ${before}`)
        else if (remove) this.expected.push(`${table.name} absent`)
        if (remove) table.rows.delete(key)
        else table.rows.set(key, `${file}:${position++}`)
      }
      await index.afterApply(target)
    }
  }

  reset(table: TableModel): void {
    for (const index of this.writers) index.reset(table.name)
    table.rows.clear()
    // What was replaced in this epoch lies in files that are gone.
    this.replaced = this.replaced.filter((entry) => !entry.startsWith(`${table.name} `))
    this.expected = this.expected.filter((entry) => !entry.startsWith(`${table.name} `))
  }

  async prepare(): Promise<void> {
    this.epoch++
    const states: IndexState[] = []
    const files = new Set<string>()
    for (const index of this.writers) {
      const prepared = await index.prepare(this.epoch)
      states.push(JSON.parse(JSON.stringify(prepared.data)) as IndexState)
      for (const file of prepared.files) files.add(file)
    }
    const tables = this.tables.map((table) => ({ ...table, rows: new Map(table.rows) }))
    this.checkpoints.push({ states, files, tables })
    if (this.checkpoints.length > 3) this.checkpoints.shift()
    // The runtime deletes what no kept checkpoint names.
    const named = new Set(this.checkpoints.flatMap(({ files }) => [...files]))
    for (const path of this.store.objects.keys()) {
      if (!named.has(path)) this.store.objects.delete(path)
    }
    expect(this.replaced.sort()).toEqual(this.expected.sort())
    this.forgetEpoch()
  }

  private forgetEpoch(): void {
    this.replaced = []
    this.expected = []
  }

  async crash(back: number, writers: number): Promise<void> {
    while (this.checkpoints.length > 1 && this.checkpoints.length > 3 - back) this.checkpoints.pop()
    const checkpoint = this.checkpoints.at(-1)
    if (checkpoint === undefined) return
    const { states, tables } = checkpoint
    this.tables = tables.map((table) => ({ ...table, rows: new Map(table.rows) }))
    this.forgetEpoch()
    for (const index of this.writers) await index.close()
    await this.start(writers, states)
    this.verify()
  }

  /** A look-up finds what the model has, and no more; all live entries are those of the model. */
  verify(): void {
    for (const table of this.tables) {
      // First: `collect` puts what is buffered into place.
      expect(this.lookUp(table)).toEqual(KEYS.map((key) => table.rows.get(key) ?? '0:0'))
      const entries: string[] = []
      const stride = table.words + 2
      for (const index of this.writers) {
        const found = index.table(table.name, table.words).collect()
        for (let at = table.words; at < found.length; at += stride) {
          entries.push(`${found[at]}:${found[at + 1]}`)
        }
      }
      expect(entries.sort()).toEqual([...table.rows.values()].sort())
    }
  }

  /** @returns `file:position` of each of KEYS; `0:0`: nowhere */
  private lookUp({ name, words }: TableModel): string[] {
    const hashes = Int32Array.from(KEYS.flatMap((key) => hashOf(key, words)))
    const found = KEYS.map(() => '0:0')
    for (const index of this.writers) {
      const { start, end } = rangeOf(index)
      const mine = KEYS.filter((key) => {
        const segment = hashOf(key, words)[0]! >>> 24
        return segment >= start && segment < end
      })
      const places = { files: new Int32Array(mine.length), positions: new Int32Array(mine.length) }
      index.table(name, words).lookup(hashes, Int32Array.from(mine), places)
      for (const [at, key] of mine.entries()) {
        if (places.files[at] !== 0) found[key] = `${places.files[at]}:${places.positions[at]}`
      }
    }
    return found
  }
}

type Step =
  | { kind: 'rows'; table: number; rows: { key: number; remove: boolean }[] }
  | { kind: 'bulk'; table: number; from: number; count: number }
  | { kind: 'reset'; table: number }
  | { kind: 'rekey'; table: number }
  | { kind: 'look' }
  | { kind: 'prepare' }
  | { kind: 'epochs'; table: number; reset: boolean; heavy: number; light: number }
  | { kind: 'crash'; back: number; writers: number }

const row = fc.record({ key: fc.nat(400), remove: fc.boolean() })
const table = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('rows' as const),
      table,
      rows: fc.array(row, { minLength: 1, maxLength: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('bulk' as const),
      table,
      from: fc.nat(300),
      count: fc.integer({ min: 50, max: 500 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reset' as const), table }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rekey' as const), table }) },
  // In the middle of an epoch: what is buffered must be seen.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('prepare' as const) }) },
  {
    // Deltas are merged by sixteens, and the first epochs are folded before that: without this,
    // few runs would see a merge over a reset and a fold.
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('epochs' as const),
      table,
      reset: fc.boolean(),
      heavy: fc.nat(10),
      light: fc.nat(16),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      back: fc.nat(2),
      writers: fc.integer({ min: 1, max: 4 }),
    }),
  },
)

/**
 * Epochs of many new keys, then epochs of few, as in a table that is read again. A row of another
 * table keeps the first delta from being dropped once the table is folded.
 */
async function epochs(
  pipeline: Pipeline,
  { table, reset, heavy, light }: Extract<Step, { kind: 'epochs' }>,
): Promise<void> {
  const target = pipeline.tables[table]!
  for (const started of [target, pipeline.tables[(table + 1) % 3]!]) {
    await pipeline.apply(started, [{ key: 0, remove: false }])
  }
  if (reset) pipeline.reset(target)
  for (let epoch = 0; epoch < heavy + light; epoch++) {
    const count = epoch < heavy ? 100 : 3
    const rows = Array.from({ length: count }, (_, at) => ({
      key: epoch * 100 + at,
      remove: false,
    }))
    await pipeline.apply(target, rows)
    await pipeline.prepare()
  }
}

async function run(steps: readonly Step[], memoryBytes: number): Promise<void> {
  const tables = [2, 4, 2].map((words, at): TableModel => {
    return { name: `shop.t${at}`, words: words as HashWords, rows: new Map() }
  })
  const pipeline = new Pipeline(tables, memoryBytes)
  await pipeline.start(1, [])
  for (const step of steps) {
    switch (step.kind) {
      case 'rows':
        await pipeline.apply(pipeline.tables[step.table]!, step.rows)
        break
      case 'bulk': {
        const rows = Array.from({ length: step.count }, (_, at) => ({
          key: step.from + at,
          remove: false,
        }))
        await pipeline.apply(pipeline.tables[step.table]!, rows)
        break
      }
      case 'reset':
        pipeline.reset(pipeline.tables[step.table]!)
        break
      case 'rekey': {
        // Another key: the index of the table is begun anew with hashes of another length.
        const changed = pipeline.tables[step.table]!
        pipeline.reset(changed)
        changed.words = changed.words === 2 ? 4 : 2
        break
      }
      case 'look':
        pipeline.verify()
        break
      case 'prepare':
        await pipeline.prepare()
        break
      case 'epochs':
        await epochs(pipeline, step)
        break
      case 'crash':
        await pipeline.crash(step.back, step.writers)
        break
    }
  }
  await pipeline.prepare()
  pipeline.verify()
  await pipeline.crash(0, 3)
  await pipeline.crash(0, 2)
}

test('the index is the last position of each key, over folds, crashes, resets and rescaling', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 120 }),
      fc.constantFrom(3_000, 20_000, 1_000_000),
      run,
    ),
    { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 4000 },
  )
}, 120_000)
