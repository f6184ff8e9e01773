// What the statements of the log do to captured tables. Everything takes effect at the statement's
// place: the rows before it have been handed out under the old structure.

import { isDeepStrictEqual } from 'node:util'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Order } from '../../../runtime/data/position.ts'
import { tableKey } from '../../../runtime/data/schema.ts'
import type { SourceContext } from '../../../runtime/source.ts'
import { alterTable, contextOf, createLike, createTable, renameTable } from '../ddl/apply.ts'
import type { Applied } from '../ddl/apply.ts'
import { inDatabase } from '../ddl/parse.ts'
import type { AlterAction, Statement, TableName } from '../ddl/statement.ts'
import type { TableState } from '../ddl/state.ts'
import { EventFlag, type QueryEvent } from '../decode/events.ts'
import type { MysqlOptions } from '../options.ts'
import { adoptShadow } from '../shadow.ts'
import type { TableTracker } from '../tables.ts'
import type { ControlConnection } from '../wire/connect.ts'
import { versionedBy } from '../versioned.ts'
import { changesObjects, isSystem, StatementReach } from './statement-reach.ts'
import type { StatementServer } from './statement-reach.ts'
import { convertText } from './text.ts'

/** A statement's place and what its text means there. */
interface Place {
  readonly event: QueryEvent
  readonly order: Order
}

interface Rename {
  readonly from: FullName
  readonly to: FullName
}

/** A table without a name, between two names. */
interface MovedTable {
  readonly state: TableState | null
  /** A tool made it of another, to change that. */
  readonly copy: boolean
  /** Of a shadow: the table that it was made LIKE. */
  readonly like: string | null
  /** Of a shadow: why its generated columns have other values. */
  readonly computed: string | null
}

interface FullName {
  readonly database: string
  readonly name: string
}

export class Statements {
  private readonly options: MysqlOptions
  private readonly tracker: TableTracker
  private readonly context: SourceContext
  private readonly control: ControlConnection
  private readonly reach: StatementReach

  constructor(
    options: MysqlOptions,
    tracker: TableTracker,
    context: SourceContext,
    server: StatementServer,
  ) {
    this.options = options
    this.tracker = tracker
    this.context = context
    this.control = server.control
    this.reach = new StatementReach({
      ...server,
      options,
      copied: (database) => tracker.ofDatabase(database).length > 0,
    })
  }

  /**
   * Text in a charset that we do not convert is converted by the server that understood it. What it
   * cannot convert stays as it is, and `raw` with it.
   */
  async readable(event: QueryEvent): Promise<QueryEvent> {
    const { raw } = event
    if (raw === undefined) return event
    const text = await convertText(this.control, raw)
    if (text === null) return event
    const { raw: _, ...rest } = event
    return { ...rest, text }
  }

  /** @returns false when the statement has nothing to do with captured tables */
  concerns(statement: Statement, event: QueryEvent): boolean {
    const known = (table: TableName): boolean =>
      event.raw !== undefined || this.tracker.concerns(this.fullName(table, event))
    switch (statement.kind) {
      case 'create-table':
        return statement.temporary || known(statement.table)
      case 'truncate':
      case 'alter-table':
        if (this.isTemporary(statement.table, event)) return false
        return known(statement.table) || ('actions' in statement && renamesTo(statement, known))
      case 'rename-table':
        return statement.renames.some(({ from, to }) => known(from) || known(to))
      case 'drop-table':
        return statement.tables.some(known)
      case 'dml':
        return !statement.tables.every((table) => isSystem(this.fullName(table, event)))
      case 'unreadable':
        // Text that names no table is most likely no DDL; it is told.
        return statement.tables.some(known) || statement.tables.length === 0
      case 'create-database':
      case 'alter-database':
      case 'drop-database':
        return true
      case 'begin':
      case 'commit':
      case 'rollback':
      case 'savepoint':
      case 'xa':
        return false
      case 'no-effect':
        return changesObjects(statement, event)
    }
  }

