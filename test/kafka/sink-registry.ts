// What pipelines into topics with a registry are played by: a table of MySQL, kills, DDL, and a
// registry that is away for a while, one of the kills in the middle of it.

import { readFile, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { parse, stringify } from 'yaml'
import { Pipeline } from '../acceptance/pipeline.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { committedRecords } from '../servers/kafka-client.ts'
import { startMysql } from '../servers/mysql.ts'
import type { Random } from '../workload/random.ts'
import { MysqlHistory, type NeutralRow } from './mysql-history.ts'
import { type GatedRegistry, startGatedRegistry } from './registry/gated-registry.ts'

export interface RegistryStand {
  readonly kafka: KafkaServer
  readonly registry: GatedRegistry
  readonly history: MysqlHistory
  readonly pipeline: Pipeline
}

/** @param format  of keys and values */
export async function withRegistryStand(
  format: string,
  random: Random,
  check: (stand: RegistryStand) => Promise<void>,
): Promise<void> {
  const [kafka, database, registry] = await Promise.all([
    startKafka(),
    startMysql(),
    startGatedRegistry('BACKWARD'),
  ])
  const pipeline = await Pipeline.create({ server: database, interval: '200ms' })
  try {
    const file = parse(await readFile(pipeline.file, 'utf8')) as object
    const sink = {
      type: 'kafka',
      brokers: kafka.brokers,
      create_topics: { partitions: 4 },
      value: { format, registry: { url: registry.url } },
      key: { format },
    }
    await writeFile(pipeline.file, stringify({ ...file, sink }))
    const history = new MysqlHistory(database, random)
    const stand = { kafka, registry, history, pipeline }
    await play(stand, format, random)
    await check(stand)
  } finally {
    await pipeline.remove()
    await Promise.all([database.stop(), kafka.stop(), registry.stop()])
  }
}

async function play(
  { registry, history, pipeline }: RegistryStand,
  format: string,
  random: Random,
): Promise<void> {
  const changes = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) await history.change()
  }
  await history.create(30)
  await pipeline.killAtRandom(pipeline.start(), random, 200)
  let child = pipeline.start()
  await pipeline.untilStreaming(child)
  await changes(30)
  await pipeline.killAtRandom(child, random, 300)
  child = pipeline.start()
  await pipeline.untilStreaming(child)
  registry.isShut = true
  await history.addColumn()
  await changes(15)
  await pipeline.until('the registry is asked for', () => registry.turnedAway > 1, { child })
  await child.kill()
  const before = registry.turnedAway
  child = pipeline.start()
  await pipeline.untilUp(child)
  await pipeline.until('it is asked for again', () => registry.turnedAway > before, { child })
  await changes(5)
  expect(child.hasEnded()).toBe(false)
  registry.isShut = false
  await changes(15)
  // This version of Apicurio takes every field that is gone for a renamed one, `reserved` or not
  // (https://github.com/Apicurio/apicurio-registry/issues/1334). NONE for one subject means there
  // that the rule for all holds.
  if (format === 'protobuf') await registry.setRule('NONE')
  await history.dropColumn('small')
  await changes(15)
  await child.stop()
  await pipeline.once()
  await history.expectWhole()
}

/** By key, what its records say, in order; each record is read by `read`. */
export async function toldBy(
  { kafka, history }: RegistryStand,
  read: (side: 'key' | 'value', bytes: Buffer) => Promise<NeutralRow>,
): Promise<Record<string, (NeutralRow | null)[]>> {
  const count = [...history.byKey.values()].reduce((sum, { length }) => sum + length, 0)
  const told = new Map<string, (NeutralRow | null)[]>()
  const places = new Map<string, number>()
  for (const { key, value, partition } of await committedRecords(kafka, 'shop.orders', count)) {
    const id = (await read('key', key ?? Buffer.alloc(0)))['id'] ?? ''
    expect(places.get(id) ?? partition).toBe(partition)
    places.set(id, partition)
    told.set(id, [...(told.get(id) ?? []), value === null ? null : await read('value', value)])
  }
  return Object.fromEntries(told)
}

/** @returns a decimal's text with all digits of its scale */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const rest = scale === 0 ? '' : `.${digits.slice(digits.length - scale)}`
  return `${unscaled < 0n ? '-' : ''}${whole}${rest}`
}
