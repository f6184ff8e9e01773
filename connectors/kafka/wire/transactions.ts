// Transactions of Kafka, request by request: ids, partitions, ends. A request whose answer is lost
// is sent again with the same bytes, which every one of them allows; what an answer means for the
// epoch is decided elsewhere.
//
// One protocol for all brokers: AddPartitionsToTxn v3, Produce up to v11 and EndTxn up to v4, which
// brokers from 3.0 on take. Under it, a commit that is repeated would commit the next transaction
// of the id if that were begun without InitProducerId: so every transaction begins with one.

import {
  addPartitionsToTxnV3,
  describeTransactionsV0,
  endTxnV3,
  endTxnV4,
} from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { byTopic, type Cluster, type PartitionName } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'
import { failureOf, KafkaCode } from './failure.ts'
import { findCoordinator } from './group.ts'
import { initProducerId } from './producer-id.ts'

/** All that names one transaction, for ever. */
export interface Transaction {
  /** `transactional.id`. */
  readonly id: string
  readonly producerId: bigint
  readonly epoch: number
}

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 1000
const TRANSACTION = 1

const AGAIN: ReadonlySet<number> = new Set([
  KafkaCode.REQUEST_TIMED_OUT,
  KafkaCode.COORDINATOR_LOAD_IN_PROGRESS,
  KafkaCode.COORDINATOR_NOT_AVAILABLE,
  KafkaCode.NOT_COORDINATOR,
  KafkaCode.CONCURRENT_TRANSACTIONS,
  // A topic that was made a moment ago.
  KafkaCode.UNKNOWN_TOPIC_OR_PARTITION,
])

/** Talks to the coordinator of one transactional id, wherever it moves. */
export class Transactions {
  readonly #cluster: Cluster
  readonly #signal: AbortSignal

  /** @param signal  ends the repetitions */
  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster
    this.#signal = signal
  }

  /**
   * Begins anew under the id: aborts what its last holder left open, and fences the holder.
   *
   * @throws PipelineError PRIVILEGE_MISSING, CONFIG_VALUE, TRANSACTION_ABORTED
   */
  async init(id: string, timeoutMs: number): Promise<Transaction> {
    const answer = await this.#ask(id, async (connection) =>
      initProducerId(connection, { id, timeoutMs }),
    )
    if (answer.code === KafkaCode.INVALID_TRANSACTION_TIMEOUT) {
      const message = `sink.transaction_timeout: the brokers allow no ${timeoutMs / 1000} seconds`
      throw new PipelineError('CONFIG_VALUE', message, {
        hint: 'Lower it, or raise `transaction.max.timeout.ms` of the brokers.',
      })
    }
    if (answer.code !== KafkaCode.NONE) throw refused(id, 'begin', answer.code)
    return { id, producerId: answer.id, epoch: answer.epoch }
  }

  /**
   * Before the first record of the transaction in each of the partitions.
   *
   * @throws PipelineError PRIVILEGE_MISSING, TRANSACTION_ABORTED
   */
  async add(transaction: Transaction, partitions: readonly PartitionName[]): Promise<void> {
    const { id, producerId, epoch } = transaction
    const topics = byTopic(partitions, ({ partition }) => partition)
    const request = [
      { transactionalId: id, producerId, producerEpoch: epoch, verifyOnly: false, topics },
    ] as Parameters<typeof addPartitionsToTxnV3.api.async>[1]
    const { code } = await this.#ask(id, async (connection) => {
      const { resultsByTransaction } = await connection.call([addPartitionsToTxnV3.api], request)
      const codes = resultsByTransaction
        .flatMap(({ topicResults }) => topicResults)
        .flatMap(({ resultsByPartition }) => resultsByPartition)
        .map(({ partitionErrorCode }) => partitionErrorCode)
      // OPERATION_NOT_ATTEMPTED stands beside the partition that is the reason.
      return { code: codes.find((one) => one !== KafkaCode.NONE && one !== NOT_ATTEMPTED) ?? 0 }
    })
    if (code !== KafkaCode.NONE) throw refused(id, 'add partitions to', code)
  }

  /**
   * @returns 0: it is decided so, now or by an earlier request, though not everywhere visible yet;
   *          any other code: the coordinator does not know it as open any more
   */
  async end({ id, producerId, epoch }: Transaction, commits: boolean): Promise<number> {
    const { code } = await this.#ask(id, async (connection) => {
      const apis = [endTxnV4.api, endTxnV3.api]
      const { errorCode } = await connection.call(apis, id, producerId, epoch, commits)
      return { code: errorCode }
    })
    if (code === KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) throw refused(id, 'end', code)
    return code
  }

  /** @returns the state by its name, such as `PrepareCommit`; `null`: the id is not known */
  async state(id: string): Promise<string | null> {
    const answer = await this.#ask(id, async (connection) => {
      const { transactionStates } = await connection.call([describeTransactionsV0.api], [id])
      const [found] = transactionStates
      return { code: found?.errorCode ?? 0, state: found?.transactionState ?? null }
    })
    return answer.code === KafkaCode.NONE ? answer.state : null
  }

  async #ask<T extends { readonly code: number }>(
    id: string,
    ask: (connection: BrokerConnection) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        const { address, code } = await findCoordinator(await this.#cluster.any(), TRANSACTION, id)
        if (code === KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
          throw refused(id, 'use', code)
        }
        if (code === KafkaCode.NONE) {
          const answer = await ask(await this.#cluster.at(address))
          if (!AGAIN.has(answer.code)) return answer
        }
      } catch (error) {
        const failure = failureOf(`cannot ask for transaction "${id}"`, error)
        if (failure.error !== 'CONNECT_FAILED') throw failure
      }
      const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempt, 10))
      await this.#sleep(ms)
    }
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await this.#cluster.options.clock.sleep(ms, this.#signal)
    } catch {
      throw new PipelineError('CONNECT_FAILED', 'the cluster was not waited for any longer')
    }
  }
}

const NOT_ATTEMPTED = 55

/** @param what  an infinitive */
function refused(id: string, what: string, code: number): PipelineError {
  switch (code) {
    case KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return new PipelineError('PRIVILEGE_MISSING', `transactional id "${id}" may not be used`, {
        hint: 'Grant WRITE and DESCRIBE on it; `millrace check FILE` prints the command.',
      })
    case KafkaCode.TOPIC_AUTHORIZATION_FAILED:
      return new PipelineError('PRIVILEGE_MISSING', 'a topic of the sink may not be written', {
        hint: 'Grant WRITE, READ and DESCRIBE on it; `millrace check FILE` prints the command.',
      })
    default:
      return new PipelineError(
        'TRANSACTION_ABORTED',
        `cannot ${what} transaction "${id}": the coordinator answers with error ${code}`,
      )
  }
}
