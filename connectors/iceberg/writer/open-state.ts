// What checkpoints say of a writer's open files, and the files that no checkpoint says anything of
// any more. A file that a checkpoint names is only deleted when the next one is durable.

import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { HeldFile } from '../../parquet/table/held-file.ts'
import type { StoredHeldFiles } from './held-files.ts'
import type { StatePart } from './writer-state.ts'

export class OpenState {
  /** As the last checkpoint has it; `null`: no file is open. */
  part: StatePart | null = null
  private readonly warehouse: ObjectStore
  private files: readonly HeldFile[] = []
  /** Named by no checkpoint but those before the last one. */
  private leftovers: readonly string[] = []
  /** Of the checkpoint that this start began with: named until its next one. */
  private readonly sources: string[] = []

  constructor(warehouse: ObjectStore) {
    this.warehouse = warehouse
  }

  /** Takes over what a checkpoint has of one writer; the files themselves are others' business. */
  async restore({ files, leftovers }: StoredHeldFiles): Promise<void> {
    for (const path of leftovers) await this.warehouse.delete(path)
    for (const { path, unfinished } of files) this.sources.push(unfinished, path)
  }

  /** Only when the checkpoint that `save` was called for is durable. */
  async deleteLeftovers(): Promise<void> {
    for (const path of this.leftovers) await this.warehouse.delete(path)
    this.leftovers = []
  }

  /**
   * @param files      that stay open
   * @param leftovers  paths that checkpoints before this one may name
   */
  async save(
    files: readonly HeldFile[],
    leftovers: readonly string[],
    write: (stored: StoredHeldFiles) => Promise<StatePart>,
  ): Promise<void> {
    this.leftovers = [...this.sources.splice(0), ...leftovers]
    if (this.leftovers.length === 0 && sameFiles(this.files, files)) return
    this.files = files
    const isNothing = this.leftovers.length === 0 && files.length === 0
    this.part = isNothing ? null : await write({ files, leftovers: this.leftovers })
  }
}

function sameFiles(left: readonly HeldFile[], right: readonly HeldFile[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ path, parquet }, at) => {
      const other = right[at]
      return path === other?.path && parquet.bytes === other.parquet.bytes
    })
  )
}
