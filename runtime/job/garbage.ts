// Removes state files that no kept checkpoint names any more. A file is written before the
// checkpoint that names it, so only files that an earlier checkpoint named, or that were there
// before this process wrote its first, can be garbage.

import type { Checkpoint } from '../checkpoint/manifest.ts'
import { INTENTS_FOLDER } from '../checkpoint/pending-intent.ts'
import type { CheckpointStore } from '../checkpoint/store.ts'
import type { ObjectStore } from '../object-store.ts'

/** Folders of the state store that hold files which checkpoints name. */
export const STATE_FILE_FOLDERS = ['index', 'epochs', INTENTS_FOLDER] as const

/** @returns every state file that the checkpoint needs: writers' state, intents, their deletes */
export function filesOf({ writers, intents }: Checkpoint): Set<string> {
  const files = new Set(writers.flatMap((writer) => [...writer.files]))
  for (const intent of intents) {
    if (intent.place !== null) files.add(intent.place.path)
    for (const path of intent.files) files.add(path)
  }
  return files
}

export class StateGarbage {
  private readonly state: ObjectStore
  private readonly store: CheckpointStore
  /** Files by kept checkpoint, oldest first. */
  private kept: { readonly epoch: number; readonly files: ReadonlySet<string> }[] = []

  constructor(state: ObjectStore, store: CheckpointStore) {
    this.state = state
    this.store = store
  }

  /**
   * At the start, under the lock: removes what a crash left. What only an older checkpoint names
   * stays as long as that is kept: it would be of no use without.
   *
   * @throws PipelineError STORAGE_FAILED
   */
  async sweep(): Promise<void> {
    await this.state.removeUnfinished('')
    await this.readKept()
    for (const folder of STATE_FILE_FOLDERS) {
      for (const path of await this.state.list(folder)) await this.deleteUnnamed(path)
    }
  }

  private async readKept(): Promise<void> {
    const kept = await this.store.peekKept()
    this.kept = kept.map((checkpoint) => ({
      epoch: checkpoint.epoch,
      files: filesOf(checkpoint),
    }))
  }

  /**
   * After an attempt that failed: removes what its writers wrote for no checkpoint. Of other files
   * nobody knows here whose they are.
   *
   * @throws PipelineError STORAGE_FAILED
   */
  async sweepAttempt(fileSuffix: string): Promise<void> {
    // The attempt may have ended between a checkpoint and `collect`.
    await this.readKept()
    for (const folder of STATE_FILE_FOLDERS) {
      for (const path of await this.state.list(folder)) {
        if (path.startsWith(`${folder}/${fileSuffix}_`)) await this.deleteUnnamed(path)
      }
    }
  }

  private async deleteUnnamed(path: string): Promise<void> {
    if (!this.kept.some(({ files }) => files.has(path))) await this.state.delete(path)
  }

  /** After a checkpoint is durable. */
  async collect(checkpoint: Checkpoint): Promise<void> {
    if (this.kept.at(-1)?.epoch === checkpoint.epoch) return
    this.kept.push({ epoch: checkpoint.epoch, files: filesOf(checkpoint) })
    while (this.kept.length > this.store.kept) {
      const dropped = this.kept.shift()
      for (const path of dropped?.files ?? []) await this.deleteUnnamed(path)
    }
    await this.store.prune()
  }
}
