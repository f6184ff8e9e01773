// What the rows of a table's chunks look like on the wire, and the decoders that were made for it.

import { tableKey, type TableSchema } from '../../runtime/data/schema.ts'
import { moved } from './chunk-start.ts'
import { compileDecoder, type DecodedField, type DecoderFactory } from './decode/generate.ts'
import { compileRows, type DecodeRows } from './decode/rows-decoder.ts'
import { decodedFields } from './log-table.ts'
import type { TableShape } from './shape.ts'

export interface ChunkLayout {
  /** Columns of the shape that are selected, in order. */
  readonly places: readonly number[]
  /** In the order of the SELECT list, besides those that it does not have. */
  readonly fields: readonly DecodedField[]
  /** `null`: each row goes to the other. */
  readonly rows: DecodeRows | null
  readonly factory: DecoderFactory
}

/** @throws PipelineError SCHEMA_MOVED */
export function layoutOf(
  shape: TableShape,
  schema: TableSchema,
  unrepresentableAsNull: boolean,
): ChunkLayout {
  const decoded = decodedFields(shape, schema, 'binary')
  const fields = inSelectOrder(decoded)
  const title = `${tableKey(shape.source)} v${schema.version} chunk`
  const plan = { title, fields, unrepresentableAsNull }
  const factory = compileDecoder(plan)
  if (factory === null) {
    throw moved(tableKey(shape.source), 'a field cannot take what the column holds')
  }
  const places = decoded.flatMap(({ column }) => (column < 0 ? [] : [column]))
  const rows = compileRows({ ...plan, form: 'copy', columns: places.length, key: [] })
  return { places, fields, rows, factory }
}

/** The SELECT list has one column for each field that the table has. */
function inSelectOrder(fields: readonly DecodedField[]): DecodedField[] {
  let next = 0
  return fields.map((field) => (field.column < 0 ? field : { ...field, column: next++ }))
}
