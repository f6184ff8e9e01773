// LOW and its bound against a model server that commits in one order and shows in another; places
// in the log; and the state of a checkpoint.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  beforePageHeader,
  formatLsn,
  parseLsn,
  placeOf,
  positionAt,
} from '../../connectors/postgres/lsn.ts'
import {
  DeliveredCommits,
  isVisible,
  parseSnapshot,
  widenXid,
  type Snapshot,
} from '../../connectors/postgres/snapshot.ts'
import { decodeState, encodeState } from '../../connectors/postgres/state.ts'

const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000

/** A chunk is asked for, the server takes its snapshot, and the answer arrives. */
const OPENING = ['open', 'take', 'answer'] as const

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('begin', 'log', 'show', 'deliver', 'look', 'read', 'restart', ...OPENING),
    pick: fc.nat(1000),
  }),
  { minLength: 20, maxLength: 120 },
)

interface Transaction {
  readonly xid: number
  lsn: number | null
  shown: boolean
}

function pick(from: Transaction[], at: number): Transaction | undefined {
  return from[at % from.length]
}

/** A primary: transactions begin, write their commit record, and become visible, in any order. */
class Model {
  readonly transactions: Transaction[] = []
  readonly log: Transaction[] = []
  delivered = 0
  // Ids around a wrap of 32 bits.
  next = 0x1_ffff_fff0
  end = 1000

  /** An open transaction writes its commit record. */
  commit(at: number): void {
    const open = pick(
      this.transactions.filter(({ lsn }) => lsn === null),
      at,
    )
    if (open === undefined) return
    open.lsn = this.end
    this.end += 8
    this.log.push(open)
  }

  /** A commit becomes visible. */
  show(at: number): void {
    const logged = pick(
      this.log.filter(({ shown }) => !shown),
      at,
    )
    if (logged !== undefined) logged.shown = true
  }

  snapshot(): Snapshot {
    const running = this.transactions.filter(({ shown }) => !shown).map(({ xid }) => xid)
    const xmin = Math.min(this.next, ...running)
    const text = `${xmin}:${this.next}:${running.filter((xid) => xid >= xmin).join(',')}`
    return parseSnapshot(text)
  }
}

test('every commit before LOW is visible, whatever was delivered first', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const model = new Model()
      let commits = new DeliveredCommits(model.next, [])
      let processed = model.end
      let bound = 0
      for (const { kind, pick: at } of all) {
        if (kind === 'begin') {
          model.transactions.push({ xid: model.next++, lsn: null, shown: false })
        }
        if (kind === 'log') model.commit(at)
        if (kind === 'show') model.show(at)
        if (kind === 'deliver' && model.delivered < model.log.length) {
          const next = model.log[model.delivered++]!
          commits.add(next.xid % 0x1_0000_0000, next.lsn!)
          processed = next.lsn! + 8
        }
        if (kind === 'look') commits.observe(model.snapshot())
        if (kind === 'restart') commits = new DeliveredCommits(model.next, commits.save())
        const now = commits.bound(processed)
        expect(now).toBeGreaterThanOrEqual(bound)
        bound = now
        if (kind !== 'read') continue
        const snapshot = model.snapshot()
        const low = commits.low(snapshot, processed)
        expect(low).toBeGreaterThanOrEqual(bound)
        expect(low).toBeLessThanOrEqual(processed)
        for (const { xid, lsn, shown } of model.log) {
          expect(isVisible(snapshot, xid)).toBe(shown)
          if (lsn! < low) expect(shown).toBe(true)
        }
        // No lower than needed: the first delivered commit that is not shown, or the end.
        const hidden = model.log.slice(0, model.delivered).find(({ shown }) => !shown)
        expect(low).toBe(Math.min(processed, hidden?.lsn ?? processed))
      }
    }),
    { interruptAfterTimeLimit, numRuns: 3000 },
  )
})

