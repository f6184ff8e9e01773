// Where a sink's prepared epochs do not last, the newest checkpoint may name an epoch that came to
// nothing. The one before it is then gone on from: its epoch is committed, or the newest would not
// have been written, and the source still has what follows it.

import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { CheckpointStore } from '../checkpoint/store.ts'

/**
 * Only under the instance lock.
 *
 * @param isWhole  commits what a checkpoint has prepared; false: it is lost
 * @param onLost  told before the checkpoint of an epoch is set aside
 * @throws PipelineError TRANSACTION_UNKNOWN: the first epoch of the pipeline is lost
 */
export async function wholeCheckpoint(
  newest: Checkpoint,
  store: CheckpointStore,
  isWhole: (checkpoint: Checkpoint, signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
  onLost: (epoch: number) => void,
): Promise<Checkpoint | null> {
  let base: Checkpoint | null = newest
  while (base !== null && !(await isWhole(base, signal))) {
    const { epoch }: Checkpoint = base
    if ((await store.epochs()).every((other) => other >= epoch)) throw firstIsLost(epoch)
    onLost(epoch)
    await store.setAside(epoch)
    base = await store.loadNewest()
  }
  return base
}

function firstIsLost(epoch: number): PipelineError {
  const message = `the transaction of epoch ${epoch} was aborted, and no checkpoint is older`
  return new PipelineError('TRANSACTION_UNKNOWN', message, {
    detail: 'Nothing of it was ever visible to readers of committed records.',
    hint: 'Run `millrace drop FILE`, and start the pipeline anew.',
  })
}