  /**
   * A session that logs statements logs what it does to its temporary tables, and one of them may
   * have the name of a captured table. CONNECTION_ID() sets the same flag, and so does a column
   * that has it for a default.
   */
  private isTemporary(table: TableName, event: QueryEvent): boolean {
    if ((event.flags & EventFlag.threadSpecific) === 0) return false
    if (/\bconnection_id\b/i.test(event.text)) return false
    const state = this.tracker.stateOf(keyOf(this.fullName(table, event)))
    return state?.columns.some((column) => column.default.kind === 'expression') !== true
  }

  /** Must be called with all rows handed out. */
  async run(statement: Statement, event: QueryEvent, order: Order): Promise<void> {
    const place = { event, order }
    if (event.raw !== undefined) {
      const reason = `A statement in ${event.raw.charset} cannot be read.`
      return this.parkEach(this.tracker.names(), place, 'DDL_UNMAPPABLE', reason)
    }
    switch (statement.kind) {
      case 'create-table':
        return this.create(statement, place)
      case 'alter-table':
        return this.alter(this.fullName(statement.table, event), statement.actions, place)
      case 'rename-table':
        return this.rename(
          statement.renames.map(({ from, to }) => ({
            from: this.fullName(from, event),
            to: this.fullName(to, event),
          })),
          place,
        )
      case 'drop-table':
        if (!statement.temporary) for (const table of statement.tables) this.drop(table, place)
        return
      case 'truncate':
        return this.truncate(keyOf(this.fullName(statement.table, event)), order)
      case 'create-database':
      case 'alter-database': {
        const charset = statement.charset ?? event.serverCharset
        const database = this.tracker.fold(statement.database ?? event.database)
        if (charset !== null) this.tracker.setDatabaseCharset(database, charset)
        return
      }
      case 'drop-database':
        for (const table of this.tracker.ofDatabase(this.tracker.fold(statement.database))) {
          this.tracker.forget(table, order, this.context)
        }
        return
      case 'dml':
        return this.changeRows(statement, place)
      case 'no-effect': {
        this.tracker.learnShadows(event.text)
        const reason = this.reach.reconsider(order)
        if (reason !== null) await this.parkNamed([], place, 'LOG_STATEMENT', reason)
        return
      }
      case 'unreadable':
        return this.unreadable(statement.tables, statement.reason, place)
      default:
    }
  }

  private fullName(table: TableName, event: QueryEvent): FullName {
    const { database, name } = inDatabase(table, event.database)
    return { database: this.tracker.fold(database), name: this.tracker.fold(name) }
  }

  /** Before the place where the table joined, its DDL is part of the structure that was read. */
  private isEarly(table: string, order: Order): boolean {
    const joinedAt = this.tracker.find(table)?.joinedAt ?? null
    return this.tracker.isGone(table, order) || (joinedAt !== null && order < joinedAt)
  }

  /**
   * A table that was there at the start counts as a table of its own, however it is named. The log
   * shows of this one that a tool may have made it while we were away.
   */
  private isMadeSince(table: FullName, order: Order): boolean {
    const key = keyOf(table)
    const early = order < (this.tracker.find(key)?.joinedAt ?? 0n)
    if (!early || !this.tracker.isNamedLikeCopy(table.database, table.name)) return false
    this.tracker.forget(key, order, this.context)
    return true
  }

  private async create(
    statement: Extract<Statement, { kind: 'create-table' }>,
    place: Place,
  ): Promise<void> {
    const { event, order } = place
    const table = this.fullName(statement.table, event)
    if (statement.temporary) return this.reach.noteTemporary(table)
    const key = keyOf(table)
    const careful = statement.ifNotExists && !statement.orReplace
    if (this.isEarly(key, order) && (careful || !this.isMadeSince(table, order))) return
    if (careful && this.tracker.find(key) !== null) return
    this.tracker.nameTaken(key)
    const created = { ...table, incarnation: order.toString() }
    if (statement.definition !== null) {
      const charset = this.tracker.databaseCharset(table.database, event)
      const state = createTable(statement.definition, { ...created, charset })
      this.put(versionedBy(event.text, state), order, null)
      return
    }
    const like = statement.like === null ? null : keyOf(this.fullName(statement.like, event))
    const source = like === null ? null : this.tracker.stateOf(like)
    if (source !== null) this.put(createLike(source, created), order, like)
    else if (this.tracker.captures(table.database, table.name)) {
      await this.tracker.joinFromServer(table.database, table.name, order, this.context)
    }
  }

