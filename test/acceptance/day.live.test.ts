// LAKE-17 and LAKE-18 as an operator would meet them: a day of a topic with many streams, rows out
// of order, streams and partitions that fall silent, hours without rows, a broker that crashes, and
// a process that is killed. Each hour is announced when it is whole, and has few files.
//
// The short form plays some hours; SOAK_SECONDS plays a day of 300 streams in that time
// (`npm run soak -- day`).

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parsePeakRss, readOrNull } from '../../bench/process-tree.ts'
import { available } from '../servers/available.ts'
import { startKafka, type KafkaServer } from '../servers/kafka.ts'
import { createTopic, withProducer } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { Day, type DayPlan } from './day.ts'
import { Judge } from './day-judge.ts'
import { type Child, Pipeline } from './pipeline.ts'

const TOPIC = 'events'
const TABLE = `kafka.${TOPIC}`
const TARGET_BYTES = 1024 * 1024
const RSS_MAX = 1.5 * 1024 ** 3
/** A kill comes at most so long after it was decided that it comes. */
const KILL_MS_MAX = 1500

interface Shape extends DayPlan {
  readonly seconds: number
  readonly kills: number
  readonly brokerCrashes: number
  /** How often rows come for an hour that has been announced. */
  readonly lateBatches: number
}

function shape(seed: number): Shape {
  const seconds = process.env['SOAK_SECONDS']
  if (seconds === undefined) {
    const size = { streams: 48, partitions: 8, hours: 5, padBytes: 400 }
    return { seed, ...size, seconds: 24, kills: 3, brokerCrashes: 1, lateBatches: 2 }
  }
  const size = { streams: 300, partitions: 8, hours: 24, padBytes: 100 }
  const kills = Number(process.env['SOAK_KILLS'] ?? 10)
  return { seed, ...size, seconds: Number(seconds), kills, brokerCrashes: 4, lateBatches: 6 }
}

/** The process, which is killed now and then and started again. */
class Victim {
  child: Child
  kills = 0
  /** The largest resident size that any of them has had. */
  rssMax = 0
  private readonly pipeline: Pipeline
  private readonly random: Random
  private killing: Promise<void> = Promise.resolve()
  private doomed = 0
  /** Epoch that it began with. */
  private begin = 0
  private readonly sampling: NodeJS.Timeout

  constructor(pipeline: Pipeline, random: Random) {
    this.pipeline = pipeline
    this.random = random
    this.child = pipeline.start()
    this.sampling = setInterval(() => this.sample(), 250)
  }

  /** Kills it soon, beside whatever goes on, once the last one that was killed is up again. */
  kill(): void {
    this.doomed++
    this.killing = this.killing.then(async () => {
      await this.pipeline.killAtRandom(this.child, this.random, KILL_MS_MAX)
      this.kills++
      this.begin = await this.epoch()
      this.child = this.pipeline.start()
      this.doomed--
    })
    this.killing.catch(() => undefined)
  }

  private sample(): void {
    const status = readOrNull(`/proc/${this.child.pid}/status`) ?? ''
    this.rssMax = Math.max(this.rssMax, parsePeakRss(status))
  }

  private async epoch(): Promise<number> {
    return (await this.pipeline.checkpoint())?.epoch ?? 0
  }

  /** It has met its brokers: before that a start does not wait for brokers that are away. */
  async isAtWork(): Promise<boolean> {
    return this.doomed === 0 && (await this.epoch()) > this.begin
  }

  async allKilled(): Promise<void> {
    await this.killing
  }

  async stop(): Promise<void> {
    this.sample()
    await this.child.stop()
    this.end()
  }

  end(): void {
    clearInterval(this.sampling)
  }
}

/** Ticks at which something happens so many times, over all of the day but its beginning. */
function spread(random: Random, ticks: number, times: number): number[] {
  const share = (ticks * 0.9) / times
  return Array.from({ length: times }, (_, at) =>
    Math.trunc(ticks * 0.08 + at * share + random.next() * share),
  )
}

interface Scene {
  readonly server: KafkaServer
  readonly pipeline: Pipeline
  readonly day: Day
  readonly judge: Judge
  readonly victim: Victim
  readonly plan: Shape
}

