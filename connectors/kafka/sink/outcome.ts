// What became of a transaction, asked of the partitions that it wrote to. An answer of EndTxn is no
// visibility: readers see the records when the marker is in the log, and only a marker is proof.
//
// Source: KIP-98; a coordinator of Kafka 4.3.1 drops the markers of a partition that has no leader
// at that moment and reports success (KAFKA-20734), which leaves the transaction hanging: it is
// repaired to what was decided.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { findMarker, type Marker } from '../decode/markers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { failureOf, KafkaCode } from '../wire/failure.ts'
import { FETCH_BY_ID, FETCH_BY_NAME, fetchFrom, topicKeyOf } from '../wire/fetch.ts'
import type { Transaction, Transactions } from '../wire/transactions.ts'
import type { TouchedPartition } from './committable.ts'

const POLL_MS_MIN = 5
const POLL_MS_MAX = 500
const FETCH_BYTES = 1024 * 1024
/** A marker that is not there by then, of a transaction that is complete, will never come. */
export const HANGING_MS = 30_000
const REPAIR_MS = 60_000

interface Place {
  readonly topic: string
  readonly partition: number
  /** Where the search goes on. */
  from: number
  marker: Marker | null
  /** The log ends before our records: a leader that is behind, or another topic of the name. */
  isBeyond: boolean
}

/**
 * Waits until each partition says how the transaction ended.
 *
 * @throws PipelineError TRANSACTION_UNKNOWN, TRANSACTION_HANGING · CONNECT_FAILED: `signal` aborted
 */
export async function outcomeOf(
  cluster: Cluster,
  transactions: Transactions,
  transaction: Transaction,
  partitions: readonly TouchedPartition[],
  signal: AbortSignal,
  hangingMs = HANGING_MS,
): Promise<Marker> {
  const places = partitions.map(({ topic, partition, lastOffset }): Place => {
    return { topic, partition, from: lastOffset + 1, marker: null, isBeyond: false }
  })
  const { clock } = cluster.options
  let sinceMs = clock.elapsedMs()
  for (let attempt = 0; places.some(({ marker }) => marker === null); attempt++) {
    if (attempt > 0) {
      const ms = Math.min(POLL_MS_MAX, POLL_MS_MIN * 2 ** Math.min(attempt, 10))
      await clock.sleep(ms, signal).catch(() => undefined)
    }
    if (signal.aborted) {
      throw new PipelineError(
        'CONNECT_FAILED',
        `transaction "${transaction.id}" is not visible yet`,
      )
    }
    const asked = await look(cluster, transaction, places)
    if (!asked) sinceMs = clock.elapsedMs()
    else if (clock.elapsedMs() - sinceMs > hangingMs) {
      const beyond = places.find(({ isBeyond }) => isBeyond)
      if (beyond !== undefined) throw unknown(beyond, 'the log ends before its records')
      await repair(transactions, transaction, places)
      sinceMs = clock.elapsedMs()
    }
  }
  const markers = new Set(places.map(({ marker }) => marker))
  if (markers.size > 1) throw hanging(transaction, places, 'Its partitions say different things.')
  return markers.has('abort') ? 'abort' : 'commit'
}

/** @returns false when not every partition that is open was heard of */
async function look(
  cluster: Cluster,
  { producerId }: Transaction,
  places: readonly Place[],
): Promise<boolean> {
  const open = places.filter(({ marker }) => marker === null)
  try {
    const { topics } = await cluster.metadata([...new Set(open.map(({ topic }) => topic))])
    const answers = await Promise.all(
      open.map(async (place) => {
        const topic = topics.get(place.topic)
        if (topic?.problem === 'missing') throw unknown(place, 'the topic is gone')
        const known = topic?.partitions.find(({ partition }) => partition === place.partition)
        if (topic === undefined || known === undefined || known.leader < 0) return false
        return lookAt(cluster, place, topic.topicId, known.leader, producerId)
      }),
    )
    return answers.every(Boolean)
  } catch (error) {
    const failure = failureOf('cannot look for the end of a transaction', error)
    if (failure.error !== 'CONNECT_FAILED') throw failure
    return false
  }
}

