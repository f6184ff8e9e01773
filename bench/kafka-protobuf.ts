// Our Protobuf decoding against protobufjs' `decode`, on the same bytes in memory, one thread: 20
// fields, text checked for UTF-8, once with all fields, once with a third of them absent, and once
// with 8 of the 20 columns wanted. Prints messages/s of CPU time.
// Run: node bench/kafka-protobuf.ts

import protobuf from 'protobufjs'
import { ProtobufFormat } from '../connectors/kafka/protobuf/format.ts'
import type { RecordSet } from '../connectors/kafka/records.ts'
import type { SchemaRegistry } from '../connectors/kafka/registry/schemas.ts'
import { systemClock } from '../runtime/base/clock.ts'
import { silentLog } from '../runtime/base/log.ts'
import { recordSet, TestSink } from '../test/kafka/protobuf/records.ts'
import { play, PLAY, PLAY_SCHEMA } from './plays.ts'

const RUNS = 60
const MESSAGES = 100_000
/** As many as a batch has rows. */
const ROWS = 16_384

interface Messages {
  /** As a record has them: byte 0, the schema's id, the place of the message. */
  readonly framed: RecordSet
  readonly plain: readonly Uint8Array[]
}

function messagesOf(type: protobuf.Type, every: (n: number, field: number) => boolean): Messages {
  const plain = Array.from({ length: MESSAGES }, (_, n) => {
    return type.encode(type.fromObject(play(n, (field) => every(n, field)))).finish()
  })
  const frame = [0, 0, 0, 0, 7, 0]
  return { plain, framed: recordSet(plain.map((bytes) => new Uint8Array([...frame, ...bytes]))) }
}

const registry: SchemaRegistry = {
  known: (id) => ({ id, kind: 'PROTOBUF', text: PLAY_SCHEMA, references: [] }),
  schemaById: () => Promise.reject(new Error('the schema is known')),
  waitsFor: null,
}

/** @returns a pass over all records, batch by batch, as a source makes it */
function ours({ framed }: Messages, includes: (column: string) => boolean): () => number {
  const format = new ProtobufFormat({
    schema: { kind: 'registry', registry },
    framing: 'confluent',
    message: PLAY,
    otherMessages: 'dirty',
    implicitPresence: 'default',
    oneofCase: false,
    unknownFields: false,
    includes,
    clock: systemClock,
    log: silentLog,
  })
  const decoder = format.decoder('plays', 'value', null)
  void decoder.advance(framed, 0, AbortSignal.timeout(1000))
  const sink = new TestSink(decoder.table)
  return () => {
    let rows = 0
    for (let at = 0; at < MESSAGES;) {
      sink.rows = 0
      for (const builder of sink.builders) builder.reset()
      at = decoder.decode(framed, at, ROWS, sink).next
      rows += sink.rows
    }
    return rows
  }
}

function theirs(type: protobuf.Type, { plain }: Messages): () => number {
  const buffers = plain.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  return () => {
    let rows = 0
    for (const bytes of buffers) if (type.decode(bytes) !== null) rows++
    return rows
  }
}

/** CPU seconds of the fastest of several runs: a busy machine only makes runs slower. */
function fastest(work: () => number): number {
  let best = Infinity
  for (let run = 0; run < RUNS; run++) {
    const before = process.cpuUsage()
    const found = work()
    const { user, system } = process.cpuUsage(before)
    if (found !== MESSAGES) throw new Error(`${found} messages instead of ${MESSAGES}`)
    best = Math.min(best, (user + system) / 1e6)
  }
  return best
}

function sizeOf({ plain }: Messages): number {
  return plain.reduce((sum, bytes) => sum + bytes.length, 0)
}

function line(name: string, seconds: number, than: number): string {
  const rate = (MESSAGES / seconds / 1e6).toFixed(2)
  return `  ${name.padEnd(16)} ${rate.padStart(6)} M messages/s  ${(than / seconds).toFixed(1)} times`
}

const type = protobuf.parse(PLAY_SCHEMA, { keepCase: true }).root.resolveAll() as protobuf.Root
const play20 = type.lookupType(PLAY)
const eight = new Set([
  'event_id',
  'user_id',
  'title',
  'duration_s',
  'at_ms',
  'net',
  'city',
  'paid',
])
for (const [name, every] of [
  ['all fields', () => true],
  ['a third absent', (n: number, field: number) => (n * 31 + field * 17) % 10 >= 3],
] as const) {
  const messages = messagesOf(play20, every)
  const other = fastest(theirs(play20, messages))
  console.log(`${name}: ${(sizeOf(messages) / MESSAGES).toFixed(0)} bytes a message`)
  console.log(line('protobufjs', other, other))
  console.log(line('20 columns', fastest(ours(messages, () => true)), other))
  console.log(line('8 columns', fastest(ours(messages, (column) => eight.has(column))), other))
}
