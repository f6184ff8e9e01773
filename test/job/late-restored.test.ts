// What is late after a start is what was late at the checkpoint: before the first barrier, for rows
// that were read since are read again.

import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import type { SavedTimes } from '../../runtime/checkpoint/manifest.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import type { SourceReport } from '../../runtime/job/messages.ts'
import { SourceTask } from '../../runtime/job/source-task.ts'
import type { Source } from '../../runtime/source.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { PLAYED_TASK } from './played-parts.ts'

const HOUR_US = 3_600_000_000n
const WATERMARK_US = 1000n * HOUR_US + 5n
const RULE = { unit: 'hour', zone: new TimeZone('UTC'), delayUs: 0n } as const

/** @returns what the source hears before its first row, and what the task has reported */
async function startFrom(times: SavedTimes | undefined): Promise<{
  readonly heard: readonly (bigint | null)[]
  readonly reports: readonly SourceReport[]
}> {
  const checkpoint = { ...checkpointOf(7).source, ...(times !== undefined && { times }) }
  const heard: (bigint | null)[] = []
  const source: Partial<Source> = {
    open: async () => ({ position: checkpoint.position, tables: [], more: true }),
    head: async () => checkpoint.position,
    link: () => null,
    async *read(_after, context) {
      heard.push(context.lateBefore('kafka.t'), context.lateBefore('kafka.other'))
      task.handle({ kind: 'stop' })
      yield { kind: 'progress', position: checkpoint.position, sourceTimeUs: 0n }
    },
    close: async () => undefined,
  }
  const reports: SourceReport[] = []
  const start = {
    kind: 'start',
    checkpoint,
    repairs: { all: false, tables: [] },
    parked: [],
    channels: [],
    options: PLAYED_TASK,
  } as const
  const output = { report: (report: SourceReport) => void reports.push(report) }
  const rules = (table: string): typeof RULE | null => (table === 'kafka.t' ? RULE : null)
  const task = new SourceTask(source as Source, start, [], output, systemClock, undefined, rules)
  await task.run()
  return { heard, reports }
}

test('a checkpoint gives back which rows are late, before the first row is read', async () => {
  const watermarks: SavedTimes['tables'] = [
    ['kafka.t', WATERMARK_US],
    ['kafka.other', WATERMARK_US],
  ]
  const { heard, reports } = await startFrom({
    splits: { tables: [], splits: [] },
    tables: watermarks,
  })
  expect(reports.filter(({ kind }) => kind === 'failed')).toEqual([])
  expect(heard).toEqual([1000n * HOUR_US, null])
})

test('where nothing was announced before, nothing is late', async () => {
  expect((await startFrom(undefined)).heard).toEqual([null, null])
})
