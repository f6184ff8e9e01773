// The demo's stream: clicks on a site whose clock runs 720 times as fast as ours, and a list of
// what was sent, hour by hour: the oracle of what the lake must hold.

import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaServer } from '../../test/servers/kafka.ts'
import { createTopic, withProducer } from '../../test/servers/kafka-client.ts'

export const TOPIC = 'clicks'
export const PARTITIONS = 3
export const HOUR_MS = 3_600_000
/** An hour of the site in five seconds. */
const SPEED = 720
const BATCH_MS = 50
const BATCH_CLICKS = 60
/** Some browsers tell of a click up to a minute later. */
const DELAY_MS_MAX = 60_000
const PAGES = ['home', 'search', 'cart', 'pay', 'help']
const BOT_EVERY = 10

export interface Click {
  readonly id: number
  readonly user: string
  readonly page: string
  readonly clicked_at: number
}

/** Where the site's day begins. */
export const DAY_MS = Date.UTC(2026, 10, 20, 7)

export class Site {
  /** Clicks of people, by the hour in which they were made. */
  readonly people = new Map<number, Click[]>()
  bots = 0
  private readonly server: KafkaServer
  private next = 1
  private isOpen = true
  private running: Promise<void> = Promise.resolve()

  constructor(server: KafkaServer) {
    this.server = server
  }

  async createTopic(): Promise<void> {
    await createTopic(this.server, TOPIC, { partitions: PARTITIONS })
  }

  /** @param hours  of the site's time; then nobody comes any more */
  open(hours: number): void {
    this.running = this.run(hours)
    // Whoever waits for its end hears of the error; before that it is nobody's.
    this.running.catch(() => {})
  }

  /** Waits until the last hour is over. */
  async ended(): Promise<void> {
    await this.running
  }

  async close(): Promise<void> {
    this.isOpen = false
    await this.running.catch(() => {})
  }

  /** A click that a train in a tunnel has kept. */
  async sendLate(hour: number): Promise<void> {
    await this.send([this.click(DAY_MS + hour * HOUR_MS + 59 * 60_000, 'tunnel')])
  }

  sentIn(hour: number): readonly Click[] {
    return this.people.get(hour) ?? []
  }

  private async run(hours: number): Promise<void> {
    const started = performance.now()
    const endMs = DAY_MS + hours * HOUR_MS
    await withProducer(this.server, {}, async (producer) => {
      for (let at = DAY_MS; this.isOpen && at < endMs; await sleep(BATCH_MS)) {
        at = DAY_MS + (performance.now() - started) * SPEED
        const clicks = Array.from({ length: BATCH_CLICKS }, (_, n) => {
          const delayMs = Math.round((DELAY_MS_MAX * n) / BATCH_CLICKS)
          return this.click(Math.max(DAY_MS, Math.min(at, endMs - 1) - delayMs))
        })
        const messages = clicks.map((click) => ({ value: JSON.stringify(click) }))
        await producer.send({ topic: TOPIC, messages })
      }
    })
  }

  private async send(clicks: readonly Click[]): Promise<void> {
    const messages = clicks.map((click) => ({ value: JSON.stringify(click) }))
    await withProducer(this.server, {}, (producer) => producer.send({ topic: TOPIC, messages }))
  }

  private click(atMs: number, name?: string): Click {
    const id = this.next++
    const isBot = name === undefined && id % BOT_EVERY === 0
    const user = name ?? (isBot ? `bot-${id % 7}` : `user-${(id * 7919) % 5000}`)
    const page = PAGES[id % PAGES.length] ?? ''
    const click = { id, user, page, clicked_at: Math.floor(atMs) }
    if (isBot) this.bots++
    else this.remember(click)
    return click
  }

  private remember(click: Click): void {
    const hour = Math.floor((click.clicked_at - DAY_MS) / HOUR_MS)
    const all = this.people.get(hour)
    if (all === undefined) this.people.set(hour, [click])
    else all.push(click)
  }
}
