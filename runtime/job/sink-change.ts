// A pipeline keeps its sinks for life: what one of them has is known by its name, and a sink that
// is new to the pipeline lacks all that was read before.

import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { SinkIdentity } from '../checkpoint/sink-parts.ts'

/**
 * The order of the sinks says nothing.
 *
 * @param sinks  of several; missing: the pipeline has one, without a name
 * @throws PipelineError CONFIG_UNSUPPORTED
 */
export function requireSameSinks(
  last: Pick<Checkpoint, 'sinks'> | null,
  sinks: readonly SinkIdentity[] | undefined,
): void {
  if (last === null || listed(last.sinks) === listed(sinks)) return
  const [now, before] = [listed(sinks), listed(last.sinks)]
  const message = `the pipeline has ${now}, and was begun with ${before}`
  throw new PipelineError('CONFIG_UNSUPPORTED', message, {
    detail:
      'A sink that is added lacks the rows of before, and one that is renamed is another one to ' +
      'the checkpoint. Nothing was read or written.',
    hint:
      `Set ${before} again; or give a sink that is new a pipeline with a name of its own; or run ` +
      '`millrace drop FILE` and begin anew, which copies all tables into all sinks.',
  })
}

function listed(sinks: readonly SinkIdentity[] | undefined): string {
  if (sinks === undefined) return 'one `sink`'
  const names = sinks.map(({ name, type }) => `${name} (${type})`)
  return `\`sinks\` ${names.toSorted().join(', ')}`
}
