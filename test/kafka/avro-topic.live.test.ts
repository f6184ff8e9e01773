// A topic of Avro records in the lake, as a user runs it, with a real registry: producers with old
// and new schemas side by side, poison between them, and a registry that is gone for a while.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { metadataLocations } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { type Cell, project, tableDump } from '../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import { type ApicurioServer, startApicurio } from '../servers/apicurio.ts'
import { available } from '../servers/available.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { createTopic, produce } from '../servers/kafka-client.ts'
import { avscType, framed } from './avro/decoding.ts'
import { expectRows } from './committed.ts'

const TOPIC = 'clicks'
const PARTITIONS = 2
const SUBJECT = 'clicks-value'
const timeoutMs = 120_000
const missing =
  !(await available('kafka4')) || !(await available('apicurio')) || !(await available('duckdb'))

/** `user` becomes `account`, `count` grows, `tags` is new, `old` goes. */
const VERSIONS = [
  record([
    { name: 'id', type: 'long' },
    { name: 'user', type: 'string' },
    { name: 'count', type: 'int' },
    { name: 'old', type: ['null', 'string'] },
  ]),
  record([
    { name: 'id', type: 'long' },
    { name: 'account', aliases: ['user'], type: 'string' },
    { name: 'count', type: 'long' },
    { name: 'tags', type: { type: 'array', items: 'string' } },
  ]),
  record([
    { name: 'id', type: 'long' },
    { name: 'account', aliases: ['user'], type: 'string' },
    {
      name: 'place',
      type: { type: 'record', name: 'Place', fields: [{ name: 'x', type: 'int' }] },
    },
  ]),
] as const

function record(fields: readonly object[]): object {
  return { type: 'record', name: 'Click', fields }
}

const COLUMNS = ['id', 'account', 'count', 'old', 'tags', 'place.x', '__partition__', '__offset__']

class Clicks {
  readonly rows: Cell[][] = []
  readonly ids: number[] = []
  private readonly server: KafkaServer
  private readonly registry: ApicurioServer
  private readonly offsets: number[] = Array<number>(PARTITIONS).fill(0)
  private next = 0

  constructor(server: KafkaServer, registry: ApicurioServer) {
    this.server = server
    this.registry = registry
  }

  async register(version: number): Promise<number> {
    const schema = JSON.stringify(VERSIONS[version])
    const id = await this.registry.register(SUBJECT, { schemaType: 'AVRO', schema })
    this.ids[version] = id
    return id
  }

  /** One record a partition of each version in turn; `null` is poison. */
  async send(versions: readonly (number | null)[]): Promise<void> {
    const records = versions.flatMap((version) => {
      return Array.from({ length: PARTITIONS }, (_, partition) => {
        return { partition, value: this.draw(version, partition) }
      })
    })
    await produce(this.server, TOPIC, records)
  }

  private draw(version: number | null, partition: number): Buffer {
    const id = this.next++
    const offset = this.offsets[partition] ?? 0
    this.offsets[partition] = offset + 1
    if (version === null) return Buffer.from(framed(this.ids[0] ?? 0, Uint8Array.of(2, 200)))
    const { value, cells } = contentOf(version, id)
    this.rows.push([String(id), `u${id}`, ...cells, String(partition), String(offset)])
    const bytes = avscType(VERSIONS[version]).toBuffer(value)
    return Buffer.from(framed(this.ids[version] ?? 0, bytes))
  }
}

/** @returns the record, and its cells from `count` to `place.x` */
function contentOf(version: number, n: number): { value: unknown; cells: Cell[] } {
  const id = BigInt(n)
  const name = `u${n}`
  switch (version) {
    case 0: {
      const value = { id, user: name, count: n, old: n % 2 === 0 ? null : { string: 'x' } }
      return { value, cells: [String(n), n % 2 === 0 ? null : 'x', null, null] }
    }
    case 1: {
      const count = id << 33n
      const value = { id, account: name, count, tags: ['a', name] }
      return { value, cells: [String(count), null, ['a', name], null] }
    }
    default: {
      const value = { id, account: name, place: { x: -n } }
      return { value, cells: [null, null, null, String(-n)] }
    }
  }
}

async function rowsIn(pipeline: Pipeline, table: string): Promise<number> {
  // The catalog has no tables of its own before the first commit, nor a file.
  if ((await pipeline.checkpoint()) === null) return 0
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) return 0
  return (await readIcebergWithDuckdb(location, { table })).rows.length
}

test.skipIf(missing)(
  'old and new schemas, poison and a registry that is gone: every record has its row or its letter',
  async () => {
    const [server, registry] = await Promise.all([startKafka({ line: 'kafka4' }), startApicurio()])
    const pipeline = await Pipeline.create({
      server,
      mode: 'append',
      interval: '200ms',
      source: {
        metadata: ['__partition__', '__offset__'],
        value: { format: 'avro', registry: { url: registry.url } },
      },
      onError: { decode: 'dlq' },
    })
    const clicks = new Clicks(server, registry)
    const arrived = async (): Promise<boolean> => {
      // Each look costs more than the pipeline takes meanwhile.
      await sleep(300)
      return (await rowsIn(pipeline, `kafka.${TOPIC}`)) === clicks.rows.length
    }
    try {
      await createTopic(server, TOPIC, { partitions: PARTITIONS })
      await clicks.register(0)
      const check = await pipeline.command(['check', pipeline.file])
      expect(check.stdout).toMatch(/registry.* 1 subjects/)
      expect(check.code).toBe(0)
      await clicks.send([0, 0, null, 0])
      let child = pipeline.start()
      await pipeline.until('the first schema is there', arrived, { child, timeoutMs })
      await clicks.register(1)
      await clicks.send([0, 1, 0, null, 1, 1, 0])
      await pipeline.until('both schemas are there', arrived, { child, timeoutMs })

      // Gone: what is known goes on, through a kill; what is not waits and is no dead letter.
      await clicks.register(2)
      await registry.halt()
      await child.kill()
      child = pipeline.start()
      await clicks.send([1, 0, 1])
      await pipeline.until('a restart needs no registry', arrived, { child, timeoutMs })
      await clicks.send([0, 2, 1])
      await pipeline.until('it is said what is waited for', () =>
        child.output().includes('records wait for a schema'),
      )
      expect(await rowsIn(pipeline, 'kafka.shop_dlq')).toBe(2 * PARTITIONS)

      await registry.restart()
      for (const version of VERSIONS.keys()) {
        const before = clicks.ids[version]
        expect(await clicks.register(version)).toBe(before)
      }
      await pipeline.until('the registry is back', arrived, { child, timeoutMs })
      await child.stop()
      await pipeline.once()
      await expectRows(pipeline, `kafka.${TOPIC}`, COLUMNS, clicks.rows)
      const letters = await readIcebergWithDuckdb(
        metadataLocations(pipeline)['kafka.shop_dlq'] ?? '',
        { table: 'kafka.shop_dlq' },
      )
      const found = project(letters, ['code', 'partition', 'offset', 'schema_id', 'byte_offset'])
      const schema = String(clicks.ids[0])
      const expected = [2, 7].flatMap((offset) =>
        ['0', '1'].map((partition) => ['MR-4501', partition, String(offset), schema, '7']),
      )
      expect(found.rows).toEqual(tableDump('', [], expected).rows)
    } finally {
      await pipeline.remove()
      await Promise.all([server.stop(), registry.stop()])
    }
  },
)
