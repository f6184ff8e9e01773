// The process: arguments in, exit code out.

import { PipelineError } from '../base/errors.ts'
import { printFailure } from './failure.ts'
import { isOn } from './options.ts'
import { runCommandLine } from './program.ts'
import { processTerminal } from './terminal.ts'
import { connectedWiring } from './wiring-connected.ts'

/** Does not return: the process ends with the command. */
export async function runProcess(): Promise<never> {
  const args = process.argv.slice(2)
  const runs = args.find((argument) => !argument.startsWith('-')) === 'run'
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `millrace verify FILE | head` closes the pipe before all is written, and still compares.
    if (error.code === 'EPIPE' && !runs) return
    process.exit(printFailure(unheard(error), processTerminal, { json: false, verbose: false }))
  })
  process.on('uncaughtException', (error) => {
    const verbose = isOn('MILLRACE_DEBUG', process.env)
    process.exit(printFailure(error, processTerminal, { json: false, verbose }))
  })
  const code = await runCommandLine(args, processTerminal, connectedWiring)
  await Promise.all([written(process.stdout), written(process.stderr)])
  // Connections and threads that something forgot must not keep a finished command alive.
  process.exit(code)
}

/** A pipe holds 64 KiB: an exit before its reader has come so far would cut the rest off. */
async function written(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return
  await new Promise<void>((resolve) => {
    stream.write('', () => resolve())
  })
}

/** A pipeline does not go on where nobody hears of it, and has not done what it was asked for. */
function unheard(cause: Error): PipelineError {
  return new PipelineError('STORAGE_FAILED', 'standard output cannot be written', {
    detail: `The system says: ${cause.message}.`,
    hint: 'Give the output a reader that stays, or a file with room, and start again.',
    cause,
  })
}
