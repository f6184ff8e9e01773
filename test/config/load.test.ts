// What a pipeline file becomes: defaults, units, paths, connections, secrets.

import { inspect } from 'node:util'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import { defaultParallelism, pipelineJsonSchema } from '../../runtime/job/config/schema.ts'
import type { Environment } from '../../runtime/job/config/variables.ts'
import { sourceSelector } from '../../runtime/job/config/selector.ts'
import { COMMIT_TIME } from '../../runtime/job/table-times.ts'
import {
  changed,
  changedKafka,
  COMPLETE,
  databaseOf,
  icebergOf,
  writeFile,
} from './pipeline-file.ts'

function load(text: string, env: Environment = {}): PipelineConfig {
  return loadPipeline(writeFile(text), env)
}

function failure(text: string, env: Environment = {}): PipelineError {
  try {
    load(text, env)
  } catch (error) {
    if (error instanceof PipelineError) return error
    throw error
  }
  throw new Error('no error')
}

const URI = 'uri: postgresql://postgres@127.0.0.1:5433/shop'

const NO_LETTERS = { decode: 'stop', dlqRowsMax: null, dlqRatioMax: null, deadLetters: null }

test('every default is filled in', () => {
  const path = writeFile(COMPLETE)
  expect(loadPipeline(path, {})).toEqual({
    name: 'shop',
    file: path,
    source: {
      type: 'postgres',
      connection: {
        host: '127.0.0.1',
        port: 5433,
        database: 'shop',
        username: 'postgres',
        password: null,
        tls: { mode: 'disabled', ca: null },
      },
      tables: ['public.*'],
      tablesExclude: [],
      columnsExclude: [],
      startup: 'initial',
      backfill: { parallelism: 2, chunkRows: 50_000 },
      heartbeatMs: 10_000,
      eventTime: COMMIT_TIME,
      limits: { rowsPerSecond: null, bytesPerSecond: null, tables: [] },
      slotName: 'millrace_shop',
      publicationName: 'millrace_shop',
      maxSlotLagBytes: null,
    },
    sink: {
      type: 'iceberg',
      catalog: {
        type: 'sql',
        path: '/lake/catalog.db',
        uri: 'sqlite:////lake/catalog.db',
        name: 'lake',
      },
      warehouse: { path: '/lake/warehouse', uri: 'file:///lake/warehouse' },
      mode: 'upsert',
      profile: 'v3-dv',
      fileBytesMax: 256 * 1024 * 1024,
      maxFreshnessMs: 0,
      partitionBy: [],
    },
    transforms: [],
    scripts: [],
    tests: [],
    partitionReady: [],
    routes: [],
    onError: NO_LETTERS,
    maskKey: null,
    parallelism: defaultParallelism(),
    memoryBytes: null,
    checkpoint: {
      intervalMs: 10_000,
      store: { path: '/lake/state', uri: 'file:///lake/state' },
      keep: 3,
    },
    warnings: [],
  })
})

