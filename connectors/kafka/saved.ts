// What decoders need of the last process, in the checkpoint: the structures that they have seen.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SavedDecoders } from './decode/topic-rows.ts'

const FORMAT = 1

interface Saved {
  readonly format: typeof FORMAT
  readonly decoders: readonly (readonly [string, SavedDecoders])[]
}

/** @param decoders  by topic and id; those that need nothing are left out */
export function formatSaved(decoders: ReadonlyMap<string, SavedDecoders>): Uint8Array {
  const needed = [...decoders].filter(([, { key, value }]) => key !== null || value !== null)
  const saved: Saved = { format: FORMAT, decoders: needed }
  return Buffer.from(JSON.stringify(saved))
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function parseSaved(bytes: Uint8Array): ReadonlyMap<string, SavedDecoders> {
  let saved: Saved
  try {
    saved = JSON.parse(Buffer.from(bytes).toString()) as Saved
  } catch (cause) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the state of the topics is no JSON', { cause })
  }
  if (saved.format === FORMAT) return new Map(saved.decoders)
  throw new PipelineError('CHECKPOINT_CORRUPT', 'the state of the topics has another format')
}
