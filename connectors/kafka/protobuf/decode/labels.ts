// Names of enum values as bytes, by number. A number that the schema does not know is written as
// digits: a producer that is ahead of us must not lose what it says.

import type { EnumShape } from '../shape.ts'

/** Numbers below it are found by index. */
const DENSE_MAX = 1024

/** As long as a number of 32 bits is, with its sign. */
const DIGITS_MAX = 11

/** Short labels are moved with what follows them: see value-code.ts. */
const SLACK = 16

export class LabelBytes {
  /** By number: where its label begins, and its length; -1: not here. */
  readonly starts: Int32Array
  readonly lengths: Int32Array
  readonly sparse: ReadonlyMap<number, Uint8Array>
  readonly view: DataView
  /** Room that any label takes. */
  readonly longest: number

  constructor({ labels }: Pick<EnumShape, 'labels'>) {
    const encoded = [...labels].map(([number, label]) => {
      return { number, bytes: new TextEncoder().encode(label) }
    })
    const dense = encoded.filter(({ number }) => number >= 0 && number < DENSE_MAX)
    const count = Math.max(0, ...dense.map(({ number }) => number + 1))
    this.starts = new Int32Array(count)
    this.lengths = new Int32Array(count).fill(-1)
    const all = new Uint8Array(dense.reduce((sum, { bytes }) => sum + bytes.length, SLACK))
    let at = 0
    for (const { number, bytes } of dense) {
      this.starts[number] = at
      this.lengths[number] = bytes.length
      all.set(bytes, at)
      at += bytes.length
    }
    this.view = new DataView(all.buffer)
    const others = encoded.filter((one) => !dense.includes(one))
    this.sparse = new Map(others.map(({ number, bytes }) => [number, bytes]))
    this.longest = SLACK + Math.max(DIGITS_MAX, ...encoded.map(({ bytes }) => bytes.length))
  }
}

/** Writes the label of `number` at `to`, where there is room. @returns the place behind it */
export function putLabel(
  target: DataView,
  to: number,
  { starts, lengths, sparse, view }: LabelBytes,
  number: number,
): number {
  const length = number >= 0 && number < lengths.length ? lengths[number]! : -1
  if (length === -1) {
    const label = sparse.get(number) ?? new TextEncoder().encode(String(number))
    for (let at = 0; at < label.length; at++) target.setUint8(to + at, label[at]!)
    return to + label.length
  }
  const start = starts[number]!
  if (length <= SLACK) {
    target.setInt32(to, view.getInt32(start, true), true)
    target.setInt32(to + 4, view.getInt32(start + 4, true), true)
    target.setInt32(to + 8, view.getInt32(start + 8, true), true)
    target.setInt32(to + 12, view.getInt32(start + 12, true), true)
    return to + length
  }
  for (let at = 0; at < length; at += 4) {
    target.setInt32(to + at, view.getInt32(start + at, true), true)
  }
  return to + length
}
