// The Relation message, and which columns of the catalog its columns are. The log names columns as
// they were when the rows were written; the catalog knows their numbers, but as of now.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { CatalogColumn } from './catalog.ts'
import { uint16At, uint32At, utf8 } from './wire.ts'

export interface RelationColumn {
  readonly name: string
  readonly type: number
  readonly modifier: number
  /** Part of the replica identity. */
  readonly key: boolean
}

export interface Relation {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  /** Replica identity: d default, f full, i index, n nothing. */
  readonly identity: string
  /** In the order of attnum. */
  readonly columns: readonly RelationColumn[]
}

/** Reads a Relation message; `start` is behind its type byte. */
export function readRelation(bytes: Uint8Array, start: number, end: number): Relation {
  const oid = uint32At(bytes, start)
  const namespaceEnd = zeroAt(bytes, start + 4, end)
  const nameEnd = zeroAt(bytes, namespaceEnd + 1, end)
  const identity = String.fromCharCode(bytes[nameEnd + 1] ?? 0)
  const count = uint16At(bytes, nameEnd + 2)
  const columns: RelationColumn[] = []
  let at = nameEnd + 4
  for (let column = 0; column < count; column++) {
    const stop = zeroAt(bytes, at + 1, end)
    columns.push({
      name: utf8(bytes, at + 1, stop),
      type: uint32At(bytes, stop + 1),
      modifier: uint32At(bytes, stop + 5) | 0,
      key: ((bytes[at] ?? 0) & 1) === 1,
    })
    at = stop + 9
  }
  // pgoutput writes no name for the schema pg_catalog.
  const namespace = utf8(bytes, start + 4, namespaceEnd) || 'pg_catalog'
  return { oid, namespace, name: utf8(bytes, namespaceEnd + 1, nameEnd), identity, columns }
}

function zeroAt(bytes: Uint8Array, start: number, end: number): number {
  const zero = bytes.indexOf(0, start)
  if (zero === -1 || zero >= end) throw new PipelineError('LOG_CORRUPT', 'a name has no end')
  return zero
}

/** True when the log has the same names and types, whatever the numbers of the columns are. */
export function sameColumns(one: readonly DeclaredColumn[], other: typeof one): boolean {
  const text = (columns: typeof one): string =>
    JSON.stringify(columns.map(({ name, type, modifier }) => [name, type, modifier]))
  return text(one) === text(other)
}

type DeclaredColumn = Pick<RelationColumn, 'name' | 'type' | 'modifier'>

/** What is known of one column number: its name at an earlier place of the log and now. */
interface Candidate {
  readonly attnum: number
  readonly before: string | null
  readonly now: string | null
  /** Types that it is known to have had; []: none is. */
  readonly types: readonly number[]
  /** Of a column that has been dropped since: whether the rows in question came first. */
  readonly aliveByXid: boolean | null
}

/** A name that fits nothing known is believed only where no other alignment exists. */
const STRANGE_NAME = 1
/** A type that fits nothing known counts less: most changes of a type keep the column. */
const STRANGE_TYPE = 1 / 64
/** Less than both, more than nothing. */
const AGAINST_XID = 1 / 4096

export type ColumnMatch =
  | { readonly kind: 'matched'; readonly attnums: readonly number[] }
  /** The catalog that was read does not show the change yet: read it again. */
  | { readonly kind: 'too-early' }
  /** Several answers are equally likely. */
  | { readonly kind: 'ambiguous' }

/** A column of the log; without a type, only names are compared. */
export type LoggedColumn = { readonly name: string; readonly type?: number }
/** Columns as the log had them at an earlier place. */
export type NumberedColumn = LoggedColumn & { readonly attnum: number }

/**
 * Gives each column of a relation its attnum. Both are in one order, so this is an alignment: a
 * column that existed before and exists now must be in it; a name that fits neither is a column
 * that was renamed twice in between. The cheapest alignment is taken if there is just one.
 *
 * A column that was dropped and added again under its name and type leaves two alignments. Then ids
 * decide: who writes rows of a table and who alters it exclude each other, and ALTER TABLE takes
 * its id under its lock, so rows of a smaller id came before the drop. (An id that a longer
 * transaction took for something else can mislead, if the relation is also announced anew just
 * then.)
 *
 * @param columns  of the relation
 * @param before  the columns at the last place of the log that was understood; [] at first
 * @param now  the catalog's columns, dropped ones included, as far as the log carries them
 * @param xid  of the transaction that wrote the rows, 32 bits; `null`: ids decide nothing
 */
export function matchColumns(
  columns: readonly LoggedColumn[],
  before: readonly NumberedColumn[],
  now: readonly CatalogColumn[],
  xid: number | null,
): ColumnMatch {
  const candidates = candidatesOf(before, now, xid)
  const width = candidates.length
  const height = columns.length
  const costs = newTable(height, width, Number.POSITIVE_INFINITY)
  const ways = newTable(height, width, 0)
  setCell(costs, 0, 0, 0)
  setCell(ways, 0, 0, 1)
  for (const [at, candidate] of candidates.entries()) {
    for (let matched = 0; matched <= Math.min(at, height); matched++) {
      const cost = cell(costs, matched, at)
      if (cost === Number.POSITIVE_INFINITY) continue
      const count = cell(ways, matched, at)
      const skip = skipCost(candidate, matched === height)
      if (skip !== null) relax(costs, ways, matched, at + 1, cost + skip, count)
      const column = columns[matched]
      if (column === undefined) continue
      relax(costs, ways, matched + 1, at + 1, cost + matchCost(candidate, column), count)
    }
  }
  const best = cell(costs, height, width)
  if (best === Number.POSITIVE_INFINITY) return { kind: 'too-early' }
  if (cell(ways, height, width) > 1) return { kind: 'ambiguous' }
  return { kind: 'matched', attnums: trace(columns, candidates, costs) }
}

