// From a table map to what becomes of its rows: decoded into the table's batch, counted because the
// table is parked, or passed over. The map's own metadata is compared with the tracked structure,
// so a structure that was tracked wrongly parks its table instead of mixing columns.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ExistingValue, TableSchema } from '../../../runtime/data/schema.ts'
import { tableKey } from '../../../runtime/data/schema.ts'
import type { SourceContext } from '../../../runtime/source.ts'
import { ChangeBuilder } from '../decode/change-builder.ts'
import { bindColumns } from '../decode/column-plan.ts'
import type { RowsEvent, TableMap } from '../decode/events.ts'
import { TableDecoder } from '../decode/table-decoder.ts'
import type { TableTracker } from '../tables.ts'
import { isVersioned, versionedError } from '../versioned.ts'
import type { LogOutput, TableBuffer, TransactionMark } from './output.ts'

export type RowRoute =
  | {
      readonly kind: 'decoded'
      readonly table: string
      readonly schema: TableSchema
      readonly decoder: TableDecoder
      readonly buffer: TableBuffer
    }
  | { readonly kind: 'parked'; readonly table: string; readonly counter: RowCounter }
  | { readonly kind: 'ignored' }
  /** Before the table joined: its rows come by the backfill. */
  | { readonly kind: 'early' }
  /** Captured, and never heard of; or named like a copy and none: it becomes a table of ours. */
  | { readonly kind: 'join' }

const IGNORED: RowRoute = { kind: 'ignored' }
const EARLY: RowRoute = { kind: 'early' }
const JOIN: RowRoute = { kind: 'join' }

export class RowRoutes {
  private readonly tracker: TableTracker
  private readonly output: LogOutput
  private readonly context: SourceContext
  private readonly routes = new Map<TableMap, RowRoute>()

  constructor(tracker: TableTracker, output: LogOutput, context: SourceContext) {
    this.tracker = tracker
    this.output = output
    this.context = context
  }

  /** The maps of the file before: their objects will not come again. */
  forgetMaps(): void {
    this.routes.clear()
  }

  /** Finds or makes the route of rows of `map` in the transaction `mark`. */
  find(map: TableMap, mark: TransactionMark): RowRoute {
    const known = this.routes.get(map)
    if (known !== undefined && this.holds(known)) return known
    const route = this.route(map, mark)
    this.routes.set(map, route)
    return route
  }

  /** A schema that changed, or a table that was parked or repaired, makes its routes void. */
  private holds(route: RowRoute): boolean {
    switch (route.kind) {
      case 'decoded':
        return this.context.schemaOf(route.table) === route.schema
      case 'parked':
        return this.context.schemaOf(route.table) === null
      case 'ignored':
        return true
      case 'early':
      case 'join':
        return false
    }
  }

  private route(map: TableMap, mark: TransactionMark): RowRoute {
    const { database, name } = map
    if (!this.tracker.selects(database, name)) return IGNORED
    const table = tableKey({ namespace: database, name })
    const shadow = this.tracker.shadow(table)
    if (shadow !== null) return shadow.proven === true ? IGNORED : JOIN
    const tracked = this.tracker.find(table)
    if (tracked === null && this.tracker.isOther(table)) return IGNORED
    if (tracked === null) return this.tracker.isGone(table, mark.order) ? EARLY : JOIN
    if (tracked.refusal !== null) return { kind: 'parked', table, counter: new RowCounter(map) }
    if (tracked.joinedAt !== null && mark.order < tracked.joinedAt) return EARLY
    const schema = this.context.schemaOf(table)
    if (schema === null) return { kind: 'parked', table, counter: new RowCounter(map) }
    if (isVersioned(tracked.state)) {
      this.park(table, versionedError(tracked.state))
      return { kind: 'parked', table, counter: new RowCounter(map) }
    }
    const { binding, mismatch } = bindColumns(map, tracked.state, schema)
    if (binding === null) {
      const message = `table "${table}" has another structure than its log tells`
      this.park(table, new PipelineError('DDL_UNMAPPABLE', message, { detail: mismatch }))
      return { kind: 'parked', table, counter: new RowCounter(map) }
    }
    const defaults = this.tracker.defaultsOf(tracked.state, schema)
    const unlogged = this.tracker.unloggedOf(tracked.state, schema)
    const oldRows = this.context.oldRows(table)
    const decoder = new TableDecoder(map, schema, binding, defaults, unlogged, oldRows)
    return { kind: 'decoded', table, schema, decoder, buffer: this.output.bufferOf(schema) }
  }

  /** All rows of the table so far must have been handed out. */
  park(table: string, error: PipelineError): void {
    this.context.park(table, error)
  }

  /** Makes a table ours, whose structure is known as a copy's, or asked for. */
  async join({ database, name }: TableMap, order: TransactionMark['order']): Promise<void> {
    const table = tableKey({ namespace: database, name })
    if (this.tracker.promote(table, order, this.context)) return
    await this.tracker.joinFromServer(database, name, order, this.context)
  }

  countParked(
    { table, counter }: Extract<RowRoute, { kind: 'parked' }>,
    event: RowsEvent,
    from: number,
  ): void {
    this.context.countParked(table, counter.count(event, from))
  }
}

const NO_DEFAULTS: readonly ExistingValue[] = []

/** Counts rows by walking over their images, none of their columns decoded. */
class RowCounter {
  private readonly decoder: TableDecoder
  private readonly builder: ChangeBuilder

  constructor(map: TableMap) {
    const schema: TableSchema = {
      table: tableKey({ namespace: map.database, name: map.name }),
      version: 0,
      fields: [],
      key: null,
      comment: null,
      lastFieldId: 0,
    }
    this.decoder = new TableDecoder(map, schema, [], NO_DEFAULTS)
    this.builder = new ChangeBuilder(schema)
  }

  count(event: RowsEvent, from: number): number {
    const { decoder, builder } = this
    // Differences of JSON cannot be walked over: how many rows they are is not known.
    if (event.partial) return 0
    let rows = 0
    for (let at = from; at < event.end;) {
      builder.reset()
      builder.beginTransaction(0n, 0n, new Uint8Array(0))
      at = decoder.decode(event, at, builder, 0)
      rows += builder.rows
    }
    return rows
  }
}
