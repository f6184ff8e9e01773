// Reads the profiles that `node --cpu-prof` leaves, one for each thread, and says which functions
// took the time. Threads of the libuv pool, where zstd runs, are not in them.

import { readdirSync, readFileSync, renameSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const IDLE = '(idle)'
const THREADS = { 'source-worker': 'source thread', 'writer-worker': 'writer thread' } as const

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      /** From 0. */
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

export interface HotFunction {
  readonly name: string
  readonly selfMs: number
  /** Of the time that the thread was busy. */
  readonly share: number
}

export interface ThreadProfile {
  readonly thread: string
  readonly busyMs: number
  readonly hottest: readonly HotFunction[]
}

export interface KeptProfile extends ThreadProfile {
  /** Path of the profile, which developer tools of browsers and editors read. */
  readonly file: string
}

/** @returns the `count` functions with the largest self time */
export function summarize(profile: CpuProfile, count: number): ThreadProfile {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const self = new Map<string, number>()
  profile.samples.forEach((id, at) => {
    const name = names.get(id) ?? '(unknown)'
    self.set(name, (self.get(name) ?? 0) + (profile.timeDeltas[at] ?? 0) / 1000)
  })
  self.delete(IDLE)
  const busyMs = [...self.values()].reduce((sum, ms) => sum + ms, 0)
  const hottest = [...self]
    .toSorted(([, left], [, right]) => right - left)
    .slice(0, count)
    .map(([name, selfMs]) => ({ name, selfMs, share: selfMs / busyMs }))
  return { thread: threadOf(profile), busyMs, hottest }
}

/**
 * All threads of one process, the busiest first. Gives each file the name of its thread, such as
 * `writer-thread-2.cpuprofile` for the second busiest writer.
 */
export function nameProfiles(folder: string, count: number): KeptProfile[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))
  const seen = new Map<string, number>()
  return files
    .map((name) => {
      const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile
      return { name, summary: summarize(profile, count) }
    })
    .toSorted((left, right) => right.summary.busyMs - left.summary.busyMs)
    .map(({ name, summary }) => {
      const nth = (seen.get(summary.thread) ?? 0) + 1
      seen.set(summary.thread, nth)
      const number = nth === 1 ? '' : `-${nth}`
      const file = join(folder, `${summary.thread.replaceAll(' ', '-')}${number}.cpuprofile`)
      renameSync(join(folder, name), file)
      return { ...summary, file }
    })
}

export function formatProfiles(threads: readonly KeptProfile[]): string {
  const lines = threads.flatMap(({ thread, busyMs, hottest, file }) => [
    `${thread}: busy ${Math.round(busyMs)} ms, ${file}`,
    ...hottest.map(({ name, selfMs, share }) => {
      const percent = (share * 100).toFixed(1).padStart(5)
      return `  ${percent} %  ${Math.round(selfMs).toString().padStart(6)} ms  ${name}`
    }),
  ])
  return lines.join('\n')
}

function nameOf({
  functionName,
  url,
  lineNumber,
}: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName
  if (url === '') return name
  const place = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url
  return `${name} ${place}:${lineNumber + 1}`
}

function threadOf({ nodes }: CpuProfile): string {
  const names = Object.entries(THREADS)
  const found = names.find(([file]) => nodes.some(({ callFrame }) => callFrame.url.includes(file)))
  return found?.[1] ?? 'main thread'
}
