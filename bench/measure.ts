// Runs programs to their end and measures what they took: time, CPU of their process trees, peak
// memory, and the CPU that the server spent meanwhile. One measurement at a time: the CPU time is
// what this process has gained from children that ended.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../runtime/base/clock.ts'
import { reapedCpuSeconds, treeCpuSeconds } from './process-tree.ts'
import { TreeSampler, type MemoryPoint, type ThreadCpu } from './tree-sampler.ts'

const SAMPLE_MS = 50
const SHOWN_CHARACTERS = 4000
/** A server process ends a moment after its client has. */
const SERVER_SETTLE_MS = 100
const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SETPRIV = '/usr/bin/setpriv'

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Where its output goes; `keep`: into `Usage.output`. */
  readonly stdout: 'keep' | 'nowhere'
}

export interface Usage {
  /** From the start of the first program to the end of the last. */
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** By thread, as far as it was seen: the sum is a little under `cpuSeconds`. */
  readonly threads: readonly ThreadCpu[]
  readonly memory: readonly MemoryPoint[]
  /** 0 where no server was named. */
  readonly serverCpuSeconds: number
  /** What the programs wrote, one after the other. */
  readonly output: string
}

/**
 * Runs the programs at the same time.
 *
 * @param serverPid  root of the server's process tree
 * @throws Error when one of them fails, with the end of what it wrote
 */
export async function measure(
  commands: readonly Command[],
  serverPid: number | null,
): Promise<Usage> {
  return observed(commands, serverPid, async () => {})
}

/**
 * Runs a program that does not end by itself while `work` goes on, then asks it to end.
 *
 * @param work  gets the program's process id
 * @throws Error when the program fails, also before the work is done
 */
export async function measureDuring<T>(
  command: Command,
  serverPid: number | null,
  work: (pid: number) => Promise<T>,
): Promise<{ usage: Usage; value: T }> {
  const values: T[] = []
  const usage = await observed([command], serverPid, async ([run]) => {
    const pid = run?.child.pid
    if (run === undefined || pid === undefined) return
    try {
      const ended = run.output.then((output) => {
        throw new Error(`${formatCommand(command)} has ended too early\n${output}`)
      })
      values.push(await Promise.race([work(pid), ended]))
    } finally {
      run.child.kill('SIGTERM')
    }
  })
  const [value] = values
  if (value === undefined) throw new Error(`${formatCommand(command)} did not start`)
  return { usage, value }
}

/** @param work  what is done meanwhile */
async function observed(
  commands: readonly Command[],
  serverPid: number | null,
  work: (runs: readonly Run[]) => Promise<void>,
): Promise<Usage> {
  const serverBefore = serverPid === null ? 0 : treeCpuSeconds(serverPid)
  const reapedBefore = reapedCpuSeconds()
  const startMs = systemClock.elapsedMs()
  const runs = commands.map((command) => startCommand(command))
  const sampler = new TreeSampler()
  const sample = (): void => {
    const roots = runs.flatMap(({ child: { pid, exitCode } }) =>
      pid !== undefined && exitCode === null ? [pid] : [],
    )
    sampler.sample(roots, (systemClock.elapsedMs() - startMs) / 1000)
  }
  const stopSampling = systemClock.every(SAMPLE_MS, sample)
  const [worked, ...results] = await Promise.allSettled([
    work(runs),
    ...runs.map(({ output }) => output),
  ])
  stopSampling()
  const seconds = (systemClock.elapsedMs() - startMs) / 1000
  const cpuSeconds = reapedCpuSeconds() - reapedBefore
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  if (worked.status === 'rejected') throw worked.reason
  await systemClock.sleep(SERVER_SETTLE_MS)
  return {
    seconds,
    cpuSeconds,
    peakRssBytes: sampler.peakBytes(),
    threads: sampler.cpuByThread(),
    memory: sampler.memory(),
    serverCpuSeconds: serverPid === null ? 0 : treeCpuSeconds(serverPid) - serverBefore,
    output: results.map((result) => (result.status === 'fulfilled' ? result.value : '')).join(''),
  }
}

export interface Run {
  readonly child: ChildProcess
  /** Resolves at the end of the process. */
  readonly output: Promise<string>
}

/** For whoever measures by itself; `measure` also waits for the end. */
export function startCommand(command: Command): Run {
  const { program, args, env, stdout } = command
  // A bench that is killed must not leave its children behind.
  const guard = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'SIGKILL', '--'] : []
  const [first = program, ...rest] = [...guard, program, ...args]
  const child = spawn(first, rest, {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', stdout === 'keep' ? 'pipe' : 'ignore', 'pipe'],
  })
  return { child, output: outputOf(child, command) }
}

async function outputOf(child: ChildProcess, command: Command): Promise<string> {
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  const end = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  const text = Buffer.concat(out).toString()
  if (end === 0) return text
  const shown = (text + Buffer.concat(err).toString()).slice(-SHOWN_CHARACTERS)
  throw new Error(`${formatCommand(command)} ended with ${end}\n${shown}`)
}

/**
 * As one would type it in the folder of the project; the environment, which may hold a password,
 * is left out.
 */
export function formatCommand({ program, args }: Command): string {
  const first = program === process.execPath ? 'node' : program
  return [first, ...args].map((word) => quoted(word.replaceAll(ROOT, ''))).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
