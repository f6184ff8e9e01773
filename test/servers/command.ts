// Runs a program to its end and gives what it printed; a failure carries the end of its output.
import { spawn } from 'node:child_process'

const SHOWN_CHARACTERS = 4000

export interface CommandOptions {
  cwd?: string
  env?: Record<string, string>
  input?: string | Buffer
}

/** A program with the arguments that must come before the caller's own. */
export interface Tool {
  command: string
  args: string[]
}

/** @returns standard output as text; @throws Error with the end of both outputs */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  // A program that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input)
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'))
  })
  const stdout = Buffer.concat(out).toString()
  if (code === 0) return stdout
  const shown = (stdout + Buffer.concat(err).toString()).slice(-SHOWN_CHARACTERS)
  throw new Error(`${command} ${args.join(' ').slice(0, 300)} ended with ${code}\n${shown}`)
}
