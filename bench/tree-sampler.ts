// What a tree of processes takes while it runs, looked at every few milliseconds: the memory over
// time, its peak, and the CPU time of each thread, by the job that the thread has. What a thread
// did after the last look is not seen; the CPU time of the whole comes from elsewhere and is exact.

import { readdirSync } from 'node:fs'
import { parseCpuTicks, parsePeakRss, processTree, readOrNull, secondsOf } from './process-tree.ts'

export interface ThreadCpu {
  /** The thread's job; threads of one job are added up. */
  readonly name: string
  readonly cpuSeconds: number
}

export interface MemoryPoint {
  /** Since the first look. */
  readonly seconds: number
  /** Resident size of the tree. */
  readonly bytes: number
}

/** Threads of Node and V8 by the names that they give themselves. */
const JOBS: Readonly<Record<string, string>> = {
  MainThread: 'main thread',
  'libuv-worker': 'pool: zstd, files',
  V8Worker: 'V8: collector, compiler',
  DelayedTaskSche: 'V8: collector, compiler',
  // Waits for SIGUSR1, which would open the inspector.
  SignalInspector: 'inspector',
}
/** The pipeline's own threads have one name; the source's is started first. */
const WORKER = 'WorkerThread'
const POINTS_MAX = 120

interface Thread {
  readonly pid: number
  readonly id: number
  name: string
  cpuSeconds: number
}

export class TreeSampler {
  private readonly peaks = new Map<number, number>()
  private readonly threads = new Map<number, Thread>()
  private readonly points: MemoryPoint[] = []

  /**
   * @param roots  processes whose trees are looked at
   * @param seconds  since the first look
   */
  sample(roots: readonly number[], seconds: number): void {
    let bytes = 0
    for (const pid of roots.flatMap(processTree)) {
      const status = readOrNull(`/proc/${pid}/status`)
      if (status === null) continue
      this.peaks.set(pid, Math.max(this.peaks.get(pid) ?? 0, parsePeakRss(status)))
      bytes += parseRss(status)
      this.lookAtThreads(pid)
    }
    if (bytes > 0) this.points.push({ seconds, bytes })
  }

  /** Bytes; peaks at different times add up all the same, so this is an upper bound. */
  peakBytes(): number {
    return [...this.peaks.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** At most 120 points; each is the largest of the looks that it stands for. */
  memory(): MemoryPoint[] {
    return thinned(this.points, POINTS_MAX)
  }

  /** Largest first. */
  cpuByThread(): ThreadCpu[] {
    return cpuByJob([...this.threads.values()])
  }

  private lookAtThreads(pid: number): void {
    for (const id of tasksOf(pid)) {
      const stat = readOrNull(`/proc/${pid}/task/${id}/stat`)
      if (stat === null) continue
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const cpuSeconds = secondsOf(parseCpuTicks(stat).own)
      this.threads.set(id, { pid, id, name, cpuSeconds })
    }
  }
}

/** @param threads  of one or more processes; ids grow in the order of creation */
export function cpuByJob(threads: readonly Thread[]): ThreadCpu[] {
  const jobs = new Map<string, number>()
  const withSource = new Set<number>()
  for (const { pid, name, cpuSeconds } of threads.toSorted((a, b) => a.id - b.id)) {
    let job = JOBS[name] ?? name
    if (name === WORKER) job = withSource.has(pid) ? 'writer threads' : 'source thread'
    if (name === WORKER) withSource.add(pid)
    jobs.set(job, (jobs.get(job) ?? 0) + cpuSeconds)
  }
  return [...jobs]
    .map(([name, cpuSeconds]) => ({ name, cpuSeconds }))
    .toSorted((left, right) => right.cpuSeconds - left.cpuSeconds)
}

/** @returns at most `count` points, each with the largest size of its stretch */
export function thinned(points: readonly MemoryPoint[], count: number): MemoryPoint[] {
  const stretch = Math.max(1, Math.ceil(points.length / count))
  const kept: MemoryPoint[] = []
  for (let at = 0; at < points.length; at += stretch) {
    const some = points.slice(at, at + stretch)
    kept.push(some.reduce((largest, point) => (point.bytes > largest.bytes ? point : largest)))
  }
  return kept
}

/** @param status  content of /proc/PID/status; @returns 0 for a process that has just ended */
export function parseRss(status: string): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1024
}

function tasksOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}
