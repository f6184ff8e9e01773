// What the program says to those who run it: one JSON object a line. Error: data or availability is
// lost; warn: unexpected, recovered; info: the state changed; debug: one pipeline's detail. Values
// of cells never go in.

import { createRequire } from 'node:module'
import type pino from 'pino'
import type { Logger } from 'pino'
import { type Clock, systemClock } from './clock.ts'
import { errorCodes } from './error-codes.ts'
import { PipelineError } from './errors.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type LogFacts = Readonly<Record<string, unknown>>

export interface Log {
  debug(message: string, facts?: LogFacts): void
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
  /** A log that adds `facts` to every line. */
  with(facts: LogFacts): Log
}

export interface LogOptions {
  readonly level: LogLevel
  /** On every line: the pipeline's name. */
  readonly facts?: LogFacts
  /** Takes whole lines; default: standard output, synchronously: no line is lost at exit. */
  readonly write?: (line: string) => void
  readonly clock?: Clock
}

/**
 * The library is loaded with the first line: most threads never say one, and what it takes of their
 * heap decides how often the garbage is collected.
 *
 * @returns a log whose lines have `level`, `time` (ISO 8601, UTC), `msg` and the facts
 */
export function createLog(options: LogOptions): Log {
  const { level, facts = {} } = options
  return wrap(() => openLogger(options).child(plain(facts)), LOG_LEVELS.indexOf(level))
}

function openLogger({ level, write, clock = systemClock }: LogOptions): Logger {
  const load = createRequire(import.meta.url)('pino') as typeof pino
  const target = write === undefined ? load.destination({ fd: 1, sync: true }) : { write }
  return load(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    target,
  )
}

/** A log that says nothing, for tests and one-shot commands. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLog,
}

/** @param least  index in LOG_LEVELS of what is said */
function wrap(open: () => Logger, least: number): Log {
  let opened: Logger | null = null
  const logger = (): Logger => (opened ??= open())
  const say =
    (level: Exclude<LogLevel, 'silent'>) =>
    (message: string, facts: LogFacts = {}) => {
      if (LOG_LEVELS.indexOf(level) >= least) logger()[level](plain(facts), message)
    }
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: (facts) => wrap(() => logger().child(plain(facts)), least),
  }
}

/** JSON has no 64-bit integers, and an error has no enumerable keys: both would be lost. */
function plain(facts: LogFacts): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'bigint') record[name] = value.toString()
    else if (value instanceof PipelineError) {
      const { error, message, detail, hint } = value
      record[name] = { code: errorCodes[error].code, error, message, detail, hint }
    } else if (value instanceof Error) record[name] = { message: value.message, stack: value.stack }
    else record[name] = value
  }
  return record
}
