// What has happened to a pipeline since its process started, counted by kind for the metrics:
// errors and what followed them, and changes of structure, as the cuts between epochs show them.
// Only what is seen for certain is counted: a TRUNCATE leaves no trace in a cut, so it is not.

import type { ErrorName, ErrorRecord } from '../base/errors.ts'
import type { Field, TableSchema } from '../data/schema.ts'
import type { TableRecord } from '../flow/tables.ts'

/** retry: tried again by itself · notify: a table was parked · fatal: it ended the process. */
export type ErrorClass = 'retry' | 'notify' | 'fatal'

/** What was tried again: the whole from its last checkpoint, the log connection, or a commit. */
export type RetryComponent = 'pipeline' | 'log' | 'commit'

export type DdlKind =
  | 'create_table'
  | 'drop_table'
  | 'add_column'
  | 'drop_column'
  | 'rename_column'
  | 'alter_type'
  | 'nullability'
  | 'comment'
  | 'reorder_columns'
  | 'key'
  /** Several at once, or within one epoch. */
  | 'mixed'
  /** One that cannot be carried over. */
  | 'unmappable'

/** kept: the lake table stays though that of the source is gone. */
export type DdlDecision = 'applied' | 'parked' | 'kept'

export interface ErrorCount {
  readonly error: ErrorName
  readonly class: ErrorClass
  readonly count: number
}

export interface RetryCount {
  readonly component: RetryComponent
  readonly error: ErrorName
  readonly count: number
}

export interface DdlCount {
  readonly table: string
  readonly kind: DdlKind
  readonly decision: DdlDecision
  readonly count: number
}

/** Deliveries of announcements, each attempt. */
export interface NotificationCount {
  readonly action: string
  readonly result: 'ok' | 'failed'
  readonly count: number
}

/** Errors of a table that a change of its structure brings about. */
const BY_STRUCTURE: ReadonlySet<ErrorName> = new Set<ErrorName>([
  'DDL_UNMAPPABLE',
  'KEY_CHANGED',
  'TYPE_UNSUPPORTED',
  'TABLE_WITHOUT_KEY',
])

export class EventCounts {
  private readonly errorCounts = new Map<string, ErrorCount>()
  private readonly retryCounts = new Map<string, RetryCount>()
  private readonly ddlCounts = new Map<string, DdlCount>()
  private readonly notificationCounts = new Map<string, NotificationCount>()
  /** As of the last cut; `null` before the first, which shows what there was already. */
  private tables: ReadonlyMap<string, TableRecord> | null = null
  /** Tables that could not be taken in, and have been counted. */
  private readonly refused = new Set<string>()

  addNotification(action: string, result: 'ok' | 'failed'): void {
    add(this.notificationCounts, { action, result }, 1)
  }

  notifications(): NotificationCount[] {
    return [...this.notificationCounts.values()]
  }

  addRetry(component: RetryComponent, { error }: ErrorRecord): void {
    this.addError(error, 'retry')
    add(this.retryCounts, { component, error }, 1)
  }

  addError(error: ErrorName, kind: ErrorClass): void {
    add(this.errorCounts, { error, class: kind }, 1)
  }

  /** @param refused  tables that cannot be taken in; they may come again with each cut */
  addCut(
    records: readonly TableRecord[],
    refused: readonly { readonly table: string; readonly reason: ErrorRecord }[],
  ): void {
    const before = this.tables
    for (const record of records) {
      const known = before?.get(record.schema.table) ?? null
      this.addParking(known, record, before !== null)
      if (before !== null) this.addStructure(known, record)
    }
    this.tables = new Map(records.map((record) => [record.schema.table, record]))
    for (const { table, reason } of refused) {
      if (this.refused.has(table)) continue
      this.refused.add(table)
      this.addError(reason.error, 'notify')
    }
  }

  errors(): readonly ErrorCount[] {
    return [...this.errorCounts.values()]
  }

  retries(): readonly RetryCount[] {
    return [...this.retryCounts.values()]
  }

  ddl(): readonly DdlCount[] {
    return [...this.ddlCounts.values()]
  }

  private addParking(known: TableRecord | null, record: TableRecord, later: boolean): void {
    const { schema, phase, reason } = record
    if (phase !== 'parked' || reason === null || known?.phase === 'parked') return
    this.addError(reason.error, 'notify')
    // At the start it is not known when that was, nor how often it has been counted.
    if (later && BY_STRUCTURE.has(reason.error)) this.addDdl(schema.table, 'unmappable', 'parked')
  }

  private addStructure(known: TableRecord | null, record: TableRecord): void {
    const { schema, phase, incarnation } = record
    const { table } = schema
    if (known === null) {
      if (phase !== 'parked') this.addDdl(table, 'create_table', 'applied')
      return
    }
    if (phase === 'dropped' && known.phase !== 'dropped') this.addDdl(table, 'drop_table', 'kept')
    // A repair brings a table from any structure to that of now, and gives it a new version.
    if (known.phase === 'parked' || phase === 'parked') return
    const versions = schema.version - known.schema.version
    if (versions > 0 && incarnation !== known.incarnation) {
      this.addDdl(table, 'create_table', 'applied')
      return
    }
    const kind = versions === 1 ? kindOf(known.schema, schema) : versions > 1 ? 'mixed' : null
    if (kind !== null) this.addDdl(table, kind, 'applied', versions)
  }

  private addDdl(table: string, kind: DdlKind, decision: DdlDecision, amount = 1): void {
    add(this.ddlCounts, { table, kind, decision }, amount)
  }
}

function add<K extends object>(
  counts: Map<string, K & { readonly count: number }>,
  key: K,
  amount: number,
): void {
  const name = JSON.stringify(key)
  counts.set(name, { ...key, count: (counts.get(name)?.count ?? 0) + amount })
}

/** @returns `null` when both are the same to the source: a version that the lake wanted */
function kindOf(before: TableSchema, after: TableSchema): DdlKind | null {
  const kinds = new Set<DdlKind>()
  const known = new Map(before.fields.map((field) => [field.identity, field]))
  for (const field of after.fields) {
    const was = known.get(field.identity)
    known.delete(field.identity)
    if (was === undefined) kinds.add('add_column')
    else for (const kind of differences(was, field)) kinds.add(kind)
  }
  if (known.size > 0) kinds.add('drop_column')
  if (before.comment !== after.comment) kinds.add('comment')
  if (keyOf(before) !== keyOf(after)) kinds.add('key')
  if (kinds.size === 0 && namesOf(before) !== namesOf(after)) return 'reorder_columns'
  const [first = null, ...others] = kinds
  return others.length > 0 ? 'mixed' : first
}

function keyOf({ key, fields }: TableSchema): string {
  return JSON.stringify(key?.map((index) => fields[index]?.identity) ?? null)
}

function namesOf({ fields }: TableSchema): string {
  return JSON.stringify(fields.map(({ identity }) => identity))
}

function differences(before: Field, after: Field): DdlKind[] {
  const kinds: DdlKind[] = []
  if (before.name !== after.name) kinds.push('rename_column')
  if (JSON.stringify(before.type) !== JSON.stringify(after.type)) kinds.push('alter_type')
  if (before.nullable !== after.nullable) kinds.push('nullability')
  if (before.comment !== after.comment) kinds.push('comment')
  return kinds
}
