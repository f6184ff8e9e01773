// The primary-key index of one writer: all its tables under one memory budget, one delta an epoch.
//
// Algorithm: entries live in memory until the budget is exceeded; then the segments that hold most
// are folded, each with its older run, into runs of a new file. Every epoch writes its changes as
// one delta, so a restart is: open the runs, replay the deltas that are not in them.
// State: nothing is ever overwritten, so any kept checkpoint can be opened again; a file is dropped
// from the state when nothing needs it, and deleted by the runtime once no checkpoint names it.

import { assert, present } from '../../../runtime/base/assert.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import { ChunkKind, DeltaWriter, readDelta, type DeltaChunk } from './delta.ts'
import { DeltaSet, MERGE_BYTES_MAX } from './delta-set.ts'
import type { DeltaPlace, IndexState, Manifest, SegmentRecord } from './manifest.ts'
import { readManifest, writeManifest } from './manifest.ts'
import type { Resolved } from './replaced-rows.ts'
import { Run } from './run.ts'
import { foldSegments } from './fold.ts'
import { liveBytes, RunFiles } from './run-file.ts'
import { CLEAN, Segment } from './segment.ts'
import { readNamed } from './state-files.ts'
import { TableIndex, type ChangeLog } from './table-index.ts'

export interface KeyIndexOptions {
  readonly store: ObjectStore
  /** Begins the path of every file that this process writes; no earlier process used it. */
  readonly prefix: string
  readonly memoryBytes: number
  /** Segments (top 8 hash bits) of this writer, half-open. */
  readonly start: number
  readonly end: number
  /** Takes what puts and deletes replaced. */
  readonly onResolved: (table: string, resolved: Resolved) => void
}

/** What a checkpoint keeps of the index. An epoch without changes returns the same object. */
export interface IndexCheckpoint {
  readonly data: IndexState
  /** All state files that `data` names. */
  readonly files: readonly string[]
}

/** Folding goes on to this share of the budget, or it would be called again for the next batch. */
const FOLD_TARGET = 0.7
/** A file with less than this share still in use is rewritten. */
const LIVE_SHARE_MIN = 0.25

export class KeyIndex implements ChangeLog {
  /** The epoch after the last that was prepared. */
  epoch = 0
  private readonly options: KeyIndexOptions
  private readonly tables = new Map<string, TableIndex>()
  private readonly runFiles: RunFiles
  /** Bytes of each file that a run names. */
  private fileBytes = new Map<string, number>()
  private readonly deltas = new DeltaSet()
  private delta: DeltaWriter | null = null
  private readonly touched = new Set<TableIndex>()
  private readonly sizes = new Map<TableIndex, number>()
  private bytes = 0
  private foldAbove: number
  private manifest: IndexState['manifest'] = null
  private manifestChanged = false
  private filesWritten = 0
  /** Of the last epoch that changed something. */
  private state: IndexCheckpoint | null = null

  private constructor(options: KeyIndexOptions) {
    this.options = options
    this.runFiles = new RunFiles(options.store)
    this.foldAbove = options.memoryBytes
  }

  /**
   * Opens the index of a checkpoint.
   *
   * @param states  of all writers of the checkpoint; the part in [start, end) is taken from each
   * @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED
   */
  static async open(options: KeyIndexOptions, states: readonly IndexState[]): Promise<KeyIndex> {
    const index = new KeyIndex(options)
    for (const state of states) index.epoch = Math.max(index.epoch, state.epoch + 1)
    const records = new Map<string, { words: HashWords; segments: Segment[] }>()
    for (const { manifest } of states) {
      if (manifest !== null) await index.load(await readManifest(options.store, manifest), records)
    }
    for (const [name, { words, segments }] of records) {
      index.addTable(name, words, index.complete(words, segments))
    }
    await index.replay(states.flatMap(({ deltas }) => deltas))
    // What it says is of another range, or of before the deltas that were replayed.
    index.manifestChanged = states.length > 0
    return index
  }

  private async load(
    { tables, files }: Manifest,
    records: Map<string, { words: HashWords; segments: Segment[] }>,
  ): Promise<void> {
    for (const { name, words, segments } of tables) {
      let record = records.get(name) ?? { words, segments: [] }
      // A writer that has got no row since the key changed knows the old hashes, and no keys.
      if (record.words !== words && segments.some(({ run }) => run !== null)) {
        record = { words, segments: emptied(record.segments, words) }
      }
      for (const saved of segments) {
        const segment = this.clip(saved, record.words)
        if (segment === null) continue
        if (saved.run !== null) {
          const { file } = saved.run
          segment.run = new Run(await this.runFiles.open(file), saved.run, words, null)
          this.fileBytes.set(file, present(files[file], 'the manifest has the size of each file'))
        }
        record.segments.push(segment)
      }
      if (record.segments.length > 0) records.set(name, record)
    }
  }

