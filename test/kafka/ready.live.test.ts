// When partitions of a topic's table are announced, on a real broker and with the program itself:
// once they are whole by the time of their rows, whatever each partition of the topic is up to.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenAt } from '../acceptance/crash-point.ts'
import { endOf } from '../acceptance/pipeline.ts'
import { metadataLocations } from '../acceptance/lake.ts'
import { project } from '../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import { available } from '../servers/available.ts'
import { startKafka, type KafkaServer } from '../servers/kafka.ts'
import {
  createTopic,
  produce,
  withAdmin,
  withProducer,
  type TestRecord,
} from '../servers/kafka-client.ts'
import {
  msOf,
  property,
  row,
  success,
  tableStatus,
  untilHeard,
  untilStatus,
  untilWatermark,
  whileBeating,
  withAnnounced,
  type Announced,
} from './announced-topic.ts'
import { expectRows } from './committed.ts'

const ready = (await available('duckdb')) && (await available('kafka4'))
let server: KafkaServer

beforeAll(async () => {
  if (ready) server = await startKafka()
}, 120_000)

afterAll(async () => {
  await server?.stop()
})

const IDLE_MS = 1000
const HOUR_MS = 3_600_000

test.skipIf(!ready)(
  'LAKE-17: an hour is told once all partitions have passed it, through a crash, and late rows',
  { timeout: 120_000 },
  async () => {
    const topic = 'clicks'
    await createTopic(server, topic, { partitions: 4 })
    const source = {
      event_time: { field: 'ts', max_out_of_order: '5m', idle_partition: `${IDLE_MS}ms` },
    }
    const rule = { delay: '10m' }
    await withAnnounced({ server, topic, source, rule }, async (announced) => {
      const { pipeline, webhook } = announced
      await produce(server, topic, [
        ...['07:10', '07:50', '08:14', '10:20'].map((time) => row(0, time)),
        // Its clock is five minutes behind.
        ...['07:05', '07:45', '10:15'].map((time) => row(1, time)),
        row(2, '07:20'),
      ])
      const dying = pipeline.start(
        brokenAt({ operation: 'place', path: '_SUCCESS$', hit: 1, when: 'before' }),
      )
      // Rows of 10 o'clock, which is never whole here.
      const beat = (): TestRecord[] => [row(0, '10:20'), row(1, '10:15')]
      const told = (): string[] =>
        webhook
          .once()
          .map((one) => one.replace(/^2026-01-05-/, '').replace(/[1-9]\d* rows/, 'n rows'))
      const child = await whileBeating(server, topic, beat, async () => {
        await withProducer(server, { transactionalId: topic }, async (producer) => {
          const open = await producer.transaction()
          await open.send({ topic, messages: [row(2, '07:58')] })
          // Partition 2 holds back, and has no rows for longer than makes an idle one; 3 is one.
          await untilWatermark(announced, dying, '07:15')
          await sleep(2 * IDLE_MS)
          await untilStatus(announced, dying, {
            watermark: '2026-01-05T07:15:00.000Z',
            event_time: {
              behind: { at: '2026-01-05T07:15:00.000Z' },
              ahead: { at: '2026-01-05T10:15:00.000Z' },
            },
          })
          await open.commit()
        })
        expect((await endOf(dying, 30_000)).signal).toBe('SIGKILL')
        // The commit of the hour is made, and nobody has heard of it.
        expect([success(announced, 'ts_hour=2026-01-05-07'), webhook.heard]).toEqual([null, []])
        const next = pipeline.start()
        await pipeline.until('three hours are told', () => told().length >= 3, { child: next })
        return next
      })
      // How many files an hour has depends on where the barriers stood.
      const first = ['07/1 files n rows 6', '08/1 files n rows 1', '09/1 files 0 rows 0']
      expect(told()).toEqual(first)
      const path = join(pipeline.warehouse, 'kafka/clicks/data/ts_hour=2026-01-05-07/_SUCCESS')
      const before = statSync(path).mtimeMs
      await produce(server, topic, [row(2, '07:01'), row(2, '07:02'), row(2, '07:59')])
      const again = (): boolean => property(announced, 'ts_hour=2026-01-05-07') === 2
      await pipeline.until('the hour has a second generation', again, { child })
      await pipeline.until('and the webhook knows', () => told().length >= 4, { child })
      expect(success(announced, 'ts_hour=2026-01-05-07')).toMatchObject({ rows: 9, late_rows: 3 })
      expect(statSync(path).mtimeMs).toBeGreaterThan(before)
      expect(told()).toEqual([...first, '07/2 files n rows 9'])
      // The clock that is behind is the last one; late rows lower nothing.
      await untilWatermark(announced, child, '10:10')
      await child.stop()
      await pipeline.once()
      expect(told()).toHaveLength(4)
    })
  },
)

