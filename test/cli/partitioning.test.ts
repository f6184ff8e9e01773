// `sink.partition_by`: what lint says of it, what the source's columns say, and that a table keeps
// the partitioning that it was begun with.

import { expect, test } from 'vitest'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { lakePartitioning, requireSamePartitions } from '../../runtime/cli/partitioning.ts'
import { selectionFaults } from '../../runtime/cli/selection.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op } from '../../runtime/data/batch.ts'
import { formatTransform, parsePartitionField } from '../../runtime/data/partition/transform.ts'
import { TransformFault } from '../../runtime/data/partition/transform.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import type { PipelineConfig } from '../../runtime/job/config/pipeline-config.ts'
import { changed, lint, writeFile } from '../config/pipeline-file.ts'
import { batchOf, field, schemaOf } from '../writer/batches.ts'
import { TestSink } from '../writer/test-sink.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring, ORDERS } from './fake-wiring.ts'

const TYPE = '  type: iceberg\n'

function fileOf(block: string, mode = 'append'): string {
  return changed([TYPE, `${TYPE}  mode: ${mode}\n  partition_by: ${block}\n`])
}

function configOf(block: string, mode?: string): PipelineConfig {
  return loadPipeline(writeFile(fileOf(block, mode)), {})
}

test('fields are read in the spellings of Iceberg, of Spark, and as columns', () => {
  const read = (text: string): string => {
    const parsed = parsePartitionField(text)
    if (parsed instanceof TransformFault) return `fault: ${parsed.message}`
    return `${parsed.column} ${formatTransform(parsed.transform)}`
  }
  const spellings: readonly (readonly [string, string])[] = [
    ['ts', 'ts identity'],
    [' identity( ts ) ', 'ts identity'],
    ['day(ts)', 'ts day'],
    ['Days(ts)', 'ts day'],
    ['hours(ts)', 'ts hour'],
    ['month(ts)', 'ts month'],
    ['years(ts)', 'ts year'],
    ['void(ts)', 'ts void'],
    ['bucket[16](id)', 'id bucket[16]'],
    ['bucket(16, id)', 'id bucket[16]'],
    ['bucket(id, 16)', 'id bucket[16]'],
    ['truncate[4](s)', 's truncate[4]'],
    ['truncate(4, "a, (b)")', 'a, (b) truncate[4]'],
    ['"day(ts)"', 'day(ts) identity'],
    ['"with ""quotes"""', 'with "quotes" identity'],
    ['bucket(id)', 'fault: needs a whole number from 1 on, as in bucket[16](id)'],
    ['bucket[0](id)', 'fault: needs a whole number from 1 on, as in bucket[16](id)'],
    ['bucket[9999999999](id)', 'fault: needs a whole number from 1 on, as in bucket[16](id)'],
    ['day[3](ts)', 'fault: gives day a number, which it does not take'],
    ['day()', 'fault: names no column'],
    ['week(ts)', 'fault: has no transform "week"'],
    ['day(ts', 'fault: is neither a column nor a transform such as day(ts)'],
  ]
  expect(spellings.map(([text]) => [text, read(text)])).toEqual(spellings)
})

test('lint shows what is wrong with its place and the nearest name', () => {
  expect(lint(fileOf('{ public.orders: ["day(ts)", "bucket[16](id)"] }'))).toEqual([])
  expect(lint(fileOf('{ public.orders: ["dya(ts)", "bucket[16](id)"] }'))).toEqual([
    '10:35 MR-1003 sink.partition_by: "dya(ts)" has no transform "dya" (did you mean "day"?)',
  ])
  expect(lint(fileOf('{ orders: ["bucket(id)"] }'))).toEqual([
    '10:19 MR-1003 sink.partition_by: "orders" is not of the form schema.table',
    '10:28 MR-1003 sink.partition_by: "bucket(id)" needs a whole number from 1 on, as in bucket[16](id)',
  ])
  expect(lint(fileOf('{ public.orders: [] }'))).toEqual([
    '10:34 MR-1003 sink.partition_by.public.orders must be a list such as' +
      ' ["day(created_at)", "bucket[16](id)"] with at least one field, not a list',
  ])
})

/** ORDERS has `id` and `doc`. */
function faultsOf(config: PipelineConfig): string[] {
  return selectionFaults(config, [ORDERS]).map(
    ({ error, name, message }) => `${error ?? 'warning'} ${name} ${message}`,
  )
}