  /**
   * A new table: captured, or the shadow of a captured one. @param like  what it was copied from
   */
  private put(state: TableState, order: Order, like: string | null): void {
    if (this.tracker.captures(state.database, state.name)) {
      this.tracker.show(state, null, order, this.context)
    } else this.tracker.putShadow(state, like)
  }

  private async alter(
    table: FullName,
    actions: readonly AlterAction[],
    place: Place,
  ): Promise<void> {
    const { event, order } = place
    const key = keyOf(table)
    const shadow = this.tracker.shadow(key)
    const tracked = this.tracker.find(key)
    const exchanged = actions.flatMap((action) =>
      action.kind === 'partition-rows' && action.with !== null ? [action.with] : [],
    )
    const why = 'Its rows were exchanged with a partition.'
    await this.parkNamed(exchanged, place, 'DDL_UNMAPPABLE', why)
    const context = contextOf(event, this.options)
    const apply = (state: TableState): Applied => {
      const applied = alterTable(state, actions, context)
      if (applied.state === null) return applied
      return { ...applied, state: versionedBy(event.text, applied.state) }
    }
    if (tracked !== null && !this.isEarly(key, order)) {
      const applied = apply(tracked.state)
      if (applied.kind === 'unmappable') {
        await this.parkTable(key, order, applied.reason, applied.state)
      } else if (!isDeepStrictEqual(applied.state, tracked.state)) {
        this.tracker.show(applied.state, null, order, this.context)
      }
    } else if (shadow !== null) {
      const applied = apply(shadow.state)
      const computed = applied.kind === 'unmappable' ? (applied.computed ?? null) : null
      if (applied.state !== null) this.tracker.putShadow(applied.state, shadow.like, computed)
      else this.tracker.dropShadow(key)
    }
    const target = actions.find((action) => action.kind === 'rename-table')
    if (target?.kind !== 'rename-table') return
    await this.rename([{ from: table, to: this.fullName(target.to, event) }], place)
  }

  /**
   * Tables take other names, one after the other in the statement and all at once for everybody
   * else: a swap by way of a third name makes no third table.
   */
  private async rename(renames: readonly Rename[], place: Place): Promise<void> {
    const origins = new Map<string, Rename>()
    for (const { from, to } of renames) {
      const earlier = origins.get(keyOf(from))
      origins.delete(keyOf(from))
      origins.set(keyOf(to), { from: earlier?.from ?? from, to })
    }
    const moves = [...origins.values()].filter(({ from, to }) => keyOf(from) !== keyOf(to))
    const moved = moves.map(({ from, to }) => ({ to, table: this.takeAway(from, place) }))
    for (const { to, table } of moved) await this.putBack(table, to, place)
    this.tracker.forgetLeft(place.order, this.context)
  }

  private takeAway(from: FullName, { order }: Place): MovedTable {
    const key = keyOf(from)
    const shadow = this.tracker.shadow(key)
    const state = this.tracker.stateOf(key)
    if (this.tracker.find(key) !== null && !this.isEarly(key, order)) this.tracker.leave(key)
    this.tracker.dropShadow(key)
    const { proven = false, like = null, computed = null } = shadow ?? {}
    return { state, copy: proven, like, computed }
  }

  /**
   * A copy that takes the name of its original is the original in a new structure, with the same
   * rows; any other table that takes a captured name brings rows of its own, which the lake does
   * not have: a new incarnation.
   */
  private async putBack(
    { state, copy, like, computed }: MovedTable,
    to: FullName,
    { order }: Place,
  ): Promise<void> {
    const target = keyOf(to)
    this.tracker.nameTaken(target)
    if (this.isEarly(target, order) && !this.isMadeSince(to, order)) return
    if (!this.tracker.captures(to.database, to.name)) {
      if (state !== null) this.put(renameTable(state, to.database, to.name), order, like)
      return
    }
    if (state === null) {
      await this.tracker.joinFromServer(to.database, to.name, order, this.context)
      return
    }
    const renamed = renameTable(state, to.database, to.name)
    const original = this.tracker.leftState(target)
    if (!copy || original === null) {
      this.put({ ...renamed, incarnation: order.toString() }, order, null)
      return
    }
    const adopted = adoptShadow(original, renamed, like === target, this.options)
    const reason = adopted.kind === 'changed' ? computed : adopted.reason
    if (adopted.kind === 'changed' && reason === null) {
      this.tracker.comeBack(adopted.state, order, this.context)
    } else {
      this.tracker.comeBack(original, order, this.context)
      await this.parkTable(target, order, reason ?? '', adopted.state)
    }
  }

