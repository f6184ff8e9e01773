// The offsets that a consumer group has committed. We are no member of any group: partitions are
// ours by the checkpoint, and offsets are committed only for those who watch lag.

import { findCoordinatorV4, offsetCommitV8, offsetFetchV8 } from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { BrokerConnection } from './connection.ts'
import { KafkaCode } from './failure.ts'
import type { BrokerAddress } from './options.ts'

export interface GroupOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** -1: not known. */
  readonly leaderEpoch: number
}

const GROUP = 0

export async function coordinatorOf(
  connection: BrokerConnection,
  group: string,
): Promise<BrokerAddress> {
  const { address, code } = await findCoordinator(connection, GROUP, group)
  judge(code, group)
  return address
}

/** @param kind  0: of a consumer group · 1: of a transactional id */
export async function findCoordinator(
  connection: BrokerConnection,
  kind: 0 | 1,
  name: string,
): Promise<{ readonly address: BrokerAddress; readonly code: number }> {
  const { coordinators } = await connection.call([findCoordinatorV4.api], kind, [name])
  const [found] = coordinators
  const address = { host: found?.host ?? '', port: found?.port ?? 0 }
  return { address, code: found?.errorCode ?? KafkaCode.COORDINATOR_NOT_AVAILABLE }
}

/** @returns without the partitions that the group has no offset of */
export async function committedOffsets(
  connection: BrokerConnection,
  group: string,
  partitions: readonly { readonly topic: string; readonly partition: number }[],
): Promise<GroupOffset[]> {
  const names = [...new Set(partitions.map(({ topic }) => topic))]
  const topics = names.map((name) => ({
    name,
    partitionIndexes: partitions.filter((one) => one.topic === name).map((one) => one.partition),
  }))
  const asked = { groupId: group, memberId: '', memberEpoch: -1, topics }
  const { groups } = await connection.call([offsetFetchV8.api], [asked], false)
  const [answer] = groups
  judge(answer?.errorCode ?? KafkaCode.COORDINATOR_NOT_AVAILABLE, group)
  return (answer?.topics ?? []).flatMap(({ name, partitions: all }) =>
    all.flatMap(({ partitionIndex, committedOffset, committedLeaderEpoch, errorCode }) => {
      judge(errorCode, group)
      const offset = Number(committedOffset)
      if (offset < 0) return []
      return [{ topic: name, partition: partitionIndex, offset, leaderEpoch: committedLeaderEpoch }]
    }),
  )
}

export async function commitOffsets(
  connection: BrokerConnection,
  group: string,
  offsets: readonly GroupOffset[],
): Promise<void> {
  const names = [...new Set(offsets.map(({ topic }) => topic))]
  const topics = names.map((name) => ({
    name,
    partitions: offsets
      .filter(({ topic }) => topic === name)
      .map(({ partition, offset, leaderEpoch }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: leaderEpoch,
        committedMetadata: null,
      })),
  }))
  const response = await connection.call([offsetCommitV8.api], group, -1, '', null, topics)
  for (const { partitions } of response.topics) {
    for (const { errorCode } of partitions) judge(errorCode, group)
  }
}

function judge(code: number, group: string): void {
  if (code === KafkaCode.NONE) return
  if (
    code === KafkaCode.GROUP_AUTHORIZATION_FAILED ||
    code === KafkaCode.TOPIC_AUTHORIZATION_FAILED
  ) {
    throw new PipelineError('PRIVILEGE_MISSING', `group "${group}" may not be used by this user`)
  }
  const message = `group "${group}": the coordinator answers with error ${code}`
  throw new PipelineError('CONNECT_FAILED', message)
}
