// Several sinks as one: what does not last is committed first, an intent that one sink has and
// another has not is asked of both again, and whatever fails says in which of them.

import { expect, test } from 'vitest'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import type { LakeTable } from '../../runtime/checkpoint/manifest.ts'
import { SinkTables, statesOfPart } from '../../runtime/checkpoint/sink-parts.ts'
import { Trace } from '../../runtime/checkpoint/trace.ts'
import { intentOfPart, PartsCommitter } from '../../runtime/job/parts-committer.ts'
import { PartsWriter } from '../../runtime/job/parts-writer.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { requireSameSinks } from '../../runtime/job/sink-change.ts'
import type { Committer, Intent, PreparedEpoch, SinkWriter } from '../../runtime/sink.ts'
import type { TableCommit, TableIntent } from '../../runtime/sink.ts'
import { batchOf, field, schemaOf } from '../writer/batches.ts'
import { idleCommitter } from './played-parts.ts'

const down = new PipelineError('CATALOG_UNAVAILABLE', 'it is down')
const aborted = new PipelineError('TRANSACTION_ABORTED', 'it was aborted')

function tableIntent(table: string): TableIntent<unknown> {
  const ids = { snapshotId: 1n, tableUuid: null, lastIntent: null }
  return { table, schemas: [], committables: [{ table, files: [] }], ...ids }
}

function intentOf(epoch: number, ...tables: string[]): Intent<unknown> {
  const position = { split: 'log', order: BigInt(epoch), token: '' }
  const head = { pipeline: 'shop', timeline: 1, fence: 'f', sourceTimeUs: 0n, position }
  return { ...head, epoch, tables: tables.map(tableIntent) }
}

/** A sink that notes what it is asked, and has what it has committed. */
class PlayedSink {
  readonly asked: string[] = []
  readonly has = new Set<string>()
  failure: PipelineError | null = null
  diverges = false

  committer(name: string, log: string[]): Committer<unknown> {
    return {
      ...idleCommitter,
      commit: async (intents) => {
        log.push(name)
        if (this.failure !== null) throw this.failure
        return intents.flatMap(({ epoch, tables }) =>
          tables.map(({ table, committables }): TableCommit => {
            expect(committables).toEqual([{ table, files: [] }])
            const id = `${epoch} ${table}`
            const outcome = this.has.has(id) ? 'already-committed' : 'committed'
            this.asked.push(id)
            this.has.add(id)
            const known = { tableUuid: name, snapshotId: 1n, metadataLocation: null }
            if (!this.diverges) return { table, outcome, ...known, reason: null }
            const reason = recordOf(new PipelineError('TARGET_DIVERGED', 'it is another'))
            return { table, outcome: 'diverged', ...known, reason }
          }),
        )
      },
    }
  }
}

function several(): {
  lake: PlayedSink
  events: PlayedSink
  log: string[]
  committer: PartsCommitter
} {
  const [lake, events, log] = [new PlayedSink(), new PlayedSink(), [] as string[]]
  const partOf = (name: string, sink: PlayedSink, isFleeting: boolean) => ({
    name,
    isFleeting,
    takes: () => true,
    create: async () => sink.committer(name, log),
  })
  const committer = new PartsCommitter([
    partOf('lake', lake, false),
    partOf('events', events, true),
  ])
  return { lake, events, log, committer }
}

const BOTH = intentOf(7, 'lake:a.b', 'events:a.b', 'events:transaction.')

test('each sink commits its own part, and what does not last comes first', async () => {
  const { committer, log, lake, events } = several()
  const commits = await committer.commit([BOTH])
  expect(log).toEqual(['events', 'lake'])
  expect(lake.asked).toEqual(['7 a.b'])
  expect(events.asked).toEqual(['7 a.b', '7 transaction.'])
  expect(commits.map(({ table, tableUuid }) => [table, tableUuid])).toEqual([
    ['events:a.b', 'events'],
    ['events:transaction.', 'events'],
    ['lake:a.b', 'lake'],
  ])
  expect(intentOfPart(intentOf(7, 'lake:a.b'), 'events')).toBeNull()
})

