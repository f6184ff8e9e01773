// A database in memory with the property that makes hand-overs hard: a commit can be in the log
// before readers see it, and readers can see it before the log has been read up to it.

import { Op, transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import { reachesInOrder, type Order, type Position } from '../../runtime/data/position.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type {
  Chunk,
  ChunkPart,
  ChunkRead,
  ChunkVisibility,
  Source,
  SourceContext,
} from '../../runtime/source.ts'

export type Row = { readonly key: number; readonly value: number | null }

export interface Commit {
  readonly order: Order
  /** `null`: TRUNCATE. */
  readonly rows: readonly Row[] | null
}

export const schema: TableSchema = {
  table: 'shop.orders',
  version: 0,
  fields: [field(1, 'key', 'long', false), field(2, 'value', 'long', true)],
  key: [0],
  comment: null,
  lastFieldId: 2,
}

function field(
  id: number,
  name: string,
  kind: 'long',
  nullable: boolean,
): TableSchema['fields'][number] {
  return {
    id,
    elementId: null,
    identity: String(id),
    name,
    type: { kind },
    nullable,
    comment: null,
    initialDefault: null,
  }
}

/** The same, and nothing that tells its rows apart. */
export const unkeyed: TableSchema = { ...schema, key: null }

export type Table = Map<number, number>

/** Applies commits in order. */
export function applied(commits: readonly Commit[], base: Table = new Map()): Table {
  const table = new Map(base)
  for (const { rows } of commits) {
    if (rows === null) table.clear()
    for (const { key, value } of rows ?? []) {
      if (value === null) table.delete(key)
      else table.set(key, value)
    }
  }
  return table
}

export function batchOf(order: Order, ops: readonly Op[], rows: readonly Row[]): ChangeBatch {
  const type = { kind: 'long' } as const
  const values = (of: (row: Row) => number): BigInt64Array =>
    BigInt64Array.from(rows, (row) => BigInt(of(row)))
  const column = { type, layout: 'int64', length: rows.length, validity: null } as const
  return {
    kind: 'changes',
    table: schema.table,
    schemaVersion: 0,
    rows: rows.length,
    ops: Uint8Array.from(ops),
    columns: [
      { ...column, unchanged: null, values: values(({ key }) => key) },
      { ...column, unchanged: null, values: values(({ value }) => value ?? 0) },
    ],
    transactions: {
      count: 1,
      orderHigh: order >> 64n,
      orderLow: BigUint64Array.of(order & 0xffff_ffff_ffff_ffffn),
      timeUs: BigInt64Array.of(0n),
      idOffsets: Int32Array.of(0, 0),
      idBytes: new Uint8Array(0),
    },
    transaction: new Uint32Array(rows.length),
    sequence: Uint32Array.from(rows, (_, index) => index),
    keyHash: null,
  }
}

export function position(order: Order): Position {
  return { split: 'log', order, token: String(order) }
}

export class SimulatedSource implements Source {
  readonly reaches = reachesInOrder
  /** In log order; all of it can be read by the log reader. */
  readonly log: Commit[] = []
  /** Orders that readers do not see yet. */
  readonly invisible = new Set<Order>()
  /** Reads the whole log up to here. */
  delivered: Order = 0n
  /** A server that does not say of each commit whether a snapshot holds it. */
  vague = false
  /** ... and finds out only while the rows are read. */
  late = false
  private readonly base: Table
  private readonly pause: () => Promise<void>

  constructor(base: Table, pause: () => Promise<void>) {
    this.base = base
    this.pause = pause
  }

  end(): Order {
    return (this.log.at(-1)?.order ?? 0n) + 1n
  }

  async *read(
    after: Position,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncIterable<SourceElement> {
    this.delivered = after.order
    while (!signal.aborted) {
      await this.pause()
      const next = this.log.find(({ order }) => order >= this.delivered)
      if (next !== undefined) {
        const { order, rows } = next
        if (rows === null) context.tableTruncated(schema.table, order)
        else {
          const before = applied(
            this.log.filter((other) => other.order < order),
            this.base,
          )
          const ops = rows.map(({ key, value }) => {
            if (value === null) return Op.delete
            return before.has(key) ? Op.update : Op.insert
          })
          const half = order % 3n === 0n ? 1 : rows.length
          yield* [rows.slice(0, half), rows.slice(half)]
            .filter((part) => part.length > 0)
            .map((part, at) => batchOf(order, ops.slice(at * half), part))
        }
        this.delivered = order + 1n
        // A server does not stop after each transaction.
        if (order % 4n === 0n && this.delivered < this.end()) continue
      } else {
        this.delivered = this.end()
      }
      yield { kind: 'progress', position: position(this.delivered), sourceTimeUs: 0n }
    }
  }

  lowBound(processed: Position): Order {
    let low = processed.order
    for (const order of this.invisible) if (order < low) low = order
    return low
  }

  async openChunk(
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    processed: Position,
  ): Promise<ChunkRead> {
    await this.pause()
    const certain = this.lowBound({ ...processed, order: this.end() })
    if (this.vague) await this.pause()
    // The snapshot: what is visible in this instant.
    const visible = this.log.filter(({ order }) => !this.invisible.has(order))
    const low = this.lowBound(processed)
    const rows = rowsOf(applied(visible, this.base), chunk)
    const taken = rows.slice(0, limit)
    if (this.vague) await this.pause()
    const seen = new Set(visible.map(({ order }) => order))
    return {
      low,
      visibility: schema.key === null ? this.visibility(low, certain, seen) : null,
      parts: this.parts(taken, low),
      high: async () => {
        await this.pause()
        return this.end()
      },
      exhausted: () => taken.length === rows.length,
    }
  }

  /** @param certain  what was committed before it was visible when the snapshot opened */
  private visibility(low: Order, certain: Order, seen: ReadonlySet<Order>): ChunkVisibility {
    const end = this.end()
    return {
      certainFrom: this.vague && !this.late ? end : low,
      shows: (transactions, index) => {
        const order = transactionOrder(transactions, index)
        if (!this.vague) return seen.has(order)
        if (order >= end) return false
        return order < low || order < certain ? true : null
      },
    }
  }

  private async *parts(rows: readonly Row[], low: Order): AsyncIterable<ChunkPart> {
    for (let at = 0; at < rows.length; at += 2) {
      await this.pause()
      const part = rows.slice(at, at + 2)
      const ops = part.map(() => Op.read)
      yield { batch: batchOf(low, ops, part), lastKey: String(part.at(-1)?.key) }
    }
  }

  async splitKeys(): Promise<readonly string[]> {
    await this.pause()
    return ['7', '15']
  }

  async mayBackfill(): Promise<{ ready: true }> {
    await this.pause()
    return { ready: true }
  }

  requestProgress(): void {
    // The log reader above always makes progress.
  }

  link(): null {
    return null
  }

  confirm(): void {
    // The log carries everything.
  }

  confirmed(): boolean {
    return true
  }

  async open(): Promise<never> {
    await this.pause()
    throw new Error('not used: the test begins with the hand-over')
  }

  head = async (): Promise<Position> => position(this.end())
  estimateRows = async (): Promise<null> => null
  save = (): Uint8Array => new Uint8Array(0)
  acknowledge = async (): Promise<void> => undefined
  close = async (): Promise<void> => undefined
}

function rowsOf(table: Table, { after, until }: Chunk): Row[] {
  return [...table]
    .map(([key, value]) => ({ key, value }))
    .filter(({ key }) => after === null || key > Number(after))
    .filter(({ key }) => until === null || key <= Number(until))
    .sort((left, right) => left.key - right.key)
}
