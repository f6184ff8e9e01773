// The program as another process, for live tests.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly output: string
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

/** @param env  beside PATH, which is all that is handed on */
export function start(env: Record<string, string>, ...args: string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => resolve({ code, output }))
  })
  return { child, ended }
}

export function millrace(env: Record<string, string>, ...args: string[]): Promise<Ended> {
  return start(env, ...args).ended
}

/** Asks until the answer is there. @throws after `seconds` */
export async function eventually<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | null>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer !== null) return answer
    if (performance.now() > deadline) throw new Error(`${what} did not come in ${seconds} s`)
    await sleep(200)
  }
}
