// The protocol below `pg`: its client connects, secures and logs in, then its socket is taken over
// for COPY and for the replication stream, whose rows must not become objects. A COPY gives the
// socket back; a replication stream keeps it to the end.
// Source: https://www.postgresql.org/docs/18/protocol-message-formats.html

import type { Socket } from 'node:net'
import type { Client } from 'pg'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { SHARED_READ_BYTES, SharedReadSocket } from '../../runtime/base/shared-read-socket.ts'

/** Message types, by their first byte. */
export const Message = {
  copyData: 0x64,
  copyDone: 0x63,
  copyBothResponse: 0x57,
  copyOutResponse: 0x48,
  commandComplete: 0x43,
  errorResponse: 0x45,
  noticeResponse: 0x4e,
  parameterStatus: 0x53,
  readyForQuery: 0x5a,
} as const

/** Type byte and length word. */
export const MESSAGE_HEADER = 5

/** Received bytes wait here up to this many; then the socket is paused. */
const BUFFERED_MAX = 1024 * 1024
const BUFFER_AT_START = 128 * 1024
/** A larger buffer, which one huge row has made, is given up when it is empty. */
const BUFFER_KEPT_MAX = 8 * 1024 * 1024
/**
 * A read that is not full has emptied the socket: the next one waits, so that a sender of small
 * packets is read in few large pieces, and no core is woken for each.
 */
const PAUSE_MS_MIN = 1
const PAUSE_MS_MAX = 8
/** Pauses get longer below and shorter above. The kernel holds more, so the sender goes on. */
const READ_AIM = { from: 32 * 1024, to: 96 * 1024 }
/** Before that many bytes a short read is likely the end of what comes. */
const PAUSES_FROM = 64 * 1024

type DataListener = (chunk: Uint8Array) => void

/** What an ErrorResponse says, by field letter: S severity, C code, M message, D detail. */
export interface ServerError {
  readonly code: string
  readonly message: string
  readonly detail: string | null
}

/** Bytes of a taken-over socket, joined into one growing window [start, end) of `bytes`. */
export class Wire {
  bytes: Uint8Array<ArrayBuffer>
  /** Of all of `bytes`. */
  view: DataView
  start = 0
  end = 0
  /** Bytes that ever arrived; tells a silent connection from a busy one. */
  received = 0
  private readonly socket: Socket
  /** One read takes all that has arrived; TLS hands out its records one by one. */
  private readonly readsAll: boolean
  private readonly clock: Clock
  private readonly parked: DataListener[]
  private waiting: (() => void) | null = null
  private woken = false
  private full = false
  /** Length of the message that waits for its end: it must fit, however large it is. */
  private wanted = 0
  private failure: Error | null = null
  private released = false
  private pauseMs = PAUSE_MS_MIN
  private readonly arrived = (chunk: Uint8Array): void => this.accept(chunk)
  private readonly broken = (error: Error): void => this.fail(error)
  private readonly closed = (): void => this.fail(new Error('the server closed the connection'))

  /**
   * Takes the socket of a connected client that has no query in flight.
   *
   * @param window  memory to begin with, whatever is in it
   */
  constructor(client: Client, clock: Clock, window: Uint8Array<ArrayBuffer> | null = null) {
    this.bytes = window ?? new Uint8Array(BUFFER_AT_START)
    this.view = new DataView(this.bytes.buffer)
    this.socket = socketOf(client)
    this.readsAll = this.socket instanceof SharedReadSocket
    this.clock = clock
    this.parked = this.socket.listeners('data') as DataListener[]
    for (const listener of this.parked) this.socket.off('data', listener)
    this.socket.on('data', this.arrived)
    this.socket.on('error', this.broken)
    this.socket.on('close', this.closed)
    if (this.socket instanceof SharedReadSocket) this.socket.transient = true
  }

  /** Gives the socket back to the client; everything that was sent must have been read. */
  release(): void {
    this.released = true
    this.socket.off('data', this.arrived)
    this.socket.off('error', this.broken)
    this.socket.off('close', this.closed)
    if (this.socket instanceof SharedReadSocket) this.socket.transient = false
    for (const listener of this.parked) this.socket.on('data', listener)
    this.socket.resume()
  }

  /** Closes the socket without a word. */
  destroy(): void {
    this.released = true
    this.socket.destroy()
  }

  send(bytes: Uint8Array): void {
    if (this.failure === null) this.socket.write(bytes)
  }