/** How much the ids of two transactions say of rows and the drop of a column of their table. */
export type DropOrder =
  /** One of them came first, or there is just one alignment. */
  | 'clear'
  /** The transaction that wrote the rows has dropped a column itself, presumably before. */
  | 'own'
  /** It may have dropped the column itself, before these rows or behind them. */
  | 'unclear'

/**
 * Whether ids may decide between two alignments. They do not say on which side of a drop rows are
 * that were written by the same transaction. A drop in one of its subtransactions (a savepoint, a
 * block with an exception handler) has an id of its own, a larger one, like that of a later
 * transaction.
 *
 * A drop has the server announce the table again. So where a session has announced the table
 * before, rows come behind the drop of their own transaction.
 *
 * @param isFirst  the session has not announced the table before
 */
export function dropOrder(
  columns: readonly LoggedColumn[],
  before: readonly NumberedColumn[],
  now: readonly CatalogColumn[],
  xid: number,
  isFirst: boolean,
): DropOrder {
  const known = new Set(before.map(({ attnum }) => attnum))
  const ages = now
    .filter(({ dropped, attnum }) => dropped && known.has(attnum))
    .map((column) => xidsSince(column, xid))
  if (ages.every((age) => age > 0)) return 'clear'
  if (matchColumns(columns, before, now, null).kind !== 'ambiguous') return 'clear'
  // One is 0, then: the drop is the transaction's own.
  return !isFirst && ages.every((age) => age >= 0) ? 'own' : 'unclear'
}

/** How many ids `xid` lies behind the last change of a column; ids are compared in a circle. */
function xidsSince({ changedBy }: CatalogColumn, xid: number): number {
  return (xid - Number(changedBy)) | 0
}

function matchCost(candidate: Candidate, { name, type }: LoggedColumn): number {
  const { before, now, types, aliveByXid } = candidate
  const strange = name === before || name === now ? 0 : STRANGE_NAME
  const other = type !== undefined && types.length > 0 && !types.includes(type)
  return strange + (other ? STRANGE_TYPE : 0) + (aliveByXid === false ? AGAINST_XID : 0)
}

/**
 * Numbers are given in order, so a column that exists now existed whenever a later one did.
 *
 * @param last  no column of the relation comes behind it
 * @returns what it costs to leave the column out; `null`: it must be there
 */
function skipCost({ before, now, aliveByXid }: Candidate, last: boolean): number | null {
  if (now !== null && (before !== null || !last)) return null
  return aliveByXid === true ? AGAINST_XID : 0
}

function candidatesOf(
  before: readonly NumberedColumn[],
  now: readonly CatalogColumn[],
  xid: number | null,
): readonly Candidate[] {
  const earlier = new Map(before.map((column) => [column.attnum, column]))
  const lastBefore = Math.max(0, ...earlier.keys())
  return now
    .map((column) => {
      const { attnum, name, type, dropped } = column
      const known = earlier.get(attnum)
      return {
        attnum,
        before: known?.name ?? null,
        now: dropped ? null : name,
        // The catalog forgets the type of a dropped column.
        types: [known?.type, dropped ? undefined : type].filter((one) => one !== undefined),
        aliveByXid: dropped && xid !== null ? xidsSince(column, xid) < 0 : null,
      }
    })
    .filter(({ attnum, before, now }) => before !== null || now !== null || attnum > lastBefore)
}

interface Table {
  readonly width: number
  readonly cells: Float64Array
}

function newTable(rows: number, columns: number, value: number): Table {
  return { width: columns + 1, cells: new Float64Array((rows + 1) * (columns + 1)).fill(value) }
}

function cell({ width, cells }: Table, row: number, column: number): number {
  return cells[row * width + column] ?? Number.POSITIVE_INFINITY
}

function setCell({ width, cells }: Table, row: number, column: number, value: number): void {
  cells[row * width + column] = value
}

function relax(
  costs: Table,
  ways: Table,
  row: number,
  column: number,
  cost: number,
  count: number,
): void {
  const known = cell(costs, row, column)
  if (cost > known) return
  setCell(ways, row, column, cost === known ? cell(ways, row, column) + count : count)
  setCell(costs, row, column, cost)
}

/** Walks the one cheapest alignment back from its end. */
function trace(
  columns: readonly LoggedColumn[],
  candidates: readonly Candidate[],
  costs: Table,
): number[] {
  const attnums: number[] = []
  let matched = columns.length
  for (let at = candidates.length; at > 0 && matched > 0; at--) {
    const candidate = candidates[at - 1]
    const column = columns[matched - 1]
    if (candidate === undefined || column === undefined) break
    const before = cell(costs, matched - 1, at - 1)
    if (cell(costs, matched, at) === before + matchCost(candidate, column)) {
      attnums.unshift(candidate.attnum)
      matched--
    }
  }
  return attnums
}
