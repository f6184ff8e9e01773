// What happens to rows below a root. The log carries them under the root's name, and does not say
// when a partition comes with rows, leaves with them or is emptied: that is told by the catalog,
// and where the catalog is not enough, by a row that has stayed.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask, CatalogTable } from './catalog.ts'
import { sqlStateOf } from './connect.ts'
import { brokenClaim, isIn, UNKNOWN_STATES, type Counted } from './leaf-rows.ts'
import { parseAttachments, parseFiles, type Leaf } from './leaves.ts'
import { qualified } from './publication.ts'
import type { Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'

/** Leaves with other files than before, or than at first, that no TRUNCATE of the log explains. */
function unexplained(before: KnownTable, { leaves }: CatalogTable): Leaf[] {
  const files = parseFiles(before.reading.files)
  const { truncatedBy, firstRows, unwritten } = before
  return leaves.filter(({ oid, file, changedBy, attached }) => {
    // The file of a new table has its number.
    const known = files.get(oid) ?? (attached ? file : String(oid))
    if (known === file) return false
    const neverFilled = !files.has(oid) || unwritten?.includes(oid) === true
    if (neverFilled && !firstRows.some(({ leaf }) => leaf === oid)) return false
    return !truncatedBy.some(({ xid }) => xid === Number(changedBy))
  })
}

const HALF_OF_32_BITS = 0x8000_0000

/**
 * Leaves with other files that have kept rows. VACUUM FULL and CLUSTER leave nothing in the catalog
 * that tells them from a TRUNCATE, but the rows keep the transaction that wrote them. One that had
 * ended before the last reading has written nothing since, so its rows were never away. Neither
 * were those of the transaction that was the first to write into the leaf.
 */
export async function readKept(
  ask: Ask,
  before: KnownTable,
  table: CatalogTable,
): Promise<readonly number[]> {
  const { readAt } = before.reading
  if (table.readAt - readAt >= HALF_OF_32_BITS) return []
  const old = `age(xmin) > age('${readAt % (2 * HALF_OF_32_BITS)}'::xid)`
  const kept: number[] = []
  for (const leaf of unexplained(before, table)) {
    const first = before.firstRows.find(({ leaf: oid }) => oid === leaf.oid)
    const isOld = first === undefined ? old : `xmin = '${first.xid}'::xid`
    const sql = `SELECT EXISTS (SELECT FROM ONLY ${qualified(leaf)} WHERE ${isOld}) AS kept`
    try {
      const [row] = await ask(sql)
      if (row?.['kept'] === true) kept.push(leaf.oid)
    } catch (error) {
      if (!UNKNOWN_STATES.has(sqlStateOf(error))) throw error
    }
  }
  return kept
}

/**
 * @param kept  leaves with other files that have kept rows (`readKept`)
 * @param counted  rows that were looked for (`countClaims`)
 * @param snapshot  of the reading
 * @returns why rows of the root may differ from what the log has shown; `null`: they do not
 */
export function partitionChange(
  before: KnownTable,
  table: CatalogTable,
  kept: ReadonlySet<number>,
  counted: readonly Counted[],
  snapshot: Snapshot,
): PipelineError | null {
  const name = `${table.namespace}.${table.name}`
  const now = new Set(table.leaves.map(({ oid }) => oid))
  const files = parseFiles(before.reading.files)
  const written = before.firstRows.filter(({ xid }) => isIn(snapshot, xid))
  if ([...files.keys(), ...written.map(({ leaf }) => leaf)].some((oid) => !now.has(oid))) {
    return silent(`a partition of table "${name}" was dropped or detached`)
  }
  const attachments = parseAttachments(before.reading.files)
  if (table.leaves.some((leaf) => isAttachedAnew(leaf, attachments))) {
    return silent(`a partition of table "${name}" was detached and attached again`)
  }
  if (unexplained(before, table).some(({ oid }) => !kept.has(oid))) {
    return silent(`a partition of table "${name}" was rewritten or truncated`)
  }
  const broken = brokenClaim(before, table, counted)
  if (broken !== undefined) return lost(name, broken)
  if (!table.leaves.some(({ oid, attached }) => attached && !files.has(oid))) return null
  return new PipelineError('DDL_UNMAPPABLE', `a partition was attached to table "${name}"`, {
    detail:
      'The log does not show the rows that the partition may have brought with it. (A partition ' +
      'that was created as one looks the same once all of its columns have been altered.)',
  })
}

/** What was changed between the two is not in the log. */
function isAttachedAnew({ oid, attachedBy }: Leaf, before: ReadonlyMap<number, string>): boolean {
  const known = before.get(oid)
  return known !== undefined && known !== attachedBy
}

function lost(name: string, { xid, rows, found }: Counted): PipelineError {
  const message = `a partition of table "${name}" may have been truncated in transaction ${xid}`
  const counts = rows < 0 || found < 0 ? '' : ` It left ${rows} rows, of which ${found} are there.`
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail:
      'The transaction also created partitions or emptied the whole table, ' +
      `and a TRUNCATE of one partition is not in the log.${counts}`,
  })
}

function silent(message: string): PipelineError {
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail: 'The log of a partitioned table does not show what became of the rows.',
  })
}
