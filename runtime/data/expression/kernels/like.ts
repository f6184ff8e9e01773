// LIKE: `%` is any text, `_` one code point, the escape character takes the next one as it is. With
// ILIKE both sides are lowered code point by code point. Time is the product of the lengths at
// most: after a `%` only the last one is ever gone back to.

import { lowerText } from './letter-case.ts'

const ANY_TEXT = -1
const ANY_CHARACTER = -2

const decoder = new TextDecoder()

export class LikePattern {
  /** Bytes of literal characters, ANY_TEXT, ANY_CHARACTER. */
  private readonly steps: Int32Array
  private readonly ignoreCase: boolean

  constructor(steps: Int32Array, ignoreCase: boolean) {
    this.steps = steps
    this.ignoreCase = ignoreCase
  }

  matches(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.ignoreCase) return this.run(bytes, start, end)
    const lowered = lowerBytes(bytes, start, end)
    return this.run(lowered, 0, lowered.length)
  }

  private run(bytes: Uint8Array, start: number, end: number): boolean {
    const { steps } = this
    let at = start
    let step = 0
    let retryStep = -1
    let retryAt = 0
    while (at < end) {
      const wanted = step < steps.length ? steps[step]! : 256
      if (wanted === ANY_TEXT) {
        retryStep = ++step
        retryAt = at
      } else if (wanted === ANY_CHARACTER) {
        at = afterCharacter(bytes, at, end)
        step++
      } else if (wanted === bytes[at]) {
        at++
        step++
      } else if (retryStep >= 0) {
        retryAt = afterCharacter(bytes, retryAt, end)
        at = retryAt
        step = retryStep
      } else return false
    }
    while (step < steps.length && steps[step] === ANY_TEXT) step++
    return step === steps.length
  }
}

function afterCharacter(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1
  while (at < end && (bytes[at]! & 0xc0) === 0x80) at++
  return at
}

function lowerBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const lowered = bytes.slice(start, end)
  for (let at = 0; at < lowered.length; at++) {
    const byte = lowered[at]!
    if (byte >= 0x80) return new TextEncoder().encode(lowerText(decoder.decode(lowered)))
    if (byte >= 0x41 && byte <= 0x5a) lowered[at] = byte | 0x20
  }
  return lowered
}

/** @returns `null` when the pattern ends with the escape character */
export function likePattern(
  pattern: string,
  ignoreCase: boolean,
  escape: string,
): LikePattern | null {
  const steps: number[] = []
  const characters = Array.from(ignoreCase ? lowerText(pattern) : pattern)
  for (let at = 0; at < characters.length; at++) {
    let character = characters[at] ?? ''
    if (character === '%' && character !== escape) steps.push(ANY_TEXT)
    else if (character === '_' && character !== escape) steps.push(ANY_CHARACTER)
    else {
      if (character === escape) {
        at++
        if (at === characters.length) return null
        character = characters[at] ?? ''
      }
      steps.push(...new TextEncoder().encode(character))
    }
  }
  return new LikePattern(Int32Array.from(steps), ignoreCase)
}

/** A pattern that changes from row to row: the last one is kept. */
export class LikeColumn {
  private readonly ignoreCase: boolean
  private readonly escape: string
  private text = ''
  private pattern: LikePattern | null

  constructor(ignoreCase: boolean, escape: string) {
    this.ignoreCase = ignoreCase
    this.escape = escape
    this.pattern = likePattern('', ignoreCase, escape)
  }

  /** @returns 0, 1, or -1: the pattern ends with the escape character */
  matches(
    bytes: Uint8Array,
    start: number,
    end: number,
    pattern: Uint8Array,
    patternStart: number,
    patternEnd: number,
  ): number {
    const text = decoder.decode(pattern.subarray(patternStart, patternEnd))
    if (text !== this.text) {
      this.text = text
      this.pattern = likePattern(text, this.ignoreCase, this.escape)
    }
    if (this.pattern === null) return -1
    return this.pattern.matches(bytes, start, end) ? 1 : 0
  }
}
