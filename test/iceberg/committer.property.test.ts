// Random histories against a model of live (file, position) pairs. Between the epochs anything may
// happen that happens in production: the process restarts, answers of the catalog are lost before
// or after the swap, several epochs wait and are squashed, somebody else commits, garbage is
// deleted.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Catalog } from '../../runtime/catalog.ts'
import type { DataFileRecord } from '../../connectors/parquet/table/data-file-record.ts'
import type { IcebergIntent } from '../../connectors/iceberg/commit-work.ts'
import { checkInvariants } from './invariants.ts'
import { foreignAppend } from './foreign.ts'
import { handClock, Lake, schemaOf } from './lake.ts'

const timeLimitMs = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000
const TABLE = 'public.t'

interface Epoch {
  readonly files: readonly number[]
  /** Shares of the live rows, 0...1, that are deleted. */
  readonly deletes: readonly number[]
  readonly writers: number
  readonly truncated: boolean
  readonly ddl: number
  /** The commit waits for later epochs. */
  readonly waits: boolean
  readonly before: 'nothing' | 'restart' | 'foreign' | 'branch' | 'staged'
  readonly answers: readonly ('lost' | 'refused')[]
}

const share = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const epoch: fc.Arbitrary<Epoch> = fc.record({
  files: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
  deletes: fc.array(share, { maxLength: 12 }),
  writers: fc.integer({ min: 1, max: 3 }),
  truncated: fc.integer({ min: 0, max: 9 }).map((roll) => roll === 0),
  ddl: fc.integer({ min: 0, max: 12 }).map((roll) => (roll < 3 ? roll : 0)),
  waits: fc.integer({ min: 0, max: 3 }).map((roll) => roll === 0),
  before: fc.constantFrom(
    ...(['nothing', 'nothing', 'nothing', 'restart', 'foreign', 'branch', 'staged'] as const),
  ),
  answers: fc.array(fc.constantFrom('lost', 'refused'), { maxLength: 2 }),
})

function histories(length: number): fc.Arbitrary<Epoch[]> {
  const minLength = length > 25 ? length : 1
  return fc.array(epoch, { minLength, maxLength: length, size: 'max' })
}

class History {
  readonly lake: Lake
  readonly live = new Map<number, Set<number>>()
  readonly clock = handClock()
  readonly answers: ('lost' | 'refused')[] = []
  pending: IcebergIntent[] = []
  version = -1
  committer
  foreignRows = 0

  constructor(lake: Lake) {
    this.lake = lake
    this.committer = this.open()
  }

  open(): ReturnType<Lake['committer']> {
    const real = this.lake.catalog
    const catalog: Catalog = {
      load: (table) => real.load(table),
      list: (namespace) => real.list(namespace),
      createNamespace: (namespace) => real.createNamespace(namespace),
      drop: (table, expected) => real.drop(table, expected),
      close: () => real.close(),
      swap: async (swaps) => {
        const answer = this.answers.shift()
        if (answer === 'refused') throw new PipelineError('CATALOG_UNAVAILABLE', 'not reached')
        const conflicts = await real.swap(swaps)
        if (answer === 'lost') throw new PipelineError('CATALOG_UNAVAILABLE', 'answer lost')
        return conflicts
      },
    }
    return this.lake.committer({ catalog, clock: this.clock, historyKeep: 4, historyKeepMs: 0 })
  }

  async run(epoch: Epoch): Promise<void> {
    if (epoch.before === 'restart') this.committer = this.open()
    const isForeign = epoch.before !== 'restart' && epoch.before !== 'nothing'
    if (isForeign && this.lake.known.get(TABLE)?.uuid !== undefined) {
      await this.appendForeign(epoch.before)
    }
    this.clock.nowMsValue += 1000
    this.pending.push(await this.prepare(epoch))
    if (epoch.waits) return
    this.answers.push(...epoch.answers)
    const commits = await this.committer.commit(this.pending)
    this.answers.length = 0
    for (const { outcome } of commits) expect(outcome).not.toBe('diverged')
    this.lake.learn(commits)
    this.pending = []
    for (const path of this.committer.takeGarbage()) await this.lake.warehouse.delete(path)
  }

