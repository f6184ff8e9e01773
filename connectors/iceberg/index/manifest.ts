// What a checkpoint says of a writer's index: the deltas, and by reference the manifest, which
// names the runs. The manifest is an object of its own, because it only changes with folds and may
// be large, while a checkpoint is written every second.

import { crc32 } from 'node:zlib'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { RunPlace } from './run.ts'
import { damaged, readNamed } from './state-files.ts'

/** One object of changes; `first` and `last` are the epochs that it covers. */
export interface DeltaPlace {
  readonly path: string
  readonly first: number
  readonly last: number
  /** How often its content has been merged. */
  readonly level: number
  readonly bytes: number
}

/** Plain data of the checkpoint. */
export interface IndexState {
  readonly format: 1
  /** Last epoch that was prepared; -1: none. */
  readonly epoch: number
  readonly manifest: { readonly path: string; readonly crc: number } | null
  /** In the order in which they are replayed. */
  readonly deltas: readonly DeltaPlace[]
}

export interface SegmentRecord {
  readonly start: number
  readonly end: number
  readonly foldedThrough: number
  readonly run: RunPlace | null
}

export interface TableRecord {
  readonly name: string
  readonly words: HashWords
  readonly segments: readonly SegmentRecord[]
}

export interface Manifest {
  readonly tables: readonly TableRecord[]
  /** Bytes of each file that a run names. */
  readonly files: Readonly<Record<string, number>>
}

/** Writes the manifest durably. @returns how a checkpoint names it */
export async function writeManifest(
  store: ObjectStore,
  path: string,
  manifest: Manifest,
): Promise<{ path: string; crc: number }> {
  const bytes = Buffer.from(JSON.stringify(manifest))
  const writer = await store.create(path)
  await writer.write(bytes)
  await writer.finish()
  return { path, crc: crc32(bytes) }
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export async function readManifest(
  store: ObjectStore,
  { path, crc }: { readonly path: string; readonly crc: number },
): Promise<Manifest> {
  const bytes = Buffer.from(await readNamed(store, path))
  if (crc32(bytes) !== crc) throw damaged(path, 'the manifest of the index')
  return JSON.parse(bytes.toString()) as Manifest
}
