// What the log says of the rows of single partitions. A TRUNCATE of a partition is not in it, and
// where the same transaction has made the partition's file it leaves no trace in the catalog
// either. What is left then are the rows: as many must be there as the log has brought.

import type { Ask, CatalogTable } from './catalog.ts'
import { CANCELED, LOCK_TIMEOUT, sqlStateOf } from './connect.ts'
import type { RowCount } from './decode/log-parser.ts'
import { parseFiles, type Leaf } from './leaves.ts'
import { qualified } from './publication.ts'
import { isVisible, widenXid, type Snapshot } from './snapshot.ts'
import type { FirstRows, KnownTable, LoggedRows } from './state.ts'
import type { TableRegistry } from './tables.ts'

/** TRUNCATEs of one table that are remembered between two readings; only the last one counts. */
const TRUNCATES_MAX = 64
/** Blocks that one question counts in, about half a gigabyte: others wait behind it. */
const BLOCKS_AT_ONCE = 65_536

/** Rows that must be there if no partition was emptied in secret. */
export interface Claim extends LoggedRows {
  /** Partitions that may have them: those that had no rows before, or every one. */
  readonly among: 'new' | 'all'
}

/** A claim, and how many of its rows were found; -1: they cannot be counted. */
export interface Counted extends Claim {
  readonly found: number
}

/** Follows the transactions of the log. */
export class LeafRows {
  private readonly registry: TableRegistry
  /** Partitions that this process has seen announced: they have rows, or had some. */
  private readonly announced = new Set<number>()
  /** Partitions announced since the last row. */
  private latest: { readonly root: number; readonly leaf: number; readonly sequence: number }[] = []

  constructor(registry: TableRegistry) {
    this.registry = registry
  }

  wasAnnounced(leaf: number): boolean {
    return this.announced.has(leaf)
  }

  /**
   * The server announces a partition before its first row in a session, right behind its root.
   *
   * @param sequence  number of the next row in the transaction
   * @returns true when the rows of this transaction are to be counted
   */
  announce(root: number, leaf: number, xid: number, sequence: number): boolean {
    const known = this.registry.withOid(root)
    if (known?.shape.kind !== 'p' || this.registry.withOid(leaf) !== null) return false
    this.announced.add(leaf)
    const isNew = !parseFiles(known.reading.files).has(leaf)
    if (!isNew && known.unwritten?.includes(leaf) !== true) return false
    const earlier = known.firstRows.find((first) => first.leaf === leaf)
    if (earlier !== undefined && earlier.xid !== xid) return false
    this.latest = this.latest.filter((one) => one.sequence === sequence)
    this.latest.push({ root, leaf, sequence })
    const others = known.firstRows.filter((first) => first.leaf !== leaf)
    const first: FirstRows = { leaf, xid, rows: -1, among: 'all' }
    this.registry.set({ ...known, firstRows: [...others, first] })
    return true
  }

  /** A TRUNCATE announces its tables one behind the other: they were no partitions. */
  truncate(sequence: number): void {
    for (const { root, leaf, sequence: at } of this.latest) {
      const known = this.registry.withOid(root)
      if (at !== sequence || known === null) continue
      const firstRows = known.firstRows.filter((first) => first.leaf !== leaf)
      this.registry.set({ ...known, firstRows })
    }
    this.latest = []
  }

  commit(xid: number, counts: ReadonlyMap<number, RowCount>): void {
    this.latest = []
    for (const [oid, count] of counts) {
      const known = this.registry.withOid(oid)
      if (known === null) continue
      const { rows, among } = claimOf(count)
      const others = known.truncatedBy.filter((one) => one.xid !== xid)
      const truncatedBy = count.emptied ? [...others, { xid, rows }] : known.truncatedBy
      const firstRows = known.firstRows.map((first) =>
        first.xid === xid ? { ...first, rows, among } : first,
      )
      this.registry.set({ ...known, firstRows, truncatedBy: truncatedBy.slice(-TRUNCATES_MAX) })
    }
  }
}

/**
 * How many rows that the transaction has written are there at its end. Behind a TRUNCATE all that
 * is there is from it. Otherwise a row that it deletes may have been its own, and one that it
 * updates becomes its own: then only partitions that had no rows before can be told.
 */
function claimOf({ inserted, updated, deleted, emptied }: RowCount): Omit<Claim, 'xid'> {
  if (emptied) return { rows: inserted - deleted, among: 'all' }
  return { rows: deleted > 0 ? -1 : inserted, among: updated > 0 ? 'new' : 'all' }
}

/** The claims that must hold for a reading of the catalog to be taken as it is. */
export function claimsOn(before: KnownTable, { leaves }: CatalogTable): readonly Claim[] {
  const files = parseFiles(before.reading.files)
  const emptied = before.truncatedBy.filter(
    ({ xid, rows }) =>
      rows !== 0 &&
      leaves.some(
        ({ oid, file, changedBy }) => files.get(oid) !== file && Number(changedBy) === xid,
      ),
  )
  // A file that the transaction has made itself is emptied in its place.
  const created = before.firstRows.filter(({ leaf, xid }) =>
    leaves.some(({ oid, file, createdBy }) => {
      if (oid !== leaf) return false
      return ((Number(createdBy) - xid) | 0) >= 0 || (files.get(oid) ?? String(oid)) !== file
    }),
  )
  const claims = [...emptied.map((one): Claim => ({ ...one, among: 'all' })), ...created]
  return claims.map(({ xid, rows, among }) => ({ xid, rows, among }))
}

