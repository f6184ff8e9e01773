// How long a start waits for the one who holds its slot, on a clock of the test.

import { expect, test } from 'vitest'
import { freeSlot } from '../../connectors/postgres/slot-wait.ts'
import { systemClock, type Clock } from '../../runtime/base/clock.ts'

interface Holder {
  /** It lets go of the slot then; infinity: never. */
  readonly untilMs: number
  /** It answers the server this often; 0: it is dead. */
  readonly repliesMs: number
  readonly timeoutMs: number
}

/** @returns how long the start waited, and how it ended */
async function waited({ untilMs, repliesMs, timeoutMs }: Holder): Promise<[number, string]> {
  let nowMs = 0
  const clock: Clock = {
    ...systemClock,
    elapsedMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms
    },
  }
  const ask = async (): Promise<Record<string, unknown>[]> => [
    {
      active: nowMs < untilMs,
      confirmed: '0/1',
      reply: repliesMs === 0 ? '0' : String(Math.floor(nowMs / repliesMs)),
    },
  ]
  const end = await freeSlot(ask, clock, 's', timeoutMs).then(
    () => 'free',
    (error: { error: string }) => error.error,
  )
  return [nowMs, end]
}

const NEVER = Number.POSITIVE_INFINITY

test('a dead connection of ours is waited for until the server ends it', async () => {
  for (const timeoutMs of [1000, 60_000, 300_000]) {
    const holder = { untilMs: timeoutMs + 5000, repliesMs: 0, timeoutMs }
    expect(await waited(holder)).toEqual([timeoutMs + 5000, 'free'])
  }
})

test('a reader that is alive is left its slot after half a minute', async () => {
  const [ms, end] = await waited({ untilMs: NEVER, repliesMs: 10_000, timeoutMs: 300_000 })
  expect(end).toBe('SLOT_IN_USE')
  expect(ms).toBe(30_000)
})

test('a holder that the server never ends is named in the end', async () => {
  const [ms, end] = await waited({ untilMs: NEVER, repliesMs: 0, timeoutMs: 60_000 })
  expect(end).toBe('SLOT_IN_USE')
  expect(ms).toBe(70_000)
})