test('LOW of a chunk is the same however long its snapshot is on the way', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const model = new Model()
      let commits = new DeliveredCommits(model.next, [])
      let processed = model.end
      /** Chunks on the way: LOW by the source, and the snapshot once it is taken. */
      let opening: { low: (snapshot: Snapshot) => number; asked: number; taken: Snapshot | null }[]
      opening = []
      for (const { kind, pick: at } of all) {
        const waiting = opening[at % Math.max(1, opening.length)]
        if (kind === 'begin') {
          model.transactions.push({ xid: model.next++, lsn: null, shown: false })
        }
        if (kind === 'log' || kind === 'deliver') model.commit(at)
        if (kind === 'show') model.show(at)
        if (kind === 'deliver' && model.delivered < model.log.length) {
          const next = model.log[model.delivered++]!
          commits.add(next.xid % 0x1_0000_0000, next.lsn!)
          processed = next.lsn! + 8
        }
        if (kind === 'look' || kind === 'read') commits.observe(model.snapshot())
        if (kind === 'restart') {
          commits = new DeliveredCommits(model.next, commits.save())
          opening = []
        }
        if (kind === 'open') {
          opening.push({ low: commits.lowOf(processed), asked: processed, taken: null })
        }
        if (kind === 'take' && waiting !== undefined) waiting.taken ??= model.snapshot()
        if (kind !== 'answer' || waiting === undefined || waiting.taken === null) continue
        const { low, asked, taken } = waiting
        opening.splice(opening.indexOf(waiting), 1)
        const hidden = model.log.find(({ xid }) => !isVisible(taken, xid))
        expect(low(taken)).toBe(Math.min(asked, hidden?.lsn ?? asked))
      }
    }),
    { interruptAfterTimeLimit, numRuns: 3000 },
  )
})

test('a held snapshot can be asked about commits that were seen since', () => {
  const commits = new DeliveredCommits(100, [])
  const early = parseSnapshot('100:102:100')
  commits.hold('all')
  commits.add(100, 1000)
  commits.add(101, 2000)
  commits.observe(parseSnapshot('110:110:'))
  expect(commits.allVisible(early, null, 1500)).toBe(false)
  expect(commits.allVisible(early, null, 1000)).toBe(true)
  commits.hold(early)
  commits.observe(parseSnapshot('110:110:'))
  expect(commits.size).toBe(1)
  expect(commits.allVisible(early, null, 1500)).toBe(false)
  commits.hold(null)
  commits.observe(parseSnapshot('110:110:'))
  expect(commits.size).toBe(0)
  expect(commits.allVisible(parseSnapshot('110:112:111'), 111, 5000)).toBe(false)
  expect(commits.allVisible(parseSnapshot('110:112:111'), 110, 5000)).toBe(true)
})

test('ids of 32 bits are widened to the nearest', () => {
  const wide = fc.bigInt({ min: 2n ** 31n, max: 2n ** 45n }).map(Number)
  fc.assert(
    fc.property(wide, fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }), (reference, off) => {
      const xid = reference + off
      expect(widenXid(xid % 0x1_0000_0000, reference)).toBe(xid)
    }),
  )
})

test('a place in the log is the same as text, position and number', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(1000), (lsn, sourceEpoch) => {
      expect(parseLsn(formatLsn(lsn))).toBe(lsn)
      expect(placeOf(positionAt(sourceEpoch, lsn))).toEqual({ lsn, sourceEpoch })
    }),
  )
  expect(formatLsn(parseLsn('16/B374D848'))).toBe('16/B374D848')
  for (const bad of ['', '0', '1/G', '123456789/0', '200000/0'])
    expect(() => parseLsn(bad)).toThrow()
})

test('a place behind a page header is the end of the page before', () => {
  const segment = 16 * 1024 * 1024
  expect(beforePageHeader(8192 + 24, 8192, segment)).toBe(8192)
  expect(beforePageHeader(8192, 8192, segment)).toBe(8192)
  expect(beforePageHeader(8192 + 32, 8192, segment)).toBe(8192 + 32)
  expect(beforePageHeader(segment + 40, 8192, segment)).toBe(segment)
  expect(beforePageHeader(segment + 48, 8192, segment)).toBe(segment + 48)
})

test('a state that is not ours is refused by name', () => {
  const state = {
    system: '7',
    timeline: 1,
    database: '5',
    slot: 's',
    publication: { oid: '9', changedBy: '700' },
    sourceEpoch: 0,
    highest: 5,
    unseen: [[100, 2000]] as const,
    xid: 50,
    tables: [],
  }
  expect(decodeState(encodeState(state))).toMatchObject(state)
  for (const bad of ['', '{}', '{"format":99,"tables":[]}', 'null', '\xff']) {
    expect(() => decodeState(Buffer.from(bad, 'latin1'))).toThrow(
      expect.objectContaining({ error: 'CHECKPOINT_CORRUPT' }),
    )
  }
})
