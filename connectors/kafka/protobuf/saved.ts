// What a decoder needs after a restart: the structure of all schemas that it has seen, since the
// first record behind the checkpoint may have the oldest of them.

import { assert } from '../../../runtime/base/assert.ts'
import type { Structure } from './structure.ts'

export interface SavedDecoder {
  /** The message that the topic's rows are; `null`: none has come yet. */
  readonly message: string | null
  /** Of the files that the newest schema was read from; `null`: it is the registry's. */
  readonly hash: string | null
  readonly structure: Structure
}

const FORMAT = 1

export function formatSaved(saved: SavedDecoder): string {
  return JSON.stringify({ format: FORMAT, ...saved })
}

/** @param text  from a checkpoint, whose checksum was right */
export function parseSaved(text: string): SavedDecoder {
  const saved = JSON.parse(text) as SavedDecoder & { readonly format: number }
  assert(saved.format === FORMAT, 'a saved Protobuf decoder has the format of this version')
  const { message, hash, structure } = saved
  return { message, hash, structure }
}
