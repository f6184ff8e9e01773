// What the pipeline file says of each table, as the source thread asks for it.

import { tableKey } from '../data/schema.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { routeTable } from '../job/config/route.ts'
import type { OperatorPlans } from '../operator.ts'

export function operatorPlans({ routes }: Pick<PipelineConfig, 'routes'>): OperatorPlans {
  return { of: () => null, target: (table) => tableKey(routeTable(routes, table)) }
}
