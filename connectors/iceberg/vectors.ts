// Deletion vectors of a commit: for each touched data file the vector that it has now, united with
// the positions of the intent. Only here are they made, so two writers that delete from one file,
// or somebody else's delete in between, can never overwrite each other's positions.

import type { RoaringBitmap32 } from 'roaring-wasm'
import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { PositionSet } from './deletion-vector.ts'
import type { LakeFiles } from './lake-files.ts'
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

/** What a commit does to deletion vectors. */
export interface VectorChanges {
  readonly blobs: readonly VectorBlob[]
  readonly superseded: readonly VectorState[]
}

/**
 * @param newFiles  data files of this commit, by file id
 * @param deletes  positions by file id; not changed
 * @throws PipelineError TARGET_DIVERGED when a data file is no longer live
 */
export async function planVectors(
  files: LakeFiles,
  cache: VectorCache,
  table: string,
  live: LiveFiles,
  newFiles: ReadonlyMap<number, DataFileState>,
  deletes: ReadonlyMap<number, RoaringBitmap32>,
): Promise<VectorChanges> {
  refuseOldPositionDeletes(table, live)
  const touched: { file: DataFileState; positions: RoaringBitmap32 }[] = []
  for (const [fileId, positions] of deletes) {
    if (positions.isEmpty) continue
    const file = newFiles.get(fileId) ?? live.dataFiles.get(fileId)
    if (file === undefined) throw goneFile(table, fileId)
    assert(positions.maximum() < file.rows, 'a deleted position lies within its data file')
    touched.push({ file, positions })
  }
  const current = touched.map(({ file }) => live.vectors.get(file.path) ?? null)
  const old = await readBlobs(
    files,
    cache,
    current.filter((vector) => vector !== null),
  )
  const blobs: VectorBlob[] = []
  const superseded: VectorState[] = []
  for (const [index, { file, positions }] of touched.entries()) {
    const vector = current[index] ?? null
    const blob = vector === null ? null : (old.get(keyOf(vector)) ?? null)
    const united = unite(file.path, blob, positions)
    // Somebody else may have deleted the same rows already.
    if (united.cardinality > (vector?.cardinality ?? 0)) {
      if (vector !== null) superseded.push(vector)
      blobs.push({ dataFile: file.path, ...united })
    }
  }
  return { blobs, superseded }
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
