// The running maximum of the commit times: they go back against the order of the log.

import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import type { Client } from 'pg'
import { expect, test } from 'vitest'
import { LogParser } from '../../connectors/postgres/decode/log-parser.ts'
import { decodeState, encodeState } from '../../connectors/postgres/state.ts'
import { DeliveredCommits } from '../../connectors/postgres/snapshot.ts'
import { TableBatch, US_TO_2000 } from '../../connectors/postgres/table-batch.ts'
import { Wire } from '../../connectors/postgres/wire.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { latestTimeColumn, timeColumn } from '../../runtime/data/change-columns.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { field, schemaOf } from '../writer/batches.ts'
import * as send from './messages.ts'

/** The clock of `send.keepalive`. */
const HEARTBEAT = 8e14

const times = fc.array(
  fc.oneof(fc.integer({ min: 7e14, max: 9e14 }), fc.constant('heartbeat' as const)),
  { maxLength: 20 },
)

test('each transaction has the latest time of the log up to it, heartbeats included', async () => {
  await fc.assert(
    fc.asyncProperty(times, fc.integer({ min: 0, max: 9e14 }), async (events, before) => {
      const stream = new PassThrough()
      const wire = new Wire({ connection: { stream } } as unknown as Client, systemClock)
      const parser = new LogParser(0, 'slot', new DeliveredCommits(1000, []), before)
      const feed = async (message: Buffer): Promise<void> => {
        const { received } = wire
        stream.write(message)
        await wire.more(received)
        parser.step(wire)
      }
      let latest = before
      for (const [index, event] of events.entries()) {
        const lsn = 16 * (index + 1)
        if (event === 'heartbeat') {
          await feed(send.keepalive(lsn))
          latest = Math.max(latest, HEARTBEAT)
        } else {
          await feed(send.begin(lsn, event, index + 1))
          latest = Math.max(latest, event)
          expect([parser.stamp.time2000Us, parser.stamp.latest2000Us]).toEqual([event, latest])
          await feed(send.commit(lsn, lsn + 8, event))
        }
        expect(parser.latest2000Us).toBe(latest)
      }
    }),
    { numRuns: 50 },
  )
})

function values(column: Column): bigint[] {
  return column.layout === 'int64' ? [...column.values] : expect.unreachable()
}

test('both times of a transaction are in its batch, however many there are', () => {
  const schema = schemaOf('public.t', 0, [field(1, 'id', { kind: 'boolean' })])
  const batch = new TableBatch(schema, 1)
  const stamps = Array.from({ length: 100 }, (_, at) => {
    const time2000Us = 8e14 + (at % 2 === 0 ? at : -at)
    return { serial: at + 1, lsn: at, time2000Us, latest2000Us: 8e14 + at, xid: 1 }
  })
  for (const stamp of stamps) {
    batch.reserveRow()
    batch.builders[0]?.setNull(batch.rows)
    batch.endRow(0, stamp, 0)
  }
  const taken = batch.take()
  const us = (time: number): bigint => BigInt(time + US_TO_2000)
  expect(values(timeColumn(taken))).toEqual(stamps.map(({ time2000Us }) => us(time2000Us)))
  expect(values(latestTimeColumn(taken))).toEqual(stamps.map((one) => us(one.latest2000Us)))
})

test('a checkpoint keeps it, and one of an older version has none', () => {
  const state = {
    system: '1',
    timeline: 1,
    database: '5',
    slot: 's',
    publication: { oid: '7', changedBy: '8' },
    sourceEpoch: 0,
    highest: 0,
    unseen: [],
    xid: 3,
    tables: [],
  }
  expect(decodeState(encodeState({ ...state, latest2000Us: 8e14 })).latest2000Us).toBe(8e14)
  expect(decodeState(encodeState(state)).latest2000Us).toBeUndefined()
})
