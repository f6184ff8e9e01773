// Seeded randomness of the workloads: a failure prints its seed, and SEED=n draws the same actions
// again. How they interleave is up to the servers.
import { randomId32 } from '../../runtime/base/clock.ts'

/** @returns SEED of the environment, else a new one; printed, so that a failure can be repeated */
export function drawSeed(name: string): number {
  const given = process.env['SEED']
  const seed = given === undefined ? randomId32() : Number(given)
  if (!Number.isSafeInteger(seed)) throw new Error(`SEED must be a whole number, not ${given}`)
  console.log(`${name}: SEED=${seed}`)
  return seed
}

/** Mulberry32: small, fast, and good enough to scatter keys and actions. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** Another stream that does not depend on how far this one has been read. */
  static of(seed: number, stream: number): Random {
    const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b))
    random.next()
    return random
  }

  /** 0 or more, less than 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number, both ends included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** One to all of the items, in their order. */
  some<T>(items: readonly T[]): T[] {
    const taken = items.filter(() => this.chance(0.5))
    return taken.length > 0 ? taken : [this.pick(items)]
  }

  hex(bytes: number): string {
    let text = ''
    for (let count = 0; count < bytes; count++) {
      text += this.int(0, 255).toString(16).padStart(2, '0')
    }
    return text
  }

  digits(count: number): string {
    let text = ''
    while (text.length < count) text += this.int(0, 9)
    return text
  }
}
