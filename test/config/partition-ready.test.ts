import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import type { Environment } from '../../runtime/job/config/variables.ts'
import { changed, changedKafka, lint, writeFile } from './pipeline-file.ts'

const SINK = 'warehouse: file:///lake/warehouse'

/** @param rule  keys of `public.clicks` in `partition_ready` */
function fileOf(rule: string, mode = 'append', source = ''): string {
  return changed(
    [
      SINK,
      `${SINK}
  mode: ${mode}
  partition_by: { "public.clicks": ["hour(ts)", "bucket[4](id)"], "public.*": [dt, "day(at)"] }`,
    ],
    ['tables: ["public.*"]', `tables: ["public.*"]\n${source}`],
    ['pipeline:\n', `partition_ready:\n  public.clicks: ${rule}\npipeline:\n`],
  )
}

/** Messages without their place and code. */
function faults(text: string, env: Environment = {}): string[] {
  return lint(text, env).map((line) => line.replace(/^\d+:\d+ (MR-\d+ )?/, ''))
}

function load(text: string, env: Environment = {}): PipelineConfig {
  return loadPipeline(writeFile(text), env)
}

test('what a table announces is read with its units, and its receivers have names that stay', () => {
  const text = fileOf(`
    event_time: ts
    partition: hours(ts)
    time_zone: Europe/Berlin
    delay: 1h30m
    actions:
      - { type: success_file }
      - { type: iceberg_property }
      - { type: http, url: "https://example.com/hook?key=1", secret: { from_env: S }, timeout: 3s }
      - { type: exec, name: told, command: [./notify.sh, now] }`)
  const [ready] = load(text, { S: 'secret' }).partitionReady
  expect(ready).toMatchObject({
    table: 'public.clicks',
    column: 'ts',
    unit: 'hour',
    isDate: false,
    timeZone: 'Europe/Berlin',
    delayMs: 5_400_000,
  })
  expect(ready?.actions).toMatchObject([
    { type: 'success_file' },
    { type: 'iceberg_property' },
    { type: 'http', name: 'http https://example.com/hook', timeoutMs: 3000, bearer: null },
    { type: 'exec', name: 'told', command: ['./notify.sh', 'now'], timeoutMs: 60_000 },
  ])
  const http = ready?.actions[2]
  expect(http?.type === 'http' ? http.secret?.reveal() : null).toBe('secret')
  expect(JSON.stringify(ready)).not.toContain('"secret":"secret"')
})

test('the partition is one of the fields that the table is partitioned by', () => {
  const actions = 'actions: [{ type: iceberg_property }]'
  expect(faults(fileOf(`{ partition: "hour(ts)", ${actions} }`))).toEqual([])
  expect(faults(fileOf(`{ partition: "day(ts)", ${actions} }`))).toEqual([
    'partition_ready.public.clicks.partition: day(ts) is no field of sink.partition_by of public.clicks',
  ])
  expect(faults(fileOf(`{ partition: "bucket[4](id)", ${actions} }`))).toEqual([
    'partition_ready.public.clicks.partition: "bucket[4](id)" is not hour, day, month or year of a column',
  ])
  expect(faults(fileOf(`{ partition: "hour(ts)", event_time: at, ${actions} }`))).toEqual([
    'partition_ready.public.clicks.event_time: the partition is of column ts, not at',
  ])
  const other = fileOf(`{ partition: "hour(ts)", ${actions} }`)
    .replace('  public.clicks: {', '  public.other: {')
    .replace('"hour(ts)", actions', 'dt, actions')
  expect(faults(other)).toEqual([])
})

test('a folder is written to only where the partition has one', () => {
  const inside = fileOf('{ partition: "day(at)", actions: [{ type: success_file }] }').replace(
    '  public.clicks: {',
    '  public.other: {',
  )
  expect(faults(inside)).toEqual([
    'success_file needs the partition to be the first field: it has no folder else',
  ])
})

test('late rows: what an upsert table never does is told from what comes later', () => {
  const rule = (late: string): string =>
    `{ partition: "hour(ts)", late: ${late}, actions: [{ type: success_file }] }`
  expect(faults(fileOf(rule('drop'), 'upsert'))).toEqual([
    'partition_ready.public.clicks.late: an upsert table takes every row, however late',
  ])
  expect(faults(fileOf(rule('dlq')))).toEqual([
    'partition_ready.public.clicks.late: dlq is for topics; this version takes reopen',
  ])
  expect(faults(fileOf(rule('reopen')))).toEqual([])
})

test('actions that would be one receiver, and those that cannot be reached, are refused', () => {
  const http = '{ type: http, url: "http://h/a?k=1" }'
  const rule = (actions: string): string => `{ partition: "hour(ts)", actions: [${actions}] }`
  expect(faults(fileOf(rule(`${http}, ${http}`)))).toEqual([
    'http http://h/a is told twice: give one of them another `name`',
  ])
  const topic = (more: string): string => rule(`{ type: kafka, topic: ready${more} }`)
  const at = 'partition_ready.public.clicks.actions[0]'
  expect(faults(fileOf(topic('')))).toEqual([`${at}.brokers is missing: the source is no cluster`])
  expect(faults(fileOf(topic(', tls: { mode: required }')))).toEqual([
    `${at}.brokers is missing: the source is no cluster`,
    `${at}.tls is of the brokers, which are not given here`,
  ])
  expect(faults(fileOf(topic(', brokers: ["localhost:9092"]')))).toEqual([])
  expect(faults(fileOf(topic(', brokers: ["localhost:99999"]')))).toEqual([
    `${at}.brokers[0] must be a broker such as kafka1:9092, not "localhost:99999"`,
  ])
  expect(faults(fileOf(topic(', brokers: ["k.internal"], tls: { mode: required }')))).toEqual([
    'warning: tls mode required does not prove that k.internal is the server it says it is',
  ])
  expect(faults(fileOf(rule('')))).toHaveLength(1)
  expect(faults(fileOf(rule('{ type: http, url: "ftp://h" }')))).toHaveLength(1)
  expect(
    faults(fileOf(rule('{ type: http, url: "http://h", secret: { from_env: NONE } }'))),
  ).toEqual(['warning: environment variable NONE is not set'])
})

