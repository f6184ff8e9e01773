// The command line: its verbs, the options that all of them take, and what the process exits with.

import { readFileSync } from 'node:fs'
import { Command, CommanderError, type Option } from 'commander'
import { addCheck } from './commands/check.ts'
import { addDiscover } from './commands/discover.ts'
import { addDrop } from './commands/drop.ts'
import { addExplain } from './commands/explain.ts'
import { addInit } from './commands/init.ts'
import { addLint } from './commands/lint.ts'
import { addResync } from './commands/resync.ts'
import { addRun } from './commands/run.ts'
import { addSchema } from './commands/schema.ts'
import { addStatus } from './commands/status.ts'
import { addVerify } from './commands/verify.ts'
import type { AddCommand, CommandContext } from './context.ts'
import { printFailure } from './failure.ts'
import { flag } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Wiring } from './wiring.ts'

/** In the order in which somebody new meets them. */
const COMMANDS: readonly AddCommand[] = [
  addInit,
  addLint,
  addCheck,
  addDiscover,
  addRun,
  addStatus,
  addVerify,
  addResync,
  addDrop,
  addSchema,
  addExplain,
]

/** A wrong command line is a wrong configuration. */
const EXIT_USAGE = 2

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 configuration, 3 source not ready, 4 refused because
changes would be lost, 5 verification differs, 6 another instance runs, 130 second signal.
Every option can be given as MILLRACE_NAME in the environment.`

/**
 * Runs one command.
 *
 * @param args  without the program's name
 * @returns the exit code
 */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  wiring: Wiring,
): Promise<number> {
  let exitCode = 0
  const setExitCode = (code: number): void => {
    exitCode = code
  }
  const program = buildProgram({ terminal, wiring, setExitCode })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    const { json, verbose } = program.opts<{ json?: boolean; verbose?: boolean }>()
    const file = fileOf(program, args)
    const debug = (terminal.env['MILLRACE_DEBUG'] ?? '') !== ''
    return printFailure(error, terminal, {
      json: json === true,
      verbose: verbose === true || debug,
      file,
    })
  }
}

function buildProgram(context: CommandContext): Command {
  const { terminal } = context
  const program = new Command('millrace')
  program
    .description('Streams MySQL, MariaDB and PostgreSQL changes into Iceberg tables, exactly once.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'print help')
    .helpCommand(false)
    .addOption(flag('--json', 'print JSON for programs'))
    .addOption(flag('--verbose', 'print stacks of errors, and more of the log'))
    .addHelpText('after', EXIT_CODES)
    .configureHelp({ optionDescription: describeOption })
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
  for (const add of COMMANDS) add(program, context)
  return program
}

/** Without the variable, which is said once for all: beside each option it would drown the rest. */
function describeOption({ description, argChoices, defaultValue }: Option): string {
  const notes = [
    ...(argChoices === undefined ? [] : [argChoices.join(', ')]),
    ...(typeof defaultValue === 'string' ? [`default ${defaultValue}`] : []),
  ]
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`
}

/** The pipeline file that the command was given, if it takes one. */
function fileOf(program: Command, args: readonly string[]): string | null {
  const command = program.commands.find((candidate) => args.includes(candidate.name()))
  return command?.registeredArguments[0]?.name() === 'file' ? (command.args[0] ?? null) : null
}

/** The package file lies at the top of a checkout and of the published package alike. */
function packageVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8')
      const { name, version } = JSON.parse(text) as { name?: string; version?: string }
      if (name === 'millrace' && version !== undefined) return version
    } catch {
      // Not there: one step further up.
    }
  }
  return 'unknown'
}
