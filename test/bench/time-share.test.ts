// The bench's time, on a clock that moves when it is told to.
import { expect, test } from 'vitest'
import { TimeShare } from '../../bench/time-share.ts'

function shareOf(endMs: number): { share: TimeShare; pass: (ms: number) => void } {
  let nowMs = 0
  const pass = (ms: number): void => void (nowMs += ms)
  return { share: new TimeShare(() => nowMs, endMs), pass }
}

function roundsOf(share: TimeShare, most: number, work: (round: number) => void): number {
  const rounds = share.rounds(most)
  while (rounds.next()) work(rounds.begun)
  return rounds.begun
}

test('as many rounds as wanted, where they fit', () => {
  const { share, pass } = shareOf(1000)
  expect(roundsOf(share, 5, () => pass(200))).toBe(5)
})

test('a round that might not end in time does not begin', () => {
  const { share, pass } = shareOf(1000)
  expect(roundsOf(share, 5, () => pass(201))).toBe(4)
  const slow = shareOf(1000)
  // After the second 400 are left, and the slowest took 500.
  expect(roundsOf(slow.share, 5, (round) => slow.pass(round === 1 ? 500 : 100))).toBe(2)
})

test('one round is run however late it is', () => {
  const { share, pass } = shareOf(1000)
  pass(5000)
  expect(roundsOf(share.part(2), 5, () => pass(1))).toBe(1)
})

test('what one part leaves or takes too much is the gain or loss of those after it', () => {
  const { share, pass } = shareOf(900)
  const first = share.part(3)
  expect(first.fits(300)).toBe(true)
  expect(first.fits(301)).toBe(false)
  pass(100)
  expect(share.part(2).fits(400)).toBe(true)
  expect(share.part(2).fits(401)).toBe(false)
  pass(700)
  expect(share.part(1).fits(100)).toBe(true)
  expect(share.part(1).fits(101)).toBe(false)
  pass(500)
  expect(share.part(1).fits(0)).toBe(true)
  expect(share.part(1).fits(1)).toBe(false)
})
