// Where a table of the source stands in the lake: under its own names, unless `route` says others.

import type { CatalogTable } from '../catalog.ts'
import { namesOf, unionTarget } from '../data/schema.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { routeTable } from '../job/config/route.ts'

/** @returns what gives the lake's table for a table of the source (`tableKey`) */
export function lakeTargets({
  routes,
}: Pick<PipelineConfig, 'routes'>): (table: string) => CatalogTable {
  const known = new Map<string, CatalogTable>()
  return (table) => {
    const found = known.get(table)
    if (found !== undefined) return found
    const target = unionTarget(table) ?? routeTable(routes, namesOf(table))
    known.set(table, target)
    return target
  }
}
