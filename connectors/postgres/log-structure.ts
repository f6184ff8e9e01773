// Structure while the log is read: what a Relation message means, when a reading of the catalog
// takes effect, and what the runtime is told of both.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order } from '../../runtime/data/position.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import type { SourceContext } from '../../runtime/source.ts'
import { asOfRelation, goneTable, membershipGap, unclear, withNullable } from './catalog-in-log.ts'
import { isBeingAltered, loadTypes, readTables, type CatalogTable } from './catalog.ts'
import type { LogParser } from './decode/log-parser.ts'
import { claimsOn, isCounted, laterRows, LeafRows, stillUnwritten } from './leaf-rows.ts'
import type { LogReaderParts } from './log.ts'
import { LogTable } from './log-table.ts'
import { orderOfLsn } from './lsn.ts'
import { partitionChange } from './partitions.ts'
import { dropOrder, matchColumns, sameColumns, type Relation } from './relation.ts'
import { isInLog, shapeOfRelation, signatureOf } from './shape.ts'
import type { TableShape } from './shape.ts'
import type { KnownTable } from './state.ts'
import type { Snapshot } from './snapshot.ts'
import { nextXid, type Reading } from './structure.ts'
import { silentChange } from './tables.ts'
import { nullKey, unreadableRow } from './unreadable-row.ts'

/**
 * A catalog that does not show what the log shows is asked again: the commit is not visible yet.
 */
const CATALOG_RETRY_MS = 20
/** Retries between two warnings. */
const WARN_EVERY = 500

/** What a Relation message turned out to be. */
export type Prepared =
  /** Not a table of ours. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'refused'; readonly key: string; readonly error: PipelineError }
  | {
      readonly kind: 'known'
      readonly table: KnownTable
      readonly before: KnownTable | null
      /** Values may have changed without a trace. */
      readonly silent: PipelineError | null
    }

export class LogStructure {
  private readonly parts: LogReaderParts
  private readonly context: SourceContext
  private readonly wake: () => void
  readonly leafRows: LeafRows
  private pending: Reading | null = null
  private polling = false
  private failure: PipelineError | null = null
  private pollAtMs = Number.NEGATIVE_INFINITY
  /** Counts readings of the catalog; the poll that waits was begun as number `pendingSerial`. */
  private serial = 0
  private pendingSerial = 0
  /** By oid: the reading that a Relation message made, which a poll begun before must not undo. */
  private readonly readAt = new Map<number, number>()
  /** Oids that this session has announced. */
  private readonly announced = new Set<number>()
  /** By oid: the transaction that wrote rows and dropped a column which it added again. */
  private readonly dropper = new Map<number, number>()
  /** By table: the refusal that was told last, so that each is told once. */
  private readonly refusals = new Map<string, string>()
  /** Polls that were begun, the last of them that is in effect, and the one that is waited for. */
  private begun = 0
  private inEffect = 0
  private wanted = 0

  constructor(parts: LogReaderParts, context: SourceContext, wake: () => void) {
    this.parts = parts
    this.context = context
    this.wake = wake
    this.leafRows = new LeafRows(parts.registry)
  }

  /** The place of the log where a reading takes effect; infinity: none waits. */
  get turn(): number {
    return this.pending?.lsn ?? Number.POSITIVE_INFINITY
  }

  pollNow(): void {
    this.pollAtMs = Number.NEGATIVE_INFINITY
  }

  /** A poll that begins after this call shows all that was done before it. */
  confirm(): void {
    this.wanted = this.begun + 1
    this.pollNow()
  }

  get confirmed(): boolean {
    return this.inEffect >= this.wanted
  }

  /** Starts a poll when one is due. @throws PipelineError that a poll has met */
  tick(nowMs: number): void {
    if (this.failure !== null) throw this.failure
    if (this.polling || this.pending !== null) return
    const dueMs = this.confirmed ? this.parts.options.catalogPollMs : CATALOG_RETRY_MS
    if (nowMs - this.pollAtMs < dueMs) return
    this.polling = true
    this.begun++
    this.pollAtMs = nowMs
    void this.poll()
  }

