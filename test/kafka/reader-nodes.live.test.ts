// Partitions of a cluster of three nodes while nodes go: leaders move, a partition without a leader
// delays only itself, and a log that lost its end to an unclean election is told as truncated.

import { setTimeout as sleep } from 'node:timers/promises'
import { produceV9 } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import type { Cluster } from '../../connectors/kafka/wire/cluster.ts'
import { available } from '../servers/available.ts'
import { withAdmin } from '../servers/kafka-client.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { placesOf, Reading, withCluster } from './reading.ts'

const HEALTHY = 1
const GOING = 2
const OTHER = 3

// Who has a record when its writer is told that it is there.
const LEADER = 1
const ALL = -1

test.skipIf(!(await available('kafka4')))(
  'leaders move, only a partition without one waits, and a log that lost its end is told',
  async () => {
    const server = await startKafka({ nodes: 3 })
    const going = server.nodes[GOING - 1]!
    try {
      await createPlaced(server, 'moves', [[GOING, OTHER]])
      await createPlaced(server, 'waits', [[GOING], [HEALTHY], [OTHER]])
      await createPlaced(server, 'loses', [[OTHER, GOING]], {
        'unclean.leader.election.enable': 'true',
        'min.insync.replicas': '1',
      })
      await withCluster(server, async (cluster) => {
        const readings = new Map<string, Reading>()
        for (const [topic, partitions] of Object.entries({ moves: 1, waits: 3, loses: 1 })) {
          for (let partition = 0; partition < partitions; partition++) {
            await write(cluster, topic, partition, ['before'], ALL)
          }
          const reading = new Reading(cluster)
          readings.set(topic, reading)
          reading.reader.assign(await placesOf(cluster, topic))
          await reading.toTheEnd()
        }
        const [moves, waits, loses] = [...readings.values()] as [Reading, Reading, Reading]
        await going.kill()
        await leaderMoves(cluster, moves)
        await onlyOneWaits(cluster, waits)
        await write(cluster, 'loses', 0, ['lost', 'lost', 'lost'])
        await loses.until('what will be lost', () => loses.of(0).length === 4)
        await server.nodes[OTHER - 1]!.kill()
        await going.start()
        await write(cluster, 'waits', 0, ['after'])
        await waits.until('the one that waited', () => waits.of(0).length === 2)
        for (const partition of [0, 1, 2]) {
          expect(waits.values(partition)).toEqual(['before', 'after'])
        }
        await logIsTruncated(cluster, loses)
        expect([...moves.problems, ...waits.problems]).toEqual([])
        for (const { reader } of readings.values()) await reader.close()
      })
    } finally {
      await server.stop()
    }
  },
)

async function createPlaced(
  server: KafkaServer,
  topic: string,
  nodes: readonly (readonly number[])[],
  config: Record<string, string> = {},
): Promise<void> {
  const replicaAssignment = nodes.map((replicas, partition) => {
    return { partition, replicas: [...replicas] }
  })
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(server, async (admin) => {
    const topics = [{ topic, replicaAssignment, configEntries }]
    await admin.createTopics({ topics, waitForLeaders: false })
  })
}

/**
 * To the leader, once there is one. By requests of our own: kafkajs writes to no partition of a
 * topic while one of them has no leader.
 */
async function write(
  cluster: Cluster,
  topic: string,
  partition: number,
  values: readonly string[],
  acks = LEADER,
): Promise<void> {
  const leader = await leaderOf(cluster, topic, partition)
  const connection = leader < 0 ? null : await cluster.connect(leader).catch(() => null)
  try {
    const records = values.map((value) => ({ topic, partition, value: Buffer.from(value) }))
    const answer = await connection?.call([produceV9.api], acks, 5000, records)
    if (typeof answer === 'object') {
      if (answer.responses[0]?.partitionResponses[0]?.errorCode === 0) return
    }
  } catch {
    // The leader has gone; there will be another.
  } finally {
    connection?.close()
  }
  await sleep(100)
  await write(cluster, topic, partition, values, acks)
}

async function leaderOf(cluster: Cluster, topic: string, partition: number): Promise<number> {
  const { topics } = await cluster.metadata([topic])
  return topics.get(topic)?.partitions[partition]?.leader ?? -1
}

async function leaderMoves(cluster: Cluster, moves: Reading): Promise<void> {
  await write(cluster, 'moves', 0, ['after'])
  await moves.until('what the new leader has', () => moves.of(0).length === 2)
  expect(moves.values(0)).toEqual(['before', 'after'])
  // The first record of the new leader is of another epoch.
  expect(moves.state({ topic: 'moves', partition: 0 }).leaderEpoch).toBeGreaterThan(0)
}

async function onlyOneWaits(cluster: Cluster, waits: Reading): Promise<void> {
  for (const partition of [1, 2]) await write(cluster, 'waits', partition, ['after'])
  await waits.until('the others', () => waits.of(1).length === 2 && waits.of(2).length === 2)
  const stalled = (): boolean =>
    waits.state({ topic: 'waits', partition: 0 }).stalled?.reason === 'no-leader'
  await waits.until('word of the missing leader', stalled)
  const asked = [0, 1].map((partition) => ({ topic: 'waits', partition }))
  const found = await cluster.offsets(asked, 'latest', 'read_committed')
  expect(found).toMatchObject([{ offset: null, detail: 'it has no leader' }, { offset: 2 }])
}

/** The one replica in sync died with what it alone had; the other went on from what it has. */
async function logIsTruncated(cluster: Cluster, loses: Reading): Promise<void> {
  await write(cluster, 'loses', 0, ['new', 'new', 'new', 'new', 'new'])
  await loses.until('the problem', () => loses.problems.length > 0)
  expect(loses.problems).toMatchObject([{ problem: 'truncated', offset: 4, endOffset: 1 }])
  expect(loses.values(0)).toEqual(['before', 'lost', 'lost', 'lost'])
}
