// The committer on partitioned tables: what their metadata says, and what becomes of one that
// somebody else has partitioned otherwise.

import { expect, onTestFinished, test } from 'vitest'
import { ManifestFormat } from '../../connectors/iceberg/manifest-format.ts'
import { formatTableMetadata, parseTableMetadata } from '../../connectors/iceberg/metadata.ts'
import type { TableMetadata } from '../../connectors/iceberg/metadata.ts'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { readPartitionChanges } from '../../connectors/iceberg/scan.ts'
import { readManifestList } from '../../connectors/iceberg/table-state.ts'
import { randomUuid } from '../../runtime/base/clock.ts'
import { field, schemaOf, type RowValues } from '../writer/batches.ts'
import { checkInvariants } from './invariants.ts'
import { Lake, targetOf } from './lake.ts'
import { PartitionedTable } from './partitioned-table.ts'

const TABLE = 'shop.events'
const schema = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'long' }, { nullable: false }),
  field(2, 'place', { kind: 'string' }),
])
const rows = (from: number, count: number): RowValues[] =>
  Array.from({ length: count }, (_, at) => ({
    id: BigInt(from + at),
    place: `p${(from + at) % 3}`,
  }))

async function openTable(
  mode: 'append' | 'upsert' = 'append',
  fields: readonly string[] = ['place', 'bucket[2](id)'],
): Promise<PartitionedTable> {
  const lake = await Lake.open()
  const table = await PartitionedTable.open(lake, mode, schema, fields)
  onTestFinished(async () => {
    await table.close()
    await lake.close()
  })
  return table
}

async function metadataOf({ lake }: PartitionedTable): Promise<TableMetadata> {
  return (await lake.scan(TABLE)).metadata
}

/** What another engine commits: the metadata as `change` leaves it. */
async function change(
  { lake }: PartitionedTable,
  change: (metadata: TableMetadata) => TableMetadata,
): Promise<void> {
  const location = (await lake.catalog.load(targetOf(TABLE)))!
  const files = new LakeFiles(lake.warehouse)
  const metadata = parseTableMetadata(await files.read(location), location)
  const next = location.replace(/[^/]*$/, `00099-${randomUuid()}.metadata.json`)
  await lake.warehouse.put(files.path(next), Buffer.from(formatTableMetadata(change(metadata))))
  await lake.catalog.swap([{ table: targetOf(TABLE), expected: location, next }])
}

test('a table is made with its spec, and one without rows as the pipeline file says', async () => {
  const table = await openTable()
  expect((await table.commit()).outcome).toBe('committed')
  const { partitionSpecs, defaultSpecId, lastPartitionId } = await metadataOf(table)
  expect({ partitionSpecs, defaultSpecId, lastPartitionId }).toEqual({
    partitionSpecs: [
      {
        'spec-id': 0,
        fields: [
          { 'source-id': 2, 'field-id': 1000, name: 'place', transform: 'identity' },
          { 'source-id': 1, 'field-id': 1001, name: 'id_bucket', transform: 'bucket[2]' },
        ],
      },
    ],
    defaultSpecId: 0,
    lastPartitionId: 1001,
  })
  await table.put(rows(0, 30))
  expect((await table.commit()).outcome).toBe('committed')
  const { snapshots } = await checkInvariants(table.lake, TABLE)
  expect(snapshots.at(-1)?.summary['changed-partition-count']).toBe('6')
})

test('the manifest list has the bounds of its partitions', async () => {
  const table = await openTable()
  await table.put([...rows(1, 2), { id: 9n }])
  await table.commit()
  const { lake } = table
  const { metadata, snapshotId } = await lake.scan(TABLE)
  const [manifest] = await readManifestList(new LakeFiles(lake.warehouse), metadata, snapshotId!)
  const [place, bucket] = manifest!.record!['partitions'] as Record<string, unknown>[]
  expect(place).toMatchObject({ contains_null: true, contains_nan: false })
  expect(String(place!['lower_bound'])).toBe('p1')
  expect(String(place!['upper_bound'])).toBe('p2')
  expect(bucket).toMatchObject({ contains_null: false })
  expect((bucket!['lower_bound'] as Buffer).length).toBe(4)
})

test('bounds of text are in the order of its bytes, and all nulls have none', () => {
  const format = new ManifestFormat(
    [{ sourceId: 1, fieldId: 1000, name: 'a b', transform: 'identity' }],
    [{ kind: 'string' }],
  )
  const text = (value: string): string => Buffer.from(value).toString('base64')
  // As UTF-16 the first is the larger one.
  const of = (...values: (string | null)[]): unknown =>
    format.summaries([values.map((value) => ({ partition: [value] }))])[0]
  expect(of(text('\uff5e'), text('😀'))).toMatchObject({
    contains_null: false,
    lower_bound: Buffer.from('\uff5e'),
    upper_bound: Buffer.from('😀'),
  })
  expect(of(null, null)).toMatchObject({
    contains_null: true,
    lower_bound: null,
    upper_bound: null,
  })
  expect(format.schemaText).toContain('"name":"a_x20b","field-id":1000')
})

