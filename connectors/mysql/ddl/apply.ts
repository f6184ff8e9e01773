// Moves a tracked table from one structure to the next by the actions of a statement. Identities
// survive a rename and a change of type; a column that is dropped and added again is another one.
// Source of the order of columns: MySQL 9.7 sql/sql_table.cc (prepare_fields_and_keys).

import { sameName } from '../decode/column-plan.ts'
import type { QueryEvent } from '../decode/events.ts'
import type { TypeOptions } from '../types.ts'
import { convertedType } from './capacity.ts'
import { keepsValues, type ValueModes } from './conversion.ts'
import { defaultOf } from './default.ts'
import { keepsExpressions, removesRows } from './rewrites.ts'
import { PRIMARY, type ColumnState, type KeyState, type TableState } from './state.ts'
import type { AlterAction, ColumnDefinition, ColumnPlace, IndexDefinition } from './statement.ts'
import type { TableDefinition } from './statement.ts'
import { withCharset } from './column-definition.ts'

export interface DdlContext extends ValueModes {
  readonly types: TypeOptions
  /** `QueryEvent.strict`: the server refused conversions that lose something. */
  readonly strict: boolean
  /** explicit_defaults_for_timestamp of the session; absent or `null`: not known. */
  readonly explicitTimestamps?: boolean | null
}

/** What the session of a statement of the log decides about its values. */
export function contextOf(
  event: Pick<QueryEvent, 'strict' | 'keepsZero' | 'padsChar' | 'explicitTimestamps'>,
  types: TypeOptions,
): DdlContext {
  const { strict, keepsZero, padsChar, explicitTimestamps } = event
  return { types, strict, keepsZero, padsChar, explicitTimestamps }
}

export type Applied =
  | { readonly kind: 'changed'; readonly state: TableState }
  /**
   * Rows changed without row events, or the structure is unclear: the table must be read again.
   * `state` is the structure after the statement, `null` when it is the structure that is unclear.
   * `computed`: why a generated column may have other values, now and in rows that come to it.
   */
  | {
      readonly kind: 'unmappable'
      readonly reason: string
      readonly state: TableState | null
      readonly computed?: string | null
    }

export interface NewTable {
  readonly database: string
  readonly name: string
  readonly incarnation: string
  /** Default of the database, for a definition that names none. */
  readonly charset: string
}

/** The table that CREATE TABLE makes. Identities are 1, 2, ... in the order of the columns. */
export function createTable(
  definition: TableDefinition,
  { database, name, incarnation, charset: inherited }: NewTable,
): TableState {
  const charset = definition.charset ?? inherited
  const columns = definition.columns.map((column, index) =>
    columnState(column, String(index + 1), charset),
  )
  const state: TableState = {
    database,
    name,
    incarnation,
    columns,
    keys: [],
    charset,
    comment: definition.comment,
    nextIdentity: columns.length + 1,
  }
  const inline = definition.columns.flatMap((column) => inlineIndex(column))
  return addIndexes(state, [...inline, ...definition.indexes])
}

/** The table that CREATE TABLE ... LIKE makes. */
export function createLike(source: TableState, table: Omit<NewTable, 'charset'>): TableState {
  return { ...source, ...table }
}

/** RENAME TABLE. The rows stay, and so does the incarnation. */
export function renameTable(state: TableState, database: string, name: string): TableState {
  return { ...state, database, name }
}

/**
 * Applies an ALTER TABLE. Its actions see the columns as they were before it. RENAME of the table
 * itself is not applied here: the caller moves the table to its new name (`renameTable`).
 */
export function alterTable(
  state: TableState,
  actions: readonly AlterAction[],
  context: DdlContext,
): Applied {
  const ignore = actions.some(({ kind }) => kind === 'ignore')
  const draft = new Draft(state, context, ignore)
  for (const action of actions) draft.prepare(action)
  return draft.finish(actions)
}

/** A change of an existing column, and where it goes when it moves. */
interface Change {
  readonly from: string
  readonly column: ColumnDefinition
  readonly place: ColumnPlace | null
}

