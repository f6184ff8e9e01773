// The captured tables as the log has them at the place that it has been read to. DDL of the log
// moves them, never information_schema as of now: rows from before a change are still on their way.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order } from '../../runtime/data/position.ts'
import { tableKey, type ExistingValue, type SourceTable } from '../../runtime/data/schema.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { SourceContext } from '../../runtime/source.ts'
import { defaultOf } from './ddl/default.ts'
import { sourceTableOf, type TableState, type UnsupportedColumn } from './ddl/state.ts'
import { isCaptured, type MysqlOptions } from './options.ts'
import { orderOf } from '../../runtime/data/position.ts'
import { fileNumber } from './position.ts'
import { readLogEnd, type ServerFacts } from './server.ts'
import { ShadowTables, type Shadow } from './shadow-tables.ts'
import { originalsOf } from './shadow.ts'
import { isOtherKind, structuresAt, type ListedTable } from './structure.ts'
import { isVersioned, versionedError } from './versioned.ts'
import type { ControlConnection } from './wire/connect.ts'

export interface Tracked {
  readonly state: TableState
  /**
   * The structure is that of this place: rows and DDL before it are part of what the backfill will
   * read. `null`: the log has shown all of it.
   */
  readonly joinedAt: Order | null
  /** The runtime has been told of it. */
  readonly announced: boolean
  /** Why it cannot be copied; its rows are counted. Only of tables that were never announced. */
  readonly refusal: PipelineError | null
}

/** As it lies in the checkpoint; orders as decimal text. */
export interface SavedTable {
  readonly state: TableState
  readonly joinedAt: string | null
  readonly announced: boolean
}

export interface SavedTables {
  readonly tables: readonly SavedTable[]
  readonly shadows: readonly Shadow[]
  readonly charsets: readonly (readonly [database: string, charset: string])[]
}

/** A table as the runtime sees it, and what of it the lake cannot hold. */
interface Mapped {
  readonly table: SourceTable
  readonly unsupported: readonly UnsupportedColumn[]
}

export class TableTracker {
  private readonly options: MysqlOptions
  private readonly facts: ServerFacts
  private readonly control: ControlConnection
  private readonly sourceEpoch: number
  private readonly tables = new Map<string, Tracked>()
  private readonly shadows: ShadowTables
  /** Default charset by database. */
  private readonly charsets: Map<string, string>
  /** Tables whose name has been taken away by the running statement. */
  private readonly left = new Map<string, Tracked>()
  /** Tables that were asked for and had gone, and the log's end at that moment. */
  private readonly gone = new Map<string, Order>()
  /** Names that were asked for and are no tables' now: the log may show rows of a sequence. */
  private readonly others = new Set<string>()
  /** Tables of the checkpoint that the configuration does not select any more. */
  private readonly deselected: string[] = []
  private saved: SavedTables | null = null

  constructor(
    options: MysqlOptions,
    facts: ServerFacts,
    control: ControlConnection,
    sourceEpoch: number,
    saved: SavedTables,
  ) {
    this.options = options
    this.facts = facts
    this.control = control
    this.sourceEpoch = sourceEpoch
    this.charsets = new Map(saved.charsets)
    for (const { state, joinedAt, announced } of saved.tables) {
      if (!isCaptured(options, state.database, state.name)) {
        if (announced) this.deselected.push(keyOf(state))
        continue
      }
      const order = joinedAt === null ? null : BigInt(joinedAt)
      const tracked = { state, joinedAt: order, announced, refusal: null }
      const refusal = announced ? null : this.refusalOf(state)
      this.tables.set(keyOf(state), { ...tracked, refusal })
    }
    this.shadows = new ShadowTables(saved.shadows)
  }

  /** True when the pipeline is to copy tables of this name. */
  selects(database: string, name: string): boolean {
    return isCaptured(this.options, database, name)
  }

  /**
   * True when a table that is made under this name is copied at once. One that is named like a copy
   * that a tool makes of a captured table is not, see `ShadowTables`; one that has been there from
   * the start, or has proven to be none, is.
   */
  captures(database: string, name: string): boolean {
    const key = nameKey(database, name)
    const known = this.tables.has(key) || this.left.has(key)
    return this.selects(database, name) && (known || !this.isNamedLikeCopy(database, name))
  }

