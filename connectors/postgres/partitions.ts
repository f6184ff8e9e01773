// What happens to rows below a root. The log carries them under the root's name, and does not say
// when a partition comes with rows, leaves with them or is emptied: that is told by the catalog,
// and where the catalog is not enough, by a row that has stayed.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask, CatalogTable } from './catalog.ts'
import { sqlStateOf } from './connect.ts'
import { parseFiles, type Leaf } from './leaves.ts'
import { qualified } from './publication.ts'
import { isVisible, widenXid, type Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'

/** Leaves with other files than before that no TRUNCATE of the log explains. */
function unexplained(before: KnownTable, { leaves }: CatalogTable): Leaf[] {
  const files = parseFiles(before.reading.files)
  return leaves.filter(({ oid, file, changedBy }) => {
    const known = files.get(oid)
    if (known === undefined || known === file) return false
    return !before.truncatedBy.includes(Number(changedBy))
  })
}

/** TRUNCATEs that the log has shown and `snapshot` has not: a later reading has their files. */
export function laterTruncates(before: KnownTable, snapshot: Snapshot): readonly number[] {
  return before.truncatedBy.filter((xid) => !isVisible(snapshot, widenXid(xid, snapshot.xmax)))
}

const HALF_OF_32_BITS = 0x8000_0000

/**
 * Leaves with other files that have kept rows. VACUUM FULL and CLUSTER leave nothing in the catalog
 * that tells them from a TRUNCATE, but the rows keep the transaction that wrote them. One that had
 * ended before the last reading has written nothing since, so its rows were never away.
 */
export async function readKept(
  ask: Ask,
  before: KnownTable,
  table: CatalogTable,
): Promise<readonly number[]> {
  const { readAt } = before.reading
  if (table.readAt - readAt >= HALF_OF_32_BITS) return []
  const kept: number[] = []
  for (const leaf of unexplained(before, table)) {
    const sql = `SELECT EXISTS (SELECT FROM ONLY ${qualified(leaf)}
      WHERE age(xmin) > age('${readAt % (2 * HALF_OF_32_BITS)}'::xid)) AS kept`
    try {
      const [row] = await ask(sql)
      if (row?.['kept'] === true) kept.push(leaf.oid)
    } catch (error) {
      if (!UNKNOWN_STATES.has(sqlStateOf(error))) throw error
    }
  }
  return kept
}

/** It is gone, may not be read, or has too many rows to find one of the old ones. */
const UNKNOWN_STATES = new Set(['42P01', '42501', '57014'])

/** @returns why rows of the root may differ from what the log has shown; `null`: they do not */
export function partitionChange(
  before: KnownTable,
  table: CatalogTable,
  kept: ReadonlySet<number>,
): PipelineError | null {
  const name = `${table.namespace}.${table.name}`
  const now = new Set(table.leaves.map(({ oid }) => oid))
  const files = parseFiles(before.reading.files)
  if ([...files.keys()].some((oid) => !now.has(oid))) {
    return silent(`a partition of table "${name}" was dropped or detached`)
  }
  if (unexplained(before, table).some(({ oid }) => !kept.has(oid))) {
    return silent(`a partition of table "${name}" was rewritten or truncated`)
  }
  if (!table.leaves.some(({ oid, attached }) => attached && !files.has(oid))) return null
  return new PipelineError('DDL_UNMAPPABLE', `a partition was attached to table "${name}"`, {
    detail: 'The log does not show the rows that the partition may have brought with it.',
  })
}

function silent(message: string): PipelineError {
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail: 'The log of a partitioned table does not show what became of the rows.',
  })
}