class Draft {
  private readonly state: TableState
  private readonly context: DdlContext
  private readonly dropped = new Set<string>()
  private readonly renamed = new Map<string, string>()
  private readonly defaults = new Map<string, ColumnState['default']>()
  private readonly changes: Change[] = []
  private readonly placed: { readonly column: ColumnState; readonly place: ColumnPlace }[] = []
  private charset: string
  private comment: string | null
  private converted = false
  private nextIdentity: number
  /** Why the structure is unclear. */
  private unclear: string | null = null
  /** Why values may be others than the lake has. */
  private rewritten: string | null = null
  /** Why a generated column may have other values: of an empty table, that is all that counts. */
  private computed: string | null = null
  /** An expression over other columns may have another value. */
  private recomputed = false
  private columns: ColumnState[] = []
  private keys: KeyState[]

  constructor(state: TableState, context: DdlContext, ignore: boolean) {
    this.state = state
    this.context = ignore ? { ...context, strict: false } : context
    this.charset = state.charset
    this.comment = state.comment
    this.nextIdentity = state.nextIdentity
    this.keys = [...state.keys]
  }

  /** Takes note of an action that does not depend on others. */
  prepare(action: AlterAction): void {
    switch (action.kind) {
      case 'drop-column':
        if (this.exists(action.name, action.ifExists)) this.dropped.add(fold(action.name))
        break
      case 'rename-column':
        if (this.exists(action.from, action.ifExists))
          this.renamed.set(fold(action.from), action.to)
        break
      case 'set-default':
        if (this.exists(action.name, action.ifExists)) {
          this.defaults.set(fold(action.name), action.default)
        }
        break
      case 'change-column':
        if (this.exists(action.from, action.ifExists)) this.changes.push(action)
        break
      case 'convert-charset':
        if (action.charset === 'default')
          this.fail('the new charset is the default of the database')
        this.charset = action.charset
        this.converted = true
        break
      case 'default-charset':
        this.charset = action.charset
        break
      case 'partition-rows':
        this.rewritten ??= `${action.verb} PARTITION or TABLESPACE changes rows without row events.`
        break
      case 'comment':
        this.comment = action.comment
        break
      default:
        break
    }
  }

  finish(actions: readonly AlterAction[]): Applied {
    for (const column of this.state.columns) this.carry(column)
    // Columns that move and columns that are new find their places in the order of the statement.
    for (const action of actions) {
      if (action.kind === 'add-column') this.add(action)
      else if (action.kind === 'change-column') this.move(action.from)
    }
    for (const { column, place } of this.placed) this.place(column, place)
    this.checkNames()
    this.checkGenerated()
    if (removesRows(actions)) this.rewritten ??= 'ALTER IGNORE removes rows that did not fit.'
    this.dropIndexes(actions)
    if (this.unclear !== null) return { kind: 'unmappable', reason: this.unclear, state: null }
    const { columns, charset, comment, nextIdentity } = this
    const keys = this.keysOf(columns)
    const indexes = actions.flatMap((action) => indexesOf(action))
    const moved = { ...this.state, columns, keys, charset, comment, nextIdentity }
    const state = addIndexes(moved, indexes)
    for (const column of columns) this.checkKeyPart(column, state)
    const { computed } = this
    const reason = this.rewritten ?? computed
    if (reason === null) return { kind: 'changed', state }
    return { kind: 'unmappable', reason, state, computed }
  }

  private fail(reason: string): void {
    this.unclear ??= `${reason}.`
  }

  private find(name: string): ColumnState | undefined {
    return this.state.columns.find((column) => sameName(column.name, name))
  }

  private exists(name: string, ifExists: boolean): boolean {
    if (this.find(name) !== undefined) return true
    // The server accepted it, so what we know of the table is wrong.
    if (!ifExists) this.fail(`The statement changes a column "${name}" that is not known`)
    return false
  }