  private async poll(): Promise<void> {
    const { poll, options, delivered } = this.parts
    this.pendingSerial = ++this.serial
    delivered.hold('all')
    try {
      this.pending = await poll.poll()
      if (this.pending === null) this.inEffect = this.begun
      delivered.hold(this.pending === null ? null : this.pending.snapshot)
    } catch (error) {
      delivered.hold(null)
      poll.forget()
      const retry = error instanceof PipelineError && error.spec.action === 'retry'
      if (!retry) this.failure = asPipelineError(error)
      else options.log.warn('the catalog could not be read', { error: error.message })
    } finally {
      this.polling = false
      this.wake()
    }
  }

  /** Puts a reading into effect; the log has been read up to it and all rows were handed out. */
  apply(tables: Map<number, LogTable | null>): void {
    const reading = this.pending
    if (reading === null) return
    this.pending = null
    const { delivered } = this.parts
    const current = delivered.allVisible(reading.snapshot, null, reading.lsn)
    delivered.hold(null)
    if (!current) {
      // It lacks a commit that the log has shown: it would take structures back.
      this.parts.poll.forget()
      return
    }
    const { registry, sourceEpoch } = this.parts
    registry.publication = reading.publication
    const order = orderOfLsn(sourceEpoch, reading.lsn)
    const seen = new Set<number>()
    let whole = reading.later.size === 0
    for (const table of reading.tables) {
      seen.add(table.oid)
      const older = (this.readAt.get(table.oid) ?? 0) > this.pendingSerial
      if (older || this.isUncounted(table, reading)) {
        this.parts.poll.forget()
        whole = false
      } else this.applyTable(table, reading, order)
    }
    if (whole) this.inEffect = this.begun
    for (const [key, error] of reading.refused) this.refuse(key, error)
    this.forgetRefusals(reading, order)
    for (const known of registry.all()) {
      const key = tableKey(known.shape.source)
      const { oid } = known.shape
      if (seen.has(oid) || reading.refused.has(key) || reading.later.has(oid)) continue
      registry.forget(known)
      tables.set(known.shape.oid, null)
      this.context.tableDropped(key, order)
    }
    for (const table of tables.values()) if (table !== null) this.refresh(table)
  }

  /** The log had not shown yet which rows to look for when the reading was made. */
  private isUncounted(table: CatalogTable, { counted }: Reading): boolean {
    const before = this.parts.registry.withOid(table.oid)
    if (before?.shape.kind !== 'p') return false
    const known = counted.get(table.oid) ?? []
    return claimsOn(before, table).some((claim) => !isCounted(claim, known))
  }

  private applyTable(table: CatalogTable, reading: Reading, order: Order): void {
    const { registry } = this.parts
    const known = registry.withOid(table.oid)
    const key = tableKey(table)
    const sameName = known !== null && tableKey(known.shape.source) === key
    const before = sameName ? known : null
    if (known !== null && before === null) {
      this.context.tableDropped(tableKey(known.shape.source), order)
    }
    this.dropNamesake(key, table.oid, order)
    try {
      const shape = registry.shapeNow(table, before)
      const joined = reading.joined.has(table.oid)
      const read = registry.knownOf(table, shape, before, reading.xid)
      const gap = before === null ? null : membershipGap(before, read, joined)
      // A transaction that was open when the table joined, or came back, may have written rows that
      // no event will carry: its chunks wait until none before `xid` is running (H4).
      const stayed = before !== null && !joined && gap === null
      const joinedAt = stayed ? before.joinedAt : read.joinedAt
      const now = { ...read, joinedAt, ...this.loggedLater(before, table, reading) }
      registry.set(now)
      if (before === null) {
        this.context.tableChanged(shape.source, order)
        return
      }
      const silent =
        gap ?? partsChange(before, table, reading) ?? silentChange(before, now, table, reading.kept)
      if (silent !== null) this.context.park(key, silent)
      // Also of a table that was just parked: a resync starts from the structure it was told last.
      if (silent !== null || signatureOf(before.shape) !== signatureOf(shape)) {
        this.context.tableChanged(shape.source, order)
      }
      this.refusals.delete(key)
    } catch (error) {
      this.refuse(key, asPipelineError(error))
    }
  }

