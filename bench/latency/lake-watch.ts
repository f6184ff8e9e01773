// Looks at the catalog every few milliseconds for a new version of the table, as a reader would.

import { readFileSync } from 'node:fs'
import { systemClock } from '../../runtime/base/clock.ts'
import type { BenchPipeline } from '../pipeline.ts'

/** What a latency may be off by. */
const LOOK_MS = 5

interface Metadata {
  readonly 'current-snapshot-id'?: number
  readonly snapshots?: readonly {
    readonly 'snapshot-id': number
    readonly summary: Readonly<Record<string, string>>
  }[]
}

/**
 * @param tell  called with the rows that the lake shows, and when it was seen, at each change
 * @returns a function that ends it
 */
export function watchLake(
  pipeline: BenchPipeline,
  tell: (rows: number, atMs: number) => void,
): () => void {
  const catalog = pipeline.openCatalog()
  let seen: string | null = null
  const stop = systemClock.every(LOOK_MS, () => {
    const location = catalog.location()
    if (location === null || location === seen) return
    const atMs = systemClock.elapsedMs()
    seen = location
    tell(rowsOf(readFileSync(location, 'utf8')), atMs)
  })
  return () => {
    stop()
    catalog.close()
  }
}

/** @param text  content of a metadata.json; @returns rows of its current snapshot */
export function rowsOf(text: string): number {
  // Snapshot ids have 63 bits: two that differ may become one number. The newest is the last.
  const { snapshots = [] } = JSON.parse(text) as Metadata
  return Number(snapshots.at(-1)?.summary['total-records'] ?? 0)
}
