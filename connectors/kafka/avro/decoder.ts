// Decodes the Avro records of one topic. Each names its schema by id; runs of records with one id
// go through the decoder that was generated for it. A record with an id that is new waits for its
// schema, and where that has columns that the topic did not have, for the table to have them.

import type { DecodeFault, Decoded, DecodeStop, FormatTable } from '../format.ts'
import type { RecordDecoder, RecordPart, RowSink } from '../format.ts'
import type { RecordSet } from '../records.ts'
import { frameFault, schemaIdOf, unknownSchema } from '../registry/framing.ts'
import type { SchemaRegistry } from '../registry/schemas.ts'
import type { DecodeRecords, RecordsDecoded } from './decode/generate.ts'
import { Verdict, verdictMessage } from './decode/verdict.ts'
import { loadStructure, saveStructure, sourceColumns, type Structure } from './structure.ts'
import { WriterSchema, writerSchemaOf } from './writer-schema.ts'

/** Where schemas come from: by the id in front of each record, or one for all. */
export type SchemaOrigin =
  | { readonly kind: 'registry'; readonly registry: SchemaRegistry }
  | { readonly kind: 'file'; readonly schema: WriterSchema }

/** Ids that are fetched together with the one that is waited for. */
const AHEAD_MAX = 16

/** Compiled decoders are kept for so many ids. */
const WRITERS_MAX = 256

const NOTHING: FormatTable = { columns: [], key: null, comment: null }

export class AvroDecoder implements RecordDecoder {
  table: FormatTable = NOTHING
  private readonly title: string
  private readonly part: RecordPart
  private readonly origin: SchemaOrigin
  private structure: Structure | null
  private readonly writers = new Map<number, WriterSchema | DecodeFault>()
  private readonly views: DataView[] = []
  private bytes: Uint8Array | null = null
  private view: DataView = new DataView(new ArrayBuffer(0))
  private readonly decoded: Decoded = { next: 0, stop: 'all' }
  private readonly out: RecordsDecoded = { row: 0, record: 0, status: 0, column: 0, at: 0 }

  /** @param saved  of the decoder of before the restart */
  constructor(topic: string, part: RecordPart, origin: SchemaOrigin, saved: string | null) {
    this.title = `${topic} ${part}`
    this.part = part
    this.origin = origin
    this.structure = loadStructure(saved)
    if (this.structure === null && origin.kind === 'file') {
      this.structure = origin.schema.unite(null).structure
    }
    if (this.structure !== null) this.show(this.structure)
  }

  decode(records: RecordSet, from: number, limit: number, sink: RowSink): Decoded {
    const { count } = records
    const end = sink.rows + limit
    const starts = this.part === 'key' ? records.keyStart : records.valueStart
    const ends = this.part === 'key' ? records.keyEnd : records.valueEnd
    for (let at = from; at < count;) {
      if (sink.rows >= end) return this.stop(at, 'limit')
      const decode = this.decoderOf(records, at)
      if (typeof decode === 'string') return this.stop(at, decode)
      if (typeof decode === 'object') {
        sink.dirty(at++, decode)
        continue
      }
      const limitRow = Math.min(end, sink.rows + count - at)
      sink.reserve(limitRow)
      const { builders, ops, record: places, rows } = sink
      const { bytes } = records
      const view = this.viewOf(bytes)
      const { out, views } = this
      decode(
        bytes,
        view,
        starts,
        ends,
        at,
        count,
        rows,
        limitRow,
        builders,
        views,
        ops,
        places,
        out,
      )
      sink.rows = out.row
      at = out.record
      if (out.status !== Verdict.whole) {
        sink.dirty(at, this.faultOf(records, at))
        at++
      }
    }
    return this.stop(count, 'all')
  }

  advance(records: RecordSet, at: number, signal: AbortSignal): Promise<void> | undefined {
    const { origin } = this
    const writer = this.writerOf(records, at)
    if (writer instanceof WriterSchema) {
      this.take(writer)
      return undefined
    }
    if (writer !== null || origin.kind === 'file') return undefined
    return this.fetch(this.idsFrom(records, at), origin.registry, signal)
  }

  save(): string | null {
    return saveStructure(this.structure)
  }

  private stop(next: number, stop: DecodeStop): Decoded {
    this.decoded.next = next
    this.decoded.stop = stop
    return this.decoded
  }

  /** @returns what decodes the record, or why it gives no row, or what has to be done before */
  private decoderOf(records: RecordSet, at: number): DecodeRecords | DecodeFault | DecodeStop {
    const writer = this.writerOf(records, at)
    if (writer === null) return 'load'
    if (!(writer instanceof WriterSchema)) return writer
    if (this.structure === null) return 'structure'
    const framed = this.origin.kind === 'registry'
    return writer.decoderFor(this.structure, this.title, framed) ?? 'structure'
  }

  /** @returns `null`: it has to be fetched */
  private writerOf(records: RecordSet, at: number): WriterSchema | DecodeFault | null {
    if (this.origin.kind === 'file') return this.origin.schema
    const { bytes } = records
    const start = this.startOf(records, at)
    const end = this.endOf(records, at)
    const id = schemaIdOf(bytes, start, end)
    if (id === -1) return frameFault(bytes, start, end)
    const kept = this.writers.get(id)
    if (kept !== undefined) return kept
    const known = this.origin.registry.known(id)
    if (known === null) return null
    if (known === 'unknown') return unknownSchema(id)
    const writer = writerSchemaOf(known, this.part)
    if (this.writers.size >= WRITERS_MAX) this.writers.clear()
    this.writers.set(id, writer)
    return writer
  }

  private startOf(records: RecordSet, at: number): number {
    return (this.part === 'key' ? records.keyStart : records.valueStart)[at] ?? 0
  }

  private endOf(records: RecordSet, at: number): number {
    return (this.part === 'key' ? records.keyEnd : records.valueEnd)[at] ?? 0
  }

  /** Ids that are not known, of the record and of those behind it. */
  private idsFrom(records: RecordSet, at: number): readonly number[] {
    const ids = new Set<number>()
    for (let index = at; index < records.count && ids.size < AHEAD_MAX; index++) {
      if (this.writerOf(records, index) !== null) continue
      ids.add(schemaIdOf(records.bytes, this.startOf(records, index), this.endOf(records, index)))
    }
    return [...ids]
  }

  private async fetch(
    ids: readonly number[],
    registry: SchemaRegistry,
    signal: AbortSignal,
  ): Promise<void> {
    await Promise.all(ids.map(async (id) => registry.schemaById(id, signal)))
  }

  private take(writer: WriterSchema): void {
    const { structure } = writer.unite(this.structure)
    if (structure === this.structure) return
    this.structure = structure
    this.show(structure)
  }

  private show(structure: Structure): void {
    this.table = { ...NOTHING, columns: sourceColumns(structure) }
    while (this.views.length < structure.length) this.views.push(this.view)
  }

  private viewOf(bytes: Uint8Array): DataView {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.view
  }

  private faultOf(records: RecordSet, record: number): DecodeFault {
    const { status, column, at } = this.out
    const start = this.startOf(records, record)
    const message = verdictMessage(status, this.structure?.[column]?.name ?? null)
    const fault = { name: 'RECORD_CORRUPT', message, byteOffset: at - start } as const
    if (this.origin.kind === 'file') return fault
    const id = schemaIdOf(records.bytes, start, this.endOf(records, record))
    return { ...fault, schemaId: String(id) }
  }
}