  /** Another table had the name: what was wrong with it is no matter of this one. */
  private dropNamesake(key: string, oid: number, order: Order): void {
    const { registry } = this.parts
    const namesake = registry.named(key)
    if (namesake === null || namesake.shape.oid === oid) return
    registry.forget(namesake)
    this.context.tableDropped(key, order)
  }

  /** What the log has shown of partitions that a later reading is to explain. */
  private loggedLater(
    before: KnownTable | null,
    table: CatalogTable,
    { snapshot, empty }: Reading,
  ): Pick<KnownTable, 'truncatedBy' | 'firstRows' | 'unwritten'> {
    if (before?.shape.kind !== 'p') return { truncatedBy: [], firstRows: [], unwritten: null }
    const found = empty.get(table.oid)
    const silent = (found ?? []).filter((leaf) => !this.leafRows.wasAnnounced(leaf))
    const looked = before.unwritten !== null || found !== undefined
    return {
      truncatedBy: laterRows(before.truncatedBy, snapshot),
      firstRows: laterRows(before.firstRows, snapshot),
      unwritten: looked ? stillUnwritten(before, table, silent) : null,
    }
  }

  /** Tables that could not be taken in and are gone. */
  private forgetRefusals({ tables, refused, later }: Reading, order: Order): void {
    // Nothing is said of these, not even their names.
    if (later.size > 0) return
    const there = new Set([...tables.map(tableKey), ...refused.keys()])
    for (const key of this.refusals.keys()) {
      if (there.has(key)) continue
      this.refusals.delete(key)
      this.context.tableDropped(key, order)
    }
  }

  private refuse(key: string, error: PipelineError): void {
    if (this.refusals.get(key) === error.message) return
    this.refusals.set(key, error.message)
    this.context.park(key, error)
  }

  /**
   * Finds out what a relation is, from the catalog. A commit is in the log before readers see it,
   * so this waits until the catalog shows all that the log has delivered; it does not where a
   * session only announces again what is known.
   *
   * @param xid  of the transaction whose rows follow
   */
  async prepare(relation: Relation, xid: number, signal: AbortSignal): Promise<Prepared> {
    const { registry, ask, options } = this.parts
    const old = registry.withOid(relation.oid)
    const key = tableKey(relation)
    if (!registry.captured(relation.namespace, relation.name)) return { kind: 'foreign' }
    const before = old !== null && tableKey(old.shape.source) === key ? old : null
    for (let attempt = 0; ; attempt++) {
      // Asked before the catalog is read: none of the commits that it lacks altered the table then.
      const unaltered = attempt > 0 && !(await isBeingAltered(ask, relation.oid))
      this.readAt.set(relation.oid, ++this.serial)
      const reading = await readTables(ask, [relation.oid])
      const table = reading.tables[0] ?? goneTable(relation, before)
      // The server announces a partition too, although its rows come under the root's name.
      if (table?.isPartition === true) return { kind: 'foreign' }
      if (table !== null) await this.loadTypes(relation, table)
      const known = unaltered && table !== null && this.isKnown(relation, before, table)
      if (known || this.shows(reading.snapshot, xid)) {
        return table === null ? { kind: 'foreign' } : this.match(relation, xid, table, before)
      }
      if (attempt % WARN_EVERY === WARN_EVERY - 1) {
        options.log.warn('waiting for a commit that the log has shown to become visible', { key })
      }
      await options.clock.sleep(CATALOG_RETRY_MS, signal)
    }
  }

  private async loadTypes(relation: Relation, table: CatalogTable): Promise<void> {
    const { registry, ask } = this.parts
    await registry.types.load(
      ask,
      relation.columns.map(({ type }) => type),
    )
    await loadTypes(registry.types, ask, [table])
  }

