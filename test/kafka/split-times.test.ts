// When a partition counts as at its end, on a cluster in memory: only its leader's word of a moment
// ago makes it so, and no other reason for having no rows does.

import { expect, test } from 'vitest'
import type { KafkaOptions } from '../../connectors/kafka/options.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import type { SplitState } from '../../runtime/source.ts'
import { readUntil } from './played-context.ts'
import { at, setUp, valuesOf, type Setup } from './played-source.ts'
import { StagedFormat } from './staged-format.ts'

const RECORD_TIME: Partial<KafkaOptions> = {
  eventTime: {
    field: null,
    unit: null,
    zone: new TimeZone('UTC'),
    maxFutureMs: 0,
    future: 'pass',
    fieldMayCome: false,
    alignUs: null,
    lateOf: () => null,
  },
}

/** Of the partitions of topic `t`, in order. */
function statesOf({ source }: Setup): SplitState[] {
  return (source.splits?.() ?? [])
    .filter(({ split }) => split.includes('/t/'))
    .map(({ state }) => state)
}

/** Reads until the partitions are so. */
async function untilStates(
  setup: Setup,
  wanted: readonly SplitState[],
  change: () => void = () => undefined,
): Promise<void> {
  let step = 0
  await readUntil(setup.source, setup.context, () => {
    if (step++ === 0) change()
    return step > 1 && statesOf(setup).join() === wanted.join()
  })
}

test('partitions without rows and partitions that are read to their end are at it', async () => {
  const setup = setUp(RECORD_TIME)
  setup.cluster.create('t', 2)
  setup.cluster.append('t', 0, at('a'), null, at('b'))
  await untilStates(setup, ['at-end', 'at-end'])
  expect(valuesOf(setup.context)).toEqual(['a', 'b'])
  expect(setup.context.times.reduce((sum, { rows }) => sum + rows, 0)).toBe(2)
})

test('a partition without a leader, and one whose leader does not answer, are blocked', async () => {
  const setup = setUp(RECORD_TIME)
  const { partitions } = setup.cluster.create('t', 2)
  await untilStates(setup, ['blocked', 'at-end'], () => (partitions[0]!.leader = -1))
  partitions[0]!.leader = 1
  await untilStates(setup, ['at-end', 'at-end'])
  await untilStates(setup, ['blocked', 'blocked'], () => {
    const answered = Date.now() - 3000
    setup.cluster.answeredMs = () => answered
  })
})

test('a paused partition is blocked, its rows wait, and nobody else does', async () => {
  const setup = setUp(RECORD_TIME)
  const { cluster, context, source } = setup
  cluster.create('t', 2)
  await untilStates(setup, ['blocked', 'at-end'], () => {
    const first = source.splits?.()[0]?.split ?? ''
    source.pauseSplits?.(new Set([first]))
    cluster.append('t', 0, at('waits'))
    cluster.append('t', 1, at('goes on'))
  })
  expect(valuesOf(context)).toEqual(['goes on'])
  let step = 0
  await readUntil(source, context, () => {
    if (step++ === 0) source.pauseSplits?.(new Set())
    return valuesOf(context).includes('waits')
  })
})

test('partitions of a topic over its limit are blocked, their rows wait, others go on', async () => {
  const setup = setUp(RECORD_TIME)
  const { cluster, context, source } = setup
  cluster.create('t', 2)
  cluster.create('u', 1)
  let step = 0
  await readUntil(source, context, () => {
    if (step++ === 0) {
      source.pauseTables?.(new Set(['kafka.t']))
      for (const partition of [0, 1]) cluster.append('t', partition, at('waits'))
      cluster.append('u', 0, at('goes on'))
    }
    // What event time pauses is another matter.
    source.pauseSplits?.(new Set())
    return valuesOf(context, 'kafka.u').length > 0 && step > 20
  })
  expect([valuesOf(context), statesOf(setup)]).toEqual([[], ['blocked', 'blocked']])
  await readUntil(source, context, () => {
    source.pauseTables?.(new Set())
    return valuesOf(context).length === 2
  })
})

test('a partition that waits for a schema is blocked, and stays paused when it has it', async () => {
  const value = new StagedFormat()
  let come: () => void = () => undefined
  value.loads.set(2, new Promise<void>((resolve) => (come = resolve)))
  const setup = setUp({ ...RECORD_TIME, value, key: null, nullValue: 'error' })
  setup.cluster.create('t', 2)
  setup.cluster.append('t', 0, at('2:a'))
  let step = 0
  let last = ''
  await readUntil(setup.source, setup.context, () => {
    last = statesOf(setup).join()
    if (step === 0 && statesOf(setup).join() === 'blocked,at-end') {
      step = 1
      setup.source.pauseSplits?.(new Set([setup.source.splits?.()[0]?.split ?? '']))
      come()
    } else if (step > 0) step++
    return step > 20
  })
  expect(last).toBe('blocked,at-end')
  expect(valuesOf(setup.context)).toEqual([])
})

test('a topic that is gone, and one that was made again, hold nobody', async () => {
  const setup = setUp({ ...RECORD_TIME, onRecreate: 'from_beginning' })
  setup.cluster.create('t', 1)
  await untilStates(setup, ['finished', 'at-end'], () => {
    setup.cluster.create('t', 1)
    setup.cluster.append('t', 0, at('again'))
  })
  expect(valuesOf(setup.context)).toEqual(['again'])
  setup.cluster.create('u', 1)
  let step = 0
  await readUntil(setup.source, setup.context, () => {
    if (step++ === 0) setup.cluster.topics.delete('u')
    const gone = setup.source.splits?.().filter(({ split }) => split.includes('/u/')) ?? []
    return gone.length === 1 && gone.every(({ state }) => state === 'finished')
  })
})

test('a source that nobody asks for event time lists no partition', async () => {
  const setup = setUp()
  setup.cluster.create('t', 1)
  await readUntil(setup.source, setup.context, () => true)
  expect(setup.source.splits?.()).toEqual([])
})
