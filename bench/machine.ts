// Where figures come from: without the machine and the commit they mean nothing.

import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  /** Files of the product that differ from the commit. */
  readonly uncommitted: number
}

export function describeMachine(): Machine {
  const changed = git(['status', '--porcelain', '--', 'runtime', 'connectors'])
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    commit: git(['rev-parse', '--short=12', 'HEAD']),
    uncommitted: changed.split('\n').filter(Boolean).length,
  }
}

export function formatMachine(machine: Machine): string {
  const { cpu, cores, memoryGib, kernel, node, commit, uncommitted } = machine
  const changed = uncommitted > 0 ? ` with ${uncommitted} changed files` : ''
  return (
    `${cpu}, ${cores} cores with the server beside, ${memoryGib} GiB, Linux ${kernel}, ` +
    `node ${node}, commit ${commit}${changed}`
  )
}

/** An unpacked archive has no repository. */
function git(args: readonly string[]): string {
  try {
    const output = execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] })
    return output.toString().trim()
  } catch {
    return 'unknown'
  }
}