/** @returns by hour: how often rows came for it when it had been announced */
async function play(scene: Scene): Promise<Map<number, number>> {
  const { server, day, judge, victim, plan } = scene
  const random = Random.of(plan.seed, 7001)
  const kills = spread(random, day.ticks, plan.kills)
  const crashes = spread(random, day.ticks, plan.brokerCrashes)
  const late = spread(random, day.ticks, plan.lateBatches)
  const lateBatches = new Map<number, number>()
  const paceMs = (plan.seconds * 1000) / day.ticks
  const startMs = performance.now()
  await withProducer(server, {}, async (producer) => {
    const send = async (messages: ReturnType<Day['minute']>): Promise<void> => {
      if (messages.length > 0) await producer.send({ topic: TOPIC, messages, acks: -1 })
    }
    const sendLate = async (): Promise<void> => {
      const hour = random.pick(judge.hours())
      lateBatches.set(hour, (lateBatches.get(hour) ?? 0) + 1)
      await send(day.afterwards(hour))
    }
    // On a slow machine some of it comes later, or behind the day.
    let [waiting, crashing] = [0, 0]
    for (let tick = 0; tick < day.ticks; tick++) {
      await sleep(Math.max(0, startMs + tick * paceMs - performance.now()))
      for (const at of kills) if (at === tick) victim.kill()
      crashing += crashes.filter((at) => at === tick).length
      if (crashing > 0 && (await victim.isAtWork())) {
        await crash(server, random)
        crashing--
      }
      waiting += late.filter((at) => at === tick).length
      if (waiting > 0 && judge.hours().length > 0) {
        await sendLate()
        waiting--
      }
      await send(day.minute(tick))
    }
    await victim.allKilled()
    await send(day.closing())
    const { pipeline } = scene
    for (; crashing > 0; crashing--) {
      await pipeline.until('the process is at work', async () => victim.isAtWork(), victim)
      await crash(server, random)
    }
    await pipeline.until('some hour is told', () => judge.hours().length > 0, victim)
    for (; waiting > 0; waiting--) await sendLate()
  })
  return lateBatches
}

async function crash({ nodes }: KafkaServer, random: Random): Promise<void> {
  if (random.chance(0.5)) await nodes[0]?.kill()
  else await nodes[0]?.halt()
  await nodes[0]?.start()
}

async function createPipeline(
  server: KafkaServer,
  url: string,
  interval: string,
): Promise<Pipeline> {
  const schema = {
    id: 'long not null',
    stream: 'int not null',
    ts: { type: 'timestamptz', unit: 'ms' },
    pad: 'string',
  }
  return Pipeline.create({
    server,
    name: 'day',
    mode: 'append',
    interval,
    source: {
      topics: [TOPIC],
      value: { format: 'json', schema },
      event_time: { field: 'ts', max_out_of_order: '10m', idle_partition: '2s' },
      metadata: ['__partition__', '__offset__'],
    },
    sinkKeys: {
      max_freshness: '12h',
      target_file_size: '1MiB',
      partition_by: { [TABLE]: ['hour(ts)'] },
    },
    partitionReady: {
      [TABLE]: {
        partition: 'hour(ts)',
        delay: '5m',
        actions: [{ type: 'http', name: 'judge', url, timeout: '30s' }],
      },
    },
  })
}

const ready = (await available('duckdb')) && (await available('kafka4'))
const isLong = process.env['SOAK_SECONDS'] !== undefined

test.skipIf(!ready)(
  'LAKE-17: the hours of a day are told when they are whole, once a generation, in few files',
  { timeout: 180_000 + Number(process.env['SOAK_SECONDS'] ?? 0) * 3000 },
  async () => {
    const plan = shape(drawSeed('day'))
    const day = new Day(plan)
    const server = await startKafka()
    const judge = await Judge.open(day, TABLE)
    const pipeline = await createPipeline(server, judge.url, isLong ? '1s' : '400ms')
    judge.looksAt(pipeline)
    await createTopic(server, TOPIC, { partitions: plan.partitions })
    const startMs = performance.now()
    const victim = new Victim(pipeline, Random.of(plan.seed, 7002))
    try {
      const lateBatches = await play({ server, pipeline, day, judge, victim, plan })
      const { child } = victim
      const all = (): boolean => judge.problems.length > 0 || judge.hasHeardAll()
      await pipeline.until('all of the day is told', all, { child, timeoutMs: 120_000 })
      await victim.stop()
      const { rssMax, kills } = victim
      console.log(`${day.rows.length} rows, ${kills} kills, ${judge.heard.size} announced,`)
      console.log(`${judge.repeats} told again, RSS ${Math.round(rssMax / 2 ** 20)} MiB,`)
      console.log(`${Math.round((performance.now() - startMs) / 1000)} s`)
      judge.expectEffects(lateBatches)
      await judge.expectRows(pipeline)
      console.log((await judge.expectFiles(TARGET_BYTES)).join('\n'))
      expect(kills).toBe(plan.kills)
      expect(rssMax).toBeGreaterThan(0)
      expect(rssMax).toBeLessThanOrEqual(RSS_MAX)
    } finally {
      victim.end()
      if (judge.problems.length > 0) console.log(judge.problems.slice(0, 20).join('\n'))
      await pipeline.remove()
      await judge.close()
      await server.stop()
    }
  },
)
