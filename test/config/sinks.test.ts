// `sinks` of a pipeline file: each is what the one `sink` would be, and what they must agree on is
// said where it is wrong.

import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import { sinkParts } from '../../runtime/cli/sink-parts.ts'
import { changed, changedKafka, COMPLETE, lint, writeFile } from './pipeline-file.ts'

const SINK = `sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:////lake/catalog.db" }
  warehouse: file:///lake/warehouse
`
const LAKE = `  lake:
    type: iceberg
    catalog: { type: sql, uri: "sqlite:////lake/catalog.db" }
    warehouse: file:///lake/warehouse
`
const EVENTS = '  events: { type: kafka, brokers: [127.0.0.1:9092] }\n'
const FILES = '  files: { type: parquet, path: file:///lake/files }\n'

const several = (sinks: string, rest = ''): string => changed([SINK, `sinks:\n${sinks}${rest}`])
const load = (text: string): PipelineConfig => loadPipeline(writeFile(text), {})

test('each sink is read as the only one would be', () => {
  const { parts = [], sink, ...whole } = load(several(LAKE + EVENTS))
  expect(parts.map(({ part }) => part)).toEqual(['lake', 'events'])
  const alone = load(COMPLETE)
  expect(parts[0]?.sink).toEqual(alone.sink)
  expect(sink).toEqual(alone.sink)
  const kafka = changed([SINK, `sink: { type: kafka, brokers: [127.0.0.1:9092] }\n`])
  expect(parts[1]?.sink).toEqual(load(kafka).sink)
  // A transaction has one writer.
  for (const { parallelism } of [whole, ...parts]) expect(parallelism).toBe(1)
  expect(alone.parts).toBeUndefined()
})

test('three sinks of one mode', () => {
  const append = LAKE + '    mode: append\n'
  const files = FILES.replace(' }', ', change_format: append }')
  const text = several(append + EVENTS.replace(' }', ', mode: append }') + files)
  expect(lint(text)).toEqual([])
  const { parts = [] } = load(text)
  expect(parts.map(({ sink: { mode, type } }) => `${type} ${mode}`)).toEqual([
    'iceberg append',
    'kafka append',
    'parquet append',
  ])
})

test('memory is shared by the sinks that have some', () => {
  const modes = several(`${LAKE}    mode: changelog\n${FILES}`)
  const { parts = [] } = load(modes.replace('pipeline:\n', 'pipeline:\n  memory: 512MiB\n'))
  for (const { memoryBytes } of parts) expect(memoryBytes).toBe(256 * 1024 * 1024)
})

test('entries of `route` that name a sink take their tables from the others', () => {
  const routes = `route:
  - { from: public.orders, into: dw.orders, sink: lake }
  - { from: public.clicks, into: kafka.clicks, sink: events }
  - { from: "public.c*", into: "dw.$1" }
`
  const config = load(several(LAKE + EVENTS, routes))
  const sinks = sinkParts(config)
  expect(sinks?.of('public.orders')).toEqual(['lake'])
  expect(sinks?.of('public.clicks')).toEqual(['lake', 'events'])
  expect(sinks?.of('public.cars')).toEqual(['lake', 'events'])
  expect(sinks?.of('public.others')).toEqual(['lake', 'events'])
  const [lake, events] = config.parts ?? []
  expect(lake?.routes.map(({ into }) => into)).toEqual(['dw.orders', 'dw.$1'])
  expect(events?.routes.map(({ into }) => into)).toEqual(['kafka.clicks', 'dw.$1'])
})

const WRONG: readonly (readonly [what: string, text: string, message: string])[] = [
  ['both', `${COMPLETE}sinks:\n${LAKE}`, '13:1 MR-1003 sink and sinks say the same twice'],
  ['a list', several('  - { type: kafka }\n'), '8:3 MR-1003 sinks must be a block of sinks by'],
  ['none', changed([SINK, 'sinks: {}\n']), '7:8 MR-1003 sinks must have at least one sink'],
  ['a name', several(LAKE.replace('lake:', 'Lake:')), '8:3 MR-1003 sinks: a name has up to 63'],
  ['a mode', several(LAKE + FILES), '12:3 MR-1005 sinks.files keeps rows as changelog, and s'],
  ['a type', several(EVENTS + EVENTS.replace('events', 'more')), '9:3 MR-1005 sinks.more and'],
  ['a key', several(`${LAKE}    mod: append\n`), '12:5 MR-1002 unknown key "mod" in sinks.lake'],
  ['a value', several(`${LAKE}    mode: mirror\n`), '12:11 MR-1005 sinks.lake.mode: mirror is'],
  [
    'readiness',
    several(LAKE, 'partition_ready: { "public.*": { field: dt } }\n'),
    '12:1 MR-1005 partition_ready is not supported with sinks',
  ],
  [
    'an unknown sink',
    several(LAKE, 'route:\n  - { from: a.b, into: c.d, sink: lakes }\n'),
    '13:35 MR-1003 route[0].sink: "lakes" is none of `sinks`: lake (did you mean "lake"?)',
  ],
  [
    'a union',
    several(LAKE + EVENTS, 'route:\n  - { from: "a.*", into: c.d, sink: lake, union: widen }\n'),
    '14:50 MR-1005 route[0].union: one of several `sinks` cannot have it',
  ],
  [
    'a sink of one',
    `${COMPLETE}route:\n  - { from: a.b, into: c.d, sink: lake }\n`,
    '14:35 MR-1003 route[0].sink: "lake" is none of `sinks`: the file has one `sink`',
  ],
  [
    'writers',
    several(LAKE + EVENTS).replace('pipeline:\n', 'pipeline:\n  parallelism: 2\n'),
    '14:16 MR-1005 pipeline.parallelism is not supported for sinks.events.type kafka',
  ],
]

test('what is wrong is said at its place, once', () => {
  for (const [what, text, message] of WRONG) {
    const found = lint(text)
    expect(found, what).toHaveLength(1)
    expect(found[0], what).toContain(message)
  }
})

test('what all sinks share is said once', () => {
  const text = several(LAKE + EVENTS).replace('tables:', 'tabels:')
  expect(lint(text).filter((line) => line.includes('tabels'))).toHaveLength(1)
})

test('topics into two sinks keep rows as they come', () => {
  const sinks = `sinks:\n${LAKE}    mode: append\n${FILES}`
  const text = changedKafka([`${SINK}  mode: append\n`, sinks])
  expect(lint(text)).toEqual([])
  expect(load(text).sink.mode).toBe('append')
})