test('a table whose partitioning somebody else changed is parked', async () => {
  const table = await openTable()
  await table.put(rows(0, 10))
  await table.commit()
  const field = { 'source-id': 1, 'field-id': 1002, name: 'id_b', transform: 'bucket[8]' }
  await change(table, (metadata) => ({
    ...metadata,
    partitionSpecs: [...metadata.partitionSpecs, { 'spec-id': 1, fields: [field] }],
    defaultSpecId: 1,
    lastPartitionId: 1002,
  }))
  await table.put(rows(10, 10))
  expect(await table.commit()).toMatchObject({
    outcome: 'diverged',
    reason: {
      error: 'TARGET_DIVERGED',
      message: `somebody changed the partitioning of lake table ${TABLE}`,
    },
  })
})

test('files go into no table that is partitioned otherwise', async () => {
  const table = await openTable()
  await table.put(rows(0, 10))
  await table.commit()
  await change(table, (metadata) => ({
    ...metadata,
    partitionSpecs: [{ 'spec-id': 0, fields: [] }],
  }))
  await table.put(rows(10, 10))
  expect(await table.commit()).toMatchObject({
    outcome: 'diverged',
    reason: {
      error: 'TARGET_DIVERGED',
      message: `lake table ${TABLE} is partitioned in another way`,
      detail:
        'Its partition spec 0 is nothing; the files to be added are partitioned by place' +
        ' (identity), id_bucket (bucket[2]).',
    },
  })
})

test('a table stays whole over moved rows, TRUNCATE, dead files and joined manifests', async () => {
  const table = await openTable('upsert')
  for (let round = 0; round < 40; round++) {
    await table.put(rows(round, 4))
    // The place of a key changes from round to round.
    await table.put([{ id: BigInt(round % 7), place: `p${round}` }])
    if (round % 9 === 8) await table.remove([BigInt(round), BigInt(round - 1)])
    if (round === 20) await table.truncate()
    expect((await table.commit()).outcome).toBe('committed')
  }
  const metadata = await checkInvariants(table.lake, TABLE)
  expect(metadata.snapshots.length).toBe(40)
  const live = await table.lake.liveRows(TABLE)
  expect(live).toHaveLength(table.rows.length)
})

test('files of partitions that a crash has left are found, in whatever folder', async () => {
  const table = await openTable()
  const { lake, committer } = table
  await table.put(rows(0, 10))
  await table.commit()
  const { files } = await lake.scan(TABLE)
  const stray = files[0]!.path.replace(/[^/]*$/, '0000abcd-x9.parquet')
  expect(stray).toMatch(/\/place=p\d\/id_bucket=\d\//)
  await lake.warehouse.put(stray, new Uint8Array(1))
  expect(await committer.sweep([TABLE], new Set())).toBe(1)
  expect(committer.takeGarbage()).toEqual([stray])
})

test('a snapshot says what it changed in each partition, moves and deletes included', async () => {
  const table = await openTable('upsert', ['place'])
  const changes = async (): Promise<unknown> => {
    const { metadata, snapshotId } = await table.lake.scan(TABLE)
    const read = await readPartitionChanges(
      new LakeFiles(table.lake.warehouse),
      metadata,
      snapshotId!,
    )
    return [...read.values()]
      .map(({ partition: [place], addedBytes, ...change }) => {
        expect(addedBytes > 0).toBe(change.addedFiles > 0)
        const { addedFiles, addedRows, removedFiles, vectors } = change
        const name = Buffer.from(place ?? '', 'base64').toString()
        return `${name}: ${addedFiles} files, ${addedRows} rows, ${removedFiles} gone, ${vectors} vectors`
      })
      .toSorted()
  }
  await table.put(rows(0, 9))
  await table.commit()
  expect(await changes()).toEqual([
    'p0: 1 files, 3 rows, 0 gone, 0 vectors',
    'p1: 1 files, 3 rows, 0 gone, 0 vectors',
    'p2: 1 files, 3 rows, 0 gone, 0 vectors',
  ])
  await table.put([{ id: 0n, place: 'p1' }])
  await table.commit()
  expect(await changes()).toEqual([
    'p0: 0 files, 0 rows, 0 gone, 1 vectors',
    'p1: 1 files, 1 rows, 0 gone, 0 vectors',
  ])
  await table.remove([3n, 6n])
  await table.commit()
  expect(await changes()).toEqual(['p0: 0 files, 0 rows, 1 gone, 1 vectors'])
})
