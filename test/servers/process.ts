// One server process with its own folder and port. It never outlives its test: stop() ends it,
// the exit hook ends it, and on Linux the kernel ends it when the test process is killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 15_000
const POLL_MS = 40

export interface ServerPlan {
  name: string
  /** Everything of this instance; removed by stop(). */
  folder: string
  /** Read again at every start, so that a restart can change settings. */
  launch: () => { command: string; args: string[]; env?: Record<string, string> }
  /** Unprivileged id to run as; only where we are root and the server refuses root. */
  uid?: number
  /** Ends it at once: nobody needs its folder any more, or the test process ends first. */
  deathSignal: NodeJS.Signals
  /** Sent one after the other to end it cleanly, until one works. */
  stopSignals: readonly NodeJS.Signals[]
  /** Resolves once the server answers SQL. */
  probe: () => Promise<void>
}

export interface ServerProcess {
  pid: () => number
  log: () => Promise<string>
  /** Resolves when ready; a first start that fails leaves nothing behind. */
  start: () => Promise<void>
  /** Ends it cleanly and keeps the folder. */
  halt: () => Promise<void>
  /** SIGKILL to the process and all its children: what a crash looks like. */
  kill: () => Promise<void>
  /** Ends it at once and removes the folder; harmless when called again. */
  stop: () => Promise<void>
}

interface Live {
  folder: string
  deathSignal: NodeJS.Signals
  child: ChildProcess | undefined
}

const live = new Set<Live>()
let hooked = false

export function serverProcess(plan: ServerPlan): ServerProcess {
  const own: Live = { folder: plan.folder, deathSignal: plan.deathSignal, child: undefined }
  live.add(own)
  hookExit()
  const logFile = join(plan.folder, 'server.log')
  const halt = async (signals: readonly NodeJS.Signals[]): Promise<void> => {
    if (own.child) await end(own.child, signals)
    own.child = undefined
  }
  const stop = async (): Promise<void> => {
    // A clean end writes what is removed next; MySQL takes ten seconds for that behind a dump.
    await halt([plan.deathSignal, ...plan.stopSignals])
    await rm(plan.folder, { recursive: true, force: true })
    live.delete(own)
  }
  let started = false
  return {
    pid: () => own.child?.pid ?? 0,
    log: async () => readFile(logFile, 'utf8'),
    start: async () => {
      own.child = launch(plan, logFile)
      try {
        await ready(plan, own.child, logFile)
      } catch (error) {
        if (!started) await stop()
        throw error
      }
      started = true
    },
    halt: async () => halt(plan.stopSignals),
    kill: async () => {
      const family = own.child?.pid ? descendants(own.child.pid) : []
      await halt(['SIGKILL'])
      for (const pid of family) signal(pid, 'SIGKILL')
      while (family.some(isAlive)) await sleep(POLL_MS)
    },
    stop,
  }
}

/** A new folder for one server of this process; those of dead processes are removed. */
export async function serverFolder(name: string): Promise<string> {
  const base = tmpdir()
  for (const entry of await readdir(base)) {
    const owner = /^millrace-(\d+)-/.exec(entry)?.[1]
    if (owner && !isAlive(Number(owner))) {
      await rm(join(base, entry), { recursive: true, force: true }).catch(() => {})
    }
  }
  return mkdtemp(join(base, `millrace-${process.pid}-${name}-`))
}

/**
 * A port nobody listens on, below the range that outgoing connections use: a server that is
 * down for a restart cannot lose its port to some client's socket.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}

function launch(plan: ServerPlan, logFile: string): ChildProcess {
  const { command, args, env } = plan.launch()
  const [program = command, ...rest] = [...guard(plan), command, ...args]
  const log = openSync(logFile, 'a')
  // An own process group: Ctrl-C in a terminal must reach the test alone, which then cleans up.
  const child = spawn(program, rest, {
    cwd: plan.folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  child.unref()
  return child
}

/** The `setpriv` prefix: drops root where asked, and asks the kernel for the death signal. */
function guard(plan: ServerPlan): string[] {
  if (!hasSetpriv()) return []
  const id = String(plan.uid)
  const drop = plan.uid === undefined ? [] : ['--reuid', id, '--regid', id, '--clear-groups']
  return ['setpriv', ...drop, '--pdeathsig', plan.deathSignal, '--']
}

function hasSetpriv(): boolean {
  try {
    accessSync('/usr/bin/setpriv', constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function ready(plan: ServerPlan, child: ChildProcess, logFile: string): Promise<void> {
  let failure: unknown
  child.once('error', (error) => (failure = error))
  const startMs = performance.now()
  let last: unknown
  while (performance.now() - startMs < READY_TIMEOUT_MS) {
    if (failure || hasEnded(child)) break
    try {
      return await plan.probe()
    } catch (error) {
      last = error
    }
    await sleep(POLL_MS)
  }
  const log = readFileSync(logFile, 'utf8').slice(-3000)
  await end(child, ['SIGKILL'])
  throw new Error(`${plan.name} did not become ready\n${log}`, { cause: failure ?? last })
}

async function end(child: ChildProcess, signals: readonly NodeJS.Signals[]): Promise<void> {
  for (const name of signals) {
    if (hasEnded(child) || !child.pid) return
    signal(child.pid, name)
    const startMs = performance.now()
    while (!hasEnded(child) && performance.now() - startMs < STOP_TIMEOUT_MS) await sleep(POLL_MS)
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended already.
  }
}

/** Alive and no zombie: a child that nobody has waited for yet still answers signal 0. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return process.platform !== 'linux'
  }
}

/** PostgreSQL's children lead sessions of their own, so a signal to the group misses them. */
function descendants(pid: number): number[] {
  let children: number[]
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    children = text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
  return children.flatMap((child) => [child, ...descendants(child)])
}

function hookExit(): void {
  if (hooked) return
  hooked = true
  process.on('exit', () => {
    const running = [...live].filter(({ child }) => child?.pid && !hasEnded(child))
    for (const { child, deathSignal } of running) signal(child?.pid ?? 0, deathSignal)
    // An exit hook cannot await; the servers need a moment before their folders can go.
    if (running.length > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
    for (const { folder } of live) rmSync(folder, { recursive: true, force: true })
  })
}
