// Table metadata: reads format versions 1 to 3, writes 3. What Millrace does not understand
// (statistics, encryption keys, keys of later versions) is carried along unchanged.
// Source: Apache Iceberg specification, "Table Metadata" and Appendix C.

import { gunzipSync } from 'node:zlib'
import { PipelineError } from '../../runtime/base/errors.ts'
import { asInteger, asList, asLong, asObject, asText, asTexts } from './json.ts'
import { formatJson, parseJson, type Json, type JsonObject } from './json.ts'
import { parseSchema, type IcebergSchema } from './schema.ts'

export interface Snapshot {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
  readonly timestampMs: number
  /** `null` in version 1 tables that list their manifests in the metadata. */
  readonly manifestList: string | null
  readonly summary: Readonly<Record<string, string>>
  readonly schemaId: number | null
  readonly firstRowId: bigint | null
  readonly addedRows: bigint | null
  /** Keys that are not above. */
  readonly rest: JsonObject
}

export interface SnapshotRef {
  readonly snapshotId: bigint
  readonly type: 'branch' | 'tag'
  readonly minSnapshotsToKeep: number | null
  readonly maxSnapshotAgeMs: number | null
  readonly maxRefAgeMs: number | null
}

export interface SnapshotLogEntry {
  readonly snapshotId: bigint
  readonly timestampMs: number
}

export interface MetadataLogEntry {
  readonly metadataFile: string
  readonly timestampMs: number
}

export interface TableMetadata {
  readonly formatVersion: number
  readonly tableUuid: string
  /** URI of the table's folder. */
  readonly location: string
  readonly lastSequenceNumber: bigint
  readonly lastUpdatedMs: number
  readonly lastColumnId: number
  readonly schemas: readonly IcebergSchema[]
  readonly currentSchemaId: number
  readonly partitionSpecs: readonly JsonObject[]
  readonly defaultSpecId: number
  readonly lastPartitionId: number
  readonly sortOrders: readonly JsonObject[]
  readonly defaultSortOrderId: number
  readonly properties: Readonly<Record<string, string>>
  /** Head of `main`; `null`: none. */
  readonly currentSnapshotId: bigint | null
  readonly snapshots: readonly Snapshot[]
  readonly snapshotLog: readonly SnapshotLogEntry[]
  readonly metadataLog: readonly MetadataLogEntry[]
  readonly refs: Readonly<Record<string, SnapshotRef>>
  /** Version 3; 0 before. */
  readonly nextRowId: bigint
  /** Keys that are not above. */
  readonly rest: JsonObject
}

const SNAPSHOT_KEYS = new Set(
  (
    'snapshot-id parent-snapshot-id sequence-number timestamp-ms manifest-list summary schema-id ' +
    'first-row-id added-rows'
  ).split(' '),
)
const METADATA_KEYS = new Set(
  (
    'format-version table-uuid location last-sequence-number last-updated-ms last-column-id ' +
    'schema schemas current-schema-id partition-spec partition-specs default-spec-id ' +
    'last-partition-id sort-orders default-sort-order-id properties current-snapshot-id ' +
    'snapshots snapshot-log metadata-log refs next-row-id'
  ).split(' '),
)

/**
 * @param bytes  a metadata file, gzipped or not
 * @param file  its location, for messages
 * @throws PipelineError LAKE_FORMAT
 */
export function parseTableMetadata(bytes: Uint8Array, file: string): TableMetadata {
  const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes
  const json = parseJson(new TextDecoder().decode(plain), file)
  const formatVersion = asInteger(json['format-version'], `format-version of ${file}`)
  if (formatVersion < 1 || formatVersion > 3) {
    const detail = 'Millrace reads the format versions 1 to 3.'
    throw new PipelineError('LAKE_FORMAT', `${file} has format version ${formatVersion}`, {
      detail,
    })
  }
  const schemas = schemasOf(json, file)
  const specs = specsOf(json, file)
  const currentSnapshotId = snapshotIdOf(json['current-snapshot-id'], file)
  return {
    formatVersion,
    tableUuid: asText(json['table-uuid'] ?? '', `table-uuid of ${file}`),
    location: asText(json['location'], `location of ${file}`),
    lastSequenceNumber: asLong(json['last-sequence-number'] ?? 0, 'last-sequence-number'),
    lastUpdatedMs: asInteger(json['last-updated-ms'], 'last-updated-ms'),
    lastColumnId: asInteger(json['last-column-id'], 'last-column-id'),
    schemas,
    currentSchemaId: asInteger(
      json['current-schema-id'] ?? schemas[0]?.schemaId,
      'current-schema-id',
    ),
    partitionSpecs: specs,
    defaultSpecId: asInteger(json['default-spec-id'] ?? 0, 'default-spec-id'),
    lastPartitionId: asInteger(json['last-partition-id'] ?? 999, 'last-partition-id'),
    sortOrders: asList(json['sort-orders'] ?? [UNSORTED], 'sort-orders').map((order) =>
      asObject(order, 'a sort order'),
    ),
    defaultSortOrderId: asInteger(json['default-sort-order-id'] ?? 0, 'default-sort-order-id'),
    properties: asTexts(json['properties'], 'properties'),
    currentSnapshotId,
    snapshots: asList(json['snapshots'] ?? [], 'snapshots').map(parseSnapshot),
    snapshotLog: asList(json['snapshot-log'] ?? [], 'snapshot-log').map(parseSnapshotLogEntry),
    metadataLog: asList(json['metadata-log'] ?? [], 'metadata-log').map(parseMetadataLogEntry),
    refs: refsOf(json, currentSnapshotId),
    nextRowId: asLong(json['next-row-id'] ?? 0, 'next-row-id'),
    rest: without(json, METADATA_KEYS),
  }
}

