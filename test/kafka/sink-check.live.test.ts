// What `check` says of a cluster that cannot have the transactions of a sink, and what becomes of a
// topic that is deleted while it is written.

import { expect, test } from 'vitest'
import { checkKafkaSink } from '../../connectors/kafka/sink/inspect.ts'
import { createKafkaWriter } from '../../connectors/kafka/sink/writer.ts'
import { Op } from '../../runtime/data/batch.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic } from '../servers/kafka-client.ts'
import { batchOf, field, schemaOf, UNCHANGED } from '../writer/batches.ts'
import { writerOptions } from './played-sink.ts'
import { clusterOptions } from './reading.ts'

const NEW = { partitions: 1, replicationFactor: 1, config: {} }
const TIMEOUT = 'transaction.max.timeout.ms'

test.skipIf(!(await available('kafka4')))(
  'check names a timeout that the brokers do not allow, and transactions that nobody coordinates',
  { timeout: 60_000 },
  async () => {
    const settings = { [TIMEOUT]: '60000', 'transaction.state.log.replication.factor': '3' }
    const server = await startKafka({ settings })
    try {
      const cluster = clusterOptions(server.brokers)
      const asked = { cluster, user: null, topic: '{table}', transactionalId: 'p', creates: true }
      const findings = await checkKafkaSink({ ...asked, timeoutMs: 60_001, targets: [] })
      const bad = findings.filter(({ ok }) => !ok).map(({ name, message }) => `${name}: ${message}`)
      expect(bad).toEqual([
        'sink.transactional_id: no broker coordinates transactions: error 15',
        'sink.transaction_timeout: 60.001 s, and the brokers allow 60 s',
      ])
      const fits = await checkKafkaSink({ ...asked, timeoutMs: 60_000, targets: [] })
      expect(fits.filter(({ ok }) => !ok)).toHaveLength(1)
    } finally {
      await server.stop()
    }
  },
)

test.skipIf(!(await available('kafka4')))(
  'a topic that is deleted under the writer ends the epoch with its name',
  { timeout: 60_000 },
  async () => {
    const server = await startKafka()
    const writer = await createKafkaWriter(writerOptions(server.brokers))
    try {
      await createTopic(server, 'shop.orders', { partitions: 1 })
      const schema = schemaOf('shop.orders', 0, [field(1, 'id', { kind: 'long' })])
      await writer.write({ kind: 'schema', schema })
      await server.tool('org.apache.kafka.tools.TopicCommand', [
        '--bootstrap-server',
        server.brokers.join(','),
        '--delete',
        '--topic',
        'shop.orders',
      ])
      await writer.write(batchOf(schema, [{ op: Op.insert, values: { id: 1 } }], 1n))
      await expect(writer.prepare(1)).rejects.toMatchObject({ error: 'TOPIC_MISSING' })
    } finally {
      await writer.close()
      await server.stop()
    }
  },
)

test.skipIf(!(await available('kafka4')))(
  'a table that is parked stays so, whatever its structure becomes',
  { timeout: 60_000 },
  async () => {
    const server = await startKafka()
    const writer = await createKafkaWriter(writerOptions(server.brokers, { create: NEW }))
    try {
      const id = field(1, 'id', { kind: 'long' })
      const note = field(2, 'note', { kind: 'string' })
      const first = schemaOf('shop.orders', 0, [id, note])
      const later = schemaOf('shop.orders', 1, [id])
      const row = (values: Record<string, number | typeof UNCHANGED>) => [{ op: Op.update, values }]
      await writer.write({ kind: 'schema', schema: first })
      await writer.write(batchOf(first, row({ id: 1, note: UNCHANGED }), 1n))
      await writer.write({ kind: 'schema', schema: later })
      await writer.write(batchOf(later, row({ id: 1 }), 2n))
      const { counts, parked, committables } = await writer.prepare(1)
      expect(counts).toMatchObject([{ read: 2, written: 0, parked: 2 }])
      expect(parked).toMatchObject([{ reason: { error: 'UNCHANGED_VALUE_MISSING' } }])
      expect(committables).toEqual([])
    } finally {
      await writer.close()
      await server.stop()
    }
  },
)
