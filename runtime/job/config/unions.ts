// Where several tables of the source may be one in the lake (`route`, `union: widen`), and where not.

import type { ConfigDocument } from './document.ts'
import type { PipelineInput } from './schema.ts'

/** Reports entries of `route` that unite tables where that would lose, double or hide rows. */
export function checkUnions(
  { route, source, sink }: PipelineInput,
  mode: string,
  announces: boolean,
  several: boolean,
  document: ConfigDocument,
): void {
  const why =
    source.type === 'kafka'
      ? 'topics are not united: give each a table of its own'
      : several
        ? 'one of several `sinks` cannot have it: give the union a pipeline of its own'
        : sink.type !== 'iceberg'
          ? `a union needs \`sink.type: iceberg\`, not ${sink.type}`
          : mode === 'append'
            ? 'in `append` a copy that begins again takes back all rows of its table, those of ' +
              'others too: use `upsert` or `changelog`'
            : announces
              ? 'partitions of a union are not announced: leave `partition_ready` out, or `union`'
              : null
  for (const [index, { union, keys }] of route.entries()) {
    if (union === undefined) {
      if (keys === undefined) continue
      const message = `route[${index}].keys says something of \`union: widen\`, which is not there`
      document.report(['route', index, 'keys'], { error: 'CONFIG_VALUE', message })
    } else if (why !== null) {
      const message = `route[${index}].union: ${why}`
      document.report(['route', index, 'union'], { error: 'CONFIG_UNSUPPORTED', message })
    }
  }
}
