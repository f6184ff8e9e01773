// Protobuf records to rows. Runs of records with the same schema go through its generated decoder;
// here the frames are read, schemas are fetched, and the structure grows.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { Op } from '../../../runtime/data/batch.ts'
import type { Decoded, FormatTable, RecordDecoder, RecordPart, RowSink } from '../format.ts'
import type { RecordSet } from '../records.ts'
import { FRAME_BYTES, frameFault, schemaIdOf, unknownSchema } from '../registry/framing.ts'
import type { KnownSchema, SchemaRegistry } from '../registry/schemas.ts'
import { wireError } from './decode/wire.ts'
import type { DecodeMessages, MessagesDecoded } from './decode/message-decoder.ts'
import { isText } from './decode/text.ts'
import { SLACK } from './decode/value-code.ts'
import { mappingOf, type MappingOptions } from './mapping.ts'
import { readIndexes } from './message-index.ts'
import type { ProtobufOptions } from './options.ts'
import { ProtoFiles } from './proto-files.ts'
import { formatSaved, parseSaved } from './saved.ts'
import { schemaOfText, type ProtoSchema } from './schema.ts'
import { NO_STRUCTURE, tableOf, unite, type Structure } from './structure.ts'
import { WriterSchema, type Route } from './writer-schema.ts'

/** The same bound as the official parsers have by default. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

/** The schema of all records where the files say what they are. */
const FILES = -1

/** Why records of a schema are no rows: it was fetched, and cannot be read. */
interface Unreadable {
  readonly reason: string
}

export class ProtobufDecoder implements RecordDecoder {
  table: FormatTable
  private structure: Structure
  private message: string | null
  private hash: string | null
  private readonly options: ProtobufOptions
  private readonly title: string
  private readonly part: RecordPart
  private readonly registry: SchemaRegistry | null
  private readonly files: ProtoFiles | null
  private readonly mapping: MappingOptions
  /** By the id that records carry. */
  private readonly writers = new Map<number, WriterSchema | Unreadable>()
  private readonly frames = new Frames()
  private readonly out: MessagesDecoded = { row: 0, failed: false }
  private readonly decoded: Decoded = { next: 0, stop: 'all' }
  /** Views of the builders' bytes, by the builders of a sink. */
  private readonly views = new WeakMap<object, (DataView | undefined)[]>()

  /** @throws PipelineError SCHEMA_UNKNOWN, FORMAT_TYPE_CHANGED: of the files */
  constructor(options: ProtobufOptions, topic: string, part: RecordPart, saved: string | null) {
    this.options = options
    this.part = part
    this.title = `${topic} ${part}`
    const before = saved === null ? null : parseSaved(saved)
    this.message = options.message ?? before?.message ?? null
    this.hash = before?.hash ?? null
    this.structure = before?.structure ?? NO_STRUCTURE
    this.table = tableOf(this.structure)
    const { schema, clock } = options
    this.registry = schema.kind === 'registry' ? schema.registry : null
    this.files = schema.kind === 'files' ? new ProtoFiles(schema.source, this.message, clock) : null
    this.mapping = options
    this.readFiles()
  }

  save(): string {
    const { message, hash, structure } = this
    return formatSaved({ message, hash, structure })
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const { decoded } = this
    decoded.next = from
    decoded.stop = 'load'
    if (this.files !== null && this.files.changed()) return decoded
    const rowsMax = sink.rows + limit
    let at = from
    while (at < records.count) {
      if (sink.rows >= rowsMax) {
        decoded.next = at
        decoded.stop = 'limit'
        return decoded
      }
      const next = this.run(records, at, rowsMax, sink)
      if (next === -1) {
        decoded.next = at
        return decoded
      }
      at = next
    }
    decoded.next = at
    decoded.stop = 'all'
    return decoded
  }

  advance(records: RecordSet, at: number, signal: AbortSignal): Promise<void> | undefined {
    if (this.files !== null) {
      this.readFiles()
      return undefined
    }
    const { bytes } = records
    const [start, end] = this.placeOf(records, at)
    const id = schemaIdOf(bytes, start, end)
    if (this.registry === null || id === -1) return undefined
    const indexes = readIndexes(bytes, start + FRAME_BYTES, end)?.indexes ?? [0]
    const known = this.registry.known(id)
    if (known === null) return this.fetch(this.registry, id, indexes, signal)
    this.adopt(id, known, indexes)
    return undefined
  }

