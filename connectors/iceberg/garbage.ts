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

interface OpenList {
  readonly list: string
  readonly paths: string[]
  /** Paths that must go in one tick, if need be more than a tick bears. */
  readonly atOnce: number
}

export class LakeGarbage {
  readonly #options: GarbageOptions
  /** Lists that are due some day, the soonest first; `null`: not read yet. */
  #lists: string[] | null = null
  /** The list that is being worked off, with what is left of it. */
  #current: OpenList | null = null
  /** Not written down yet, by grace. */
  #fresh = new Map<number, string[]>()
  #freshCount = 0
  #flushedMs: number

  constructor(options: GarbageOptions) {
    this.#options = options
    this.#flushedMs = options.clock.nowMs()
  }

  /**
   * @param paths  relative to the warehouse; nothing refers to them
   * @param graceMs  shorter than that of the options, where readers are done sooner
   */
  add(paths: readonly string[], graceMs = this.#options.graceMs): void {
    const grace = Math.min(graceMs, this.#options.graceMs)
    const fresh = this.#fresh.get(grace) ?? []
    fresh.push(...paths)
    this.#fresh.set(grace, fresh)
    this.#freshCount += paths.length
  }

  /** Writes the list down from time to time, and deletes some of what is due. Call it often. */
  async tick(): Promise<void> {
    const late = this.#options.clock.nowMs() - this.#flushedMs >= FLUSH_MS
    if (late || this.#freshCount >= FLUSH_PATHS_MAX) await this.flush()
    await this.#deleteDue()
  }

  /** Files of `table` that a sweep found, relative to the warehouse. */
  async addFound(table: CatalogTable, paths: readonly string[]): Promise<void> {
    const { graceMs } = this.#options
    for (let start = 0; start < paths.length; start += FOUND_MAX) {
      await this.#write({ paths: paths.slice(start, start + FOUND_MAX), table }, graceMs)
    }
  }

  /** Makes what was added durable. */
  async flush(): Promise<void> {
    this.#flushedMs = this.#options.clock.nowMs()
    for (const [graceMs, fresh] of this.#fresh) {
      const paths = [...fresh]
      if (paths.length > 0) await this.#write({ paths, table: null }, graceMs)
      fresh.splice(0, paths.length)
      this.#freshCount -= paths.length
    }
  }

  async #write({ paths, table }: GarbageList, graceMs: number): Promise<void> {
    const { state, clock } = this.#options
    const lists = await this.#known()
    const due = String(clock.nowMs() + graceMs).padStart(15, '0')
    const list = `${FOLDER}/${due}-${randomUuid()}.json`
    const of = table === null ? {} : { table: { namespace: table.namespace, name: table.name } }
    await state.put(list, Buffer.from(formatJson({ paths, ...of })))
    lists.push(list)
    lists.sort()
  }

  async #known(): Promise<string[]> {
    this.#lists ??= (await this.#options.state.list(FOLDER)).toSorted()
    return this.#lists
  }

  /** As many lists as one tick bears: several may become due between two ticks. */
  async #deleteDue(): Promise<void> {
    for (let budget = DELETE_MAX; budget > 0;) {
      this.#current ??= await this.#openNext()
      if (this.#current === null) return
      const { list, paths, atOnce } = this.#current
      const dead = paths.splice(0, Math.max(atOnce, budget))
      for (const path of dead) await this.#options.warehouse.delete(path)
      budget -= dead.length
      if (paths.length === 0) await this.#close(list)
    }
  }

  async #openNext(): Promise<OpenList | null> {
    const [next] = await this.#known()
    const isDue = next !== undefined && dueMs(next) <= this.#options.clock.nowMs()
    return isDue ? this.#open(next) : null
  }

  /** Deleting again after a crash harms nobody, so the list goes last. */
  async #close(list: string): Promise<void> {
    await this.#options.state.delete(list)
    this.#lists = (await this.#known()).filter((other) => other !== list)
    this.#current = null
  }

  async #open(list: string): Promise<OpenList> {
    const { state, unreachable } = this.#options
    const { paths, table } = await readList(state, list)
    if (table === null) return { list, paths, atOnce: 0 }
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