  /** True when `name` is that of a copy of a table that is captured. */
  isNamedLikeCopy(database: string, name: string): boolean {
    return originalsOf(name).some((original) => {
      const key = nameKey(database, original)
      return this.tables.has(key) || this.left.has(key)
    })
  }

  /** True when a statement about this table must be looked at. */
  concerns({ database, name }: { readonly database: string; readonly name: string }): boolean {
    const key = nameKey(database, name)
    return (
      this.tables.has(key) ||
      this.shadows.get(key) !== null ||
      this.selects(database, name) ||
      this.isNamedLikeCopy(database, name)
    )
  }

  /** Names as the server stores them. */
  fold(name: string): string {
    return this.facts.lowerCaseNames ? name.toLowerCase() : name
  }

  names(): readonly string[] {
    return [...this.tables.keys()]
  }

  databaseCharset(
    database: string,
    event: { readonly database: string; readonly databaseCharset: string | null },
  ): string {
    const written = this.fold(event.database) === database ? event.databaseCharset : null
    return written ?? this.charsets.get(database) ?? 'utf8mb4'
  }

  setDatabaseCharset(database: string, charset: string): void {
    if (this.charsets.get(database) === charset) return
    this.charsets.set(database, charset)
    this.saved = null
  }

  find(table: string): Tracked | null {
    return this.tables.get(table) ?? null
  }

  /** All tables, for `SourceOpening`: those that the lake can hold. */
  sourceTables(): readonly SourceTable[] {
    return [...this.tables.values()]
      .filter(({ state }) => !isVersioned(state))
      .map(({ state }) => this.sourceTable(state))
      .filter(({ unsupported }) => unsupported.length === 0)
      .map(({ table }) => table)
  }

  /** Every table of a database, for DROP DATABASE. */
  ofDatabase(database: string): readonly string[] {
    return [...this.tables]
      .filter(([, { state }]) => state.database === database)
      .map(([key]) => key)
  }

  /** The structure as the log has it now; `null` when it is not captured or gone. */
  structureOf(table: string): TableState | null {
    return this.tables.get(table)?.state ?? null
  }

  /** @returns by field, what an INSERT that leaves the column out stores */
  defaultsOf(state: TableState, schema: TableSchema): readonly ExistingValue[] {
    return schema.fields.map(({ identity }) => {
      const column = state.columns.find((candidate) => candidate.identity === identity)
      return column === undefined ? { kind: 'unknown' } : defaultOf(column, this.options)
    })
  }

  /**
   * The fields whose change an update may leave out: MariaDB computes a virtual column when it is
   * read, so images that hold changed columns only lack it, whatever it is computed from.
   */
  unloggedOf(state: TableState, schema: TableSchema): ReadonlySet<number> {
    const unlogged = new Set<number>()
    if (!this.facts.mariadb) return unlogged
    for (const { identity, generated } of state.columns) {
      const field = schema.fields.findIndex((candidate) => candidate.identity === identity)
      if (generated === 'virtual' && field !== -1) unlogged.add(field)
    }
    return unlogged
  }

  /** Takes the structures that hold at the very first position. */
  adopt(structures: ReadonlyMap<string, TableState>, charsets: ReadonlyMap<string, string>): void {
    for (const [database, charset] of charsets) this.charsets.set(database, charset)
    for (const [key, state] of structures) {
      if (!this.selects(state.database, state.name)) continue
      this.tables.set(key, { state, joinedAt: null, announced: true, refusal: null })
    }
    this.saved = null
    this.refuseUnsupported([...this.tables.keys()])
  }

  /**
   * Tables that the selector matches now and that were not captured before: they join at the log's
   * end, so what the log still brings of them from before is left to the backfill.
   */
  async joinNew(listed: readonly ListedTable[]): Promise<void> {
    const fresh = listed.filter(({ database, name }) => {
      const key = nameKey(database, name)
      return !this.tables.has(key) && this.shadows.get(key) === null
    })
    if (fresh.length === 0) return
    const { structures, order } = await this.readNow()
    for (const { database, name } of fresh) {
      const key = nameKey(database, name)
      const state = structures.get(key)
      if (state === undefined) continue
      // One that cannot be copied stays out alone: the others were copied long ago.
      const refusal = this.refusalOf(state)
      this.tables.set(key, { state, joinedAt: order, announced: refusal === null, refusal })
    }
    this.saved = null
  }

