import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { Coordinator, type SourceCut } from '../../runtime/checkpoint/coordinator.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { partitionAt } from '../../runtime/checkpoint/partition-time.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { Announcer, type AnnouncerParts } from '../../runtime/job/announcer.ts'
import type { Notifier, PartitionReady } from '../../runtime/notifier.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { Committer, Intent, PreparedEpoch, TableCommit } from '../../runtime/sink.ts'
import { changesOf, checkEffects, DELAY_US, tick, timeAt } from '../checkpoint/announced.ts'
import type { Effect, Tick } from '../checkpoint/announced.ts'
import { memoryStore } from '../index/memory-store.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 3)
const TABLE = 'public.clicks'
const UTC = new TimeZone('UTC')
const SCHEMA: TableSchema = {
  table: TABLE,
  version: 0,
  fields: [],
  key: null,
  comment: null,
  lastFieldId: 0,
}

/** What a writer made of ticks [from, to). */
interface Part {
  readonly table: string
  readonly from: number
  readonly to: number
  readonly deletes: null
}

/** Nobody waits: a retry comes with the next turn of the event loop. */
const clock: Clock = {
  nowMs: () => 0,
  nowUs: () => 0n,
  elapsedMs: () => 0,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  after: () => () => undefined,
  every: () => () => undefined,
}

/** What happens at each thing that a process does to the world outside. */
type Fate = 'done' | 'failed' | 'killed before' | 'killed after'

/** Everything that outlives a process: the source, the state folder, the lake, the receivers. */
class World {
  readonly ticks: readonly Tick[]
  readonly fates: Fate[]
  readonly state = memoryStore()
  readonly committed = new Map<bigint, Part>()
  readonly effects: Effect[] = []
  readonly positions = new Map<number, number>()
  begin: number | null = null
  lake = 0

  constructor(ticks: readonly Tick[], fates: readonly Fate[]) {
    this.ticks = ticks
    this.fates = [...fates]
  }
}

class Process {
  readonly dead = Promise.withResolvers<'dead'>()
  private readonly world: World
  private isDead = false

  constructor(world: World) {
    this.world = world
  }

  /** Does something outside, or dies before or after it; what a dead process does is not done. */
  async act<T>(does: () => T | Promise<T>, mayFail: boolean): Promise<T> {
    const fate = this.world.fates.shift() ?? 'done'
    if (fate === 'killed before') this.die()
    if (this.isDead) return forever()
    if (fate === 'failed' && mayFail) throw new PipelineError('CATALOG_UNAVAILABLE', 'it is down')
    const result = await does()
    if (fate === 'killed after') this.die()
    return this.isDead ? forever() : result
  }

  private die(): void {
    this.isDead = true
    this.dead.resolve('dead')
  }

  /** @param steps  ticks of each epoch */
  async run(steps: readonly number[]): Promise<'done'> {
    const store = new CheckpointStore(this.state())
    const last = await store.loadNewest()
    let announcer: Announcer | null = null
    const commits = new CommitQueue(this.committer(), last ?? { intents: [], lake: [] }, clock, {
      onRetry: () => undefined,
      onCommitted: (epoch, tables) => announcer?.committed(epoch, tables),
      onCancelled: () => undefined,
      onDiverged: () => undefined,
      onFatal: (error) => {
        throw error
      },
    })
    const context = { pipeline: 'shop', state: this.state(), clock, commits }
    const events = { onDelivered: () => undefined, onFailed: () => undefined }
    announcer = await Announcer.open(this.parts(), { ...context, ...events }, last)
    const epochs = this.coordinator(store, commits, announcer, last)
    void commits.drain(0)
    for (const step of steps) {
      await epochs.run(step)
      await turns(step)
    }
    await epochs.run(this.world.ticks.length)
    for (let round = 0; round < 3; round++) {
      while (!(await commits.drain(1000))) await turns(1)
      await epochs.run(0)
    }
    while (!(await announcer.drain(1000))) await turns(1)
    return 'done'
  }

  private state(): ObjectStore {
    const { state } = this.world
    return {
      ...state,
      put: (path, bytes) => this.act(() => state.put(path, bytes), false),
      putIfAbsent: (path, bytes) => this.act(() => state.putIfAbsent(path, bytes), false),
    }
  }

  private committer(): Committer<unknown> {
    const { world } = this
    return {
      commit: (intents) => this.act(() => commitTo(world, intents), true),
      adopt: async () => null,
      changeProperties: async () => false,
      sweep: async () => 0,
      close: async () => undefined,
    }
  }

  private parts(): AnnouncerParts {
    const notifiers = ['file', 'webhook'].map((name) => this.notifier(name))
    const { ticks } = this.world
    return {
      tableOf: () => ({
        table: TABLE,
        target: 'lake.clicks',
        field: 'ts_hour',
        notifiers,
        rule: {
          table: TABLE,
          unit: 'hour',
          zone: UTC,
          delayUs: DELAY_US,
          notifiers: notifiers.map(({ name }) => name),
        },
      }),
      numberOf: () => null,
      changesOf: ({ committables }) => ({
        all: false,
        changes: (committables as readonly Part[]).flatMap(({ from, to }) =>
          ticks.slice(from, to).flatMap(({ adds }) => {
            return adds.map((number) => ({ number, files: 1, rows: 10, bytes: 100 }))
          }),
        ),
      }),
      touchedBy: (commit) => (commit as PlayedCommit).deletes,
    }
  }

