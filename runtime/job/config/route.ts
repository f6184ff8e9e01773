// `route` of a pipeline file: under which name a table stands in the lake. The first entry that
// matches counts; a table that none matches keeps its names.

import { z } from 'zod'
import { unionKey } from '../../data/schema.ts'
import type { UnionPlan } from '../../operator.ts'
import type { ConfigDocument } from './document.ts'
import { captureName } from './glob.ts'
import { checkPattern } from './pattern-check.ts'
import { nearestName } from '../../base/nearest.ts'
import { TABLE_SHAPE } from './selector.ts'

const FROM = 'a pattern such as "shop.*" or "/shop_([0-9]+)\\.orders/"'
const INTO = 'a name such as "lake.ods_$1"'
const SINK = 'the name of one of `sinks`'

export const routeSchema = z
  .array(
    z.strictObject(
      {
        from: z.string(FROM).min(1, FROM).describe('Tables of the source: a glob or /expression/.'),
        into: z
          .string(INTO)
          .min(1, INTO)
          .describe('Table of the lake; $1 is the text of the first * or group of `from`.'),
        sink: z
          .string(SINK)
          .min(1, SINK)
          .optional()
          .describe(
            'Of several `sinks` the one that this is for: tables that such an entry matches go ' +
              'to the sinks of their entries only. Default: all.',
          ),
        union: z
          .enum(['widen'], 'widen')
          .optional()
          .describe(
            'Several tables may be one in the lake: with the columns of all, in the widest types.',
          ),
        keys: z
          .enum(['disjoint'], 'disjoint')
          .optional()
          .describe('No key is ever in two tables of the union, so no column tells them apart.'),
      },
      'a block with `from` and `into`',
    ),
    'a list of blocks',
  )
  .prefault([])
  .describe('Names of the tables in the lake, where they are not those of the source.')

export interface RouteConfig {
  readonly from: string
  /** `namespace.name`, with $1 ... $9 and $$ in it. */
  readonly into: string
  /** The only one of several sinks that it is for; missing: all. */
  readonly sink?: string | undefined
  /** Several tables may be one in the lake. */
  readonly union?: 'widen' | undefined
  /** No key is ever in two tables of the union. */
  readonly keys?: 'disjoint' | undefined
}

/** Names of a table: schema or database, and its own. */
export interface TableNames {
  readonly namespace: string
  readonly name: string
}

/**
 * Reports patterns that are none, and names that cannot be made.
 *
 * @param sinks  names of several sinks; `null`: there is one, without a name
 */
export function checkRoutes(
  routes: readonly RouteConfig[],
  document: ConfigDocument,
  sinks: readonly string[] | null = null,
): void {
  for (const [index, { from, into, sink }] of routes.entries()) {
    if (sink !== undefined) checkSink(sink, index, document, sinks)
    const report = (message: string): void => {
      const problem = {
        error: 'CONFIG_VALUE',
        message: `route[${index}].into: ${message}`,
      } as const
      document.report(['route', index, 'into'], problem)
    }
    if (checkPattern(from, TABLE_SHAPE, ['route', index, 'from'], document) === null) continue
    if (splitName(into) === null) report(`"${into}" is not of the form namespace.name`)
    const groups = groupsOf(from)
    for (const [, digit] of into.matchAll(/\$(?:\$|([1-9]))/g)) {
      if (digit === undefined || Number(digit) <= groups) continue
      report(`"${into}" names $${digit}, and "${from}" has ${groups} * or groups`)
    }
  }
}

function checkSink(
  sink: string,
  index: number,
  document: ConfigDocument,
  sinks: readonly string[] | null,
): void {
  if (sinks?.includes(sink) === true) return
  const known = sinks === null ? 'the file has one `sink`, for all tables' : sinks.join(', ')
  const message = `route[${index}].sink: "${sink}" is none of \`sinks\`: ${known}`
  const suggestion = nearestName(sink, sinks ?? [])
  document.report(['route', index, 'sink'], { error: 'CONFIG_VALUE', message, suggestion })
}

/**
 * @param names  of all sinks
 * @returns those that a table goes to: all, unless entries that match it name some
 * @throws RangeError where a pattern was not checked before
 */
export function sinksOf(
  routes: readonly RouteConfig[],
  names: readonly string[],
  table: TableNames,
): readonly string[] {
  const own = routes.filter(({ from }) => captureName(from, [table.namespace, table.name]) !== null)
  if (own.every(({ sink }) => sink === undefined)) return names
  return names.filter((name) => own.some(({ sink = name }) => sink === name))
}

/**
 * @returns the names that a table has in the lake
 * @throws RangeError where a pattern was not checked before
 */
export function routeTable(routes: readonly RouteConfig[], table: TableNames): TableNames {
  return routed(routes, table)?.target ?? table
}

/**
 * @returns the union that a table is a part of; `null`: it is a table by itself
 * @throws RangeError where a pattern was not checked before
 */
export function routeUnion(routes: readonly RouteConfig[], table: TableNames): UnionPlan | null {
  const found = routed(routes, table)
  if (found === null || found.route.union === undefined) return null
  return { table: unionKey(found.target), disjoint: found.route.keys === 'disjoint' }
}

function routed(
  routes: readonly RouteConfig[],
  table: TableNames,
): { readonly route: RouteConfig; readonly target: TableNames } | null {
  for (const route of routes) {
    const { from, into } = route
    const captured = captureName(from, [table.namespace, table.name])
    if (captured === null) continue
    const [namespace, name] = splitName(into) ?? []
    if (namespace === undefined || name === undefined) throw new RangeError(`route into "${into}"`)
    return {
      route,
      target: { namespace: filled(namespace, captured), name: filled(name, captured) },
    }
  }
  return null
}

/** The first dot divides; a dot that belongs to a name has a backslash before it. */
function splitName(into: string): readonly [string, string] | null {
  const [, namespace = '', name = ''] = /^((?:\\.|[^\\.])+)\.(.+)$/s.exec(into) ?? []
  if (namespace === '' || name === '') return null
  const plain = (text: string): string => text.replaceAll(/\\(.)/gs, '$1')
  return [plain(namespace), plain(name)]
}

function filled(text: string, captured: readonly string[]): string {
  return text.replaceAll(/\$(?:(\$)|([1-9]))/g, (_, dollar: string | undefined, digit: string) =>
    dollar === undefined ? (captured[Number(digit) - 1] ?? '') : '$',
  )
}

function groupsOf(from: string): number {
  if (!from.startsWith('/')) return from.replaceAll(/\\./gs, '').split('*').length - 1
  // An alternative that matches nothing tells how many groups there are.
  return (new RegExp(`${from.slice(1, -1)}|`, 'u').exec('')?.length ?? 1) - 1
}
