// Rows of one COPY (...) TO STDOUT (FORMAT binary), read from the socket that `pg` connected.

import type { Client } from 'pg'
import type { Clock } from '../../../runtime/base/clock.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { Op } from '../../../runtime/data/batch.ts'
import { translate } from '../connect.ts'
import { NULL_LENGTH, type DecodedField, type RowDecoder } from './generate.ts'
import type { DecodeRows } from './rows-decoder.ts'
import { emptyTuple, scanCopyRow } from './tuple.ts'
import { UnrepresentableValue } from './unrepresentable.ts'
import type { TableBatch, TransactionStamp } from '../table-batch.ts'
import { Message, MESSAGE_HEADER, queryMessage, readServerError, uint32At, Wire } from '../wire.ts'

/** `PGCOPY\n\xff\r\n\0`, flags, length of the header's extension. */
const SIGNATURE_BYTES = 11
const HEADER_BYTES = 19

export interface CopyDecoders {
  /** `null`: each row goes to `row`. */
  readonly rows: DecodeRows | null
  /** Takes the rows that the other leaves. */
  readonly row: RowDecoder
}

export class CopyReader {
  /** Rows that were decoded. */
  rows = 0
  private readonly wire: Wire
  private readonly tuple = emptyTuple()
  private readonly signal: AbortSignal
  private readonly abort = (): void => this.wire.fail(new Error('the chunk was given up'))
  private headerRead = false
  private done = false
  private failure: PipelineError | null = null
  private seen = -1
  /** Length of the frame that holds the current row. */
  private frame = 0
  private readonly table: string
  private readonly fields: readonly DecodedField[]
  private readonly required: Int32Array

  /**
   * @param fields  in the order of the SELECT list, besides those that it does not have
   * @param clock  between reads
   * @param window  memory to read into; `release` gives it back
   */
  constructor(
    client: Client,
    select: string,
    table: string,
    fields: readonly DecodedField[],
    clock: Clock,
    signal: AbortSignal,
    window: Uint8Array<ArrayBuffer> | null = null,
  ) {
    this.table = table
    this.fields = fields
    const required = fields.filter(({ column, nullable }) => column >= 0 && !nullable)
    this.required = Int32Array.from(required.map(({ column }) => column))
    this.signal = signal
    this.wire = new Wire(client, clock, window)
    signal.addEventListener('abort', this.abort)
    if (signal.aborted) this.abort()
    this.wire.send(queryMessage(`COPY (${select}) TO STDOUT (FORMAT binary)`))
  }

  /**
   * Waits for bytes. @returns false at the end of the rows
   * @throws PipelineError of the server, or CONNECT_FAILED
   */
  async fill(): Promise<boolean> {
    if (this.done) return false
    if (this.seen >= 0) await this.wire.more(this.seen)
    this.seen = this.wire.received
    return true
  }

  /**
   * Decodes rows until the batch is full.
   *
   * @returns false when more bytes are needed first, or at the end
   * @throws PipelineError VALUE_UNREPRESENTABLE, naming the column; SCHEMA_MOVED
   */
  read(batch: TableBatch, { rows, row }: CopyDecoders, stamp: TransactionStamp): boolean {
    const { wire } = this
    for (;;) {
      if (batch.full) return true
      if (rows !== null && this.headerRead) {
        const count = batch.decodeRows(rows, wire, 0, stamp, this.rows)
        this.rows += count
        if (count > 0) continue
      }
      if (!this.next()) return false
      batch.reserveRow()
      this.decode(row, batch.rows)
      batch.endRow(Op.read, stamp, this.rows)
      batch.bytes += this.frame - 1
      wire.start += this.frame
      this.rows++
    }
  }

  /** Steps onto the next row. @returns false when more bytes are needed, or at the end */
  private next(): boolean {
    const { wire } = this
    for (;;) {
      const { bytes, start, end } = wire
      if (end - start < MESSAGE_HEADER) return false
      const length = uint32At(bytes, start + 1)
      if (end - start <= length) {
        wire.expect(length + 1)
        return false
      }
      if (bytes[start] === Message.copyData && this.row(bytes, start, length + 1)) {
        this.frame = length + 1
        return true
      }
      if (bytes[start] !== Message.copyData) this.control(bytes, start, start + 1 + length)
      wire.start += length + 1
      if (this.done) return false
    }
  }

  /** @returns true when the frame holds a row; the header and the trailer hold none */
  private row(bytes: Uint8Array, start: number, length: number): boolean {
    let at = start + MESSAGE_HEADER
    if (!this.headerRead) {
      this.headerRead = true
      at += HEADER_BYTES + uint32At(bytes, at + SIGNATURE_BYTES + 4)
      // The server sends the header in a frame of its own, or with the first row.
      if (at === start + length) return false
    }
    const end = scanCopyRow(this.tuple, bytes, at)
    if (end === -1) return false
    if (end !== start + length) {
      throw new PipelineError('LOG_CORRUPT', 'a row of COPY does not end where its frame ends')
    }
    return true
  }

  private control(bytes: Uint8Array, start: number, end: number): void {
    switch (bytes[start]) {
      case Message.errorResponse: {
        const { code, message } = readServerError(bytes, start + MESSAGE_HEADER, end)
        const cause = Object.assign(new Error(message), { code })
        this.failure = translate(cause, 'the server refused a query')
        return
      }
      case Message.readyForQuery:
        if (this.failure !== null) throw this.failure
        this.done = true
        return
      default:
    }
  }

  private decode(decode: RowDecoder, row: number): void {
    const { tuple, wire, required } = this
    for (let index = 0; index < required.length; index++) {
      if (tuple.lengths[required[index]!] === NULL_LENGTH)
        throw this.nullInRequired(required[index]!)
    }
    try {
      decode(wire.bytes, tuple.starts, tuple.lengths, row)
    } catch (error) {
      if (!(error instanceof UnrepresentableValue)) throw error
      throw this.unrepresentable(error)
    }
  }

  private nullInRequired(column: number): PipelineError {
    const name = this.fields.find((field) => field.column === column)?.name ?? '?'
    const what = `column "${name}" of table "${this.table}" is null where it may not be`
    return new PipelineError('SCHEMA_MOVED', what)
  }

  private unrepresentable(error: UnrepresentableValue): PipelineError {
    const { starts, lengths } = this.tuple
    const field = this.fields.find(({ column }) => {
      if (column < 0 || lengths[column]! < 0) return false
      return error.at >= starts[column]! && error.at <= starts[column]! + lengths[column]!
    })
    return new PipelineError(
      'VALUE_UNREPRESENTABLE',
      `column "${field?.name ?? '?'}" of table "${this.table}" has no value in the lake`,
      { detail: `The value is ${error.message}.` },
    )
  }

  /**
   * Gives the socket back; before the end of the rows only to close the connection.
   *
   * @returns the memory that it read into, or what that has grown to
   */
  release(): Uint8Array<ArrayBuffer> {
    this.signal.removeEventListener('abort', this.abort)
    this.wire.release()
    return this.wire.bytes
  }
}
