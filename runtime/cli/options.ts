// Options of the command line, and parsers of values that several commands share.

import { Option } from 'commander'
import { PipelineError } from '../base/errors.ts'

/** An option that the environment can give too: `--log-level` as MILLRACE_LOG_LEVEL. */
export function flag(flags: string, description: string): Option {
  const option = new Option(flags, description)
  // Commander looks at the variable when the option is added to its command, not later.
  return option.env(`MILLRACE_${option.name().replaceAll('-', '_').toUpperCase()}`)
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