export const UNSORTED: JsonObject = { 'order-id': 0, fields: [] }

function schemasOf(json: JsonObject, file: string): IcebergSchema[] {
  const listed = json['schemas'] ?? (json['schema'] === undefined ? [] : [json['schema']])
  return asList(listed, `schemas of ${file}`).map((schema) => parseSchema(schema, 'a schema'))
}

/** Version 1 has the fields of its only spec and no id. */
function specsOf(json: JsonObject, file: string): JsonObject[] {
  const old = json['partition-spec']
  const listed = json['partition-specs'] ?? [{ 'spec-id': 0, fields: old ?? [] }]
  return asList(listed, `partition-specs of ${file}`).map((spec) => asObject(spec, 'a spec'))
}

/** -1 stands for none in files of older writers. */
function snapshotIdOf(value: Json | undefined, file: string): bigint | null {
  if (value === undefined || value === null || value === -1) return null
  return asLong(value, `current-snapshot-id of ${file}`)
}

function parseSnapshot(value: Json): Snapshot {
  const json = asObject(value, 'a snapshot')
  const parent = json['parent-snapshot-id'] ?? null
  const list = json['manifest-list'] ?? null
  const schemaId = json['schema-id'] ?? null
  const firstRowId = json['first-row-id'] ?? null
  const addedRows = json['added-rows'] ?? null
  return {
    snapshotId: asLong(json['snapshot-id'], 'snapshot-id'),
    parentSnapshotId: parent === null ? null : asLong(parent, 'parent-snapshot-id'),
    sequenceNumber: asLong(json['sequence-number'] ?? 0, 'sequence-number'),
    timestampMs: asInteger(json['timestamp-ms'], 'timestamp-ms'),
    manifestList: list === null ? null : asText(list, 'manifest-list'),
    summary: asTexts(json['summary'], 'summary'),
    schemaId: schemaId === null ? null : asInteger(schemaId, 'schema-id'),
    firstRowId: firstRowId === null ? null : asLong(firstRowId, 'first-row-id'),
    addedRows: addedRows === null ? null : asLong(addedRows, 'added-rows'),
    rest: without(json, SNAPSHOT_KEYS),
  }
}

function parseSnapshotLogEntry(value: Json): SnapshotLogEntry {
  const json = asObject(value, 'an entry of snapshot-log')
  const snapshotId = asLong(json['snapshot-id'], 'snapshot-id')
  return { snapshotId, timestampMs: asInteger(json['timestamp-ms'], 'timestamp-ms') }
}

function parseMetadataLogEntry(value: Json): MetadataLogEntry {
  const json = asObject(value, 'an entry of metadata-log')
  const metadataFile = asText(json['metadata-file'], 'metadata-file')
  return { metadataFile, timestampMs: asInteger(json['timestamp-ms'], 'timestamp-ms') }
}

function refsOf(json: JsonObject, current: bigint | null): Record<string, SnapshotRef> {
  const refs: Record<string, SnapshotRef> = {}
  for (const [name, value] of Object.entries(asObject(json['refs'] ?? {}, 'refs'))) {
    const ref = asObject(value, `ref ${name}`)
    refs[name] = {
      snapshotId: asLong(ref['snapshot-id'], `snapshot-id of ref ${name}`),
      type: ref['type'] === 'tag' ? 'tag' : 'branch',
      minSnapshotsToKeep: optionalInteger(ref['min-snapshots-to-keep']),
      maxSnapshotAgeMs: optionalInteger(ref['max-snapshot-age-ms']),
      maxRefAgeMs: optionalInteger(ref['max-ref-age-ms']),
    }
  }
  // Files from before refs existed have only the current snapshot.
  if (refs['main'] === undefined && current !== null) refs['main'] = branchAt(current)
  return refs
}

