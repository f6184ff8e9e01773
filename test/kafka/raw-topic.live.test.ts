// A topic of raw records in the lake, as a user runs it: exactly what was committed to it, with
// its places, times, keys and headers, through kills.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withAdmin } from '../servers/kafka-client.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { COLUMNS, CommittedLog, expectRows, METADATA } from './committed.ts'

const reader = await available('duckdb')
const PARTITIONS = 4
const GROUP = 'lake'

for (const line of ['kafka4', 'kafka3'] as const) {
  test.skipIf(!reader || !(await available(line)))(
    `the lake has what was committed to a topic of ${line}, once each, through kills`,
    { timeout: 120_000 },
    async () => {
      const random = new Random(drawSeed(line))
      const server = await startKafka({ line })
      const pipeline = await Pipeline.create({
        server,
        mode: 'append',
        interval: '200ms',
        // One of the two holds rows back over each kill.
        sinkKeys: { max_freshness: line === 'kafka4' ? '1h' : '0s' },
        source: { metadata: METADATA, group_id: GROUP },
      })
      try {
        // Its records are of January.
        const config = { 'retention.ms': '-1' }
        await createTopic(server, 'clicks', { partitions: PARTITIONS, config })
        const log = new CommittedLog(server, 'clicks', PARTITIONS, random)
        await log.plain()
        const writing = new AbortController()
        const writer = (async () => {
          while (!writing.signal.aborted) {
            if (random.chance(0.4)) await log.plain()
            else await log.transaction(random.chance(0.6))
            await sleep(20)
          }
        })()
        for (let kill = 0; kill < (line === 'kafka4' ? 3 : 1); kill++) {
          await pipeline.killAtRandom(pipeline.start(), random, 700)
        }
        // What the group says decides nothing.
        await withAdmin(server, async (admin) => {
          await admin.resetOffsets({ groupId: GROUP, topic: 'clicks', earliest: true })
        })
        const child = pipeline.start()
        await pipeline.untilStreaming(child)
        writing.abort()
        await writer
        await child.stop()
        await pipeline.once()
        await expectRows(pipeline, 'kafka.clicks', COLUMNS, log.rows)
        expect(log.rows.length).toBeGreaterThan(100)
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}
