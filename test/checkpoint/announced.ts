// What a source has, tick by tick, and what whoever is told of its partitions must have heard in
// the end: an oracle that knows nothing of checkpoints, crashes or commits.

import fc from 'fast-check'
import { expect } from 'vitest'

export const HOUR_US = 3_600_000_000n
export const DELAY_US = HOUR_US / 2n

/** Rows of some hours, deletes in others, and time passes. Rows may be late, or far ahead. */
export interface Tick {
  readonly adds: readonly number[]
  readonly deletes: readonly number[]
  readonly halfHours: number
}

export const tick: fc.Arbitrary<Tick> = fc.record({
  adds: fc.array(fc.nat(9), { maxLength: 3 }),
  deletes: fc.array(fc.nat(9), { maxLength: 1 }),
  halfHours: fc.nat(3),
})

/** An announcement as a notifier heard it. */
export interface Effect {
  readonly notifier: string
  readonly sequence: number
  readonly number: number
  readonly generation: number
  readonly watermarkUs: bigint
  readonly files: number
  /** Changes of the partition that were visible in the lake when it was told. */
  readonly visible: number
  /** Of these, those that its epoch and the epochs before it hold. */
  readonly due: number
}

export function timeAt(ticks: readonly Tick[], position: number): bigint {
  const halfHours = ticks.slice(0, position).reduce((sum, one) => sum + one.halfHours, 0)
  return (BigInt(halfHours) * HOUR_US) / 2n
}

/** Changes of a partition in ticks before `to`. */
export function changesOf(ticks: readonly Tick[], hour: number, to: number): number {
  return ticks.slice(0, to).reduce((sum, { adds, deletes }) => {
    return sum + [...adds, ...deletes].filter((one) => one === hour).length
  }, 0)
}

/**
 * Of one notifier, when everything has been read, committed and told.
 *
 * @param begin  hour of the first watermark that was saved
 */
export function checkEffects(
  effects: readonly Effect[],
  ticks: readonly Tick[],
  begin: number,
): void {
  for (const { number, watermarkUs, visible, due } of effects) {
    expect(visible).toBeGreaterThanOrEqual(due)
    expect(watermarkUs >= BigInt(number + 1) * HOUR_US + DELAY_US).toBe(true)
  }
  const heard = firstHearings(effects)
  checkOrder(heard, begin)
  checkComplete(heard, ticks, begin)
}

/** By generation. Whoever hears of one again hears the same. */
function firstHearings(effects: readonly Effect[]): Effect[] {
  const heard = new Map<string, Effect>()
  for (const effect of effects) {
    const key = `${effect.number}/${effect.generation}`
    const before = heard.get(key)
    if (before === undefined) heard.set(key, effect)
    else expect({ ...effect, visible: 0 }).toEqual({ ...before, visible: 0 })
  }
  return [...heard.values()]
}

/** Hours follow each other from where it began; those of before come as their rows do. */
function checkOrder(heard: readonly Effect[], begin: number): void {
  const sequences = heard.map(({ sequence }) => sequence)
  expect(sequences).toEqual([...sequences].sort((left, right) => left - right))
  const generations = new Map<number, number>()
  let next = begin
  for (const { number, generation } of heard) {
    expect(generation).toBe((generations.get(number) ?? 0) + 1)
    generations.set(number, generation)
    if (generation === 1 && number >= begin) expect(number).toBe(next++)
  }
}

/** What was visible when the last generation was told is all that ever came. */
function checkComplete(heard: readonly Effect[], ticks: readonly Tick[], begin: number): void {
  const last = new Map(heard.map((effect) => [effect.number, effect]))
  const end = timeAt(ticks, ticks.length)
  for (let hour = 0; BigInt(hour + 1) * HOUR_US + DELAY_US <= end; hour++) {
    const effect = last.get(hour)
    const all = changesOf(ticks, hour, ticks.length)
    // Of hours before it began nobody can say what is missing; those that have rows are told.
    if (effect === undefined && hour < begin && all === 0) continue
    if (effect === undefined) throw new Error(`hour ${hour} was never told`)
    expect(effect.visible).toBe(all)
    const files = ticks.flatMap(({ adds }) => adds).filter((one) => one === hour).length
    expect(effect.files).toBe(files)
  }
}
