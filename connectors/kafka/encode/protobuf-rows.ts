// Rows of one table as messages of Protobuf, of one structure, behind the id of the schema and the
// place of the message in it. A column that is null has no field; every other has one, zero too.
// Source: https://protobuf.dev/programming-guides/encoding/

import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import { formatDecimal } from '../../../runtime/data/expression/kernels/number-text.ts'
import { uuidText } from '../../../runtime/data/expression/kernels/uuid-text.ts'
import { ByteOutput } from './byte-output.ts'
import type { ProtobufField, ProtobufTable } from './protobuf-schema.ts'
import type { Bytes } from './record-batch.ts'
import { columnAt, type RowEncoder } from './rows.ts'

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

export class ProtobufRows implements RowEncoder {
  readonly #fields: readonly ProtobufField[]
  readonly #id: number
  readonly #out = new ByteOutput()
  readonly #list = new ByteOutput()
  readonly #element = new ByteOutput()

  /** @param id  of the schema in the registry */
  constructor({ fields }: ProtobufTable, id: number) {
    this.#fields = fields
    this.#id = id
  }

  encode({ columns }: ChangeBatch, row: number): Bytes | null {
    const out = this.#out
    out.length = 0
    out.byte(0)
    out.int32Be(this.#id)
    // The first message of the file.
    out.byte(0)
    for (const { index, number } of this.#fields) {
      const column = columnAt(columns, index)
      if (isUnchanged(column, row)) return null
      if (isNull(column, row)) continue
      if (column.layout === 'list') {
        this.#encodeList(column, row)
        putBytes(out, number, this.#list.bytes, 0, this.#list.length)
      } else putField(out, number, column, row)
    }
    return out.written
  }

  #encodeList({ offsets, child }: Extract<Column, { layout: 'list' }>, row: number): void {
    const [list, element] = [this.#list, this.#element]
    list.length = 0
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
      element.length = 0
      if (!isNull(child, at)) putField(element, 1, child, at)
      putBytes(list, 1, element.bytes, 0, element.length)
    }
  }
}

function putField(out: ByteOutput, number: number, column: Column, row: number): void {
  switch (column.layout) {
    case 'bool8':
      putTag(out, number, VARINT)
      return out.byte(column.values[row]!)
    case 'int32':
      putTag(out, number, VARINT)
      return out.varint64(BigInt(column.values[row]!))
    case 'int64':
      if (column.type.kind === 'decimal') {
        return putText(out, number, formatDecimal(column.values[row]!, column.type.scale))
      }
      putTag(out, number, VARINT)
      return out.varint64(column.values[row]!)
    case 'int128': {
      const low = BigInt.asUintN(64, column.values[2 * row]!)
      const value = (column.values[2 * row + 1]! << 64n) | low
      const scale = column.type.kind === 'decimal' ? column.type.scale : 0
      return putText(out, number, formatDecimal(value, scale))
    }
    case 'float32':
      putTag(out, number, FIXED32)
      return out.floatLe(column.values[row]!)
    case 'float64':
      putTag(out, number, FIXED64)
      return out.doubleLe(column.values[row]!)
    case 'uuid16':
      return putText(out, number, uuidText(column.values, row * 16))
    case 'bytes':
      return putBytes(out, number, column.bytes, column.offsets[row]!, column.offsets[row + 1]!)
    case 'list':
      throw new RangeError('a list has no lists in it')
  }
}

function putTag(out: ByteOutput, number: number, wire: number): void {
  out.varint(number * 8 + wire)
}

function putText(out: ByteOutput, number: number, text: string): void {
  const bytes = Buffer.from(text)
  putBytes(out, number, bytes, 0, bytes.length)
}

function putBytes(
  out: ByteOutput,
  number: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  putTag(out, number, DELIMITED)
  out.varint(end - start)
  out.raw(bytes, start, end)
}
