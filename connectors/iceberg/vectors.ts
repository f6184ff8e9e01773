// Deletion vectors of a commit: for each touched data file the vector that it has now, united with
// the positions of the intent. Only here are they made, so two writers that delete from one file,
// or somebody else's delete in between, can never overwrite each other's positions.
//
// A file all of whose rows are deleted is dead, and may leave the table: a row is deleted once in
// its life, when the index forgets it, so no position of the file comes again. That holds for what
// our index has deleted. Of a row that somebody else deleted it knows nothing, and will delete it
// again: a file with such rows stays, with a full vector, or the late position would find no file
// and park the table. Which vectors have positions of others must outlast a restart, so their
// Puffin files say so by their names.

import type { RoaringBitmap32 } from 'roaring-wasm'
import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { PositionSet } from './deletion-vector.ts'
import type { LakeFiles } from './lake-files.ts'
import { isOwnFile } from './layout.ts'
import type { VectorBlob } from './puffin.ts'
import type { DataFileState, LiveFiles, VectorState } from './table-state.ts'

/** Blobs of live vectors, so that a commit a second does not read its own Puffin files again. */
export class VectorCache {
  readonly #bytesMax: number
  readonly #blobs = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(vector: { readonly path: string; readonly offset: number }): Uint8Array | null {
    return this.#blobs.get(keyOf(vector)) ?? null
  }

  put(vector: { readonly path: string; readonly offset: number }, blob: Uint8Array): void {
    this.drop(vector)
    this.#blobs.set(keyOf(vector), blob)
    this.#bytes += blob.length
    // Maps keep the order of insertion: the first is the oldest.
    for (const [key, { length }] of this.#blobs) {
      if (this.#bytes <= this.#bytesMax) break
      this.#blobs.delete(key)
      this.#bytes -= length
    }
  }

  drop(vector: { readonly path: string; readonly offset: number }): void {
    const blob = this.#blobs.get(keyOf(vector))
    if (blob === undefined) return
    this.#blobs.delete(keyOf(vector))
    this.#bytes -= blob.length
  }
}

function keyOf({ path, offset }: { readonly path: string; readonly offset: number }): string {
  return `${path}#${offset}`
}

/** A deletion vector of this commit. */
export interface NewBlob extends VectorBlob {
  readonly fileId: number
  readonly file: DataFileState
  /** The vector that it takes the place of. */
  readonly superseded: VectorState | null
  /** Positions in it may be somebody else's. */
  readonly shared: boolean
}

const SHARED_ENDING = '-shared-deletes.puffin'

/** @returns the name of a Puffin file for vectors that are `shared` or not */
export function puffinName(id: string, shared: boolean): string {
  return shared ? `${id}${SHARED_ENDING}` : `${id}-deletes.puffin`
}

/** False when every position in the vector is one that our own index deleted. */
export function isShared({ path }: { readonly path: string }): boolean {
  return !isOwnFile(path) || path.endsWith(SHARED_ENDING)
}

/** True when no row of the file is left, and none of its positions will come again. */
export function isDead(
  vector: { readonly cardinality: number },
  file: DataFileState,
  shared: boolean,
): boolean {
  return vector.cardinality === file.rows && !shared
}

/**
 * @param newFiles  data files of this commit, by file id
 * @param deletes  positions by file id; not changed
 * @returns a vector for each file that has more deleted rows now
 * @throws PipelineError TARGET_DIVERGED when a data file is no longer live
 */
export async function planVectors(
  files: LakeFiles,
  cache: VectorCache,
  table: string,
  live: LiveFiles,
  newFiles: ReadonlyMap<number, DataFileState>,
  deletes: ReadonlyMap<number, RoaringBitmap32>,
): Promise<NewBlob[]> {
  refuseOldPositionDeletes(table, live)
  const touched: { fileId: number; file: DataFileState; positions: RoaringBitmap32 }[] = []
  for (const [fileId, positions] of deletes) {
    if (positions.isEmpty) continue
    const file = newFiles.get(fileId) ?? live.dataFiles.get(fileId)
    if (file === undefined) throw goneFile(table, fileId)
    assert(positions.maximum() < file.rows, 'a deleted position lies within its data file')
    touched.push({ fileId, file, positions })
  }
  const current = touched.map(({ file }) => live.vectors.get(file.path) ?? null)
  const old = await readBlobs(
    files,
    cache,
    current.filter((vector) => vector !== null),
  )
  const blobs: NewBlob[] = []
  for (const [index, { fileId, file, positions }] of touched.entries()) {
    const superseded = current[index] ?? null
    const blob = superseded === null ? null : (old.get(keyOf(superseded)) ?? null)
    const united = unite(file.path, blob, positions)
    // Somebody else may have deleted the same rows already.
    if (united.cardinality <= (superseded?.cardinality ?? 0)) continue
    const shared = superseded !== null && isShared(superseded)
    blobs.push({ dataFile: file.path, ...united, fileId, file, superseded, shared })
  }
  return blobs
}

function unite(
  dataFile: string,
  blob: Uint8Array | null,
  positions: RoaringBitmap32,
): { blob: Uint8Array; cardinality: number } {
  const set = blob === null ? PositionSet.of(positions.clone()) : PositionSet.decode(blob, dataFile)
  if (blob !== null) set.unite(positions)
  const { cardinality } = set
  const encoded = set.encode()
  set.dispose()
  return { blob: encoded, cardinality }
}

/** Reads each Puffin file once, whatever number of its blobs is wanted. */
async function readBlobs(
  files: LakeFiles,
  cache: VectorCache,
  vectors: readonly VectorState[],
): Promise<Map<string, Uint8Array>> {
  const blobs = new Map<string, Uint8Array>()
  const missing = new Map<string, VectorState[]>()
  for (const vector of vectors) {
    const blob = cache.get(vector)
    if (blob !== null) blobs.set(keyOf(vector), blob)
    else missing.set(vector.path, [...(missing.get(vector.path) ?? []), vector])
  }
  for (const [path, wanted] of missing) {
    const bytes = await files.read(path)
    for (const vector of wanted) {
      const { offset, bytes: length } = vector
      // A copy: a view would keep the whole file in memory for as long as the blob.
      blobs.set(keyOf(vector), new Uint8Array(bytes.subarray(offset, offset + length)))
    }
  }
  return blobs
}

/**
 * A deletion vector makes readers ignore position delete files for its data file, so the rows these
 * delete would come back.
 */
function refuseOldPositionDeletes(table: string, live: LiveFiles): void {
  for (const entries of live.otherDeletes.values()) {
    const entry = entries.find(({ content }) => content === 1)
    if (entry === undefined) continue
    const message = `lake table ${table} has position delete files, which Millrace does not write`
    const detail = `One of them is ${entry.path}.`
    throw new PipelineError('TARGET_DIVERGED', message, { detail })
  }
}

function goneFile(table: string, fileId: number): PipelineError {
  const id = fileId.toString(16).padStart(8, '0')
  const message = `data file ${id} of lake table ${table} is no longer live`
  const detail = 'Rows in it have to be deleted, but somebody else removed or rewrote the file.'
  return new PipelineError('TARGET_DIVERGED', message, { detail })
}
