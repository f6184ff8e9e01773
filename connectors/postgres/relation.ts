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

/** What is known of one column number: its name at an earlier place of the log and now. */
interface Candidate {
  readonly attnum: number
  readonly before: string | null
  readonly now: string | null
  /** Of a column that has been dropped since: whether the rows in question came first. */
  readonly aliveByXid: boolean | null
}

/** A name that fits nothing known is believed only where no other alignment exists. */
const STRANGE_NAME = 1
/** Less than a strange name, more than nothing. */
const AGAINST_XID = 1 / 4096

export type ColumnMatch =
  | { readonly kind: 'matched'; readonly attnums: readonly number[] }
  /** The catalog that was read does not show the change yet: read it again. */
  | { readonly kind: 'too-early' }
  /** Several answers are equally likely. */
  | { readonly kind: 'ambiguous' }

/** Columns as the log had them at an earlier place. */
export type NamedColumn = { readonly attnum: number; readonly name: string }

/**
 * Gives each column of a relation its attnum. Both are in one order, so this is an alignment: a
 * column that existed before and exists now must be in it; a name that fits neither is a column
 * that was renamed twice in between. The cheapest alignment is taken if there is just one.
 *
 * A column that was dropped and added again under its name leaves two alignments. Then ids decide:
 * who writes rows of a table and who alters it exclude each other, and ALTER TABLE takes its id
 * under its lock, so rows of a smaller id came before the drop. (An id that a longer transaction
 * took for something else can mislead, if the relation is also announced anew just then.)
 *
 * @param names  of the relation's columns
 * @param before  the columns at the last place of the log that was understood; [] at first
 * @param now  the catalog's columns, dropped ones included, as far as the log carries them
 * @param xid  of the transaction that wrote the rows, 32 bits
 */
export function matchColumns(
  names: readonly string[],
  before: readonly NamedColumn[],
  now: readonly CatalogColumn[],
  xid: number,
): ColumnMatch {
  const candidates = candidatesOf(before, now, xid)
  const width = candidates.length
  const costs = newTable(names.length, width, Number.POSITIVE_INFINITY)
  const ways = newTable(names.length, width, 0)
  setCell(costs, 0, 0, 0)
  setCell(ways, 0, 0, 1)
  for (const [at, candidate] of candidates.entries()) {
    for (let matched = 0; matched <= Math.min(at, names.length); matched++) {
      const cost = cell(costs, matched, at)
      if (cost === Number.POSITIVE_INFINITY) continue
      const count = cell(ways, matched, at)
      const skip = skipCost(candidate, matched === names.length)
      if (skip !== null) relax(costs, ways, matched, at + 1, cost + skip, count)
      const name = names[matched]
      if (name === undefined) continue
      relax(costs, ways, matched + 1, at + 1, cost + matchCost(candidate, name), count)
    }
  }
  const best = cell(costs, names.length, width)
  if (best === Number.POSITIVE_INFINITY) return { kind: 'too-early' }
  if (cell(ways, names.length, width) > 1) return { kind: 'ambiguous' }
  return { kind: 'matched', attnums: trace(names, candidates, costs) }
}

function matchCost({ before, now, aliveByXid }: Candidate, name: string): number {
  const strange = name === before || name === now ? 0 : STRANGE_NAME
  return aliveByXid === false ? strange + AGAINST_XID : strange
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
  before: readonly NamedColumn[],
  now: readonly CatalogColumn[],
  xid: number,
): readonly Candidate[] {
  const earlier = new Map(before.map(({ attnum, name }) => [attnum, name]))
  const lastBefore = Math.max(0, ...earlier.keys())
  return now
    .map(({ attnum, name, dropped, changedBy }) => ({
      attnum,
      before: earlier.get(attnum) ?? null,
      now: dropped ? null : name,
      aliveByXid: dropped ? ((xid - Number(changedBy)) | 0) < 0 : null,
    }))
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
function trace(names: readonly string[], candidates: readonly Candidate[], costs: Table): number[] {
  const attnums: number[] = []
  let matched = names.length
  for (let at = candidates.length; at > 0 && matched > 0; at--) {
    const candidate = candidates[at - 1]
    const name = names[matched - 1]
    if (candidate === undefined || name === undefined) break
    const before = cell(costs, matched - 1, at - 1)
    if (cell(costs, matched, at) === before + matchCost(candidate, name)) {
      attnums.unshift(candidate.attnum)
      matched--
    }
  }
  return attnums
}
