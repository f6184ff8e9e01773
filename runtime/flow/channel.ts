// A bounded channel between two threads: elements travel in one order, batches as transferred
// buffers, and the sender may only have so many bytes on the way. Controls and barriers are free,
// so a full channel can always be cut. With the credit for a batch its memory comes back.

import type { MessagePort } from 'node:worker_threads'
import { batchBytes, visitArrays } from '../data/pack.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Element } from '../data/element.ts'
import { isSlab, slabs } from '../data/slab.ts'

/** Bytes of batches that may be on the way in one channel. */
export const CHANNEL_BYTES_MAX = 32 * 1024 * 1024

/**
 * Smaller buffers are cloned: the clone costs less than detaching one, and a constant that many
 * batches share (an empty array) survives.
 */
const TRANSFER_BYTES_MIN = 512

type Message = { readonly element: Element; readonly bytes: number }
type Credit = { readonly credit: number; readonly slab: ArrayBuffer | null }

/** The sending end. */
export class ChannelSender {
  private readonly port: MessagePort
  private readonly bytesMax: number
  private bytesInFlight = 0
  private waiting: { promise: Promise<void>; resolve: () => void } | null = null

  constructor(port: MessagePort, bytesMax: number = CHANNEL_BYTES_MAX) {
    this.port = port
    this.bytesMax = bytesMax
    port.on('message', ({ credit, slab }: Credit) => {
      if (slab !== null) slabs.give(slab)
      this.returnCredit(credit)
    })
  }

  /** Sends at once, whatever the credit: call `ready` before the next batch. Takes the buffers. */
  send(element: Element): void {
    const bytes = element.kind === 'changes' ? batchBytes(element) : 0
    this.bytesInFlight += bytes
    const message: Message = { element, bytes }
    this.port.postMessage(message, element.kind === 'changes' ? transferable(element) : [])
  }

  /** @returns undefined when there is credit, else a promise that resolves when there is */
  ready(): Promise<void> | undefined {
    if (this.bytesInFlight < this.bytesMax) return undefined
    this.waiting ??= Promise.withResolvers<void>()
    return this.waiting.promise
  }

  /** Share of the credit in use, 0...1 and above for the last batch. */
  fill(): number {
    return this.bytesInFlight / this.bytesMax
  }

  close(): void {
    this.port.close()
  }

  private returnCredit(bytes: number): void {
    this.bytesInFlight -= bytes
    if (this.waiting === null || this.bytesInFlight >= this.bytesMax) return
    const { resolve } = this.waiting
    this.waiting = null
    resolve()
  }
}

/**
 * The receiving end. Credit goes back when the consumer asks for the element after a batch, and the
 * batch's memory with it: nothing that looks at its arrays may outlive that.
 */
export class ChannelReceiver {
  private readonly port: MessagePort
  private readonly queue: Message[] = []
  private taken: Message | null = null
  private closed = false
  private waiting: { promise: Promise<void>; resolve: () => void } | null = null

  constructor(port: MessagePort) {
    this.port = port
    port.on('message', (message: Message) => this.accept(message))
    port.on('close', () => this.end())
  }

  /** @returns the next element; `null` when the sender has closed and all is taken */
  async next(): Promise<Element | null> {
    this.giveCredit()
    while (this.queue.length === 0) {
      if (this.closed) return null
      this.waiting ??= Promise.withResolvers<void>()
      await this.waiting.promise
    }
    const message = this.queue.shift()
    if (message === undefined) return null
    this.taken = message
    return message.element
  }

  close(): void {
    this.port.close()
  }

  private accept(message: Message): void {
    this.queue.push(message)
    this.wake()
  }

  private end(): void {
    this.closed = true
    this.wake()
  }

  private giveCredit(): void {
    const { taken } = this
    if (taken === null) return
    this.taken = null
    if (taken.bytes === 0) return
    const slab = slabOf(taken.element)
    const credit: Credit = { credit: taken.bytes, slab }
    this.port.postMessage(credit, slab === null ? [] : [slab])
  }

  private wake(): void {
    this.waiting?.resolve()
    this.waiting = null
  }
}

/** @returns the memory that all arrays of a packed batch lie in; `null`: not worth sending back */
function slabOf(element: Element): ArrayBuffer | null {
  if (element.kind !== 'changes') return null
  const { buffer } = element.ops
  return isSlab(buffer) ? buffer : null
}

/** @returns the distinct buffers of a batch that are worth transferring */
function transferable(batch: ChangeBatch): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  visitArrays(batch, ({ buffer }) => {
    if (buffer.byteLength >= TRANSFER_BYTES_MIN && buffer instanceof ArrayBuffer)
      buffers.add(buffer)
  })
  return [...buffers]
}
