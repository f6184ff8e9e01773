// The deltas that a writer's index still needs, oldest first, and how they stay few: those whose
// entries all lie in runs go, and neighbours of about one size are merged, so that there are at
// most fifteen of a size and each entry is copied once a size.

import { present } from '../../../runtime/base/assert.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import { DeltaWriter, readDelta } from './delta.ts'
import { DeltaMerge } from './delta-merge.ts'
import type { DeltaPlace } from './manifest.ts'

export interface Delta extends DeltaPlace {
  /** Tables of this writer with entries or resets in it. */
  readonly tables: ReadonlySet<string>
}

/** True when entries of `segment` (top 8 hash bits) from epochs up to `last` are in no run. */
export type NeedsEntries = (table: string, segment: number, last: number) => boolean

const MERGE_DELTAS = 16
/** Larger ones are left alone: merging them would hold up an epoch. */
export const MERGE_BYTES_MAX = 64 * 1024 * 1024

export class DeltaSet {
  private list: Delta[] = []

  add(delta: Delta): void {
    this.list.push(delta)
  }

  get oldest(): Delta | undefined {
    return this.list[0]
  }

  get bytes(): number {
    return this.list.reduce((sum, delta) => sum + delta.bytes, 0)
  }

  places(): DeltaPlace[] {
    return this.list.map(({ path, first, last, level, bytes }) => {
      return { path, first, last, level, bytes }
    })
  }

  /** Forgets deltas of which no table has an entry from its epochs outside of its runs. */
  drop(isDirty: (table: string, last: number) => boolean): void {
    this.list = this.list.filter(({ tables, last }) =>
      [...tables].some((table) => isDirty(table, last)),
    )
  }

  /** Merges as long as there is something to merge. */
  async merge(store: ObjectStore, newPath: () => string, needs: NeedsEntries): Promise<void> {
    for (let group = this.mergeable(); group !== null; group = this.mergeable()) {
      const writer = new DeltaWriter(store, newPath())
      await mergeInto(writer, store, group, needs)
      const written = await writer.finish()
      const first = present(group[0], 'a group has deltas')
      const last = present(group.at(-1), 'a group has deltas')
      const { path, bytes, tables } = writer
      const level = first.level + 1
      const merged = { path, first: first.first, last: last.last, level, bytes, tables }
      this.list.splice(this.list.indexOf(first), group.length, ...(written ? [merged] : []))
    }
  }

  /** @returns neighbouring deltas of one level that are worth merging; `null`: none */
  private mergeable(): Delta[] | null {
    let group: Delta[] = []
    let bytes = 0
    for (const delta of this.list) {
      if (group[0]?.level !== delta.level || bytes + delta.bytes > MERGE_BYTES_MAX) {
        group = []
        bytes = 0
      }
      group.push(delta)
      bytes += delta.bytes
      if (group.length === MERGE_DELTAS) return group
    }
    return null
  }
}

async function mergeInto(
  writer: DeltaWriter,
  store: ObjectStore,
  group: readonly Delta[],
  needs: NeedsEntries,
): Promise<void> {
  const merge = new DeltaMerge()
  for (const { path, last, tables } of group) {
    readDelta(path, await store.get(path), (chunk) => {
      const { table } = chunk
      if (tables.has(table)) merge.add(chunk, (segment) => needs(table, segment, last))
    })
  }
  merge.write(writer)
}
