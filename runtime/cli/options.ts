// Options of the command line, and parsers of values that several commands share.

import { type Command, Option } from 'commander'
import { PipelineError } from '../base/errors.ts'
import type { Environment } from '../job/config/variables.ts'

/** An option that the environment can give too: `--log-level` as MILLRACE_LOG_LEVEL. */
export function flag(flags: string, description: string): Option {
  const option = new Option(flags, description)
  if (!option.isBoolean()) return option.env(variableOf(option))
  // To Commander a switch is on when its variable is there, whatever it says.
  switches.add(option)
  return option
}

/** Those that `readSwitches` sets; Commander has switches of its own. */
const switches = new WeakSet<Option>()

function variableOf(option: Option): string {
  return `MILLRACE_${option.name().replaceAll('-', '_').toUpperCase()}`
}

/**
 * Sets the switches of a command that the environment gives and the command line does not.
 *
 * @throws PipelineError CONFIG_VALUE
 */
export function readSwitches(command: Command, env: Environment): void {
  for (const option of command.options.filter((candidate) => switches.has(candidate))) {
    const name = option.attributeName()
    const variable = variableOf(option)
    const on = parseSwitch(env[variable])
    if (on === undefined) {
      throw new PipelineError('CONFIG_VALUE', `${variable} is neither yes nor no`, {
        detail: `It is "${env[variable]}".`,
        hint: 'Write 1, true or yes, or 0, false or no.',
      })
    }
    const given = command.getOptionValueSource(name) !== undefined
    if (on !== null && !given) command.setOptionValueWithSource(name, on, 'env')
  }
}

/** @returns `null` when nothing is said; `undefined` when what is said is neither yes nor no */
function parseSwitch(text: string | undefined): boolean | null | undefined {
  if (text === undefined || text === '') return null
  if (/^(?:1|true|yes)$/i.test(text)) return true
  return /^(?:0|false|no)$/i.test(text) ? false : undefined
}

/** For switches that must work where the command line could not be read. */
export function isOn(variable: string, env: Environment): boolean {
  return parseSwitch(env[variable]) === true
}

/** For options that may be given several times. */
export function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value]
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/**
 * @param text  `127.0.0.1:9187`, `[::1]:9187`, `:9187` or `9187` (this machine)
 * @throws PipelineError CONFIG_VALUE
 */
export function parseListen(text: string): ListenAddress {
  const [, host, port] = /^(?:(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?)(\d{1,5})$/.exec(text) ?? []
  const number = Number(port)
  if (port === undefined || number > 65_535) {
    throw new PipelineError('CONFIG_VALUE', `--listen ${text} is not of the form host:port`, {
      hint: 'Write it as `--listen 127.0.0.1:9187`; port 0 takes any free one.',
    })
  }
  return { host: (host ?? '').replace(/^\[|\]$/g, '') || '127.0.0.1', port: number }
}