test.skipIf(!ready)(
  'ETL-5: an idle partition lets the hour close, and one whose leader is away does not',
  { timeout: 120_000 },
  async () => {
    const topic = 'wakes'
    await createTopic(server, topic, { partitions: 2 })
    const source = { event_time: { field: 'ts', idle_partition: '3s' } }
    await withAnnounced({ server, topic, source }, async (announced) => {
      const { pipeline, webhook } = announced
      await produce(server, topic, [row(0, '09:30'), row(1, '07:50')])
      const child = pipeline.start()
      await untilWatermark(announced, child, '07:50')
      // The rows of partition 1 are read; who cannot ask for more does not know that none come.
      await server.nodes[0]?.halt()
      await sleep(2 * 3000)
      expect((await tableStatus(announced))?.watermark).toBe('2026-01-05T07:50:00.000Z')
      expect(webhook.heard).toEqual([])
      await server.nodes[0]?.start()
      // Partition 0 goes on, and partition 1 has had nothing for long enough.
      await whileBeating(
        server,
        topic,
        () => [row(0, '09:40')],
        () => untilWatermark(announced, child, '09:40'),
      )
      const first = ['07/1 files 1 rows 1', '08/1 files 0 rows 0']
      const hours = (all: readonly string[]): string[] => all.map((one) => `2026-01-05-${one}`)
      await untilHeard(announced, child, hours(first))
      // It wakes 110 minutes behind: its rows are late, and the watermark stays.
      await produce(server, topic, [row(1, '07:50'), row(1, '07:55')])
      await untilHeard(announced, child, hours([...first, '07/2 files 2 rows 3']))
      await untilStatus(announced, child, {
        watermark: '2026-01-05T09:40:00.000Z',
        partitions: { late_rows: 2 },
      })
      await child.stop()
    })
  },
)

test.skipIf(!ready)(
  'ETL-6: new partitions with old rows lower no watermark, and partitions without rows stop none',
  { timeout: 120_000 },
  async () => {
    const topic = 'grows'
    await createTopic(server, topic, { partitions: 2 })
    const source = { event_time: { field: 'ts', idle_partition: `${IDLE_MS}ms` } }
    await withAnnounced({ server, topic, source }, async (announced) => {
      const { pipeline, webhook } = announced
      const child = pipeline.start()
      await produce(server, topic, [row(0, '07:30')])
      const hours = (...all: readonly string[]): string[] => all.map((one) => `2026-01-05-${one}`)
      const first = hours('07/1 files 1 rows 1', '08/1 files 0 rows 0')
      const late = [...first, ...hours('07/2 files 2 rows 2')]
      // Partition 1 never has a row.
      await whileBeating(
        server,
        topic,
        () => [row(0, '09:10')],
        async () => {
          await untilHeard(announced, child, first)
          await withAdmin(server, async (admin) => {
            await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
          })
          await produce(server, topic, [row(2, '07:40')])
          await untilHeard(announced, child, late)
          await untilWatermark(announced, child, '09:10')
        },
      )
      // Nor has 3, and 2 goes on.
      await whileBeating(
        server,
        topic,
        () => [row(0, '10:05'), row(2, '10:01')],
        async () => {
          await pipeline.until("nine o'clock is told", () => webhook.once().length > 3, { child })
          await untilWatermark(announced, child, '10:01')
        },
      )
      expect(webhook.once().slice(0, 3)).toEqual(late)
      expect(webhook.heard[3]).toMatchObject({ value: '2026-01-05-09', generation: 1 })
      await child.stop()
    })
  },
)

