// A terminal without a user: what a command wrote, and a clock and signals that the test moves.

import type { Clock } from '../../runtime/base/clock.ts'
import type { Terminal } from '../../runtime/cli/terminal.ts'

interface Timer {
  readonly atMs: number
  readonly task: () => void
}

export class FakeClock implements Clock {
  #nowMs = Date.UTC(2026, 10, 20, 12, 0, 0)
  readonly #startMs = this.#nowMs
  readonly #timers = new Set<Timer>()

  nowMs(): number {
    return this.#nowMs
  }

  nowUs(): bigint {
    return BigInt(this.#nowMs) * 1000n
  }

  elapsedMs(): number {
    return this.#nowMs - this.#startMs
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.after(ms, resolve))
  }

  after(ms: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, task }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  every(): () => void {
    throw new Error('no command ticks by itself')
  }

  /** Moves on, running what falls due. */
  advance(ms: number): void {
    this.#nowMs += ms
    for (const timer of this.#timers) {
      if (timer.atMs > this.#nowMs) continue
      this.#timers.delete(timer)
      timer.task()
    }
  }
}

interface FakeTerminalOptions {
  interactive?: boolean
  /** Default: as interactive. */
  answers?: boolean
  env?: Record<string, string>
}

export class FakeTerminal implements Terminal {
  stdout = ''
  stderr = ''
  readonly exits: number[] = []
  readonly clock = new FakeClock()
  readonly questions: string[] = []
  readonly interactive: boolean
  readonly answers: boolean
  readonly env: Record<string, string | undefined>
  answer = ''
  readonly #listeners = new Set<(signal: NodeJS.Signals) => void>()

  constructor(options: FakeTerminalOptions = {}) {
    this.interactive = options.interactive ?? false
    this.answers = options.answers ?? this.interactive
    this.env = options.env ?? {}
  }

  out(text: string): void {
    this.stdout += `${text}\n`
  }

  err(text: string): void {
    this.stderr += `${text}\n`
  }

  draw(text: string): void {
    this.stdout += text
  }

  columns(): number {
    return 100
  }

  rows(): number {
    return 24
  }

  async ask(question: string): Promise<string> {
    this.questions.push(question)
    return this.answer
  }

  onSignal(listener: (signal: NodeJS.Signals) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  signal(name: NodeJS.Signals = 'SIGTERM'): void {
    for (const listener of this.#listeners) listener(name)
  }

  listening(): boolean {
    return this.#listeners.size > 0
  }

  exit(code: number): void {
    this.exits.push(code)
  }

  /** Standard output as the JSON lines that it is. */
  lines(): Record<string, unknown>[] {
    return this.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}
