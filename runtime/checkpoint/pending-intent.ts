// An intent that waits for its commit. The checkpoint of its own epoch has it inline. If it still
// waits at the next one it becomes an object of the state store, written once, and the objects form
// a chain: each names the one before it, a checkpoint only the newest. So a checkpoint has the same
// size however long the catalog is down, and the intents need not stay in memory.
//
// There is one copy of an object, while a checkpoint has two: the data files and delete positions
// that an intent names are there once as well, and without them it would be of no use. A damaged
// one is found by its checksum, and a resync repairs.

import { randomUuid } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Intent } from '../sink.ts'
import { decodeDocument, encodeDocument, textOf, valueOf } from './document.ts'

/** Folder of the state store. */
export const INTENTS_FOLDER = 'intents'
const KIND = 'millrace-intent'

/** Where an intent is, and the checksum that it must have. */
export interface IntentPlace {
  readonly path: string
  readonly crc: number
}

/** A chain of intents in epoch order, by its end. */
export interface IntentChain {
  readonly newest: IntentPlace
  readonly count: number
}

/** What must be known of a table's part without reading it. */
export interface PendingTable {
  readonly table: string
  /** Names the intent in the lake. */
  readonly snapshotId: bigint
  /** Last version that it adds to the lake; `null`: none. */
  readonly schemaVersion: number | null
}

/** The object's content. */
interface Link {
  readonly before: IntentPlace | null
  readonly epoch: number
  readonly tables: readonly PendingTable[]
  readonly files: readonly string[]
  /** Text of the intent: a start reads all links, and text is not taken apart. */
  readonly intent: string
}

interface CachedLink {
  readonly intent: PendingIntent
  readonly before: IntentPlace | null
}

/** Links that have been read, by path: the chains of several checkpoints share most of theirs. */
export type LinkCache = Map<string, CachedLink>

/** All that the runtime knows of the sink's committables. */
interface Committable {
  readonly deletes: string | null
}

export class PendingIntent {
  readonly epoch: number
  readonly tables: readonly PendingTable[]
  /** State files that the intent needs. */
  readonly files: readonly string[]
  /** Bytes of the object; 0: there is none yet. */
  bytes = 0
  /** `null`: it is in memory only. */
  place: IntentPlace | null = null
  private content: Intent<unknown> | null
  private state: ObjectStore | null = null

  private constructor(
    { epoch, tables, files }: Pick<Link, 'epoch' | 'tables' | 'files'>,
    content: Intent<unknown> | null,
  ) {
    this.epoch = epoch
    this.tables = tables
    this.files = files
    this.content = content
  }

  static of(intent: Intent<unknown>): PendingIntent {
    const tables = intent.tables.map(({ table, snapshotId, schemas }): PendingTable => {
      return { table, snapshotId, schemaVersion: schemas.at(-1)?.version ?? null }
    })
    const committables = intent.tables.flatMap((entry) => entry.committables) as Committable[]
    const files = committables.flatMap(({ deletes }) => (deletes === null ? [] : [deletes]))
    const { epoch } = intent
    return new PendingIntent({ epoch, tables, files: [...new Set(files)] }, intent)
  }

  /** @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED */
  async read(): Promise<Intent<unknown>> {
    const { content, state, place } = this
    if (content !== null) return content
    if (state === null || place === null) throw lostContent(this.epoch)
    return valueOf((await readLink(state, place)).link.intent) as Intent<unknown>
  }

  /**
   * Makes it durable as an object, once; memory forgets the content.
   *
   * @param before  the intent before it in the queue, which is stored; `null`: it is the first
   */
  async store(state: ObjectStore, before: PendingIntent | null): Promise<void> {
    const { content, epoch, tables, files } = this
    if (this.place !== null) return
    if (content === null) throw lostContent(epoch)
    const intent = textOf(content)
    const link: Link = { before: before?.place ?? null, epoch, tables, files, intent }
    const { bytes, crc } = encodeDocument(KIND, link)
    const id = randomUuid().replaceAll('-', '').slice(0, 16)
    const path = `${INTENTS_FOLDER}/${String(epoch).padStart(12, '0')}-${id}`
    if (!(await state.putIfAbsent(path, bytes))) {
      throw new PipelineError('FENCED', `intent "${path}" was written by another`)
    }
    this.isStored(state, { path, crc }, bytes.length)
  }

  private isStored(state: ObjectStore, place: IntentPlace, bytes: number): void {
    this.state = state
    this.place = place
    this.bytes = bytes
    this.content = null
  }

  /**
   * Reads a chain, one object in memory at a time.
   *
   * @param cache  of links that are known already; receives the others
   * @returns its intents, oldest first
   * @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED
   */
  static async readChain(
    state: ObjectStore,
    { newest, count }: IntentChain,
    cache: LinkCache,
  ): Promise<PendingIntent[]> {
    const intents: PendingIntent[] = []
    for (let place: IntentPlace | null = newest; intents.length < count;) {
      if (place === null) throw damaged(newest.path, 'an intent before it is missing')
      const known: CachedLink = cache.get(place.path) ?? (await PendingIntent.readOne(state, place))
      cache.set(place.path, known)
      intents.push(known.intent)
      place = known.before
    }
    return intents.reverse()
  }

  private static async readOne(state: ObjectStore, place: IntentPlace): Promise<CachedLink> {
    const { link, bytes } = await readLink(state, place)
    const intent = new PendingIntent(link, null)
    intent.isStored(state, place, bytes)
    return { intent, before: link.before }
  }
}

async function readLink(
  state: ObjectStore,
  { path, crc }: IntentPlace,
): Promise<{ link: Link; bytes: number }> {
  const bytes = await readNamed(state, path)
  const document = decodeDocument(KIND, bytes, path)
  if (document.crc !== crc) throw damaged(path, 'it is not the one that the checkpoint names')
  return { link: document.value as Link, bytes: bytes.length }
}

/** An object that a checkpoint names is there, or the state is damaged. */
async function readNamed(state: ObjectStore, path: string): Promise<Uint8Array> {
  try {
    return await state.get(path)
  } catch (error) {
    if (await state.exists(path)) throw error
    throw damaged(path, 'it is missing')
  }
}

function damaged(path: string, what: string): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `state file "${path}" is damaged: ${what}`)
}

function lostContent(epoch: number): PipelineError {
  return new PipelineError('INTERNAL', `intent of epoch ${epoch} is neither in memory nor stored`)
}
