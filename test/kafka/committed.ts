// A log of what was committed to topics, kept by the test beside the brokers: the oracle of what
// the lake must hold, record by record.
import type { Producer } from 'kafkajs'
import { expect } from 'vitest'
import { metadataLocations } from '../acceptance/lake.ts'
import type { Pipeline } from '../acceptance/pipeline.ts'
import { type Cell, differenceOf, project, tableDump } from '../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import type { KafkaServer } from '../servers/kafka.ts'
import { type TestRecord, withProducer } from '../servers/kafka-client.ts'
import type { Random } from '../workload/random.ts'

export const METADATA = [
  '__topic__',
  '__partition__',
  '__offset__',
  '__timestamp__',
  '__key__',
  '__headers__',
] as const

export const COLUMNS = ['key', 'value', ...METADATA]

const TIME_MS = Date.UTC(2026, 0, 1)

export class CommittedLog {
  readonly topic: string
  /** Canonical cells, in the order of COLUMNS. */
  readonly rows: Cell[][] = []
  private readonly server: KafkaServer
  private readonly random: Random
  private readonly partitions: number
  private count = 0

  constructor(server: KafkaServer, topic: string, partitions: number, random: Random) {
    this.server = server
    this.topic = topic
    this.partitions = partitions
    this.random = random
  }

  /** Sends some records to some partitions, outside of transactions. */
  async plain(partitions = this.partitions): Promise<void> {
    await withProducer(this.server, {}, async (producer) => {
      this.rows.push(...(await this.send(producer, this.draw(partitions))))
    })
  }

  /** One transaction over several partitions, which may be aborted. */
  async transaction(commits: boolean): Promise<void> {
    const transactionalId = `writer-${this.topic}`
    await withProducer(this.server, { transactionalId }, async (producer) => {
      const transaction = await producer.transaction()
      const first = await this.send(transaction, this.draw(this.partitions))
      const second = await this.send(transaction, this.draw(this.partitions))
      if (commits) {
        await transaction.commit()
        this.rows.push(...first, ...second)
      } else await transaction.abort()
    })
  }

  private draw(partitions: number): TestRecord[] {
    const { random } = this
    return Array.from({ length: random.int(1, 40) }, () => {
      const number = this.count++
      const record: TestRecord = {
        partition: random.int(0, partitions - 1),
        key: random.chance(0.2) ? null : Buffer.from(`k${random.int(0, 9)}`),
        value: random.chance(0.1) ? null : Buffer.from(random.hex(random.int(0, 40)), 'hex'),
        timestamp: String(TIME_MS + Math.floor(number / 3)),
        headers: random.chance(0.3)
          ? { n: String(number), 'quote"\n': Buffer.from('fffe', 'hex') }
          : {},
      }
      return record
    })
  }

  /** @returns the rows that the records are once they are committed */
  private async send(
    producer: Pick<Producer, 'send'>,
    records: readonly TestRecord[],
  ): Promise<Cell[][]> {
    const answers = await producer.send({ topic: this.topic, messages: [...records], acks: -1 })
    const next = new Map(
      answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]),
    )
    return records.map((record) => {
      const partition = record.partition ?? 0
      const offset = next.get(partition) ?? -1
      next.set(partition, offset + 1)
      return this.rowOf(record, partition, offset)
    })
  }

  private rowOf(record: TestRecord, partition: number, offset: number): Cell[] {
    const { key, value, headers, timestamp } = record
    const hex = (bytes: Buffer | string | null | undefined): string | null =>
      bytes == null ? null : Buffer.from(bytes).toString('hex')
    const listed = Object.entries(headers ?? {}).map(([name, text]) =>
      name === 'n' ? { key: name, value: String(text) } : { key: name, base64: '//4=' },
    )
    const keyCell = hex(key)
    return [
      keyCell,
      hex(value),
      this.topic,
      String(partition),
      String(offset),
      `${timestamp}000`,
      keyCell,
      JSON.stringify(listed),
    ]
  }
}

/** Fails with the rows that the lake has too many or too few of. */
export async function expectRows(
  pipeline: Pipeline,
  table: string,
  columns: readonly string[],
  rows: readonly Cell[][],
): Promise<void> {
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) throw new Error(`the lake has no table ${table}`)
  const lake = project(await readIcebergWithDuckdb(location, { table }), [...columns])
  const difference = differenceOf(tableDump(table, [...columns], rows), lake, 5)
  expect(difference).toEqual({ missing: [], extra: [] })
}
