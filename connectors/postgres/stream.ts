// The replication connection: START_REPLICATION on a socket taken over from `pg`, and the replies
// that keep it alive. What we report as flushed is what was acknowledged, never what was received,
// so the server keeps every byte that no durable checkpoint covers.

import type { Client } from 'pg'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { connect, quoteName, translate } from './connect.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import type { PostgresOptions } from './options.ts'
import { startFailure } from './server.ts'
import { Message, MESSAGE_HEADER, queryMessage, readServerError, uint32At, Wire } from './wire.ts'

/** Without a sign from the server for this many heartbeats, the connection counts as dead, ... */
export const SILENT_HEARTBEATS = 3
/**
 * ... but not before this part of its own timeout: while it decodes a large transaction of which
 * nothing is published, it looks at what we say after half of it.
 */
const SILENT_PART = 0.75
const TWO_32 = 0x1_0000_0000
const US_TO_2000 = 946_684_800_000_000n

/** Who answers at the other end of a replication connection. */
export interface SystemIdentity {
  readonly system: string
  readonly timeline: number
  readonly end: string
}

export async function identifySystem(client: Client): Promise<SystemIdentity> {
  const { rows } = await client.query<Record<string, unknown>>('IDENTIFY_SYSTEM')
  const [row] = rows
  return {
    system: String(row?.['systemid']),
    timeline: Number(row?.['timeline']),
    end: String(row?.['xlogpos']),
  }
}

/** Opens a connection that speaks the replication protocol. */
export async function connectLog(options: PostgresOptions): Promise<Client> {
  return connect(options, 'log')
}

/**
 * Where a timeline ended because another one left it; `null`: the history does not name it.
 *
 * @param timeline  the newer one
 */
export async function timelineEnd(
  client: Client,
  timeline: number,
  older: number,
): Promise<string | null> {
  const { rows } = await client.query<Record<string, unknown>>(`TIMELINE_HISTORY ${timeline}`)
  const bytes = rows[0]?.['content']
  // Declared as bytea, so `pg` hands out its bytes.
  const content = bytes instanceof Uint8Array ? Buffer.from(bytes).toString('utf8') : ''
  // Lines of: timeline, place where it ended, reason.
  for (const line of content.split('\n')) {
    const [id, end] = line.trim().split(/\s+/)
    if (id !== undefined && end !== undefined && Number(id) === older) return end
  }
  return null
}

export class LogStream {
  readonly wire: Wire
  private readonly client: Client
  private readonly clock: Clock
  private readonly stopTimer: () => void
  private readonly reply = Buffer.alloc(MESSAGE_HEADER + 34)
  private receivedLsn: Lsn = 0
  private heardBytes = 0
  private heardMs: number
  private flushedLsn: Lsn

  private constructor(
    client: Client,
    options: PostgresOptions,
    flushed: Lsn,
    walSenderTimeoutMs: number,
  ) {
    this.client = client
    this.flushedLsn = flushed
    const { clock } = options
    this.clock = clock
    this.heardMs = clock.elapsedMs()
    this.wire = new Wire(client, clock)
    let before = -1
    let silent = 0
    const heartbeatMs = heartbeatOf(options, walSenderTimeoutMs)
    const silentMax = Math.max(
      SILENT_HEARTBEATS,
      Math.ceil((SILENT_PART * walSenderTimeoutMs) / heartbeatMs),
    )
    this.stopTimer = clock.every(heartbeatMs, () => {
      silent = this.wire.received === before && !this.wire.paused ? silent + 1 : 0
      before = this.wire.received
      if (silent >= silentMax) this.wire.fail(new Error('no sign of life'))
      else this.sendStatus(true)
    })
  }