  private clip({ start, end, foldedThrough }: SegmentRecord, words: HashWords): Segment | null {
    const from = Math.max(start, this.options.start)
    const to = Math.min(end, this.options.end)
    return from < to ? new Segment(words, from, to, foldedThrough) : null
  }

  /** Adds empty segments where the manifests say nothing. */
  private complete(words: HashWords, segments: Segment[]): Segment[] {
    segments.sort((left, right) => left.start - right.start)
    const all: Segment[] = []
    let next = this.options.start
    for (const segment of segments) {
      assert(segment.start >= next, 'two writers of a checkpoint never own the same segment')
      if (segment.start > next) all.push(new Segment(words, next, segment.start, CLEAN))
      all.push(segment)
      next = segment.end
    }
    if (next < this.options.end) all.push(new Segment(words, next, this.options.end, CLEAN))
    return all
  }

  private addTable(name: string, words: HashWords, segments: Segment[]): TableIndex {
    const table = new TableIndex(name, words, segments, this)
    this.tables.set(name, table)
    this.measure(table)
    return table
  }

  private async replay(deltas: readonly DeltaPlace[]): Promise<void> {
    const ordered = [...deltas].sort((a, b) => a.last - b.last || a.first - b.first)
    for (const place of ordered) {
      const tables = new Set<string>()
      const chunks: DeltaChunk[] = []
      const bytes = await readNamed(this.options.store, place.path)
      readDelta(place.path, bytes, (chunk) => chunks.push(chunk))
      const resets = new Map<string, number>()
      for (const [at, { kind, table }] of chunks.entries()) {
        if (kind === ChunkKind.reset) resets.set(table, at)
      }
      for (const [at, chunk] of chunks.entries()) {
        const isVoid = at < (resets.get(chunk.table) ?? -1)
        if (this.replayChunk(chunk, place, isVoid)) tables.add(chunk.table)
      }
      for (const name of tables) this.measure(present(this.tables.get(name), 'it was replayed'))
      if (tables.size > 0) this.deltas.add({ ...place, tables })
      // Deltas of other writers with the same last epoch may still come.
      if (this.bytes > this.foldAbove) await this.fold(place.last - 1)
    }
  }

  /**
   * @param isVoid  a reset of the table follows in the same delta
   * @returns true when something of the chunk belongs to this writer
   */
  private replayChunk(chunk: DeltaChunk, place: DeltaPlace, isVoid: boolean): boolean {
    const { kind, table, words, payload } = chunk
    const { start, end } = this.options
    let index = this.tables.get(table)
    if (kind === ChunkKind.reset) {
      const [from = 0, to = 0] = payload
      if (from >= end || to <= start) return false
      index ??= this.addTable(table, words, this.complete(words, []))
      index.replayReset(Math.max(from, start), Math.min(to, end), place.last)
      return true
    }
    if (isVoid) return false
    if (index !== undefined && index.words !== words) {
      // The key has changed. Either the index knows that and the chunk is older, or what came
      // before the chunk is void: the resets of all writers lie in one epoch.
      if (!index.needs(payload, words + 2, place.last)) return false
      const segments = emptied(index.segments, words)
      this.forget(index)
      index = this.addTable(table, words, segments)
    }
    index ??= this.addTable(table, words, this.complete(words, []))
    let any = false
    for (let at = 0; at < payload.length; at += words + 2) {
      const segment = payload[at]! >>> 24
      if (segment < start || segment >= end) continue
      any = true
      index.replay(payload, at, place.first, place.last)
    }
    return any
  }

  /**
   * @returns the index of a table; a new one is empty
   * @param words  of the table's key hashes; an index with other words is begun anew, which only a
   *        table may do that was reset
   */
  table(name: string, words: HashWords): TableIndex {
    const known = this.tables.get(name)
    if (known?.words === words) return known
    if (known !== undefined) {
      known.reset()
      this.forget(known)
      this.manifestChanged = true
    }
    const { start, end } = this.options
    const foldedThrough = known === undefined ? CLEAN : this.epoch - 1
    return this.addTable(name, words, [new Segment(words, start, end, foldedThrough)])
  }

  /** True when no key of a table is known, not even as deleted. */
  isEmpty(name: string): boolean {
    return this.tables.get(name)?.isEmpty ?? true
  }

