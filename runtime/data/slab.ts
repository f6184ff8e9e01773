// Memory of batches, used again: a batch is one slab that travels to its reader's thread and comes
// back when the reader is done. Without that every batch costs fresh pages of the system, zeroed
// and given back, and each dozen MB of them a full garbage collection.

/** Larger than what a channel has on the way, so that a steady stream finds all that it needs. */
const POOL_BYTES_MAX = 32 * 1024 * 1024
const SLAB_UNIT = 64 * 1024

/** A slab may be this much larger than what is asked for: more would hide it from the credit. */
const SLACK_MAX = 2

export class SlabPool {
  /** Sum of the slabs that wait. */
  bytes = 0
  private readonly spare: ArrayBuffer[] = []

  /** @returns at least `bytes` bytes with anything in them; the caller owns them */
  take(bytes: number): ArrayBuffer {
    const fits = ({ byteLength }: ArrayBuffer): boolean =>
      byteLength >= bytes && byteLength <= SLACK_MAX * bytes
    const slab = this.spare.find(fits)
    if (slab === undefined) return new ArrayBuffer(roomFor(bytes))
    this.remove(slab)
    return slab
  }

  /** Takes over a slab that nobody looks at any more. */
  give(slab: ArrayBuffer): void {
    if (!isSlab(slab)) return
    this.spare.push(slab)
    this.bytes += slab.byteLength
    // The oldest first: sizes that are no longer asked for leave.
    for (const oldest of this.spare.slice()) {
      if (this.bytes <= POOL_BYTES_MAX) break
      this.remove(oldest)
    }
  }

  private remove(slab: ArrayBuffer): void {
    this.spare.splice(this.spare.indexOf(slab), 1)
    this.bytes -= slab.byteLength
  }
}

/** True when the memory is worth keeping. */
export function isSlab(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return buffer instanceof ArrayBuffer && buffer.byteLength >= SLAB_UNIT
}

/** The next batch of the same table is a little larger or smaller. */
function roomFor(bytes: number): number {
  if (bytes < SLAB_UNIT) return bytes
  return Math.ceil((bytes * 1.125) / SLAB_UNIT) * SLAB_UNIT
}

/** Those of this thread. */
export const slabs = new SlabPool()
