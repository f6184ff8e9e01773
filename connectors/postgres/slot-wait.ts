// A slot that another connection reads from. Mostly it is one of ours whose process or network
// died: the server ends that after wal_sender_timeout, so nobody may be turned away before.

import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask } from './catalog.ts'
import { readSlot, type Slot } from './server.ts'

/** A holder that shows signs of life is waited for no longer. */
const ALIVE_MS = 30_000
/** The server looks after its timeouts now and then, and needs a moment to end a process. */
const END_MS = 10_000
export const SLOT_RETRY_MS = 500

export class SlotWait {
  private readonly clock: Clock
  private readonly startMs: number
  private readonly deadMs: number
  private firstReply: string | null = null
  private alive = false

  constructor(clock: Clock, walSenderTimeoutMs: number) {
    this.clock = clock
    this.startMs = clock.elapsedMs()
    this.deadMs = Math.max(ALIVE_MS, walSenderTimeoutMs + END_MS)
  }

  /** @returns false once it has been waited long enough for the one who holds the slot */
  mayWait({ reply }: Slot): boolean {
    this.firstReply ??= reply
    if (reply !== this.firstReply) this.alive = true
    const limitMs = this.alive ? ALIVE_MS : this.deadMs
    return this.clock.elapsedMs() - this.startMs < limitMs
  }
}

/**
 * Waits while another connection reads from the slot.
 *
 * @returns the slot; `null`: there is none
 * @throws PipelineError SLOT_IN_USE
 */
export async function freeSlot(
  ask: Ask,
  clock: Clock,
  name: string,
  walSenderTimeoutMs: number,
): Promise<Slot | null> {
  const wait = new SlotWait(clock, walSenderTimeoutMs)
  for (;;) {
    const slot = await readSlot(ask, name)
    if (slot === null || !slot.active) return slot
    if (!wait.mayWait(slot)) {
      throw new PipelineError(
        'SLOT_IN_USE',
        `replication slot "${name}" is read by another process`,
      )
    }
    await clock.sleep(SLOT_RETRY_MS)
  }
}