test('a transaction that is lost leaves the lake as it was', async () => {
  for (const failure of [aborted, new PipelineError('TRANSACTION_HANGING', 'unknown')]) {
    const { committer, log, lake, events } = several()
    events.failure = failure
    await expect(committer.commit([BOTH])).rejects.toMatchObject({ error: failure.error })
    expect([log, [...lake.has]]).toEqual([['events'], []])
  }
})

test('a sink that is down is named, and the other has the epoch once', async () => {
  const { committer, lake, events } = several()
  lake.failure = down
  const failing = committer.commit([BOTH])
  await expect(failing).rejects.toMatchObject({
    error: 'CATALOG_UNAVAILABLE',
    message: 'sink "lake": it is down',
  })
  lake.failure = null
  const commits = await committer.commit([BOTH])
  expect(Object.fromEntries(commits.map(({ table, outcome }) => [table, outcome]))).toEqual({
    'events:a.b': 'already-committed',
    'events:transaction.': 'already-committed',
    'lake:a.b': 'committed',
  })
  expect([...events.has]).toEqual(['7 a.b', '7 transaction.'])
})

test('a table that is not ours any more ends the pipeline, and says in which sink', async () => {
  const { committer, lake } = several()
  lake.diverges = true
  const failing = committer.commit([BOTH])
  await expect(failing).rejects.toMatchObject({
    error: 'TARGET_DIVERGED',
    message: 'sink "lake": table "a.b": it is another',
    hint: expect.not.stringContaining('resync'),
  })
})

const SCHEMA = schemaOf('a.b', 0, [field(1, 'id', { kind: 'int' })])

/** Rows that were inserted. */
const rowsOf = (...ids: number[]): ChangeBatch =>
  batchOf(
    SCHEMA,
    ids.map((id) => ({ op: Op.insert, values: { id } })),
    1n,
  )

class PlayedWriter implements SinkWriter<unknown> {
  readonly elements: string[] = []
  readonly name: string
  rows = 0
  fails = false

  constructor(name: string) {
    this.name = name
  }

  write(element: Parameters<SinkWriter<unknown>['write']>[0]): undefined {
    if (this.fails) throw new PipelineError('STORAGE_FULL', 'no space')
    this.elements.push(element.kind)
    if (element.kind === 'changes') this.rows += element.rows
  }

  holds(): boolean {
    return this.name === 'lake'
  }

  fill(): undefined {
    this.elements.push('fill')
  }

  async prepare(epoch: number): Promise<PreparedEpoch<unknown>> {
    const ops = { insert: this.rows, update: 0, delete: 0, read: 0 }
    const none = { stale: 0, absorbed: 0, parked: 0, held: 0 }
    const counts = [{ table: 'a.b', read: this.rows, written: this.rows, ...none, ops }]
    const state = { data: this.name, files: [`${this.name}.index`], nextFileId: this.rows }
    const reason = recordOf(new PipelineError('DDL_UNMAPPABLE', this.name))
    const parked = [{ table: 'a.c', reason }]
    return { epoch, committables: [{ table: 'a.b', files: [] }], counts, state, parked }
  }

  async close(): Promise<void> {
    this.elements.push('closed')
  }
}

