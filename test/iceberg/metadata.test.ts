import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { retainedSnapshots } from '../../connectors/iceberg/expiry.ts'
import { formatJson, parseJson } from '../../connectors/iceberg/json.ts'
import {
  branchAt,
  formatTableMetadata,
  metadataVersion,
} from '../../connectors/iceberg/metadata.ts'
import { parseTableMetadata, type TableMetadata } from '../../connectors/iceberg/metadata.ts'
import { fieldsOf } from '../../connectors/iceberg/schema.ts'

const HUGE = 9_223_372_036_854_775_807n

const V3 = `{"format-version":3,"table-uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1",
"location":"s3://bucket/t","last-sequence-number":2147483650,"last-updated-ms":1602638573590,
"last-column-id":4,"next-row-id":9007199254740993,"current-schema-id":1,
"schemas":[{"type":"struct","schema-id":0,"fields":[]},
 {"type":"struct","schema-id":1,"identifier-field-ids":[1],"fields":[
  {"id":1,"name":"x","required":true,"type":"long","initial-default":9223372036854775807},
  {"id":2,"name":"d","required":false,"type":"decimal(9,2)","doc":"a price","initial-default":"14.20"},
  {"id":3,"name":"l","required":false,"type":{"type":"list","element-id":4,"element":"double",
   "element-required":false}},
  {"id":5,"name":"s","required":false,"type":{"type":"struct","fields":[]}}]}],
"default-spec-id":0,"partition-specs":[{"spec-id":0,"fields":[]}],"last-partition-id":999,
"default-sort-order-id":0,"sort-orders":[{"order-id":0,"fields":[]}],
"properties":{"a":"b"},"current-snapshot-id":9223372036854775807,
"refs":{"main":{"snapshot-id":9223372036854775807,"type":"branch"},
 "old":{"snapshot-id":1,"type":"tag","max-ref-age-ms":9223372036854775807}},
"snapshots":[
 {"snapshot-id":1,"timestamp-ms":1602638573000,"summary":{"operation":"append"},
  "manifest-list":"s3://bucket/1.avro","sequence-number":1,"first-row-id":0,"added-rows":7},
 {"snapshot-id":9223372036854775807,"parent-snapshot-id":1,"timestamp-ms":1602638573590,
  "summary":{"operation":"append"},"manifest-list":"s3://bucket/2.avro","schema-id":1,
  "sequence-number":2147483650,"key-id":"k1"}],
"statistics":[{"snapshot-id":9223372036854775807,"statistics-path":"s3://bucket/s.puffin"}],
"encryption-keys":[{"key-id":"k1","x":1.0}],
"snapshot-log":[{"timestamp-ms":1602638573000,"snapshot-id":1}],
"metadata-log":[{"timestamp-ms":1602638573000,"metadata-file":"s3://bucket/m.json"}]}`

function parse(text: string): TableMetadata {
  return parseTableMetadata(Buffer.from(text), 'm.json')
}