test('every key has its place in the configuration', () => {
  const { source, sink, checkpoint, ...rest } = load(
    `version: 1
name: shop-to-lake
source:
  type: mysql
  hostname: 10.0.0.5
  port: 3307
  username: cdc
  password: { from_env: PW }
  tls: { mode: verify-ca }
  tables: ["shop.*", '/shop_[0-9]+\\.orders/']
  tables_exclude: ["shop.tmp_*"]
  columns_exclude: ["shop.users.ssn"]
  startup: { mode: latest }
  backfill: { parallelism: 4, chunk_rows: 1000 }
  server_id: 5400
  heartbeat: { every: 30s }
  limits: { bytes_per_second: 20MiB, tables: { "shop.logs": { rows_per_second: 500 } } }
sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:///lake/catalog.db", name: prod }
  warehouse: ./lake/warehouse
  mode: changelog
pipeline:
  parallelism: 3
  memory: 1.5GiB
  checkpoint: { interval: 1m30s, store: state, keep: 5 }
`,
    { PW: '12345' },
  )
  const { connection, ...reading } = databaseOf({ source })
  expect(connection).toMatchObject({ host: '10.0.0.5', port: 3307, database: null })
  expect(connection.tls).toEqual({ mode: 'verify-ca', ca: null })
  expect(connection.password?.reveal()).toBe('12345')
  expect(reading).toEqual({
    type: 'mysql',
    tables: ['shop.*', '/shop_[0-9]+\\.orders/'],
    tablesExclude: ['shop.tmp_*'],
    columnsExclude: ['shop.users.ssn'],
    startup: 'latest',
    backfill: { parallelism: 4, chunkRows: 1000 },
    heartbeatMs: 30_000,
    eventTime: COMMIT_TIME,
    limits: {
      rowsPerSecond: null,
      bytesPerSecond: 20 * 2 ** 20,
      tables: [{ pattern: 'shop.logs', rowsPerSecond: 500, bytesPerSecond: null }],
    },
    serverId: 5400,
  })
  // Relative paths begin at the file's folder, wherever the program was started.
  const folder = dirname(rest.file)
  const { catalog, warehouse } = icebergOf({ sink })
  expect(catalog.path).toBe(join(folder, 'lake/catalog.db'))
  expect(catalog.uri).toBe(`sqlite:///${join(folder, 'lake/catalog.db')}`)
  expect(warehouse.path).toBe(join(folder, 'lake/warehouse'))
  expect(sink.mode).toBe('changelog')
  expect(checkpoint.store.path).toBe(join(folder, 'state'))
  expect(checkpoint).toMatchObject({ intervalMs: 90_000, keep: 5 })
  expect(rest).toMatchObject({ name: 'shop-to-lake', parallelism: 3, memoryBytes: 1.5 * 2 ** 30 })
})

test('rows may be held back in `append`, for a minute unless the file says otherwise', () => {
  const sinkOf = (keys: string): unknown =>
    load(changed(['warehouse\n', `warehouse\n  ${keys}\n`])).sink
  expect(sinkOf('mode: append')).toMatchObject({ maxFreshnessMs: 60_000 })
  expect(sinkOf('mode: append\n  max_freshness: 0s')).toMatchObject({ maxFreshnessMs: 0 })
  const sized = sinkOf('mode: append\n  max_freshness: 5m\n  target_file_size: 64MiB')
  expect(sized).toMatchObject({ maxFreshnessMs: 300_000, fileBytesMax: 64 * 1024 * 1024 })
  expect(sinkOf('mode: changelog\n  max_freshness: 0s')).toMatchObject({ maxFreshnessMs: 0 })
})

test('names of slot and publication can be chosen; the default has no hyphens', () => {
  const named = load(changed([URI, `${URI}\n  slot: { name: s1 }\n  publication: { name: P 1 }`]))
  expect(named.source).toMatchObject({ slotName: 's1', publicationName: 'P 1' })
  const hyphens = load(changed(['name: shop', 'name: shop-to-lake']))
  expect(hyphens.source).toMatchObject({ slotName: 'millrace_shop_to_lake_7211340b' })
})

test('no two pipelines have one slot by default, and its name is one that the server takes', () => {
  const long = 'a'.repeat(50)
  const names = ['s-a', 's_a', 's-a-b', 's_a-b', 's-a_b', 's_a_b', `${long}-b_c`, `${long}_b-c`]
  const slots = names.map((name) => {
    const { source } = load(changed(['name: shop', `name: ${name}`]))
    return source.type === 'postgres' ? [source.slotName, source.publicationName] : []
  })
  expect(new Set(slots.map(([slot]) => slot)).size).toBe(names.length)
  for (const [slot, publication] of slots) {
    expect(slot).toMatch(/^[a-z0-9_]{1,63}$/)
    expect(publication).toBe(slot)
  }
})

test('TLS verifies in full unless the host is this machine', () => {
  const modes = [
    '127.0.0.1',
    '127.9.9.9',
    'localhost',
    '[::1]',
    '10.0.0.1',
    'db.example',
    '[fe80::1]',
  ]
    .map((host) => load(changed([URI, `uri: postgresql://u@${host}/shop`])))
    .map((config) => databaseOf(config).connection)
    .map(({ host, tls }) => `${host} ${tls.mode}`)
  expect(modes).toEqual([
    '127.0.0.1 disabled',
    '127.9.9.9 disabled',
    'localhost disabled',
    '::1 disabled',
    '10.0.0.1 verify-full',
    'db.example verify-full',
    'fe80::1 verify-full',
  ])
})

