// What a writer hands to the committer, by way of the checkpoint: plain data. An epoch is one
// transaction for all its tables; it stands under a name that no table can have, so that it is
// committed whatever happens to single tables.

import type { Transaction } from '../wire/transactions.ts'

/** Not the name of a table: those have a dot that is not the last character. */
export const TRANSACTION = 'transaction.'

/** Where the last record of a transaction stands in a partition. */
export interface TouchedPartition {
  readonly topic: string
  readonly partition: number
  readonly lastOffset: number
}

export interface KafkaCommittable {
  /** A table that has records in the epoch, or `TRANSACTION`. */
  readonly table: string
  /** The runtime's: state files that the committable needs. */
  readonly deletes: null
  /** The runtime's: files that it adds to a lake. */
  readonly files: readonly never[]
  /** Of `TRANSACTION`; `null`: of tables. */
  readonly transaction: Transaction | null
  /** All that the transaction has touched; none: of tables. */
  readonly partitions: readonly TouchedPartition[]
}
