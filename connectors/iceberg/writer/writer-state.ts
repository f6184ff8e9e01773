// What a checkpoint keeps of a writer, and how the writers of a restart share it when their number
// has changed: keys go by their segment, the files of a repair by the number of their writer.

import { crc32 } from 'node:zlib'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { WriterState } from '../../../runtime/sink.ts'
import type { DataFileRecord } from '../../parquet/table/data-file-record.ts'
import type { IndexState } from '../index/manifest.ts'
import type { StoredHeldFiles } from './held-files.ts'
import { damaged, readNamed } from '../index/state-files.ts'
import type { StoredSpec } from './table-specs.ts'

/** Data files with first <= id < until have `suffix` in their name, whichever writer made them. */
export interface FileBlock {
  readonly first: number
  readonly until: number
  readonly suffix: string
}

/** An object of the state store with its checksum. */
export interface StatePart {
  readonly path: string
  readonly crc: number
}

export interface WriterData {
  readonly format: 2
  readonly index: IndexState
  /** Data files of this start; `null`: none yet. */
  readonly block: FileBlock | null
  /** JSON of `OlderBlocks`, written once a start; `null`: there are no older files. */
  readonly older: StatePart | null
  /** JSON of `RepairRecord[]`; `null`: no table is being repaired. */
  readonly repairs: StatePart | null
  /** JSON of `StoredHeldRows[]`; `null`: no partial row waits. */
  readonly held: StatePart | null
  /** JSON of `StoredSpec[]`. None: no table is partitioned. */
  readonly specs?: StatePart | null
  /** JSON of `StoredHeldFiles`. None: no file is open over the checkpoint. */
  readonly open?: StatePart | null
}

export interface RepairRecord {
  readonly table: string
  /** Files that wait for the end of the repair; the lake does not know them yet. */
  readonly files: readonly DataFileRecord[]
  /** Epoch deletes that hold the rows of these files that are deleted again; `null`: none. */
  readonly deletes: string | null
}

/** @throws PipelineError CHECKPOINT_CORRUPT when the state is of another format */
export function writerData(state: WriterState): WriterData {
  const data = state.data as Partial<WriterData> | null
  if (data?.format !== 2) {
    throw new PipelineError(
      'CHECKPOINT_CORRUPT',
      'the state of an Iceberg writer is not readable',
      {
        detail: 'It was written by another version, or by another kind of sink.',
      },
    )
  }
  return data as WriterData
}

/**
 * How the tables are partitioned that writers of a checkpoint have written, by their names; of a
 * table that is not there nothing has been written, or it is not partitioned.
 */
export async function readSpecs(
  store: ObjectStore,
  states: readonly WriterData[],
): Promise<StoredSpec[]> {
  const specs = new Map<string, StoredSpec>()
  for (const { specs: part } of states) {
    if (part === null || part === undefined) continue
    for (const stored of (await readPart(store, part)) as StoredSpec[]) {
      specs.set(stored.table, stored)
    }
  }
  return [...specs.values()]
}

/** Writes JSON durably. */
export async function writePart(
  store: ObjectStore,
  path: string,
  value: unknown,
): Promise<StatePart> {
  const bytes = Buffer.from(JSON.stringify(value))
  const writer = await store.create(path)
  await writer.write(bytes)
  await writer.finish()
  return { path, crc: crc32(bytes) }
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export async function readPart(store: ObjectStore, { path, crc }: StatePart): Promise<unknown> {
  const bytes = Buffer.from(await readNamed(store, path))
  if (crc32(bytes) !== crc) throw damaged(path, 'its content')
  return JSON.parse(bytes.toString())
}

/** Files that a checkpoint has open, of all its writers, by writer. */
export async function readOpen(
  store: ObjectStore,
  states: readonly WriterData[],
): Promise<StoredHeldFiles[]> {
  return Promise.all(
    states.map(async ({ open }) => {
      if (open === null || open === undefined) return { files: [], leftovers: [] }
      return (await readPart(store, open)) as StoredHeldFiles
    }),
  )
}

/**
 * Data files that no intent names yet, because a repair holds them back or because they are still
 * open. Whoever removes files that the lake does not know must spare them.
 *
 * @param states  of all writers of a checkpoint
 * @returns paths relative to the warehouse; of an open file both that it may have
 */
export async function heldDataFiles(
  store: ObjectStore,
  states: readonly WriterState[],
): Promise<string[]> {
  const data = states.map(writerData)
  const open = (await readOpen(store, data)).flatMap(({ files }) => files)
  const paths = open.flatMap(({ path, unfinished }) => [path, unfinished])
  for (const { repairs } of data) {
    if (repairs === null) continue
    const records = (await readPart(store, repairs)) as RepairRecord[]
    for (const { files } of records) paths.push(...files.map(({ path }) => path))
  }
  return paths
}

/** @returns paths relative to the warehouse that only older checkpoints name */
export async function leftoverFiles(
  store: ObjectStore,
  states: readonly WriterState[],
): Promise<string[]> {
  return (await readOpen(store, states.map(writerData))).flatMap(({ leftovers }) => leftovers)
}