test.skipIf(!ready)(
  'ETL-7: a row of 2099, one of 1970 and one without a time close no hour and hold none',
  { timeout: 120_000 },
  async () => {
    const topic = 'wrong'
    await createTopic(server, topic, { partitions: 1 })
    const source = { event_time: { field: 'ts' }, metadata: ['__offset__'] }
    const more = { on_error: { decode: 'dlq' } }
    await withAnnounced({ server, topic, source, more }, async (announced) => {
      const { pipeline, webhook } = announced
      const far = Date.parse('2099-01-01T00:00:00Z')
      const times = ['07:10', far, '07:20', 0, '07:30', null, '08:05', '07:40', '08:10'] as const
      await produce(
        server,
        topic,
        times.map((time) => row(0, time)),
      )
      const child = pipeline.start()
      await untilHeard(announced, child, ['2026-01-05-07/1 files 1 rows 4'])
      await untilStatus(announced, child, {
        watermark: '2026-01-05T08:10:00.000Z',
        event_time: { future_rows: 1 },
      })
      await produce(server, topic, [row(0, '09:00')])
      const both = ['2026-01-05-07/1 files 1 rows 4', '2026-01-05-08/1 files 1 rows 2']
      await untilHeard(announced, child, both)
      await child.stop()
      await pipeline.once()
      expect(webhook.once()).toEqual(both)
      const kept = [...times, '09:00'].flatMap((time, offset) => {
        const ms = msOf(time)
        return ms === null ? [] : [[String(offset), String(ms * 1000)]]
      })
      await expectRows(pipeline, announced.table, ['__offset__', 'ts'], kept)
      const letters = [['5', 'MR-4401']]
      await expectRows(pipeline, 'kafka.shop_dlq', ['offset', 'code'], letters)
    })
  },
)

test.skipIf(!ready)(
  'ETL-12: a partition that is too far ahead waits unread, and the skew is shown by partition',
  { timeout: 120_000 },
  async () => {
    const topic = 'apart'
    await createTopic(server, topic, { partitions: 2 })
    const source = {
      event_time: { field: 'ts' },
      watermark_alignment: { max_drift: '5m' },
      metadata: ['__partition__'],
    }
    const minute = (at: number): number => Date.parse('2026-01-05T07:00:00Z') + at * 60_000
    // A batch a minute: partition 0 has a clock ten minutes ahead, partition 1 one ten behind.
    const send = async (from: number, to: number): Promise<void> =>
      withProducer(server, {}, async (producer) => {
        for (let at = from; at < to; at++) {
          const messages = [row(0, minute(at + 10)), row(1, minute(at - 10))]
          await producer.send({ topic, messages })
        }
      })
    await withAnnounced({ server, topic, source, mode: 'changelog' }, async (announced) => {
      const { pipeline } = announced
      await send(0, 60)
      const child = pipeline.start()
      // Partition 1 ends at 07:49, and is not idle by itself.
      await untilWatermark(announced, child, '07:49')
      await sleep(1000)
      const { behind, ahead } = (await tableStatus(announced))?.event_time ?? {}
      expect(behind).toMatchObject({ split: expect.stringMatching(/\/1$/) })
      expect(ahead).toMatchObject({ split: expect.stringMatching(/\/0$/) })
      const apart = Date.parse(ahead?.at ?? '') - Date.parse(behind?.at ?? '')
      expect(apart).toBeGreaterThan(5 * 60_000)
      expect(apart).toBeLessThanOrEqual(9 * 60_000)
      await send(60, 80)
      await untilWatermark(announced, child, '08:09')
      await child.stop()
      expectSideBySide(await readInOrder(announced), 9 * 60_000_000)
    })
  },
)

