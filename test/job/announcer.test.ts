// What the announcer says of rows that are held back: which partitions wait for them.

import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import type { SourceCheckpoint } from '../../runtime/checkpoint/manifest.ts'
import type { TablePartition } from '../../runtime/data/element.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { Announcer } from '../../runtime/job/announcer.ts'
import type { Committer } from '../../runtime/sink.ts'
import { memoryStore } from '../index/memory-store.ts'

const HOUR_US = 3_600_000_000n
const none = (): undefined => undefined

const idle: Committer<unknown> = {
  commit: async () => [],
  adopt: async () => null,
  changeProperties: async () => false,
  sweep: async () => 0,
  close: async () => undefined,
}

/** Of tables that it has not been asked about it does not know where partitions have their time. */
async function announcer(): Promise<Announcer> {
  const known = new Set<string>()
  const events = { onRetry: none, onCommitted: none, onCancelled: none, onDiverged: none }
  const fresh = { intents: [], lake: [] }
  const commits = new CommitQueue(idle, fresh, systemClock, { ...events, onFatal: none })
  const rule = { unit: 'hour', zone: new TimeZone('UTC'), delayUs: 0n, notifiers: [] } as const
  return Announcer.open(
    {
      tableOf: ({ table }) => {
        known.add(table)
        return { table, target: table, field: 'hour', notifiers: [], rule: { ...rule, table } }
      },
      numberOf: ({ table, partition: [hour] }) =>
        known.has(table) && hour != null ? Number(hour) : null,
      changesOf: () => ({ changes: [], all: false }),
      touchedBy: () => [],
    },
    {
      pipeline: 'shop',
      state: memoryStore(),
      clock: systemClock,
      commits,
      onDelivered: none,
      onFailed: none,
    },
    null,
  )
}

/** Tables whose watermark is at the beginning of an hour. */
function sourceAt(hour: number, ...tables: readonly string[]): SourceCheckpoint {
  const record = {
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
  const schema = { version: 0, fields: [], key: null, comment: null, lastFieldId: 0 }
  return {
    position: { split: 'log', order: 0n, token: '' },
    sourceTimeUs: 0n,
    state: '',
    tables: tables.map((table) => ({ ...record, schema: { ...schema, table } })),
    times: {
      splits: { tables: [], splits: [] },
      tables: tables.map((table) => [table, BigInt(hour) * HOUR_US]),
    },
  }
}

function partition(table: string, hour: string | null): TablePartition {
  return { table, partition: [hour] }
}

test('partitions that the watermark has passed wait for their rows, of new tables too', async () => {
  const told = await announcer()
  const open = [
    ...['3', '5', '6', null].map((hour) => partition('one', hour)),
    ...['4', '7'].map((hour) => partition('two', hour)),
  ]
  told.decide(1, sourceAt(6, 'one'), [], open)
  expect(told.waiting).toEqual([partition('one', '3'), partition('one', '5')])
  const saved = told.decide(2, sourceAt(6, 'one', 'two'), [], open)
  expect(told.waiting.slice(2)).toEqual([partition('two', '4')])
  // Neither hour 3 of the one, nor hour 4 of the other, nor any behind them.
  expect(saved.map(({ table, next, sequence }) => [table, next, sequence])).toEqual([
    ['one', 3, 0],
    ['two', 4, 0],
  ])
  told.decide(3, sourceAt(6, 'one', 'two'), [], [partition('one', '6'), partition('two', '7')])
  expect(told.waiting).toEqual([])
})
