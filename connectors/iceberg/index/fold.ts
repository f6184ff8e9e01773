// Folds segments: what they hold in memory and their older run become one new run. Nothing changes
// before the new file is durable, so a failed fold leaves the index as it was.

import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { Run } from './run.ts'
import { RunFileWriter, type RunFiles } from './run-file.ts'
import type { Segment } from './segment.ts'

const RUN_FILE_BYTES_MAX = 256 * 1024 * 1024

export interface FoldOptions {
  readonly store: ObjectStore
  readonly files: RunFiles
  /** Names the next file. */
  readonly newPath: () => string
  /** The segments hold everything of the epochs up to this one. */
  readonly foldedThrough: number
}

/** @returns bytes of each file that was written */
export async function foldSegments(
  segments: readonly Segment[],
  options: FoldOptions,
): Promise<Map<string, number>> {
  const written = new Map<string, number>()
  let next = 0
  while (next < segments.length) {
    const file = await RunFileWriter.create(options.store, options.newPath())
    try {
      const placed: { segment: Segment; run: number | null }[] = []
      for (; next < segments.length && file.bytes < RUN_FILE_BYTES_MAX; next++) {
        const segment = segments[next]!
        const entries = segment.merge()
        const run = entries.length === 0 ? null : await file.add(entries, segment.words)
        placed.push({ segment, run })
      }
      const runs = await file.finish(options.files)
      for (const { segment, run } of placed) place(segment, run, runs, options.foldedThrough)
      if (runs.length > 0) written.set(file.path, file.bytes)
    } catch (error) {
      await file.abort()
      throw error
    }
  }
  return written
}

function place(segment: Segment, run: number | null, runs: readonly Run[], epoch: number): void {
  segment.folded(run === null ? null : runs[run]!, epoch)
}
