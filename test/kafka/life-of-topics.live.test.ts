// What happens to topics under a running pipeline, on a real cluster and with the program itself:
// partitions that are added, topics that come and are made again, records that retention takes,
// records that cannot be decoded.
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { metadataLocations, readMetadata } from '../acceptance/lake.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import { available } from '../servers/available.ts'
import { startKafka, type KafkaServer } from '../servers/kafka.ts'
import { createTopic, produce, withAdmin } from '../servers/kafka-client.ts'
import { Random } from '../workload/random.ts'
import { COLUMNS, CommittedLog, expectRows, METADATA } from './committed.ts'

const ready = (await available('duckdb')) && (await available('kafka4'))
let server: KafkaServer

beforeAll(async () => {
  if (ready) server = await startKafka()
}, 120_000)

afterAll(async () => {
  await server?.stop()
})

async function withPipeline(
  options: Partial<Parameters<typeof Pipeline.create>[0]>,
  work: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const pipeline = await Pipeline.create({ server, mode: 'append', interval: '300ms', ...options })
  try {
    await work(pipeline)
  } finally {
    await pipeline.remove()
  }
}

/** Cells of a column of the lake's table, in no order. */
async function cells(pipeline: Pipeline, table: string, column: string): Promise<string[]> {
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) return []
  const { columns, rows } = await readIcebergWithDuckdb(location, { table })
  const at = columns.indexOf(column)
  return rows.map((row) => String((JSON.parse(row) as unknown[])[at])).toSorted()
}

const text = { format: 'raw', as: 'text' }

test.skipIf(!ready)(
  'partitions and topics that come while it runs are read from their start',
  { timeout: 90_000 },
  async () => {
    // Its records are of January.
    await createTopic(server, 'grow.a', { partitions: 1, config: { 'retention.ms': '-1' } })
    const log = new CommittedLog(server, 'grow.a', 1, new Random(1))
    await log.plain()
    const source = { metadata: METADATA, start: 'latest' }
    await withPipeline({ tables: ['grow.*'], source }, async (pipeline) => {
      const before = log.rows.splice(0)
      const child = pipeline.start()
      await pipeline.untilStreaming(child)
      await withAdmin(server, async (admin) => {
        await admin.createPartitions({ topicPartitions: [{ topic: 'grow.a', count: 3 }] })
      })
      // The first records of the new partitions are there before anybody looks for them.
      const wider = new CommittedLog(server, 'grow.a', 3, new Random(2))
      await wider.plain()
      await createTopic(server, 'grow.b')
      await produce(server, 'grow.b', [{ value: 'first', key: null }])
      const arrived = async (): Promise<boolean> =>
        Object.keys(metadataLocations(pipeline)).includes('kafka.grow.b') &&
        (await cells(pipeline, 'kafka.grow.b', '__offset__')).length > 0
      await pipeline.until('the new topic is read', arrived, { child, timeoutMs: 45_000 })
      await child.stop()
      await pipeline.once()
      await expectRows(pipeline, 'kafka.grow.a', COLUMNS, wider.rows)
      expect(before.length).toBeGreaterThan(0)
    })
  },
)

test.skipIf(!ready)(
  'a topic that is made again parks its table alone, and is read anew by choice',
  { timeout: 120_000 },
  async () => {
    for (const topic of ['again.a', 'again.b']) await createTopic(server, topic)
    await produce(server, 'again.a', [{ key: 'k', value: 'old' }])
    await produce(server, 'again.b', [{ key: 'k', value: 'b1' }])
    const source = { primary_keys: ['key'], value: text, key: text }
    await withPipeline({ mode: 'upsert', tables: ['again.*'], source }, async (pipeline) => {
      await pipeline.once()
      await withAdmin(server, async (admin) => admin.deleteTopics({ topics: ['again.a'] }))
      await createTopic(server, 'again.a')
      await produce(server, 'again.a', [{ key: 'k2', value: 'new' }])
      await produce(server, 'again.b', [{ key: 'k', value: 'b2' }])
      const parked = await pipeline.command(['run', pipeline.file, '--once'])
      expect({ code: parked.code, out: parked.stdout + parked.stderr }).toMatchObject({ code: 4 })
      expect(parked.stdout + parked.stderr).toContain('MR-6002')
      expect(await cells(pipeline, 'kafka.again.a', 'value')).toEqual(['old'])
      expect(await cells(pipeline, 'kafka.again.b', 'value')).toEqual(['b2'])
      const file = await readFile(pipeline.file, 'utf8')
      await writeFile(
        pipeline.file,
        file.replace('type: kafka', 'type: kafka\n  on_recreate: from_beginning'),
      )
      await pipeline.once()
      expect(await cells(pipeline, 'kafka.again.a', 'value')).toEqual(['new'])
      await produce(server, 'again.a', [{ key: 'k3', value: 'later' }])
      await pipeline.once()
      expect(await cells(pipeline, 'kafka.again.a', 'value')).toEqual(['later', 'new'])
    })
  },
)

