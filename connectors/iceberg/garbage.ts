// Deletes lake files that no snapshot refers to any more, after a grace for readers who are still
// at them. The list is durable: it stands in objects of the state store that are named by the time
// from which their files may go. A crash loses at most the last half minute of it, which leaves
// orphans and never a file too few.
//
// What a commit has replaced is free for good. What a sweep has found is only thought to be free: a
// swap that was on its way may have made it a part of the table since, so that is asked once more
// right before it goes.

import { randomUuid, type Clock } from '../../runtime/base/clock.ts'
import type { CatalogTable } from '../../runtime/catalog.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { asList, asObject, asText, formatJson, parseJson } from './json.ts'

const FOLDER = 'lake-garbage'
const FLUSH_MS = 30_000
const FLUSH_PATHS_MAX = 5000
/** Files deleted at one tick: a commit a second must not wait for a long list. */
const DELETE_MAX = 500
/** Files of one sweep that are asked about and deleted together. */
const FOUND_MAX = 5000

export interface GarbageOptions {
  readonly state: ObjectStore
  readonly warehouse: ObjectStore
  readonly clock: Clock
  readonly graceMs: number
  /** Those of `paths` that nothing refers to now. */
  readonly unreachable: (
    table: CatalogTable,
    paths: readonly string[],
  ) => Promise<readonly string[]>
}

interface GarbageList {
  readonly paths: string[]
  /** Of a sweep: the table whose files they are. */
  readonly table: CatalogTable | null
}

export class LakeGarbage {
  readonly #options: GarbageOptions
  /** Lists that are due some day, the soonest first; `null`: not read yet. */
  #lists: string[] | null = null
  /** Rest of the list that is being worked off. */
  #current: { readonly list: string; readonly paths: string[]; readonly atOnce: number } | null =
    null
  #fresh: string[] = []
  #flushedMs: number

  constructor(options: GarbageOptions) {
    this.#options = options
    this.#flushedMs = options.clock.nowMs()
  }

  /** @param paths  relative to the warehouse; nothing refers to them */
  add(paths: readonly string[]): void {
    this.#fresh.push(...paths)
  }

  /** Writes the list down from time to time, and deletes some of what is due. Call it often. */
  async tick(): Promise<void> {
    const late = this.#options.clock.nowMs() - this.#flushedMs >= FLUSH_MS
    if (late || this.#fresh.length >= FLUSH_PATHS_MAX) await this.flush()
    await this.#deleteDue()
  }

  /** Files of `table` that a sweep found, relative to the warehouse. */
  async addFound(table: CatalogTable, paths: readonly string[]): Promise<void> {
    for (let start = 0; start < paths.length; start += FOUND_MAX) {
      await this.#write({ paths: paths.slice(start, start + FOUND_MAX), table })
    }
  }

  /** Makes what was added durable. */
  async flush(): Promise<void> {
    this.#flushedMs = this.#options.clock.nowMs()
    if (this.#fresh.length === 0) return
    const paths = this.#fresh
    await this.#write({ paths, table: null })
    this.#fresh = this.#fresh.slice(paths.length)
  }

  async #write({ paths, table }: GarbageList): Promise<void> {
    const { state, clock, graceMs } = this.#options
    const lists = await this.#known()
    const due = String(clock.nowMs() + graceMs).padStart(15, '0')
    const list = `${FOLDER}/${due}-${randomUuid()}.json`
    const of = table === null ? {} : { table: { namespace: table.namespace, name: table.name } }
    await state.put(list, Buffer.from(formatJson({ paths, ...of })))
    lists.push(list)
  }

  async #known(): Promise<string[]> {
    this.#lists ??= (await this.#options.state.list(FOLDER)).toSorted()
    return this.#lists
  }

  async #deleteDue(): Promise<void> {
    const { state, warehouse, clock } = this.#options
    const lists = await this.#known()
    const [next] = lists
    if (this.#current === null) {
      if (next === undefined || dueMs(next) > clock.nowMs()) return
      this.#current = await this.#open(next)
    }
    const { list, paths, atOnce } = this.#current
    for (const path of paths.splice(0, atOnce)) await warehouse.delete(path)
    if (paths.length > 0) return
    // Deleting again after a crash harms nobody, so the list goes last.
    await state.delete(list)
    lists.shift()
    this.#current = null
  }

  async #open(list: string): Promise<{ list: string; paths: string[]; atOnce: number }> {
    const { state, unreachable } = this.#options
    const { paths, table } = await readList(state, list)
    if (table === null) return { list, paths, atOnce: DELETE_MAX }
    const free = [...(await unreachable(table, paths))]
    // All of them in this tick: what was asked now may be otherwise after the next commit.
    return { list, paths: free, atOnce: free.length }
  }
}

function dueMs(list: string): number {
  return Number(list.slice(FOLDER.length + 1, FOLDER.length + 16))
}

async function readList(state: ObjectStore, list: string): Promise<GarbageList> {
  const json = parseJson(new TextDecoder().decode(await state.get(list)), list)
  const paths = asList(json['paths'], `paths of ${list}`).map((path) =>
    asText(path, `a path of ${list}`),
  )
  if (json['table'] === undefined) return { paths, table: null }
  const { namespace, name } = asObject(json['table'], `table of ${list}`)
  const table = { namespace: asText(namespace, 'namespace'), name: asText(name, 'name') }
  return { paths, table }
}
