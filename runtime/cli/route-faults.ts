// Whether `route` gives two tables one name in the lake without meaning it, or means it and could
// take the rows of one for those of another. What only the columns' types tell, `plan` and `run` say.

import { tableKey } from '../data/schema.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { routeTable, routeUnion } from '../job/config/route.ts'
import { sourceSelector, tableSelector } from '../job/config/selector.ts'
import type { DiscoveredTable } from '../source.ts'
import type { SelectionFault } from './selection.ts'

export function routeFaults(
  config: Pick<PipelineConfig, 'source' | 'sink' | 'routes' | 'transforms'>,
  tables: readonly DiscoveredTable[],
): SelectionFault[] {
  const { source, routes } = config
  const selects = sourceSelector(source)
  const selected = tables.filter(({ namespace, name }) => selects(namespace, name))
  const targets = Map.groupBy(selected, (table) => tableKey(routeTable(routes, table)))
  return [...targets].flatMap(([target, parts]) =>
    parts.length > 1 ? sharedFaults(config, target, parts) : [],
  )
}

function sharedFaults(
  { routes, sink, transforms }: Parameters<typeof routeFaults>[0],
  target: string,
  parts: readonly DiscoveredTable[],
): SelectionFault[] {
  const apart = parts.filter((table) => routeUnion(routes, table) === null)
  if (apart.length > 0) {
    const others = parts.length - 1
    const [first] = parts
    const owner = apart.includes(first as DiscoveredTable) ? parts.at(-1) : first
    const [one] = apart
    if (one === undefined || owner === undefined) return []
    const more = others > 1 ? ` (${others + 1} tables in all)` : ''
    const names = `${tableKey(one)} and ${tableKey(owner)}`
    const message = `gives ${names} one name in the lake, ${target}${more}`
    return [{ error: 'ROUTE_TAKEN', name: 'route', message, fix: null }]
  }
  if (sink.mode !== 'upsert') return []
  return parts.flatMap((table): SelectionFault[] => {
    if (routeUnion(routes, table)?.disjoint === true) return []
    const { namespace, name, key } = table
    const entry = transforms.find(({ from }) => tableSelector([from])(namespace, name))
    if (entry?.primaryKeys?.some((column) => key?.includes(column) !== true) === true) return []
    const message =
      `unites ${parts.length} tables in ${target}, and no column of its key says which of them a ` +
      `row of ${tableKey(table)} is of: add \`__table__ AS shard\` to its projection and \`shard\` ` +
      'to its `primary_keys`, or write `keys: disjoint`'
    return [{ error: 'ROUTE_TAKEN', name: 'route', message, fix: null, hint: SHARED_KEYS_HINT }]
  })
}

const SHARED_KEYS_HINT =
  'Add one by `transform`: `projection: "*, __table__ AS shard"` (or `__schema__`, `__db__`) and ' +
  '`primary_keys: [shard, ...]`; or write `keys: disjoint` beside `union: widen` where no key is ' +
  'ever in two of the tables.'
