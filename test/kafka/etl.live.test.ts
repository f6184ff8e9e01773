// The way of an event from topic to table as a user of it writes it down: typed, filtered, computed
// with, masked and put into the partition of its hour, once each, through kills.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withProducer } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { expectRows } from './committed.ts'

const servers = (await available('duckdb')) && (await available('kafka4'))
const HOUR_MS = 3_600_000

interface Click {
  readonly id: number
  readonly user: string
  readonly ms: number
  readonly at: number
}

/** As a folder has it. */
function hourOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 13).replace('T', '-')
}

function draw(random: Random, id: number): Click {
  const at = 1_764_000_000_000 + random.int(0, 6 * HOUR_MS)
  return { id, user: `U${random.int(1, 99)}@x`, ms: random.int(-5, 100), at }
}

test.skipIf(!servers)(
  'clicks are filtered, computed with and partitioned by their hour, once each, through kills',
  { timeout: 240_000 },
  async () => {
    const random = new Random(drawSeed('clicks'))
    const server = await startKafka({ line: 'kafka4' })
    const schema = {
      id: 'long not null',
      user: 'string',
      ms: 'int',
      at: { type: 'timestamptz', unit: 'ms' },
    }
    const source = { value: { format: 'json', schema }, topics: ['clicks'] }
    const pipeline = await Pipeline.create({ server, mode: 'append', interval: '200ms', source })
    await edit(pipeline, (file) => {
      Object.assign(file, {
        transform: [
          {
            from: 'kafka.clicks',
            projection: 'id, upper(user) AS who, ms * 1000 AS us, at, __table__ AS origin',
            filter: 'ms > 0',
          },
        ],
        route: [{ from: 'kafka.*', into: 'raw.$1' }],
      })
      Object.assign(file['sink'] ?? {}, { partition_by: { 'raw.clicks': ['hour(at)'] } })
    })
    try {
      await createTopic(server, 'clicks', { partitions: 3 })
      const clicks: Click[] = []
      const writing = new AbortController()
      const writer = (async () => {
        while (!writing.signal.aborted) {
          const some = Array.from({ length: 50 }, (_, at) => draw(random, clicks.length + at))
          const messages = some.map((click) => ({ key: null, value: JSON.stringify(click) }))
          await withProducer(server, {}, async (producer) => {
            await producer.send({ topic: 'clicks', messages })
          })
          clicks.push(...some)
          await sleep(20)
        }
      })()
      for (let kill = 0; kill < 3; kill++)
        await pipeline.killAtRandom(pipeline.start(), random, 700)
      writing.abort()
      await writer
      await pipeline.once()
      const expected = clicks
        .filter(({ ms }) => ms > 0)
        .map(({ id, user, ms, at }) => {
          const cells = [String(id), user.toUpperCase(), String(ms * 1000), String(at * 1000)]
          return [...cells, 'clicks']
        })
      expect(expected.length).toBeGreaterThan(50)
      await expectRows(pipeline, 'raw.clicks', ['id', 'who', 'us', 'at', 'origin'], expected)
      const files = await readdir(join(pipeline.warehouse, 'raw/clicks'), { recursive: true })
      const hours = files.flatMap((file) => {
        return /at_hour=(2025-11-24-\d\d)\/[^/]+\.parquet$/.exec(file)?.slice(1) ?? []
      })
      const all = new Set(expected.map(([, , , at]) => hourOf(Number(at) / 1000)))
      expect(new Set(hours)).toEqual(all)
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