  private async fetch(
    registry: SchemaRegistry,
    id: number,
    indexes: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    this.adopt(id, await registry.schemaById(id, signal), indexes)
  }

  /**
   * Decodes records from `at` on that have the same schema, or tells one that gives no row.
   *
   * @returns the index of the next record; -1: its schema has to be fetched first
   */
  private run(records: RecordSet, at: number, rowsMax: number, sink: RowSink): number {
    const { bytes } = records
    const [start, end] = this.placeOf(records, at)
    if (start === -1) return at + 1
    const framed = this.options.framing === 'confluent'
    const id = framed ? schemaIdOf(bytes, start, end) : FILES
    if (framed && id === -1) {
      sink.dirty(at, frameFault(bytes, start, end))
      return at + 1
    }
    const writer = this.writerOf(id)
    if (writer === null) return -1
    if (!(writer instanceof WriterSchema)) {
      const fault = unknownSchema(id)
      const message = writer === 'unknown' ? fault.message : writer.reason
      sink.dirty(at, { ...fault, message })
      return at + 1
    }
    const { frames } = this
    // No further than rows are wanted: the next call begins with what is left.
    frames.begin(records, this.part, Math.min(records.count, at + rowsMax - sink.rows))
    let next = at
    if (!framed) next = frames.takeAll(at)
    else {
      const route = frames.take(at, writer, this.registry === null)
      next = frames.next
      if (typeof route === 'object') {
        sink.dirty(at, route)
        return at + 1
      }
      if (route === 'skip') return at + 1
    }
    if (next === at) {
      sink.dirty(at, frames.tooLong(at))
      return at + 1
    }
    return this.rows(records, writer, at, next, rowsMax, sink)
  }

  private writerOf(id: number): WriterSchema | Unreadable | 'unknown' | null {
    const writer = this.writers.get(this.registry === null ? FILES : id)
    if (writer !== undefined) return writer
    // What is unknown today may be registered tomorrow; the registry's client asks again.
    return this.registry?.known(id) === 'unknown' ? 'unknown' : null
  }

  /** Decodes the records [at, to), whose messages are in `frames`. @returns where it stopped */
  private rows(
    records: RecordSet,
    writer: WriterSchema,
    at: number,
    to: number,
    rowsMax: number,
    sink: RowSink,
  ): number {
    const compiled = writer.decoderFor(this.table)
    if (compiled === null) return to
    const { out } = this
    const { fast, careful, texts } = compiled
    sink.reserve(Math.min(rowsMax, sink.rows + to - at))
    let place = at
    while (place < to && sink.rows < rowsMax) {
      const { rows, builders } = sink
      const next = this.call(fast, place, to, rowsMax, sink)
      const { row, failed } = out
      const isUtf8 = texts.every((column) => isText(builders, column, rows, row))
      if (isUtf8) takeRows(sink, row)
      else {
        for (const builder of builders) builder.truncate(rows)
        this.carefully(records, careful, place, next, sink)
      }
      // What the fast functions do not take is looked at again by those who can say why.
      if (failed) this.carefully(records, careful, next, next + 1, sink)
      place = failed ? next + 1 : next
    }
    return place
  }

  /** Decodes [at, to), for which there is room, and tells each message that is none. */
  private carefully(
    records: RecordSet,
    careful: () => readonly DecodeMessages[],
    at: number,
    to: number,
    sink: RowSink,
  ): void {
    const { out } = this
    for (let place = at; place < to; place++) {
      place = this.call(careful(), place, to, Infinity, sink)
      takeRows(sink, out.row)
      if (out.failed) this.tell(records, place, sink)
    }
  }

