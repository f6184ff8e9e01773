// The committer of a directory, killed between any two operations on files, and begun again: each
// file of a committed epoch is there once, and nothing of another; what manifests name is there at
// every moment.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DirectoryCommittable } from '../../connectors/parquet/directory/committable.ts'
import { DirectoryCommitter } from '../../connectors/parquet/directory/committer.ts'
import { fileName, stagedPath, STAGED_FOLDER } from '../../connectors/parquet/directory/folders.ts'
import { ManifestStore } from '../../connectors/parquet/directory/manifest.ts'
import { namesOf } from '../../runtime/data/schema.ts'
import type { MovingStore } from '../../runtime/object-store.ts'
import type { Intent, TableCommit, TableIntent } from '../../runtime/sink.ts'
import { memoryStore, type MemoryStore } from '../index/memory-store.ts'
import { field, schemaOf } from '../writer/batches.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 10)

class Killed extends Error {}

/** Dies before the operation with number `steps`; all before it have been done. */
function mortal(memory: MemoryStore, steps: { left: number }): MovingStore {
  const step = (): void => {
    if (steps.left-- <= 0) throw new Killed()
  }
  const { objects } = memory
  return {
    ...memory,
    async put(path, bytes) {
      step()
      await memory.put(path, bytes)
    },
    async putIfAbsent(path, bytes) {
      step()
      return memory.putIfAbsent(path, bytes)
    },
    async delete(path) {
      step()
      await memory.delete(path)
    },
    list: async (prefix) => (prefix === '' ? [...objects.keys()] : memory.list(prefix)),
    async publish(moves) {
      for (const { from, to } of moves) {
        const bytes = objects.get(from)
        if (bytes === undefined && !objects.has(to)) throw new Error(`${from} is nowhere`)
        if (bytes === undefined) continue
        const there = objects.get(to)
        if (there !== undefined && there !== bytes) throw new Error(`${to} is taken`)
        step()
        objects.set(to, bytes)
      }
      for (const { from } of moves) {
        step()
        objects.delete(from)
      }
    },
  }
}

type DirectoryIntent = Intent<DirectoryCommittable>

/** What a pipeline is, apart from its files: ids that go on, and what the checkpoint knows. */
class Model {
  readonly lake = memoryStore()
  /** Files that readers must find, by table. */
  readonly wanted = new Map<string, string[]>()
  readonly known = new Map<string, TableCommit>()
  private nextFile = 1
  private nextIntent = 1n
  epoch = 0

  committer(steps: number): DirectoryCommitter {
    return new DirectoryCommitter({
      pipeline: 'shop',
      mode: 'append',
      lake: mortal(this.lake, { left: steps }),
      targetOf: namesOf,
      folderOf: (table) => namesOf(table).name,
    })
  }

  /** Stages files as writers do, and one more that no checkpoint will name. */
  prepare(tables: readonly TableDraft[]): DirectoryIntent {
    this.epoch++
    const drafts = tables.map((draft) => this.tableIntent(draft))
    this.lake.objects.set(`${STAGED_FOLDER}/ffffff${10 + this.epoch}-lost`, new Uint8Array(1))
    return {
      pipeline: 'shop',
      timeline: 0,
      epoch: this.epoch,
      fence: 'f',
      position: { split: '', order: BigInt(this.epoch), token: String(this.epoch) },
      sourceTimeUs: 0n,
      tables: drafts,
    }
  }

  private tableIntent({ table, files, truncated }: TableDraft): TableIntent<DirectoryCommittable> {
    const made = Array.from({ length: files }, () => {
      const fileId = this.nextFile++
      const staged = stagedPath(fileId, 's')
      const path = `${namesOf(table).name}/p=${fileId % 2}/${fileName(fileId, 's')}`
      this.lake.objects.set(staged, Uint8Array.of(fileId))
      return { fileId, staged, path, schemaVersion: 0, rows: 1, bytes: 1 }
    })
    const schema = schemaOf(table, 0, [field(1, 'id', { kind: 'int' })])
    const isNew = !this.known.has(table)
    return {
      table,
      snapshotId: this.nextIntent++,
      schemas: isNew ? [schema] : [],
      tableUuid: null,
      lastIntent: null,
      committables: [{ table, writer: 0, truncated, files: made, emptied: [], deletes: null }],
    }
  }

  /** As the commit queue completes an intent. */
  complete(intent: DirectoryIntent): DirectoryIntent {
    const tables = intent.tables.map((entry) => {
      const known = this.known.get(entry.table)
      return {
        ...entry,
        tableUuid: known?.tableUuid ?? null,
        lastIntent: known?.snapshotId ?? null,
      }
    })
    return { ...intent, tables }
  }

  accept(intents: readonly DirectoryIntent[], commits: readonly TableCommit[]): void {
    for (const commit of commits) {
      expect(['committed', 'already-committed']).toContain(commit.outcome)
      this.known.set(commit.table, commit)
    }
    for (const { tables } of intents) {
      for (const { table, committables } of tables) {
        const { truncated, files } = committables[0] as DirectoryCommittable
        const before = truncated ? [] : (this.wanted.get(table) ?? [])
        this.wanted.set(table, [...before, ...files.map(({ path }) => path)])
      }
    }
  }

  visible(): string[] {
    return [...this.lake.objects.keys()].filter((path) => path.endsWith('.parquet')).sort()
  }

  /** Files of the manifests' view. */
  async viewed(): Promise<string[]> {
    const manifests = new ManifestStore(mortal(this.lake, { left: 0 }))
    const view = new Map<string, string[]>()
    for (let epoch = 1; epoch <= this.epoch; epoch++) {
      const manifest = await manifests.ofEpoch(epoch)
      for (const [table, { truncated, files }] of Object.entries(manifest?.changes ?? {})) {
        const before = truncated ? [] : (view.get(table) ?? [])
        view.set(table, [...before, ...files.map(({ path }) => path)])
      }
    }
    return [...view.values()].flat().sort()
  }
}

