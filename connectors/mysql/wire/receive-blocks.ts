// Memory for what a socket has received and nobody has looked at yet, where the socket's own buffer
// takes its next read: blocks that are filled one after the other, and filled again once all that
// lies in them has been read.

/** Larger than any read of a socket. */
const BLOCK_BYTES = 1024 * 1024
/** What a full queue takes, and the block that is being read. */
const SPARE_MAX = 5

export class ReceiveBlocks {
  private block: Buffer = Buffer.alloc(0)
  private filled = 0
  private readonly spare: Buffer[] = []

  /** @returns a copy of `data`, which stays until `free` is called behind it */
  keep(data: Buffer): Buffer {
    if (this.filled + data.length > this.block.length) {
      const size = Math.max(BLOCK_BYTES, data.length)
      this.block = this.spare.pop() ?? Buffer.allocUnsafeSlow(size)
      this.filled = 0
    }
    const start = this.filled
    this.filled += data.copy(this.block, start)
    return this.block.subarray(start, this.filled)
  }

  /**
   * Nothing of `before` is looked at any more, and what comes next lies in `next`; both are of
   * `keep`, in their order.
   */
  free(before: Buffer, next: Buffer): void {
    if (before.buffer === next.buffer || before.buffer.byteLength !== BLOCK_BYTES) return
    if (this.spare.length < SPARE_MAX) this.spare.push(Buffer.from(before.buffer))
  }
}
