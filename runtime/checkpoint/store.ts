// Checkpoints in the state store: each is two copies that are created and never replaced, so a
// second instance that got past the lock meets an existing name and stops instead of overwriting.
// A checkpoint whose copies both fail their checksum is refused unless an older one may stand in.

import { PipelineError, recordOf, type ErrorName, type ErrorRecord } from '../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Checkpoint,
  type CheckpointRecord,
} from './manifest.ts'
import { withoutWaiting } from './readiness.ts'
import { PendingIntent, type LinkCache } from './pending-intent.ts'

const FOLDER = 'checkpoints'
const COPIES = ['a', 'b'] as const
/** File ids that lost checkpoints cannot have used up: an id belongs to one file for ever. */
const FILE_IDS_LOST = 2 ** 24
const NOTHING_LEFT =
  'Restore the state folder from a backup. Without one, remove it and drop the lake tables: the ' +
  'next `millrace run FILE` fills them anew.'
/** What the other copy can stand in for. */
const BAD_COPY = new Set<ErrorName>(['CHECKPOINT_CORRUPT', 'STORAGE_FAILED'])
/** Checkpoints that are kept, the newest included, unless the configuration says another number. */
export const CHECKPOINTS_KEPT = 3

interface Copy {
  readonly path: string
  /** `null`: see `error`. */
  readonly checkpoint: CheckpointRecord | null
  /** CHECKPOINT_CORRUPT: the copy is torn. STORAGE_FAILED: nobody knows what it is. */
  readonly error: PipelineError | null
}

export class CheckpointStore {
  private readonly state: ObjectStore
  /** Checkpoints that `prune` leaves, 1 or more. */
  readonly kept: number
  /** Of the checkpoint that was loaded, until the kept ones have been looked at. */
  private readonly links: LinkCache = new Map()
  private readonly onBadCopy: (error: ErrorRecord) => void

  /** @param onBadCopy  told of a copy that the other one stood in for */
  constructor(
    state: ObjectStore,
    kept: number = CHECKPOINTS_KEPT,
    onBadCopy: (error: ErrorRecord) => void = () => undefined,
  ) {
    this.state = state
    this.kept = kept
    this.onBadCopy = onBadCopy
  }

  /**
   * Durable in two copies when it resolves, the intents of earlier epochs before them.
   *
   * @returns bytes of a copy
   * @throws PipelineError FENCED when the epoch, or a later one, has a checkpoint already: whoever
   *         took over may have deleted that of this epoch meanwhile
   */
  async save(checkpoint: Checkpoint): Promise<number> {
    const newest = (await this.epochs()).at(-1) ?? 0
    if (newest > checkpoint.epoch) {
      throw new PipelineError('FENCED', `checkpoint ${newest} was written by another instance`)
    }
    const bytes = encodeCheckpoint(await this.recordOf(checkpoint))
    for (const copy of COPIES) {
      if (!(await this.state.putIfAbsent(pathOf(checkpoint.epoch, copy), bytes))) {
        throw new PipelineError('FENCED', `checkpoint ${checkpoint.epoch} was written by another`)
      }
    }
    return bytes.length
  }

  private async recordOf({ intents, ...parts }: Checkpoint): Promise<CheckpointRecord> {
    const { epoch } = parts
    let before: PendingIntent | null = null
    let count = 0
    for (const intent of intents) {
      if (intent.epoch === epoch) break
      await intent.store(this.state, before)
      before = intent
      count++
    }
    const intent = (await intents[count]?.read()) ?? null
    const newest = before?.place ?? null
    return { ...parts, intent, older: newest === null ? null : { newest, count } }
  }

  private async resolve({ older, intent, ...parts }: CheckpointRecord): Promise<Checkpoint> {
    const intents =
      older === null ? [] : await PendingIntent.readChain(this.state, older, this.links)
    if (intent !== null) intents.push(PendingIntent.of(intent))
    return { ...parts, intents }
  }

