// Rows of data files that are to be deleted, collected over one epoch: positions by file id. Short
// lists stay arrays; long ones become bitmaps, so that a transaction over a hundred million rows
// takes bits and not words.

import { RoaringBitmap32 } from 'roaring-wasm'
import { assert } from '../../../runtime/base/assert.ts'
import type { DeletedPositions } from '../epoch-deletes.ts'
import { EMPTY } from '../index/entry-table.ts'

const ARRAY_POSITIONS_MAX = 64 * 1024
const ARRAY_POSITIONS_AT_START = 16

class FilePositions {
  private array = new Uint32Array(ARRAY_POSITIONS_AT_START)
  private length = 0
  private bitmap: RoaringBitmap32 | null = null

  add(position: number): void {
    if (this.length === this.array.length) this.grow()
    this.array[this.length++] = position
  }

  private grow(): void {
    if (this.length >= ARRAY_POSITIONS_MAX) {
      this.spill()
      return
    }
    const larger = new Uint32Array(this.length * 2)
    larger.set(this.array)
    this.array = larger
  }

  private spill(): void {
    this.bitmap ??= new RoaringBitmap32()
    this.bitmap.addMany(this.array.subarray(0, this.length))
    this.length = 0
  }

  get count(): number {
    if (this.bitmap === null) return this.length
    this.spill()
    return this.bitmap.size
  }

  /** @returns the positions for `encodeEpochDeletes` */
  encode(): DeletedPositions {
    if (this.bitmap === null) {
      const positions = this.array.slice(0, this.length).sort()
      return positions
    }
    this.spill()
    this.bitmap.runOptimize()
    return this.bitmap.serialize('portable')
  }

  unite(other: RoaringBitmap32): void {
    this.bitmap ??= new RoaringBitmap32()
    this.bitmap.orInPlace(other)
  }

  dispose(): void {
    this.bitmap?.dispose()
    this.bitmap = null
    this.length = 0
  }
}

export class SupersededRows {
  private readonly files = new Map<number, FilePositions>()

  get size(): number {
    return this.files.size
  }

  /** Positions of one file. */
  countOf(file: number): number {
    return this.files.get(file)?.count ?? 0
  }

  /**
   * Adds rows; each may be added once in its life, since the index forgets a row that it reports.
   *
   * @param files  file ids as the index gives them
   */
  addAll(files: Int32Array, positions: Int32Array, count: number): void {
    assert(count <= files.length, 'each row has a file')
    let file = EMPTY
    let of: FilePositions | null = null
    for (let row = 0; row < count; row++) {
      const next = files[row] as number
      assert(next !== EMPTY, 'a row that was replaced was somewhere')
      if (next !== file || of === null) {
        file = next
        of = this.of(next >>> 0)
      }
      of.add((positions[row] as number) >>> 0)
    }
  }

  private of(file: number): FilePositions {
    const known = this.files.get(file)
    if (known !== undefined) return known
    const positions = new FilePositions()
    this.files.set(file, positions)
    return positions
  }

  /** Adds the rows of a bitmap; the caller keeps it. */
  unite(file: number, positions: RoaringBitmap32): void {
    this.of(file).unite(positions)
  }

  /** Forgets the rows of a file that will not exist. */
  forget(file: number): void {
    this.files.get(file)?.dispose()
    this.files.delete(file)
  }

  encode(): Map<number, DeletedPositions> {
    return new Map([...this.files].map(([file, positions]) => [file, positions.encode()]))
  }

  clear(): void {
    for (const positions of this.files.values()) positions.dispose()
    this.files.clear()
  }
}
