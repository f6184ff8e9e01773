// Records of a topic are versions of a row, and none of them says whether it is the first. A newer
// one that does not pass the filter takes away what an older one has left in the lake.

import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withProducer } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { expectRows } from './committed.ts'

const servers = (await available('duckdb')) && (await available('kafka4'))
const IDS = 40

test.skipIf(!servers)(
  'a record that does not pass a filter takes the row of its key out of the lake, through kills',
  { timeout: 120_000 },
  async () => {
    const random = new Random(drawSeed('filtered topic'))
    const server = await startKafka({ line: 'kafka4' })
    const schema = { id: 'long not null', state: 'string', n: 'long' }
    const source = {
      topics: ['orders'],
      value: { format: 'json', schema },
      primary_keys: ['id'],
    }
    const pipeline = await Pipeline.create({ server, mode: 'upsert', interval: '200ms', source })
    await edit(pipeline, (file) => {
      Object.assign(file, { transform: [{ from: 'kafka.orders', filter: "state = 'open'" }] })
    })
    try {
      await createTopic(server, 'orders', { partitions: 3 })
      const newest = new Map<number, { state: string; n: number }>()
      let sent = 0
      const writing = new AbortController()
      const writer = (async () => {
        while (!writing.signal.aborted) {
          const some = Array.from({ length: 20 }, () => {
            const state = random.chance(0.5) ? 'open' : 'closed'
            return { id: random.int(0, IDS - 1), state, n: sent++ }
          })
          const messages = some.map((order) => {
            return { key: null, value: JSON.stringify(order), partition: order.id % 3 }
          })
          await withProducer(server, {}, async (producer) => {
            await producer.send({ topic: 'orders', messages })
          })
          for (const { id, state, n } of some) newest.set(id, { state, n })
          await sleep(20)
        }
      })()
      for (let kill = 0; kill < 3; kill++) {
        await pipeline.killAtRandom(pipeline.start(), random, 700)
      }
      writing.abort()
      await writer
      await pipeline.once()
      const open = [...newest].filter(([, { state }]) => state === 'open')
      const rows = open.map(([id, { n }]) => [String(id), 'open', String(n)])
      await expectRows(pipeline, 'kafka.orders', ['id', 'state', 'n'], rows)
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
