// A command that is run for each announcement: the message on its standard input, the parts that a
// shell script wants in its environment. Exit code 0 means that it was taken.

import { spawn, type ChildProcess } from 'node:child_process'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import { cloudEvent } from './cloud-event.ts'

export interface ExecNotifierOptions {
  readonly name: string
  /** Program and arguments; no shell reads them. */
  readonly command: readonly [string, ...string[]]
  /** Where it runs. */
  readonly folder: string
  /** What it gets beside the announcement. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
  readonly clock: Clock
}

/** Of standard error, for the message. */
const ERROR_TEXT_MAX = 2000

export function execNotifier(options: ExecNotifierOptions): Notifier {
  return {
    name: options.name,
    kind: 'exec',
    deliver: (event, signal) => run(options, event, signal),
    close: async () => undefined,
  }
}

async function run(
  options: ExecNotifierOptions,
  event: PartitionReady,
  signal: AbortSignal,
): Promise<Delivery> {
  const { command, clock, timeoutMs } = options
  const [program, ...args] = command
  const child = spawn(program, args, {
    cwd: options.folder,
    env: { ...options.env, ...variablesOf(event) },
    stdio: ['pipe', 'ignore', 'pipe'],
    // A group of its own: what it has started ends with it.
    detached: true,
  })
  let late = false
  const cancel = clock.after(timeoutMs, () => {
    late = true
    kill(child)
  })
  const onAbort = (): void => kill(child)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const { code, text } = await ended(child, cloudEvent(event))
    if (code === 0 && !late) return { kind: 'delivered' }
    const why = late ? `it ran for more than ${timeoutMs} ms` : `it ended with ${code}`
    return failed(`command ${program} failed: ${why}`, text)
  } catch (error) {
    return failed(
      `command ${program} cannot be run: ${error instanceof Error ? error.message : ''}`,
    )
  } finally {
    cancel()
    signal.removeEventListener('abort', onAbort)
  }
}

function ended(child: ChildProcess, input: string): Promise<{ code: string | 0; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: string | 0; text: string }>()
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-ERROR_TEXT_MAX)
  })
  child.on('error', reject)
  child.on('close', (code, signal) => resolve({ code: code === 0 ? 0 : `${code ?? signal}`, text }))
  // One that does not read its input is no worse for it.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(`${input}\n`)
  return promise
}

function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function variablesOf(event: PartitionReady): Record<string, string> {
  return {
    MILLRACE_EVENT_ID: event.id,
    MILLRACE_PIPELINE: event.pipeline,
    MILLRACE_TABLE: event.table,
    MILLRACE_PARTITION: `${event.field}=${event.value}`,
    MILLRACE_GENERATION: String(event.generation),
    MILLRACE_ROWS: String(event.rows),
    MILLRACE_FILES: String(event.files),
    MILLRACE_SNAPSHOT_ID: event.snapshotId?.toString() ?? '',
  }
}

function failed(message: string, text = ''): Delivery {
  const said = text.trim()
  const detail = said === '' ? {} : { detail: `It wrote: ${said}` }
  const error = recordOf(new PipelineError('NOTIFICATION_FAILED', message, detail))
  return { kind: 'failed', error, retryAfterMs: null }
}
