// Spellings of other tools: a file of Flink CDC's is read unseen, with a word about each key that we
// write in another way, and an error where it means something that this version does not do.

import { expect, test } from 'vitest'
import {
  isSurelyFlink,
  splitFlink,
  translateFlink,
} from '../../runtime/job/config/flink-patterns.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { changed, lint, writeFile } from './pipeline-file.ts'

/** As somebody has it for Flink CDC, but for the kind of the sink. */
const FLINK = `version: 1
source:
  type: mysql
  name: MySQL Source
  hostname: 127.0.0.1
  port: 3306
  username: admin
  tables: app_db.\\.*, bdb.user_table_[0-9]+
  tables.exclude: app_db.tmp_\\.*
  server-time-zone: UTC
  scan.startup.mode: latest-offset
  scan.incremental.snapshot.chunk.size: 8096
sink:
  type: iceberg
  name: Lake
  catalog: { type: sql, uri: "sqlite:////lake/catalog.db" }
  warehouse: file:///lake/warehouse
pipeline:
  name: shop
  parallelism: 2
  schema.change.behavior: evolve
  checkpoint.store: file:///lake/state
`

test('a file in the spelling of Flink CDC runs, and lint says how we write it', () => {
  expect(lint(FLINK)).toEqual([
    '4:3 MR-1002 info: source.name says nothing here: a source has no name of its own',
    '8:11 MR-1003 info: source.tables: use a list: ["app_db.*", "/bdb\\\\.user_table_[0-9]+/"]',
    '9:3 MR-1002 info: source.tables.exclude: use tables_exclude',
    '9:19 MR-1003 info: source.tables_exclude: use a list: ["app_db.tmp_*"]',
    '10:3 MR-1002 info: source.server-time-zone says nothing here: timestamps are in UTC',
    '11:3 MR-1002 info: source.scan.startup.mode: use startup: { mode: latest }',
    '12:3 MR-1002 info: source.scan.incremental.snapshot.chunk.size: use backfill: ' +
      '{ chunk_rows: ... }',
    '15:3 MR-1002 info: sink.name says nothing here: a sink has no name of its own',
    '19:3 MR-1002 info: pipeline.name: use name at the top of the file',
    '21:3 MR-1002 info: pipeline.schema.change.behavior says nothing here: ' +
      'this version carries every change of structure over (evolve)',
    '22:3 MR-1002 info: pipeline.checkpoint.store: use checkpoint: { store: ... }',
  ])
  const { name, source, checkpoint, parallelism } = loadPipeline(writeFile(FLINK), {})
  expect({ name, parallelism }).toEqual({ name: 'shop', parallelism: 2 })
  expect(checkpoint.store.path).toBe('/lake/state')
  expect(source).toMatchObject({
    tables: ['app_db.*', '/bdb\\.user_table_[0-9]+/'],
    tablesExclude: ['app_db.tmp_*'],
    startup: 'latest',
    backfill: { chunkRows: 8096 },
  })
})

test('what Flink CDC does and this version does not is an error that says what it does', () => {
  const text = FLINK.replace('latest-offset', 'earliest-offset')
    .replace('behavior: evolve', 'behavior: lenient')
    .replace('time-zone: UTC', 'time-zone: Asia/Shanghai')
    .replace('  port: 3306\n', '  port: 3306\n  server-id: 5400-5404\n')
  const errors = lint(text).filter((line) => !line.includes(' info: '))
  expect(errors).toEqual([
    '7:14 MR-1003 source.server-id must be one number: one reader follows the log' +
      ' (did you mean "5400"?)',
    '11:3 MR-1005 source.server_time_zone is not supported: this version reads timestamps in UTC',
    '12:22 MR-1005 source.scan.startup.mode: earliest-offset is not supported: this version takes' +
      ' initial, latest and backfill_only (did you mean "startup: { mode: initial }"?)',
    '22:3 MR-1005 pipeline.schema.change.behavior: lenient is not supported: this version' +
      ' carries every change of structure over (evolve) (did you mean "evolve"?)',
  ])
})

test('hyphens, dots and capitals mean what underscores and blocks mean', () => {
  const spelled = changed([
    '  tables:',
    '  slot.name: s1\n  maxSlotLag: 1GiB\n  backfill: { chunk-rows: 7 }\n  tables:',
  ])
  expect(lint(spelled)).toEqual([
    '6:3 MR-1002 info: source.slot.name: use slot: { name: ... }',
    '7:3 MR-1002 info: source.maxSlotLag: use max_slot_lag',
    '8:15 MR-1002 info: source.backfill.chunk-rows: use chunk_rows',
  ])
  expect(loadPipeline(writeFile(spelled), {}).source).toMatchObject({
    slotName: 's1',
    maxSlotLagBytes: 2 ** 30,
    backfill: { chunkRows: 7 },
  })
  // A fault of the value is shown where it stands, under the name that it should have.
  expect(lint(changed(['  tables:', '  backfill: { chunk-rows: 0 }\n  tables:']))).toEqual([
    '6:15 MR-1002 info: source.backfill.chunk-rows: use chunk_rows',
    '6:27 MR-1003 source.backfill.chunk_rows must be a whole number of rows, 1 to 10000000, not 0',
  ])
  const twice = changed(['  tables:', '  backfill: { chunk-rows: 7, chunk_rows: 8 }\n  tables:'])
  expect(lint(twice)).toEqual([
    '6:15 MR-1002 source.backfill.chunk-rows and source.backfill.chunk_rows say the same twice',
  ])
})

test('keys that objects have by themselves are no spellings', () => {
  const text = changed(['  tables:', '  __proto__: 1\n  constructor: 2\n  tables:'])
  expect(lint(text).map((line) => line.replace(/ \(did.*$/, ''))).toEqual([
    '6:3 MR-1002 unknown key "__proto__" in source',
    '7:3 MR-1002 unknown key "constructor" in source',
  ])
})

test('a pattern of Flink CDC becomes a glob where one says it, and an expression elsewhere', () => {
  const pairs: readonly (readonly [string, string])[] = [
    ['app_db.\\.*', 'app_db.*'],
    ['\\.*.\\.*', '*.*'],
    ['app_db.orders_\\.*', 'app_db.orders_*'],
    ['app_db.orders', 'app_db.orders'],
    ['app_[0-9]+.\\.*', '/app_[0-9]+\\..*/'],
    ['(a|b)db.t\\.t', '/(a|b)db\\.t.t/'],
  ]
  for (const [theirs, ours] of pairs) expect(translateFlink(theirs)).toBe(ours)
  expect(splitFlink('a.b, c.[x,y]_\\.* ,d.e{1,2},')).toEqual(['a.b', 'c.[x,y]_\\.*', 'd.e{1,2}'])
  // A dot in a name of ours is not theirs.
  expect(['a.\\.*', '\\.*.b', 'a.b\\.c', 'a\\.\\.b.c'].map(isSurelyFlink)).toEqual([
    true,
    true,
    false,
    false,
  ])
})

test('info is no warning', () => {
  const { warnings } = loadPipeline(writeFile(FLINK), {})
  expect(new Set(warnings.map(({ severity }) => severity))).toEqual(new Set(['info']))
})
