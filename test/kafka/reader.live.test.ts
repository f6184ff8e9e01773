// What may happen to a partition while one broker is read: what passes by itself is waited for, and
// what needs a decision comes as a problem, once, while the other partitions are read on.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Cluster } from '../../connectors/kafka/wire/cluster.ts'
import type { SplitPlace } from '../../connectors/kafka/wire/delivery.ts'
import { available } from '../servers/available.ts'
import { createTopic, produce, withAdmin } from '../servers/kafka-client.ts'
import { KAFKA_VERSIONS, type KafkaLine, type KafkaServer, startKafka } from '../servers/kafka.ts'
import { placesOf, Reading, withCluster } from './reading.ts'

for (const line of Object.keys(KAFKA_VERSIONS) as KafkaLine[]) {
  test.skipIf(!(await available(line)))(
    `what passes is waited for, what does not is a problem (Kafka ${KAFKA_VERSIONS[line]})`,
    async () => {
      const server = await startKafka({ line })
      try {
        await pausedAndMoved(server)
        await removedRecords(server)
        await topicMadeAnew(server)
        await brokerAway(server)
      } finally {
        await server.stop()
      }
    },
  )
}

function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `value ${from + index}`)
}

async function write(
  server: KafkaServer,
  topic: string,
  partition: number,
  values: readonly string[],
): Promise<void> {
  const records = values.map((value) => ({ value, partition }))
  await produce(server, topic, records)
}

/** A topic with three partitions of ten records each. */
async function threeByTen(server: KafkaServer, topic: string): Promise<void> {
  await createTopic(server, topic, { partitions: 3 })
  for (const partition of [0, 1, 2]) await write(server, topic, partition, texts(0, 10))
}

async function placed(
  cluster: Cluster,
  topic: string,
): Promise<[SplitPlace, SplitPlace, SplitPlace]> {
  const [first, second, third] = await placesOf(cluster, topic)
  if (first === undefined || second === undefined || third === undefined) throw new Error(topic)
  return [first, second, third]
}

async function pausedAndMoved(server: KafkaServer): Promise<void> {
  await threeByTen(server, 'paused')
  await withCluster(server, async (cluster) => {
    const [first, second, third] = await placed(cluster, 'paused')
    const reading = new Reading(cluster)
    reading.reader.assign([first, { ...second, offset: 4 }])
    reading.reader.pause(first.topicId, 0)
    await reading.until('the other partition', () => reading.of(1).length === 6)
    expect(reading.values(0)).toEqual([])
    reading.reader.resume(first.topicId, 0)
    reading.reader.assign([third])
    await reading.toTheEnd()
    expect([reading.values(0), reading.values(2)]).toEqual([texts(0, 10), texts(0, 10)])
    // Begun again in the middle of a batch.
    reading.reader.assign([{ ...third, offset: 7 }])
    reading.reader.remove(first.topicId, 0)
    await write(server, 'paused', 0, ['nobody reads this'])
    await reading.toTheEnd()
    expect(reading.values(2).slice(10)).toEqual(texts(7, 10))
    expect(reading.of(0)).toHaveLength(10)
    await reading.reader.close()
  })
}

async function removedRecords(server: KafkaServer): Promise<void> {
  await threeByTen(server, 'removed')
  await withAdmin(server, async (admin) => {
    // kafkajs deletes only of topics that it has asked about.
    await admin.fetchTopicOffsets('removed')
    const partitions = [{ partition: 0, offset: '6' }]
    await admin.deleteTopicRecords({ topic: 'removed', partitions })
  })
  await withCluster(server, async (cluster) => {
    const [first, second, third] = await placed(cluster, 'removed')
    const reading = new Reading(cluster)
    reading.reader.assign([first, { ...second, offset: 11 }, third])
    await reading.until('both problems', () => reading.problems.length === 2)
    const problems = [...reading.problems].sort((one, other) => one.partition - other.partition)
    const range = { kind: 'problem', problem: 'out-of-range', topic: 'removed', highWatermark: 10 }
    expect(problems).toMatchObject([
      { ...range, partition: 0, offset: 0, logStartOffset: 6 },
      { ...range, partition: 1, offset: 11, logStartOffset: 0 },
    ])
    expect(reading.values(2)).toEqual(texts(0, 10))
    // The source has decided.
    reading.reader.assign([{ ...first, offset: 6 }])
    await reading.until('the rest', () => reading.of(0).length === 4)
    expect(reading.problems).toHaveLength(2)
    expect(reading.values(0)).toEqual(texts(6, 10))
    await reading.reader.close()
  })
}

async function topicMadeAnew(server: KafkaServer): Promise<void> {
  for (const topic of ['gone', 'anew', 'stays']) await threeByTen(server, topic)
  await withCluster(server, async (cluster) => {
    const [gone] = await placed(cluster, 'gone')
    const [anew] = await placed(cluster, 'anew')
    const [stays] = await placed(cluster, 'stays')
    const reading = new Reading(cluster)
    reading.reader.assign([gone, anew, stays])
    await reading.toTheEnd()
    await withAdmin(server, async (admin) => admin.deleteTopics({ topics: ['gone', 'anew'] }))
    await createTopic(server, 'anew')
    await write(server, 'anew', 0, ['of another topic'])
    await reading.until('both problems', () => reading.problems.length === 2)
    const [{ topicId: newTopicId } = stays] = await placesOf(cluster, 'anew')
    const named = [...reading.problems].sort((one, other) => one.topic.localeCompare(other.topic))
    expect(named).toMatchObject([
      { topic: 'anew', topicId: anew.topicId, problem: 'recreated', newTopicId, offset: 10 },
      { topic: 'gone', problem: 'missing', offset: 10 },
    ])
    expect(newTopicId).not.toBe(anew.topicId)
    await write(server, 'stays', 0, ['still read'])
    await reading.until('what stays', () => reading.values(0).includes('still read'))
    expect(reading.values(0)).not.toContain('of another topic')
    await reading.reader.close()
  })
}

async function brokerAway(server: KafkaServer): Promise<void> {
  await threeByTen(server, 'away')
  const [broker] = server.nodes
  const read = async (cluster: Cluster): Promise<void> => {
    const [first] = await placed(cluster, 'away')
    const reading = new Reading(cluster)
    reading.reader.assign([first])
    await reading.toTheEnd()
    // It says nothing any more, and closes nothing.
    process.kill(broker!.pid(), 'SIGSTOP')
    try {
      const stalled = (): boolean =>
        reading.state({ topic: 'away', partition: 0 }).stalled?.reason === 'broker-unreachable'
      await reading.until('the loss of the broker', stalled)
    } finally {
      process.kill(broker!.pid(), 'SIGCONT')
    }
    await write(server, 'away', 0, ['after the silence'])
    await reading.until('what was written after the silence', () => reading.of(0).length === 11)
    await broker!.kill()
    await sleep(500)
    expect(reading.state({ topic: 'away', partition: 0 })).toMatchObject({ nextOffset: 11 })
    await broker!.start()
    await write(server, 'away', 0, ['after the crash'])
    await reading.until('what was written after the crash', () => reading.of(0).length === 12)
    expect(reading.values(0)).toEqual([...texts(0, 10), 'after the silence', 'after the crash'])
    expect(reading.problems).toEqual([])
    await reading.reader.close()
  }
  await withCluster(server, read, { silenceMs: 1500 })
}