  /** A foreign engine sees no pending intent; its rows are not of the model. */
  async appendForeign(where: Epoch['before']): Promise<void> {
    if (where === 'foreign') {
      await foreignAppend(this.lake, TABLE)
      return
    }
    // Beside main, from the oldest snapshot that there is.
    const { snapshots } = (await this.lake.scan(TABLE)).metadata
    const parent = snapshots[0]!.snapshotId
    const branch = where === 'branch' ? 'audit' : null
    await foreignAppend(this.lake, TABLE, { parent, branch, keep: 1 })
  }

  async check(): Promise<void> {
    const expected = [...this.live].flatMap(([file, rows]) =>
      [...rows].map((row) => `${file}:${row}`),
    )
    const found = await this.lake.liveRows(TABLE)
    expect(found.filter((row) => !row.startsWith('null:'))).toEqual(expected.toSorted())
    await checkInvariants(this.lake, TABLE)
  }

  async prepare(epoch: Epoch): Promise<IcebergIntent> {
    const schemas: TableSchema[] = []
    const files: DataFileRecord[] = []
    const deletes = Array.from({ length: epoch.writers }, () => new Map<number, number[]>())
    if (this.version < 0) schemas.push(this.nextSchema())
    if (epoch.truncated) this.live.clear()
    const [head, ...rest] = epoch.files
    if (head !== undefined) files.push(await this.file(head))
    for (let count = 0; count < epoch.ddl; count++) schemas.push(this.nextSchema())
    for (const rows of rest) files.push(await this.file(rows))
    for (const [index, at] of epoch.deletes.entries())
      this.delete(at, deletes[index % epoch.writers]!)
    for (const map of deletes) for (const list of map.values()) list.sort((a, b) => a - b)
    return this.lake.intent([{ table: TABLE, schemas, truncated: epoch.truncated, files, deletes }])
  }

  nextSchema(): TableSchema {
    this.version++
    const columns = Array.from(
      { length: this.version + 1 },
      (_, index) => [`c${index}`, { kind: 'int' }] as const,
    )
    return schemaOf(TABLE, columns, this.version)
  }

  async file(rows: number): Promise<DataFileRecord> {
    const file = await this.lake.hollowFile(TABLE, this.version, rows)
    this.live.set(file.fileId, new Set(Array.from({ length: rows }, (_, row) => row)))
    return file
  }

  delete(at: number, into: Map<number, number[]>): void {
    const rows = [...this.live].flatMap(([file, set]) =>
      [...set].map((row) => [file, row] as const),
    )
    const chosen = rows[Math.floor(at * rows.length)]
    if (chosen === undefined) return
    const [file, row] = chosen
    this.live.get(file)!.delete(row)
    into.set(file, [...(into.get(file) ?? []), row])
  }
}

async function play(history: readonly Epoch[], every: number): Promise<void> {
  const lake = await Lake.open()
  try {
    const run = new History(lake)
    for (const [index, epoch] of history.entries()) {
      await run.run(epoch)
      if (run.pending.length === 0 && index % every === 0) await run.check()
    }
    await run.run({ ...history[0]!, files: [3], waits: false, truncated: false })
    await run.check()
  } finally {
    await lake.close()
  }
}

test(
  'every history leaves exactly the live rows, in snapshots that hold all invariants',
  async () => {
    const property = fc.asyncProperty(histories(25), (history) => play(history, 1))
    // One history at a time: on a busy machine a time limit of fast-check ends before the first.
    const endMs = performance.now() + timeLimitMs
    do await fc.assert(property, { numRuns: 1 })
    while (performance.now() < endMs)
  },
  timeLimitMs + 60_000,
)

test('two hundred epochs merge their manifests and lose nothing', async () => {
  const long = fc
    .tuple(histories(100), histories(100))
    .map((halves) => halves.flat().map((epoch, index) => ({ ...epoch, truncated: index === 120 })))
    // Staged snapshots stay: each is looked through again at every check.
    .map((epochs) => epochs.filter(({ before }) => before !== 'staged'))
  const property = fc.asyncProperty(long, (history) => play(history, 10))
  await fc.assert(property, { numRuns: 1, endOnFailure: true })
})
