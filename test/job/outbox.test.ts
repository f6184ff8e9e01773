import { expect, test } from 'vitest'
import { recordOf, PipelineError } from '../../runtime/base/errors.ts'
import { Readiness, type SavedReadiness } from '../../runtime/checkpoint/readiness.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { announcementId, Outbox } from '../../runtime/job/outbox.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { memoryStore } from '../index/memory-store.ts'
import { ManualClock, settled } from './manual-clock.ts'

const HOUR_US = 3_600_000_000n
const HOUR_MS = 3_600_000

interface Received {
  readonly atMs: number
  readonly event: PartitionReady
}

class Receiver implements Notifier {
  readonly name: string
  readonly kind = 'played'
  readonly received: Received[] = []
  /** What it answers; `null`: not at all. */
  answer: Delivery | null = { kind: 'delivered' }
  attempts = 0
  private readonly clock: ManualClock

  constructor(name: string, clock: ManualClock) {
    this.name = name
    this.clock = clock
  }

  async deliver(event: PartitionReady, signal: AbortSignal): Promise<Delivery> {
    this.attempts++
    if (this.answer === null) {
      const hung = Promise.withResolvers<Delivery>()
      signal.addEventListener('abort', () => hung.resolve(failure()))
      return hung.promise
    }
    if (this.answer.kind === 'delivered') {
      this.received.push({ atMs: this.clock.nowMs(), event })
    }
    return this.answer
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function failure(retryAfterMs: number | null = null): Delivery {
  const error = recordOf(new PipelineError('NOTIFICATION_FAILED', 'it is down'))
  return { kind: 'failed', error, retryAfterMs }
}

/** One process: tables `clicks` and `views`, which have the same receivers. */
class Process {
  readonly readiness: Readiness
  readonly outbox: Outbox
  known = Infinity

  private constructor(saved: SavedReadiness, state: ObjectStore, clock: ManualClock) {
    this.readiness = new Readiness(saved)
    this.outbox = new Outbox('shop', {
      commits: { known: () => this.known, snapshotId: () => 7n },
      state,
      clock,
      events: { onDelivered: () => undefined, onFailed: () => undefined },
    })
  }

  static async start(
    receivers: readonly Notifier[],
    clock: ManualClock,
    state: ObjectStore = memoryStore(),
    saved: SavedReadiness = [],
  ): Promise<Process> {
    const process = new Process(saved, state, clock)
    await process.outbox.load()
    for (const table of ['clicks', 'views']) {
      const readiness = process.readiness.join({
        table,
        unit: 'hour',
        zone: new TimeZone('UTC'),
        delayUs: 0n,
        notifiers: receivers.map(({ name }) => name),
      })
      const target = { table, target: `lake.${table}`, field: 'ts_hour', notifiers: receivers }
      process.outbox.join(target, readiness)
    }
    return process
  }

  /** The watermark of a table has come to the beginning of an hour. */
  reach(table: string, hour: number, epoch: number, rows: readonly number[] = []): void {
    const changes = rows.map((number) => ({ number, files: 1, rows: 5, bytes: 50 }))
    const watermarkUs = BigInt(hour) * HOUR_US
    const cut = { watermarkUs, changes, all: false, openFrom: null }
    this.readiness.of(table)!.decide(epoch, cut, 0)
    this.outbox.wake()
  }
}

function heard({ received }: Receiver, table = 'lake.clicks'): string[] {
  return received
    .filter(({ event }) => event.table === table)
    .map(({ event }) => `${event.value.slice(-2)}/${event.generation}`)
}

test('a webhook that is down for hours delays nothing, and hears everything later, in order', async () => {
  const clock = new ManualClock()
  const [file, webhook] = [new Receiver('file', clock), new Receiver('webhook', clock)]
  const one = await Process.start([file, webhook], clock)
  webhook.answer = failure()
  one.reach('clicks', 1, 1)
  for (let hour = 2; hour <= 8; hour++) {
    one.reach('clicks', hour, hour)
    one.reach('views', hour, hour)
    await clock.pass(HOUR_MS)
  }
  // Late rows: hour 2 is told once more.
  one.reach('clicks', 8, 9, [2])
  await settled()
  const all = ['01/1', '02/1', '03/1', '04/1', '05/1', '06/1', '07/1', '02/2']
  expect(heard(file)).toEqual(all)
  expect(webhook.received).toEqual([])
  // It was asked less and less often: at most once an hour in the end.
  expect(webhook.attempts).toBeLessThan(2 * 25)
  webhook.answer = { kind: 'delivered' }
  await clock.pass(HOUR_MS)
  expect(heard(webhook)).toEqual(all)
  const ids = (receiver: Receiver): string[] =>
    receiver.received.map(({ event }) => `${event.table} ${event.id}`).sort()
  expect(ids(webhook)).toEqual(ids(file))
  const { event } = webhook.received[0]!
  const partition = `ts_hour=${event.value}`
  expect(event.id).toBe(announcementId('shop', event.table, partition, event.generation))
  await one.outbox.stop()
})

test('a webhook that hangs keeps neither other tables nor an ending process', async () => {
  const clock = new ManualClock()
  const [webhook, file] = [new Receiver('webhook', clock), new Receiver('file', clock)]
  const one = await Process.start([webhook, file], clock)
  webhook.answer = null
  one.reach('clicks', 1, 1)
  one.reach('clicks', 3, 2)
  await settled()
  // The notifiers of one table are told in their order, as long as the first has not failed.
  expect(file.received).toEqual([])
  await one.outbox.stop()
  expect(webhook.attempts).toBe(1)
})

test('notifiers of a table are told in their order while they work', async () => {
  const clock = new ManualClock()
  const order: string[] = []
  const named = (name: string): Notifier => ({
    name,
    kind: 'played',
    deliver: async ({ value }) => {
      await clock.sleep(name === 'slow' ? 1000 : 1)
      order.push(`${name} ${value.slice(-2)}`)
      return { kind: 'delivered' }
    },
    close: async () => undefined,
  })
  const one = await Process.start([named('slow'), named('fast')], clock)
  one.reach('clicks', 1, 1)
  one.reach('clicks', 3, 2)
  await clock.pass(10_000)
  expect(order).toEqual(['slow 01', 'fast 01', 'slow 02', 'fast 02'])
  await one.outbox.stop()
})

test('nothing is told before its commit is known', async () => {
  const clock = new ManualClock()
  const file = new Receiver('file', clock)
  const one = await Process.start([file], clock)
  one.reach('clicks', 1, 1)
  one.known = 2
  one.reach('clicks', 2, 2)
  await clock.pass(HOUR_MS)
  expect(file.received).toEqual([])
  one.known = 3
  one.outbox.wake()
  await settled()
  expect(heard(file)).toEqual(['01/1'])
  await one.outbox.stop()
})

test('Retry-After is waited for, up to an hour', async () => {
  const clock = new ManualClock()
  const webhook = new Receiver('webhook', clock)
  const one = await Process.start([webhook], clock)
  webhook.answer = failure(600_000)
  one.reach('clicks', 1, 1)
  one.reach('clicks', 2, 2)
  await settled()
  webhook.answer = { kind: 'delivered' }
  await clock.pass(599_000)
  expect(webhook.attempts).toBe(1)
  await clock.pass(1000)
  expect(heard(webhook)).toEqual(['01/1'])
  await one.outbox.stop()
})

test('after a crash only what was told and not written down is told again, under its id', async () => {
  const clock = new ManualClock()
  const state = memoryStore()
  const webhook = new Receiver('webhook', clock)
  const one = await Process.start([webhook], clock, state)
  one.reach('clicks', 1, 1)
  one.reach('clicks', 3, 2)
  const saved = one.readiness.save()
  await clock.pass(1000)
  expect(heard(webhook)).toEqual(['01/1', '02/1'])
  await one.outbox.stop()
  // The checkpoint is of before; what was told stands beside it.
  const two = await Process.start([webhook], clock, state, saved)
  two.outbox.wake()
  await clock.pass(1000)
  expect(webhook.received).toHaveLength(2)
  // Without it everything since the checkpoint comes again.
  const three = await Process.start([webhook], clock, memoryStore(), saved)
  three.outbox.wake()
  await clock.pass(1000)
  expect(heard(webhook)).toEqual(['01/1', '02/1', '01/1', '02/1'])
  const [first, , again] = webhook.received
  expect(again?.event).toEqual(first?.event)
  await three.outbox.stop()
})

test('what was told counts for an announcement of the same id alone', async () => {
  const clock = new ManualClock()
  const state = memoryStore()
  const webhook = new Receiver('webhook', clock)
  const one = await Process.start([webhook], clock, state)
  one.reach('clicks', 1, 1)
  one.reach('clicks', 2, 2)
  await clock.pass(1000)
  await one.outbox.stop()
  // An older checkpoint is gone on with: the first announcement is now that of another hour.
  const two = await Process.start([webhook], clock, state)
  two.reach('clicks', 5, 1)
  const saved = ((): SavedReadiness => {
    two.known = 0
    two.reach('clicks', 6, 2)
    return two.readiness.save()
  })()
  const three = await Process.start([webhook], clock, state, saved)
  three.outbox.wake()
  await clock.pass(1000)
  expect(heard(webhook)).toEqual(['01/1', '05/1'])
  await three.outbox.stop()
})
