// A pipeline keeps its mode for life: what another mode has written cannot be gone on with.

import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'

/**
 * Rows of a mode are not those of another: an `upsert` does not find what an `append` has added, and
 * columns of a `changelog` have the field ids of other tables' own.
 *
 * @throws PipelineError CONFIG_UNSUPPORTED
 */
export function requireSameMode(last: Pick<Checkpoint, 'mode'> | null, mode: string): void {
  if (last?.mode === undefined || last.mode === mode) return
  const message = `sink.mode is ${mode}, and the tables of this pipeline were begun as ${last.mode}`
  throw new PipelineError('CONFIG_UNSUPPORTED', message, {
    detail: 'Rows of one mode cannot go on in another. Nothing was read or written.',
    hint:
      `Set \`sink.mode: ${last.mode}\` again; or run \`millrace drop FILE\` and begin anew; or give ` +
      'the other mode a pipeline with a name and a catalog of its own.',
  })
}
