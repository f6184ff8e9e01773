// What the pipeline file says of each table, as the source thread asks for it.

import { transformPlan } from '../../operators/transform/operator.ts'
import { tableKey } from '../data/schema.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { routeTable } from '../job/config/route.ts'
import { tableSelector } from '../job/config/selector.ts'
import type { OperatorPlans } from '../operator.ts'

/** What the plans are made from. */
export type PlannedConfig = Pick<
  PipelineConfig,
  'routes' | 'transforms' | 'onError' | 'maskKey'
> & {
  readonly sink: Pick<PipelineConfig['sink'], 'mode'>
}

export function operatorPlans(config: PlannedConfig): OperatorPlans {
  const { routes, transforms, sink, onError, maskKey: secret } = config
  const maskKey = (): Uint8Array | null =>
    secret === null ? null : new TextEncoder().encode(secret.reveal())
  const entries = transforms.map(({ from, ...options }) => {
    return { selects: tableSelector([from]), plan: transformPlan(options, sink.mode, maskKey) }
  })
  return {
    of: ({ namespace, name }) => {
      const dead = onError.deadLetters
      // A pattern for all topics does not mean what could be read from none of them.
      if (dead !== null && dead.namespace === namespace && dead.name === name) return null
      return entries.find(({ selects }) => selects(namespace, name))?.plan ?? null
    },
    target: (table) => tableKey(routeTable(routes, table)),
  }
}
