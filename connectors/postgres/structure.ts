// Looks at the catalog while the log is read, for what the log does not carry: tables that appear
// or go, columns of tables without new rows, comments, and rewrites. A reading is true of the place
// of the log where it was taken, so its findings wait until the log has been read up to there.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import {
  fingerprint,
  listTables,
  loadTypes,
  readTables,
  type Ask,
  type CatalogTable,
} from './catalog.ts'
import { LOCK_TIMEOUT, sqlStateOf } from './connect.ts'
import { countClaims, readEmpty, type Counted } from './leaf-rows.ts'
import { visibleEnd } from './log-end.ts'
import type { Lsn } from './lsn.ts'
import { readKept } from './partitions.ts'
import {
  addTablesSql,
  readPublication,
  requireUnchanged,
  requireWhole,
  unpublishable,
  unusableMembership,
  type Publication,
} from './publication.ts'
import type { ServerFacts } from './server.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'
import type { TableRegistry } from './tables.ts'

/** What is found out about single tables at a reading. */
interface Findings {
  /** Captured tables that cannot be read, and why. */
  readonly refused: Map<string, PipelineError>
  /** Oids of tables that joined the publication for this reading. */
  readonly joined: Set<number>
  /** Oids of leaves with other files than before that have kept rows. */
  readonly kept: Set<number>
  /** By oid: rows of a partitioned table that were looked for. */
  readonly counted: Map<number, readonly Counted[]>
  /** By oid: partitions without rows, of a table where that was not known. */
  readonly empty: Map<number, readonly number[]>
  /** Oids of tables that somebody holds a lock on: nothing is said of them this time. */
  readonly later: Set<number>
}

/** A reading of the catalog that differs from the one before. */
export interface Reading extends Readonly<Findings> {
  /** All that it shows was written before. It may lack what was written at the same moment. */
  readonly lsn: Lsn
  /** Of the reading; later than every change that it shows. */
  readonly snapshot: Snapshot
  /** Captured tables that can be read. */
  readonly tables: readonly CatalogTable[]
  readonly publication: Publication
  /** A transaction id that was still to be given when `publication` was read. */
  readonly xid: number
}

const ATTEMPTS = 5

export class StructurePoll {
  private readonly ask: Ask
  private readonly registry: TableRegistry
  private readonly facts: ServerFacts
  private last = ''

  constructor(ask: Ask, registry: TableRegistry, facts: ServerFacts) {
    this.ask = ask
    this.registry = registry
    this.facts = facts
  }

  /** The next poll reads everything again. */
  forget(): void {
    this.last = ''
  }

  /**
   * @returns what the catalog says now; `null` when it says what it said before
   * @throws PipelineError LOG_GAP when the publication is gone or another one, SERVER_UNSUITABLE
   *         when it leaves out changes of a kind
   */
  async poll(): Promise<Reading | null> {
    for (let attempt = 1; ; attempt++) {
      const reading = await this.look(attempt < ATTEMPTS)
      if (reading !== 'moved') return reading
    }
  }

  /**
   * List and reading are two snapshots. A table that is dropped and created between them would look
   * like one that is gone, so then both are taken again (`mayMove`).
   */
  private async look(mayMove: boolean): Promise<Reading | 'moved' | null> {
    const { ask, registry } = this
    const listed = await listTables(ask)
    const captured = listed.filter(({ namespace, name }) => registry.captured(namespace, name))
    const oids = captured.map(({ oid }) => oid)
    for (const { shape } of registry.all()) if (!oids.includes(shape.oid)) oids.push(shape.oid)
    const publication = await readPublication(ask, registry.options.publication, this.facts.version)
    this.requirePublication(publication)
    const members = [...publication.members].map(([oid, { since }]) => `${oid}:${since}`)
    const now = [await fingerprint(ask, oids), members.sort().join()].join(' ')
    if (now === this.last) return null
    const { tables, snapshot } = await readTables(ask, oids)
    const found = new Set(tables.map(({ oid }) => oid))
    if (mayMove && captured.some(({ oid }) => !found.has(oid))) return 'moved'
    this.last = now
    return this.read(tables, snapshot, publication)
  }

  private async read(
    tables: readonly CatalogTable[],
    snapshot: Snapshot,
    before: Publication,
  ): Promise<Reading> {
    const { ask, registry } = this
    const lsn = await visibleEnd(ask, registry.options.clock, this.facts)
    await registry.types.refresh(ask)
    await loadTypes(registry.types, ask, tables)
    const captured = tables.filter(
      ({ namespace, name, isPartition }) => !isPartition && registry.captured(namespace, name),
    )
    const found: Findings = {
      refused: new Map(),
      joined: new Set(),
      kept: new Set(),
      counted: new Map(),
      empty: new Map(),
      later: new Set(),
    }
    for (const table of captured) await this.examine(table, before, found)
    let publication = before
    let xid = snapshot.xmax
    if (found.joined.size > 0) {
      const after = await readPublication(ask, registry.options.publication, this.facts.version)
      this.requirePublication(after)
      publication = after
      xid = await nextXid(ask)
    }
    const { refused, later } = found
    const readable = captured.filter(
      (table) => !refused.has(tableKey(table)) && !later.has(table.oid),
    )
    return { lsn, snapshot, tables: readable, ...found, publication, xid }
  }

  /** Whether a table can be read, and lets it join the publication where it is no member. */
  private async examine(
    table: CatalogTable,
    publication: Publication,
    found: Findings,
  ): Promise<void> {
    const { ask, registry } = this
    const { options } = registry
    const { refused, joined, later } = found
    const reason = unpublishable(table, options.keyed) ?? unusableMembership(publication, table)
    if (reason !== null) {
      refused.set(tableKey(table), reason)
      return
    }
    const known = registry.withOid(table.oid)
    const isMember = publication.members.has(table.oid)
    try {
      if (known?.shape.kind === 'p') await this.examineLeaves(known, table, found)
      if (isMember && known !== null) return
      if (!isMember) await ask(addTablesSql(options.publication, [table]))
      joined.add(table.oid)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      if (sqlStateOf(error) === LOCK_TIMEOUT) {
        // VACUUM holds such a lock for as long as it takes; the other tables need not wait.
        later.add(table.oid)
        this.forget()
      } else if (error.error === 'CONNECT_FAILED') throw error
      else refused.set(tableKey(table), error)
    }
  }

  private async examineLeaves(
    known: KnownTable,
    table: CatalogTable,
    { kept, counted, empty }: Findings,
  ): Promise<void> {
    const { ask } = this
    for (const leaf of await readKept(ask, known, table)) kept.add(leaf)
    counted.set(table.oid, await countClaims(ask, known, table))
    if (known.unwritten === null) empty.set(table.oid, await readEmpty(ask, table))
  }

  private requirePublication(now: Publication | null): asserts now is Publication {
    const { publication, options } = this.registry
    if (now !== null) requireWhole(now, options.publication)
    requireUnchanged(now, publication, options.publication)
  }
}

/** @returns the id that the next transaction will take, or a later one */
export async function nextXid(ask: Ask): Promise<number> {
  const [row] = await ask('SELECT pg_current_snapshot()::text AS snapshot')
  return parseSnapshot(String(row?.['snapshot'])).xmax
}
