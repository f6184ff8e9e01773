// What a writer of a directory needs to go on from a checkpoint: how the tables are parted, so that
// neither a rename nor another pipeline file parts one table in two ways. The list is an object of
// the state store that is written when it changes: a checkpoint names it and does not carry it.

import { crc32 } from 'node:zlib'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { WriterState } from '../../../runtime/sink.ts'
import type { FolderField } from './folders.ts'

export interface WriterData {
  readonly format: 1
  /** As the pipeline file has them; both stay for the life of the directory. */
  readonly layout: string
  readonly timeZone: string
  readonly tables: { readonly path: string; readonly crc: number } | null
}

export interface TableFields {
  readonly table: string
  readonly fields: readonly FolderField[]
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function writerData({ data }: WriterState): WriterData {
  if (typeof data === 'object' && data !== null && 'format' in data && 'layout' in data) {
    return data as WriterData
  }
  throw damaged('the state of a writer', 'it is not one of a Parquet directory')
}

/** @returns what the writers of a checkpoint know of the tables, by table */
export async function readFields(
  store: ObjectStore,
  states: readonly WriterState[],
): Promise<Map<string, readonly FolderField[]>> {
  const known = new Map<string, readonly FolderField[]>()
  for (const { tables } of states.map(writerData)) {
    if (tables === null) continue
    if (!(await store.exists(tables.path))) throw damaged(tables.path, 'it is missing')
    const bytes = await store.get(tables.path)
    if (crc32(bytes) !== tables.crc) throw damaged(tables.path, 'its content is another')
    for (const { table, fields } of JSON.parse(Buffer.from(bytes).toString()) as TableFields[]) {
      known.set(table, fields)
    }
  }
  return known
}

/** Writes the list durably. */
export async function writeFields(
  store: ObjectStore,
  path: string,
  known: ReadonlyMap<string, readonly FolderField[]>,
): Promise<WriterData['tables']> {
  const list: TableFields[] = [...known].map(([table, fields]) => ({ table, fields }))
  const bytes = Buffer.from(JSON.stringify(list))
  const writer = await store.create(path)
  await writer.write(bytes)
  await writer.finish()
  return { path, crc: crc32(bytes) }
}

function damaged(what: string, how: string): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `state file "${what}" is damaged: ${how}`)
}