test('a URI carries escapes, options and the default port', () => {
  const { connection } = databaseOf(
    load(changed([URI, 'uri: postgres://us%40er:p%2Fw@db.example/my%20db?sslmode=require'])),
  )
  expect(connection).toMatchObject({
    host: 'db.example',
    port: 5432,
    database: 'my db',
    username: 'us@er',
    tls: { mode: 'required' },
  })
  expect(connection.password?.reveal()).toBe('p/w')
  const socket = databaseOf(
    load(changed([URI, 'uri: postgresql://u@%2Fvar%2Frun%2Fpostgresql/shop'])),
  )
  expect(socket.connection.host).toBe('/var/run/postgresql')
  const mysql = databaseOf(
    load(changed(['type: postgres', 'type: mysql'], [URI, 'uri: mysql://u@127.0.0.1'])),
  )
  expect(mysql.connection).toMatchObject({ port: 3306, database: null })
  expect(failure(changed([URI, 'uri: mysql://u@h/d'])).error).toBe('CONFIG_VALUE')
  expect(failure(changed([URI, `${URI}?options=-csearch_path`])).error).toBe('CONFIG_UNSUPPORTED')
})

test('a secret shows nothing of itself wherever it is printed', () => {
  const config = load(changed([URI, `${URI}\n  password: { from_env: PW }`]), { PW: 'canary' })
  const password = databaseOf(config).connection.password
  expect(password?.reveal()).toBe('canary')
  const prints = [
    JSON.stringify(config),
    inspect(config, { depth: null, showHidden: true }),
    String(password),
    JSON.stringify(structuredClone(Object.assign({}, password))),
  ]
  for (const print of prints) expect(print).not.toContain('canary')
  expect(JSON.stringify(password)).toBe('"***"')
})

test('a secret file is read again at each use, without the line feed at its end', () => {
  const path = writeFile('first\n', 'secret')
  const text = changed([URI, `${URI}\n  password: { from_file: secret }`])
  const password = databaseOf(load(text)).connection.password
  expect(password?.reveal()).toBe('first')
  writeFile('second', 'secret')
  expect(password?.reveal()).toBe('second')
  writeFile('', 'secret')
  expect(() => password?.reveal()).toThrow(`secret file ${path} is empty`)
})

test('a run needs its secrets, a look at the status does not', () => {
  const text = changed([URI, `${URI}\n  password: { from_env: NOWHERE }`])
  expect(failure(text).error).toBe('CONFIG_VARIABLE')
  const config = loadPipeline(writeFile(text), {}, { missingSecret: 'warning' })
  expect(config.warnings.map(({ error }) => error)).toEqual(['CONFIG_VARIABLE'])
  expect(() => databaseOf(config).connection.password?.reveal()).toThrow('NOWHERE is not set')
})

test('the first mistake is the error, the others are its detail', () => {
  const error = failure(changed(['name: shop', 'name: 7'], ['  tables', '  tabels']))
  expect(error.error).toBe('CONFIG_VALUE')
  expect(error.message).toMatch(/\.yaml:2:7 name must be a name such as shop-to-lake, not 7$/)
  expect(error.detail).toMatch(/:3:1 MR-1003 .*\n.*:6:3 MR-1002 unknown key "tabels".*$/)
})

test('a file that is not there, a folder and bytes that are no text are refused', () => {
  expect(() => loadPipeline('/nowhere.yaml', {})).toThrow('the pipeline file /nowhere.yaml cannot')
  expect(() => loadPipeline('/', {})).toThrow('cannot be read')
  const path = writeFile(new Uint8Array([0x61, 0xff, 0xfe]))
  expect(() => loadPipeline(path, {})).toThrow('is not UTF-8 text')
})

test('variables fill in values, never structure', () => {
  const text = changed(
    ['name: shop', 'name: ${NAME:shop}'],
    [URI, 'hostname: ${HOST}\n  port: ${PORT}\n  database: "$${x}"\n  username: ${USER}'],
  )
  const env = { HOST: 'a, b: c', PORT: '5433', USER: '007', NAME: '' }
  const { name, source } = load(text, env)
  expect(name).toBe('shop')
  expect(databaseOf({ source }).connection).toMatchObject({
    host: 'a, b: c',
    port: 5433,
    database: '${x}',
    username: '007',
  })
})

test('a password of digits stays text when it comes from a variable', () => {
  const text = changed([URI, `${URI}\n  password: \${PW}`])
  expect(databaseOf(load(text, { PW: '0123' })).connection.password?.reveal()).toBe('0123')
})

