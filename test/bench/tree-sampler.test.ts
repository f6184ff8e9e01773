// What is seen of processes while they run, against what they say of themselves.
import { expect, test } from 'vitest'
import { measure } from '../../bench/measure.ts'
import { cpuByJob, parseRss, thinned } from '../../bench/tree-sampler.ts'

const LINUX = process.platform === 'linux'

/** By its own CPU time: how long a start takes depends on who else is on the machine. */
const BURN_UNTIL = `const used = () => process.threadCpuUsage().user
while (used() < 700000);`
/** The second thread works, this one waits; then memory grows, and stays for a moment. */
const SCRIPT = `
const { Worker } = require('node:worker_threads')
new Worker(${JSON.stringify(BURN_UNTIL)}, { eval: true }).on('exit', () => {
  globalThis.kept = Buffer.alloc(200 * 1024 * 1024, 1)
  setTimeout(() => {}, 300)
})
`

test('the first worker of a process is its source thread, the others are writers', () => {
  const thread = (pid: number, id: number, name: string): Parameters<typeof cpuByJob>[0][0] => ({
    pid,
    id,
    name,
    cpuSeconds: id,
  })
  const threads = [
    thread(1, 9, 'WorkerThread'),
    thread(1, 1, 'MainThread'),
    thread(1, 5, 'WorkerThread'),
    thread(1, 8, 'WorkerThread'),
    thread(1, 3, 'V8Worker'),
    thread(1, 2, 'DelayedTaskSche'),
    thread(1, 7, 'SignalInspector'),
    thread(20, 20, 'pg_recvlogical'),
  ]
  expect(cpuByJob(threads)).toEqual([
    { name: 'pg_recvlogical', cpuSeconds: 20 },
    { name: 'writer threads', cpuSeconds: 17 },
    { name: 'inspector', cpuSeconds: 7 },
    { name: 'V8: collector, compiler', cpuSeconds: 5 },
    { name: 'source thread', cpuSeconds: 5 },
    { name: 'main thread', cpuSeconds: 1 },
  ])
})

test('fewer points keep the peaks', () => {
  const points = [5, 1, 2, 9, 3, 4, 7].map((bytes, seconds) => ({ seconds, bytes }))
  expect(thinned(points, 3).map(({ bytes }) => bytes)).toEqual([5, 9, 7])
  expect(thinned(points, 7)).toEqual(points)
  expect(thinned([], 3)).toEqual([])
})

test('the size of a process that has just ended is 0', () => {
  expect(parseRss('VmHWM:\t 9 kB\nVmRSS:\t  2048 kB\n')).toBe(2 * 1024 * 1024)
  expect(parseRss('State:\tZ (zombie)\n')).toBe(0)
})

test.skipIf(!LINUX)(
  'the CPU time stands beside its thread, and memory beside its time',
  async () => {
    const command = { program: process.execPath, args: ['-e', SCRIPT], stdout: 'nowhere' as const }
    const { threads, memory, cpuSeconds, peakRssBytes } = await measure([command], null)
    const cpuOf = (name: string): number =>
      threads.find((each) => each.name === name)?.cpuSeconds ?? 0
    expect(cpuOf('source thread')).toBeGreaterThan(0.15)
    expect(cpuOf('source thread')).toBeGreaterThan(cpuOf('main thread'))
    const seen = threads.reduce((sum, each) => sum + each.cpuSeconds, 0)
    // A thread's ticks are 10 ms long.
    expect(seen).toBeLessThan(cpuSeconds + 0.1)
    // The last look of all may meet a process that is giving its memory back.
    const [largest] = memory.toSorted((left, right) => right.bytes - left.bytes)
    const grown = memory.filter(({ bytes }) => bytes > (largest?.bytes ?? 0) - 50 * 1024 * 1024)
    expect((largest?.bytes ?? 0) - (memory[0]?.bytes ?? 0)).toBeGreaterThan(150 * 1024 * 1024)
    expect(grown[0]?.seconds).toBeGreaterThan((memory.at(-1)?.seconds ?? Infinity) / 3)
    expect(largest?.bytes).toBeLessThanOrEqual(peakRssBytes)
  },
)
