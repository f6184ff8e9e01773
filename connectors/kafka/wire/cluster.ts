// A Kafka cluster as a client sees it: its brokers and topics, and the questions that go to the
// leader of a partition or to the coordinator of a group. That nobody can answer for a partition
// now is an answer of its own, so that it delays nothing else. Records are read by `reader.ts`.

import {
  listOffsetsV5,
  listOffsetsV6,
  listOffsetsV7,
  offsetForLeaderEpochV3,
  offsetForLeaderEpochV4,
} from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { BrokerConnection } from './connection.ts'
import { failureOf, KafkaCode } from './failure.ts'
import { commitOffsets, committedOffsets, coordinatorOf, type GroupOffset } from './group.ts'
import { type ClusterMetadata, type PartitionMetadata, readMetadata } from './metadata.ts'
import type { BrokerAddress, ClusterOptions } from './options.ts'

export type Isolation = 'read_committed' | 'read_uncommitted'

export interface PartitionName {
  readonly topic: string
  readonly partition: number
}

/** earliest and latest, or the first record whose timestamp is not below these milliseconds. */
export type OffsetWanted = 'earliest' | 'latest' | number

/** `offset: null`: the partition has no leader that answers; `detail` says why. */
export interface FoundOffset extends PartitionName {
  readonly offset: number | null
  /** -1: not known. */
  readonly leaderEpoch: number
  readonly detail: string
}

/** Where an epoch of the leader ends: offsets at and behind it were not written in it or before. */
export interface EpochEnd extends PartitionName {
  readonly endOffset: number | null
  /** The largest epoch that is not above the one that was asked for. */
  readonly leaderEpoch: number
  readonly detail: string
}

const ATTEMPTS = 3
const RETRY_MS = 200
const EARLIEST = -2n
const LATEST = -1n

export class Cluster {
  readonly options: ClusterOptions
  #brokers: ReadonlyMap<number, BrokerAddress> = new Map()
  /** For questions that are answered at once; Fetch has connections of its own. */
  readonly #control = new Map<string, Promise<BrokerConnection>>()
  /** Asked last with success: asked first the next time. */
  #preferred: BrokerAddress | null = null
  #closed = false

  private constructor(options: ClusterOptions) {
    this.options = options
  }

  /** @throws PipelineError CONNECT_FAILED, AUTH_FAILED, TLS_FAILED, SERVER_UNSUITABLE */
  static async open(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    await cluster.metadata([])
    return cluster
  }

