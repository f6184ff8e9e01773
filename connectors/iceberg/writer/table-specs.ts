// How the tables of a pipeline are partitioned, from their first structure on: a spec is bound once
// and goes on with the checkpoints, so neither a rename nor another pipeline file changes it.

import type { PartitionField } from '../../../runtime/data/partition/transform.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import { bindSpec, formatField, type PartitionSpec } from '../partition-spec.ts'

export interface StoredSpec {
  readonly table: string
  /** []: the table has been written, and is not partitioned. */
  readonly spec: PartitionSpec
  /** As the pipeline file had it then. */
  readonly written: readonly string[]
}

export class TableSpecs {
  private readonly partitionBy: ((table: string) => readonly PartitionField[]) | undefined
  private readonly specs = new Map<string, StoredSpec>()
  /** Grows when a spec is added. */
  changes = 0

  constructor(
    partitionBy: ((table: string) => readonly PartitionField[]) | undefined,
    stored: readonly StoredSpec[],
  ) {
    this.partitionBy = partitionBy
    for (const spec of stored) this.specs.set(spec.table, spec)
  }

  /**
   * @param columns  of the lake table, as of its present structure
   * @throws PipelineError DDL_UNMAPPABLE when the table cannot be partitioned as it is to be
   */
  specOf(table: string, columns: () => readonly Field[]): PartitionSpec {
    const known = this.specs.get(table)
    if (known !== undefined) return known.spec
    if (this.partitionBy === undefined) return []
    const fields = this.partitionBy(table)
    const spec = fields.length === 0 ? [] : bindSpec(table, fields, columns())
    this.specs.set(table, { table, spec, written: fields.map(formatField) })
    this.changes++
    return spec
  }

  store(): StoredSpec[] {
    return [...this.specs.values()]
  }
}
