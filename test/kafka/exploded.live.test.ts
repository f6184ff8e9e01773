// Arrays in the records of a topic: each element is a row of the lake, once each, through kills; by
// key, a later record of the key takes away what it does not have any more.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Pipeline, type PipelineOptions } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import type { Cell } from '../readers/canonical.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withProducer } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { expectRows } from './committed.ts'

const servers = (await available('duckdb')) && (await available('kafka4'))
const MAX = 4

interface Item {
  readonly sku: string
  readonly qty: number | null
}

interface Order {
  readonly id: number
  readonly at: string
  readonly items: readonly (Item | null)[] | null
}

function draw(random: Random, id: number): Order {
  const items = Array.from({ length: random.int(0, MAX) }, () => {
    const qty = random.chance(0.2) ? null : random.int(1, 99)
    return random.chance(0.1) ? null : { sku: `s"${random.int(1, 99)}é`, qty }
  })
  return { id, at: `2026-01-0${random.int(1, 9)}`, items: random.chance(0.1) ? null : items }
}

const COLUMNS = ['id', 'at', 'no', 'sku', 'qty']

function rowsOf({ id, at, items }: Order): Cell[][] {
  return (items ?? []).map((item, index) => {
    const qty = item?.qty ?? null
    return [String(id), at, String(index + 1), item?.sku ?? null, qty === null ? null : String(qty)]
  })
}

async function carry(
  title: string,
  options: Partial<PipelineOptions>,
  ids: (random: Random, count: number) => number,
  expected: (orders: readonly Order[]) => Cell[][],
): Promise<void> {
  const random = new Random(drawSeed(title))
  const server = await startKafka({ line: 'kafka4' })
  const schema = { id: 'long not null', at: 'string', items: 'json' }
  const source = { value: { format: 'json', schema }, topics: ['orders'], ...options.source }
  const pipeline = await Pipeline.create({ server, interval: '200ms', ...options, source })
  await edit(pipeline, (file) => {
    Object.assign(file, {
      transform: [
        {
          from: 'kafka.orders',
          explode: { column: 'items', as: 'item', ordinal: 'no', max: MAX },
          json: { column: 'item', schema: { sku: 'string', qty: 'int' } },
          projection: 'id, at, no, sku, qty',
        },
      ],
    })
  })
  try {
    await createTopic(server, 'orders', { partitions: 3 })
    const orders: Order[] = []
    const writing = new AbortController()
    const writer = (async () => {
      while (!writing.signal.aborted) {
        const some = Array.from({ length: 30 }, (_, at) => {
          return draw(random, ids(random, orders.length + at))
        })
        // Records of one key stay in one partition, in their order.
        const messages = some.map((order) => {
          return { key: null, value: JSON.stringify(order), partition: order.id % 3 }
        })
        await withProducer(server, {}, async (producer) => {
          await producer.send({ topic: 'orders', messages })
        })
        orders.push(...some)
        await sleep(20)
      }
    })()
    for (let kill = 0; kill < 3; kill++) await pipeline.killAtRandom(pipeline.start(), random, 700)
    writing.abort()
    await writer
    await pipeline.once()
    const rows = expected(orders).map(([id = null, at = null, ...rest]): Cell[] => [
      id,
      at,
      ...rest,
    ])
    expect(rows.length).toBeGreaterThan(50)
    await expectRows(pipeline, 'kafka.orders', COLUMNS, rows)
  } finally {
    await pipeline.remove()
    await server.stop()
  }
}

test.skipIf(!servers)(
  'every element of every record is a row, once each',
  { timeout: 240_000 },
  async () => {
    await carry(
      'elements of records',
      { mode: 'append' },
      (_, count) => count,
      (orders) => orders.flatMap(rowsOf),
    )
  },
)

test.skipIf(!servers)(
  'by key, the elements of the newest record alone are left',
  { timeout: 240_000 },
  async () => {
    await carry(
      'elements by key',
      { mode: 'upsert', source: { primary_keys: ['id'] } },
      (random) => random.int(1, 90),
      (orders) => {
        const newest = new Map(orders.map((order) => [order.id, order]))
        return [...newest.values()].flatMap(rowsOf)
      },
    )
  },
)
