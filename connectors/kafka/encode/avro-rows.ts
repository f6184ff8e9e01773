// Rows of one table in Avro's binary form, of one structure, behind the id of its schema.
// Source: Apache Avro specification 1.12, "Binary encoding".

import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import { uuidText } from '../../../runtime/data/expression/kernels/uuid-text.ts'
import type { AvroField, AvroTable } from './avro-schema.ts'
import { ByteOutput, unscaledBytes } from './byte-output.ts'
import { columnAt, type RowEncoder } from './rows.ts'
import type { Bytes } from './record-batch.ts'

const UUID_LETTERS = 36

export class AvroRows implements RowEncoder {
  readonly #fields: readonly AvroField[]
  readonly #id: number
  readonly #out = new ByteOutput()

  /** @param id  of the schema in the registry */
  constructor({ fields }: AvroTable, id: number) {
    this.#fields = fields
    this.#id = id
  }

  encode({ columns }: ChangeBatch, row: number): Bytes | null {
    const out = this.#out
    out.length = 0
    out.byte(0)
    out.int32Be(this.#id)
    for (const { index, isUnion, nullBranch } of this.#fields) {
      const column = columnAt(columns, index)
      if (isUnchanged(column, row)) return null
      const absent = isNull(column, row)
      if (isUnion) out.byte((absent ? nullBranch : 1 - nullBranch) * 2)
      else if (absent) throw new RangeError(`column ${index} has a null, which its table does not`)
      if (!absent) writeAvro(out, column, row)
    }
    return out.written
  }
}

function writeAvro(out: ByteOutput, column: Column, row: number): void {
  switch (column.layout) {
    case 'bool8':
      return out.byte(column.values[row]!)
    case 'int32':
      return out.zigzag(column.values[row]!)
    case 'int64': {
      const value = column.values[row]!
      if (column.type.kind === 'decimal') return writeUnscaled(out, value, value >> 63n)
      return out.zigzag64(value)
    }
    case 'int128':
      return writeUnscaled(out, column.values[2 * row]!, column.values[2 * row + 1]!)
    case 'float32':
      return out.floatLe(column.values[row]!)
    case 'float64':
      return out.doubleLe(column.values[row]!)
    case 'uuid16': {
      out.zigzag(UUID_LETTERS)
      const text = Buffer.from(uuidText(column.values, row * 16))
      return out.raw(text, 0, text.length)
    }
    case 'bytes': {
      const start = column.offsets[row]!
      const end = column.offsets[row + 1]!
      out.zigzag(end - start)
      return out.raw(column.bytes, start, end)
    }
    case 'list': {
      const start = column.offsets[row]!
      const end = column.offsets[row + 1]!
      if (end > start) out.zigzag(end - start)
      for (let at = start; at < end; at++) {
        const absent = isNull(column.child, at)
        out.byte(absent ? 0 : 2)
        if (!absent) writeAvro(out, column.child, at)
      }
      return out.byte(0)
    }
  }
}

function writeUnscaled(out: ByteOutput, low: bigint, high: bigint): void {
  const { bytes, start, end } = unscaledBytes(low, high)
  out.zigzag(end - start)
  out.raw(bytes, start, end)
}
