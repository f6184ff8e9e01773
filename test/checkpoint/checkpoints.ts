// Checkpoints for tests that care about a part of them.

import { CHECKPOINT_FORMAT, type Checkpoint } from '../../runtime/checkpoint/manifest.ts'

/** A checkpoint of a pipeline without tables. */
export function checkpointOf(epoch: number, parts: Partial<Checkpoint> = {}): Checkpoint {
  const position = { split: 'log', order: BigInt(epoch), token: '' }
  return {
    format: CHECKPOINT_FORMAT,
    pipeline: 'shop',
    timeline: 1,
    epoch,
    fence: '000000000001',
    source: { position, sourceTimeUs: 0n, state: '', tables: [] },
    writers: [],
    nextFileId: 1,
    intents: [],
    waiting: {},
    cancelled: {},
    lake: [],
    held: {},
    parked: [],
    savedAtMs: 0,
    ...parts,
  }
}
