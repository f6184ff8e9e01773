// Topics whose partitions of the lake are announced: rows with a time of their own, a pipeline that
// says when an hour is whole, and who has heard of it: a file, a property, and a webhook.

import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { metadataLocations } from '../acceptance/lake.ts'
import { Pipeline, type Child } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import type { TableStatus } from '../../runtime/console/status.ts'
import type { KafkaServer } from '../servers/kafka.ts'
import { withProducer, type TestRecord } from '../servers/kafka-client.ts'

export const SCHEMA = {
  id: 'long not null',
  ts: { type: 'timestamptz', unit: 'ms' },
  at: { type: 'timestamptz', unit: 'ms' },
}

export interface Heard {
  /** Of the partition, as the lake names it. */
  readonly value: string
  readonly generation: number
  readonly files: number
  readonly rows: number
  readonly id: string
}

/** Notes every message, in order. */
export class Webhook {
  readonly heard: Heard[] = []
  private readonly server: Server

  private constructor(server: Server) {
    this.server = server
  }

  static async open(): Promise<Webhook> {
    const server = createServer()
    const webhook = new Webhook(server)
    server.on('request', (request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
      request.on('end', () => {
        webhook.note(body)
        response.writeHead(204).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return webhook
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/ready`
  }

  /** Each announcement once: a crash may have told one twice, under the id that it had. */
  once(): string[] {
    const byId = new Map(this.heard.map((one) => [one.id, one]))
    return [...byId.values()].map(({ value, generation, files, rows }) => {
      return `${value}/${generation} files ${files} rows ${rows}`
    })
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private note(body: string): void {
    const { id, data } = JSON.parse(body) as {
      id: string
      data: { partition: Record<string, string>; generation: number; files: number; rows: number }
    }
    const { generation, files, rows } = data
    this.heard.push({ id, value: Object.values(data.partition).join(), generation, files, rows })
  }
}

export interface Announced {
  readonly pipeline: Pipeline
  readonly webhook: Webhook
  readonly table: string
}

export interface Plan {
  readonly server: KafkaServer
  readonly topic: string
  /** Of `source`. */
  readonly source: object
  /** Of `partition_ready`, but for `actions`; the partition is hour(ts) unless said. */
  readonly rule?: { readonly partition?: string; readonly [key: string]: unknown }
  readonly more?: object
  readonly mode?: 'append' | 'changelog'
}

/** A pipeline over one topic, with the webhook that hears of its partitions. */
export async function withAnnounced(
  { server, topic, source, rule = {}, more = {}, mode = 'append' }: Plan,
  play: (announced: Announced) => Promise<void>,
): Promise<void> {
  const webhook = await Webhook.open()
  const value = { format: 'json', schema: SCHEMA }
  const pipeline = await Pipeline.create({
    server,
    mode,
    interval: '200ms',
    source: { topics: [topic], value, ...source },
  })
  const table = `kafka.${topic}`
  await edit(pipeline, (file) => {
    const { partition = 'hour(ts)' } = rule
    Object.assign(file['sink'] ?? {}, { partition_by: { [table]: [partition] } })
    const hook = { type: 'http', name: 'hook', url: webhook.url }
    const actions = [{ type: 'success_file' }, { type: 'iceberg_property' }, hook]
    const ready = { [table]: { partition, actions, ...rule } }
    Object.assign(file, { partition_ready: ready }, more)
  })
  try {
    await play({ pipeline, webhook, table })
  } finally {
    await pipeline.remove()
    await webhook.close()
  }
}

let ids = 0

/** @param time  of 2026-01-05, or milliseconds since 1970, or none */
export function row(partition: number, time: string | number | null, at = time): TestRecord {
  const value = JSON.stringify({ id: ++ids, ts: msOf(time), at: msOf(at) })
  return { partition, key: null, value }
}

export function msOf(time: string | number | null): number | null {
  return typeof time === 'string' ? Date.parse(`2026-01-05T${time}:00Z`) : time
}

export async function tableStatus({ pipeline, table }: Announced): Promise<TableStatus | null> {
  const tables = (await pipeline.status())?.table_list ?? []
  return tables.find((one) => one.table === table) ?? null
}

/** Waits until the webhook has heard just these, in this order. */
export async function untilHeard(
  { pipeline, webhook }: Announced,
  child: Child,
  expected: readonly string[],
): Promise<void> {
  const told = (): boolean => webhook.once().length >= expected.length
  await pipeline.until(`it hears of ${expected.join(', ')}`, told, { child })
  expect(webhook.once()).toEqual(expected)
}

const BEAT_MS = 200

/**
 * Sends such records again and again while `work` runs: partitions that go on while others are
 * idle. Their hours are none that the test counts.
 */
export async function whileBeating<T>(
  server: KafkaServer,
  topic: string,
  beat: () => readonly TestRecord[],
  work: () => Promise<T>,
): Promise<T> {
  const state = { ended: false }
  const beating = withProducer(server, {}, async (producer) => {
    while (!state.ended) {
      await producer.send({ topic, messages: [...beat()] })
      await sleep(BEAT_MS)
    }
  })
  try {
    return await work()
  } finally {
    state.ended = true
    await beating
  }
}

/** Waits until the status shows it. */
export async function untilStatus(
  announced: Announced,
  child: Child,
  wanted: object,
): Promise<void> {
  const isThere = async (): Promise<boolean> => isLike(await tableStatus(announced), wanted)
  await announced.pipeline.until(`status has ${JSON.stringify(wanted)}`, isThere, { child })
}

function isLike(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted
  if (typeof found !== 'object' || found === null) return false
  return Object.entries(wanted).every(([key, value]) =>
    isLike((found as Record<string, unknown>)[key], value),
  )
}

export async function untilWatermark(
  announced: Announced,
  child: Child,
  time: string,
): Promise<void> {
  await untilStatus(announced, child, { watermark: `2026-01-05T${time}:00.000Z` })
}

/** @returns what is in `_SUCCESS` of a partition's folder; `null`: there is none */
export function success(
  { pipeline, table }: Announced,
  folder: string,
): Record<string, unknown> | null {
  const path = join(pipeline.warehouse, table.replace('.', '/'), 'data', folder, '_SUCCESS')
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  } catch {
    return null
  }
}

/** @returns generation in the table's property; 0: there is none */
export function property({ pipeline, table }: Announced, partition: string): number {
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) return 0
  const { properties } = JSON.parse(readFileSync(new URL(location), 'utf8')) as {
    properties: Record<string, string>
  }
  const text = properties[`millrace.ready.${partition}`]
  return text === undefined ? 0 : (JSON.parse(text) as { generation: number }).generation
}
