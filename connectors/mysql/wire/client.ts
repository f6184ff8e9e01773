// Commands and results on a socket that was taken over: text queries for session settings and
// positions, prepared statements whose rows are looked at in place, in binary form.
// Source: MySQL 9.7 internals, "Command Phase"; without DEPRECATE_EOF and SESSION_TRACK.

import type { Socket } from 'node:net'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Clock } from '../../../runtime/base/clock.ts'
import type { RawConnection } from './connect.ts'
import { connectionLost, failureOf, ServerError } from './failure.ts'
import { PacketReader, writeCommand } from './packets.ts'

const COM_SET_OPTION = 0x1b
const MULTI_STATEMENTS_ON = 0

const COM_QUIT = 0x01
const COM_QUERY = 0x03
const COM_STMT_PREPARE = 0x16
const COM_STMT_EXECUTE = 0x17
const COM_STMT_CLOSE = 0x19

const OK = 0x00
const EOF = 0xfe
const ERR = 0xff
const EOF_BYTES_MAX = 9

/** How long a command may stay without any answer; a chunk's first row may need a sort. */
const ANSWER_TIMEOUT_MS = 600_000

/** A result column as its definition packet describes it. */
export interface ResultColumn {
  /** Protocol type: 8 LONGLONG, 253 VAR_STRING, ... */
  readonly type: number
  readonly charset: number
  readonly flags: number
  /** Digits behind the point of DECIMAL. */
  readonly decimals: number
}

export class WireClient {
  readonly reader: PacketReader
  readonly socket: Socket
  readonly mariadb: boolean
  private readonly doing: string
  private takesMany = false

  /** @param doing  for messages: `cannot read the log of 10.0.0.1:3306` */
  constructor({ socket, mariadb }: RawConnection, doing: string, clock: Clock) {
    this.socket = socket
    this.mariadb = mariadb
    this.doing = doing
    this.reader = new PacketReader(socket, doing, clock)
  }

  /** Runs a statement. @returns its rows as text by column order; [] for one without a result */
  async query(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    this.command(COM_QUERY, Buffer.from(sql))
    return this.result()
  }

  /**
   * Runs statements behind each other in one command, so that the server does not wait for us
   * between two of them. @returns the rows of each
   */
  async queryEach(
    statements: readonly string[],
  ): Promise<readonly (readonly (readonly (string | null)[])[])[]> {
    if (!this.takesMany) {
      this.command(COM_SET_OPTION, Buffer.from([MULTI_STATEMENTS_ON, 0]))
      await this.step()
      this.takesMany = true
    }
    this.command(COM_QUERY, Buffer.from(statements.join('; ')))
    const results: (readonly (readonly (string | null)[])[])[] = []
    while (results.length < statements.length) results.push(await this.result())
    return results
  }

  private async result(): Promise<readonly (readonly (string | null)[])[]> {
    await this.step()
    const { bytes, start } = this.reader
    if (bytes[start] === OK) return []
    const columns = readLength(bytes, start).value
    for (let column = 0; column < columns; column++) await this.step()
    await this.expectEof()
    const rows: (string | null)[][] = []
    for (;;) {
      await this.step()
      if (this.atEof()) return rows
      rows.push(textRow(this.reader.bytes, this.reader.start, columns))
    }
  }

  /** @returns id of the statement and its result columns */
  async prepare(sql: string): Promise<{ id: number; columns: readonly ResultColumn[] }> {
    this.command(COM_STMT_PREPARE, Buffer.from(sql))
    await this.step()
    const { bytes, start } = this.reader
    const id = bytes.readUInt32LE(start + 1)
    const columnCount = bytes.readUInt16LE(start + 5)
    const parameterCount = bytes.readUInt16LE(start + 7)
    if (parameterCount > 0) {
      for (let at = 0; at < parameterCount; at++) await this.step()
      await this.expectEof()
    }
    const columns: ResultColumn[] = []
    for (let at = 0; at < columnCount; at++) {
      await this.step()
      columns.push(columnOf(this.reader.bytes, this.reader.end))
    }
    if (columnCount > 0) await this.expectEof()
    return { id, columns }
  }

