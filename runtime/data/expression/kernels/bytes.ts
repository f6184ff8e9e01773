// Texts and binaries as ranges of bytes: comparison, a scratch buffer for results of one row, and
// sets of constants. Texts compare by their UTF-8 bytes, which is the order of code points.

import { copyBytes } from '../../column/builder.ts'

export function sameBytes(
  left: Uint8Array,
  leftStart: number,
  leftEnd: number,
  right: Uint8Array,
  rightStart: number,
  rightEnd: number,
): boolean {
  if (leftEnd - leftStart !== rightEnd - rightStart) return false
  for (let a = leftStart, b = rightStart; a < leftEnd; a++, b++) {
    if (left[a] !== right[b]) return false
  }
  return true
}

/** @returns less than, equal to or greater than 0 */
export function compareBytes(
  left: Uint8Array,
  leftStart: number,
  leftEnd: number,
  right: Uint8Array,
  rightStart: number,
  rightEnd: number,
): number {
  const length = Math.min(leftEnd - leftStart, rightEnd - rightStart)
  for (let at = 0; at < length; at++) {
    const difference = left[leftStart + at]! - right[rightStart + at]!
    if (difference !== 0) return difference
  }
  return leftEnd - leftStart - (rightEnd - rightStart)
}

const encoder = new TextEncoder()

/** Bytes of values that one row makes on its way; a value is a range of it. */
export class Scratch {
  bytes: Uint8Array = new Uint8Array(1024)
  length = 0

  append(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    copyBytes(this.bytes, this.length, source, start, end)
    this.length += end - start
  }

  appendText(text: string): void {
    this.reserve(text.length * 3)
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + count, this.bytes.length * 2))
    larger.set(this.bytes)
    this.bytes = larger
  }
}

/** Constants of an IN list: open addressing over their bytes. */
export class ByteSet {
  private readonly values: readonly Uint8Array[]
  private readonly table: Int32Array

  constructor(values: readonly Uint8Array[]) {
    this.values = values
    this.table = new Int32Array(2 ** Math.ceil(Math.log2(values.length * 2 + 2))).fill(-1)
    for (const [index, value] of values.entries()) {
      const slot = this.slotOf(value, 0, value.length)
      if (this.table[slot] === -1) this.table[slot] = index
    }
  }

  has(bytes: Uint8Array, start: number, end: number): boolean {
    return this.table[this.slotOf(bytes, start, end)] !== -1
  }

  /** Where the value is, or an empty place for it. */
  private slotOf(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0x811c_9dc5
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193)
    const mask = this.table.length - 1
    let slot = (hash ^ (hash >>> 15)) & mask
    for (;;) {
      const index = this.table[slot]!
      if (index === -1) return slot
      const value = this.values[index]!
      if (sameBytes(value, 0, value.length, bytes, start, end)) return slot
      slot = (slot + 1) & mask
    }
  }
}