test('the JSON Schema describes the same file, defaults included', () => {
  const schema = pipelineJsonSchema()
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['version', 'name', 'source', 'pipeline'],
    allOf: [{ oneOf: [{ required: ['sink'] }, { required: ['sinks'] }] }],
    additionalProperties: false,
    properties: {
      pipeline: {
        properties: { checkpoint: { properties: { interval: { default: '10s' } } } },
      },
    },
  })
})

test('a topic needs little, and what is not said has a default', () => {
  const { source, onError } = load(changedKafka())
  const raw = { format: 'raw', as: 'binary' }
  expect(source).toEqual({
    type: 'kafka',
    brokers: [{ host: '127.0.0.1', port: 9092 }],
    tls: { mode: 'disabled', ca: null },
    sasl: null,
    topics: ['clicks'],
    topicsExclude: [],
    namespace: 'kafka',
    groupId: null,
    start: { at: 'earliest' },
    isolation: 'read_committed',
    nullValue: 'row',
    onRecreate: 'stop',
    metadata: [],
    primaryKeys: null,
    limits: { rowsPerSecond: null, bytesPerSecond: null, tables: [] },
    rowTime: null,
    key: raw,
    value: raw,
    eventTime: { ...COMMIT_TIME, splits: true },
  })
  expect(onError).toEqual(NO_LETTERS)
})

test('every key of a topic has its place in the configuration', () => {
  const text = changedKafka(
    [
      '[127.0.0.1:9092]',
      `[k1, "[::1]:9093"]
  tls: { mode: verify-ca }
  sasl: { mechanism: OAUTHBEARER, token: { from_env: TOKEN } }
  topics_exclude: [shop.tmp_*]
  namespace: events
  group_id: lake
  start: { offsets: { clicks: { 0: 12, 10: 0 } } }
  isolation: read_uncommitted
  null_value: dlq
  on_recreate: from_beginning
  metadata: [__offset__, __headers__, __offset__]
  primary_keys: [key]
  key: { format: raw, as: text }`,
    ],
    ['[clicks]', '[shop.*, /click.+/]'],
  )
  const file = `${text}on_error: { decode: dlq, max_dlq_rows: 7, max_dlq_ratio: 0.5 }\n`
  const { source, onError } = load(file, { TOKEN: 'canary' })
  expect(source).toMatchObject({
    brokers: [
      { host: 'k1', port: 9092 },
      { host: '::1', port: 9093 },
    ],
    tls: { mode: 'verify-ca', ca: null },
    topics: ['shop.*', '/click.+/'],
    topicsExclude: ['shop.tmp_*'],
    namespace: 'events',
    groupId: 'lake',
    start: { at: 'offsets', offsets: { clicks: { 0: 12, 10: 0 } } },
    isolation: 'read_uncommitted',
    nullValue: 'dlq',
    onRecreate: 'from_beginning',
    metadata: ['__offset__', '__headers__'],
    primaryKeys: ['key'],
    key: { format: 'raw', as: 'text' },
  })
  expect(JSON.stringify(source)).not.toContain('canary')
  expect(onError).toEqual({
    decode: 'dlq',
    dlqRowsMax: 7,
    dlqRatioMax: 0.5,
    deadLetters: { namespace: 'events', name: 'shop_dlq' },
  })
})

test.each([
  ['latest', { at: 'latest' }],
  ['{ timestamp: 2026-01-31T00:00:00+01:00 }', { at: 'timestamp', timestampMs: 1769814000000 }],
  ['{ group: old-consumer }', { at: 'group', group: 'old-consumer' }],
])('a first start may begin at %s', (written, expected) => {
  const { source } = load(changedKafka(['topics:', `start: ${written}\n  topics:`]))
  expect(source).toMatchObject({ start: expected })
})

test('a dot of a topic is a letter of its one name', () => {
  const { source } = load(changedKafka(['[clicks]', '["shop.*", "a?c"]']))
  const selects = sourceSelector(source)
  const topics = ['shop.orders', 'shop.a.b', 'shopXorders', 'abc', 'a.c', 'abbc']
  expect(topics.filter((topic) => selects('kafka', topic))).toEqual([
    'shop.orders',
    'shop.a.b',
    'abc',
    'a.c',
  ])
  expect(selects('shop', 'orders')).toBe(false)
})