  /**
   * Starts the stream at `position`; transactions that commit from there on are sent.
   *
   * @param flushed  last acknowledged place
   * @param walSenderTimeoutMs  the server's; 0: it has none
   * @throws PipelineError SLOT_IN_USE, SLOT_MISSING, LOG_GAP, CONNECT_FAILED, ...
   */
  static async start(
    client: Client,
    options: PostgresOptions,
    position: Lsn,
    flushed: Lsn,
    walSenderTimeoutMs: number,
  ): Promise<LogStream> {
    const stream = new LogStream(client, options, flushed, walSenderTimeoutMs)
    try {
      const names = quoteName(options.publication).replaceAll("'", "''")
      stream.wire.send(
        queryMessage(
          `START_REPLICATION SLOT ${quoteName(options.slot)} LOGICAL ${formatLsn(position)} ` +
            `(proto_version '1', publication_names '${names}')`,
        ),
      )
      await stream.awaitStart(options.slot)
    } catch (error) {
      stream.close()
      throw translate(error, 'the log cannot be read')
    }
    stream.received(position)
    stream.sendStatus(false)
    return stream
  }

  private async awaitStart(slot: string): Promise<void> {
    const { wire } = this
    for (;;) {
      while (!this.hasMessage()) await wire.more(wire.received)
      const type = wire.bytes[wire.start]
      const body = wire.start + MESSAGE_HEADER
      const next = wire.start + 1 + uint32At(wire.bytes, wire.start + 1)
      if (type === Message.errorResponse) {
        const { code, message } = readServerError(wire.bytes, body, next)
        throw startFailure(code, message, slot)
      }
      wire.start = next
      if (type === Message.copyBothResponse) return
    }
  }

  /** True when a whole message begins at the wire's start. */
  private hasMessage(): boolean {
    const { bytes, start, end } = this.wire
    return end - start >= MESSAGE_HEADER && end - start > uint32At(bytes, start + 1)
  }

  /**
   * Milliseconds without a byte of the server, as exact as it is asked often: the data path does
   * not look at the clock for it. 0 while it is we who do not read.
   */
  silentMs(): number {
    const { wire } = this
    const nowMs = this.clock.elapsedMs()
    if (wire.received !== this.heardBytes || wire.paused) {
      this.heardBytes = wire.received
      this.heardMs = nowMs
    }
    return nowMs - this.heardMs
  }

  /** Notes how far the stream has been read. */
  received(lsn: Lsn): void {
    if (lsn > this.receivedLsn) this.receivedLsn = lsn
  }

  /** Tells the server that everything before `lsn` is durable here. */
  acknowledge(lsn: Lsn): void {
    if (lsn <= this.flushedLsn) return
    this.flushedLsn = lsn
    this.sendStatus(false)
  }

  /** Standby status update: received, flushed and applied, time, and whether to answer. */
  sendStatus(askReply: boolean): void {
    const { reply } = this
    reply[0] = Message.copyData
    reply.writeInt32BE(reply.length - 1, 1)
    reply[5] = 0x72
    const received = Math.max(this.receivedLsn, this.flushedLsn)
    writeLsn(reply, 6, received)
    writeLsn(reply, 14, this.flushedLsn)
    writeLsn(reply, 22, this.flushedLsn)
    // The server shows it, and others who wait for the slot can tell that we are alive.
    reply.writeBigInt64BE(this.clock.nowUs() - US_TO_2000, 30)
    reply[38] = askReply ? 1 : 0
    this.wire.send(Uint8Array.from(reply))
  }

  close(): void {
    this.stopTimer()
    this.wire.fail(new PipelineError('CONNECT_FAILED', 'the stream was closed'))
    this.wire.destroy()
    void this.client.end().catch(() => {})
  }
}

/** Often enough that the server never takes us for dead, also when it is in a hurry. */
function heartbeatOf({ heartbeatMs }: PostgresOptions, walSenderTimeoutMs: number): number {
  return walSenderTimeoutMs === 0 ? heartbeatMs : Math.min(heartbeatMs, walSenderTimeoutMs / 4)
}

function writeLsn(target: Buffer, at: number, lsn: Lsn): void {
  target.writeUInt32BE(Math.floor(lsn / TWO_32), at)
  target.writeUInt32BE(lsn % TWO_32, at + 4)
}
