// Writes sorted runs into files and keeps count of who still uses them: a file of the state store
// holds the runs of many segments, and it is dead once no segment names it.

import type { HashWords } from '../../../runtime/data/key-hash.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { bytesOf, directoryOf, Run, runBytes, type RunPlace } from './run.ts'
import { openStateFile, type StateFile } from './state-files.ts'

/** 'MRR1' and four bytes of nothing, so that runs begin at a multiple of eight. */
const HEADER = new Uint8Array([0x4d, 0x52, 0x52, 0x31, 0, 0, 0, 0])

interface WrittenRun {
  readonly place: RunPlace
  readonly words: HashWords
  readonly directory: Int32Array
}

/** A new file of runs. `finish` makes it durable, only then may segments point to it. */
export class RunFileWriter {
  readonly path: string
  private readonly writer: ObjectWriter
  private offset = 0
  private readonly runs: WrittenRun[] = []

  private constructor(path: string, writer: ObjectWriter) {
    this.path = path
    this.writer = writer
  }

  static async create(store: ObjectStore, path: string): Promise<RunFileWriter> {
    const file = new RunFileWriter(path, await store.create(path))
    await file.write(HEADER)
    return file
  }

  get bytes(): number {
    return this.offset
  }

  /**
   * @param entries  sorted, at least one
   * @returns number of the run in this file, an index into what `finish` returns
   */
  async add(entries: Int32Array, words: HashWords): Promise<number> {
    assert(entries.length > 0, 'an empty segment has no run')
    const { directory, crc } = directoryOf(entries, words)
    const place = {
      file: this.path,
      offset: this.offset,
      entries: entries.length / (words + 2),
      crc,
    }
    await this.write(bytesOf(entries))
    await this.write(bytesOf(directory))
    this.runs.push({ place, words, directory })
    return this.runs.length - 1
  }

  private async write(bytes: Uint8Array): Promise<void> {
    await this.writer.write(bytes)
    this.offset += bytes.length
  }

  /** @returns the runs in the order in which they were added */
  async finish(files: RunFiles): Promise<Run[]> {
    await this.writer.finish()
    const file = await files.open(this.path)
    return this.runs.map(({ place, words, directory }) => new Run(file, place, words, directory))
  }

  abort(): Promise<void> {
    return this.writer.abort()
  }
}

/** The open files of runs of one writer. */
export class RunFiles {
  private readonly store: ObjectStore
  private readonly files = new Map<string, StateFile>()

  constructor(store: ObjectStore) {
    this.store = store
  }

  async open(path: string): Promise<StateFile> {
    const known = this.files.get(path)
    if (known !== undefined) return known
    const file = await openStateFile(this.store, path)
    this.files.set(path, file)
    return file
  }

  /** Closes the files that are not in `used`. */
  retain(used: ReadonlySet<string>): void {
    for (const [path, file] of this.files) {
      if (used.has(path)) continue
      file.close()
      this.files.delete(path)
    }
  }
}

/** Bytes of runs by file: what a new copy of its live runs would take. */
export function liveBytes(runs: Iterable<Run>): Map<string, number> {
  const bytes = new Map<string, number>()
  const seen = new Set<string>()
  for (const { place, words } of runs) {
    const key = `${place.file}:${place.offset}`
    if (seen.has(key)) continue
    seen.add(key)
    bytes.set(place.file, (bytes.get(place.file) ?? 0) + runBytes(place.entries, words))
  }
  return bytes
}
