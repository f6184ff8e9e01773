// Aligns the inputs of one writer: a barrier leaves the gate once every input has delivered it, and
// what an input sends behind its barrier waits until then. So one epoch is one cut over all inputs.

import { assert } from '../base/assert.ts'
import type { Barrier, Element } from '../data/element.ts'

/** What the gate needs of a channel: the next element, or `null` at its end. */
export interface GateInput {
  next(): Promise<Element | null>
}

/** An input and what has come from it. */
interface Lane {
  readonly input: GateInput
  /** `blocked` has delivered the barrier that the others still owe. */
  state: 'open' | 'blocked' | 'ended'
  /** The outstanding `next`; resolves when `arrived` is set. */
  pending: Promise<void> | null
  arrived: { readonly element: Element | null } | null
}

/** Merges inputs; order is kept within each. */
export class InputGate {
  private readonly lanes: readonly Lane[]
  /** Of the barrier that some input has delivered and not all. */
  private barrier: Barrier | null = null

  constructor(inputs: readonly GateInput[]) {
    this.lanes = inputs.map((input) => ({ input, state: 'open', pending: null, arrived: null }))
  }

  /** @returns the next element; a barrier once for all inputs; `null` when all inputs have ended */
  async next(): Promise<Element | null> {
    for (;;) {
      for (const lane of this.lanes) {
        const element = this.take(lane)
        if (element !== null) return element
      }
      const aligned = this.align()
      if (aligned !== null) return aligned
      const open = this.lanes.filter(({ state }) => state === 'open')
      if (open.length === 0) return null
      await Promise.race(open.map((lane) => this.request(lane)))
    }
  }

  /** @returns a row or control that has arrived; a barrier or an end only changes the lane */
  private take(lane: Lane): Element | null {
    if (lane.state !== 'open' || lane.arrived === null) return null
    const { element } = lane.arrived
    lane.arrived = null
    if (element === null) {
      lane.state = 'ended'
      return null
    }
    if (element.kind !== 'barrier') return element
    const isNext = this.barrier === null || this.barrier.epoch === element.epoch
    assert(isNext, 'inputs deliver barriers in the same order')
    this.barrier = element
    lane.state = 'blocked'
    return null
  }

  /** An ended input delivers no more barriers, so it counts as aligned. */
  private align(): Element | null {
    const { barrier } = this
    if (barrier === null || this.lanes.some(({ state }) => state === 'open')) return null
    this.barrier = null
    for (const lane of this.lanes) if (lane.state === 'blocked') lane.state = 'open'
    return barrier
  }

  private request(lane: Lane): Promise<void> {
    lane.pending ??= lane.input.next().then((element) => {
      lane.arrived = { element }
      lane.pending = null
    })
    return lane.pending
  }
}