  /** Epochs that have a checkpoint, ascending. */
  async epochs(): Promise<readonly number[]> {
    const epochs = new Set<number>()
    for (const path of await this.state.list(FOLDER)) {
      const epoch = epochOf(path)
      if (epoch !== null) epochs.add(epoch)
    }
    return [...epochs].sort((left, right) => left - right)
  }

  /**
   * The newest checkpoint with a valid copy. Copies that are torn are moved aside, so that their
   * epoch can be written again: call it only under the instance lock. A copy that cannot be read
   * stays where it is: the disk may give it back.
   *
   * A newest checkpoint without a valid copy was never the base of a receipt if its second copy is
   * missing: nothing was acknowledged or committed from it, and the one before it goes on.
   *
   * @returns `null` when there is none
   * @throws PipelineError CHECKPOINT_CORRUPT when both copies of the newest are damaged, or an
   *         intent that it names · STORAGE_FAILED when none is valid and one cannot be read
   */
  async loadNewest(): Promise<Checkpoint | null> {
    this.links.clear()
    const epochs = [...(await this.epochs())]
    for (let epoch = epochs.pop(); epoch !== undefined; epoch = epochs.pop()) {
      const copies = await this.readCopies(epoch)
      const valid = copies.find(({ checkpoint }) => checkpoint !== null)?.checkpoint ?? null
      if (valid === null) await this.refuseUnlessTorn(epoch, copies)
      for (const { path, error } of copies) {
        if (error === null) continue
        if (error.error === 'CHECKPOINT_CORRUPT') await this.moveAside(path)
        this.onBadCopy(recordOf(error))
      }
      if (valid === null) continue
      await this.complete(epoch, valid)
      return this.resolve(valid)
    }
    return null
  }

  /**
   * What a run begins with that reads every table again: the newest checkpoint that is valid, and
   * nothing of it that could be damaged elsewhere. Intents and the writers' state would be void.
   *
   * The position of a lost checkpoint may have been acknowledged, so only such a run may use an
   * older one. It goes on behind the epochs and the file ids that were lost.
   *
   * @returns `null` when there has never been one
   * @throws PipelineError CHECKPOINT_CORRUPT when none is valid
   */
  async loadForResync(): Promise<Checkpoint | null> {
    const epoch = (await this.epochs()).at(-1)
    const found = await this.peekNewest()
    if (epoch === undefined) return null
    if (found === null) throw unusable(epoch, '', NOTHING_LEFT)
    const { intent: _, older: __, ...parts } = found
    const nextFileId = found.nextFileId + (found.epoch < epoch ? FILE_IDS_LOST : 0)
    const nothing = { intents: [], waiting: {}, cancelled: {}, writers: [], held: {} }
    const committed = new Map(parts.lake.map((one) => [one.table, one.committedEpoch ?? 0]))
    const readiness = withoutWaiting(parts.readiness ?? [], committed)
    return { ...parts, ...nothing, readiness, epoch, nextFileId }
  }

  /**
   * Reads without touching anything: for `status`.
   *
   * @throws PipelineError STORAGE_FAILED when nothing is valid and something cannot be read
   */
  async peekNewest(): Promise<CheckpointRecord | null> {
    let failure: PipelineError | null = null
    for (const epoch of [...(await this.epochs())].reverse()) {
      for (const { checkpoint, error } of await this.readCopies(epoch)) {
        if (checkpoint !== null) return checkpoint
        if (error?.error === 'STORAGE_FAILED') failure ??= error
      }
    }
    if (failure !== null) throw failure
    return null
  }

  /**
   * The checkpoints that `prune` would leave, oldest first, without those that are damaged.
   *
   * @throws PipelineError STORAGE_FAILED when it cannot be told what they name
   */
  async peekKept(): Promise<readonly Checkpoint[]> {
    const kept: Checkpoint[] = []
    for (const epoch of (await this.epochs()).slice(-this.kept)) {
      const copies = await this.readCopies(epoch)
      const valid = copies.find(({ checkpoint }) => checkpoint !== null)?.checkpoint ?? null
      const unreadable = copies.find(({ error }) => error?.error === 'STORAGE_FAILED')
      if (valid === null && unreadable?.error) throw unreadable.error
      if (valid !== null) kept.push(await this.resolveUndamaged(valid))
    }
    this.links.clear()
    return kept
  }

