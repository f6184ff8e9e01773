// Dead letters of a topic of both kinds: records that cannot be decoded, and rows that a transform
// cannot compute, in one table, each once through kills. The oracle is what was produced.

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
const LETTERS = 'kafka.shop_dlq'

/** A record that is fine, one that is no JSON, or one whose row cannot be computed. */
function recordOf(id: number): string {
  if (id % 7 === 0) return `{"id": ${id}, "n": `
  return JSON.stringify({ id, n: id % 5, card: `c${id}` })
}

test.skipIf(!servers)(
  'records that cannot be decoded and rows that cannot be computed are letters of one table, once',
  { timeout: 240_000 },
  async () => {
    const random = new Random(drawSeed('dead rows'))
    const server = await startKafka({ line: 'kafka4' })
    const schema = { id: 'long not null', n: 'int', card: 'string' }
    const source = { value: { format: 'json', schema }, topics: ['readings'] }
    const pipeline = await Pipeline.create({ server, mode: 'append', interval: '200ms', source })
    await edit(pipeline, (file) => {
      const entry = { from: 'kafka.*', projection: 'id, 60 / n AS share, card', on_error: 'dlq' }
      Object.assign(file, {
        transform: [{ ...entry, mask: { card: 'partial(0,1)' } }],
        on_error: { decode: 'dlq' },
      })
    })
    try {
      await createTopic(server, 'readings', { partitions: 3 })
      let last = 0
      const produce = async (count: number): Promise<void> => {
        const messages = Array.from({ length: count }, () => {
          const id = ++last
          return { key: null, value: recordOf(id), partition: id % 3 }
        })
        await withProducer(server, {}, async (producer) => {
          await producer.send({ topic: 'readings', messages })
        })
      }
      const writing = new AbortController()
      const writer = (async () => {
        while (!writing.signal.aborted) {
          await produce(25)
          await sleep(20)
        }
      })()
      for (let kill = 0; kill < 3; kill++)
        await pipeline.killAtRandom(pipeline.start(), random, 700)
      writing.abort()
      await writer
      await pipeline.once()
      await expectAll(pipeline, last)
      // One limit counts both: of 70 records ten are broken, and twelve rows cannot be computed.
      await produce(35 - (last % 35))
      await pipeline.once()
      await edit(pipeline, (file) => {
        Object.assign(file['on_error'] ?? {}, { max_dlq_rows: 21 })
        // The limit is for what two checkpoints have between them.
        Object.assign(file['pipeline'] ?? {}, { checkpoint: checkpointOf(file, '60s') })
      })
      await produce(70)
      const flooded = await pipeline.command(['run', pipeline.file, '--once'])
      expect([flooded.code, flooded.stderr]).toEqual([1, expect.stringContaining('MR-4203')])
      await expectAll(pipeline, last - 70)
      await edit(pipeline, (file) => Object.assign(file['on_error'] ?? {}, { max_dlq_rows: 22 }))
      await pipeline.once()
      await expectAll(pipeline, last)
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)

/** As the file has it, but for the interval. */
function checkpointOf(file: Record<string, Record<string, unknown>>, interval: string): object {
  return { ...(file['pipeline']?.['checkpoint'] as object), interval }
}

/** Of records 1...last. */
async function expectAll(pipeline: Pipeline, last: number): Promise<void> {
  const ids = Array.from({ length: last }, (_, index) => index + 1)
  const broken = ids.filter((id) => id % 7 === 0)
  const dead = ids.filter((id) => id % 7 !== 0 && id % 5 === 0)
  const fine = ids.filter((id) => id % 7 !== 0 && id % 5 !== 0)
  const stars = (id: number): string => `${'*'.repeat(`c${id}`.length - 1)}${id % 10}`
  const rows = fine.map((id) => [String(id), String(60 / (id % 5)), stars(id)])
  await expectRows(pipeline, 'kafka.readings', ['id', 'share', 'card'], rows)
  const letters = [
    ...broken.map((id) => {
      const value = Buffer.from(recordOf(id)).toString('hex')
      return ['MR-4501', 'readings', String(id % 3), value, null, null, null, null]
    }),
    ...dead.map((id) => {
      const row = JSON.stringify({ id, n: 0, card: '****' })
      return ['MR-4201', null, null, null, 'kafka.readings', 'share', '60 / n', row]
    }),
  ]
  const columns = ['code', 'topic', 'partition', 'value', 'source_table', 'column_name']
  await expectRows(pipeline, LETTERS, [...columns, 'expression', 'row'], letters)
  expect(letters.length).toBeGreaterThan(10)
}