test('every sink gets the rows of its tables, and keeps a state of its own', async () => {
  const [lake, events] = [new PlayedWriter('lake'), new PlayedWriter('events')]
  const writers = [lake, events].map((writer) => ({ name: writer.name, writer }))
  const takes = (table: string): string[] => (table === 'a.only' ? ['lake'] : ['lake', 'events'])
  const writer = new PartsWriter(writers, takes)
  await writer.write({ kind: 'schema', schema: SCHEMA })
  await writer.write(rowsOf(1, 2))
  await writer.write({ kind: 'backfill', table: 'a.only', floor: null, repair: false })
  expect(writer.holds('a.b')).toBe(true)
  await writer.fill(rowsOf(1))
  expect(lake.elements).toEqual(['schema', 'changes', 'backfill', 'fill'])
  expect(events.elements).toEqual(['schema', 'changes', 'fill'])
  expect(writer.namesOf('a.only')).toEqual(['lake:a.only'])
  const { committables, counts, state, parked } = await writer.prepare(3)
  expect(committables).toEqual([
    { table: 'lake:a.b', files: [] },
    { table: 'events:a.b', files: [] },
  ])
  expect(counts.map(({ table, read }) => [table, read])).toEqual([
    ['lake:a.b', 2],
    ['events:a.b', 2],
  ])
  expect(state.files).toEqual(['lake.index', 'events.index'])
  expect(statesOfPart([state], 'events').map(({ data }) => data)).toEqual(['events'])
  // One sink that cannot go on with a table stops it in all.
  expect(parked.map(({ table }) => table)).toEqual(['a.c'])
  events.fails = true
  expect(() => writer.write(rowsOf(3))).toThrow('sink "events": no space')
})

const SINKS = [
  { name: 'lake', type: 'iceberg' },
  { name: 'events', type: 'kafka' },
]
const NAMES = new SinkTables({ sinks: SINKS, of: () => ['lake', 'events'] })

test('rows that one of the sinks did not get break the trace', () => {
  const source = [{ table: 'a.b', taken: 2, made: 0, sent: 2, skipped: 0, filtered: 0, dead: 0 }]
  const count = (table: string, read: number) => ({
    table,
    read,
    written: read,
    stale: 0,
    absorbed: 0,
    parked: 0,
    held: 0,
    ops: { insert: read, update: 0, delete: 0, read: 0 },
  })
  const trace = new Trace({}, NAMES)
  trace.check(1, source, [[count('lake:a.b', 2), count('events:a.b', 2)]])
  const lacking = [[count('lake:a.b', 2), count('events:a.b', 1)]]
  expect(() => trace.check(2, source, lacking)).toThrow('"events:a.b" does not add up in epoch 2')
  expect(() => trace.check(2, source, [[count('lake:a.b', 2)]])).toThrow('"events:a.b"')
})

test('a table is as far as the last of its sinks', () => {
  const known = (table: string, epoch: number, place: string | null): LakeTable => ({
    table,
    tableUuid: null,
    lastIntent: null,
    schemaVersion: 0,
    committedTimeUs: null,
    metadataLocation: place,
    committedEpoch: epoch,
  })
  const lake = [known('events:a.b', 4, null), known('lake:a.b', 5, 'file:///x')]
  const [table] = NAMES.lake(lake)
  expect(table).toMatchObject({ table: 'a.b', committedEpoch: 4, metadataLocation: 'file:///x' })
  expect(table?.sinks?.map(({ sink, committedEpoch }) => [sink, committedEpoch])).toEqual([
    ['events', 4],
    ['lake', 5],
  ])
  expect(NAMES.lake(lake.slice(1))[0]?.committedEpoch).toBeNull()
  expect(new SinkTables(null).lake(lake)).toBe(lake)
})

test('sinks that were added, removed, renamed or made another type are refused', () => {
  const [lake, events] = SINKS as [(typeof SINKS)[0], (typeof SINKS)[0]]
  const refused = (now: typeof SINKS | undefined, before = { sinks: SINKS }) => {
    expect(() => requireSameSinks(before, now)).toThrow(
      expect.objectContaining({ error: 'CONFIG_UNSUPPORTED' }),
    )
  }
  requireSameSinks(null, SINKS)
  requireSameSinks({ sinks: SINKS }, [events, lake])
  requireSameSinks({}, undefined)
  refused([lake])
  refused([...SINKS, { name: 'files', type: 'parquet' }])
  refused([lake, { ...events, name: 'topics' }])
  refused([lake, { ...events, type: 'parquet' }])
  refused(undefined)
  expect(() => requireSameSinks({}, SINKS)).toThrow('was begun with one `sink`')
})
