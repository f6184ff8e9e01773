// The records that a topic has kept longest, as rows, for people to look at: read as the pipeline
// reads them, up to where the topic ended at the start, by a reader that reports to no group.

import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceContext } from '../../runtime/source.ts'
import type { KafkaOptions } from './options.ts'
import { createKafkaSource } from './source.ts'

/**
 * Of a topic whose columns are declared, the structure is told without a record.
 *
 * @throws PipelineError TABLE_MISSING, or that of a record that cannot be decoded
 */
export async function* sampleTopic(
  options: KafkaOptions,
  topic: string,
  rowsMax: number,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<ChangeBatch> {
  const source = createKafkaSource({
    ...options,
    groupId: null,
    start: { at: 'earliest' },
    topics: (name) => name === topic,
  })
  try {
    const opening = await source.open(null, null, false)
    if (opening.more !== true) {
      throw new PipelineError('TABLE_MISSING', `there is no topic "${topic}"`)
    }
    for (const table of opening.tables) context.tableChanged(table, 0n)
    if (rowsMax === 0) return
    const head = await source.head()
    for await (const element of source.read(opening.position, context, signal)) {
      if (element.kind === 'changes') yield element
      else if (source.reaches(element.position, head)) return
    }
  } finally {
    await source.close()
  }
}
