// The status that a running process leaves in its state store, so that `millrace status` can read
// it from anywhere that sees the store, also after the process is gone.

import { PipelineError } from '../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import { type PipelineStatus, STATUS_FORMAT } from './status.ts'

const PATH = 'status.json'

export async function writeStatus(store: ObjectStore, status: PipelineStatus): Promise<void> {
  await store.put(PATH, Buffer.from(JSON.stringify(status)))
}

/** @returns the last status; `null` when no process has left one */
export async function readStatus(store: ObjectStore): Promise<PipelineStatus | null> {
  if (!(await store.exists(PATH))) return null
  const text = Buffer.from(await store.get(PATH)).toString()
  let status: { readonly format?: unknown } | null
  try {
    status = JSON.parse(text) as { readonly format?: unknown } | null
  } catch (cause) {
    throw new PipelineError('STORAGE_FAILED', `${store.uri(PATH)} is not JSON`, { cause })
  }
  if (status?.format !== STATUS_FORMAT) {
    const detail = 'It was written by another version of Millrace.'
    throw new PipelineError('STORAGE_FAILED', `${store.uri(PATH)} has another format`, { detail })
  }
  return status as PipelineStatus
}