test('every key of version 3 metadata survives, those unknown to Millrace included', () => {
  const metadata = parse(V3)
  const sortKeys = (text: string): unknown =>
    JSON.parse(
      JSON.stringify(parseJson(text, 'x'), (_name, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ),
    )
  const written = sortKeys(formatTableMetadata(metadata)) as { refs: { old: object } }
  const read = sortKeys(V3) as { refs: { old: object } }
  // A retention of 292 million years is a double afterwards.
  Object.assign(written.refs.old, { 'max-ref-age-ms': 0 })
  Object.assign(read.refs.old, { 'max-ref-age-ms': 0 })
  expect(written).toEqual(read)
  expect(parse(formatTableMetadata(metadata))).toEqual(metadata)
  expect(metadata.currentSnapshotId).toBe(HUGE)
  expect(metadata.nextRowId).toBe(9_007_199_254_740_993n)
  expect(metadata.lastSequenceNumber).toBe(2_147_483_650n)
})

test('fields are read with their types, defaults and element ids; what we do not write has none', () => {
  const fields = fieldsOf(parse(V3).schemas[1]!)
  expect(fields.map(({ name, type, elementId }) => [name, type, elementId])).toEqual([
    ['x', { kind: 'long' }, null],
    ['d', { kind: 'decimal', precision: 9, scale: 2 }, null],
    ['l', { kind: 'list', element: { kind: 'double' } }, 4],
    ['s', null, null],
  ])
  expect(fields[0]).toMatchObject({ required: true, initialDefault: HUGE })
  expect(fields[1]).toMatchObject({ doc: 'a price', initialDefault: '14.20' })
})

test('versions 1 and 2 are read as the specification says they default', () => {
  const v1 =
    parse(`{"format-version":1,"location":"s3://b/t","last-updated-ms":1,"last-column-id":1,
    "schema":{"type":"struct","fields":[{"id":1,"name":"x","required":true,"type":"long"}]},
    "partition-spec":[{"name":"x","transform":"identity","source-id":1,"field-id":1000}],
    "properties":{},"current-snapshot-id":-1,"snapshots":[]}`)
  expect(v1).toMatchObject({
    formatVersion: 1,
    currentSnapshotId: null,
    currentSchemaId: 0,
    lastSequenceNumber: 0n,
    refs: {},
    sortOrders: [{ 'order-id': 0, fields: [] }],
  })
  expect(v1.partitionSpecs[0]).toMatchObject({ 'spec-id': 0, fields: [{ name: 'x' }] })
  const v2 = parse(
    V3.replace('"format-version":3', '"format-version":2').replace(/"refs":\{.*\}\},/s, ''),
  )
  expect(v2.refs).toEqual({ main: branchAt(HUGE) })
})

test('gzipped metadata is read', () => {
  const bytes = gzipSync(V3)
  expect(parseTableMetadata(bytes, 'm.gz.metadata.json')).toEqual(parse(V3))
})

test('a version that is not known and metadata that is damaged are refused', () => {
  for (const text of [
    V3.replace(':3,', ':4,'),
    V3.slice(0, -3),
    '[]',
    V3.replace('"location"', '"l"'),
  ]) {
    expect(() => parse(text)).toThrow(expect.objectContaining({ error: 'LAKE_FORMAT' }))
  }
})

test('the number of a metadata file is read from both forms of its name', () => {
  expect(metadataVersion('file:///a/metadata/00012-5f2d.metadata.json')).toBe(12)
  expect(metadataVersion('file:///a/metadata/v3.metadata.json')).toBe(3)
  expect(metadataVersion('file:///a/metadata/x.json')).toBe(-1)
})

test('a branch keeps its newest, a tag its one, staged snapshots five days', () => {
  const day = 86_400_000
  const base = parse(V3)
  const snapshot = (
    id: bigint,
    parent: bigint | null,
    age: number,
  ): TableMetadata['snapshots'][0] => ({
    ...base.snapshots[0]!,
    snapshotId: id,
    parentSnapshotId: parent,
    timestampMs: 100 * day - age,
  })
  const metadata: TableMetadata = {
    ...base,
    snapshots: [
      snapshot(1n, null, 9 * day),
      snapshot(2n, 1n, 8 * day),
      snapshot(3n, 2n, 7 * day),
      snapshot(4n, 3n, 1000),
      snapshot(5n, 4n, 0),
      snapshot(6n, 2n, 6 * day),
      snapshot(7n, 2n, 4 * day),
      snapshot(8n, 3n, 2 * day),
    ],
    refs: {
      main: branchAt(5n),
      audit: { ...branchAt(1n), type: 'tag' },
      test: { ...branchAt(8n), minSnapshotsToKeep: 1, maxSnapshotAgeMs: 1 },
    },
  }
  const retained = (keep: number, keepMs: number): bigint[] =>
    [...retainedSnapshots(metadata, 100 * day, { keep, keepMs })].toSorted((left, right) =>
      Number(left - right),
    )
  expect(retained(1, 0)).toEqual([1n, 5n, 7n, 8n])
  expect(retained(1, 2000)).toEqual([1n, 4n, 5n, 7n, 8n])
  expect(retained(3, 0)).toEqual([1n, 3n, 4n, 5n, 7n, 8n])
})

test('formatting keeps integers of any size apart from texts', () => {
  expect(formatJson({ a: HUGE, b: 'x', c: null })).toBe(
    '{"a":9223372036854775807,"b":"x","c":null}',
  )
})
