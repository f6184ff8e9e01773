// One table as the running log reader has it: the shape of the tuples that come now, the structure
// that their rows must have, and the rows that are being collected.

import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { tableKey, type Field, type TableSchema } from '../../runtime/data/schema.ts'
import { compileDecoder, type DecodedField, type DecoderFactory } from './decode/generate.ts'
import type { RowDecoder } from './decode/generate.ts'
import { compileRows, type DecodeRows } from './decode/rows-decoder.ts'
import type { TableShape } from './shape.ts'
import { TableBatch } from './table-batch.ts'

export class LogTable {
  readonly key: string
  readonly shape: TableShape
  /** Structure of the rows to make; `null`: the table is parked, its rows are counted. */
  schema: TableSchema | null = null
  /** Rows of it that were skipped since they were last reported. */
  parkedRows = 0
  /** The rows being collected, and what decodes into them; `null`: not open for rows. */
  batch: TableBatch | null = null
  decode: RowDecoder | null = null
  /** Decodes many rows at once, where the shape allows it. */
  decodeRows: DecodeRows | null = null
  /** Updates bring the row that they replaced, where the log has all of it. */
  oldRows = false
  /** Columns of a tuple that hold the key. */
  readonly keyColumns: Int32Array
  /** Columns of a tuple that must not be null in a row that exists. */
  requiredColumns = new Int32Array(0)
  private readonly unrepresentableAsNull: boolean
  private factory: DecoderFactory | null = null

  constructor(shape: TableShape, unrepresentableAsNull: boolean) {
    this.key = tableKey(shape.source)
    this.shape = shape
    this.keyColumns = shape.keyColumns
    this.unrepresentableAsNull = unrepresentableAsNull
  }

  get openRows(): number {
    return this.batch === null ? 0 : this.batch.rows
  }

  /**
   * Takes over the structure of the rows that follow; no rows may be open.
   *
   * @throws PipelineError DDL_UNMAPPABLE when a field cannot take what the log has
   */
  use(schema: TableSchema | null, oldRows = false): void {
    this.oldRows = oldRows
    if (schema === this.schema) return
    assert(this.openRows === 0, 'rows in the old structure have been handed out')
    this.schema = schema
    this.factory = null
    this.batch = null
    this.decode = null
    this.decodeRows = null
    if (schema === null) return
    const fields = decodedFields(this.shape, schema, 'text')
    const title = `${this.key} v${schema.version} log`
    const { unrepresentableAsNull } = this
    const plan = { title, fields, unrepresentableAsNull }
    this.factory = compileDecoder(plan)
    if (this.factory === null) {
      this.schema = null
      throw new PipelineError('DDL_UNMAPPABLE', `rows of table "${this.key}" do not fit its schema`)
    }
    const columns = this.shape.columns.length
    this.decodeRows = compileRows({ ...plan, form: 'log', columns, key: this.keyColumns })
    const required = fields.filter(({ column, nullable }) => column >= 0 && !nullable)
    this.requiredColumns = Int32Array.from(required.map(({ column }) => column))
  }

  /** Makes builders where there are none; the table has a schema. */
  open(sourceEpoch: number): void {
    if (this.batch !== null) return
    assert(this.schema !== null && this.factory !== null, 'only a table with a schema takes rows')
    this.batch = new TableBatch(this.schema, sourceEpoch)
    this.decode = this.factory(this.batch.builders)
  }

  /** Hands out the rows; `null`: none. `release`: the builders' memory is given up as well. */
  take(release: boolean): ChangeBatch | null {
    const batch = this.batch === null || this.batch.rows === 0 ? null : this.batch.take()
    if (release) {
      this.batch = null
      this.decode = null
    }
    return batch
  }
}

/** Where each field of a structure comes from in a tuple of the shape. */
export function decodedFields(
  shape: TableShape,
  schema: TableSchema,
  format: 'text' | 'binary',
): DecodedField[] {
  const places = new Map(shape.columns.map(({ attnum }, place) => [attnum, place]))
  return schema.fields.map((field) => decodedField(shape, field, places, format))
}

function decodedField(
  shape: TableShape,
  { name, type, nullable, identity }: Field,
  places: ReadonlyMap<number, number>,
  format: 'text' | 'binary',
): DecodedField {
  const attnum = Number(identity)
  const wire = shape.wires.get(attnum) ?? null
  const column = wire === null ? -1 : (places.get(attnum) ?? -1)
  const known = wire ?? { kind: 'text', list: false, asText: false }
  return { name, type, nullable, column, wire: known, format }
}
