// Collects what Iceberg's manifests say about a file: sizes, counts and bounds per field id, over
// all of its row groups. Bounds are kept whole while the file is open and shortened at the end.
// Source: Apache Iceberg specification, "Manifests", data_file fields 108 to 132.

import { comparePlain, lowerBound, signZero, upperBound } from './bounds.ts'
import type { EncodedChunk } from './chunk.ts'
import type { Leaf } from './leaf.ts'
import { decodeBigEndian, encodeBigEndian } from './single-value.ts'

export interface FileMetrics {
  readonly rowCount: number
  /** Of the whole file. */
  readonly bytes: number
  /** Compressed, page headers included. */
  readonly columnSizes: ReadonlyMap<number, number>
  /** Nulls included; of a list's elements also null and empty lists, as Parquet counts them. */
  readonly valueCounts: ReadonlyMap<number, number>
  readonly nullCounts: ReadonlyMap<number, number>
  /** Float and double fields only. */
  readonly nanCounts: ReadonlyMap<number, number>
  /**
   * Iceberg single values, shortened to 16 code points or bytes; none for list elements, and no
   * upper one beside NaN.
   */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
  /** Offsets of the row groups. */
  readonly splitOffsets: readonly number[]
}

/**
 * What is known of one leaf so far. `min` and `max` are whole values in the form of `plainValue`.
 */
export interface LeafMetrics {
  bytes: number
  entries: number
  nulls: number
  nans: number
  min: Uint8Array | null
  max: Uint8Array | null
}

/** Iceberg's default metrics mode, truncate(16). */
const BOUND_LENGTH = 16

export function emptyMetrics(): LeafMetrics {
  return { bytes: 0, entries: 0, nulls: 0, nans: 0, min: null, max: null }
}

export function addChunk(metrics: LeafMetrics, leaf: Leaf, chunk: EncodedChunk): void {
  metrics.bytes += chunk.metadata.bytes
  metrics.entries += chunk.metadata.entries
  metrics.nulls += chunk.metadata.nulls
  metrics.nans += chunk.nans
  if (chunk.extremes === null) return
  const { min, max } = chunk.extremes
  if (metrics.min === null || comparePlain(leaf, min, metrics.min) < 0) metrics.min = min
  if (metrics.max === null || comparePlain(leaf, max, metrics.max) > 0) metrics.max = max
}

/** @param file  what the encoder alone knows */
export function fileMetrics(
  leaves: readonly Leaf[],
  metrics: readonly LeafMetrics[],
  file: Pick<FileMetrics, 'rowCount' | 'bytes' | 'splitOffsets'>,
): FileMetrics {
  const columnSizes = new Map<number, number>()
  const valueCounts = new Map<number, number>()
  const nullCounts = new Map<number, number>()
  const nanCounts = new Map<number, number>()
  const lowerBounds = new Map<number, Uint8Array>()
  const upperBounds = new Map<number, Uint8Array>()
  for (const [at, leaf] of leaves.entries()) {
    const known = metrics[at]!
    columnSizes.set(leaf.id, known.bytes)
    valueCounts.set(leaf.id, known.entries)
    nullCounts.set(leaf.id, known.nulls)
    if (leaf.repetitionMax > 0) continue
    if (leaf.type.kind === 'float' || leaf.type.kind === 'double') {
      nanCounts.set(leaf.id, known.nans)
    }
    if (known.min === null || known.max === null || !isOrdered(leaf, known.min, known.max)) continue
    const lower = lowerBound(leaf.type, signZero(leaf, known.min, 'min'), BOUND_LENGTH)
    lowerBounds.set(leaf.id, singleValue(leaf, lower))
    // Iceberg's bounds do not count NaN, but DuckDB and Spark order it above every number: they
    // would skip a file for `> 1` that has one.
    if (known.nans > 0) continue
    const upper = upperBound(leaf.type, signZero(leaf, known.max, 'max'), BOUND_LENGTH)
    if (upper !== null) upperBounds.set(leaf.id, singleValue(leaf, upper))
  }
  return {
    ...file,
    columnSizes,
    valueCounts,
    nullCounts,
    nanCounts,
    lowerBounds,
    upperBounds,
  }
}

/**
 * Java's UUID orders as two signed longs, and readers that prune with it would skip files whose
 * bounds have different top bits; those files get no bounds.
 */
function isOrdered(leaf: Leaf, min: Uint8Array, max: Uint8Array): boolean {
  return leaf.type.kind !== 'uuid' || min[0]! >> 7 === max[0]! >> 7
}

/** Only decimals look different in Parquet and in Iceberg. */
function singleValue(leaf: Leaf, plain: Uint8Array): Uint8Array {
  if (leaf.type.kind !== 'decimal') return plain.slice()
  const bigEndian = leaf.storage === 'fixed' ? plain : plain.slice().reverse()
  return encodeBigEndian(decodeBigEndian(bigEndian))
}
