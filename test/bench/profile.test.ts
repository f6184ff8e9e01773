// Summaries of CPU profiles.
import { expect, test } from 'vitest'
import { formatProfiles, summarize, type CpuProfile } from '../../bench/profile.ts'

const SOURCE = new URL('../../runtime/cli/source-worker.ts', import.meta.url).href

function node(id: number, functionName: string, url = ''): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url, lineNumber: 9 } }
}

const profile: CpuProfile = {
  nodes: [
    node(1, '(idle)'),
    node(2, 'decode', SOURCE),
    node(3, '(garbage collector)'),
    // The same function, called from elsewhere.
    node(4, 'decode', SOURCE),
    node(5, '', 'node:zlib'),
  ],
  samples: [1, 2, 3, 4, 5],
  timeDeltas: [900_000, 50_000, 20_000, 20_000, 10_000],
}

test('self time adds up over call sites, and idle time does not count', () => {
  const summary = summarize(profile, 2)
  expect(summary.thread).toBe('source thread')
  expect(summary.busyMs).toBeCloseTo(100)
  expect(summary.hottest).toEqual([
    { name: 'decode runtime/cli/source-worker.ts:10', selfMs: 70, share: 0.7 },
    { name: '(garbage collector)', selfMs: 20, share: 0.2 },
  ])
})

test('a profile without a worker module is the main thread', () => {
  const summary = summarize({ ...profile, nodes: profile.nodes.filter(({ id }) => id % 2) }, 5)
  expect(summary.thread).toBe('main thread')
})

test('the text has a line for each function', () => {
  expect(formatProfiles([summarize(profile, 1)])).toBe(
    'source thread: busy 100 ms\n   70.0 %      70 ms  decode runtime/cli/source-worker.ts:10',
  )
})
