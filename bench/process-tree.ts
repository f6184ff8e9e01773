// CPU time and memory of processes, read from Linux's /proc. A process tree's CPU time includes
// children that have ended, as long as their parents waited for them.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Fields of /proc/PID/stat, numbered as in proc(5); the name before them may hold anything. */
const UTIME = 14
const CSTIME = 17
const FIRST_AFTER_NAME = 3

export interface CpuTicks {
  /** Of the process itself, all threads, user and system. */
  readonly own: number
  /** Of children that it has waited for, and of theirs. */
  readonly reaped: number
}

/** @param stat  content of /proc/PID/stat */
export function parseCpuTicks(stat: string): CpuTicks {
  // The name stands in parentheses and may itself have spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system, reapedUser, reapedSystem] = fields
    .slice(UTIME - FIRST_AFTER_NAME, CSTIME - FIRST_AFTER_NAME + 1)
    .map(Number)
  const ticks = {
    own: (user ?? Number.NaN) + (system ?? Number.NaN),
    reaped: (reapedUser ?? Number.NaN) + (reapedSystem ?? Number.NaN),
  }
  if (Number.isNaN(ticks.own + ticks.reaped)) throw new Error(`not a process status: ${stat}`)
  return ticks
}

/** @param status  content of /proc/PID/status; @returns 0 for a process that has just ended */
export function parsePeakRss(status: string): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1024
}

let ticksPerSecond = 0

/** Seconds of CPU time for the kernel's ticks. */
export function secondsOf(ticks: number): number {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return ticks / ticksPerSecond
}

/** CPU seconds of all children that this process has waited for, and of their trees. */
export function reapedCpuSeconds(): number {
  return secondsOf(parseCpuTicks(readFileSync('/proc/self/stat', 'utf8')).reaped)
}

/** CPU seconds of a tree that still runs, with its children that have ended. */
export function treeCpuSeconds(pid: number): number {
  let ticks = 0
  for (const each of processTree(pid)) {
    const stat = readOrNull(`/proc/${each}/stat`)
    if (stat === null) continue
    const { own, reaped } = parseCpuTicks(stat)
    ticks += own + reaped
  }
  return secondsOf(ticks)
}

/** The process and all its descendants that run now. */
export function processTree(pid: number): number[] {
  const children = threadsOf(pid).flatMap((thread) => {
    const text = readOrNull(`/proc/${pid}/task/${thread}/children`) ?? ''
    return text.split(' ').filter(Boolean).map(Number)
  })
  return [pid, ...children.flatMap(processTree)]
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** Processes end while their files are being read. */
export function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
