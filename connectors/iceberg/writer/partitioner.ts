// Which partition each row of a table goes to. A batch is split by its columns as a whole; only the
// partitions that it touches become objects.

import type { Column } from '../../../runtime/data/column/column.ts'
import { applyTransform } from '../../../runtime/data/partition/apply.ts'
import type { RowGroups } from '../../../runtime/data/partition/groups.ts'
import { partitionKey, partitionTupleAt } from '../../../runtime/data/partition/value.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import { present } from '../../../runtime/base/assert.ts'
import type { Partition } from '../../parquet/table/data-file.ts'
import type { RowPlaces } from '../index/table-index.ts'
import { requireStatable } from '../manifest-format.ts'
import { partitionPath } from '../partition-path.ts'
import type { BoundField } from '../partition-spec.ts'
import type { TableFiles } from './table-files.ts'

/** Partitions that are remembered: more would be memory for what may never come again. */
const KNOWN_MAX = 16 * 1024

/** Rows to be written, `count` of them. */
export interface RowsToWrite {
  /** A field of the lake table each. */
  readonly columns: readonly Column[]
  /** Rows of the batch that the columns are of. */
  readonly rows: number
  /** In their order; `null`: rows 0...count - 1. */
  readonly selection: Int32Array | null
  readonly count: number
}

export class Partitioner {
  private readonly fields: readonly BoundField[]
  private readonly groups: RowGroups
  private readonly known = new Map<string, Partition>()

  constructor(fields: readonly BoundField[], groups: RowGroups) {
    this.fields = fields
    this.groups = groups
  }

  /**
   * Appends rows to the open files of their partitions.
   *
   * @param places  receives where each row went, by its number in the batch; `null`: nobody asks
   * @throws PipelineError VALUE_UNREPRESENTABLE
   */
  async append(
    files: TableFiles,
    schema: TableSchema,
    { columns, rows, selection, count }: RowsToWrite,
    places: RowPlaces | null,
  ): Promise<void> {
    const { groups } = this
    const values = this.fields.map(({ transform, column }) =>
      applyTransform(transform, present(columns[column], 'a batch has all fields'), rows),
    )
    groups.split(values, selection, count)
    for (let group = 0; group < groups.count; group++) {
      const start = groups.starts[group] as number
      const end = groups.starts[group + 1] as number
      const chosen = groups.rows.subarray(start, end)
      const file = files.writable(schema, this.partitionOf(values, chosen[0] as number))
      if (places !== null) place(places, chosen, file.fileId | 0, file.rows)
      const wait = files.append(file, columns, end - start, chosen)
      if (wait !== undefined) await wait
    }
  }

  private partitionOf(values: readonly Column[], row: number): Partition {
    const tuple = partitionTupleAt(values, row)
    const key = partitionKey(tuple)
    const known = this.known.get(key)
    if (known !== undefined) return known
    for (const [index, { type }] of this.fields.entries()) {
      requireStatable(type, tuple[index] ?? null)
    }
    if (this.known.size >= KNOWN_MAX) this.known.clear()
    const partition = { key, tuple, folder: partitionPath(this.fields, tuple) }
    this.known.set(key, partition)
    return partition
  }
}

function place(places: RowPlaces, rows: Int32Array, fileId: number, position: number): void {
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at] as number
    places.files[row] = fileId
    places.positions[row] = position + at
  }
}
