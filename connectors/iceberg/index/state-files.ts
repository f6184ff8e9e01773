// Reading pieces of immutable objects of a store. On a local disk that is a positional read;
// any other store is read whole when the object is opened.

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'

export interface StateFile {
  readonly path: string
  /** Bytes of the object. */
  readonly bytes: number
  /**
   * Fills `target` with the bytes from `offset` on.
   *
   * @throws PipelineError CHECKPOINT_CORRUPT when there are less, STORAGE_FAILED
   */
  read(offset: number, target: Uint8Array): void
  close(): void
}

/**
 * An object that a checkpoint names.
 *
 * @throws PipelineError CHECKPOINT_CORRUPT when it is missing, STORAGE_FAILED
 */
export async function readNamed(store: ObjectStore, path: string): Promise<Uint8Array> {
  try {
    return await store.get(path)
  } catch (error) {
    if (await store.exists(path)) throw error
    throw damaged(path, 'it is missing')
  }
}

/** @throws PipelineError CHECKPOINT_CORRUPT when the object is missing, STORAGE_FAILED */
export async function openStateFile(store: ObjectStore, path: string): Promise<StateFile> {
  const uri = store.uri(path)
  if (uri.startsWith('file://')) {
    if (!(await store.exists(path))) throw damaged(path, 'it is missing')
    return localFile(path, uri.slice('file://'.length))
  }
  const bytes = await readNamed(store, path)
  return {
    path,
    bytes: bytes.length,
    read(offset, target) {
      if (offset + target.length > bytes.length) throw damaged(path, 'it ends early')
      target.set(bytes.subarray(offset, offset + target.length))
    },
    close: () => undefined,
  }
}

/**
 * Reads block the thread: it is a writer's own, and a read served from the page cache costs less
 * than handing it to another thread and back.
 */
function localFile(path: string, name: string): StateFile {
  let descriptor: number | null = guarded(path, () => openSync(name, 'r'))
  return {
    path,
    bytes: guarded(path, () => statSync(name).size),
    read(offset, target) {
      const from = descriptor
      if (from === null) throw failed(path, null)
      guarded(path, () => {
        for (let at = 0; at < target.length;) {
          const bytes = readSync(from, target, at, target.length - at, offset + at)
          if (bytes === 0) throw damaged(path, 'it ends early')
          at += bytes
        }
      })
    },
    close() {
      if (descriptor !== null) closeSync(descriptor)
      descriptor = null
    },
  }
}

function guarded<T>(path: string, task: () => T): T {
  try {
    return task()
  } catch (cause) {
    throw cause instanceof PipelineError ? cause : failed(path, cause)
  }
}

function failed(path: string, cause: unknown): PipelineError {
  return new PipelineError('STORAGE_FAILED', `cannot read file "${path}"`, { cause })
}

/** A file of the state store that fails its checksum or breaks its format. */
export function damaged(path: string, what: string): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `state file "${path}" is damaged: ${what}`, {
    detail: 'The primary-key index cannot say where the rows of a table are without it.',
  })
}