export function isCounted(claim: Claim, counted: readonly Counted[]): boolean {
  return foundOf(claim, counted) !== undefined
}

/** @returns a claim that does not hold; `undefined`: all hold */
export function brokenClaim(
  before: KnownTable,
  table: CatalogTable,
  counted: readonly Counted[],
): Counted | undefined {
  return claimsOn(before, table)
    .map((claim): Counted => ({ ...claim, found: foundOf(claim, counted) ?? -1 }))
    .find(({ rows, found }) => rows < 0 || rows !== found)
}

function foundOf(claim: Claim, counted: readonly Counted[]): number | undefined {
  return counted.find(
    ({ xid, rows, among }) => xid === claim.xid && rows === claim.rows && among === claim.among,
  )?.found
}

/** @throws PipelineError CONNECT_FAILED, also when a partition is locked */
export async function countClaims(
  ask: Ask,
  before: KnownTable,
  table: CatalogTable,
): Promise<readonly Counted[]> {
  const filled = new Map(before.firstRows.map(({ leaf, xid }) => [leaf, xid]))
  const counted: Counted[] = []
  for (const claim of claimsOn(before, table)) {
    if (isCounted(claim, counted)) continue
    const isFirst = ({ oid }: Leaf): boolean => filled.get(oid) === claim.xid
    const first = table.leaves.filter(isFirst)
    const others = table.leaves.filter((leaf) => claim.among === 'all' && !isFirst(leaf))
    const found = await countRows(ask, [...first, ...others], claim)
    counted.push({ ...claim, found })
  }
  return counted
}

async function countRows(ask: Ask, leaves: readonly Leaf[], claim: Claim): Promise<number> {
  let found = 0
  try {
    for (const leaf of leaves) {
      if (found >= claim.rows) break
      found += await countIn(ask, leaf, claim.xid, claim.rows - found)
    }
    return found
  } catch (error) {
    if (!UNKNOWN_STATES.has(sqlStateOf(error))) throw error
    return -1
  }
}

/** Counts from the end, where new rows are, and no further than to `enough`. */
async function countIn(ask: Ask, leaf: Leaf, xid: number, enough: number): Promise<number> {
  const [size] = await ask(
    `SELECT pg_relation_size($1::oid) / current_setting('block_size')::int8 AS blocks`,
    [leaf.oid],
  )
  let found = 0
  for (let end = Number(size?.['blocks']); end > 0 && found < enough; end -= BLOCKS_AT_ONCE) {
    const start = Math.max(0, end - BLOCKS_AT_ONCE)
    const [row] = await ask(
      `SELECT count(*)::int8 AS found FROM ONLY ${qualified(leaf)}
       WHERE ctid >= '(${start},0)'::tid AND ctid < '(${end},0)'::tid AND xmin = '${xid}'::xid`,
    )
    found += Number(row?.['found'])
  }
  return found
}

/** It is gone, may not be read, or has too many rows to look through. */
export const UNKNOWN_STATES: ReadonlySet<string> = new Set(['42P01', '42501', CANCELED])

/** Partitions without rows; one that is locked or large is taken to have some. */
export async function readEmpty(ask: Ask, { leaves }: CatalogTable): Promise<readonly number[]> {
  const empty: number[] = []
  const locked = await ask(
    `SELECT relation::int8 AS oid FROM pg_locks WHERE locktype = 'relation'
       AND mode = 'AccessExclusiveLock' AND relation = ANY($1::oid[])`,
    [leaves.map(({ oid }) => oid)],
  )
  const skipped = new Set(locked.map(({ oid }) => Number(oid)))
  for (const leaf of leaves) {
    if (skipped.has(leaf.oid)) continue
    try {
      const [row] = await ask(`SELECT EXISTS (SELECT FROM ONLY ${qualified(leaf)}) AS filled`)
      if (row?.['filled'] === false) empty.push(leaf.oid)
    } catch (error) {
      // The others are not worth as long a wait each.
      if (sqlStateOf(error) === LOCK_TIMEOUT) break
      if (!UNKNOWN_STATES.has(sqlStateOf(error))) throw error
    }
  }
  return empty
}

/** Partitions that have had no row since we know the table, after a reading of it. */
export function stillUnwritten(
  before: KnownTable,
  table: CatalogTable,
  empty: readonly number[],
): readonly number[] {
  const files = parseFiles(before.reading.files)
  const came = table.leaves.filter(({ oid, attached }) => !attached && !files.has(oid))
  const unwritten = new Set([...(before.unwritten ?? empty), ...came.map(({ oid }) => oid)])
  for (const { leaf } of before.firstRows) unwritten.delete(leaf)
  return table.leaves.map(({ oid }) => oid).filter((oid) => unwritten.has(oid))
}

/** What the log has shown and `snapshot` has not: it is for a later reading. */
export function laterRows<T extends LoggedRows>(
  logged: readonly T[],
  snapshot: Snapshot,
): readonly T[] {
  return logged.filter(({ xid }) => !isIn(snapshot, xid))
}

export function isIn(snapshot: Snapshot, xid: number): boolean {
  return isVisible(snapshot, widenXid(xid, snapshot.xmax))
}
