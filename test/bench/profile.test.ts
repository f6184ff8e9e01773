// Summaries of CPU profiles.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { formatProfiles, nameProfiles, summarize, type CpuProfile } from '../../bench/profile.ts'

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
  const kept = { ...summarize(profile, 1), file: '/p/cpu.cpuprofile' }
  expect(formatProfiles([kept]).split('\n')).toEqual([
    'source thread: busy 100 ms, /p/cpu.cpuprofile',
    '   70.0 %      70 ms  decode runtime/cli/source-worker.ts:10',
  ])
})

const folder = mkdtempSync(join(tmpdir(), 'millrace-profiles-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('each file is kept under the name of its thread, the busiest first', () => {
  const busier = { ...profile, timeDeltas: profile.timeDeltas.map((us) => us * 2) }
  const main = { ...profile, nodes: profile.nodes.filter(({ id }) => id % 2) }
  const contents = { 'CPU.1': profile, 'CPU.2': busier, 'CPU.3': main }
  for (const [name, content] of Object.entries(contents)) {
    writeFileSync(join(folder, `${name}.cpuprofile`), JSON.stringify(content))
  }
  const kept = nameProfiles(folder, 1)
  const files = ['source-thread', 'source-thread-2', 'main-thread']
  expect(kept.map(({ file }) => file)).toEqual(
    files.map((name) => join(folder, `${name}.cpuprofile`)),
  )
  expect(kept.map(({ busyMs }) => Math.round(busyMs))).toEqual([200, 100, 100])
  expect(JSON.parse(readFileSync(kept[0]?.file ?? '', 'utf8'))).toEqual(busier)
  expect(existsSync(join(folder, 'CPU.1.cpuprofile'))).toBe(false)
})
