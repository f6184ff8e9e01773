// Redistributes rows by the hash of their key, so that all changes of one key pass through one
// writer in commit order. With one writer a batch is passed on whole.

import { present } from '../base/assert.ts'
import type { ChangeBatch } from '../data/batch.ts'
import { gatherColumn } from '../data/column/append.ts'
import type { Barrier, Control, Element } from '../data/element.ts'
import { keyGroupOf, keyHashes, writerOf } from '../data/key-hash.ts'
import { packBatch } from '../data/pack.ts'
import type { TableSchema } from '../data/schema.ts'

/** What the exchange needs of a channel. */
export interface ExchangeOutput {
  send(element: Element): void
  ready(): Promise<void> | undefined
}

/** Sends batches to the owner of their keys, everything else to all. */
export class Exchange {
  private readonly outputs: readonly ExchangeOutput[]

  constructor(outputs: readonly ExchangeOutput[]) {
    this.outputs = outputs
  }

  broadcast(element: Control | Barrier): void {
    for (const output of this.outputs) output.send(element)
  }

  /**
   * Takes the batch and its buffers. Sends at once; the promise resolves when every channel has
   * credit again.
   */
  send(batch: ChangeBatch, schema: TableSchema): Promise<unknown> | undefined {
    const [only] = this.outputs
    if (this.outputs.length === 1 && only !== undefined) only.send(batch)
    else this.scatter(batch, schema)
    const waits = this.outputs.map((output) => output.ready()).filter((wait) => wait !== undefined)
    return waits.length === 0 ? undefined : Promise.all(waits)
  }

  private scatter(batch: ChangeBatch, schema: TableSchema): void {
    if (schema.key === null) {
      // Without a key any writer will do, but one table keeps to one, for fewer files.
      this.outputs[textHash(batch.table) % this.outputs.length]?.send(batch)
      return
    }
    const hashed = withKeyHash(batch, schema)
    const selections = selectByWriter(hashed, this.outputs.length)
    selections.forEach((selection, writer) => {
      if (selection.length === 0) return
      const part = selection.length === batch.rows ? hashed : gatherRows(hashed, selection)
      this.outputs[writer]?.send(part)
    })
  }
}

/** @returns the batch with the hashes of its keys; the schema must have a key */
export function withKeyHash(batch: ChangeBatch, schema: TableSchema): ChangeBatch {
  if (batch.keyHash !== null) return batch
  const key = present(schema.key, 'only rows with a key are hashed')
  const columns = key.map((index) => present(batch.columns[index], 'key columns are in the batch'))
  return { ...batch, keyHash: keyHashes(columns, batch.rows).hashes }
}

function selectByWriter(batch: ChangeBatch, writers: number): Int32Array[] {
  const hashes = present(batch.keyHash, 'the exchange hashes before it selects')
  const words = hashes.length / batch.rows
  const owners = new Uint8Array(batch.rows)
  const counts = new Int32Array(writers)
  for (let row = 0; row < batch.rows; row++) {
    const owner = writerOf(keyGroupOf(hashes[row * words]!), writers)
    owners[row] = owner
    counts[owner]!++
  }
  const selections = Array.from(counts, (count) => new Int32Array(count))
  counts.fill(0)
  for (let row = 0; row < batch.rows; row++) {
    const owner = owners[row]!
    selections[owner]![counts[owner]!++] = row
  }
  return selections
}

/**
 * @param selection  rows of the batch in the order that they shall have
 * @returns those rows as a batch over memory of its own
 */
export function gatherRows(batch: ChangeBatch, selection: Int32Array): ChangeBatch {
  const rows = selection.length
  const words = batch.keyHash === null ? 0 : batch.keyHash.length / batch.rows
  const ops = new Uint8Array(rows)
  const transaction = new Uint32Array(rows)
  const sequence = new Uint32Array(rows)
  const keyHash = new Int32Array(rows * words)
  for (let row = 0; row < rows; row++) {
    const from = selection[row]!
    ops[row] = batch.ops[from]!
    transaction[row] = batch.transaction[from]!
    sequence[row] = batch.sequence[from]!
    for (let word = 0; word < words; word++) {
      keyHash[row * words + word] = batch.keyHash![from * words + word]!
    }
  }
  const columns = batch.columns.map((column) => gatherColumn(column, selection))
  const { table, origin, schemaVersion, transactions } = batch
  return packBatch({
    kind: 'changes',
    table,
    ...(origin !== undefined && { origin }),
    schemaVersion,
    rows,
    ops,
    columns,
    transactions,
    transaction,
    sequence,
    keyHash: words === 0 ? null : keyHash,
  })
}

/** FNV-1a. */
function textHash(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return hash >>> 0
}