/** Rows in the order in which they were read: partition, and time in microseconds. */
async function readInOrder({ pipeline, table }: Announced): Promise<[number, number][]> {
  const location = metadataLocations(pipeline)[table] ?? ''
  const columns = ['_pos', '__partition__', 'ts']
  const { rows } = project(await readIcebergWithDuckdb(location, { table }), columns)
  // Positions sort as text.
  const inOrder = rows.toSorted().map((text) => JSON.parse(text) as string[])
  return inOrder.map(([, partition, us]) => [Number(partition), Number(us)])
}

function expectSideBySide(rows: readonly [number, number][], apartMax: number): void {
  const reached = new Map<number, number>()
  let apart = 0
  for (const [partition, us] of rows) {
    reached.set(partition, us)
    // Before the last one had a row, nobody knew where it stands.
    const last = reached.get(1)
    if (partition === 0 && last !== undefined) apart = Math.max(apart, us - last)
  }
  expect(apart).toBeGreaterThan(0)
  expect(apart).toBeLessThanOrEqual(apartMax)
}

test.skipIf(!ready)(
  'ETL-14: empty hours of a sparse topic are told in order, and hours with late rows again',
  { timeout: 120_000 },
  async () => {
    const topic = 'sparse'
    await createTopic(server, topic, { partitions: 1 })
    const idle = { idle_partition: `${IDLE_MS}ms`, all_idle: 'advance' }
    const source = { event_time: { field: 'ts', ...idle } }
    const hour = Math.floor(Date.now() / HOUR_MS)
    const at = (hoursAgo: number): number => (hour - hoursAgo) * HOUR_MS + 600_000
    const label = (hoursAgo: number): string =>
      new Date(at(hoursAgo)).toISOString().slice(0, 13).replace('T', '-')
    const rule = { partition: 'hour(at)' }
    await withAnnounced({ server, topic, source, rule }, async (announced) => {
      const { pipeline, webhook } = announced
      // One of them is in the partition of no hour, which is never whole and holds nobody.
      const records = [row(0, at(5)), row(0, at(3)), row(0, at(3) + 1, null)]
      await produce(server, topic, records)
      const child = pipeline.start()
      const first = [
        `${label(5)}/1 files 1 rows 1`,
        `${label(4)}/1 files 0 rows 0`,
        `${label(3)}/1 files 1 rows 1`,
        `${label(2)}/1 files 0 rows 0`,
        `${label(1)}/1 files 0 rows 0`,
      ]
      await untilHeard(announced, child, first)
      await produce(server, topic, [row(0, at(4))])
      const again = (): boolean => webhook.heard.some(({ generation }) => generation === 2)
      await pipeline.until('the hour with a late row is told again', again, { child })
      expect(webhook.once()).toContain(`${label(4)}/2 files 1 rows 1`)
      await child.stop()
      const cells = [...records, row(0, at(4))].map(({ value }) => {
        const { at: time } = JSON.parse(String(value)) as { at: number | null }
        return [time === null ? null : String(time * 1000)]
      })
      await expectRows(pipeline, announced.table, ['at'], cells)
    })
  },
)

