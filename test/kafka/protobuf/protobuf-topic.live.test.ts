// A topic of Protobuf records in the lake, as a user runs it, with a real registry: producers with
// old and new schemas side by side on each partition, through kills, and a topic whose field takes
// another type beside it.

import { setTimeout as sleep } from 'node:timers/promises'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { metadataLocations } from '../../acceptance/lake.ts'
import { Pipeline } from '../../acceptance/pipeline.ts'
import type { Cell } from '../../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../../readers/duckdb.ts'
import { type ApicurioServer, startApicurio } from '../../servers/apicurio.ts'
import { available } from '../../servers/available.ts'
import { type KafkaServer, startKafka } from '../../servers/kafka.ts'
import { createTopic, produce } from '../../servers/kafka-client.ts'
import { expectRows } from '../committed.ts'
import { framed } from './played-registry.ts'

const PARTITIONS = 2
const timeoutMs = 120_000
const missing =
  !(await available('kafka4')) || !(await available('apicurio')) || !(await available('duckdb'))

/** Field 5 is renamed, 7 grows from int32 to int64, 21 is new, 9 goes. */
const PLAYS = [
  `syntax = "proto3"; package acme; message Play {
  int64 id = 1; string name = 5; int32 count = 7; Device device = 8; optional string old = 9; }
  message Device { string kind = 1; repeated int32 sizes = 2; }`,
  `syntax = "proto3"; package acme; message Play {
  int64 id = 1; string title = 5; int64 count = 7; Device device = 8;
  map<string, int64> more = 21; }
  message Device { string kind = 1; repeated int32 sizes = 2; bool live = 3; }`,
]
const SONGS = [
  'syntax = "proto3"; package acme; message Song { int64 id = 1; string rank = 2; }',
  'syntax = "proto3"; package acme; message Song { int64 id = 1; int32 rank = 2; }',
]

const COLUMNS = ['id', 'title', 'count', 'device.kind', 'device.live', 'old', 'more']

class Topic {
  readonly rows: Cell[][] = []
  private readonly server: KafkaServer
  private readonly registry: ApicurioServer
  private readonly topic: string
  private readonly texts: readonly string[]
  private readonly ids: number[] = []
  private next = 0

  constructor(
    server: KafkaServer,
    registry: ApicurioServer,
    topic: string,
    texts: readonly string[],
  ) {
    this.server = server
    this.registry = registry
    this.topic = topic
    this.texts = texts
  }

  async register(version: number): Promise<void> {
    const schema = { schemaType: 'PROTOBUF', schema: this.texts[version] ?? '' } as const
    this.ids[version] = await this.registry.register(`${this.topic}-value`, schema)
  }

  /** One record a partition of each version in turn. */
  async send(
    versions: readonly number[],
    content: (version: number, id: number) => { object: object; cells: Cell[] },
  ): Promise<void> {
    const records = versions.flatMap((version) =>
      Array.from({ length: PARTITIONS }, (_, partition) => {
        const { object, cells } = content(version, this.next++)
        this.rows.push(cells)
        const type = protobuf
          .parse(this.texts[version] ?? '', { keepCase: true })
          .root.lookupType(this.topic === 'plays' ? 'acme.Play' : 'acme.Song')
        const bytes = type.encode(type.fromObject(object)).finish()
        return { partition, value: Buffer.from(framed(this.ids[version] ?? 0, bytes)) }
      }),
    )
    await produce(this.server, this.topic, records)
  }
}

function play(version: number, id: number): { object: object; cells: Cell[] } {
  const name = `play ${id}`
  if (version === 0) {
    const old = id % 3 === 0 ? null : 'x'
    const object = {
      id,
      name,
      count: -id,
      device: { kind: 'tv' },
      ...(old === null ? {} : { old }),
    }
    return { object, cells: [String(id), name, String(-id), 'tv', null, old, null] }
  }
  const count = String(BigInt(id) << 33n)
  const object = { id, title: name, count, device: { kind: 'tv', live: true }, more: { a: id } }
  return { object, cells: [String(id), name, count, 'tv', 'true', null, `{"a":"${id}"}`] }
}

async function rowsIn(pipeline: Pipeline, table: string): Promise<number> {
  // The catalog has no tables of its own before the first commit, nor a file.
  if ((await pipeline.checkpoint()) === null) return 0
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) return 0
  return (await readIcebergWithDuckdb(location, { table })).rows.length
}

test.skipIf(missing)(
  'ETL-10: old and new schemas side by side, through kills, and another type parks its table alone',
  { timeout: 300_000 },
  async () => {
    const [server, registry] = await Promise.all([startKafka({ line: 'kafka4' }), startApicurio()])
    const pipeline = await Pipeline.create({
      server,
      mode: 'append',
      interval: '200ms',
      source: {
        topics: ['plays', 'songs'],
        value: { format: 'protobuf', registry: { url: registry.url } },
      },
    })
    const plays = new Topic(server, registry, 'plays', PLAYS)
    const songs = new Topic(server, registry, 'songs', SONGS)
    const arrived = async (): Promise<boolean> => {
      // Each look costs more than the pipeline takes meanwhile.
      await sleep(300)
      return (await rowsIn(pipeline, 'kafka.plays')) === plays.rows.length
    }
    const song = (_: number, id: number): { object: object; cells: Cell[] } => {
      return { object: { id, rank: String(id) }, cells: [String(id), String(id)] }
    }
    try {
      for (const topic of ['plays', 'songs']) {
        await createTopic(server, topic, { partitions: PARTITIONS })
      }
      await plays.register(0)
      await songs.register(0)
      await plays.send([0, 0, 0], play)
      await songs.send([0, 0], song)
      let child = pipeline.start()
      await pipeline.until('the first schema is there', arrived, { child, timeoutMs })
      await plays.register(1)
      await plays.send([0, 1, 0, 0, 1, 1, 0, 1], play)
      await pipeline.until('both schemas are there', arrived, { child, timeoutMs })
      await child.kill()
      // A restart whose first records have the older schema.
      await plays.send([0, 0, 1], play)
      child = pipeline.start()
      await pipeline.until('a restart goes on', arrived, { child, timeoutMs })

      await songs.register(1)
      const kept = songs.rows.length
      await songs.send([1], song)
      await pipeline.until('the other type is told', () => child.output().includes('MR-4502'), {
        child,
        timeoutMs,
      })
      expect(child.output()).toContain('from string to int32')
      await plays.send([1, 0], play)
      await pipeline.until('the other table goes on', arrived, { child, timeoutMs })
      await child.stop()
      await expectRows(pipeline, 'kafka.plays', COLUMNS, plays.rows)
      await expectRows(pipeline, 'kafka.songs', ['id', 'rank'], songs.rows.slice(0, kept))
    } finally {
      await pipeline.remove()
      await Promise.all([server.stop(), registry.stop()])
    }
  },
)
