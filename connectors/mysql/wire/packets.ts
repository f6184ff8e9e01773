// The packet layer of the MySQL protocol on a socket that was taken over: pull one packet after the
// other, look at it in place. A packet is `length u24 | sequence u8 | payload`; a payload of
// 2^24 - 1 bytes goes on in the next packet.
// Source: MySQL 9.7 internals, "MySQL Packets".

import type { Socket } from 'node:net'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Clock } from '../../../runtime/base/clock.ts'
import { SharedReadSocket } from '../../../runtime/base/shared-read-socket.ts'
import { connectionLost } from './failure.ts'
import { ReceiveBlocks } from './receive-blocks.ts'

const HEADER_BYTES = 4
const PAYLOAD_BYTES_MAX = 0xff_ff_ff
/** The server's own limit for one event or row; longer is a broken stream. */
const MESSAGE_BYTES_MAX = 0x4000_0000 + PAYLOAD_BYTES_MAX

/**
 * Received and not yet looked at: above the first the socket pauses, below the second it goes on.
 */
const QUEUE_BYTES_PAUSE = 4 * 1024 * 1024
const QUEUE_BYTES_RESUME = 1024 * 1024

/** More than most packets, so that the memory for packets that lie in two chunks stays. */
const ASSEMBLY_BYTES = 64 * 1024

export class PacketReader {
  /** The payload of the current packet is bytes[start, end), valid until the next `next()`. */
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  /** Bytes of all packets seen, headers included. */
  received = 0

  private readonly socket: Socket
  private readonly clock: Clock
  private readonly doing: string
  private readonly queue: Buffer[] = []
  /** Where the queue lies; `null`: each of its chunks is memory of its own. */
  private readonly blocks: ReceiveBlocks | null
  private queuedBytes = 0
  private chunk: Buffer = Buffer.alloc(0)
  private at = 0
  private assembly: Buffer = Buffer.alloc(0)
  private paused = false
  private lastReceivedMs: number
  private failure: PipelineError | null = null
  private waiting: (() => void) | null = null
  private sequence = 0
  private peeked = false
  private readonly unlisten: () => void

