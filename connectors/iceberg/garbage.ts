// Deletes lake files that no snapshot refers to any more, after a grace for readers who are still
// at them. The list is durable: it stands in objects of the state store that are named by the time
// from which their files may go. A crash loses at most the last half minute of it, which leaves
// orphans and never a file too few.

import { randomUuid, type Clock } from '../../runtime/base/clock.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { asList, asText, formatJson, parseJson } from './json.ts'

const FOLDER = 'lake-garbage'
const FLUSH_MS = 30_000
const FLUSH_PATHS_MAX = 5000
/** Files deleted at one tick: a commit a second must not wait for a long list. */
const DELETE_MAX = 500

export interface GarbageOptions {
  readonly state: ObjectStore
  readonly warehouse: ObjectStore
  readonly clock: Clock
  readonly graceMs: number
}

export class LakeGarbage {
  readonly #options: GarbageOptions
  /** Lists that are due some day, the soonest first; `null`: not read yet. */
  #lists: string[] | null = null
  /** Rest of the list that is being worked off. */
  #current: { readonly list: string; readonly paths: string[] } | null = null
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

  /** Makes what was added durable. */
  async flush(): Promise<void> {
    const { state, clock, graceMs } = this.#options
    const nowMs = clock.nowMs()
    this.#flushedMs = nowMs
    if (this.#fresh.length === 0) return
    const lists = await this.#known()
    const due = String(nowMs + graceMs).padStart(15, '0')
    const list = `${FOLDER}/${due}-${randomUuid()}.json`
    const paths = this.#fresh
    await state.put(list, Buffer.from(formatJson({ paths })))
    this.#fresh = this.#fresh.slice(paths.length)
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
      this.#current = { list: next, paths: await readList(state, next) }
    }
    const { list, paths } = this.#current
    for (const path of paths.splice(0, DELETE_MAX)) await warehouse.delete(path)
    if (paths.length > 0) return
    // Deleting again after a crash harms nobody, so the list goes last.
    await state.delete(list)
    lists.shift()
    this.#current = null
  }
}

function dueMs(list: string): number {
  return Number(list.slice(FOLDER.length + 1, FOLDER.length + 16))
}

async function readList(state: ObjectStore, list: string): Promise<string[]> {
  const json = parseJson(new TextDecoder().decode(await state.get(list)), list)
  return asList(json['paths'], `paths of ${list}`).map((path) => asText(path, `a path of ${list}`))
}