  /** With a damaged intent, nothing can begin from the checkpoint but a resync without intents. */
  private async resolveUndamaged(record: CheckpointRecord): Promise<Checkpoint> {
    try {
      return await this.resolve(record)
    } catch (error) {
      const isDamaged = error instanceof PipelineError && error.error === 'CHECKPOINT_CORRUPT'
      if (!isDamaged) throw error
      return this.resolve({ ...record, older: null })
    }
  }

  /** Deletes what is older than the kept ones. @returns the kept checkpoints' epochs */
  async prune(): Promise<readonly number[]> {
    const epochs = await this.epochs()
    const dropped = epochs.slice(0, -this.kept)
    for (const epoch of dropped) {
      for (const copy of COPIES) await this.state.delete(pathOf(epoch, copy))
    }
    return epochs.slice(-this.kept)
  }

  /**
   * Takes a checkpoint out of use whose epoch came to nothing, so that the one before goes on and
   * the epoch can be written again. Only under the instance lock, and only while it is the newest.
   */
  async setAside(epoch: number): Promise<void> {
    for (const { path } of await this.readCopies(epoch)) {
      await this.state.put(`${path}.aborted`, await this.state.get(path))
      await this.state.delete(path)
    }
  }

  /** Of the copies of one epoch, none of which is valid. */
  private async refuseUnlessTorn(epoch: number, copies: readonly Copy[]): Promise<void> {
    const unreadable = copies.find(({ error }) => error?.error === 'STORAGE_FAILED')
    if (unreadable?.error) throw unreadable.error
    if (copies.length < COPIES.length) return
    const older = await this.peekNewest()
    const reason = copies.find(({ error }) => error?.detail)?.error?.detail ?? ''
    throw unusable(epoch, reason, older === null ? NOTHING_LEFT : null)
  }

  private async readCopies(epoch: number): Promise<readonly Copy[]> {
    const copies = await Promise.all(COPIES.map((copy) => this.readCopy(pathOf(epoch, copy))))
    return copies.filter((copy) => copy !== null)
  }

  /** @returns `null` when there is none */
  private async readCopy(path: string): Promise<Copy | null> {
    try {
      if (!(await this.state.exists(path))) return null
      return { path, checkpoint: decodeCheckpoint(await this.state.get(path), path), error: null }
    } catch (error) {
      if (!(error instanceof PipelineError) || !BAD_COPY.has(error.error)) throw error
      return { path, checkpoint: null, error }
    }
  }

  /**
   * A crash between the two copies leaves one: the other is written before anybody relies on it.
   */
  private async complete(epoch: number, checkpoint: CheckpointRecord): Promise<void> {
    const bytes = encodeCheckpoint(checkpoint)
    for (const copy of COPIES) await this.state.putIfAbsent(pathOf(epoch, copy), bytes)
  }

  private async moveAside(path: string): Promise<void> {
    await this.state.put(`${path}.damaged`, await this.state.get(path))
    await this.state.delete(path)
  }
}

/** @param reason  a sentence, where damage is not the reason */
function unusable(epoch: number, reason: string, hint: string | null): PipelineError {
  const lake = 'Nothing was lost in the lake; it stands at its last commit.'
  const detail = reason === '' ? lake : `${reason} ${lake}`
  const message = `no copy of checkpoint ${epoch} can be used`
  const more = hint === null ? { detail } : { detail, hint }
  return new PipelineError('CHECKPOINT_CORRUPT', message, more)
}

function pathOf(epoch: number, copy: (typeof COPIES)[number]): string {
  return `${FOLDER}/${String(epoch).padStart(12, '0')}-${copy}`
}

function epochOf(path: string): number | null {
  const match = /\/(\d{12})-[ab]$/.exec(`/${path}`)
  return match?.[1] === undefined ? null : Number(match[1])
}
