// Takes clocks and randomness away from a script that has not said that it needs them: the same
// rows must give the same again when they are replayed after a crash. It is a reminder, no sandbox.

const HINT = 'a script gives the same for the same rows; `deterministic: false` allows it'

/** Of the thread that calls it, for good. */
export function forbidChance(): void {
  const { Date: RealDate, crypto, performance } = globalThis
  const refuse = (name: string) => (): never => {
    throw new Error(`${name}: ${HINT}`)
  }
  class FixedDate extends RealDate {
    constructor(...parts: [] | [number | string | Date]) {
      if (parts.length === 0) refuse('a Date of now')()
      super(...(parts as [number]))
    }

    static override now(): number {
      return refuse('Date.now')()
    }
  }
  const replace = (target: object, name: string, value: unknown): void => {
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
  }
  replace(globalThis, 'Date', FixedDate)
  replace(Math, 'random', refuse('Math.random'))
  replace(crypto, 'randomUUID', refuse('crypto.randomUUID'))
  replace(crypto, 'getRandomValues', refuse('crypto.getRandomValues'))
  replace(performance, 'now', refuse('performance.now'))
}
