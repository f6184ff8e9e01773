// Batches for tests from rows that are easy to write down: column values by name, `undefined` for
// null, UNCHANGED for what the log left out.

import type { ChangeBatch, Op } from '../../runtime/data/batch.ts'
import {
  columnBuilder,
  type BytesBuilder,
  type FixedBuilder,
} from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { Order } from '../../runtime/data/position.ts'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

export const UNCHANGED = Symbol('unchanged')
type Scalar = number | bigint | string | boolean | undefined
export type CellValue = Scalar | readonly Scalar[] | typeof UNCHANGED
export type RowValues = Readonly<Record<string, CellValue>>

export interface TestRow {
  readonly op: Op
  readonly values: RowValues
  /** Default: the order given to `batchOf`. */
  readonly order?: Order
  readonly sequence?: number
}

export function field(
  id: number,
  name: string,
  type: ColumnType,
  more: Partial<Field> = {},
): Field {
  return {
    id,
    elementId: null,
    identity: String(id),
    name,
    type,
    nullable: true,
    comment: null,
    initialDefault: null,
    ...more,
  }
}

export function schemaOf(
  table: string,
  version: number,
  fields: readonly Field[],
  key: readonly number[] | null = [0],
): TableSchema {
  const lastFieldId = Math.max(...fields.map(({ id }) => id))
  return { table, version, fields, key, comment: null, lastFieldId }
}

const encoder = new TextEncoder()

export function batchOf(schema: TableSchema, rows: readonly TestRow[], order: Order): ChangeBatch {
  const orders = rows.map((row) => row.order ?? order)
  const distinct = [...new Set(orders)]
  const ids = distinct.map((order) => encoder.encode(`tx${order}`))
  const idOffsets = new Int32Array(ids.length + 1)
  ids.forEach((id, index) => {
    idOffsets[index + 1] = idOffsets[index]! + id.length
  })
  return {
    kind: 'changes',
    table: schema.table,
    schemaVersion: schema.version,
    rows: rows.length,
    ops: Uint8Array.from(rows, ({ op }) => op),
    columns: schema.fields.map((field) => columnOf(field, rows)),
    transactions: {
      count: distinct.length,
      orderHigh: order >> 64n,
      orderLow: BigUint64Array.from(distinct, (order) => order & 0xffff_ffff_ffff_ffffn),
      timeUs: BigInt64Array.from(distinct, (order) => 1_000_000n + order),
      idOffsets,
      idBytes: new Uint8Array(Buffer.concat(ids)),
    },
    transaction: Uint32Array.from(orders, (order) => distinct.indexOf(order)),
    sequence: Uint32Array.from(rows, (row, at) => row.sequence ?? at),
    keyHash: null,
  }
}

function columnOf({ name, type }: Field, rows: readonly TestRow[]): Column {
  const builder = columnBuilder(type)
  builder.reserveRows(rows.length)
  rows.forEach(({ values }, row) => {
    const value = values[name]
    if (value === undefined) builder.setNull(row)
    else if (value === UNCHANGED) builder.setUnchanged(row)
    else if (builder.layout === 'list') {
      for (const element of value as readonly Scalar[]) {
        builder.child.reserveRows(builder.childLength + 1)
        setScalar(builder.child, builder.childLength++, element)
      }
      builder.endRow(row)
    } else setScalar(builder, row, value as Scalar)
  })
  return builder.view(rows.length)
}

function setScalar(builder: FixedBuilder | BytesBuilder, row: number, value: Scalar): void {
  if (value === undefined) builder.setNull(row)
  else if (builder.layout === 'bytes') {
    const bytes = encoder.encode(String(value))
    builder.setBytes(row, bytes, 0, bytes.length)
  } else setFixed(builder, row, value as number | bigint | boolean)
}

function setFixed(builder: FixedBuilder, row: number, value: number | bigint | boolean): void {
  const { values } = builder
  if (builder.layout === 'int128') {
    const wide = values as BigInt64Array
    wide[2 * row] = BigInt.asIntN(64, BigInt(value))
    wide[2 * row + 1] = BigInt(value) >> 64n
  } else if (values instanceof BigInt64Array) values[row] = BigInt(value)
  else values[row] = Number(value)
}