interface TableDraft {
  readonly table: string
  readonly files: number
  readonly truncated: boolean
}

const draft = fc.uniqueArray(
  fc.record({
    table: fc.constantFrom('a.orders', 'a.users', 'a.clicks'),
    files: fc.nat(3),
    truncated: fc.boolean(),
  }),
  { minLength: 1, selector: ({ table }) => table },
)
const round = fc.record({
  /** Epochs that wait when the commit begins. */
  epochs: fc.array(draft, { minLength: 1, maxLength: 3 }),
  /** Operations until each kill. */
  kills: fc.array(fc.nat(25), { maxLength: 4 }),
  /** Whether a start sweeps after each kill. */
  sweeps: fc.boolean(),
  /** A table that is parked after the kills: its intents are cancelled. */
  parked: fc.option(fc.constantFrom('a.orders', 'a.users'), { freq: 4 }),
})

/** @returns what was committed; the call is repeated over kills as a new process repeats it */
async function commitOver(
  model: Model,
  intents: readonly DirectoryIntent[],
  { kills, sweeps }: { kills: readonly number[]; sweeps: boolean },
): Promise<boolean> {
  const keep = new Set(
    intents.flatMap(({ tables }) =>
      tables.flatMap(({ committables }) =>
        committables.flatMap(({ files }) => files.flatMap(({ path, staged }) => [path, staged])),
      ),
    ),
  )
  for (const steps of kills) {
    const committer = model.committer(steps)
    try {
      if (sweeps) await committer.sweep([], keep)
      await committer.commit(intents.map((intent) => model.complete(intent)))
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
    const { objects } = model.lake
    for (const path of await model.viewed()) expect(objects.has(path), path).toBe(true)
  }
  return sweeps
}

test(
  'an epoch is committed once, wherever the process is killed',
  { timeout: (SECONDS + 30) * 1000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
        const model = new Model()
        for (const { epochs, kills, sweeps, parked } of rounds) {
          const intents = epochs.map((tables) => model.prepare(tables))
          await commitOver(model, intents, { kills, sweeps })
          const live = await withoutParked(model, intents, parked)
          const committer = model.committer(Infinity)
          const completed = live.map((intent) => model.complete(intent))
          model.accept(completed, await committer.commit(completed))
          // The next start, after a crash.
          await model.committer(Infinity).sweep([], new Set())
          const wanted = [...model.wanted.values()].flat().sort()
          expect(model.visible()).toEqual(wanted)
          expect(await model.viewed()).toEqual(wanted)
          const rest = [...model.lake.objects.keys()].filter((path) =>
            /staged|publishing/.test(path),
          )
          expect(rest).toEqual([])
        }
      }),
      { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 100_000, markInterruptAsFailure: false },
    )
  },
)

/** Only what no manifest names yet can be cancelled: the rest was committed before the park. */
async function withoutParked(
  model: Model,
  intents: readonly DirectoryIntent[],
  parked: string | null,
): Promise<DirectoryIntent[]> {
  if (parked === null) return [...intents]
  const manifests = new ManifestStore(mortal(model.lake, { left: 0 }))
  const live: DirectoryIntent[] = []
  for (const intent of intents) {
    const done = (await manifests.ofEpoch(intent.epoch)) !== null
    live.push(
      done ? intent : { ...intent, tables: intent.tables.filter(({ table }) => table !== parked) },
    )
  }
  return live
}

test('lost state, another pipeline and a foreign epoch stop the commit', async () => {
  const model = new Model()
  const tables = [{ table: 'a.orders', files: 1, truncated: false }]
  const first = model.prepare(tables)
  await model.committer(Infinity).open()
  model.accept([first], await model.committer(Infinity).commit([first]))
  const visible = model.visible()
  const ahead = { error: 'TIMELINE_AHEAD' }
  // The checkpoint knows nothing of the table, whatever its epoch says.
  const later = model.prepare(tables)
  await expect(model.committer(Infinity).commit([later])).rejects.toMatchObject(ahead)
  const again = { ...model.prepare(tables), epoch: 1 }
  await expect(model.committer(Infinity).commit([again])).rejects.toMatchObject(ahead)
  const other = new DirectoryCommitter({
    pipeline: 'crm',
    mode: 'append',
    lake: mortal(model.lake, { left: Infinity }),
    targetOf: namesOf,
    folderOf: (table) => namesOf(table).name,
  })
  await expect(other.open()).rejects.toMatchObject({ error: 'CONFIG_VALUE' })
  expect(model.visible()).toEqual(visible)
})

test('a table in the folder of another, or with a file that is gone, diverges alone', async () => {
  const model = new Model()
  const intent = model.prepare([
    { table: 'a.orders', files: 1, truncated: false },
    { table: 'b.orders', files: 1, truncated: false },
    { table: 'a.users', files: 2, truncated: false },
  ])
  const gone = intent.tables[2]?.committables[0]?.files[1]?.staged ?? ''
  model.lake.objects.delete(gone)
  const commits = await model.committer(Infinity).commit([intent])
  const outcomes = commits.map(
    ({ table, outcome, reason }) => `${table} ${outcome} ${reason?.error}`,
  )
  expect(outcomes.sort()).toEqual([
    'a.orders committed undefined',
    'a.users diverged TARGET_DIVERGED',
    'b.orders diverged TARGET_DIVERGED',
  ])
  expect(model.visible()).toHaveLength(1)
})
