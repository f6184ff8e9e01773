// CPU time and memory of processes, against what the processes say of themselves.
import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { formatCommand, measure } from '../../bench/measure.ts'
import {
  parseCpuTicks,
  parsePeakRss,
  processTree,
  treeCpuSeconds,
} from '../../bench/process-tree.ts'

const LINUX = process.platform === 'linux'

// Until so much CPU time is used up, however busy the machine is.
const BURN_UNTIL = `const used = () => process.cpuUsage().user + process.cpuUsage().system
while (used() < 300000);`
/** Works in a second thread and prints the CPU seconds of its process. */
const BURN = `
const { Worker } = require('node:worker_threads')
new Worker(${JSON.stringify(BURN_UNTIL)}, { eval: true }).on('exit', () => {
  const { user, system } = process.cpuUsage()
  console.log((user + system) / 1e6)
})
`
/** The same in a child of its own. */
const BURN_IN_CHILD = `
const { execFileSync } = require('node:child_process')
process.stdout.write(execFileSync(process.execPath, ['-e', ${JSON.stringify(BURN)}]))
`

function statOf(name: string, fields: readonly number[]): string {
  return `7 (${name}) S ${fields.join(' ')}\n`
}

test('a process name with spaces and parentheses does not shift the fields', () => {
  // Fields 4 to 13, then utime, stime, cutime, cstime.
  const fields = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 20, 3, 4, 99]
  for (const name of ['node', 'a b', 'x) S 1 (y']) {
    expect(parseCpuTicks(statOf(name, fields))).toEqual({ own: 120, reaped: 7 })
  }
})

test('a text that is no process status is refused', () => {
  expect(() => parseCpuTicks('')).toThrow('not a process status')
})

test('a process that has just ended has no memory', () => {
  expect(parsePeakRss('VmPeak:\t 99 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n')).toBe(2 * 1024 * 1024)
  expect(parsePeakRss('Name:\tnode\nState:\tZ (zombie)\n')).toBe(0)
})

test.skipIf(!LINUX)('CPU time has all threads, and children of children', async () => {
  for (const script of [BURN, BURN_IN_CHILD]) {
    const command = { program: process.execPath, args: ['-e', script], stdout: 'keep' as const }
    const usage = await measure([command], null)
    const said = Number(usage.output)
    expect(said).toBeGreaterThan(0.3)
    // The ends of the processes themselves come on top, in ticks of 10 ms.
    expect(usage.cpuSeconds).toBeGreaterThan(said - 0.05)
    expect(usage.cpuSeconds).toBeLessThan(said + 1)
    expect(usage.peakRssBytes).toBeGreaterThan(20 * 1024 * 1024)
    expect(usage.seconds).toBeGreaterThan(0.1)
  }
})

test.skipIf(!LINUX)('the CPU time of a tree that still runs grows with it', async () => {
  const script = `${BURN_UNTIL}; setInterval(() => {}, 1000); console.log('done')`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const before = treeCpuSeconds(process.pid)
    expect(processTree(process.pid)).toContain(child.pid)
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(treeCpuSeconds(child.pid ?? 0)).toBeGreaterThan(0.2)
    expect(treeCpuSeconds(process.pid) - before).toBeGreaterThan(0.2)
  } finally {
    child.kill('SIGKILL')
  }
})

test('a program that fails fails the measurement, with its last words', async () => {
  const script = 'console.error("no such slot"); process.exit(3)'
  const failing = { program: process.execPath, args: ['-e', script], stdout: 'nowhere' as const }
  await expect(measure([failing], null)).rejects.toThrow(/ended with 3\nno such slot/)
})

test('a command is shown without passwords, and as one would type it', () => {
  const command = {
    program: process.execPath,
    args: ['-c', "it's"],
    env: { PGPASSWORD: 'secret' },
    stdout: 'nowhere' as const,
  }
  expect(formatCommand(command)).toBe(`node -c 'it'\\''s'`)
})
