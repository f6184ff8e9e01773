// The writer of a sink into topics: rows become records of one transaction an epoch, in the order
// in which they come, those of one key in one partition. What it prepares is in the logs of the
// brokers and seen by nobody who reads committed records.
//
// Transactions take two ids in turns: while one epoch is being committed, the next writes under the
// other. An id is used again only when its last transaction is known to be finished, and each
// begins with InitProducerId, which fences an older instance of the pipeline.

import { PipelineError, recordOf, type ErrorRecord } from '../../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../../runtime/data/batch.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { Control } from '../../../runtime/data/element.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { PreparedEpoch, SinkWriter, TableCounts, WriterState } from '../../../runtime/sink.ts'
import type { Codec } from '../decode/decompress.ts'
import type { Envelope } from '../encode/json-rows.ts'
import { partitionOf } from '../encode/murmur2.ts'
import { encodeHeaders, NULL_BYTES } from '../encode/record-batch.ts'
import type { RecordEncoder } from '../encode/rows.ts'
import { Cluster } from '../wire/cluster.ts'
import type { ClusterOptions } from '../wire/options.ts'
import { Transactions } from '../wire/transactions.ts'
import { TRANSACTION, type KafkaCommittable } from './committable.ts'
import { encoderOf, type RecordFormats } from './encoders.ts'
import { EpochProducer } from './epoch-producer.ts'
import { requireTopic, topicName, type NewTopics } from './topics.ts'

export interface KafkaWriterOptions {
  readonly pipeline: string
  readonly cluster: ClusterOptions
  /** upsert: the last record of a key is its row. append: rows that are inserted. */
  readonly mode: 'upsert' | 'append'
  /** With `{namespace}` and `{table}`. */
  readonly topic: string
  readonly envelope: Envelope
  /** Of keys and values; default: JSON. */
  readonly formats?: RecordFormats
  /** A delete of `debezium` is followed by a record without a value. */
  readonly tombstones: boolean
  readonly codec: Codec
  /** Prefix of `transactional.id`. */
  readonly transactionalId: string
  readonly timeoutMs: number
  /** `null`: topics are made by others. */
  readonly create: NewTopics | null
  readonly targetOf: (table: string) => CatalogTable
  /** Of the checkpoint. */
  readonly states: readonly WriterState[]
  readonly firstFileId: number
}

/** Ids of transactions that take turns. */
const SLOTS = 2

const JSON_FORMATS: RecordFormats = { key: { format: 'json' }, value: { format: 'json' } }

const NO_FILES = { deletes: null, files: [] }

/** How a checkpoint tells that its writers are of this kind. */
export const SINK = 'kafka'

interface SavedState {
  readonly sink: typeof SINK
  /** Of the next transaction. */
  readonly slot: number
  /** Those that have records in their topics. */
  readonly written: readonly string[]
}

export function transactionalId(prefix: string, slot: number): string {
  return `${prefix}-${slot}`
}