  /** Forgets every key of a table. */
  reset(name: string): void {
    const table = this.tables.get(name)
    if (table === undefined) return
    table.reset()
    this.measure(table)
    this.manifestChanged = true
  }

  logEntries(table: string, words: HashWords, entries: Int32Array): void {
    this.openDelta().entries(table, words, entries)
  }

  logReset(table: string, words: HashWords, start: number, end: number): void {
    this.openDelta().reset(table, words, start, end)
  }

  private forget(table: TableIndex): void {
    this.tables.delete(table.name)
    this.bytes -= this.sizes.get(table) ?? 0
    this.sizes.delete(table)
    this.touched.delete(table)
  }

  private openDelta(): DeltaWriter {
    this.delta ??= new DeltaWriter(this.options.store, this.newPath('delta'))
    return this.delta
  }

  private newPath(kind: string): string {
    this.filesWritten++
    return `${this.options.prefix}-${this.filesWritten.toString(16).padStart(6, '0')}.${kind}`
  }

  /**
   * To be called after each `apply`. @returns a promise when there is work that must be awaited
   * before the next batch
   */
  afterApply(table: TableIndex): Promise<void> | undefined {
    this.touched.add(table)
    if (table.mustSettle) {
      table.settle()
      this.options.onResolved(table.name, table.takeReplaced())
    }
    this.measure(table)
    if (table.mustResolve) this.resolve(table)
    if (this.bytes <= this.foldAbove && this.delta?.heavy !== true) return undefined
    return this.relieve()
  }

  private async relieve(): Promise<void> {
    if (this.delta?.heavy === true) await this.delta.spill()
    if (this.bytes > this.foldAbove) await this.fold(this.epoch - 1)
  }

  private resolve(table: TableIndex): void {
    if (!table.isUnresolved) return
    this.options.onResolved(table.name, table.resolve())
    this.measure(table)
  }

  private measure(table: TableIndex): void {
    const bytes = table.bytes
    this.bytes += bytes - (this.sizes.get(table) ?? 0)
    this.sizes.set(table, bytes)
  }

  /**
   * Ends the epoch: resolves what is open, and makes the epoch's changes durable.
   *
   * @returns the state for the checkpoint and the files that it names
   */
  async prepare(epoch: number): Promise<IndexCheckpoint> {
    assert(epoch >= this.epoch, 'epochs only grow')
    this.resolveAll()
    this.touched.clear()
    if (this.bytes > this.foldAbove) await this.fold(this.epoch - 1)
    const written = await this.finishDelta(epoch)
    this.epoch = epoch + 1
    if (written || this.manifestChanged || this.state === null) {
      await this.boundDeltas()
      await this.saveManifest()
      this.state = this.describe(epoch)
    }
    return this.state
  }

  /** Reports what puts and deletes of the epoch so far have replaced. */
  resolveAll(): void {
    for (const table of this.touched) this.resolve(table)
  }

  /** @returns false when nothing has changed */
  private async finishDelta(epoch: number): Promise<boolean> {
    const { delta } = this
    this.delta = null
    if (delta === null || !(await delta.finish())) return false
    const { path, bytes, tables } = delta
    this.deltas.add({ path, first: epoch, last: epoch, level: 0, bytes, tables })
    return true
  }

  private describe(epoch: number): IndexCheckpoint {
    const deltas = this.deltas.places()
    const data: IndexState = { format: 1, epoch, manifest: this.manifest, deltas }
    return { data, files: this.files() }
  }

  private files(): string[] {
    const files = [...this.fileBytes.keys(), ...this.deltas.places().map(({ path }) => path)]
    if (this.manifest !== null) files.push(this.manifest.path)
    return files
  }

  /** Brings memory below the budget by folding the segments that hold most of it. */
  private async fold(foldedThrough: number): Promise<void> {
    // Before the choice: what is buffered may split segments.
    this.resolveAll()
    const all = this.segments().filter(({ used }) => used > 0)
    all.sort((left, right) => right.bytes - left.bytes)
    const target = this.options.memoryBytes * FOLD_TARGET
    let bytes = this.bytes
    const chosen: Segment[] = []
    for (const segment of all) {
      if (bytes <= target) break
      bytes -= segment.bytes
      chosen.push(segment)
    }
    await this.foldThese(chosen, foldedThrough)
    // Directories and empty tables cannot be folded away: try again only when more has come.
    this.foldAbove = Math.max(this.options.memoryBytes, this.bytes * 1.1)
  }

  private segments(): Segment[] {
    return [...this.tables.values()].flatMap(({ segments }) => segments)
  }

