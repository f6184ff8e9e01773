// A simulated day, through kills of the pipeline and a restart of the broker: no hour is told
// before all its rows are in the lake, each is told once a generation, and each row is in its hour
// once; or, where rows are late, it is a row or a dead letter, and no hour is told again.
// SOAK_KILLS gives the long form: 300 streams, that many kills, and the memory of the process.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { expect, test } from 'vitest'
import { metadataLocations } from '../acceptance/lake.ts'
import type { Child } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { project } from '../readers/canonical.ts'
import { quoted, readIcebergWithDuckdb, withDuckdb } from '../readers/duckdb.ts'
import { startKafka, type KafkaServer } from '../servers/kafka.ts'
import { createTopic, kafkaClient, type TestRecord } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { property, success, withAnnounced, type Announced, type Plan } from './announced-topic.ts'
import { expectRows } from './committed.ts'
import { Day, HOURS } from './day.ts'

const ready = (await available('duckdb')) && (await available('kafka4'))

const SOAK = process.env['SOAK_KILLS']
const KILLS = Number(SOAK ?? 3)
const PLAN =
  SOAK === undefined
    ? { streams: 40, partitions: 8, rowsAnHour: 6, lateAnHour: 0 }
    : { streams: 300, partitions: 8, rowsAnHour: 60, lateAnHour: 0 }
const STEP_MS = SOAK === undefined ? 250 : 2000
const TOPIC = 'day'

const EVENT_TIME = {
  event_time: { field: 'ts', max_out_of_order: '5m', idle_partition: '4s' },
  watermark_alignment: { max_drift: '2h' },
}

test.skipIf(!ready)(
  'a day of streams: each row in its hour once, and no hour is told early, or twice',
  { timeout: SOAK === undefined ? 180_000 : 900_000 },
  async () => {
    const random = new Random(drawSeed('day'))
    const day = new Day(PLAN, random)
    await withDay(day, { delay: '10m' }, async (server, announced) => {
      await withSteadyProducer(server, async (producer) => {
        const child = await playDay(announced, server, day, producer, random)
        await expectTold(announced, day.sent, child)
        await playLateRows(announced, day, producer, child)
        await child.stop()
      })
      await announced.pipeline.once()
      await expectLake(announced, day.sent)
    })
  },
)

test.skipIf(!ready)(
  'a day with late rows: each record is a row or a letter, once, and no hour is told again',
  { timeout: SOAK === undefined ? 180_000 : 900_000 },
  async () => {
    const random = new Random(drawSeed('late day'))
    const day = new Day({ ...PLAN, lateAnHour: 3 }, random)
    await withDay(day, { delay: '10m', late: 'dlq' }, async (server, announced) => {
      const { pipeline } = announced
      let afterAll: readonly TestRecord[] = []
      await withSteadyProducer(server, async (producer) => {
        const child = await playDay(announced, server, day, producer, random)
        await untilAllTold(announced, child)
        afterAll = day.late()
        await producer.send({ topic: TOPIC, messages: [...afterAll] })
        await child.stop()
      })
      await pipeline.once()
      const letters = await expectLetters(announced, day)
      // A pipeline that lags may read one before its hour is told, and then it is a row of it.
      expect(afterAll.filter((one) => !letters.has(one))).toEqual([])
      expect([...letters].filter((one) => !day.lateOnes.includes(one))).toEqual([])
      const rows = day.sent.filter((one) => !letters.has(one))
      expectToldAs(announced, rows)
      await expectLake(announced, rows)
    })
  },
)

async function withDay(
  { plan }: Day,
  rule: NonNullable<Plan['rule']>,
  play: (server: KafkaServer, announced: Announced) => Promise<void>,
): Promise<void> {
  const server = await startKafka()
  try {
    await createTopic(server, TOPIC, { partitions: plan.partitions })
    await withAnnounced({ server, topic: TOPIC, source: EVENT_TIME, rule }, async (announced) =>
      play(server, announced),
    )
  } finally {
    await server.stop()
  }
}

/** Any other producer may write a batch twice, when an answer is lost. */
async function withSteadyProducer(
  server: KafkaServer,
  work: (producer: Producer) => Promise<void>,
): Promise<void> {
  const own = { idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false }
  const producer = kafkaClient(server).producer(own)
  await producer.connect()
  try {
    await work(producer)
  } finally {
    await producer.disconnect()
  }
}

/** @returns the process that has seen the morning after */
async function playDay(
  { pipeline }: Announced,
  server: KafkaServer,
  day: Day,
  producer: Producer,
  random: Random,
): Promise<Child> {
  const kills = Array.from({ length: KILLS }, () => random.int(1, HOURS - 1))
  const restart = random.int(5, HOURS - 5)
  const memory = new Memory()
  let child = pipeline.start()
  for (let hour = 0; hour < HOURS; hour++) {
    const messages = day.take(hour)
    if (messages.length > 0) await producer.send({ topic: TOPIC, messages })
    if (hour === restart) {
      // A start that finds no broker ends; what runs waits for it.
      const reads = async (): Promise<boolean> => {
        const status = await pipeline.status()
        // Beside the topic's table there may be that of dead letters.
        const { streaming, total } = status?.tables ?? { streaming: 0, total: 1 }
        return status?.pid === child.pid && total > 0 && streaming === total
      }
      await pipeline.until('it reads', reads, { child })
      await server.nodes[0]?.halt()
      await server.nodes[0]?.start()
    }
    for (const kill of kills.filter((at) => at === hour)) {
      if (kill > 0) await pipeline.killAtRandom(child, random, STEP_MS)
      child = pipeline.start()
    }
    memory.look(child)
    await sleep(STEP_MS)
    memory.look(child)
  }
  await producer.send({ topic: TOPIC, messages: day.close() })
  if (SOAK !== undefined) console.log(memory.report(day.sent.length))
  return child
}