/** @throws PipelineError CONNECT_FAILED, AUTH_FAILED, PRIVILEGE_MISSING, ... */
export async function createKafkaWriter(
  options: KafkaWriterOptions,
): Promise<SinkWriter<KafkaCommittable>> {
  const cluster = await Cluster.open(options.cluster)
  const closing = new AbortController()
  const transactions = new Transactions(cluster, closing.signal)
  try {
    // Whoever wrote before us is fenced, and what it had not prepared is gone. Everything that is
    // in a checkpoint has been finished before a writer starts.
    for (let slot = 0; slot < SLOTS; slot++) {
      await transactions.init(transactionalId(options.transactionalId, slot), options.timeoutMs)
    }
    return new KafkaWriter(options, cluster, transactions, closing)
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/** One table of the epoch. */
interface TableState {
  readonly topic: string
  readonly partitions: number
  /** `null`: of a table that is parked. */
  readonly encoder: RecordEncoder | null
  readonly isKeyed: boolean
  parked: ErrorRecord | null
}

class Counts {
  read = 0
  written = 0
  absorbed = 0
  parked = 0
  readonly ops = new Float64Array(4)
}

class KafkaWriter implements SinkWriter<KafkaCommittable> {
  readonly #options: KafkaWriterOptions
  readonly #cluster: Cluster
  readonly #transactions: Transactions
  readonly #closing: AbortController
  readonly #tables = new Map<string, TableState>()
  /** By topic: whose it is. */
  readonly #topics = new Map<string, string>()
  readonly #headers = encodeHeaders([])
  #counts = new Map<string, Counts>()
  #newlyParked: { readonly table: string; readonly reason: ErrorRecord }[] = []
  #producer: EpochProducer | null = null
  #slot: number
  /** Tables that have records in their topics, as of the last epoch. */
  readonly #written: Set<string>
  /** Records without a key go to one partition after the other. */
  #turn = 0

  constructor(
    options: KafkaWriterOptions,
    cluster: Cluster,
    transactions: Transactions,
    closing: AbortController,
  ) {
    this.#options = options
    this.#cluster = cluster
    this.#transactions = transactions
    this.#closing = closing
    const [state] = options.states
    const { slot = 0, written = [] } = (state?.data ?? {}) as Partial<SavedState>
    this.#slot = slot
    this.#written = new Set(written)
  }

  write(element: ChangeBatch | Control): Promise<void> | undefined {
    switch (element.kind) {
      case 'changes':
        return this.#writeBatch(element)
      case 'schema':
        return this.#open(element.schema)
      case 'truncate':
        this.#truncated(element.table)
        return undefined
      case 'park':
      case 'settled':
      case 'backfill':
        return undefined
    }
  }

  holds(): boolean {
    return false
  }

  fill(batch: ChangeBatch): Promise<void> | undefined {
    const counts = this.#countsOf(batch)
    counts.absorbed += batch.rows
    return undefined
  }

  async prepare(epoch: number): Promise<PreparedEpoch<KafkaCommittable>> {
    const producer = this.#producer
    const partitions = (await producer?.flush()) ?? []
    const committables: KafkaCommittable[] = []
    if (producer !== null && partitions.length > 0) {
      const { transaction } = producer
      committables.push({ ...NO_FILES, table: TRANSACTION, transaction, partitions })
      for (const [table, { written }] of this.#counts) {
        if (written === 0) continue
        this.#written.add(table)
        committables.push({ ...NO_FILES, table, transaction: null, partitions: [] })
      }
      this.#slot = (this.#slot + 1) % SLOTS
    }
    this.#producer = null
    const counts = [...this.#counts].map(([table, one]) => reportOf(table, one))
    const parked = this.#newlyParked
    this.#counts = new Map()
    this.#newlyParked = []
    const data: SavedState = { sink: SINK, slot: this.#slot, written: [...this.#written] }
    const state = { data, files: [], nextFileId: this.#options.firstFileId }
    return { epoch, committables, state, counts, parked }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#cluster.close()
  }

  async #open(schema: TableSchema): Promise<void> {
    // Rows are missing behind what has parked it: no new structure brings it back.
    if ((this.#tables.get(schema.table)?.parked ?? null) !== null) return
    const { pipeline, topic: pattern, envelope, targetOf, create, mode } = this.#options
    const target = targetOf(schema.table)
    const topic = topicName(pattern, target)
    const owner = this.#topics.get(topic) ?? schema.table
    if (owner !== schema.table) {
      const message = `sink.topic: tables "${owner}" and "${schema.table}" would share "${topic}"`
      const hint = 'Name topics by `{namespace}.{table}`, or give one of the tables a `route`.'
      throw new PipelineError('CONFIG_VALUE', message, { hint })
    }
    this.#topics.set(topic, schema.table)
    const partitions = await requireTopic(this.#cluster, topic, create)
    const { namespace, name: table } = target
    const isKeyed = schema.key !== null
    if (!isKeyed && mode === 'upsert') {
      throw new PipelineError('TABLE_WITHOUT_KEY', `table "${schema.table}" has no key`)
    }
    const written = { schema, topic, envelope, pipeline, namespace, table }
    const state: TableState = { topic, partitions, isKeyed, encoder: null, parked: null }
    try {
      const encoder = await encoderOf(
        written,
        this.#options.formats ?? JSON_FORMATS,
        this.#closing.signal,
      )
      this.#tables.set(schema.table, { ...state, encoder })
    } catch (error) {
      if (!(error instanceof PipelineError) || error.error !== 'DDL_UNMAPPABLE') throw error
      this.#tables.set(schema.table, state)
      this.#park(schema.table, state, error)
    }
  }

  /**
   * Readers of a topic cannot be told that all rows are gone, nor that those of a copy that begins
   * anew have come before.
   */
  #truncated(name: string): void {
    const table = this.#tables.get(name)
    const hasRows = this.#written.has(name) || (this.#counts.get(name)?.written ?? 0) > 0
    if (table === undefined || table.parked !== null || !hasRows) return
    this.#park(
      name,
      table,
      new PipelineError(
        'DDL_UNMAPPABLE',
        `table "${name}" was truncated, made anew, or is copied again`,
        {
          detail: 'A topic has no record that says that all rows are gone.',
          hint: 'Copy the table into another topic by a pipeline of another name.',
        },
      ),
    )
  }

  #park(name: string, table: TableState, error: PipelineError): void {
    table.parked = recordOf(error)
    this.#newlyParked.push({ table: name, reason: table.parked })
  }

  async #writeBatch(batch: ChangeBatch): Promise<void> {
    const table = this.#tables.get(batch.table)
    if (table === undefined) throw new RangeError('a schema comes before the rows that have it')
    const counts = this.#countsOf(batch)
    const { encoder } = table
    if (table.parked !== null || encoder === null) {
      counts.parked += batch.rows
      return
    }
    const producer = (this.#producer ??= await this.#begin())
    const nowMs = this.#cluster.options.clock.nowMs()
    for (let row = 0; row < batch.rows; row++) {
      const op = batch.ops[row] as Op
      if (this.#options.mode === 'append' && (op === Op.update || op === Op.delete)) {
        counts.absorbed++
        continue
      }
      if (!this.#writeRow(producer, table, encoder, batch, row, op, nowMs)) {
        this.#park(batch.table, table, missingValue(batch.table))
        counts.parked += batch.rows - row
        break
      }
      counts.written++
    }
    await producer.room()
  }

  /** @returns false where a value of the row is not known */
  #writeRow(
    producer: EpochProducer,
    { topic, partitions, isKeyed }: TableState,
    encoder: RecordEncoder,
    batch: ChangeBatch,
    row: number,
    op: Op,
    nowMs: number,
  ): boolean {
    const key = isKeyed ? encoder.key.encode(batch, row, nowMs) : NULL_BYTES
    if (key === null) return false
    const partition = isKeyed
      ? partitionOf(key.bytes, key.start, key.end, partitions)
      : this.#turn++ % partitions
    const { envelope, tombstones } = this.#options
    const deletes = op === Op.delete
    if (!deletes || envelope !== 'none') {
      const value = encoder.value.encode(batch, row, nowMs)
      if (value === null) return false
      producer.append(topic, partition, key, value)
    }
    if (deletes && (envelope === 'none' || tombstones)) {
      producer.append(topic, partition, key, NULL_BYTES)
    }
    return true
  }

  async #begin(): Promise<EpochProducer> {
    const id = transactionalId(this.#options.transactionalId, this.#slot)
    const transaction = await this.#transactions.init(id, this.#options.timeoutMs)
    return new EpochProducer(transaction, {
      cluster: this.#cluster,
      transactions: this.#transactions,
      codec: this.#options.codec,
      headers: this.#headers,
      signal: this.#closing.signal,
    })
  }

  #countsOf({ table, ops, rows }: ChangeBatch): Counts {
    let counts = this.#counts.get(table)
    if (counts === undefined) {
      counts = new Counts()
      this.#counts.set(table, counts)
    }
    counts.read += rows
    for (let row = 0; row < rows; row++) {
      const op = ops[row] ?? Op.insert
      counts.ops[op] = (counts.ops[op] ?? 0) + 1
    }
    return counts
  }
}

function reportOf(table: string, { read, written, absorbed, parked, ops }: Counts): TableCounts {
  const [insert = 0, update = 0, remove = 0, chunk = 0] = ops
  const byOp = { insert, update, delete: remove, read: chunk }
  return { table, read, written, stale: 0, absorbed, parked, held: 0, ops: byOp }
}

function missingValue(table: string): PipelineError {
  return new PipelineError(
    'UNCHANGED_VALUE_MISSING',
    `table "${table}": the log does not have all values of an updated row`,
  )
}
