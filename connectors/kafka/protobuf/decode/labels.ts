// Names of enum values as bytes, by number. A number that the schema does not know is written as
// digits: a producer that is ahead of us must not lose what it says.

import type { BytesBuilder } from '../../../../runtime/data/column/builder.ts'
import type { EnumShape } from '../shape.ts'

/** Numbers below it are found by index. */
const DENSE_MAX = 1024

export class LabelBytes {
  /** By number. */
  readonly dense: readonly (Uint8Array | undefined)[]
  readonly sparse: ReadonlyMap<number, Uint8Array>

  constructor({ labels }: Pick<EnumShape, 'labels'>) {
    const encoder = new TextEncoder()
    const dense: (Uint8Array | undefined)[] = []
    const sparse = new Map<number, Uint8Array>()
    const top = Math.max(-1, ...[...labels.keys()].filter((number) => number < DENSE_MAX))
    for (let number = 0; number <= top; number++) dense.push(undefined)
    for (const [number, label] of labels) {
      if (number >= 0 && number < DENSE_MAX) dense[number] = encoder.encode(label)
      else sparse.set(number, encoder.encode(label))
    }
    this.dense = dense
    this.sparse = sparse
  }
}

/** Writes the label of `number` at `to`. @returns the place behind it */
export function putLabel(
  builder: BytesBuilder,
  to: number,
  { dense, sparse }: LabelBytes,
  number: number,
): number {
  let label = number >= 0 && number < dense.length ? dense[number] : sparse.get(number)
  label ??= new TextEncoder().encode(String(number))
  const { length } = label
  if (to + length > builder.bytes.length) {
    builder.bytesLength = to
    builder.reserveBytes(length)
  }
  const { bytes } = builder
  for (let at = 0; at < length; at++) bytes[to + at] = label[at]!
  return to + length
}