test('columns that are not there, or of another type, are said before the first row', async () => {
  const types = Object.fromEntries(ORDERS.columns.map(({ name, lakeType }) => [name, lakeType]))
  expect(types).toMatchObject({ id: 'long' })
  expect(faultsOf(configOf('{ public.orders: ["bucket[4](id)"] }'))).toEqual([])
  expect(faultsOf(configOf('{ public.orders: [idd] }'))).toEqual([
    'TABLE_MISSING sink.partition_by."public.orders"[0] table public.orders has no column "idd"' +
      ' (did you mean "id"?)',
  ])
  expect(faultsOf(configOf('{ public.orders: [id, "day(id)"] }'))).toEqual([
    'CONFIG_VALUE sink.partition_by."public.orders"[1] table public.orders cannot be partitioned' +
      ' by day(id): the column is long and has no days',
  ])
  expect(faultsOf(configOf('{ public.order: [id], "shop.*": [id] }'))).toEqual([
    'TABLE_MISSING sink.partition_by "public.order" matches none of the selected tables' +
      ' (did you mean "public.orders"?)',
    'warning sink.partition_by "shop.*" matches none of the selected tables',
  ])
  const time = '{ public.orders: ["day(_ts)", "hour(_ts)"] }'
  expect(faultsOf(configOf(time))).toEqual([
    'TABLE_MISSING sink.partition_by."public.orders"[0] table public.orders has no column "_ts"',
  ])
  expect(faultsOf(configOf(time, 'changelog'))).toEqual([
    'CONFIG_VALUE sink.partition_by."public.orders"[1] table public.orders is partitioned twice by' +
      ' one column: day(_ts) and hour(_ts)',
  ])
  const fake = new FakeWiring()
  fake.tables = [ORDERS]
  const terminal = new FakeTerminal()
  const file = writeFile(fileOf('{ public.orders: [idd] }'))
  expect(await runCommandLine(['check', file], terminal, fake.wiring)).toBe(3)
  expect(terminal.stdout).toMatch(/^✗ sink\.partition_by\."public\.orders"\[0\] +table/m)
})

test('the tables of the file are those of the lake, wherever they come from', () => {
  const text = `${fileOf('{ lake.sales: [id], public.orders: [id] }')}route:
  - { from: public.orders, into: lake.sales }
`
  const config = loadPipeline(writeFile(text), {})
  expect(faultsOf(config)).toEqual([
    'TABLE_MISSING sink.partition_by "public.orders" matches none of the selected tables',
  ])
  expect(lakePartitioning(config).partitionBy?.('public.orders')).toHaveLength(1)
  expect(lakePartitioning(config).partitionBy?.('public.users')).toHaveLength(0)
})

const TABLE = 'public.orders'
const before = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'long' }, { nullable: false }),
  field(2, 'ts', { kind: 'timestamp' }),
])
const renamed: TableSchema = {
  ...before,
  version: 1,
  fields: before.fields.map((column) => (column.id === 2 ? { ...column, name: 'at' } : column)),
}

/** What a pipeline with this file leaves behind after an epoch with a row. */
async function checkpointOf(
  block: string | null,
  schema: TableSchema,
): Promise<[TestSink, Checkpoint]> {
  const partitioning = block === null ? {} : lakePartitioning(configOf(block))
  const sink = new TestSink({ mode: 'append', ...partitioning })
  await sink.open(2)
  await sink.control({ kind: 'schema', schema: before })
  const values = { id: 1n, ts: 0n }
  await sink.write(batchOf(before, [{ op: Op.insert, values }], 1n))
  await sink.prepare()
  const writers = sink.prepared.map(({ state }) => state)
  const source = { tables: [{ schema, lake: null }] }
  return [sink, { writers, source } as unknown as Checkpoint]
}

async function refusal(
  [sink, checkpoint]: readonly [TestSink, Checkpoint],
  block: string,
): Promise<string | null> {
  try {
    await requireSamePartitions(configOf(block), sink.state, checkpoint)
    return null
  } catch (error) {
    expect(error).toBeInstanceOf(PipelineError)
    expect((error as PipelineError).error).toBe('CONFIG_UNSUPPORTED')
    expect((error as PipelineError).hint).toContain('millrace drop FILE')
    return (error as PipelineError).message
  }
}

test('another partitioning of a table that has been written is refused, a rename is none', async () => {
  const began = await checkpointOf('{ public.orders: ["day(ts)", "bucket[4](id)"] }', before)
  expect(await refusal(began, '{ "public.*": ["days(ts)", "bucket(4, id)"] }')).toBeNull()
  expect(await refusal(began, '{ public.orders: ["day(ts)", "bucket[8](id)"] }')).toBe(
    'sink.partition_by has [day(ts), bucket[8](id)] for public.orders, which was begun with' +
      ' [day(ts), bucket[4](id)]',
  )
  expect(await refusal(began, '{ public.users: [id] }')).toMatch(/has no partitions for/)
  expect(await refusal(began, '{ public.orders: ["day(at)", "bucket[4](id)"] }')).not.toBeNull()
  const later = await checkpointOf('{ public.orders: ["day(ts)"] }', renamed)
  expect(await refusal(later, '{ public.orders: ["day(at)"] }')).toBeNull()
  expect(await refusal(later, '{ public.orders: ["day(ts)"] }')).toBeNull()
  const plain = await checkpointOf(null, before)
  expect(await refusal(plain, '{ public.orders: [id] }')).toMatch(/begun with no partitions/)
  expect(await refusal(plain, '{ public.users: [id] }')).toBeNull()
})
