// GTID sets against a model that holds every transaction by itself, and against zongji's.

import { GtidSet as Zongji, MariadbGtidPosition } from '@vlasky/zongji'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  GtidSet,
  MariadbPosition,
  missingFromState,
  parseMariadbGtids,
} from '../../connectors/mysql/gtid.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 5000 }

const uuids = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '00000000-0000-0000-0000-000000000001']
const largest = 2n ** 63n - 1n

const transaction = fc.record({
  uuid: fc.constantFrom(...uuids),
  tag: fc.constantFrom('', '', 'blue', 'a_1'),
  // Small numbers touch each other; large ones leave the range of a double.
  gno: fc.oneof(
    fc.bigInt({ min: 1n, max: 12n }),
    fc.bigInt({ min: largest - 3n, max: largest }),
    fc.bigInt({ min: 2n ** 53n - 2n, max: 2n ** 53n + 3n }),
  ),
})
const transactions = fc.array(transaction, { maxLength: 24 })
type Transaction = { uuid: string; tag: string; gno: bigint }

/** It writes the wire form too, but does not declare it. */
type Encodable = { encode: () => Buffer }

function setOf(list: readonly Transaction[]): GtidSet {
  const set = new GtidSet()
  for (const { uuid, tag, gno } of list) set.add(uuid, tag, gno)
  return set
}

function modelOf(list: readonly Transaction[]): Set<string> {
  return new Set(list.map(({ uuid, tag, gno }) => `${uuid}|${tag}|${gno}`))
}

function expectSame(set: GtidSet, model: ReadonlySet<string>): void {
  expect(set.size).toBe(BigInt(model.size))
  for (const entry of model) {
    const [uuid = '', tag = '', gno = ''] = entry.split('|')
    expect(set.has(uuid, tag, BigInt(gno)), entry).toBe(true)
  }
  expect(set.isEmpty).toBe(model.size === 0)
}

test('union, minus, intersect and subset are those of the transactions one by one', () => {
  fc.assert(
    fc.property(transactions, transactions, (left, right) => {
      const [a, b] = [setOf(left), setOf(right)]
      const [ma, mb] = [modelOf(left), modelOf(right)]
      expectSame(a, ma)
      expectSame(a.union(b), new Set([...ma, ...mb]))
      expectSame(a.minus(b), new Set([...ma].filter((entry) => !mb.has(entry))))
      expectSame(a.intersect(b), new Set([...ma].filter((entry) => mb.has(entry))))
      expect(a.isSubsetOf(b)).toBe([...ma].every((entry) => mb.has(entry)))
      // Neither operand was changed.
      expectSame(a, ma)
      expectSame(b, mb)
    }),
    limits,
  )
})

test('text and wire form are those of zongji, and text reads back', () => {
  fc.assert(
    fc.property(transactions, (list) => {
      const set = setOf(list)
      const zongji = Zongji.parse('')
      for (const { uuid, tag, gno } of list) {
        zongji.add(tag === '' ? `${uuid}:${gno}` : `${uuid}:${tag}:${gno}`)
      }
      expect(set.toString()).toBe(zongji.toString())
      expect(Buffer.from(set.encode())).toEqual((zongji as unknown as Encodable).encode())
      expect(GtidSet.parse(set.toString()).equals(set)).toBe(true)
    }),
    limits,
  )
})

test('a copy does not follow its original', () => {
  const set = GtidSet.parse(`${uuids[0]}:1-5`)
  const copy = set.copy()
  set.add(uuids[0]!, '', 6n)
  expect(copy.toString()).toBe(`${uuids[0]}:1-5`)
})

test('a set is read as the server prints it, with line breaks, capitals and empty parts', () => {
  const text = `${uuids[0]!.toUpperCase()}:1-5:11,\n${uuids[1]}:Blue:3:1-2,,${uuids[0]}:6`
  expect(GtidSet.parse(text).toString()).toBe(`${uuids[1]}:blue:1-3,${uuids[0]}:1-6:11`)
})

test.each(['x', 'a:1', `${uuids[0]}`, `${uuids[0]}:0`, `${uuids[0]}:5-3`, `${uuids[0]}:blue`])(
  '%s is no GTID set',
  (text) => {
    expect(() => GtidSet.parse(text)).toThrow(expect.objectContaining({ error: 'LOG_CORRUPT' }))
  },
)

const mariadbGtid = fc.record({
  domain: fc.integer({ min: 0, max: 3 }),
  server: fc.integer({ min: 1, max: 3 }),
  sequence: fc.oneof(
    fc.bigInt({ min: 1n, max: 9n }),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  ),
})

test('a MariaDB position is the last transaction of each domain, as in zongji', () => {
  fc.assert(
    fc.property(fc.array(mariadbGtid, { maxLength: 20 }), (list) => {
      const position = new MariadbPosition()
      const zongji = MariadbGtidPosition.parse('')
      for (const gtid of list) {
        position.add(gtid)
        zongji.add({ domainId: gtid.domain, serverId: gtid.server, seqNo: String(gtid.sequence) })
      }
      expect(position.toString()).toBe(zongji.toString())
      expect(MariadbPosition.parse(position.toString()).equals(position)).toBe(true)
    }),
    limits,
  )
})

test('a position is missing from a state exactly where its own server is behind or unknown', () => {
  fc.assert(
    fc.property(
      fc.array(mariadbGtid, { maxLength: 6 }),
      fc.array(mariadbGtid, { maxLength: 9 }),
      (ours, theirs) => {
        const position = new MariadbPosition()
        for (const gtid of ours) position.add(gtid)
        // A state has one entry for each pair; the newest is the one that counts.
        const newest = new Map<string, (typeof theirs)[number]>()
        for (const gtid of theirs) {
          const pair = `${gtid.domain}-${gtid.server}`
          const known = newest.get(pair)
          if (known === undefined || known.sequence < gtid.sequence) newest.set(pair, gtid)
        }
        const missing = missingFromState(position, [...newest.values()]).map(({ gtid }) => gtid)
        const expected = position
          .all()
          .filter(
            ({ domain, server, sequence }) =>
              !theirs.some(
                (gtid) =>
                  gtid.domain === domain && gtid.server === server && gtid.sequence >= sequence,
              ),
          )
        expect(missing).toEqual(expected)
      },
    ),
    limits,
  )
})

test('a list of MariaDB GTIDs may name a domain twice, a position may not', () => {
  expect(parseMariadbGtids('0-1-5, 0-2-7,').map(({ sequence }) => sequence)).toEqual([5n, 7n])
  expect(() => MariadbPosition.parse('0-1-5,0-2-7')).toThrow(/twice/)
  expect(() => MariadbPosition.parse('0-1')).toThrow(
    expect.objectContaining({ error: 'LOG_CORRUPT' }),
  )
})