  /**
   * Asks the broker that answered last, then the others, then the bootstrap addresses.
   *
   * @param topics  `null`: all topics that may be seen
   * @throws PipelineError  the reason of the last broker; AUTH_FAILED and the like at once
   */
  async metadata(topics: readonly string[] | null): Promise<ClusterMetadata> {
    let last: PipelineError | null = null
    for (const address of this.#candidates()) {
      try {
        const found = await readMetadata(await this.#connectionTo(address), topics)
        this.#brokers = found.brokers
        this.#preferred = address
        return found
      } catch (error) {
        last = failureOf(`cannot ask ${nameOf(address)}`, error)
        if (last.spec.action !== 'retry') throw last
      }
    }
    throw last ?? new PipelineError('CONNECT_FAILED', 'no broker is configured')
  }

  /**
   * Under read_committed, `latest` is the last stable offset. For a time behind the last record the
   * answer is what `latest` was when the question was asked.
   */
  async offsets(
    partitions: readonly PartitionName[],
    wanted: OffsetWanted,
    isolation: Isolation,
  ): Promise<FoundOffset[]> {
    if (typeof wanted !== 'number') {
      return this.#listOffsets(partitions, wanted === 'earliest' ? EARLIEST : LATEST, isolation)
    }
    // In this order: a record that comes between the questions has an offset behind `latest`.
    const latest = await this.#listOffsets(partitions, LATEST, isolation)
    const found = await this.#listOffsets(partitions, BigInt(Math.ceil(wanted)), isolation)
    return found.map((one, index) => (one.offset === -1 ? (latest[index] ?? one) : one))
  }

  async #listOffsets(
    partitions: readonly PartitionName[],
    timestamp: bigint,
    isolation: Isolation,
  ): Promise<FoundOffset[]> {
    const apis = [listOffsetsV7.api, listOffsetsV6.api, listOffsetsV5.api]
    const level = isolation === 'read_committed' ? 1 : 0
    const answers = await this.#askLeaders(partitions, async (connection, asked) => {
      const topics = byTopic(asked, ({ partition, known }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: known.leaderEpoch,
        timestamp,
      }))
      const response = await connection.call(apis, -1, level, topics)
      return response.topics.flatMap(({ name, partitions: all }) =>
        all.map(({ partitionIndex, errorCode, offset, leaderEpoch }) => ({
          topic: name,
          partition: partitionIndex,
          code: errorCode,
          value: { offset: Number(offset), leaderEpoch },
        })),
      )
    })
    return answers.map(({ topic, partition, value, detail }) => {
      const { offset, leaderEpoch } = value ?? { offset: null, leaderEpoch: -1 }
      return { topic, partition, offset, leaderEpoch, detail }
    })
  }

  /** For each partition, where the log that was written under `leaderEpoch` ends now. */
  async epochEnds(
    places: readonly (PartitionName & { readonly leaderEpoch: number })[],
  ): Promise<EpochEnd[]> {
    const apis = [offsetForLeaderEpochV4.api, offsetForLeaderEpochV3.api]
    const answers = await this.#askLeaders(places, async (connection, asked) => {
      const topics = byTopic(asked, ({ partition, known, leaderEpoch }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: known.leaderEpoch,
        leaderEpoch,
      }))
      const response = await connection.call(apis, -1, topics)
      return response.topics.flatMap(({ topic, partitions: all }) =>
        all.map(({ partition, errorCode, endOffset, leaderEpoch }) => ({
          topic,
          partition,
          code: errorCode,
          value: { endOffset: Number(endOffset), leaderEpoch },
        })),
      )
    })
    return answers.map(({ topic, partition, value, detail }) => {
      const { endOffset, leaderEpoch } = value ?? { endOffset: null, leaderEpoch: -1 }
      return { topic, partition, endOffset, leaderEpoch, detail }
    })
  }

  /** Committed offsets of a group, those of partitions without one left out. */
  async groupOffsets(group: string, partitions: readonly PartitionName[]): Promise<GroupOffset[]> {
    return this.#askCoordinator(group, async (connection) =>
      committedOffsets(connection, group, partitions),
    )
  }

  /** For displays of lag: nothing here reads from them. */
  async commitGroupOffsets(group: string, offsets: readonly GroupOffset[]): Promise<void> {
    await this.#askCoordinator(group, async (connection) =>
      commitOffsets(connection, group, offsets),
    )
  }

  /** A new connection to a broker that metadata has named; `null`: it has not. */
  async connect(nodeId: number): Promise<BrokerConnection | null> {
    const address = this.#brokers.get(nodeId)
    return address === undefined ? null : BrokerConnection.open(this.options, address)
  }

  /**
   * The connection for questions to a broker that metadata has named: shared, and kept.
   *
   * @throws PipelineError CONNECT_FAILED, AUTH_FAILED, TLS_FAILED, SERVER_UNSUITABLE
   */
  async control(nodeId: number): Promise<BrokerConnection> {
    const address = this.#brokers.get(nodeId)
    if (address === undefined) {
      throw new PipelineError('CONNECT_FAILED', `broker ${nodeId} is unknown`)
    }
    return this.#connectionTo(address)
  }

  /** Any broker, for questions that all of them answer. */
  async any(): Promise<BrokerConnection> {
    await this.metadata([])
    if (this.#preferred === null) throw new PipelineError('CONNECT_FAILED', 'no broker answers')
    return this.#connectionTo(this.#preferred)
  }

  /** A broker by its address, as coordinators are named. */
  async at(address: BrokerAddress): Promise<BrokerConnection> {
    return this.#connectionTo(address)
  }

  async close(): Promise<void> {
    this.#closed = true
    const open = await Promise.allSettled(this.#control.values())
    for (const one of open) if (one.status === 'fulfilled') one.value.close()
    this.#control.clear()
  }

  #candidates(): BrokerAddress[] {
    const all = [this.#preferred, ...this.#brokers.values(), ...this.options.bootstrap]
    const byName = new Map(all.flatMap((one) => (one === null ? [] : [[nameOf(one), one]])))
    return [...byName.values()]
  }

  async #connectionTo(address: BrokerAddress): Promise<BrokerConnection> {
    const name = nameOf(address)
    const known = await this.#control.get(name)?.catch(() => null)
    if (known?.usable === true) return known
    if (this.#closed) throw new PipelineError('CONNECT_FAILED', 'the cluster client is closed')
    known?.close()
    const opening = BrokerConnection.open(this.options, address)
    this.#control.set(name, opening)
    // The caller hears of it; the map must not be the one who never asked.
    opening.catch(() => {})
    return opening
  }

  /**
   * Asks each partition's leader, all leaders at once, and again those that have moved meanwhile.
   *
   * @throws PipelineError PRIVILEGE_MISSING, and what forbids connecting to a leader
   */
  async #askLeaders<P extends PartitionName, V>(
    partitions: readonly P[],
    ask: (connection: BrokerConnection, asked: readonly Asked<P>[]) => Promise<LeaderAnswer<V>[]>,
  ): Promise<(PartitionName & { readonly value: V | null; readonly detail: string })[]> {
    const values = new Map<string, V>()
    const details = new Map<string, string>()
    let open: readonly P[] = partitions
    for (let attempt = 0; attempt < ATTEMPTS && open.length > 0; attempt++) {
      if (attempt > 0) await this.options.clock.sleep(RETRY_MS * attempt)
      const { led, unled } = await this.#leadersOf(open)
      for (const one of unled) details.set(keyOf(one), 'it has no leader')
      const asking = [...led].map(async ([node, asked]) => {
        const answers = await this.#askOne(node, asked, ask, details)
        for (const answer of answers) this.#note(answer, values, details)
      })
      await Promise.all(asking)
      open = open.filter((one) => !values.has(keyOf(one)))
    }
    return partitions.map((one) => ({
      topic: one.topic,
      partition: one.partition,
      value: values.get(keyOf(one)) ?? null,
      detail: values.has(keyOf(one)) ? '' : (details.get(keyOf(one)) ?? 'nobody answered for it'),
    }))
  }

  async #askOne<P extends PartitionName, V>(
    node: number,
    asked: readonly Asked<P>[],
    ask: (connection: BrokerConnection, asked: readonly Asked<P>[]) => Promise<LeaderAnswer<V>[]>,
    details: Map<string, string>,
  ): Promise<LeaderAnswer<V>[]> {
    try {
      const address = this.#brokers.get(node)
      if (address === undefined)
        throw new PipelineError('CONNECT_FAILED', `broker ${node} is unknown`)
      return await ask(await this.#connectionTo(address), asked)
    } catch (error) {
      const failure = failureOf(`cannot ask broker ${node}`, error)
      if (failure.spec.action !== 'retry') throw failure
      for (const one of asked) details.set(keyOf(one), failure.message)
      return []
    }
  }

  #note<V>(answer: LeaderAnswer<V>, values: Map<string, V>, details: Map<string, string>): void {
    const { topic, partition, code, value } = answer
    if (code === KafkaCode.TOPIC_AUTHORIZATION_FAILED) {
      throw new PipelineError('PRIVILEGE_MISSING', `topic "${topic}" may not be read by this user`)
    }
    if (code === KafkaCode.NONE) values.set(keyOf({ topic, partition }), value)
    else details.set(keyOf({ topic, partition }), `its leader answers with error ${code}`)
  }

  async #leadersOf<P extends PartitionName>(
    partitions: readonly P[],
  ): Promise<{ readonly led: Map<number, Asked<P>[]>; readonly unled: P[] }> {
    const names = [...new Set(partitions.map(({ topic }) => topic))]
    const { topics } = await this.metadata(names)
    const led = new Map<number, Asked<P>[]>()
    const unled: P[] = []
    for (const one of partitions) {
      const all = topics.get(one.topic)?.partitions
      const known = all?.find(({ partition }) => partition === one.partition)
      if (known === undefined || known.leader < 0) unled.push(one)
      else led.set(known.leader, [...(led.get(known.leader) ?? []), { ...one, known }])
    }
    return { led, unled }
  }

  async #askCoordinator<T>(
    group: string,
    ask: (connection: BrokerConnection) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const address = await coordinatorOf(await this.any(), group)
        return await ask(await this.#connectionTo(address))
      } catch (error) {
        const failure = failureOf(`cannot ask the coordinator of group "${group}"`, error)
        if (failure.spec.action !== 'retry' || attempt >= ATTEMPTS) throw failure
      }
      await this.options.clock.sleep(RETRY_MS * attempt)
    }
  }
}

/** A partition with what metadata says of it. */
type Asked<P> = P & { readonly known: PartitionMetadata }

interface LeaderAnswer<V> extends PartitionName {
  readonly code: number
  readonly value: V
}

function keyOf({ topic, partition }: PartitionName): string {
  return `${partition} ${topic}`
}

function nameOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`
}

/** As requests want it: each topic once, with its partitions. */
export function byTopic<P extends PartitionName, E>(
  partitions: readonly P[],
  entry: (one: P) => E,
): { name: string; partitions: E[] }[] {
  const topics = new Map<string, E[]>()
  for (const one of partitions) {
    const entries = topics.get(one.topic) ?? []
    entries.push(entry(one))
    topics.set(one.topic, entries)
  }
  return [...topics].map(([name, entries]) => ({ name, partitions: entries }))
}
