// What a run says of itself at its end.

import { expect, test } from 'vitest'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import type { TableProgress } from '../../runtime/job/messages.ts'
import { RunState } from '../../runtime/job/run-state.ts'

function progressOf(table: string): TableProgress {
  const none = {
    reason: null,
    waitsFor: null,
    rowsDone: null,
    rowsEstimated: null,
    watermarkUs: null,
    times: null,
  }
  return { table, phase: 'streaming', repair: false, ...none }
}

test('a table that the last commit parks is shown as parked, though its source has ended', () => {
  const state = new RunState(0)
  state.addProgress({
    kind: 'progress',
    rowsSent: 0,
    queueFill: 0,
    headOrder: null,
    processedOrder: 1n,
    sourceTimeUs: 1n,
    log: { condition: 'open', heardAtMs: 0, error: null },
    throttle: null,
    tables: [progressOf('shop.a'), progressOf('shop.b')],
  })
  const reason = recordOf(new PipelineError('TARGET_DIVERGED', 'lake table shop.b exists already'))
  state.parkTable('shop.b', reason)
  const tables = state.snapshot([], 0).tables.map(({ progress }) => progress)
  expect(tables).toEqual([
    progressOf('shop.a'),
    { ...progressOf('shop.b'), phase: 'parked', reason },
  ])
})
