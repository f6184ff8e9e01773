// Files that stay open over checkpoints, as a checkpoint has them, and how a later start takes
// their rows over: it copies the durable bytes into a file of its own. So garbage behind them is
// cut off, a process that is thought dead and is not cannot write into our file, and the checkpoint
// can be begun from again until the next one is durable.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import { restoreState } from '../../parquet/encode/stored-state.ts'
import type { HeldFile, HeldSource } from '../../parquet/table/held-file.ts'
import { openStateFile, type StateFile } from '../index/state-files.ts'

const COPY_BYTES = 1024 * 1024

/** All that a checkpoint has of held files, by writer. */
export interface StoredHeldFiles {
  readonly files: readonly HeldFile[]
  /** Paths that only checkpoints before this one name: to be deleted once it is durable. */
  readonly leftovers: readonly string[]
}

/** @returns what a data file of this start begins with */
export function heldSource(store: ObjectStore, held: HeldFile): HeldSource {
  return {
    state: restoreState(held.parquet),
    copyTo: (writer) => copyHeld(store, held, writer),
  }
}

/**
 * Writes the durable bytes of a held file.
 *
 * @throws PipelineError CHECKPOINT_CORRUPT when they are not there
 */
async function copyHeld(store: ObjectStore, held: HeldFile, writer: ObjectWriter): Promise<void> {
  const { bytes } = held.parquet
  const file = await openHeld(store, held)
  try {
    if (file.bytes < bytes) throw lost(held.path, `${file.bytes} of ${bytes} bytes are there`)
    const buffer = new Uint8Array(Math.min(COPY_BYTES, bytes))
    for (let at = 0; at < bytes; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, bytes - at))
      file.read(at, part)
      await writer.write(part)
    }
  } finally {
    file.close()
  }
}

/** A start that came to its end before its checkpoint has given the file its name. */
async function openHeld(store: ObjectStore, { path, unfinished }: HeldFile): Promise<StateFile> {
  for (const candidate of [unfinished, path]) {
    if (await store.exists(candidate)) return openStateFile(store, candidate)
  }
  throw lost(path, 'it is missing')
}

function lost(path: string, what: string): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `data file "${path}" is damaged: ${what}`, {
    detail: 'It has rows that the checkpoint counts as read and no snapshot shows yet.',
  })
}
