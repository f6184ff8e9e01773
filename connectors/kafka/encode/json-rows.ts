// Rows of one table as keys and values in JSON, of one structure: the texts between values are made
// once, and a row is written between them as bytes.

import { Op, OP_LETTERS, transactionOrder } from '../../../runtime/data/batch.ts'
import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import { isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import { JsonOutput } from '../protobuf/decode/json-output.ts'
import { writeJson, writeLong } from './json-value.ts'
import type { Bytes } from './record-batch.ts'
import { columnAt, type RecordEncoder } from './rows.ts'

/** none: a value is the row. debezium: it says what happened to the row, and where. */
export type Envelope = 'none' | 'debezium'

/** What Debezium writes for a text that the server did not send, since it is as it was. */
const UNAVAILABLE = '__debezium_unavailable_value'
const ORDER_DIGITS = 32
const SEQUENCE_DIGITS = 8

export interface JsonRowsOptions {
  readonly schema: TableSchema
  readonly envelope: Envelope
  readonly pipeline: string
  /** Names of the table as they are told. */
  readonly namespace: string
  readonly table: string
}

/** @returns keys and values in JSON */
export function jsonEncoder(options: JsonRowsOptions): RecordEncoder {
  const rows = new JsonRows(options)
  return {
    key: { encode: (batch, row) => rows.key(batch, row) },
    value: { encode: (batch, row, nowMs) => rows.value(batch, row, nowMs) },
  }
}

export class JsonRows {
  readonly #options: JsonRowsOptions
  readonly #key: readonly number[]
  readonly #isKey: readonly boolean[]
  /** By field: the text before its value in a row, and in a key. */
  readonly #inRow: readonly string[]
  readonly #inKey: readonly string[]
  readonly #source: string
  readonly #keyOut = new JsonOutput()
  readonly #valueOut = new JsonOutput()
  readonly #keyBytes = { bytes: this.#keyOut.bytes, start: 0, end: 0 }
  readonly #valueBytes = { bytes: this.#valueOut.bytes, start: 0, end: 0 }

  constructor(options: JsonRowsOptions) {
    const { schema, pipeline, namespace, table } = options
    this.#options = options
    this.#key = schema.key ?? []
    this.#isKey = schema.fields.map((_, index) => this.#key.includes(index))
    const names = schema.fields.map(({ name }) => ascii(JSON.stringify(name)))
    this.#inRow = names.map((name, index) => `${index === 0 ? '{' : ','}${name}:`)
    this.#inKey = this.#key.map((index, at) => `${at === 0 ? '{' : ','}${names[index] ?? ''}:`)
    const said = { connector: 'millrace', name: pipeline, schema: namespace, table }
    this.#source = ascii(JSON.stringify(said)).slice(0, -1)
  }

  /** @returns the key of a row, valid until the next one is asked for */
  key({ columns }: ChangeBatch, row: number): Bytes {
    const out = this.#keyOut
    out.length = 0
    for (const [at, index] of this.#key.entries()) {
      out.ascii(this.#inKey[at] ?? '')
      writeJson(out, columnAt(columns, index), row)
    }
    out.byte(0x7d)
    this.#keyBytes.bytes = out.bytes
    this.#keyBytes.end = out.length
    return this.#keyBytes
  }

  /**
   * @param nowMs  what Debezium calls `ts_ms`: when it was told
   * @returns the value of a row, valid until the next one is asked for; `null`: a column has no
   *          value that could be told
   */
  value(batch: ChangeBatch, row: number, nowMs: number): Bytes | null {
    const out = this.#valueOut
    out.length = 0
    const isTold =
      this.#options.envelope === 'none'
        ? this.#row(batch.columns, row, false)
        : this.#change(batch, row, nowMs)
    this.#valueBytes.bytes = out.bytes
    this.#valueBytes.end = out.length
    return isTold ? this.#valueBytes : null
  }

  /** @returns false where a value is missing */
  #row(columns: readonly Column[], row: number, onlyKey: boolean): boolean {
    const out = this.#valueOut
    for (let index = 0; index < columns.length; index++) {
      const column = columnAt(columns, index)
      out.ascii(this.#inRow[index] ?? '')
      if (onlyKey && this.#isKey[index] !== true) out.ascii('null')
      else if (!isUnchanged(column, row)) writeJson(out, column, row)
      else if (this.#options.envelope === 'debezium' && column.type.kind === 'string') {
        out.ascii(`"${UNAVAILABLE}"`)
      } else return false
    }
    if (columns.length === 0) out.byte(0x7b)
    out.byte(0x7d)
    return true
  }

  #change(batch: ChangeBatch, row: number, nowMs: number): boolean {
    const out = this.#valueOut
    const op = batch.ops[row] as Op
    const deletes = op === Op.delete
    out.ascii(deletes ? '{"before":' : '{"before":null,"after":')
    if (!this.#row(batch.columns, row, deletes)) return false
    out.ascii(deletes ? ',"after":null,"source":' : ',"source":')
    this.#place(batch, row, op)
    out.ascii(`,"op":"${OP_LETTERS[op]}","ts_ms":`)
    out.integer(nowMs)
    out.ascii(',"transaction":null}')
    return true
  }

  /** Where the change stands in the log; a row of a backfill stands at the place of its chunk. */
  #place({ transactions, transaction, sequence }: ChangeBatch, row: number, op: Op): void {
    const out = this.#valueOut
    const index = transaction[row] ?? 0
    const timeUs = transactions.timeUs[index] ?? 0n
    out.ascii(this.#source)
    out.ascii(op === Op.read ? ',"snapshot":"true","ts_ms":' : ',"snapshot":"false","ts_ms":')
    writeLong(out, timeUs / 1000n)
    out.ascii(',"ts_us":')
    writeLong(out, timeUs)
    const start = transactions.idOffsets[index] ?? 0
    const end = transactions.idOffsets[index + 1] ?? 0
    out.ascii(',"txId":')
    if (start === end) out.ascii('null')
    else out.string(transactions.idBytes, start, end)
    const order = transactionOrder(transactions, index).toString(16).padStart(ORDER_DIGITS, '0')
    const number = (sequence[row] ?? 0).toString(16).padStart(SEQUENCE_DIGITS, '0')
    out.ascii(`,"pos":"${order}-${number}"}`)
  }
}

/** JSON of a text, without bytes beyond ASCII. */
function ascii(json: string): string {
  return json.replaceAll(/[\u0080-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
