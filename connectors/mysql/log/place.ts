// Where the reader is in the log: file, offset, and the place between two transactions that a
// position may name. Offsets in events wrap at 4 GiB, so they are followed, not believed.

import type { Order, Position } from '../../../runtime/data/position.ts'
import { orderOf } from '../../../runtime/data/position.ts'
import type { BinlogEvent } from '../decode/events.ts'
import { EventFlag } from '../decode/events.ts'
import { fileNumber, positionOf, type LogToken } from '../position.ts'
import { TransactionEnds } from './ends.ts'

const WRAP = 0x1_0000_0000

export class LogPlace {
  private readonly server: string
  private readonly epoch: number
  /** Positions never go back: reading may begin at transactions that are already processed. */
  private readonly floor: Order
  private file: string
  private fileIndex: number
  /** Behind the last event. */
  private offset: number
  private createdS: number | null
  /** Where reading resumed: no transaction that is new to us begins before it. */
  private readonly resumed: { readonly file: string; readonly offset: number }
  /** Behind the last transaction. */
  private settledFile: string
  private settledOffset: number
  private settledCreatedS: number | null
  readonly ends = new TransactionEnds()

  constructor(token: LogToken, floor: Order) {
    this.server = token.server
    this.epoch = token.epoch
    this.floor = floor
    this.file = token.file
    this.fileIndex = fileNumber(token.file)
    this.offset = token.offset
    this.resumed = { file: token.file, offset: token.offset }
    this.settledFile = token.file
    this.settledOffset = token.offset
    this.createdS = token.createdS
    this.settledCreatedS = token.createdS
  }

  /** The log goes on in `file`; the server names it before its first event, and at each connect. */
  enter(file: string, offset: number): void {
    if (file === this.file && offset <= this.offset) return
    if (file !== this.file) this.createdS = null
    this.file = file
    this.fileIndex = fileNumber(file)
    this.offset = offset
  }

  /** FORMAT_DESCRIPTION of the file has been read. */
  born(createdS: number): void {
    this.createdS = createdS
  }

  /**
   * Moves behind an event that stands in the file.
   *
   * @returns where the event begins; -1 when it stands in no file
   */
  advance({ kind, flags, size, endPos }: BinlogEvent): number {
    if (size === 0 || endPos === 0 || (flags & EventFlag.artificial) !== 0) return -1
    const low = this.offset % WRAP
    let end: number
    if ((low + size) % WRAP === endPos) end = this.offset + size
    else {
      // The server has left transactions out in between, or begins at the start of an older file.
      end = this.offset - low + endPos
      if (end < this.offset && this.offset - end > WRAP / 2) end += WRAP
      if (this.file === this.resumed.file && (kind === 'gtid' || kind === 'mariadb-gtid')) {
        while (end - size < this.resumed.offset) end += WRAP
      }
    }
    this.offset = end
    return end - size
  }

  /** Moves behind an event inside of a transaction. */
  pass(size: number, endPos: number): void {
    if (size > 0 && endPos > 0) this.offset += size
  }

  /**
   * The server has sent everything before `offset` of `file`; nothing of it was for us.
   *
   * @returns true when that was news
   */
  skipTo(file: string, offset: number): boolean {
    if ((file !== '' && file !== this.file) || offset <= this.offset) return false
    this.offset = offset
    return true
  }

  /** The order of a transaction whose first event begins at `start` of the current file. */
  orderAt(start: number): Order {
    return orderOf(this.epoch, this.fileIndex, BigInt(start))
  }

  /** The last event ended a transaction, or stood between two. */
  settle(): void {
    this.settledFile = this.file
    this.settledOffset = this.offset
    this.settledCreatedS = this.createdS
  }

  /** As `settle`, behind a transaction. */
  end(): void {
    this.settle()
    this.ends.add(this.fileIndex, this.offset)
  }

  /** Everything before it has been read. */
  settledOrder(): Order {
    return orderOf(this.epoch, fileNumber(this.settledFile), BigInt(this.settledOffset))
  }

  /** @param gtids  all that is processed */
  position(gtids: string): Position {
    const { server, epoch, settledFile: file, settledOffset: offset } = this
    const createdS = this.settledCreatedS
    return positionOf({ gtids, server, file, offset, createdS, epoch }, this.floor)
  }
}