  private carry(column: ColumnState): void {
    const name = fold(column.name)
    if (this.dropped.has(name)) return
    const change = this.changes.find(({ from }) => fold(from) === name)
    const moved = change === undefined ? this.kept(column) : this.changed(column, change.column)
    // Under its old name the lake may have left it out, and then old rows hold what nobody read.
    const same = moved.name === column.name
    const next: ColumnState = same ? moved : { ...moved, existing: { kind: 'unknown' } }
    // A column that moves keeps its place until its turn: others may be put behind it.
    this.columns.push(next)
    if (change !== undefined && change.place !== null) {
      this.moving.set(name, { column: next, place: change.place })
    }
  }

  private readonly moving = new Map<string, { column: ColumnState; place: ColumnPlace }>()

  private move(from: string): void {
    const moving = this.moving.get(fold(from))
    if (moving === undefined) return
    this.moving.delete(fold(from))
    this.placed.push(moving)
  }

  private kept(column: ColumnState): ColumnState {
    const name = this.renamed.get(fold(column.name)) ?? column.name
    const value = this.defaults.get(fold(column.name)) ?? column.default
    const converts = this.converted && column.type.charset !== null
    const type = converts ? convertedType(column.type, this.charset) : column.type
    this.recomputed ||= converts && !keepsExpressions(column.type, type)
    this.checkValues(column, { ...column, type })
    return { ...column, name, type, default: value }
  }

  private changed(column: ColumnState, definition: ColumnDefinition): ColumnState {
    const { identity, existing } = column
    const defined = columnState(definition, identity, this.charset, this.context)
    const next = { ...defined, existing }
    // Expressions are not tracked, so this one may be another.
    if (next.generated !== null) this.computed ??= `Column "${column.name}" is computed anew.`
    this.recomputed ||= !keepsExpressions(column.type, next.type)
    // What may have become NOT NULL has perhaps lost its nulls.
    const nullable = next.nullable && !impliesRequired(definition, this.context)
    this.checkValues(column, { ...next, nullable })
    return next
  }

  private checkValues(from: ColumnState, to: ColumnState): void {
    const reason = keepsValues(from, to, this.context.strict, this.context)
    if (reason !== null) this.rewritten ??= `Column "${from.name}": ${reason}.`
  }

  /** The server accepted the statement, so the table is another than the one that we know. */
  private checkNames(): void {
    const names = new Set<string>()
    for (const { name } of this.columns) {
      if (names.has(fold(name))) this.fail(`The statement makes two columns "${name}"`)
      names.add(fold(name))
    }
  }

  private checkGenerated(): void {
    if (!this.recomputed) return
    const old = this.columns.find(
      ({ generated, identity }) =>
        generated !== null && this.state.columns.some((column) => column.identity === identity),
    )
    if (old !== undefined)
      this.computed ??= `Column "${old.name}" is computed from others that changed.`
  }

  /** A new primary key takes the nulls out of its columns. */
  private checkKeyPart(column: ColumnState, { columns }: TableState): void {
    const old = this.state.columns.find(({ identity }) => identity === column.identity)
    const next = columns.find(({ identity }) => identity === column.identity)
    if (this.context.strict || old?.nullable !== true || next?.nullable !== false) return
    this.rewritten ??= `Column "${column.name}": nulls became the default.`
  }

  private add({ column, place, ifNotExists }: Extract<AlterAction, { kind: 'add-column' }>): void {
    const named = [...this.columns, ...this.placed.map((placed) => placed.column)]
    const there = named.some(({ name }) => sameName(name, column.name))
    // MariaDB looks for it among the columns before the statement, also when that drops it.
    if (ifNotExists && (there || this.find(column.name) !== undefined)) return
    const identity = String(this.nextIdentity++)
    const state = columnState(column, identity, this.charset, this.context)
    const existing = defaultOf(state, this.context.types)
    this.placed.push({ column: { ...state, existing }, place })
  }

  private place(column: ColumnState, place: ColumnPlace): void {
    this.columns = this.columns.filter(({ identity }) => identity !== column.identity)
    if (place.at === 'last') {
      this.columns.push(column)
      return
    }
    if (place.at === 'first') {
      this.columns.unshift(column)
      return
    }
    const after = this.columns.findIndex(({ name }) => sameName(name, place.column))
    if (after === -1) this.fail(`The statement names a column "${place.column}" that is not known`)
    this.columns.splice(after + 1, 0, column)
  }

