// A writer thread: takes elements through the gate, lets the guard drop rows that the hand-over has
// overtaken, and gives the rest to the sink. At a barrier everything of the epoch is made durable.

import { recordOf } from '../base/errors.ts'
import { assert } from '../base/assert.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Control, Element, Shown } from '../data/element.ts'
import type { TableSchema } from '../data/schema.ts'
import { gatherRows, withKeyHash } from '../flow/exchange.ts'
import type { InputGate } from '../flow/gate.ts'
import { VersionGuard } from '../flow/version-guard.ts'
import type { PreparedEpoch, SinkWriter, TableCounts } from '../sink.ts'
import type { WriterReport } from './messages.ts'

export interface WriterTaskOutput {
  report(report: WriterReport): void
}

export class WriterTask {
  private readonly gate: Pick<InputGate, 'next'>
  private readonly sink: SinkWriter<unknown>
  private readonly output: WriterTaskOutput
  private readonly guard: VersionGuard
  private readonly schemas = new Map<string, TableSchema>()
  /** Rows that the guard dropped in this epoch, by table; the sink has not seen them. */
  private readonly stale = new Map<string, number>()
  /** Tables that take no rows; what is still on the way to them is counted. */
  private readonly parked = new Map<string, number>()
  private stopped = false

  /** @param appends  the sink keeps every row that it is given: mode `append` */
  constructor(
    gate: Pick<InputGate, 'next'>,
    sink: SinkWriter<unknown>,
    output: WriterTaskOutput,
    appends = false,
  ) {
    this.guard = new VersionGuard(appends)
    this.gate = gate
    this.sink = sink
    this.output = output
  }

  /** Runs until the channel ends, `stop`, or the sink fails; reports the latter. */
  async run(): Promise<void> {
    try {
      while (!this.stopped) {
        const element = await this.gate.next()
        if (element === null) break
        const done = this.take(element)
        if (done !== undefined) await done
      }
    } catch (error) {
      if (!this.stopped) this.output.report({ kind: 'failed', error: recordOf(error) })
    } finally {
      await this.sink.close().catch(() => undefined)
      this.output.report({ kind: 'stopped' })
    }
  }

  stop(): void {
    this.stopped = true
  }

  private take(element: Element): Promise<void> | undefined {
    switch (element.kind) {
      case 'changes':
        return this.write(element)
      case 'barrier':
        return this.prepare(element.epoch, element.shows ?? 'all')
      default:
        this.control(element)
        // The sink knows the table as a whole.
        return 'origin' in element ? undefined : this.sink.write(element)
    }
  }

  private control(element: Control): void {
    switch (element.kind) {
      case 'schema':
        this.schemas.set(element.schema.table, element.schema)
        this.parked.delete(element.schema.table)
        break
      case 'backfill':
        this.guard.start(element.origin ?? element.table, element.floor)
        break
      case 'settled':
        this.guard.settle(element.origin ?? element.table, element.order, element.done)
        break
      case 'truncate':
        this.guard.truncate(element.origin ?? element.table, element.order)
        break
      case 'park':
        this.guard.forget(element.table)
        if (!this.parked.has(element.table)) this.parked.set(element.table, 0)
        break
    }
  }

  private write(batch: ChangeBatch): Promise<void> | undefined {
    const parked = this.parked.get(batch.table)
    if (parked !== undefined) {
      this.parked.set(batch.table, parked + batch.rows)
      return undefined
    }
    const schema = this.schemas.get(batch.table)
    assert(schema?.version === batch.schemaVersion, 'rows follow the schema that they have')
    if (!this.guard.guards(batch.origin ?? batch.table)) return this.sink.write(batch)
    const hashed = schema.key === null ? batch : withKeyHash(batch, schema)
    const { selection, stale } = this.guard.judge(hashed)
    if (selection === null) return this.sink.write(hashed)
    return this.writeJudged(hashed, selection, stale)
  }

  private async writeJudged(
    batch: ChangeBatch,
    selection: Int32Array,
    stale: Int32Array,
  ): Promise<void> {
    const { table } = batch
    // A log row that lacks values lies over its chunk row: the sink still needs the values below
    // it.
    if (this.sink.holds(table)) await this.sink.fill(gatherRows(batch, stale))
    else this.stale.set(table, (this.stale.get(table) ?? 0) + stale.length)
    if (selection.length > 0) await this.sink.write(gatherRows(batch, selection))
  }

  private async prepare(epoch: number, shows: Shown): Promise<void> {
    const prepared = await this.sink.prepare(epoch, shows)
    const withGuard: PreparedEpoch<unknown> = {
      ...prepared,
      counts: this.addCounts(prepared.counts),
    }
    for (const { table } of prepared.parked) this.parked.set(table, 0)
    this.output.report({ kind: 'prepared', prepared: withGuard })
  }

  /** Adds what was dropped before the sink; only chunk rows can be stale. */
  private addCounts(counts: readonly TableCounts[]): TableCounts[] {
    const byTable = new Map(counts.map((entry) => [entry.table, entry]))
    for (const [table, rows] of this.named(this.stale)) {
      const entry = byTable.get(table) ?? emptyCounts(table)
      const ops = { ...entry.ops, read: entry.ops.read + rows }
      const { read, stale } = entry
      byTable.set(table, { ...entry, read: read + rows, stale: stale + rows, ops })
    }
    this.stale.clear()
    for (const [table, rows] of this.named(this.parked)) {
      if (rows === 0) continue
      const entry = byTable.get(table) ?? emptyCounts(table)
      byTable.set(table, { ...entry, read: entry.read + rows, parked: entry.parked + rows })
    }
    for (const table of this.parked.keys()) this.parked.set(table, 0)
    return [...byTable.values()]
  }

  /** Each sink of several counts all rows. */
  private named(rows: ReadonlyMap<string, number>): (readonly [table: string, rows: number])[] {
    return [...rows].flatMap(([table, count]) =>
      (this.sink.namesOf?.(table) ?? [table]).map((name) => [name, count] as const),
    )
  }
}

function emptyCounts(table: string): TableCounts {
  const ops = { insert: 0, update: 0, delete: 0, read: 0 }
  return { table, read: 0, written: 0, stale: 0, absorbed: 0, parked: 0, held: 0, ops }
}
