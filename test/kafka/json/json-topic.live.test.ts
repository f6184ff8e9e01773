// Topics of JSON in the lake, as a user runs it: typed rows of a stream, and a table that follows
// changes, through kills.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Pipeline } from '../../acceptance/pipeline.ts'
import { doubleCell } from '../../readers/canonical.ts'
import { available } from '../../servers/available.ts'
import { startKafka, type KafkaServer } from '../../servers/kafka.ts'
import { createTopic, withProducer } from '../../servers/kafka-client.ts'
import { drawSeed, Random } from '../../workload/random.ts'
import { expectRows } from '../committed.ts'

const servers = (await available('duckdb')) && (await available('kafka4'))

interface Message {
  readonly key: string | null
  readonly value: string | null
}

async function send(
  server: KafkaServer,
  topic: string,
  messages: readonly Message[],
): Promise<void> {
  await withProducer(server, {}, async (producer) => {
    await producer.send({ topic, messages: [...messages] })
  })
}

test.skipIf(!servers)(
  'records of JSON are typed rows, new members are columns, and damaged records dead letters',
  { timeout: 180_000 },
  async () => {
    const server = await startKafka({ line: 'kafka4' })
    const value = {
      format: 'json',
      schema: {
        id: 'long not null',
        'user.name': 'string',
        at: { type: 'timestamptz', unit: 'ms' },
      },
      unknown: 'evolve',
    }
    const pipeline = await Pipeline.create({
      server,
      mode: 'append',
      source: { value, topics: ['clicks'] },
      onError: { decode: 'dlq' },
    })
    try {
      await createTopic(server, 'clicks', { partitions: 2 })
      await send(server, 'clicks', [
        { key: null, value: '{"id":9223372036854775807,"user":{"name":"a\\u00e9"},"at":1}' },
        { key: null, value: '{"id":2' },
        { key: null, value: '{"id":3,"more":true}' },
      ])
      await pipeline.once()
      await send(server, 'clicks', [{ key: null, value: '{"id":4,"at":null,"other":1.5}' }])
      await pipeline.once()
      const names = ['id', 'user.name', 'at', 'more', 'other']
      await expectRows(pipeline, 'kafka.clicks', names, [
        ['9223372036854775807', 'aé', '1000', null, null],
        ['3', null, null, 'true', null],
        ['4', null, null, null, doubleCell(1.5)],
      ])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)

const SCHEMA = {
  type: 'struct',
  fields: ['before', 'after'].map((field) => ({
    type: 'struct',
    fields: [
      { type: 'int32', optional: false, field: 'id' },
      { type: 'string', optional: true, field: 'note' },
    ],
    optional: true,
    field,
  })),
}

/** A table, and the events that a connector would write of its changes. */
class PlayedTable {
  readonly rows = new Map<number, string>()
  private readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  change(): Message[] {
    const { random, rows } = this
    const id = random.int(1, 40)
    const before = rows.has(id) ? { id, note: rows.get(id) } : null
    if (before !== null && random.chance(0.3)) {
      rows.delete(id)
      return [this.event(id, { before, after: null, op: 'd' }), { key: this.key(id), value: null }]
    }
    const note = `note ${random.hex(4)} "é"`
    rows.set(id, note)
    const after = { id, note }
    const op = random.chance(0.2) ? 'r' : 'c'
    if (before === null) return [this.event(id, { before, after, op })]
    const shown = random.chance(0.5) ? before : null
    return [this.event(id, { before: shown, after, op: 'u' })]
  }

  private key(id: number): string {
    return JSON.stringify({ schema: { type: 'struct' }, payload: { id } })
  }

  private event(id: number, payload: object): Message {
    return { key: this.key(id), value: JSON.stringify({ schema: SCHEMA, payload }) }
  }
}

test.skipIf(!servers)(
  'a table follows the changes of Debezium, once each, through kills',
  { timeout: 240_000 },
  async () => {
    const random = new Random(drawSeed('debezium'))
    const server = await startKafka({ line: 'kafka4' })
    const pipeline = await Pipeline.create({
      server,
      mode: 'upsert',
      interval: '200ms',
      source: { value: { format: 'debezium-json' }, topics: ['customers'] },
    })
    try {
      const topic = 'customers'
      await createTopic(server, topic, { partitions: 3 })
      const table = new PlayedTable(random)
      const writing = new AbortController()
      const writer = (async () => {
        while (!writing.signal.aborted) {
          await send(server, topic, Array.from({ length: 20 }, () => table.change()).flat())
          await sleep(20)
        }
      })()
      for (let kill = 0; kill < 3; kill++)
        await pipeline.killAtRandom(pipeline.start(), random, 700)
      writing.abort()
      await writer
      await pipeline.once()
      const expected = [...table.rows].map(([id, note]) => [String(id), note])
      await expectRows(pipeline, 'kafka.customers', ['id', 'note'], expected)
      expect(expected.length).toBeGreaterThan(5)
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