function optionalInteger(value: Json | undefined): number | null {
  // Ages of centuries exceed a safe integer where somebody means "for ever".
  return value === undefined || value === null ? null : Number(value)
}

export function branchAt(snapshotId: bigint): SnapshotRef {
  const type = 'branch'
  return {
    snapshotId,
    type,
    minSnapshotsToKeep: null,
    maxSnapshotAgeMs: null,
    maxRefAgeMs: null,
  }
}

function without(json: JsonObject, keys: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([name]) => !keys.has(name)))
}

/** @returns the text of a version 3 metadata file */
export function formatTableMetadata(metadata: TableMetadata): string {
  const { currentSnapshotId } = metadata
  return formatJson({
    'format-version': metadata.formatVersion,
    'table-uuid': metadata.tableUuid,
    location: metadata.location,
    'last-sequence-number': metadata.lastSequenceNumber,
    'last-updated-ms': metadata.lastUpdatedMs,
    'last-column-id': metadata.lastColumnId,
    'current-schema-id': metadata.currentSchemaId,
    schemas: metadata.schemas.map(({ json }) => json),
    'default-spec-id': metadata.defaultSpecId,
    'partition-specs': metadata.partitionSpecs,
    'last-partition-id': metadata.lastPartitionId,
    'default-sort-order-id': metadata.defaultSortOrderId,
    'sort-orders': metadata.sortOrders,
    properties: metadata.properties,
    ...(currentSnapshotId === null ? {} : { 'current-snapshot-id': currentSnapshotId }),
    'next-row-id': metadata.nextRowId,
    refs: Object.fromEntries(
      Object.entries(metadata.refs).map(([name, ref]) => [name, refJson(ref)]),
    ),
    snapshots: metadata.snapshots.map(snapshotJson),
    ...metadata.rest,
    'snapshot-log': metadata.snapshotLog.map(({ snapshotId, timestampMs }) => ({
      'timestamp-ms': timestampMs,
      'snapshot-id': snapshotId,
    })),
    'metadata-log': metadata.metadataLog.map(({ metadataFile, timestampMs }) => ({
      'timestamp-ms': timestampMs,
      'metadata-file': metadataFile,
    })),
  })
}

function refJson(ref: SnapshotRef): JsonObject {
  const { snapshotId, type, minSnapshotsToKeep, maxSnapshotAgeMs, maxRefAgeMs } = ref
  return {
    'snapshot-id': snapshotId,
    type,
    ...(minSnapshotsToKeep === null ? {} : { 'min-snapshots-to-keep': minSnapshotsToKeep }),
    ...(maxSnapshotAgeMs === null ? {} : { 'max-snapshot-age-ms': BigInt(maxSnapshotAgeMs) }),
    ...(maxRefAgeMs === null ? {} : { 'max-ref-age-ms': BigInt(maxRefAgeMs) }),
  }
}

function snapshotJson(snapshot: Snapshot): JsonObject {
  const { parentSnapshotId, manifestList, schemaId, firstRowId, addedRows } = snapshot
  return {
    'sequence-number': snapshot.sequenceNumber,
    'snapshot-id': snapshot.snapshotId,
    ...(parentSnapshotId === null ? {} : { 'parent-snapshot-id': parentSnapshotId }),
    'timestamp-ms': snapshot.timestampMs,
    summary: snapshot.summary,
    ...(manifestList === null ? {} : { 'manifest-list': manifestList }),
    ...(schemaId === null ? {} : { 'schema-id': schemaId }),
    ...(firstRowId === null ? {} : { 'first-row-id': firstRowId }),
    ...(addedRows === null ? {} : { 'added-rows': addedRows }),
    ...snapshot.rest,
  }
}

export function snapshotWithId(metadata: TableMetadata, id: bigint): Snapshot | null {
  return metadata.snapshots.find(({ snapshotId }) => snapshotId === id) ?? null
}

/** @returns the number in a metadata file's name, `00012-...`; -1 where it has none */
export function metadataVersion(location: string): number {
  const match = /\/v?(\d+)[-.][^/]*$/.exec(location)
  return match === null ? -1 : Number(match[1])
}