  private drop(name: TableName, { event, order }: Place): void {
    const table = keyOf(this.fullName(name, event))
    this.tracker.dropShadow(table)
    if (!this.isEarly(table, order)) this.tracker.forget(table, order, this.context)
  }

  private truncate(table: string, order: Order): void {
    const tracked = this.tracker.find(table)
    if (tracked === null || !tracked.announced || this.isEarly(table, order)) return
    this.context.tableTruncated(table, order)
  }

  private async changeRows(
    statement: Extract<Statement, { kind: 'dml' }>,
    place: Place,
  ): Promise<void> {
    const { tables } = statement
    const reason = statementReason(statement)
    await this.parkNamed(tables, place, 'LOG_STATEMENT', reason)
    if (tables.length === 0) return
    const names = tables.map((name) => this.fullName(name, place.event))
    const beyond = await this.reach.beyond(names, place.order)
    if (beyond !== null) await this.parkNamed([], place, 'LOG_STATEMENT', `${reason} ${beyond}`)
  }

  private async unreadable(
    tables: readonly TableName[],
    reason: string,
    place: Place,
  ): Promise<void> {
    if (tables.length === 0) {
      this.options.log.warn('a statement of the log is not understood', { reason })
      return
    }
    await this.parkNamed(tables, place, 'DDL_UNMAPPABLE', reason)
  }

  /** @param tables  [] means every table */
  private async parkNamed(
    tables: readonly TableName[],
    place: Place,
    error: 'LOG_STATEMENT' | 'DDL_UNMAPPABLE',
    reason: string,
  ): Promise<void> {
    const all = error === 'LOG_STATEMENT' && tables.length === 0
    const named = tables.map((name) => keyOf(this.fullName(name, place.event)))
    return this.parkEach(all ? this.tracker.names() : named, place, error, reason)
  }

  private async parkEach(
    tables: readonly string[],
    { order }: Place,
    error: 'LOG_STATEMENT' | 'DDL_UNMAPPABLE',
    reason: string,
  ): Promise<void> {
    for (const key of tables) {
      const tracked = this.tracker.find(key)
      if (tracked === null || !tracked.announced || this.isEarly(key, order)) continue
      if (error === 'DDL_UNMAPPABLE') await this.parkTable(key, order, reason)
      else {
        const message = `rows of table "${key}" were changed by a statement that is not in rows`
        this.context.park(key, new PipelineError(error, message, { detail: reason }))
      }
    }
  }

  /**
   * The table waits for a resync.
   *
   * @param state  its structure from here on; `null`: only the server knows
   */
  private async parkTable(
    table: string,
    order: Order,
    reason: string,
    state: TableState | null = null,
  ): Promise<void> {
    const message = `table "${table}" was changed in a way that the log does not carry over`
    this.context.park(table, new PipelineError('DDL_UNMAPPABLE', message, { detail: reason }))
    const tracked = this.tracker.find(table)
    if (tracked === null) return
    if (state !== null) {
      this.tracker.show(state, null, order, this.context)
      return
    }
    const { database, name } = tracked.state
    await this.tracker.joinFromServer(database, name, order, this.context)
  }
}

function renamesTo(
  { actions }: Extract<Statement, { kind: 'alter-table' }>,
  known: (table: TableName) => boolean,
): boolean {
  return actions.some(
    (action) =>
      (action.kind === 'rename-table' && known(action.to)) ||
      (action.kind === 'partition-rows' && action.with !== null && known(action.with)),
  )
}

function statementReason({ verb }: Extract<Statement, { kind: 'dml' }>): string {
  return `The log has the text of ${verb.toUpperCase()} and not the rows that it changed.`
}

function keyOf({ database, name }: FullName): string {
  return tableKey({ namespace: database, name })
}