test.skipIf(!ready).each(['dlq', 'drop'] as const)(
  'rows of an hour that was told stay out of it, through a kill, and all are accounted for: %s',
  { timeout: 120_000 },
  async (late) => {
    const topic = `late-${late}`
    await createTopic(server, topic, { partitions: 2 })
    const idle = { idle_partition: `${IDLE_MS}ms` }
    const source = { event_time: { field: 'ts', ...idle } }
    await withAnnounced({ server, topic, source, rule: { late } }, async (announced) => {
      const { pipeline, webhook } = announced
      const sent: TestRecord[] = []
      const rows = (...times: readonly string[]): TestRecord[] => {
        const made = times.map((time) => row(0, time))
        sent.push(...made)
        return made
      }
      const counted = async (): Promise<number> =>
        (await tableStatus(announced))?.event_time?.late_rows ?? 0
      let child = pipeline.start()
      const told = ['2026-01-05-07/1 files 1 rows 2', '2026-01-05-08/1 files 0 rows 0']
      // Partition 1 never has a row, so the time goes on while partition 0 has some.
      await produce(server, topic, rows('07:10', '07:59'))
      await whileBeating(
        server,
        topic,
        () => rows('09:30'),
        async () => {
          await untilHeard(announced, child, told)
          await untilWatermark(announced, child, '09:30')
        },
      )
      const early = rows('07:20', '08:00', '07:59')
      await produce(server, topic, [...early, ...rows('09:00')])
      await pipeline.until('late rows are counted', async () => (await counted()) === 3, { child })
      await child.kill()
      // What is late was decided before the kill: these wait for the start.
      early.push(...rows('07:30'))
      await produce(server, topic, [...early.slice(-1), ...rows('09:10')])
      child = pipeline.start()
      await pipeline.untilUp(child)
      await pipeline.until('and after the kill', async () => (await counted()) > 0, { child })
      await child.stop()
      await pipeline.once()
      expect(webhook.once()).toEqual(told)
      const idsOf = (all: readonly TestRecord[]): string[][] =>
        all.map(({ value }) => [String((JSON.parse(String(value)) as { id: number }).id)])
      const written = sent.filter((one) => !early.includes(one))
      await expectRows(pipeline, announced.table, ['id'], idsOf(written))
      if (late === 'drop') return
      const hex = ({ value }: TestRecord): string => Buffer.from(String(value)).toString('hex')
      const letters = early.map((one) => ['MR-4403', hex(one)])
      await expectRows(pipeline, 'kafka.shop_dlq', ['code', 'value'], letters)
    })
  },
)

test.skipIf(!ready).each([
  ['spring', '2026-03-28T21:00:00Z', 23],
  ['autumn', '2026-10-24T20:00:00Z', 25],
])(
  'ETL-13: the day of Berlin with a changed clock is one day, told once: %s',
  { timeout: 120_000 },
  async (season, begin, hours) => {
    const topic = `days-${season}`
    await createTopic(server, topic, { partitions: 1 })
    const berlin = new Intl.DateTimeFormat('sv-SE', {
      timeZone: 'Europe/Berlin',
      dateStyle: 'short',
      timeStyle: 'medium',
    })
    // Each half hour of 52, so of the evening before, of the day, and of the morning after.
    const times = Array.from({ length: 104 }, (_, at) => Date.parse(begin) + at * 1_800_000)
    const byDay = Map.groupBy(times, (ms) => berlin.format(ms).slice(0, 10))
    expect([...byDay.values()][1]).toHaveLength(2 * hours)
    const zone = "'Europe/Berlin'"
    const projection = `id, ts, date(ts, ${zone}) AS day, date_trunc('day', ts, ${zone}) AS began`
    const plan = {
      server,
      topic,
      source: { event_time: { field: 'ts' } },
      rule: { partition: 'day', time_zone: 'Europe/Berlin' },
      more: { transform: [{ from: `kafka.${topic}`, projection }] },
    }
    await withAnnounced(plan, async (announced) => {
      const { pipeline, webhook } = announced
      const records = times.map((time) => row(0, time))
      await produce(server, topic, records)
      await pipeline.once()
      const told = webhook.once().map((one) => one.replace(/files \d+/, 'files n'))
      const whole = [...byDay].slice(0, -1)
      expect(told).toEqual(whole.map(([day, all]) => `${day}/1 files n rows ${all.length}`))
      const location = metadataLocations(pipeline)[announced.table] ?? ''
      const lake = await readIcebergWithDuckdb(location, { table: announced.table })
      const columns = ['ts', 'day', 'began']
      const found = project(lake, columns).rows.map((text) => JSON.parse(text) as string[])
      const seen = found.map(([ts, day, began]) => {
        const date = new Date(Number(day) * 86_400_000).toISOString().slice(0, 10)
        return `${Number(ts) / 1000} ${date} ${berlin.format(Number(began) / 1000)}`
      })
      const expected = times.map((ms) => {
        const day = berlin.format(ms).slice(0, 10)
        return `${ms} ${day} ${day} 00:00:00`
      })
      expect(seen.toSorted()).toEqual(expected.toSorted())
    })
  },
)