  /**
   * Decodes from `at` on, behind the rows of the sink, into `out`.
   *
   * @returns the first record that was not decoded
   */
  private call(
    parts: readonly DecodeMessages[],
    at: number,
    to: number,
    rowsMax: number,
    sink: RowSink,
  ): number {
    const { out, frames } = this
    const { builders, record, rows } = sink
    const { bytes, view, starts, ends } = frames
    const views = this.viewsOf(builders)
    const one = (decode: DecodeMessages, place: number, until: number, row: number): number =>
      decode(bytes, view, starts, ends, place, until, row, rowsMax, builders, views, record, out)
    out.failed = false
    out.row = rows
    const [first] = parts
    if (first === undefined) return to
    if (parts.length === 1) return one(first, at, to, rows)
    // Several functions write a part of each row, so they take the messages one by one.
    let place = at
    for (let row = rows; place < to && row < rowsMax; place++, row++) {
      for (const decode of parts) {
        one(decode, place, place + 1, row)
        if (!out.failed) continue
        out.row = row
        return place
      }
    }
    return place
  }

  private tell(records: RecordSet, at: number, sink: RowSink): void {
    const [start] = this.placeOf(records, at)
    const byteOffset = Math.max(0, wireError.at - start)
    const message = `${this.message ?? 'message'}: ${wireError.fault}, at byte ${byteOffset}`
    sink.dirty(at, { name: 'RECORD_CORRUPT', message, byteOffset })
  }

  private viewsOf(builders: object): (DataView | undefined)[] {
    const known = this.views.get(builders)
    if (known !== undefined) return known
    const views: (DataView | undefined)[] = []
    this.views.set(builders, views)
    return views
  }

  private placeOf(records: RecordSet, at: number): readonly [number, number] {
    const { keyStart, keyEnd, valueStart, valueEnd } = records
    return this.part === 'key'
      ? [keyStart[at] ?? -1, keyEnd[at] ?? -1]
      : [valueStart[at] ?? -1, valueEnd[at] ?? -1]
  }

  /** @param indexes  of the message that the record has which named the schema */
  private adopt(id: number, known: KnownSchema, indexes: readonly number[]): void {
    if (known === 'unknown' || this.writers.has(id)) return
    if (known.kind !== 'PROTOBUF') {
      this.writers.set(id, { reason: `schema id ${id} is ${known.kind}, not Protobuf` })
      return
    }
    const texts = new Map(known.references.map(({ name, text }) => [name, text]))
    let schema: ProtoSchema
    try {
      schema = schemaOfText(`schema id ${id}`, known.text, (path) => texts.get(path) ?? null)
    } catch (error) {
      const reason = `schema id ${id} cannot be read: ${errorText(error)}`
      this.options.log.warn(reason, { topic: this.title })
      this.writers.set(id, { reason })
      return
    }
    this.message ??= schema.messageAt(indexes)
    this.take(id, `schema id ${id}`, schema, id)
  }

  /** Reads the files for the first time, or again: what cannot be read now changes nothing then. */
  private readFiles(): void {
    if (this.files === null) return
    let loaded: ReturnType<ProtoFiles['load']>
    try {
      loaded = this.files.load()
      this.message ??= loaded.schema.messageAt([0])
      if (this.message === null || loaded.schema.message(this.message) === null) {
        throw messageMissing(this.message)
      }
    } catch (error) {
      if (!this.writers.has(FILES)) throw error
      this.options.log.warn(errorText(error), { topic: this.title })
      return
    }
    const { newest } = this.structure
    const isNew = loaded.hash !== this.hash || newest === -1
    this.take(FILES, 'files', loaded.schema, isNew ? newest + 1 : newest)
    this.hash = loaded.hash
  }

  /** @throws PipelineError FORMAT_TYPE_CHANGED; nothing has changed then */
  private take(key: number, title: string, schema: ProtoSchema, number: number): void {
    const shape = this.message === null ? null : schema.message(this.message)
    const json = new Set(
      this.structure.columns.flatMap(({ identity, type }) =>
        type.kind === 'string' && type.json === true ? [identity] : [],
      ),
    )
    const mapping =
      shape === null ? null : mappingOf(shape, this.mapping, (identity) => json.has(identity))
    if (mapping !== null) {
      const structure = unite(this.structure, mapping.leaves, number)
      if (structure !== this.structure) {
        this.structure = structure
        this.table = tableOf(structure)
      }
    }
    const nulls = this.options.implicitPresence === 'null'
    const name = `${this.title} ${title} ${this.message ?? ''}`
    const route = (message: string | null): Route => this.routeOf(message)
    this.writers.set(key, new WriterSchema(name, schema, mapping, nulls, route))
  }

