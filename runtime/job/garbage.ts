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
  private readonly kept: { readonly epoch: number; readonly files: ReadonlySet<string> }[] = []

  constructor(state: ObjectStore, store: CheckpointStore) {
    this.state = state
    this.store = store
  }

  /**
   * At the start, under the lock: removes what a crash left. Only the newest checkpoint will ever
   * be loaded by this process, so nothing else has to be kept.
   */
  async sweep(newest: Checkpoint | null): Promise<void> {
    const needed = newest === null ? new Set<string>() : filesOf(newest)
    await this.state.removeUnfinished('')
    for (const folder of STATE_FILE_FOLDERS) {
      for (const path of await this.state.list(folder)) {
        if (!needed.has(path)) await this.state.delete(path)
      }
    }
    if (newest !== null) this.kept.push({ epoch: newest.epoch, files: needed })
  }

  /** After a checkpoint is durable. */
  async collect(checkpoint: Checkpoint): Promise<void> {
    if (this.kept.at(-1)?.epoch === checkpoint.epoch) return
    this.kept.push({ epoch: checkpoint.epoch, files: filesOf(checkpoint) })
    while (this.kept.length > this.store.kept) {
      const dropped = this.kept.shift()
      for (const path of dropped?.files ?? []) {
        if (!this.kept.some(({ files }) => files.has(path))) await this.state.delete(path)
      }
    }
    await this.store.prune()
  }
}