test('a stream that may stand still is warned of', () => {
  const rule = '{ partition: "hour(ts)", actions: [{ type: success_file }] }'
  const eventTime = (more: string): string => `  event_time: { column: ts${more} }`
  expect(faults(fileOf(rule, 'append', eventTime('')))).toEqual([
    'warning: without `source.event_time.all_idle: advance` no partition is announced while no rows come',
  ])
  const advance = eventTime(', idle_partition: 5m, all_idle: advance')
  expect(faults(fileOf(rule, 'append', advance))).toEqual([])
  expect(faults(fileOf(rule, 'append', eventTime(', all_idle: advance')))).toEqual([
    'source.event_time.all_idle: advance needs `idle_partition`: nothing is idle else',
  ])
  expect(faults(fileOf(rule, 'append', eventTime(', time_zone: Europe/Berln')))).toHaveLength(1)
})

test('event time is read with its units', () => {
  const source = `  event_time:
    column: ts
    time_zone: Asia/Shanghai
    max_out_of_order: 2m
    max_future: 1h
    idle_partition: 5m
    all_idle: advance`
  const rule = '{ partition: "hour(ts)", actions: [{ type: success_file }] }'
  expect(load(fileOf(rule, 'append', source)).source.eventTime).toEqual({
    splits: false,
    column: 'ts',
    timeZone: 'Asia/Shanghai',
    maxOutOfOrderMs: 120_000,
    maxFutureMs: 3_600_000,
    idleMs: 300_000,
    allIdle: 'advance',
    maxDriftMs: null,
  })
})

test('late rows are kept out of appended topics only, by the time of their partition', () => {
  const rule = (late: string, partition = 'hour(ts)'): string =>
    `kafka.clicks: { partition: "${partition}", late: ${late}, actions: [{ type: iceberg_property }] }`
  const schema = '{ id: long not null, ts: timestamptz, at: timestamptz }'
  const topic = (late: string, ...edits: readonly (readonly [string, string])[]): string[] =>
    faults(
      changedKafka(
        ['format: raw', `format: json, schema: ${schema}`],
        [
          '  topics:',
          '  event_time: { field: ts, idle_partition: 5m, all_idle: advance }\n  topics:',
        ],
        [
          'mode: append\n',
          'mode: append\n  partition_by: { kafka.clicks: ["hour(ts)", "hour(at)"] }\n',
        ],
        ['pipeline:\n', `partition_ready: { ${rule(late)} }\npipeline:\n`],
        ...edits,
      ),
    )
  for (const late of ['dlq', 'drop', 'reopen']) expect(topic(late)).toEqual([])
  const changelog = topic('drop', ['mode: append', 'mode: changelog'])
  expect(changelog).toEqual([
    'partition_ready.kafka.clicks.late: a changelog takes every row, however late',
  ])
  expect(topic('drop', ['"hour(ts)", late', '"hour(at)", late'])).toEqual([
    'partition_ready.kafka.clicks.late: rows are late by source.event_time, column ts, and the ' +
      'partition is of at',
  ])
  const transform = (text: string): string[] =>
    topic('dlq', ['pipeline:\n', `transform: [{ from: kafka.clicks, ${text} }]\npipeline:\n`])
  const carried = [
    'projection: "*"',
    'projection: "id, ts, 1 AS n"',
    'filter: "id > 0"',
    'explode: { column: items, as: item }',
    'json: { column: doc, schema: { a: int } }',
  ]
  for (const text of carried) expect(transform(text)).toEqual([])
  const made = [
    'projection: "*, at AS ts"',
    'projection: "id, date_trunc(\'hour\', ts) AS ts"',
    'projection: "* EXCEPT (ts), at AS ts"',
    'cast: { ts: timestamp }',
  ]
  for (const text of made) expect(transform(text)).toHaveLength(1)
  const database = fileOf(
    '{ partition: "hour(ts)", late: drop, actions: [{ type: success_file }] }',
  )
  expect(faults(database)).toEqual([
    'partition_ready.public.clicks.late: drop is for topics; this version takes reopen',
  ])
})

test('topics are announced by the event time of their rows, and by nothing else', () => {
  const ready = 'public.clicks: { partition: "hour(ts)", actions: [{ type: success_file }] }'
  const text = changedKafka(['pipeline:\n', `partition_ready: { ${ready} }\npipeline:\n`])
  expect(faults(text)).toContain(
    'partition_ready of topics needs source.event_time: when rows happened is not known else',
  )
  const timed = text.replace('  topics:', '  event_time: { idle_partition: 5m }\n  topics:')
  const hold =
    'warning: without `source.event_time.all_idle: advance` no partition is announced while no rows come'
  expect(faults(timed)).toContain(hold)
  expect(faults(timed.replace('5m', '5m, all_idle: advance'))).not.toContain(hold)
})
