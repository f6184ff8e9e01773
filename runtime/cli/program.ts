// The command line: its verbs, the options that all of them take, and what the process exits with.

import { readFileSync } from 'node:fs'
import { Command, CommanderError, type Option } from 'commander'
import { PipelineError } from '../base/errors.ts'
import { createLog, type Log } from '../base/log.ts'
import { addCheck } from './commands/check.ts'
import { addDiscover } from './commands/discover.ts'
import { addDlq } from './commands/dlq.ts'
import { addDrop } from './commands/drop.ts'
import { addExplain } from './commands/explain.ts'
import { addExplainExpr } from './commands/explain-expr.ts'
import { addInit } from './commands/init.ts'
import { addLint } from './commands/lint.ts'
import { addPlan } from './commands/plan.ts'
import { addPreview } from './commands/preview.ts'
import { addResync } from './commands/resync.ts'
import { addRun } from './commands/run.ts'
import { addSchema } from './commands/schema.ts'
import { addStatus } from './commands/status.ts'
import { addTest } from './commands/test.ts'
import { addThrottle } from './commands/throttle.ts'
import { addTypes } from './commands/types.ts'
import { addVerify } from './commands/verify.ts'
import type { AddCommand, CommandContext } from './context.ts'
import { logFailure, printFailure } from './failure.ts'
import { flag, isOn, readSwitches } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Wiring } from './wiring.ts'

/** In the order in which somebody new meets them. */
const COMMANDS: readonly AddCommand[] = [
  addInit,
  addLint,
  addTest,
  addCheck,
  addDiscover,
  addTypes,
  addPreview,
  addPlan,
  addRun,
  addStatus,
  addVerify,
  addResync,
  addDlq,
  addThrottle,
  addDrop,
  addSchema,
  addExplain,
  addExplainExpr,
]

/** A wrong command line is a wrong configuration. */
const EXIT_USAGE = 2

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 configuration, 3 source not ready, 4 refused because
changes would be lost, 5 verification or a test differs, 6 another instance runs,
10 a plan has changes, 130 second signal.
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
  let pipeline: string | null = null
  const context: CommandContext = {
    terminal,
    wiring,
    setExitCode: (code) => (exitCode = code),
    setPipeline: (name) => (pipeline = name),
  }
  // Asked of the arguments themselves: those that cannot be read have no options.
  const json = args.includes('--json') || isOn('MILLRACE_JSON', terminal.env)
  const program = buildProgram(context, json)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, terminal, json)
    const verbose = program.opts<{ verbose?: boolean }>().verbose === true
    const debug = isOn('MILLRACE_DEBUG', terminal.env)
    const command = commandOf(program, args)
    const format = { json, verbose: verbose || debug, file: fileOf(command) }
    const logs = command?.name() === 'run' && (json || !terminal.interactive)
    const exit = logs ? logFailure(error, failureLog(terminal, pipeline), format) : null
    // Who reads JSON lines has read it now; people find it on standard error as well.
    return exit !== null && json ? exit : printFailure(error, terminal, format)
  }
}

function failureLog(terminal: Terminal, pipeline: string | null): Log {
  return createLog({
    level: 'error',
    facts: pipeline === null ? {} : { pipeline },
    write: (line) => terminal.draw(line),
    clock: terminal.clock,
  })
}

/** Commander has said it to people already. */
function reportUsage(error: CommanderError, terminal: Terminal, json: boolean): number {
  if (error.exitCode === 0) return 0
  if (json) {
    const help = error.code === 'commander.help'
    const message = help ? 'a command is missing' : error.message.replace(/^error: /, '')
    const hint = 'Run `millrace --help`, or the command with `--help`.'
    const usage = new PipelineError('CONFIG_VALUE', message.replaceAll('\n', ' '), { hint })
    printFailure(usage, terminal, { json, verbose: false })
  }
  return EXIT_USAGE
}

function buildProgram(context: CommandContext, json: boolean): Command {
  const { terminal } = context
  const program = new Command('millrace')
  program
    .description('Streams MySQL, MariaDB and PostgreSQL changes into Iceberg tables, exactly once.')
    .version(packageVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addOption(flag('--json', 'print JSON for programs'))
    .addOption(flag('--verbose', 'print stacks of errors, and more of the log'))
    .addHelpText('after', EXIT_CODES)
    .configureHelp({ optionDescription: describeOption })
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => (json ? undefined : terminal.err(text.trimEnd())),
    })
    .hook('preAction', (_program, command) => {
      for (const one of [program, command]) readSwitches(one, terminal.env)
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

function commandOf(program: Command, args: readonly string[]): Command | undefined {
  return program.commands.find((candidate) => args.includes(candidate.name()))
}

/** The pipeline file that the command was given, if it takes one. */
function fileOf(command: Command | undefined): string | null {
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
