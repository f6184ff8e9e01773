// What `run` shows of the pipeline: on a terminal lines that are drawn anew in place, with notices
// above them; otherwise one JSON object a line.

import { createLog, type Log, type LogFacts, type LogLevel } from '../base/log.ts'
import { renderProgress } from '../console/progress.ts'
import type { PipelineStatus } from '../console/status.ts'
import type { Terminal } from './terminal.ts'

/** How often a log that nobody watches says how far it is. */
const SUMMARY_MS = 30_000

export interface Display {
  readonly log: Log
  show(status: PipelineStatus): void
  /** Leaves the last lines standing. */
  end(): void
}

/** For people: the lines of `renderProgress` at the bottom of the screen. */
export class ScreenDisplay implements Display {
  readonly log: Log
  readonly #terminal: Terminal
  #drawn: readonly string[] = []

  constructor(terminal: Terminal, verbose: boolean) {
    this.#terminal = terminal
    this.log = this.#logWith({}, verbose)
  }

  show(status: PipelineStatus): void {
    const terminal = this.#terminal
    // The last line stays free, else drawing the one above it would scroll.
    const linesMax = Math.max(2, terminal.rows() - 1)
    this.#draw(renderProgress(status, terminal.columns() - 1, linesMax))
  }

  end(): void {
    this.#drawn = []
  }

  #draw(lines: readonly string[]): void {
    this.#terminal.draw(`${this.#erase()}${lines.map((line) => `${line}\n`).join('')}`)
    this.#drawn = lines
  }

  #erase(): string {
    return this.#drawn.length === 0 ? '' : `\u001B[${this.#drawn.length}A\u001B[J`
  }

  #notice(level: LogLevel, message: string, facts: LogFacts): void {
    const time = new Date(this.#terminal.clock.nowMs()).toISOString().slice(11, 19)
    const erased = this.#erase()
    const lines = this.#drawn.map((line) => `${line}\n`).join('')
    this.#terminal.draw(
      `${erased}${time} ${level.padEnd(5)} ${message}${formatFacts(facts)}\n${lines}`,
    )
  }

  #logWith(base: LogFacts, verbose: boolean): Log {
    const say =
      (level: LogLevel) =>
      (message: string, facts: LogFacts = {}) =>
        this.#notice(level, message, { ...base, ...facts })
    // Commits and checkpoints come by the second; the progress lines show them.
    const quiet = (): void => undefined
    return {
      debug: verbose ? say('debug') : quiet,
      info: verbose ? say('info') : quiet,
      warn: say('warn'),
      error: say('error'),
      with: (facts) => this.#logWith({ ...base, ...facts }, verbose),
    }
  }
}

/** For machines. */
export class LogDisplay implements Display {
  readonly log: Log
  readonly #terminal: Terminal
  #summaryMs = -Infinity
  #state = ''

  constructor(terminal: Terminal, level: LogLevel, pipeline: string) {
    this.#terminal = terminal
    const { clock } = terminal
    const write = (line: string): void => terminal.draw(line)
    this.log = createLog({ level, facts: { pipeline }, write, clock })
  }

  show(status: PipelineStatus): void {
    const nowMs = this.#terminal.clock.elapsedMs()
    if (status.state === this.#state && nowMs - this.#summaryMs < SUMMARY_MS) return
    this.#state = status.state
    this.#summaryMs = nowMs
    const { state, phase, tables, backfill, log, lag, rates, position, checkpoint, commit } = status
    const facts = { state, phase, tables, backfill, log, lag, rates, position, checkpoint, commit }
    this.log.info('progress', facts)
  }

  end(): void {
    // Nothing stands on the screen.
  }
}

function formatFacts(facts: LogFacts): string {
  const shown = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined)
  const text = shown.map(([name, value]) => `${name}=${formatValue(value)}`).join(' ')
  return text === '' ? '' : `  ${text}`.replace(/\p{Cc}/gu, '?')
}

function formatValue(value: unknown): string {
  if (value instanceof Error) return value.message
  if (typeof value === 'string') return value
  return typeof value === 'bigint' ? value.toString() : (JSON.stringify(value) ?? '')
}
