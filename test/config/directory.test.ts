// The sink of Parquet files in a pipeline file: what it means, and what is wrong at which place.

import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { changed, changedKafka, lint, writeFile } from './pipeline-file.ts'

const SINK = `sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:////lake/catalog.db" }
  warehouse: file:///lake/warehouse
`
const directory = (lines: string): string =>
  changed([SINK, `sink:\n  type: parquet\n  path: file:///lake/files\n${lines}`])

test('a directory needs its path only: the rest depends on the source', () => {
  expect(lint(directory(''))).toEqual([])
  const file = writeFile(directory('').replace('file:///lake/files', './files'))
  const { sink } = loadPipeline(file, {})
  expect(sink).toMatchObject({
    type: 'parquet',
    mode: 'changelog',
    warehouse: { path: join(dirname(file), 'files') },
    timeZone: 'UTC',
    compression: 'zstd',
    fileBytesMax: 256 * 1024 * 1024,
    layout: { text: '{table}/', partitions: [] },
  })
  const topic = changedKafka([
    `${SINK}  mode: append\n`,
    'sink: { type: parquet, path: ./files }\n',
  ])
  expect(lint(topic)).toEqual([])
  expect(loadPipeline(writeFile(topic), {}).sink.mode).toBe('append')
})

const WRONG: readonly (readonly [string, string])[] = [
  ['  change_format: latest\n', '10:18 MR-1005 sink.change_format: latest is not supported'],
  ['  change_format: apend\n', '10:18 MR-1003 sink.change_format must be one of append, changelog'],
  ['  manifest: false\n', '10:13 MR-1005 sink.manifest: false is not supported'],
  ['  layout: "dt={day(ts)}/{table}"\n', '10:11 MR-1003 sink.layout: "dt={day(ts)}/{table}" has'],
  ['  layout: "{table}/dt={dya(ts)}"\n', '10:11 MR-1003 sink.layout: "{table}/dt={dya(ts)}" has'],
  ['  time_zone: Mars/Base\n', '10:14 MR-1003 sink.time_zone must be a time zone'],
  ['  mode: upsert\n', '10:3 MR-1005 sink.mode is not supported: this version has `sink.change_'],
  ['  warehouse: ./x\n', '10:3 MR-1005 sink.warehouse is not supported: this version has `sink.pa'],
  ['  format: { compression: snappy }\n', '10:26 MR-1003 sink.format.compression must be one of'],
  ['  format: { page_index: false }\n', '10:25 MR-1003 sink.format.page_index must be true'],
  ['  layuot: "{table}"\n', '10:3 MR-1002 unknown key "layuot" in sink (did you mean "layout"?)'],
]

test('what is wrong is said at its place', () => {
  for (const [lines, message] of WRONG) {
    const found = lint(directory(lines))
    expect(found, lines).toHaveLength(1)
    expect(found[0]).toContain(message.slice(0, 60))
  }
  const remote = lint(directory('').replace('file:///lake/files', 's3://lake/crm/'))
  expect(remote).toEqual([
    '9:9 MR-1005 sink.path: s3 is not supported: this version takes a local folder',
  ])
  const nested = lint(directory('').replace('file:///lake/files', 'file:///lake'))
  expect(nested).toEqual([expect.stringContaining('pipeline.checkpoint.store lies in sink.path')])
})

const READY = (partition: string, action: string): string =>
  `partition_ready:\n  public.orders:\n    partition: "${partition}"\n    actions: [{ type: ${action} }]\n`

test('partitions are announced by the fields of the layout', () => {
  const layout = '  layout: "{table}/dt={day(ts)}/hr={hour(ts)}/b={bucket[4](id)}"\n'
  expect(lint(directory(layout) + READY('hour(ts)', 'success_file'))).toEqual([])
  expect(lint(directory(layout) + READY('month(ts)', 'success_file'))).toEqual([
    expect.stringContaining('month(ts) is no field of sink.layout of public.orders'),
  ])
  expect(lint(directory(layout) + READY('hour(ts)', 'iceberg_property'))).toEqual([
    expect.stringContaining('MR-1005 action iceberg_property is not supported: a directory has no'),
  ])
  const other = layout.replace('day(ts)', 'day(at)')
  expect(lint(directory(other) + READY('hour(ts)', 'success_file'))).toEqual([
    expect.stringContaining('success_file needs the folders above the partition to be of the same'),
  ])
})