  /**
   * Resolves when bytes arrived after the first `seen`, or at a `wake`.
   *
   * @throws PipelineError CONNECT_FAILED once the connection is lost and all bytes are read
   */
  async more(seen: number): Promise<void> {
    if (this.received === seen && !this.woken) {
      if (this.failure !== null) throw lost(this.failure)
      if (this.full) {
        this.full = false
        this.socket.resume()
      }
      await new Promise<void>((resolve) => {
        this.waiting = resolve
      })
      if (this.received === seen && !this.woken && this.failure !== null) throw lost(this.failure)
    }
    this.woken = false
  }

  /** Ends a wait of `more`, or the next one, without bytes. */
  wake(): void {
    this.woken = true
    this.notify()
  }

  /** True while nothing is read because the reader is behind: silence then means nothing. */
  get paused(): boolean {
    return this.full
  }

  /** Ends the connection; a later `more` throws. */
  fail(error: Error): void {
    this.failure ??= error
    this.notify()
  }

  private notify(): void {
    const waiting = this.waiting
    this.waiting = null
    waiting?.()
  }

  /** Makes room for a message of `count` bytes that has only begun. */
  expect(count: number): void {
    const missing = count - (this.end - this.start)
    if (missing > 0 && this.start + count > this.bytes.length) this.reserve(missing)
    this.wanted = count
  }

  private accept(chunk: Uint8Array): void {
    this.received += chunk.length
    this.reserve(chunk.length)
    this.bytes.set(chunk, this.end)
    this.end += chunk.length
    if (this.end - this.start > Math.max(BUFFERED_MAX, this.wanted)) {
      this.full = true
      this.socket.pause()
    } else if (this.readsAll && this.received >= PAUSES_FROM && chunk.length < SHARED_READ_BYTES) {
      this.rest(chunk.length)
    }
    this.notify()
  }

  /** @param count  bytes of the last read */
  private rest(count: number): void {
    if (count < READ_AIM.from) this.pauseMs = Math.min(PAUSE_MS_MAX, 2 * this.pauseMs)
    else if (count > READ_AIM.to) this.pauseMs = Math.max(PAUSE_MS_MIN, this.pauseMs / 2)
    this.socket.pause()
    this.clock.after(this.pauseMs, () => {
      if (!this.released && !this.full) this.socket.resume()
    })
  }

  private reserve(count: number): void {
    if (this.start === this.end) {
      this.start = 0
      this.end = 0
      if (this.bytes.length > BUFFER_KEPT_MAX) this.replace(new Uint8Array(BUFFER_AT_START))
    }
    if (this.end + count <= this.bytes.length) return
    const held = this.end - this.start
    const target =
      held + count <= this.bytes.length >> 1
        ? this.bytes
        : new Uint8Array(Math.max(held + count, this.bytes.length) * 2)
    target.set(this.bytes.subarray(this.start, this.end))
    if (target !== this.bytes) this.replace(target)
    this.start = 0
    this.end = held
  }

  private replace(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}

function lost(cause: Error): PipelineError {
  return new PipelineError('CONNECT_FAILED', `the connection was lost: ${cause.message}`, { cause })
}

function socketOf(client: Client): Socket {
  // `pg` keeps the socket there, after TLS the TLS socket; one test pins this for its version.
  const { connection } = client as unknown as { connection: { stream: Socket } }
  return connection.stream
}

/** @returns a simple Query message */
export function queryMessage(sql: string): Uint8Array {
  const text = Buffer.from(sql, 'utf8')
  const message = Buffer.alloc(MESSAGE_HEADER + text.length + 1)
  message[0] = 0x51
  message.writeInt32BE(message.length - 1, 1)
  text.copy(message, MESSAGE_HEADER)
  return message
}

/** Reads an ErrorResponse whose fields begin at `start`. */
export function readServerError(bytes: Uint8Array, start: number, end: number): ServerError {
  const fields = new Map<string, string>()
  for (let at = start; at < end && bytes[at] !== 0;) {
    const zero = bytes.indexOf(0, at + 1)
    const stop = zero === -1 ? end : zero
    fields.set(String.fromCharCode(bytes[at] ?? 0), utf8(bytes, at + 1, stop))
    at = stop + 1
  }
  return {
    code: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? 'unknown error',
    detail: fields.get('D') ?? null,
  }
}

export function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return ((uint16At(bytes, at) << 16) | uint16At(bytes, at + 2)) >>> 0
}

export function uint16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}