  /**
   * A captured table that the log shows and nobody knows: it was made under a filter, or comes from
   * where nothing is captured. Its rows are none of those that a table of its name had before.
   */
  async joinFromServer(
    database: string,
    name: string,
    order: Order,
    context: SourceContext,
  ): Promise<void> {
    const { structures, order: now } = await this.readNow()
    const key = nameKey(database, name)
    const state = structures.get(key)
    if (state !== undefined) {
      return this.show({ ...state, incarnation: order.toString() }, now, order, context)
    }
    // Dropped meanwhile: its rows are of no use.
    this.forget(key, order, context)
    this.gone.set(key, now)
    if (await isOtherKind(this.control, database, name)) this.others.add(key)
  }

  /** True for the name of a view or a sequence. */
  isOther(table: string): boolean {
    return this.others.has(table)
  }

  /** A table is made under this name, or takes it. */
  nameTaken(table: string): void {
    this.others.delete(table)
  }

  /** True when the server no longer had the table at this place, or later. */
  isGone(table: string, order: Order): boolean {
    return order < (this.gone.get(table) ?? 0n)
  }

  /**
   * The table has this structure from `order` on.
   *
   * @param joinedAt  see `Tracked`
   */
  show(state: TableState, joinedAt: Order | null, order: Order, context: SourceContext): void {
    const key = keyOf(state)
    const announced = (this.tables.get(key) ?? this.left.get(key))?.announced ?? false
    this.left.delete(key)
    const { table, unsupported } = this.sourceTable(state)
    const refusal = this.refusalOf(state)
    this.saved = null
    if (refusal === null || announced) {
      this.tables.set(key, { state, joinedAt, announced: true, refusal: null })
      const stays = unsupported.length === 0 && !isVersioned(state)
      if (refusal === null || stays) context.tableChanged(table, order)
      else context.park(key, refusal)
      return
    }
    this.tables.set(key, { state, joinedAt, announced: false, refusal })
    context.park(key, refusal)
  }

  /** Says again of each start which tables are not copied, and why. */
  tellRefused(context: SourceContext): void {
    for (const [key, { refusal }] of this.tables) if (refusal !== null) context.park(key, refusal)
  }

  /**
   * The configuration may have changed while nobody read. Nothing is read of a table that it leaves
   * out, so that one is gone until it is read anew; and the log shows no change of structure where
   * a column begins or ceases to be excluded.
   */
  tellSelection(context: SourceContext, order: Order): void {
    for (const key of this.deselected.splice(0)) context.tableDropped(key, order)
    for (const [key, { state, announced }] of this.tables) {
      const schema = announced ? context.schemaOf(key) : null
      if (schema === null) continue
      const { table, unsupported } = this.sourceTable(state)
      const refusal = unsupported.length > 0 ? this.refusalOf(state) : null
      const carried = new Set(schema.fields.map(({ identity }) => identity))
      if (refusal !== null) context.park(key, refusal)
      else if (!carriesAll(table, carried)) context.tableChanged(withUnread(table, carried), order)
    }
  }

  forget(table: string, order: Order, context: SourceContext): void {
    const tracked = this.tables.get(table)
    if (tracked === undefined) return
    this.tables.delete(table)
    this.saved = null
    if (isTold(tracked)) context.tableDropped(table, order)
  }

  /** The structure of a table or of a shadow, or of one that the running statement has moved. */
  stateOf(table: string): TableState | null {
    return this.structureOf(table) ?? this.shadow(table)?.state ?? this.leftState(table)
  }

  shadow(table: string): Shadow | null {
    return this.shadows.get(table)
  }

  putShadow(state: TableState, like: string | null, computed: string | null = null): void {
    if (!this.isNamedLikeCopy(state.database, state.name)) return
    this.shadows.put(state, like, computed)
    this.saved = null
  }

  dropShadow(table: string): void {
    if (this.shadows.drop(table)) this.saved = null
  }

  /** A statement that changes no table may say which tables are copies. */
  learnShadows(text: string): void {
    if (this.shadows.learnFrom(text)) this.saved = null
  }