  private dropIndexes(actions: readonly AlterAction[]): void {
    for (const action of actions) {
      if (action.kind === 'drop-index') {
        this.keys = this.keys.filter(({ name }) => !sameName(name, action.name))
      } else if (action.kind === 'rename-index') {
        this.keys = this.keys.map((key) =>
          sameName(key.name, action.from) ? { ...key, name: action.to } : key,
        )
      }
    }
  }

  /** A dropped column leaves its indexes; an index without columns is gone. */
  private keysOf(columns: readonly ColumnState[]): readonly KeyState[] {
    return this.keys
      .map((key) => ({
        ...key,
        columns: key.columns.filter(
          (identity) => identity === null || columns.some((column) => column.identity === identity),
        ),
      }))
      .filter(({ columns: parts }) => parts.length > 0)
  }
}

/** Names of columns are the same in any case. */
function fold(name: string): string {
  return name.toLowerCase()
}

type Timestamps = Pick<DdlContext, 'explicitTimestamps'>

/** Without explicit_defaults_for_timestamp such a column is NOT NULL, and the server fills it. */
function impliesRequired(
  { type, nullUnsaid }: ColumnDefinition,
  { explicitTimestamps }: Timestamps,
): boolean {
  return type.base === 'timestamp' && nullUnsaid && explicitTimestamps !== true
}

/** @param session  its `explicitTimestamps` are on for a table that is made: it has no old rows */
function columnState(
  definition: ColumnDefinition,
  identity: string,
  charset: string,
  session: Timestamps = { explicitTimestamps: true },
): ColumnState {
  const { name, default: value, generated, autoIncrement, comment } = definition
  const implied = impliesRequired(definition, session)
  const filled = implied && (value.kind === 'none' || value.kind === 'null')
  return {
    identity,
    name,
    type: withCharset(definition.type, charset),
    nullable: definition.nullable && !(implied && session.explicitTimestamps === false),
    default: filled ? { kind: 'expression', text: 'explicit_defaults_for_timestamp' } : value,
    generated,
    autoIncrement,
    comment,
    existing: { kind: 'null' },
  }
}

function inlineIndex({ name, key }: ColumnDefinition): IndexDefinition[] {
  if (key === null) return []
  return [{ name: key === 'primary' ? PRIMARY : null, unique: true, columns: [name] }]
}

function indexesOf(action: AlterAction): IndexDefinition[] {
  if (action.kind === 'add-index') return [action.index]
  if (action.kind === 'add-column' || action.kind === 'change-column') {
    return inlineIndex(action.column)
  }
  return []
}

function addIndexes(state: TableState, indexes: readonly IndexDefinition[]): TableState {
  const { columns } = state
  const keys = [...state.keys]
  for (const index of indexes) {
    const name = index.name ?? generatedName(index, keys)
    if (keys.some((key) => sameName(key.name, name))) continue
    const parts = index.columns.map(
      (part) =>
        columns.find((column) => part !== null && sameName(column.name, part))?.identity ?? null,
    )
    keys.push({ name, unique: index.unique, columns: parts })
  }
  // The columns of a primary key are NOT NULL whether it is said or not.
  const primary = keys.find(({ name }) => name === PRIMARY)?.columns ?? []
  const required = columns.map((column) =>
    primary.includes(column.identity) ? { ...column, nullable: false } : column,
  )
  return { ...state, columns: required, keys }
}

/** The server calls an index after its first column, with _2, _3, ... where that is taken. */
function generatedName({ columns }: IndexDefinition, keys: readonly KeyState[]): string {
  const base = columns[0] ?? 'functional_index'
  const taken = (name: string): boolean => keys.some((key) => sameName(key.name, name))
  if (!taken(base) && base.toUpperCase() !== PRIMARY) return base
  for (let number = 2; ; number++) {
    if (!taken(`${base}_${number}`)) return `${base}_${number}`
  }
}