  private notifier(name: string): Notifier {
    const { world } = this
    return {
      name,
      kind: 'played',
      deliver: async (event) => {
        await this.act(() => hear(world, name, event), true)
        return { kind: 'delivered' }
      },
      close: async () => undefined,
    }
  }

  private coordinator(
    store: CheckpointStore,
    commits: CommitQueue,
    announcer: Announcer,
    last: Checkpoint | null,
  ): { run(ticks: number): Promise<void> } {
    const { world } = this
    let position = Number(last?.source.position.order ?? 0n)
    let count = 0
    let part: Part | null = null
    const coordinator = new Coordinator(
      {
        barrier: async (epoch) => {
          // Else the dead would say what an epoch holds that the living make anew.
          if (this.isDead) return forever()
          const to = Math.min(world.ticks.length, position + count)
          part = { table: TABLE, from: position, to, deletes: null }
          position = to
          world.positions.set(epoch, to)
          return cutAt(world, to, last === null && epoch === 1)
        },
        acknowledge: () => {
          if (!this.isDead) world.begin ??= partitionAt('hour', timeAt(world.ticks, position), UTC)
        },
        park: () => undefined,
      },
      [{ prepared: async (epoch) => preparedOf(world, epoch, part) }],
      store,
      commits,
      {
        pipeline: 'shop',
        timeline: 1,
        fence: '1',
        mode: 'append',
        last,
        clock,
        decisions: announcer,
      },
    )
    return {
      run: async (ticks) => {
        count = ticks
        await coordinator.checkpoint()
      },
    }
  }
}

function forever<T>(): Promise<T> {
  return new Promise(() => undefined)
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function cutAt({ ticks }: World, position: number, isFirst: boolean): SourceCut {
  const record = {
    schema: SCHEMA,
    lake: null,
    semantics: null,
    incarnation: '1',
    phase: 'streaming' as const,
    backfill: null,
    floor: null,
    reason: null,
    shape: null,
    waitsFor: null,
  }
  const watermark = timeAt(ticks, position)
  const checkpoint = {
    position: { split: 'log', order: BigInt(position), token: '' },
    sourceTimeUs: watermark,
    state: '',
    tables: [record],
    times: { splits: { tables: [], splits: [] }, tables: [[TABLE, watermark] as const] },
  }
  return { checkpoint, schemas: isFirst ? [SCHEMA] : [], counts: [], refused: [] }
}

function preparedOf({ ticks }: World, epoch: number, part: Part | null): PreparedEpoch<unknown> {
  const now = part === null ? [] : ticks.slice(part.from, part.to)
  const hasRows = now.some(({ adds, deletes }) => adds.length + deletes.length > 0)
  const state = { data: null, files: [], nextFileId: 1 }
  return { epoch, committables: hasRows ? [part] : [], state, counts: [], parked: [] }
}

interface PlayedCommit extends TableCommit {
  readonly deletes: readonly number[]
}

/** As the lake does: what it has is not committed again, and told of all the same. */
function commitTo(world: World, intents: readonly Intent<unknown>[]): PlayedCommit[] {
  const deletes: number[] = []
  let snapshotId: bigint | null = null
  let isNews = false
  for (const { tables } of intents) {
    for (const entry of tables) {
      snapshotId = entry.snapshotId
      isNews ||= !world.committed.has(snapshotId)
      for (const part of entry.committables as readonly Part[]) {
        world.committed.set(snapshotId, part)
        world.lake = Math.max(world.lake, part.to)
        deletes.push(...world.ticks.slice(part.from, part.to).flatMap((one) => one.deletes))
      }
    }
  }
  const outcome = isNews ? 'committed' : 'already-committed'
  const known = { tableUuid: 'uuid', metadataLocation: null, reason: null }
  return [{ table: TABLE, outcome, snapshotId, deletes, ...known }]
}

function hear(world: World, notifier: string, event: PartitionReady): void {
  const [day = '', hourOfDay = ''] = event.value.split(/-(?=\d\d$)/)
  const hour = Date.parse(day) / 3_600_000 + Number(hourOfDay)
  world.effects.push({
    notifier,
    // Order is that of the hearing; numbers of the outbox are not told.
    sequence: 0,
    number: hour,
    generation: event.generation,
    watermarkUs: event.watermarkUs,
    files: event.files,
    visible: changesOf(world.ticks, hour, world.lake),
    due: changesOf(world.ticks, hour, world.positions.get(event.epoch) ?? 0),
  })
}

const fate = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Fate>('done') },
  { weight: 2, arbitrary: fc.constant<Fate>('failed') },
  { weight: 1, arbitrary: fc.constant<Fate>('killed before') },
  { weight: 1, arbitrary: fc.constant<Fate>('killed after') },
)

test('partitions are told once a generation and never early, whatever is killed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(tick, { minLength: 1, maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 6 }),
      fc.array(fate, { maxLength: 60 }),
      async (ticks, steps, fates) => {
        const world = new World(ticks, fates)
        for (let starts = 0; ; starts++) {
          expect(starts).toBeLessThan(70)
          const process = new Process(world)
          if ((await Promise.race([process.run(steps), process.dead.promise])) === 'done') break
        }
        for (const notifier of ['file', 'webhook']) {
          const effects = world.effects.filter((one) => one.notifier === notifier)
          checkEffects(effects, ticks, world.begin ?? 0)
        }
      },
    ),
    { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 5000 },
  )
})