  /** Nothing may be buffered. */
  private async foldThese(segments: readonly Segment[], foldedThrough: number): Promise<void> {
    await this.rewrite(segments, foldedThrough)
    const live = liveBytes(this.runs())
    const sparse = new Set<string>()
    for (const [path, bytes] of this.fileBytes) {
      const used = live.get(path) ?? 0
      if (used > 0 && used < bytes * LIVE_SHARE_MIN) sparse.add(path)
    }
    if (sparse.size > 0) {
      const inSparse = ({ run }: Segment): boolean => run !== null && sparse.has(run.place.file)
      await this.rewrite(this.segments().filter(inSparse), foldedThrough)
    }
    this.forgetDeadFiles()
    for (const table of this.tables.values()) this.measure(table)
    this.manifestChanged = true
  }

  private async rewrite(segments: readonly Segment[], foldedThrough: number): Promise<void> {
    const written = await foldSegments(segments, {
      store: this.options.store,
      files: this.runFiles,
      newPath: () => this.newPath('run'),
      foldedThrough,
    })
    for (const [path, bytes] of written) this.fileBytes.set(path, bytes)
  }

  private runs(): Run[] {
    return this.segments().flatMap(({ run }) => (run === null ? [] : [run]))
  }

  private forgetDeadFiles(): void {
    const used = new Set(this.runs().map(({ place }) => place.file))
    for (const path of this.fileBytes.keys()) if (!used.has(path)) this.fileBytes.delete(path)
    this.runFiles.retain(used)
  }

  /** Keeps deltas few and small: what runs hold goes, the rest is merged or folded. */
  private async boundDeltas(): Promise<void> {
    this.dropObsoleteDeltas()
    const bytesMax = Math.max(MERGE_BYTES_MAX, this.options.memoryBytes)
    while (this.deltas.bytes > bytesMax) {
      const oldest = present(this.deltas.oldest, 'there are bytes, so there is a delta')
      const pinning = this.segments().filter(
        ({ dirtySince }) => dirtySince !== CLEAN && dirtySince <= oldest.last,
      )
      await this.foldThese(pinning, this.epoch - 1)
      this.dropObsoleteDeltas()
    }
    await this.deltas.merge(
      this.options.store,
      () => this.newPath('delta'),
      (table, segment, last) => this.needs(table, segment, last),
    )
  }

  private dropObsoleteDeltas(): void {
    this.deltas.drop((name, last) => {
      const segments = this.tables.get(name)?.segments ?? []
      return segments.some(({ dirtySince }) => dirtySince !== CLEAN && dirtySince <= last)
    })
  }

  /** False when a run holds the entries of `segment` through epoch `last`, or they are not ours. */
  private needs(table: string, segment: number, last: number): boolean {
    const { start, end } = this.options
    if (segment < start || segment >= end) return false
    const owner = this.tables.get(table)?.segments.find((part) => segment < part.end)
    return owner !== undefined && owner.foldedThrough < last
  }

  private async saveManifest(): Promise<void> {
    if (!this.manifestChanged) return
    this.manifestChanged = false
    const tables = [...this.tables.values()].flatMap(({ name, words, segments }) => {
      // Without a run a table is named as well: deltas that another table or another writer needs
      // may have entries that were void when it was folded or reset.
      const relevant = segments.some(
        ({ run, foldedThrough }) => run !== null || foldedThrough !== CLEAN,
      )
      if (!relevant) return []
      const records = segments.map(({ start, end, foldedThrough, run }): SegmentRecord => {
        return { start, end, foldedThrough, run: run?.place ?? null }
      })
      return [{ name, words, segments: records }]
    })
    this.forgetDeadFiles()
    if (tables.length === 0) {
      this.manifest = null
      return
    }
    const files = Object.fromEntries(this.fileBytes)
    const path = this.newPath('manifest')
    this.manifest = await writeManifest(this.options.store, path, { tables, files })
  }

  /** Calls `visit` with the file of each row, rows of one file often together. Reads everything. */
  eachFile(visit: (fileId: number) => void): void {
    for (const table of this.tables.values()) table.settle()
    for (const segment of this.segments()) {
      const { stride, words } = segment
      const entries = segment.merge()
      for (let at = words; at < entries.length; at += stride) visit(entries[at]! >>> 0)
    }
  }

  /** Gives up the open epoch and closes the files. */
  async close(): Promise<void> {
    await this.delta?.abort()
    this.delta = null
    this.runFiles.retain(new Set())
  }
}

/** @returns segments without keys for hashes of another length; they know what is void in deltas */
function emptied(segments: readonly Segment[], words: HashWords): Segment[] {
  return segments.map(({ start, end, foldedThrough }) => {
    return new Segment(words, start, end, foldedThrough)
  })
}
