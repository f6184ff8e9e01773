// Counts what a process does to the lake: how its commits ended, and the data files and bytes that
// it has added. It stands between the commit queue and the committer, since only here both are
// known: what an intent holds, and what became of it.

import { PipelineError } from '../base/errors.ts'
import type { LakeCounts } from '../console/status.ts'
import type { Committer, Intent, TableCommit } from '../sink.ts'

/** What every sink of files says of them. */
interface AddingCommittable {
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
}

export class LakeCounter {
  private commits = { ok: 0, conflict: 0, unknown_resolved: 0, failed: 0 }
  private files = 0
  private bytes = 0
  /** Parts of the names of the files that writers of this process have made. */
  private readonly suffixes: string[] = []

  /** Files with this suffix are ours: a checkpoint may name those of an earlier process. */
  expect(fileSuffix: string): void {
    this.suffixes.push(`-${fileSuffix}.`)
  }

  counts(): LakeCounts {
    return { commits: { ...this.commits }, files: this.files, bytes: this.bytes }
  }

  /** @returns the committer, whose commits are counted */
  watch(committer: Committer<unknown>): Committer<unknown> {
    return {
      commit: async (intents, signal) => {
        try {
          const results = await committer.commit(intents, signal)
          this.accept(intents, results)
          return results
        } catch (error) {
          const conflict = error instanceof PipelineError && error.error === 'CATALOG_CONFLICT'
          this.commits[conflict ? 'conflict' : 'failed']++
          throw error
        }
      },
      adopt: async (table, claim) => committer.adopt(table, claim),
      changeProperties: async (table, change) => committer.changeProperties(table, change),
      sweep: async (tables, keep) => committer.sweep(tables, keep),
      close: async () => committer.close(),
    }
  }

  /** One call makes one commit, of as many epochs as were waiting. */
  private accept(intents: readonly Intent<unknown>[], results: readonly TableCommit[]): void {
    const outcomes = new Set(results.map(({ outcome }) => outcome))
    if (outcomes.has('committed')) this.commits.ok++
    // Another attempt, whose answer was lost, had done it.
    else if (outcomes.has('already-committed')) this.commits.unknown_resolved++
    const inLake = new Set(
      results.flatMap(({ table, outcome }) => (outcome === 'diverged' ? [] : [table])),
    )
    for (const { table, committables } of intents.flatMap(({ tables }) => tables)) {
      if (!inLake.has(table)) continue
      for (const { files } of committables as readonly AddingCommittable[]) {
        for (const { path, bytes } of files) this.addFile(path, bytes)
      }
    }
  }

  private addFile(path: string, bytes: number): void {
    if (!this.suffixes.some((suffix) => path.includes(suffix))) return
    this.files++
    this.bytes += bytes
  }
}
