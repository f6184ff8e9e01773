// Memory that the kernels reuse from chunk to chunk. Encoding is synchronous, so one set of arrays
// a thread is enough for all open files; nothing in them outlives the call that asked for them.

const LENGTH_AT_START = 1024

export class Int32Scratch {
  private array = new Int32Array(0)

  /** @returns at least `length` elements with any content, the same memory as the last time */
  take(length: number): Int32Array {
    if (length > this.array.length)
      this.array = new Int32Array(grownLength(length, this.array.length))
    return this.array
  }
}

export class ByteScratch {
  private array = new Uint8Array(0)

  /** @returns at least `length` bytes with any content, the same memory as the last time */
  take(length: number): Uint8Array {
    if (length > this.array.length)
      this.array = new Uint8Array(grownLength(length, this.array.length))
    return this.array
  }
}

/** The bytes of one page before compression. Writers reserve first, then store at `length`. */
export class PageBody {
  bytes = new Uint8Array(LENGTH_AT_START)
  view = new DataView(this.bytes.buffer)
  length = 0

  /** Makes room for `count` more bytes; `bytes` and `view` may be replaced. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(grownLength(needed, this.bytes.length))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }

  append(source: Uint8Array): void {
    this.reserve(source.length)
    this.bytes.set(source, this.length)
    this.length += source.length
  }

  varint(value: number): void {
    this.reserve(5)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.bytes[this.length++] = rest
  }
}

/** Multiples of 8, so that words of any width can be seen in the same memory. */
function grownLength(length: number, before: number): number {
  return (Math.max(length, before * 2, LENGTH_AT_START) + 7) & ~7
}