async function untilAllTold({ pipeline, webhook }: Announced, child: Child): Promise<void> {
  const timeoutMs = SOAK === undefined ? 60_000 : 300_000
  const all = (): boolean => webhook.once().length >= HOURS
  await pipeline.until('all hours are told', all, { child, timeoutMs })
}

/** The first generation of each hour has all of its rows, in order, and nothing else was told. */
function expectToldAs({ webhook }: Announced, records: readonly TestRecord[]): void {
  const told = webhook.once().map((one) => one.replace(/ files \d+/, ''))
  const rows = Day.countByHour(records)
  expect(told).toEqual(rows.map((count, hour) => `${Day.label(hour)}/1 rows ${count}`))
}

async function expectTold(
  announced: Announced,
  records: readonly TestRecord[],
  child: Child,
): Promise<void> {
  await untilAllTold(announced, child)
  expectToldAs(announced, records)
}

/** @returns the records that are letters, each of which there is once, as it came */
async function expectLetters({ pipeline }: Announced, day: Day): Promise<Set<TestRecord>> {
  const table = 'kafka.shop_dlq'
  const location = metadataLocations(pipeline)[table] ?? ''
  const dump = project(await readIcebergWithDuckdb(location, { table }), ['code', 'value'])
  const byValue = new Map(
    day.sent.map((one) => [Buffer.from(String(one.value)).toString('hex'), one]),
  )
  const letters = dump.rows.map((text) => {
    const [code = '', value = ''] = JSON.parse(text) as string[]
    expect(code).toBe('MR-4403')
    return byValue.get(value)
  })
  expect(letters).not.toContain(undefined)
  const once = new Set(letters.flatMap((one) => (one === undefined ? [] : [one])))
  expect(letters).toHaveLength(once.size)
  return once
}

async function playLateRows(
  announced: Announced,
  day: Day,
  producer: Producer,
  child: Child,
): Promise<void> {
  const { pipeline, webhook } = announced
  await producer.send({ topic: TOPIC, messages: day.late() })
  const rows = Day.countByHour(day.sent)
  const last = (hour: number): (typeof webhook.heard)[number] | undefined =>
    webhook.heard.findLast(({ value }) => value === Day.label(hour))
  const all = (): boolean => rows.every((count, hour) => last(hour)?.rows === count)
  await pipeline.until('hours with late rows are told again', all, { child })
  // Under one id one thing is said, however often; generations follow each other.
  const byId = new Map(webhook.heard.map((one) => [one.id, one]))
  for (const one of webhook.heard) expect(one).toEqual(byId.get(one.id))
  for (const [hour, count] of rows.entries()) {
    const value = Day.label(hour)
    const mine = [...byId.values()].filter((one) => one.value === value)
    expect(mine.map(({ generation }) => generation)).toEqual(mine.map((_, index) => index + 1))
    const { generation } = mine.at(-1) ?? { generation: 0 }
    const folder = `ts_hour=${value}`
    const both = (): boolean =>
      success(announced, folder)?.['generation'] === generation &&
      property(announced, folder) === generation
    await pipeline.until(`${value} has one effect`, both, { child })
    expect(success(announced, folder)).toMatchObject({ rows: count })
  }
}

async function expectLake(
  { pipeline, table }: Announced,
  records: readonly TestRecord[],
): Promise<void> {
  const cells = records.map(({ value }) => {
    const { id, ts } = JSON.parse(String(value)) as { id: number; ts: number }
    return [String(id), String(ts * 1000)]
  })
  await expectRows(pipeline, table, ['id', 'ts'], cells)
  const files = quoted(join(pipeline.warehouse, 'kafka', TOPIC, 'data/*/*.parquet'))
  await withDuckdb(async (connection) => {
    const reader = await connection.runAndReadAll(
      `SELECT count(*) FROM read_parquet(${files}, filename = true)
       WHERE strftime(ts AT TIME ZONE 'UTC', '%Y-%m-%d-%H')
         <> regexp_extract(filename, 'ts_hour=([0-9-]+)', 1)`,
    )
    expect(reader.getRows()).toEqual([[0n]])
  })
}

/** Of the processes that are looked at. */
class Memory {
  private readonly peaks: number[] = []

  look({ pid }: Child): void {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      this.peaks.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
    } catch {
      // It has just been killed, or this is not Linux.
    }
  }

  report(records: number): string {
    const half = Math.floor(this.peaks.length / 2)
    const first = Math.round(Math.max(0, ...this.peaks.slice(0, half)))
    const second = Math.round(Math.max(0, ...this.peaks.slice(half)))
    return `day: ${records} records, RSS at most ${first} MiB, then ${second} MiB`
  }
}