  private routeOf(message: string | null): Route {
    if (message !== null && message === this.message) return 'take'
    if (this.options.otherMessages === 'skip' && message !== null) return 'skip'
    const found = message === null ? 'a message that its schema does not have' : `a ${message}`
    return {
      name: 'RECORD_CORRUPT',
      message: `the record is ${found}, not a ${this.message ?? 'known message'}`,
      byteOffset: FRAME_BYTES,
    }
  }
}

function takeRows(sink: RowSink, rows: number): void {
  sink.ops.fill(Op.insert, sink.rows, rows)
  sink.rows = rows
}

/** Where the messages of a set lie, behind their frames. Its arrays are used again. */
class Frames {
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  starts: Int32Array = new Int32Array(0)
  ends: Int32Array = new Int32Array(0)
  /** The record behind those that `take` has taken. */
  next = 0
  private own = new Int32Array(0)
  private end = 0

  begin(records: RecordSet, part: RecordPart, end: number): void {
    const { bytes } = records
    if (bytes !== this.bytes) {
      this.bytes = bytes
      // Fast decoders touch what follows a message, where there is something.
      const { buffer, byteOffset, byteLength } = bytes
      const length = Math.min(byteLength + SLACK, buffer.byteLength - byteOffset)
      this.view = new DataView(buffer, byteOffset, length)
    }
    this.end = end
    this.starts = part === 'key' ? records.keyStart : records.valueStart
    this.ends = part === 'key' ? records.keyEnd : records.valueEnd
  }

  /** Records without frames, up to one that has no message or too long a one. */
  takeAll(at: number): number {
    const { starts, ends, end } = this
    let next = at
    while (next < end) {
      const start = starts[next] ?? -1
      if (start === -1 || (ends[next] ?? -1) - start > MESSAGE_BYTES_MAX) break
      next++
    }
    return next
  }

  /**
   * Takes records from `at` on with its schema (or any) and its message; `starts` is then behind
   * their frames.
   *
   * @returns the route of the first one
   */
  take(at: number, writer: WriterSchema, anyId: boolean): Route {
    const { bytes, ends, end: until, starts: values } = this
    if (this.own.length < until) this.own = new Int32Array(Math.max(until, 1024))
    const { routes } = writer
    const begin = values[at] ?? -1
    const first = routes.of(bytes, begin + FRAME_BYTES, ends[at] ?? -1) ?? NO_INDEXES
    this.next = at
    if (first !== 'take') return first
    // What follows has the same frame, byte for byte, unless it is another's.
    const length = routes.end - begin
    let next = at
    for (; next < until; next++) {
      const start = values[next] ?? -1
      const end = ends[next] ?? -1
      if (start === -1 || end - start < length || end - start > MESSAGE_BYTES_MAX) break
      let same = anyId ? FRAME_BYTES : 0
      while (same < length && bytes[start + same] === bytes[begin + same]) same++
      if (same < length || (anyId && bytes[start] !== 0)) break
      this.own[next] = start + length
    }
    this.next = next
    this.starts = this.own
    return first
  }

  tooLong(at: number): Exclude<Route, string> {
    const length = (this.ends[at] ?? 0) - (this.starts[at] ?? 0)
    const message = `the message has ${length} bytes, more than ${MESSAGE_BYTES_MAX}`
    return { name: 'RECORD_CORRUPT', message, byteOffset: 0 }
  }
}

const NO_INDEXES: Route = {
  name: 'RECORD_CORRUPT',
  message: 'no message indexes stand behind the schema id',
  byteOffset: FRAME_BYTES,
}

function messageMissing(message: string | null): PipelineError {
  const name = message === null ? 'the schema has no messages' : `there is no message "${message}"`
  return new PipelineError('SCHEMA_UNKNOWN', `${name} in the Protobuf files`, {
    hint: 'Give the full name, with its package, as `message`.',
  })
}

function errorText(error: unknown): string {
  if (error instanceof PipelineError) return [error.message, error.detail].join(': ')
  return error instanceof Error ? error.message : String(error)
}