  /** Rows come to what no tool has made: it is a table like any other. @returns false: no shadow */
  promote(table: string, order: Order, context: SourceContext): boolean {
    const shadow = this.shadows.get(table)
    if (shadow === null) return false
    this.dropShadow(table)
    this.show(shadow.state, null, order, context)
    return true
  }

  /** The running statement takes the table's name away; another table may take it. */
  leave(table: string): void {
    const tracked = this.tables.get(table)
    if (tracked === undefined) return
    this.tables.delete(table)
    this.left.set(table, tracked)
    this.saved = null
  }

  /** A table that has left comes back under its name, with its rows. */
  comeBack(state: TableState, order: Order, context: SourceContext): void {
    const key = keyOf(state)
    const tracked = this.left.get(key)
    if (tracked !== undefined) this.tables.set(key, { ...tracked, state })
    this.show(state, tracked?.joinedAt ?? null, order, context)
  }

  leftState(table: string): TableState | null {
    return this.left.get(table)?.state ?? null
  }

  /** The statement has ended: names that nobody has taken are gone. */
  forgetLeft(order: Order, context: SourceContext): void {
    for (const [table, tracked] of this.left) {
      if (isTold(tracked)) context.tableDropped(table, order)
    }
    this.left.clear()
  }

  save(): SavedTables {
    this.saved ??= {
      tables: [...this.tables.values()].map(({ state, joinedAt, announced }) => ({
        state,
        joinedAt: joinedAt === null ? null : joinedAt.toString(),
        announced,
      })),
      shadows: this.shadows.all(),
      charsets: [...this.charsets],
    }
    return this.saved
  }

  sourceTable(state: TableState): Mapped {
    const { options } = this
    const included = (column: string): boolean =>
      !options.columnsExclude(state.database, state.name, column)
    return sourceTableOf(state, options, included)
  }

  /** The structures now, and a place of the log at which they hold or which lies behind it. */
  async readNow(): Promise<{ structures: ReadonlyMap<string, TableState>; order: Order }> {
    const { control, options, facts, sourceEpoch } = this
    const { structures, place } = await structuresAt(control, options, facts.mariadb, async () =>
      readLogEnd(control, facts),
    )
    return { structures, order: orderOf(sourceEpoch, fileNumber(place.file), place.offset) }
  }

  private refusalOf(state: TableState): PipelineError | null {
    const { table, unsupported } = this.sourceTable(state)
    const key = keyOf(state)
    if (isVersioned(state)) return versionedError(state)
    if (unsupported.length > 0) return unsupportedError(key, unsupported)
    if (!this.options.keyed || table.key !== null) return null
    return new PipelineError('TABLE_WITHOUT_KEY', `table "${key}" has no key`)
  }

  /** A table that is there from the start and cannot be copied stops the start. */
  private refuseUnsupported(tables: readonly string[]): void {
    for (const key of tables) {
      const state = this.structureOf(key)
      const refusal = state === null ? null : this.refusalOf(state)
      if (refusal !== null) throw refusal
    }
  }
}

function carriesAll({ columns }: SourceTable, carried: ReadonlySet<string>): boolean {
  return columns.length === carried.size && columns.every(({ identity }) => carried.has(identity))
}

/** What a column held when it was added says nothing of its rows after a while without reading. */
function withUnread(table: SourceTable, carried: ReadonlySet<string>): SourceTable {
  const columns = table.columns.map((column) =>
    carried.has(column.identity) ? column : { ...column, existing: { kind: 'unknown' } as const },
  )
  return { ...table, columns }
}

/** The runtime has heard of it: it was announced, or refused. */
function isTold({ announced, refusal }: Tracked): boolean {
  return announced || refusal !== null
}

function unsupportedError(table: string, columns: readonly UnsupportedColumn[]): PipelineError {
  const names = columns.map(({ name, sourceType }) => `${name} ${sourceType}`).join(', ')
  const detail = columns.map(({ name, reason }) => `Column "${name}": ${reason}.`).join('\n')
  const message = `table "${table}" has columns that the lake cannot hold: ${names}`
  return new PipelineError('TYPE_UNSUPPORTED', message, { detail })
}

function nameKey(database: string, name: string): string {
  return tableKey({ namespace: database, name })
}

function keyOf({ database, name }: TableState): string {
  return nameKey(database, name)
}
