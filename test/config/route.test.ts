import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { unionTarget } from '../../runtime/data/schema.ts'
import { routeTable, routeUnion } from '../../runtime/job/config/route.ts'
import { changed, lint, writeFile } from './pipeline-file.ts'

function withRoute(...entries: readonly string[]): string {
  const lines = entries.map((entry) => `  - ${entry}\n`).join('')
  return changed(['sink:', `route:\n${lines}sink:`])
}

test('the first route that matches names the table, and a table without one keeps its names', () => {
  const routes = [
    { from: String.raw`/shop_([0-9]+)\.orders/`, into: 'lake.orders_$1' },
    { from: 'shop_*.tmp_*', into: '$1.$2' },
    { from: 'shop_1.*', into: 'ods.$1' },
    { from: 'b.*', into: String.raw`a\.b.$$$1` },
  ]
  const into = (namespace: string, name: string): string => {
    const target = routeTable(routes, { namespace, name })
    return `${target.namespace}|${target.name}`
  }
  expect(into('shop_12', 'orders')).toBe('lake|orders_12')
  expect(into('shop_1', 'tmp_x_y')).toBe('1|x_y')
  expect(into('shop_1', 'items')).toBe('ods|items')
  expect(into('shop_2', 'items')).toBe('shop_2|items')
  expect(into('b', 'c')).toBe('a.b|$c')
})

test('a route that can name nothing is an error at its place', () => {
  const text = withRoute(
    '{ from: "public.*", into: orders }',
    '{ from: "public.*", into: "lake.$2" }',
    '{ from: "public", into: "lake.$1" }',
    '{ from: "/public[/", into: "lake.x" }',
    '{ from: "/public.(a|b)/", into: "lake.$1" }',
  )
  expect(lint(text).map((line) => line.replace(/ \(did.*$/, ''))).toEqual([
    '8:31 MR-1003 route[0].into: "orders" is not of the form namespace.name',
    '9:31 MR-1003 route[1].into: "lake.$2" names $2, and "public.*" has 1 * or groups',
    '10:13 MR-1003 route[2].from: "public" is not of the form schema.table',
    '11:13 MR-1003 route[3].from: "/public[/" is not a regular expression that JavaScript can read',
  ])
})

test("Flink CDC's spelling of a route is read, with a word about ours", () => {
  const text = withRoute(String.raw`{ source-table: "app_db.\\.*", sink-table: "ods.$1" }`)
  expect(lint(text)).toEqual([
    '8:7 MR-1002 info: route[0].source-table: use from',
    '8:21 MR-1003 info: route[0].from: use "app_db.*"',
    '8:36 MR-1002 info: route[0].sink-table: use into',
  ])
  const { routes } = loadPipeline(writeFile(text), {})
  expect(routes).toEqual([{ from: 'app_db.*', into: 'ods.$1' }])
})

test('tables are united where rows are told apart by key, and nowhere else', () => {
  const entry = '{ from: "public.*", into: "lake.all", union: widen }'
  expect(lint(withRoute(entry))).toEqual([])
  const lines = (text: string): string[] => lint(text).map((line) => line.slice(0, 60))
  const appends = withRoute(entry).replace(/^sink:$/m, 'sink:\n  mode: append')
  expect(lines(appends).join()).toContain('route[0].union: in `append`')
  const keys = withRoute('{ from: "public.*", into: "lake.all", keys: disjoint }')
  expect(lines(keys).join()).toContain('MR-1003 route[0].keys says something')
  expect(lines(withRoute('{ from: "public.*", into: "lake.all", union: any }'))).toHaveLength(1)
})

test('a union is known by the name that its tables have in the lake', () => {
  const routes = [{ from: '/s_([0-9]+)\\.(.*)/', into: 'lake.$2', union: 'widen' }] as const
  expect(routeUnion(routes, { namespace: 's_1', name: 'orders' })).toEqual({
    table: '.lake.orders',
    disjoint: false,
  })
  expect(routeUnion(routes, { namespace: 'other', name: 'orders' })).toBeNull()
  expect(unionTarget('.lake.orders')).toEqual({ namespace: 'lake', name: 'orders' })
  expect(unionTarget('lake.orders')).toBeNull()
})