  /** Starts a prepared statement without parameters; then `step` to each row until `atEof`. */
  async execute(id: number): Promise<readonly ResultColumn[]> {
    const payload = Buffer.alloc(9)
    payload.writeUInt32LE(id, 0)
    payload.writeUInt32LE(1, 5)
    this.command(COM_STMT_EXECUTE, payload)
    await this.step()
    const { bytes, start } = this.reader
    if (bytes[start] === OK) return []
    const count = readLength(bytes, start).value
    const columns: ResultColumn[] = []
    for (let column = 0; column < count; column++) {
      await this.step()
      columns.push(columnOf(this.reader.bytes, this.reader.end))
    }
    await this.expectEof()
    return columns
  }

  closeStatement(id: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(id, 0)
    this.command(COM_STMT_CLOSE, payload)
  }

  /** Waits for the next packet. @throws PipelineError for an ERR packet and a lost connection */
  async step(): Promise<void> {
    while (!this.tryStep()) await this.reader.fill()
  }

  /**
   * Steps to the next packet without waiting: a promise a row would cost more than the row.
   *
   * @returns false when it has not been received: wait for `reader.fill()`
   */
  tryStep(): boolean {
    if (!this.reader.next()) return false
    const { bytes, start, end } = this.reader
    if (bytes[start] === ERR) throw failureOf(this.doing, serverError(bytes, start, end))
    return true
  }

  /** True when the current packet ends a result. A row in binary form begins with 0. */
  atEof(): boolean {
    const { bytes, start, end } = this.reader
    return bytes[start] === EOF && end - start < EOF_BYTES_MAX
  }

  /** Writes a command whose answer is then read by `step`. */
  command(code: number, payload: Buffer): void {
    this.reader.expectAnswer()
    writeCommand(this.socket, Buffer.concat([Buffer.from([code]), payload]))
  }

  /** Fails the connection when the server answers nothing at all for ten minutes. */
  watch(): void {
    if (this.reader.silentMs() > ANSWER_TIMEOUT_MS) {
      this.reader.fail(connectionLost(this.doing, 'the server does not answer'))
    }
  }

  close(): void {
    if (!this.socket.destroyed) this.command(COM_QUIT, Buffer.alloc(0))
    this.reader.close()
  }

  private async expectEof(): Promise<void> {
    await this.step()
    if (!this.atEof()) {
      throw new PipelineError('LOG_CORRUPT', `${this.doing}: the result has no end of its header`)
    }
  }
}

/** @returns the ERR packet at bytes[start, end) as an error */
export function serverError(bytes: Buffer, start: number, end: number): ServerError {
  const number = bytes.readUInt16LE(start + 1)
  // `#` and five characters of SQLSTATE stand before the text, except in the very first packet.
  const text = bytes[start + 3] === 0x23 ? start + 9 : start + 3
  return new ServerError(number, bytes.toString('utf8', text, end))
}

/** The fixed part stands at the end; what is before it differs between the servers. */
function columnOf(bytes: Buffer, end: number): ResultColumn {
  return {
    charset: bytes.readUInt16LE(end - 12),
    type: bytes.readUInt8(end - 6),
    flags: bytes.readUInt16LE(end - 5),
    decimals: bytes.readUInt8(end - 3),
  }
}

function textRow(bytes: Buffer, start: number, columns: number): (string | null)[] {
  const row: (string | null)[] = []
  let at = start
  for (let column = 0; column < columns; column++) {
    if (bytes[at] === 0xfb) {
      row.push(null)
      at++
      continue
    }
    const { value, next } = readLength(bytes, at)
    row.push(bytes.toString('utf8', next, next + value))
    at = next + value
  }
  return row
}

/** Reads a length-encoded integer. */
export function readLength(bytes: Buffer, at: number): { value: number; next: number } {
  const first = bytes.readUInt8(at)
  if (first < 0xfb) return { value: first, next: at + 1 }
  if (first === 0xfc) return { value: bytes.readUInt16LE(at + 1), next: at + 3 }
  if (first === 0xfd) return { value: bytes.readUIntLE(at + 1, 3), next: at + 4 }
  return { value: bytes.readUIntLE(at + 1, 6), next: at + 9 }
}
