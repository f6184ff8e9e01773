// Copies a batch that looks at builders' memory into one slab of its own, so that the builders can
// start over and the slab can be transferred to another thread as a whole.

import type { ChangeBatch } from './batch.ts'
import type { Column } from './column/column.ts'
import { slabs } from './slab.ts'

type Packable = Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array
type PackableArray = Packable | Float32Array | Float64Array

/** Wide values are read as 64-bit words, so every array begins at a multiple of this. */
const ALIGNMENT = 8

/** Lays arrays out behind each other in one ArrayBuffer: first `measure` all, then `take` all. */
class SlabLayout {
  private bytes = 0
  private buffer: ArrayBuffer | null = null
  private next = 0

  measure(array: PackableArray | null): void {
    if (array !== null) this.bytes += aligned(array.byteLength)
  }

  take<A extends PackableArray>(array: A): A {
    this.buffer ??= slabs.take(this.bytes)
    const at = this.next
    this.next += aligned(array.byteLength)
    const source = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    new Uint8Array(this.buffer, at, array.byteLength).set(source)
    const create = array.constructor as new (buffer: ArrayBuffer, at: number, length: number) => A
    return new create(this.buffer, at, array.length)
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

/**
 * @param batch  its arrays may alias builders; they are only read
 * @returns the same batch over one ArrayBuffer that nobody else holds; it may be longer
 * Cost: one copy of the batch's bytes.
 */
export function packBatch(batch: ChangeBatch): ChangeBatch {
  const slab = new SlabLayout()
  visitArrays(batch, (array) => slab.measure(array))
  const { transactions } = batch
  return {
    ...batch,
    columns: batch.columns.map((column) => packColumn(slab, column)),
    ops: slab.take(batch.ops),
    transaction: slab.take(batch.transaction),
    sequence: slab.take(batch.sequence),
    keyHash: batch.keyHash === null ? null : slab.take(batch.keyHash),
    transactions: {
      ...transactions,
      orderLow: slab.take(transactions.orderLow),
      timeUs: slab.take(transactions.timeUs),
      ...(transactions.latestUs && { latestUs: slab.take(transactions.latestUs) }),
      idOffsets: slab.take(transactions.idOffsets),
      idBytes: slab.take(transactions.idBytes),
    },
  }
}

function packColumn(slab: SlabLayout, column: Column): Column {
  const validity = column.validity === null ? null : slab.take(column.validity)
  const unchanged = column.unchanged === null ? null : slab.take(column.unchanged)
  switch (column.layout) {
    case 'bytes': {
      const offsets = slab.take(column.offsets)
      return { ...column, validity, unchanged, offsets, bytes: slab.take(column.bytes) }
    }
    case 'list': {
      const offsets = slab.take(column.offsets)
      return { ...column, validity, unchanged, offsets, child: packColumn(slab, column.child) }
    }
    default:
      return { ...column, validity, unchanged, values: slab.take(column.values) } as Column
  }
}

/** Calls `visit` with every array of the batch, once each. */
export function visitArrays(batch: ChangeBatch, visit: (array: PackableArray) => void): void {
  for (const column of batch.columns) visitColumn(column, visit)
  visit(batch.ops)
  visit(batch.transaction)
  visit(batch.sequence)
  if (batch.keyHash !== null) visit(batch.keyHash)
  visit(batch.transactions.orderLow)
  visit(batch.transactions.timeUs)
  if (batch.transactions.latestUs !== undefined) visit(batch.transactions.latestUs)
  visit(batch.transactions.idOffsets)
  visit(batch.transactions.idBytes)
}

function visitColumn(column: Column, visit: (array: PackableArray) => void): void {
  if (column.validity !== null) visit(column.validity)
  if (column.unchanged !== null) visit(column.unchanged)
  if (column.layout === 'bytes') {
    visit(column.offsets)
    visit(column.bytes)
  } else if (column.layout === 'list') {
    visit(column.offsets)
    visitColumn(column.child, visit)
  } else {
    visit(column.values)
  }
}

/** @returns bytes of all arrays of the batch */
export function batchBytes(batch: ChangeBatch): number {
  let bytes = 0
  visitArrays(batch, (array) => {
    bytes += array.byteLength
  })
  return bytes
}
