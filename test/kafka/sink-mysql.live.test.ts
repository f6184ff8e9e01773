// A table of MySQL as a topic, from its first copy through updates, deletes, moved keys, DDL and
// SIGKILL: Kafka's own consumer finds every version of every row once and in order, each value as
// the server says it.

import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { KAFKA_VERSIONS, startKafka } from '../servers/kafka.ts'
import { consoleRecords } from '../servers/kafka-console.ts'
import { startMysql } from '../servers/mysql.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { MysqlHistory, neutralOfJson, type NeutralRow } from './mysql-history.ts'

for (const line of ['kafka4', 'kafka3'] as const) {
  test.skipIf(!(await available('mysql')) || !(await available(line)))(
    `every version of every row of MySQL is in its topic once, on ${KAFKA_VERSIONS[line]}`,
    { timeout: 240_000 },
    async () => {
      const random = new Random(drawSeed(`mysql topics ${line}`))
      const [kafka, database] = await Promise.all([startKafka({ line }), startMysql()])
      const pipeline = await Pipeline.create({ server: database, interval: '200ms' })
      const file = parse(await readFile(pipeline.file, 'utf8')) as object
      const create = { partitions: 4, config: { 'cleanup.policy': 'compact' } }
      const sink = { type: 'kafka', brokers: kafka.brokers, create_topics: create }
      await writeFile(pipeline.file, stringify({ ...file, sink }))
      try {
        const history = new MysqlHistory(database, random)
        await history.create(40)
        await pipeline.killAtRandom(pipeline.start(), random, 200)
        let child = pipeline.start()
        await pipeline.untilStreaming(child)
        for (let round = 0; round < 3; round++) {
          const changing = (async () => {
            for (let count = 0; count < 40; count++) await history.change()
          })()
          await pipeline.killAtRandom(child, random, 800)
          child = pipeline.start()
          await changing
          if (round === 0) await history.addColumn()
          if (round === 1) await history.dropColumn('small')
        }
        await pipeline.untilUp(child)
        await child.stop()
        await pipeline.once()
        await history.expectWhole()
        const told = new Map<string, (NeutralRow | null)[]>()
        for (const { key, value } of await consoleRecords(kafka, 'shop.orders')) {
          const id = neutralOfJson(key ?? '')['id'] ?? ''
          told.set(id, [...(told.get(id) ?? []), value === null ? null : neutralOfJson(value)])
        }
        const expected = Object.fromEntries(history.byKey)
        expect(Object.fromEntries(told)).toEqual(expected)
      } finally {
        await pipeline.remove()
        await Promise.all([database.stop(), kafka.stop()])
      }
    },
  )
}