  private shows(snapshot: Snapshot, xid: number): boolean {
    return this.parts.delivered.allVisible(snapshot, xid, Number.POSITIVE_INFINITY)
  }

  /** The first announcement in a session, of a shape that log and catalog agree on. */
  private isKnown(relation: Relation, before: KnownTable | null, table: CatalogTable): boolean {
    if (before === null || this.announced.has(relation.oid)) return false
    const source = this.parts.registry.shapeSource(relation.oid)
    const now = table.columns.filter((column) => !column.dropped && isInLog(column, source))
    const numbers = JSON.stringify(now.map(({ attnum }) => attnum))
    const { columns } = before.shape
    if (numbers !== JSON.stringify(columns.map(({ attnum }) => attnum))) return false
    return sameColumns(relation.columns, columns) && sameColumns(columns, now)
  }

  private async match(
    relation: Relation,
    xid: number,
    table: CatalogTable,
    before: KnownTable | null,
  ): Promise<Prepared> {
    const { oid, columns } = relation
    const source = this.parts.registry.shapeSource(oid)
    const earlier = before?.shape.columns ?? []
    const now = table.columns.filter((column) => isInLog(column, source))
    const match = matchColumns(columns, earlier, now, xid)
    const order = dropOrder(columns, earlier, now, xid, !this.announced.has(oid))
    // Rows of columns as before were taken to be behind a drop of their transaction. Then something
    // in it has the table announced again: it may have been the drop.
    const again = this.dropper.get(oid) === xid
    if (order === 'own' && sameColumns(columns, earlier)) this.dropper.set(oid, xid)
    if (match.kind === 'matched' && order !== 'unclear' && !again) {
      return this.known(relation, match.attnums, table, before)
    }
    const key = tableKey(relation)
    return { kind: 'refused', key, error: unclear(key) }
  }

  private async known(
    relation: Relation,
    attnums: readonly number[],
    table: CatalogTable,
    before: KnownTable | null,
  ): Promise<Prepared> {
    const { registry, ask } = this.parts
    const source = registry.shapeSource(relation.oid)
    try {
      const shape = shapeOfRelation(relation, attnums, table, before, source)
      const joinedAt = before === null ? await nextXid(ask) : before.joinedAt
      const latest = registry.knownOf(table, shape, before, joinedAt)
      if (before === null) {
        const reading = asOfRelation(latest.reading, attnums, table, source)
        return { kind: 'known', table: { ...latest, reading }, before, silent: null }
      }
      // Whether the table has left and come back since is for the next poll to find, by this.
      const read = { ...latest, memberSince: before.memberSince }
      // A catalog that is ahead of the log has files of a change that is still to come in the log:
      // taken down now, nothing would show then that the change wrote all rows anew. New files of a
      // partition may come from a TRUNCATE that the log is still to show: a poll knows that.
      const waits = table.kind === 'p' || this.isAhead(shape, table, before)
      const now = waits ? { ...read, reading: before.reading } : read
      const silent = silentChange(before, now, table, new Set())
      return { kind: 'known', table: now, before, silent }
    } catch (error) {
      return { kind: 'refused', key: tableKey(relation), error: asPipelineError(error) }
    }
  }

  /** True when the catalog shows the table in another shape than the log does here. */
  private isAhead(shape: TableShape, table: CatalogTable, before: KnownTable): boolean {
    try {
      return signatureOf(this.parts.registry.shapeNow(table, before)) !== signatureOf(shape)
    } catch (error) {
      // A type that the lake cannot hold came with the change.
      if (error instanceof PipelineError) return true
      throw error
    }
  }

  /**
   * True when nothing has to be told, and the decoder may stay. A table that has got its name back
   * from another one looks as before, and the name's rows are the other's.
   */
  isSame(current: LogTable, prepared: Prepared): boolean {
    if (prepared.kind !== 'known' || prepared.silent !== null) return false
    if (prepared.before === null) return false
    const { shape } = prepared.table
    const columns = JSON.stringify(current.shape.columns) === JSON.stringify(shape.columns)
    return columns && signatureOf(current.shape) === signatureOf(shape)
  }

