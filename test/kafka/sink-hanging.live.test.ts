// A transaction that is committed while a partition of it has no leader: a coordinator of Kafka 4.3
// reports success and never writes the marker there (KAFKA-20734), one of 3.9 does. Either way the
// rows are seen, once.

import { expect, test } from 'vitest'
import { createKafkaCommitter } from '../../connectors/kafka/sink/committer.ts'
import { createKafkaWriter } from '../../connectors/kafka/sink/writer.ts'
import { Cluster } from '../../connectors/kafka/wire/cluster.ts'
import { findCoordinator } from '../../connectors/kafka/wire/group.ts'
import { Transactions } from '../../connectors/kafka/wire/transactions.ts'
import { Op } from '../../runtime/data/batch.ts'
import { memoryStore } from '../index/memory-store.ts'
import { available } from '../servers/available.ts'
import { KAFKA_VERSIONS, startKafka } from '../servers/kafka.ts'
import { committedRecords, createTopic } from '../servers/kafka-client.ts'
import { batchOf, field, schemaOf } from '../writer/batches.ts'
import { intentOf, writerOptions } from './played-sink.ts'
import { clusterOptions } from './reading.ts'

const SCHEMA = schemaOf('shop.orders', 0, [field(1, 'id', { kind: 'long' })])
const TOPIC = 'shop.orders'

for (const line of ['kafka4', 'kafka3'] as const) {
  test.skipIf(!(await available(line)))(
    `a partition without a leader at the commit gets its rows, on ${KAFKA_VERSIONS[line]}`,
    { timeout: 120_000 },
    async () => {
      const settings = {
        'transaction.state.log.replication.factor': '3',
        'transaction.state.log.min.isr': '2',
      }
      const server = await startKafka({ line, nodes: 3, settings })
      const options = clusterOptions(server.brokers)
      const cluster = await Cluster.open(options)
      const never = new AbortController().signal
      try {
        await createTopic(server, TOPIC, { partitions: 3 })
        const writer = await createKafkaWriter(writerOptions(server.brokers))
        await writer.write({ kind: 'schema', schema: SCHEMA })
        const rows = Array.from({ length: 30 }, (_, id) => ({ op: Op.insert, values: { id } }))
        await writer.write(batchOf(SCHEMA, rows, 1n))
        const { committables } = await writer.prepare(1)
        const transaction = committables[0]?.transaction ?? null
        if (transaction === null) throw new Error('nothing was prepared')
        const { address } = await findCoordinator(await cluster.any(), 1, transaction.id)
        const others = server.brokers.flatMap((broker, node) =>
          broker.endsWith(`:${address.port}`) ? [] : [node],
        )
        // Three partitions without replicas on three nodes: one is on this one.
        await server.nodes[others[0] ?? 0]?.kill()
        const leaderless = async (): Promise<boolean> => {
          const { topics } = await cluster.metadata([TOPIC])
          return topics.get(TOPIC)?.partitions.some(({ leader }) => leader < 0) === true
        }
        while (!(await leaderless())) await new Promise((resolve) => setTimeout(resolve, 100))
        // As a process that dies behind the answer.
        expect(await new Transactions(cluster, never).end(transaction, true)).toBe(0)
        await new Promise((resolve) => setTimeout(resolve, 1000))
        await server.nodes[others[0] ?? 0]?.start()
        const committer = createKafkaCommitter({
          cluster: options,
          state: memoryStore(),
          hangingMs: 3000,
        })
        await committer.commit([intentOf(1, committables)])
        await committer.close()
        await writer.close()
        const records = await committedRecords(server, TOPIC, rows.length)
        const ids = records.map(({ value }) => (JSON.parse(String(value)) as { id: number }).id)
        expect(ids.toSorted((a, b) => a - b)).toEqual(rows.map((_, id) => id))
        expect(new Set(records.map(({ partition }) => partition)).size).toBe(3)
      } finally {
        await cluster.close()
        await server.stop()
      }
    },
  )
}
