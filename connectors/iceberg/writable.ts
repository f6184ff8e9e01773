// Whether a lake table is one that this pipeline can go on with: of version 3, begun in its mode,
// and partitioned as its files are. Asked of the very metadata that the swap replaces, so nobody
// changes it in between.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { CommitWork } from './commit-work.ts'
import { CHANGELOG_FIELDS, type TableMode } from '../parquet/table/fields.ts'
import type { TableMetadata } from './metadata.ts'
import { formatSpec, sameSpec, specOf, UNPARTITIONED_SPEC } from './partition-spec.ts'
import type { PartitionSpec } from './partition-spec.ts'
import { fieldsOf, type IcebergSchema } from './schema.ts'

/**
 * @returns how the table's files are partitioned
 * @throws PipelineError TARGET_DIVERGED
 */
export function checkWritable(
  work: CommitWork,
  metadata: TableMetadata,
  mode: TableMode,
): PartitionSpec {
  const { table } = work
  // A resync alone would adopt this very table, and meet the same again.
  const hint = `Drop or rename the lake table, then run \`millrace resync FILE --table ${table}\`.`
  if (metadata.formatVersion !== 3) {
    const message = `lake table ${table} has format version ${metadata.formatVersion}, not 3`
    throw new PipelineError('TARGET_DIVERGED', message, { hint })
  }
  if (mode === 'changelog' && metadata.schemas.some(hasOtherColumns)) {
    const message = `lake table ${table} was not begun in mode changelog`
    const detail = 'Its own columns have the field ids of _op, _pos, _ts and _tx.'
    throw new PipelineError('TARGET_DIVERGED', message, { detail, hint })
  }
  const { partitionSpecs, defaultSpecId } = metadata
  const spec = specOf(partitionSpecs)
  const wanted = work.spec ?? spec
  if (spec === null || wanted === null || !sameSpec(spec, wanted)) {
    const detail =
      `Its partition spec 0 is ${spec === null ? 'not readable' : formatSpec(spec)}; the files to ` +
      `be added are partitioned by ${formatSpec(wanted ?? UNPARTITIONED_SPEC)}.`
    const message = `lake table ${table} is partitioned in another way`
    throw new PipelineError('TARGET_DIVERGED', message, { detail, hint })
  }
  // New files of an old spec are no error of Iceberg's, but whoever changed it expects the new one.
  if (spec.length > 0 && defaultSpecId !== 0) {
    const detail = `Its default spec is ${defaultSpecId}; this pipeline made it with spec 0.`
    const message = `somebody changed the partitioning of lake table ${table}`
    throw new PipelineError('TARGET_DIVERGED', message, { detail, hint })
  }
  return spec
}

/** Readers go by field ids: under one id an old file would show a value of another column. */
function hasOtherColumns(schema: IcebergSchema): boolean {
  return fieldsOf(schema).some(({ id, name }) => {
    const ours = CHANGELOG_FIELDS.find((field) => field.id === id)
    return ours !== undefined && ours.name !== name
  })
}
