// Epochs over a real store, a real lake and a real committer; source and writers are played.

import { expect, test } from 'vitest'
import { decodeContainer, encodeContainer } from '../../connectors/iceberg/avro.ts'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import { encodeEpochDeletes } from '../../connectors/iceberg/epoch-deletes.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import {
  Coordinator,
  NO_DECISIONS,
  type EpochReport,
  type SourceCut,
} from '../../runtime/checkpoint/coordinator.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import type { Committer, Intent, PreparedEpoch } from '../../runtime/sink.ts'
import { foreignUpdate } from '../iceberg/foreign.ts'
import { Lake, ORDERS } from '../iceberg/lake.ts'

const { table } = ORDERS

/** A pipeline of one table and one writer. */
class Epochs {
  readonly store: CheckpointStore
  readonly coordinator: Coordinator
  readonly commits: CommitQueue
  readonly diverged: string[] = []
  private position: bigint
  private isNew: boolean
  private committables: readonly IcebergCommittable[] = []

  constructor(lake: Lake, committer: Committer<unknown>, last: Checkpoint | null) {
    this.position = last?.source.position.order ?? 0n
    this.isNew = last === null
    this.store = new CheckpointStore(lake.state)
    this.commits = new CommitQueue(committer, last ?? { intents: [], lake: [] }, systemClock, {
      onRetry: () => undefined,
      onCommitted: () => undefined,
      onCancelled: () => undefined,
      onDiverged: (name, reason) => {
        this.diverged.push(name)
        this.coordinator.parkTable(name, reason)
      },
      onFatal: (error) => {
        throw error
      },
    })
    this.coordinator = new Coordinator(
      {
        barrier: () => Promise.resolve(this.cut()),
        acknowledge: () => undefined,
        park: () => undefined,
      },
      [{ prepared: (epoch) => Promise.resolve(this.prepare(epoch)) }],
      this.store,
      this.commits,
      {
        pipeline: 'shop',
        timeline: 1,
        fence: '1',
        mode: 'upsert',
        last,
        clock: systemClock,
        decisions: NO_DECISIONS,
      },
    )
  }

  /** An epoch in which the writer has written this. */
  async epoch(part: Partial<IcebergCommittable>): Promise<EpochReport> {
    this.committables = [{ table, writer: 0, truncated: false, files: [], deletes: null, ...part }]
    return this.coordinator.checkpoint()
  }

  private cut(): SourceCut {
    const order = ++this.position
    const schemas = this.isNew ? [ORDERS] : []
    this.isNew = false
    return {
      checkpoint: {
        position: { split: 'log', order, token: `0/${order}` },
        sourceTimeUs: order,
        state: '',
        tables: [
          {
            schema: ORDERS,
            incarnation: '1',
            phase: 'streaming',
            backfill: null,
            floor: null,
            reason: null,
            shape: null,
            lake: null,
            semantics: null,
            waitsFor: null,
          },
        ],
      },
      schemas,
      counts: [],
      refused: [],
    }
  }

  private prepare(epoch: number): PreparedEpoch<unknown> {
    const state = { data: null, files: [], nextFileId: 9 }
    return { epoch, committables: this.committables, state, counts: [], parked: [] }
  }
}

/** Somebody's rewrite: the same history, without the data files. */
async function removeDataFiles(lake: Lake): Promise<void> {
  await foreignUpdate(lake, table, async ({ metadata }, files) => {
    const head = metadata.snapshots.at(-1)!
    const list = decodeContainer(await files.read(head.manifestList!), 'list')
    const path = `${files.path(metadata.location)}/metadata/rewritten.avro`
    await lake.warehouse.put(path, encodeContainer(list.metadata['avro.schema']!, {}, []))
    return { ...metadata, snapshots: [{ ...head, manifestList: files.uri(path) }] }
  })
}

// Epoch 2 deletes a row of a file that somebody has removed. It is found while the checkpoint of
// epoch 3 is being written, whose intent has the table in it.
test('of a table that diverges while a checkpoint is saved nothing is committed', async () => {
  const lake = await Lake.open()
  const real = lake.committer()
  let hold: Promise<void> = Promise.resolve()
  const committer: Committer<unknown> = {
    commit: async (intents) => {
      await hold
      return real.commit(intents as readonly Intent<IcebergCommittable>[])
    },
    adopt: (name, claim) => real.adopt(name, claim),
    changeProperties: (name, change) => real.changeProperties(name, change),
    sweep: (tables, keep) => real.sweep(tables, keep),
    close: () => real.close(),
  }
  const first = new Epochs(lake, committer, null)
  await first.epoch({ files: [await lake.hollowFile(table, 0, 10)] })
  await first.commits.drain(5000)
  await removeDataFiles(lake)
  const release = Promise.withResolvers<void>()
  hold = release.promise
  const deletes = 'epochs/2.deletes'
  const positions = new Map([[1, Uint32Array.of(3)]])
  await lake.state.put(deletes, encodeEpochDeletes(new Map([[table, positions]])))
  await first.epoch({ files: [await lake.hollowFile(table, 0, 5)], deletes })
  const save = first.store.save.bind(first.store)
  first.store.save = async (checkpoint) => {
    const bytes = await save(checkpoint)
    release.resolve()
    await expect.poll(() => first.diverged).toEqual([table])
    return bytes
  }
  const report = await first.epoch({ files: [await lake.hollowFile(table, 0, 7)] })
  // The last epoch of a run: no later one would say so.
  expect(report.source.tables[0]).toMatchObject({ phase: 'parked' })
  await first.commits.drain(5000)
  const live = async (): Promise<(number | null)[]> =>
    (await lake.scan(table)).files.map(({ fileId }) => fileId)
  expect(await live()).toEqual([])

  // A crash now: checkpoint 3 does not know it yet.
  const last = await first.store.loadNewest()
  expect(last?.intents.map(({ epoch }) => epoch)).toEqual([2, 3])
  const second = new Epochs(lake, committer, last)
  await second.commits.drain(5000)
  expect(second.diverged).toEqual([table])
  expect(await live()).toEqual([])
  await second.epoch({ files: [await lake.hollowFile(table, 0, 1)] })
  const parked = await second.store.loadNewest()
  expect(parked?.source.tables[0]).toMatchObject({
    phase: 'parked',
    reason: { error: 'TARGET_DIVERGED' },
  })
  expect(parked?.intents).toEqual([])
  await lake.close()
})
