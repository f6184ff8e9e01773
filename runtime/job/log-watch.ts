// Whether the log that a pipeline reads is alive. A connection may be dead without an end: then
// nothing fails, nothing comes, and a pipeline that only reports failures would run for ever.

import type { Clock } from '../base/clock.ts'
import { errorCodes } from '../base/error-codes.ts'
import { recordOf, type ErrorRecord } from '../base/errors.ts'
import type { LogLink } from '../source.ts'

/** opening: nothing came yet. silent: for longer than a living server is. lost: opened again. */
export type LogCondition = 'opening' | 'open' | 'silent' | 'lost'

export interface LogState {
  readonly condition: LogCondition
  /** The server's last sign of life, or when opening began: milliseconds since 1970. */
  readonly heardAtMs: number
  /** Why it was lost; `null` unless it is being opened again. */
  readonly error: ErrorRecord | null
}

/**
 * A process that was itself stopped finds bytes in its sockets only after its timers have run, so
 * silence counts when it is still there this long after it was first seen.
 */
const SECOND_LOOK_MS = 200

/** In the source thread; to be asked a few times a second. */
export class LogWatch {
  private readonly clock: Clock
  private readonly startMs: number
  private suspectMs: number | null = null

  constructor(clock: Clock) {
    this.clock = clock
    this.startMs = clock.elapsedMs()
  }

  look(link: LogLink | null): LogState {
    const nowMs = this.clock.elapsedMs()
    const silentMs = link === null ? nowMs - this.startMs : link.silentMs
    const heardAtMs = this.clock.nowMs() - silentMs
    const error = link === null || link.lost === null ? null : recordOf(link.lost)
    if (error !== null) {
      this.suspectMs = null
      return { condition: 'lost', heardAtMs, error }
    }
    if (link !== null && silentMs > link.silentMsMax) this.suspectMs ??= nowMs
    else this.suspectMs = null
    const silent = this.suspectMs !== null && nowMs - this.suspectMs >= SECOND_LOOK_MS
    const condition = silent ? 'silent' : link?.open === true ? 'open' : 'opening'
    return { condition, heardAtMs, error: null }
  }
}

type Tell = (level: 'info' | 'warn', message: string, facts: object) => void

/** In the main thread: says each change once, since when it is so, and the last error's code. */
export class LogNotices {
  private readonly tell: Tell
  private condition: LogCondition = 'open'
  private heardAtMs: number | null = null
  /** Of the trouble that has not ended yet. */
  private sinceMs: number | null = null
  private code: string | null = null

  constructor(tell: Tell) {
    this.tell = tell
  }

  /** The attempt ended, and the log with it. What is said of that, the caller says. */
  failed(error: ErrorRecord, nowMs: number): object {
    this.condition = 'lost'
    this.code = errorCodes[error.error].code
    this.sinceMs ??= this.heardAtMs ?? nowMs
    return this.facts()
  }

  heard({ condition, heardAtMs, error }: LogState, nowMs: number): void {
    const before = this.condition
    // A log that is being opened after trouble is no news yet, neither good nor bad.
    if (condition !== 'opening') this.condition = condition
    if (condition === 'open') {
      this.heardAtMs = heardAtMs
      if (this.sinceMs === null) return
      this.tell('info', 'the log is read again', { ...this.facts(), forMs: nowMs - this.sinceMs })
      this.sinceMs = null
      this.code = null
      return
    }
    if (condition === 'opening') return
    this.sinceMs ??= heardAtMs
    if (error !== null) this.code = errorCodes[error.error].code
    if (condition === before) return
    if (error === null) this.tell('warn', 'the server of the log is silent', this.facts())
    else this.tell('warn', 'the log is lost and opened again', { ...this.facts(), ...error })
  }

  private facts(): { since: string | null; code: string | null } {
    const { sinceMs, code } = this
    return { since: sinceMs === null ? null : new Date(sinceMs).toISOString(), code }
  }
}
