// The marker says which intent a lake table holds. It is a table property, which survives the
// expiry of every snapshot, and stands in the summary of the snapshot too. Whether an intent is
// done is decided by its pre-generated snapshot id alone: epoch numbers repeat after a rewind, ids
// do not.

import { PipelineError } from '../../runtime/base/errors.ts'
import { asInteger, asLong, asText, formatJson, parseJson } from './json.ts'
import { snapshotWithId, type Snapshot, type TableMetadata } from './metadata.ts'

export interface Marker {
  readonly timeline: number
  readonly epoch: number
  /** Id of the snapshot that the intent's commit made the head of main. */
  readonly intent: bigint
  readonly fence: string
  /** Current schema and highest field id after the commit: C3 compares them before the next. */
  readonly schemaId: number
  readonly lastColumnId: number
}

export function markerName(pipeline: string): string {
  return `millrace.commit.${pipeline}`
}

export function tagName(pipeline: string): string {
  return `millrace-${pipeline}`
}

export function formatMarker(marker: Marker): string {
  const { timeline, epoch, intent, fence, schemaId, lastColumnId } = marker
  return formatJson({
    timeline,
    epoch,
    intent: intent.toString(),
    fence,
    'schema-id': schemaId,
    'last-column-id': lastColumnId,
  })
}

function parseMarker(text: string, name: string): Marker {
  const json = parseJson(text, name)
  return {
    timeline: asInteger(json['timeline'], `timeline of ${name}`),
    epoch: asInteger(json['epoch'], `epoch of ${name}`),
    intent: asLong(parseJson(`{"id":${asText(json['intent'], name)}}`, name)['id'], name),
    fence: asText(json['fence'], `fence of ${name}`),
    schemaId: asInteger(json['schema-id'], `schema-id of ${name}`),
    lastColumnId: asInteger(json['last-column-id'], `last-column-id of ${name}`),
  }
}

/**
 * @returns the marker in the property, else the one in the newest summary on main; `null`: none
 * @throws PipelineError LAKE_FORMAT
 */
export function markerOf(metadata: TableMetadata, pipeline: string): Marker | null {
  const name = markerName(pipeline)
  const property = metadata.properties[name]
  if (property !== undefined) return parseMarker(property, `property ${name}`)
  for (const snapshot of ancestorsOf(metadata, metadata.currentSnapshotId)) {
    const text = snapshot.summary[name]
    if (text !== undefined) return parseMarker(text, `summary ${name}`)
  }
  return null
}

/** The snapshot and those before it, newest first, as far as they are retained. */
export function* ancestorsOf(
  { snapshots }: TableMetadata,
  head: bigint | null,
): Generator<Snapshot> {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]))
  let id = head
  while (id !== null) {
    const snapshot = byId.get(id)
    if (snapshot === undefined) return
    yield snapshot
    id = snapshot.parentSnapshotId
  }
}

/** What the checkpoint knows of a table, for the decision on its marker. */
export interface PendingIntents {
  readonly timeline: number
  readonly fence: string
  /** Snapshot ids of the pending intents, in epoch order. */
  readonly ids: readonly bigint[]
  /** Intents that the checkpoint knows as committed. */
  readonly committed: readonly bigint[]
}

/**
 * How many of the pending intents the table already holds (C1).
 *
 * @returns 0...ids.length
 * @throws PipelineError FENCED, TIMELINE_AHEAD
 */
export function intentsDone(table: string, marker: Marker | null, pending: PendingIntents): number {
  if (marker === null) {
    if (pending.committed.length === 0) return 0
    throw ahead(table, 'The table has lost the marker of the last commit.')
  }
  if (marker.timeline > pending.timeline || isNewerFence(marker.fence, pending.fence)) {
    const { timeline, fence } = marker
    throw new PipelineError('FENCED', `lake table ${table} belongs to a newer instance`, {
      detail:
        `The table was committed in timeline ${timeline} with fence ${fence}; ` +
        `this instance has timeline ${pending.timeline} and fence ${pending.fence}.`,
      // A state folder that was copied back looks the same: the instance of before was newer.
      hint:
        'Run one instance only. If no other one runs, the state folder is an old copy: restore ' +
        'the newest, or run `millrace resync FILE --all`.',
    })
  }
  const index = pending.ids.indexOf(marker.intent)
  if (index >= 0) return index + 1
  if (pending.committed.includes(marker.intent)) return 0
  const known = pending.committed.at(-1)?.toString() ?? 'none'
  const detail =
    `The table holds epoch ${marker.epoch} of timeline ${marker.timeline} (intent ` +
    `${marker.intent}); the last commit that the checkpoint knows is ${known}.`
  throw ahead(table, detail, pending.committed.length === 0 ? STATE_LOST : null)
}

function ahead(table: string, detail: string, hint: string | null = null): PipelineError {
  const message = `lake table ${table} holds a commit that the checkpoint does not know`
  return new PipelineError('TIMELINE_AHEAD', message, { detail, ...(hint !== null && { hint }) })
}

/** The start that meets this has saved a checkpoint of its own, from which a resync goes on. */
const STATE_LOST =
  'Correct `pipeline.checkpoint.store` if it is not where the state of this pipeline lies, or ' +
  'restore the state folder. If it is lost, run `millrace resync FILE --all`.'

/** Fences are growing numbers as text; other texts have no order. */
function isNewerFence(fence: string, ours: string): boolean {
  const isNumber = /^\d+$/.test(fence) && /^\d+$/.test(ours)
  return isNumber && BigInt(fence) > BigInt(ours)
}

/**
 * C3 and C8: the table is as our last commit left it, but for commits of others on top of it.
 *
 * @throws PipelineError SCHEMA_DIVERGED, TARGET_DIVERGED
 */
export function checkUndisturbed(
  table: string,
  metadata: TableMetadata,
  marker: Marker | null,
  pipeline: string,
): void {
  if (marker === null) return
  const { currentSchemaId, lastColumnId } = metadata
  if (currentSchemaId !== marker.schemaId || lastColumnId !== marker.lastColumnId) {
    throw new PipelineError('SCHEMA_DIVERGED', `somebody changed the schema of ${table}`, {
      detail:
        `Our last commit left schema ${marker.schemaId} and field id ${marker.lastColumnId}; ` +
        `the table has schema ${currentSchemaId} and field id ${lastColumnId}.`,
    })
  }
  const tag = metadata.refs[tagName(pipeline)]
  const ours = tag === undefined ? [marker.intent] : [marker.intent, tag.snapshotId]
  for (const id of ours) {
    if (mayDescend(metadata, id)) continue
    throw new PipelineError('TARGET_DIVERGED', `lake table ${table} was rolled back`, {
      detail: `Its branch main no longer descends from snapshot ${id} of our last commit.`,
    })
  }
}

/** False only when main surely does not descend from `id`: expired parents hide what was before. */
function mayDescend(metadata: TableMetadata, id: bigint): boolean {
  let last: Snapshot | null = null
  for (const snapshot of ancestorsOf(metadata, metadata.currentSnapshotId)) {
    if (snapshot.snapshotId === id) return true
    last = snapshot
  }
  const hidden = last !== null && last.parentSnapshotId !== null
  return hidden && snapshotWithId(metadata, id) === null
}
