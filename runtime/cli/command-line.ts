// The process: arguments in, exit code out.

import { printFailure } from './failure.ts'
import { isOn } from './options.ts'
import { runCommandLine } from './program.ts'
import { processTerminal } from './terminal.ts'
import { connectedWiring } from './wiring-connected.ts'

/** Does not return: the process ends with the command. */
export async function runProcess(): Promise<never> {
  // `millrace schema | head` closes the pipe before all is written.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
  process.on('uncaughtException', (error) => {
    const verbose = isOn('MILLRACE_DEBUG', process.env)
    process.exit(printFailure(error, processTerminal, { json: false, verbose }))
  })
  const code = await runCommandLine(process.argv.slice(2), processTerminal, connectedWiring)
  // Connections and threads that something forgot must not keep a finished command alive.
  process.exit(code)
}
