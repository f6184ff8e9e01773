// One table of a lake with everything between a batch and its snapshot: the real writer and the
// real committer, and a model of the rows that readers must see.

import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import type { IcebergCommitter } from '../../connectors/iceberg/committer.ts'
import type { TableMode } from '../../connectors/parquet/table/fields.ts'
import { randomId63 } from '../../runtime/base/clock.ts'
import { Op } from '../../runtime/data/batch.ts'
import { parsePartitionField } from '../../runtime/data/partition/transform.ts'
import type { PartitionField } from '../../runtime/data/partition/transform.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { SinkWriter, TableCommit } from '../../runtime/sink.ts'
import { batchOf, type RowValues, type TestRow } from '../writer/batches.ts'
import { NO_METRICS, type Lake } from './lake.ts'

export class PartitionedTable {
  readonly table: string
  readonly lake: Lake
  readonly committer: IcebergCommitter
  private readonly writer: SinkWriter<IcebergCommittable>
  private schema: TableSchema
  private added: TableSchema[]
  private order = 1n
  private epoch = 0
  private readonly keyed: boolean
  /** Readers get no bounds of columns: what they skip, they skip by partitions. */
  hidesMetrics = false
  /** Live rows, in no order. */
  rows: RowValues[] = []

  private constructor(
    lake: Lake,
    schema: TableSchema,
    mode: TableMode,
    writer: SinkWriter<IcebergCommittable>,
    partitionBy: () => readonly PartitionField[],
  ) {
    this.lake = lake
    this.table = schema.table
    this.schema = schema
    this.added = [schema]
    this.writer = writer
    this.keyed = mode === 'upsert'
    this.committer = lake.committer({ mode, partitionBy })
  }

  /** @param fields  as a pipeline file has them */
  static async open(
    lake: Lake,
    mode: TableMode,
    schema: TableSchema,
    fields: readonly string[],
  ): Promise<PartitionedTable> {
    const partitioning = fields.map((text) => parsePartitionField(text) as PartitionField)
    const partitionBy = (): readonly PartitionField[] => partitioning
    const writer = await createIcebergWriter({
      mode,
      warehouse: lake.warehouse,
      state: lake.state,
      states: [],
      index: 0,
      count: 1,
      firstFileId: 1,
      fileSuffix: schema.table.replaceAll(/[^a-z0-9]/g, '_'),
      partitionBy,
    })
    const table = new PartitionedTable(lake, schema, mode, writer, partitionBy)
    await writer.write({ kind: 'schema', schema })
    return table
  }

  async evolve(schema: TableSchema): Promise<void> {
    this.schema = schema
    this.added.push(schema)
    await this.writer.write({ kind: 'schema', schema })
  }

  /** Rows by `id`, which a later one replaces where the table is keyed. */
  async put(rows: readonly RowValues[]): Promise<void> {
    for (const row of rows) {
      if (this.keyed) this.rows = this.rows.filter(({ id }) => id !== row['id'])
      this.rows.push(row)
    }
    await this.send(rows.map((values) => ({ op: this.keyed ? Op.update : Op.insert, values })))
  }

  async remove(ids: readonly bigint[]): Promise<void> {
    this.rows = this.rows.filter(({ id }) => !ids.includes(id as bigint))
    await this.send(ids.map((id) => ({ op: Op.delete, values: { id } })))
  }

  async truncate(): Promise<void> {
    this.rows = []
    await this.writer.write({ kind: 'truncate', table: this.table, order: this.order++ })
  }

  private async send(rows: readonly TestRow[]): Promise<void> {
    await this.writer.write(batchOf(this.schema, rows, this.order++))
  }

  /** Ends the epoch and commits it. */
  async commit(): Promise<TableCommit> {
    const { lake, table } = this
    const prepared = await this.writer.prepare(++this.epoch)
    const committables = prepared.committables.map((committable) => ({
      ...committable,
      files: committable.files.map((file) => ({
        ...file,
        metrics: this.hidesMetrics ? NO_METRICS : file.metrics,
      })),
    }))
    const known = lake.known.get(table)
    const entry = {
      table,
      snapshotId: randomId63(),
      schemas: this.added,
      tableUuid: known?.uuid ?? null,
      lastIntent: known?.lastIntent ?? null,
      committables,
    }
    this.added = []
    const intent = { ...(await lake.intent([])), tables: [entry] }
    const commits = await this.committer.commit([intent])
    lake.learn(commits)
    return commits[0]!
  }

  async close(): Promise<void> {
    await this.writer.close()
    await this.committer.close()
  }
}