test.skipIf(!ready)(
  'records that retention took before they were read are said to be lost',
  { timeout: 60_000 },
  async () => {
    await createTopic(server, 'kept')
    await produce(server, 'kept', [{ value: 'a' }, { value: 'b' }])
    await withPipeline({ tables: ['kept'], source: { value: text } }, async (pipeline) => {
      await pipeline.once()
      await produce(server, 'kept', [{ value: 'c' }, { value: 'd' }, { value: 'e' }])
      await withAdmin(server, async (admin) => {
        await admin.fetchTopicOffsets('kept')
        await admin.deleteTopicRecords({
          topic: 'kept',
          partitions: [{ partition: 0, offset: '4' }],
        })
      })
      const exit = await pipeline.command(['run', pipeline.file, '--once'])
      expect(exit.code).toBe(4)
      const said = exit.stdout + exit.stderr
      expect(said).toContain('partition 0 of topic \\"kept\\" no longer has offset 2')
      expect(said).toContain('First available: offset 4; the log ends at 5')
      expect(await cells(pipeline, 'kafka.kept', 'value')).toEqual(['a', 'b'])
    })
  },
)

test.skipIf(!ready)(
  'what cannot be decoded stops the pipeline at its place, or lies beside the rest of its epoch',
  { timeout: 90_000 },
  async () => {
    await createTopic(server, 'dirty', { partitions: 2 })
    const bad = Buffer.from('ff00', 'hex')
    await produce(server, 'dirty', [
      { value: 'a' },
      { key: 'k', value: bad, headers: { h: '1' }, timestamp: '1767225600000' },
      { value: 'b' },
      { partition: 1, value: 'c' },
    ])
    await withPipeline({ tables: ['dirty'], source: { value: text } }, async (pipeline) => {
      const exit = await pipeline.command(['run', pipeline.file, '--once'])
      expect(exit.code).toBe(1)
      const said = exit.stdout + exit.stderr
      expect(said).toContain('topic \\"dirty\\", partition 0, offset 1: the value is not UTF-8')
    })
    const onError = { decode: 'dlq', max_dlq_rows: 1 }
    const source = { value: text, metadata: ['__partition__', '__offset__'] }
    const options = { tables: ['dirty'], source, onError }
    await withPipeline(options, async (pipeline) => {
      await pipeline.once()
      const clean = [
        ['a', '0', '0'],
        ['b', '0', '2'],
        ['c', '1', '0'],
      ]
      const columns = ['value', '__partition__', '__offset__']
      await expectRows(pipeline, 'kafka.dirty', columns, clean)
      const letters = 'kafka.shop_dlq'
      await expectRows(
        pipeline,
        letters,
        ['code', 'topic', 'partition', 'offset', 'record_time', 'key', 'value', 'headers'],
        [
          [
            'MR-4501',
            'dirty',
            '0',
            '1',
            '1767225600000000',
            '6b',
            'ff00',
            '[{"key":"h","value":"1"}]',
          ],
        ],
      )
      const epochs = await Promise.all(
        ['kafka.dirty', letters].map(async (table) => {
          const { main } = await readMetadata(metadataLocations(pipeline)[table] ?? '')
          return main.at(-1)?.summary['millrace.epoch']
        }),
      )
      expect(new Set(epochs).size).toBe(1)
      // Two in one epoch are too many, and nothing of the epoch is seen.
      await produce(server, 'dirty', [{ value: 'd' }, { value: bad }, { value: bad }])
      const exit = await pipeline.command(['run', pipeline.file, '--once'])
      expect(exit.code).toBe(1)
      expect(exit.stdout + exit.stderr).toContain('MR-4203')
      await expectRows(pipeline, 'kafka.dirty', columns, clean)
    })
  },
)