  /** @param doing  for messages: `cannot read the log of 10.0.0.1:3306` */
  constructor(socket: Socket, doing: string, clock: Clock) {
    this.socket = socket
    this.clock = clock
    this.doing = doing
    this.lastReceivedMs = clock.elapsedMs()
    const shares = socket instanceof SharedReadSocket
    if (shares) socket.transient = true
    this.blocks = shares ? new ReceiveBlocks() : null
    const onData = (data: Buffer): void => this.receive(data)
    const onError = (error: Error): void => this.fail(connectionLost(doing, error.message, error))
    const onEnd = (): void => this.fail(connectionLost(doing, 'the server closed the connection'))
    const onClose = (): void => this.fail(connectionLost(doing, 'the connection was closed'))
    socket.on('data', onData).on('error', onError).on('end', onEnd).on('close', onClose)
    this.unlisten = () => {
      socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onClose)
    }
    socket.resume()
  }

  /** Expects the answer to a command that was just written: sequence numbers start over. */
  expectAnswer(): void {
    this.sequence = 1
  }

  /**
   * Steps to the next packet if all of it has been received.
   *
   * @returns false when more bytes are needed: `await fill()` and call again
   * @throws PipelineError LOG_CORRUPT · CONNECT_FAILED when the connection ended and every packet
   *         that it had sent whole was read
   */
  next(): boolean {
    if (this.peeked) {
      this.peeked = false
      return true
    }
    const length = this.take()
    if (length < 0) {
      // What is queued is the beginning of a packet whose end will not come any more.
      if (this.failure !== null) throw this.failure
      return false
    }
    if (length === PAYLOAD_BYTES_MAX || this.large !== null) return this.continueLarge(length)
    return true
  }

  /** As `next`, but the following `next` gives the same packet again. */
  peek(): boolean {
    this.peeked = this.peeked || this.next()
    return this.peeked
  }

  /** Milliseconds since the server last sent a byte; 0 while we are the ones who do not read. */
  silentMs(): number {
    return this.paused ? 0 : this.clock.elapsedMs() - this.lastReceivedMs
  }

  /** True when bytes are waiting that have not been looked at. */
  hasMore(): boolean {
    return this.queue.length > 0
  }

  /**
   * Resolves when there is more to look at, when the connection failed, or when `wake` is called.
   * One waiter at a time.
   */
  async fill(): Promise<void> {
    if (this.queue.length > this.needChunks || this.failure !== null) return
    await new Promise<void>((resolve) => {
      this.waiting = resolve
    })
  }

  wake(): void {
    const resolve = this.waiting
    this.waiting = null
    resolve?.()
  }

  /** Ends the reader with `error`, which `next` throws once everything received was read. */
  fail(error: PipelineError): void {
    this.failure ??= error
    this.wake()
  }

  close(): void {
    this.unlisten()
    this.socket.on('error', () => {})
    this.socket.destroy()
    this.fail(connectionLost(this.doing, 'the connection was closed'))
  }

  private receive(data: Buffer): void {
    this.lastReceivedMs = this.clock.elapsedMs()
    this.queue.push(this.blocks?.keep(data) ?? data)
    this.queuedBytes += data.length
    if (this.queuedBytes > Math.max(QUEUE_BYTES_PAUSE, this.wantedBytes) && !this.paused) {
      this.paused = true
      this.socket.pause()
    }
    if (this.queue.length > this.needChunks) this.wake()
  }

  // Queued chunks that are known not to complete the current packet, and the bytes that do.
  private needChunks = 0
  private wantedBytes = 0

  /** @returns length of the payload now at bytes[start, end), -1 when it is not all there */
  private take(): number {
    const available = this.chunk.length - this.at
    if (available >= HEADER_BYTES) {
      const length = this.chunk.readUIntLE(this.at, 3)
      if (available >= HEADER_BYTES + length) {
        this.checkSequence(this.chunk.readUInt8(this.at + 3))
        this.bytes = this.chunk
        this.start = this.at + HEADER_BYTES
        this.end = this.start + length
        this.at = this.end
        this.received += HEADER_BYTES + length
        return length
      }
    }
    return this.assemble(available)
  }

  /** A packet that lies in several chunks is copied together, and nothing but this packet. */
  private assemble(available: number): number {
    if (available === 0) {
      if (!this.nextChunk()) return -1
      return this.take()
    }
    const needed = this.bytesNeeded(available)
    if (needed < 0 || available + this.queuedBytes < needed) {
      this.needChunks = this.queue.length
      // A packet that is larger than the queue may be must come in whole: paused, it never would.
      this.wantedBytes = needed
      if (this.paused) this.resume()
      return -1
    }
    // One memory for all of them: a new one for each would be the most of what is collected.
    if (needed > this.assembly.length) this.assembly = Buffer.allocUnsafe(needed + ASSEMBLY_BYTES)
    const whole = this.assembly
    this.chunk.copy(whole, 0, this.at)
    let filled = available
    while (filled < needed) {
      this.nextChunk()
      const count = Math.min(needed - filled, this.chunk.length)
      this.chunk.copy(whole, filled, 0, count)
      this.at = count
      filled += count
    }
    this.checkSequence(whole.readUInt8(3))
    this.bytes = whole
    this.start = HEADER_BYTES
    this.end = needed
    this.received += needed
    return needed - HEADER_BYTES
  }

  /** @returns bytes of the current packet with its header; -1 when even the header is incomplete */
  private bytesNeeded(available: number): number {
    if (available >= HEADER_BYTES) return HEADER_BYTES + this.chunk.readUIntLE(this.at, 3)
    const header = Buffer.alloc(HEADER_BYTES)
    let filled = this.chunk.copy(header, 0, this.at)
    for (const chunk of this.queue) {
      if (filled >= HEADER_BYTES) break
      filled += chunk.copy(header, filled, 0, HEADER_BYTES - filled)
    }
    return filled < HEADER_BYTES ? -1 : HEADER_BYTES + header.readUIntLE(0, 3)
  }

  private nextChunk(): boolean {
    const chunk = this.queue.shift()
    if (chunk === undefined) return false
    this.needChunks = 0
    this.wantedBytes = 0
    this.blocks?.free(this.chunk, chunk)
    this.chunk = chunk
    this.at = 0
    this.queuedBytes -= chunk.length
    if (this.paused && this.queuedBytes < QUEUE_BYTES_RESUME) this.resume()
    return true
  }

  private resume(): void {
    this.paused = false
    this.lastReceivedMs = this.clock.elapsedMs()
    this.socket.resume()
  }

  private checkSequence(found: number): void {
    if (found !== this.sequence) {
      throw new PipelineError('LOG_CORRUPT', `${this.doing}: packets are out of order`, {
        detail: `Packet ${this.sequence} was due and packet ${found} came.`,
      })
    }
    this.sequence = (this.sequence + 1) & 0xff
  }

  private large: { bytes: Buffer; length: number } | null = null

  /**
   * Collects the parts of a payload of 16 MiB and more; growth doubles, so each byte moves twice.
   */
  private continueLarge(length: number): boolean {
    this.large ??= { bytes: Buffer.allocUnsafe(2 * PAYLOAD_BYTES_MAX), length: 0 }
    const total = this.large.length + length
    if (total > MESSAGE_BYTES_MAX) {
      throw new PipelineError('LOG_CORRUPT', `${this.doing}: a message is longer than 1 GiB`)
    }
    if (total > this.large.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(total, this.large.bytes.length * 2))
      this.large.bytes.copy(grown, 0, 0, this.large.length)
      this.large.bytes = grown
    }
    this.bytes.copy(this.large.bytes, this.large.length, this.start, this.end)
    this.large.length = total
    if (length === PAYLOAD_BYTES_MAX) return this.next()
    this.bytes = this.large.bytes
    this.start = 0
    this.end = total
    this.large = null
    return true
  }
}

/** Writes one command; none of ours comes near 16 MiB. */
export function writeCommand(socket: Socket, payload: Buffer): void {
  const packet = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  packet.writeUIntLE(payload.length, 0, 3)
  packet.writeUInt8(0, 3)
  payload.copy(packet, HEADER_BYTES)
  socket.write(packet)
}