  /** Remembers what the catalog said, without a change. */
  keep(prepared: Prepared): void {
    if (prepared.kind === 'known') this.parts.registry.set(prepared.table)
  }

  /** The log empties the tables of one TRUNCATE. */
  truncated(tables: readonly LogTable[], sequence: number, order: Order): void {
    this.leafRows.truncate(sequence)
    for (const { key } of tables) this.context.tableTruncated(key, order)
  }

  /** A new session announces every table anew. */
  restart(): void {
    this.announced.clear()
    this.dropper.clear()
  }

  /** Tells the runtime. @returns the table for the rows that follow; `null`: skip them */
  announce(prepared: Prepared, relation: Relation, order: Order): LogTable | null {
    this.announced.add(relation.oid)
    const { registry, options } = this.parts
    const old = registry.withOid(relation.oid)
    if (old !== null && tableKey(old.shape.source) !== tableKey(relation)) {
      registry.forget(old)
      this.context.tableDropped(tableKey(old.shape.source), order)
    }
    if (prepared.kind === 'foreign') return null
    this.dropNamesake(tableKey(relation), relation.oid, order)
    if (prepared.kind === 'refused') {
      this.refuse(prepared.key, prepared.error)
      return null
    }
    const { table, before, silent } = prepared
    registry.set(table)
    const logTable = new LogTable(table.shape, options.unrepresentable === 'null')
    if (silent !== null) {
      this.context.park(logTable.key, silent)
      // A resync starts from the structure that it was told last.
      this.context.tableChanged(table.shape.source, order)
      return logTable
    }
    if (before === null || signatureOf(before.shape) !== signatureOf(table.shape)) {
      this.context.tableChanged(table.shape.source, order)
    }
    this.refresh(logTable)
    return logTable
  }

  /**
   * Takes over the structure that the runtime has for the table; no rows may be open. A table that
   * has lost its name to another takes no rows until the server announces it anew.
   */
  refresh(table: LogTable): void {
    const known = this.parts.registry.withOid(table.shape.oid)
    const isNamed = known !== null && tableKey(known.shape.source) === table.key
    try {
      table.use(isNamed ? this.context.schemaOf(table.key) : null, this.context.oldRows(table.key))
    } catch (error) {
      this.context.park(table.key, asPipelineError(error))
    }
  }

  /**
   * A row has null in a column that the catalog calls NOT NULL: the catalog is ahead of the log.
   */
  loosen(table: LogTable, parser: LogParser, order: Order): void {
    const { registry } = this.parts
    const column = table.shape.columns[parser.column]
    const known = registry.withOid(table.shape.oid)
    if (column === undefined || known === null) return
    if (table.keyColumns.includes(parser.column)) {
      this.context.park(table.key, nullKey(table.key, column.name))
      table.use(null)
      return
    }
    const loosened = new Set([...known.loosened, column.attnum])
    const shape = withNullable(table.shape, column.attnum)
    registry.set({ ...known, shape, loosened })
    const next = new LogTable(shape, this.parts.options.unrepresentable === 'null')
    next.parkedRows = table.parkedRows
    const schema = this.context.tableChanged(shape.source, order)
    const field = schema?.fields.find(({ identity }) => identity === String(column.attnum))
    if (field?.nullable === false) {
      const message = `column "${column.name}" of table "${table.key}" is null where it may not be`
      this.context.park(table.key, new PipelineError('VALUE_UNREPRESENTABLE', message))
    }
    this.refresh(next)
    parser.announce(shape.oid, next)
  }

  /** A row cannot be read: its table takes no more. */
  park(table: LogTable, parser: LogParser): void {
    this.context.park(table.key, unreadableRow(table, parser))
    table.use(null)
  }
}

function partsChange(
  before: KnownTable,
  table: CatalogTable,
  { kept, counted, snapshot }: Reading,
): PipelineError | null {
  if (table.kind !== 'p') return null
  return partitionChange(before, table, kept, counted.get(table.oid) ?? [], snapshot)
}

function asPipelineError(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  throw error
}
