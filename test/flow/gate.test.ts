import { expect, test } from 'vitest'
import type { Element } from '../../runtime/data/element.ts'
import { InputGate, type GateInput } from '../../runtime/flow/gate.ts'

/** An input whose elements the test hands over one by one. */
class HandFed implements GateInput {
  private readonly queue: (Element | null)[] = []
  private waiting: ((element: Element | null) => void) | null = null

  feed(element: Element | null): void {
    if (this.waiting === null) this.queue.push(element)
    else this.waiting(element)
    this.waiting = null
  }

  next(): Promise<Element | null> {
    const element = this.queue.shift()
    if (element !== undefined) return Promise.resolve(element)
    return new Promise((resolve) => {
      this.waiting = resolve
    })
  }
}

const truncate = (table: string): Element => ({ kind: 'truncate', table, order: 0n })
const barrier = (epoch: number): Element => ({ kind: 'barrier', epoch })

async function settled<T>(promise: Promise<T>): Promise<T | 'waits'> {
  const turns = new Promise<'waits'>((resolve) => setImmediate(() => resolve('waits')))
  return Promise.race([promise, turns])
}

test('a barrier waits for the slowest input', async () => {
  const [left, right] = [new HandFed(), new HandFed()]
  const gate = new InputGate([left, right])
  left.feed(barrier(1))
  const next = gate.next()
  expect(await settled(next)).toBe('waits')
  right.feed(truncate('late'))
  expect(await next).toEqual(truncate('late'))
  right.feed(barrier(1))
  expect(await gate.next()).toEqual(barrier(1))
})

test('what follows a barrier on one input waits until all have delivered it', async () => {
  const [left, right] = [new HandFed(), new HandFed()]
  const gate = new InputGate([left, right])
  left.feed(barrier(1))
  left.feed(truncate('next epoch'))
  right.feed(truncate('this epoch'))
  right.feed(barrier(1))
  expect(await gate.next()).toEqual(truncate('this epoch'))
  expect(await gate.next()).toEqual(barrier(1))
  expect(await gate.next()).toEqual(truncate('next epoch'))
})

test('an input that has ended holds no barrier back, and the gate ends with its last input', async () => {
  const [left, right] = [new HandFed(), new HandFed()]
  const gate = new InputGate([left, right])
  left.feed(null)
  right.feed(barrier(7))
  right.feed(null)
  expect(await gate.next()).toEqual(barrier(7))
  expect(await gate.next()).toBeNull()
})

test('inputs that deliver barriers in another order are a fault of ours', async () => {
  const [left, right] = [new HandFed(), new HandFed()]
  const gate = new InputGate([left, right])
  left.feed(barrier(1))
  right.feed(barrier(2))
  await expect(gate.next()).rejects.toThrow('same order')
})