async function lookAt(
  cluster: Cluster,
  place: Place,
  topicId: string,
  leader: number,
  producerId: bigint,
): Promise<boolean> {
  const connection = await cluster.control(leader)
  const byId = connection.choose([FETCH_BY_ID, FETCH_BY_NAME]) === FETCH_BY_ID
  const { topic, partition } = place
  for (;;) {
    const asked = {
      topic,
      topicId,
      partition,
      offset: place.from,
      currentLeaderEpoch: -1,
      lastEpoch: -1,
      bytesMax: FETCH_BYTES,
    }
    const request = {
      maxWaitMs: 0,
      bytesMax: FETCH_BYTES,
      isolation: 'read_uncommitted' as const,
      partitions: [asked],
    }
    const { partitions, code } = await fetchFrom(connection, request, byId)
    const key = topicKeyOf(asked, byId)
    const answer = partitions.find((one) => one.topicKey === key && one.partition === partition)
    if (code !== KafkaCode.NONE || answer === undefined) return false
    if (answer.code === KafkaCode.TOPIC_AUTHORIZATION_FAILED) {
      throw new PipelineError('PRIVILEGE_MISSING', `topic "${topic}" may not be read`, {
        detail: 'Whether a transaction is visible is read from the log.',
        hint: 'Grant READ on it; `millrace check FILE` prints the command.',
      })
    }
    place.isBeyond = answer.code === KafkaCode.OFFSET_OUT_OF_RANGE
    if (place.isBeyond) {
      // A leader that has just been elected may be behind for a moment.
      if (place.from >= answer.logStartOffset) return true
      throw unknown(place, `offset ${place.from} is not in the log any more`)
    }
    if (answer.code !== KafkaCode.NONE) return false
    const { marker, nextOffset } = findMarker(answer.records, place.from, producerId)
    place.marker = marker
    if (marker !== null || nextOffset === place.from) return true
    place.from = nextOffset
  }
}

/**
 * Writes the markers that are missing, by a transaction without records: a coordinator that is done
 * never does it by itself. Where it is not done, it is waited for.
 */
async function repair(
  transactions: Transactions,
  transaction: Transaction,
  places: readonly Place[],
): Promise<void> {
  const { id, producerId } = transaction
  const state = await transactions.state(id)
  if (state !== null && !/^(?:Complete|Empty)/.test(state)) return
  const said = new Set(places.flatMap(({ marker }) => (marker === null ? [] : [marker])))
  if (state === 'CompleteCommit') said.add('commit')
  if (state === 'CompleteAbort') said.add('abort')
  const detail = `The coordinator says ${state ?? 'that it knows no such id'}.`
  const [decided] = said
  if (said.size !== 1 || decided === undefined) throw hanging(transaction, places, detail)
  const next = await transactions.init(id, REPAIR_MS)
  // The end of another producer would not end ours.
  if (next.producerId !== producerId) throw hanging(transaction, places, detail)
  const open = places.filter(({ marker }) => marker === null)
  await transactions.add(next, open)
  const code = await transactions.end(next, decided === 'commit')
  if (code !== KafkaCode.NONE) throw hanging(transaction, places, detail)
}

function hanging(
  { id, producerId, epoch }: Transaction,
  places: readonly Place[],
  detail: string,
): PipelineError {
  const open = places.filter(({ marker }) => marker === null)
  const named = open.map(({ topic, partition }) => `${topic}-${partition}`).join(', ')
  const message = `transaction "${id}" hangs: no end of it is in ${named || 'all partitions'}`
  return new PipelineError('TRANSACTION_HANGING', message, {
    detail: `${detail} Producer id ${producerId}, epoch ${epoch}.`,
  })
}

function unknown({ topic, partition }: Place, why: string): PipelineError {
  const message = `how a transaction ended in ${topic}-${partition} cannot be told: ${why}`
  return new PipelineError('TRANSACTION_UNKNOWN', message)
}
