// Makes the transaction of an epoch visible. Committing it again changes nothing: what is known to
// be finished stands in the state folder, and what is not is asked of the coordinator and then of
// the log. Only once the log shows the commit in every partition is the epoch done, since a
// transaction that is open is not durable beyond its timeout.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { Committer, Intent, TableCommit } from '../../../runtime/sink.ts'
import { Cluster } from '../wire/cluster.ts'
import type { ClusterOptions } from '../wire/options.ts'
import { type Transaction, Transactions } from '../wire/transactions.ts'
import { TRANSACTION, type KafkaCommittable } from './committable.ts'
import { outcomeOf } from './outcome.ts'

/** Of the state store. */
export const FINISHED_PATH = 'kafka-sink/finished'
const FINISHED_KEPT = 16

export interface KafkaCommitterOptions {
  readonly cluster: ClusterOptions
  readonly state: ObjectStore
  /** When the end of a transaction that is complete is taken for lost. Default: 30 s. */
  readonly hangingMs?: number
}

export function createKafkaCommitter(options: KafkaCommitterOptions): Committer<KafkaCommittable> {
  return new KafkaCommitter(options)
}

class KafkaCommitter implements Committer<KafkaCommittable> {
  readonly #options: KafkaCommitterOptions
  #cluster: Cluster | null = null
  /** Transactions that are known to be visible, the oldest first; `null`: not read yet. */
  #finished: string[] | null = null

  constructor(options: KafkaCommitterOptions) {
    this.#options = options
  }

  async commit(
    intents: readonly Intent<KafkaCommittable>[],
    signal: AbortSignal = new AbortController().signal,
  ): Promise<readonly TableCommit[]> {
    const commits = new Map<string, TableCommit>()
    for (const { tables } of intents) {
      const all = tables.flatMap(({ committables }) => committables)
      let outcome: TableCommit['outcome'] = 'unchanged'
      for (const committable of all) {
        if (committable.transaction === null) continue
        outcome = await this.#finish(committable.transaction, committable, signal)
      }
      for (const { table, snapshotId } of tables) {
        const done = { tableUuid: null, metadataLocation: null, reason: null }
        commits.set(table, { table, outcome, snapshotId, ...done })
      }
    }
    return [...commits.values()]
  }

  /** @throws PipelineError TRANSACTION_ABORTED, TRANSACTION_UNKNOWN, TRANSACTION_HANGING */
  async #finish(
    transaction: Transaction,
    { partitions }: KafkaCommittable,
    signal: AbortSignal,
  ): Promise<'committed' | 'already-committed'> {
    const name = `${transaction.id} ${transaction.producerId} ${transaction.epoch}`
    const finished = await this.#known()
    if (finished.includes(name)) return 'already-committed'
    this.#cluster ??= await Cluster.open(this.#options.cluster)
    const transactions = new Transactions(this.#cluster, signal)
    // Whatever it answers, the log has the last word: an earlier answer may have been lost.
    const code = await transactions.end(transaction, true)
    const { hangingMs } = this.#options
    const asked = [transaction, partitions, signal, hangingMs] as const
    const outcome = await outcomeOf(this.#cluster, transactions, ...asked)
    if (outcome === 'abort') {
      throw new PipelineError(
        'TRANSACTION_ABORTED',
        `transaction "${transaction.id}" was aborted`,
        {
          detail: `The coordinator answers with error ${code}, and the log says ABORT.`,
        },
      )
    }
    finished.push(name)
    finished.splice(0, Math.max(0, finished.length - FINISHED_KEPT))
    await this.#options.state.put(FINISHED_PATH, Buffer.from(JSON.stringify(finished)))
    return 'committed'
  }

  async #known(): Promise<string[]> {
    if (this.#finished !== null) return this.#finished
    const { state } = this.#options
    this.#finished = (await state.exists(FINISHED_PATH))
      ? (JSON.parse(Buffer.from(await state.get(FINISHED_PATH)).toString()) as string[])
      : []
    return this.#finished
  }

  async adopt(): Promise<null> {
    return null
  }

  async changeProperties(): Promise<boolean> {
    return false
  }

  async sweep(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    await this.#cluster?.close()
    this.#cluster = null
  }
}

/** Whether an epoch has something that must become visible. */
export function hasTransaction({ tables }: Pick<Intent<unknown>, 'tables'>): boolean {
  return tables.some(({ table }) => table === TRANSACTION)
}
