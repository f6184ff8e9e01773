// Rows that only count up, so that a lost change, and a reader who saw an old value after a newer
// one, are both visible in the numbers. Made for the hand-over: many rows, tiny chunks, hot keys.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { TableRequest } from '../readers/dump-file.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import type { Random } from '../workload/random.ts'
import type { Session } from '../workload/writer.ts'
import { metadataLocations, readMetadata } from './lake.ts'
import type { Pipeline } from './pipeline.ts'

export const COUNTERS = 'counters'

export async function createCounters(session: Session, rows: number): Promise<void> {
  await session.execute(
    `CREATE TABLE ${COUNTERS} (id int PRIMARY KEY, n bigint NOT NULL, v varchar(40))`,
  )
  for (let first = 0; first < rows; first += 1000) {
    const ids = Array.from({ length: Math.min(1000, rows - first) }, (_, index) => first + index)
    const values = ids.map((id) => `(${id}, 0, 'start ${id}')`)
    await session.execute(`INSERT INTO ${COUNTERS} VALUES ${values.join(', ')}`)
  }
}

/** Of the rows, this share changes in one transaction, spread over all chunks. */
const CLASSES = 40

/**
 * Counts up every 40th row in one transaction, again and again, until the signal aborts: whatever
 * chunk is being read, a commit that is on its way concerns it.
 */
export async function countUp(
  open: () => Promise<Session>,
  random: Random,
  isConflict: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const session = await open()
  while (!signal.aborted) {
    const rest = random.int(0, CLASSES - 1)
    const set = `n = n + 1, v = 'value ${random.int(0, 99)}'`
    const sql = `UPDATE ${COUNTERS} SET ${set} WHERE id % ${CLASSES} = ${rest}`
    await session.execute(sql).catch((error: unknown) => {
      if (!isConflict(error)) throw error
    })
    await sleep(random.int(0, 4))
  }
  await session.close()
}

/** Reads main's history from the hand-over on: no row may ever go back. @returns snapshots read */
export async function expectNoRegress(
  pipeline: Pipeline,
  namespace: string,
  handedOver: number,
  snapshotsMax = 40,
): Promise<number> {
  const table = `${namespace}.${COUNTERS}`
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) throw new Error(`the lake has no table ${table}`)
  const { main } = await readMetadata(location)
  const after = main.filter(({ summary }) => Number(summary['millrace.epoch']) >= handedOver)
  const requests = after
    .slice(0, snapshotsMax)
    .map(({ id }): TableRequest => ({ table, snapshot: id }))
  const dumps = await readIcebergWithPyiceberg({ catalog: pipeline.catalog, tables: requests })
  const highest = new Map<string, bigint>()
  const regressed: string[] = []
  for (const [index, { rows }] of dumps.entries()) {
    const seen = new Set<string>()
    for (const text of rows) {
      const [id = '', n = ''] = JSON.parse(text) as string[]
      const before = highest.get(id) ?? 0n
      if (BigInt(n) < before) regressed.push(`snapshot ${index}: row ${id} from ${before} to ${n}`)
      if (seen.has(id)) regressed.push(`snapshot ${index}: row ${id} twice`)
      seen.add(id)
      highest.set(id, BigInt(n))
    }
    if (seen.size < highest.size) regressed.push(`snapshot ${index}: a row is gone`)
  }
  expect(regressed.slice(0, 10)).toEqual([])
  return dumps.length
}
