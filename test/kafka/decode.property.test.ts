// The decoder of record batches against a model, against the decoders of two libraries, and against
// the batches that their encoders write. Transactions are modelled as a broker stores them: several
// producers at once, aborted, open, compacted, and read from any place to any place.

import { createRequire } from 'node:module'
import { crc32c, createRecordsBatch, Reader, readRecordsBatches } from '@platformatic/kafka'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import {
  ATTRIBUTES_AT,
  COUNT_AT,
  CRC_AT,
  extentOf,
  LENGTH_AT,
  MAGIC_AT,
  RECORDS_AT,
} from '../../connectors/kafka/decode/batch-header.ts'
import { FetchedBatches } from '../../connectors/kafka/decode/fetched.ts'
import { RecordWalk } from '../../connectors/kafka/decode/record-walk.ts'
import type { RecordSet } from '../../connectors/kafka/records.ts'
import '../servers/kafka-client.ts'
import {
  CODECS,
  encodeBatch,
  type ModelBatch,
  type ModelRecord,
  PLAIN_BATCH,
} from './batch-encoder.ts'
import { decodeAll } from './decoded.ts'
import { PlayedLog } from './played-log.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 5000 }

// kafkajs's own protocol code; it declares no types for it.
const require = createRequire(import.meta.url)
const KAFKAJS = 'kafkajs/src/protocol'
type Loose = Record<string, unknown>
const KafkajsDecoder = require(`${KAFKAJS}/decoder`) as new (bytes: Buffer) => unknown
const kafkajsDecode = require(`${KAFKAJS}/recordBatch/v0/decoder`) as (d: unknown) => Promise<Loose>
const { RecordBatch: kafkajsBatch } = require(`${KAFKAJS}/recordBatch/v0`) as {
  RecordBatch: (o: Loose) => Promise<{ buffer: Buffer }>
}
const kafkajsRecord = require(`${KAFKAJS}/recordBatch/record/v0`) as (o: Loose) => unknown
const Long = require('kafkajs/src/utils/long') as { fromValue: (value: unknown) => unknown }

const bytes = fc
  .oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ minLength: 60, maxLength: 70 }),
    // Repeats itself, so that codecs have matches to write; 8,192 needs a varint of three bytes.
    fc.integer({ min: 100, max: 9000 }).map((length) => new Uint8Array(length).fill(length)),
  )
  .map((array) => Buffer.from(array))
const perhaps = fc.option(bytes)
const timestamp = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_100 }),
  fc.integer({ min: -1, max: 4_102_444_800_000 }),
)
const headers = fc.array(fc.record({ key: fc.string({ maxLength: 8 }), value: perhaps }), {
  maxLength: 3,
})
const gap = fc.oneof(fc.constant(1), fc.constant(1), fc.integer({ min: 1, max: 100_000 }))
const content = fc.record({ timestamp, key: perhaps, value: perhaps, headers, gap })
const base = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 2 ** 40, max: 2 ** 48 }))

/** A batch as compaction may have left it: offsets have gaps, in front and behind as well. */
const batch = fc
  .record({
    base,
    codec: fc.constantFrom(...CODECS),
    appendTime: fc.boolean(),
    contents: fc.array(content, { maxLength: 90 }),
    tail: fc.nat({ max: 3 }),
  })
  .map(({ base, codec, appendTime, contents, tail }): ModelBatch => {
    let offset = base - 1
    const records = contents.map(({ gap, ...rest }) => ({ ...rest, offset: (offset += gap) }))
    const last = Math.max(base, offset + tail)
    return { ...PLAIN_BATCH, leaderEpoch: 7, base, last, codec, appendTime, records }
  })

function expected({ records, appendTime }: ModelBatch, from = 0): ModelRecord[] {
  const largest = Math.max(...records.map((one) => one.timestamp))
  return records
    .filter(({ offset }) => offset >= from)
    .map((record) => (appendTime ? { ...record, timestamp: largest } : record))
}

test('a batch of any codec is decoded as the model and two other decoders have it', async () => {
  const property = fc.asyncProperty(batch, async (model) => {
    const encoded = encodeBatch(model)
    const decoded = decodeAll(encoded, 0, [])
    expect(decoded.records).toEqual(expected(model))
    expect([decoded.nextOffset, decoded.leaderEpoch]).toEqual([model.last + 1, 7])
    if (model.records.length === 0) return
    const [theirs] = readRecordsBatches(Reader.from(encoded))
    const plain = (value: Buffer | null): string | null => value?.toString('hex') ?? null
    expect(theirs?.records.map(({ key, value }) => [plain(key), plain(value)])).toEqual(
      decoded.records.map(({ key, value }) => [plain(key), plain(value)]),
    )
    const other = await kafkajsDecode(new KafkajsDecoder(encoded))
    const times = (other['records'] as Loose[]).map((one) => [one['offset'], one['timestamp']])
    expect(times.map((pair) => pair.map(Number))).toEqual(
      decoded.records.map(({ offset, timestamp }) => [offset, timestamp]),
    )
  })
  await fc.assert(property, limits)
})

test('batches of both libraries are decoded as what they were given', async () => {
  const codec = fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd' as const)
  // platformatic 2.12.1 writes timestamps wrong that are 2^31 ms away from the first of the batch:
  // its zigzag of 64 bits shifts the sign by 31.
  const near = fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_000 + 2 ** 31 - 1 })
  const close = fc.tuple(content, near).map(([one, timestamp]) => ({ ...one, timestamp }))
  const contents = fc.array(close, { minLength: 1, maxLength: 80 })
  const property = fc.asyncProperty(codec, contents, async (compression, given) => {
    const wanted = given.map((one, offset) => ({ ...one, offset }))
    const messages = given.map(({ key, value, headers, timestamp }) => ({
      key,
      value,
      timestamp: BigInt(timestamp),
      headers: new Map(headers.map((one) => [Buffer.from(one.key), one.value])),
    }))
    const options = { compression: compression }
    const one = createRecordsBatch(messages as never, options).buffer
    const first = decodeAll(one, 0, []).records
    expect(first.map(({ key, value, timestamp }) => ({ key, value, timestamp }))).toEqual(
      wanted.map(({ key, value, timestamp }) => ({ key, value, timestamp })),
    )
    expect(first.map((record) => record.headers)).toEqual(wanted.map((record) => record.headers))
    const baseTime = given[0]?.timestamp ?? 0
    const records = given.map(({ key, value, timestamp }, offsetDelta) =>
      kafkajsRecord({
        offsetDelta,
        timestampDelta: Long.fromValue(timestamp - baseTime),
        key,
        value,
      }),
    )
    const two = await kafkajsBatch({
      compression: ['none', 'gzip', 'snappy', 'lz4', 'zstd'].indexOf(compression),
      firstTimestamp: Long.fromValue(baseTime),
      maxTimestamp: Long.fromValue(baseTime),
      lastOffsetDelta: given.length - 1,
      records,
    })
    expect(decodeAll(two.buffer, 0, []).records).toEqual(
      wanted.map(({ key, value, timestamp, offset }) => ({
        key,
        value,
        timestamp,
        offset,
        headers: [],
      })),
    )
  })
  await fc.assert(property, limits)
})

const write = fc.record({
  kind: fc.constant('write' as const),
  producer: fc.nat({ max: 3 }),
  removed: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  codec: fc.constantFrom('none', 'lz4' as const),
})
const end = fc.record({
  kind: fc.constant('end' as const),
  producer: fc.integer({ min: 1, max: 3 }),
  commits: fc.boolean(),
  cleaned: fc.constantFrom('nothing', 'records', 'entry', 'marker' as const),
})
const step = fc.oneof({ arbitrary: write, weight: 3 }, { arbitrary: end, weight: 2 })
const steps = fc.array(step, { maxLength: 60, size: 'max' })
const size = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 9000 }))
const sizes = fc.array(size, { minLength: 1, maxLength: 5 })

test('of transactions, in fetches of any size, exactly the committed records come out', () => {
  const property = fc.property(steps, sizes, fc.nat({ max: 30 }), (played, sizes, start) => {
    const log = new PlayedLog(played)
    const read: ModelRecord[] = []
    let from = start
    for (let turn = 0; ; turn++) {
      const { bytes, aborted } = log.fetch(from, sizes[turn % sizes.length]!)
      if (bytes.length === 0) break
      const decoded = decodeAll(bytes, from, aborted)
      // What the next fetch is sent with before anything is decoded.
      expect(extentOf(bytes, from).nextOffset).toBe(decoded.nextOffset)
      expect(decoded.nextOffset).toBeGreaterThan(from)
      read.push(...decoded.records)
      from = decoded.nextOffset
    }
    expect(read).toEqual(log.committed.filter(({ offset }) => offset >= start))
  })
  fc.assert(property, limits)
})

test('all records but markers come out where uncommitted ones are wanted', () => {
  const property = fc.property(steps, (played) => {
    const log = new PlayedLog(played)
    expect(decodeAll(log.all, 0, null).records).toEqual(log.written)
  })
  fc.assert(property, limits)
})

test('a changed bit behind the offset never changes a record', () => {
  const bit = fc.nat()
  const property = fc.property(batch, bit, fc.boolean(), (model, bit, inLength) => {
    const encoded = encodeBatch(model)
    // The first offset and the leader's epoch are outside of the CRC.
    const [start, end] = inLength ? [8, 12] : [16, encoded.length]
    const at = start + (bit % (end - start))
    encoded[at] = encoded[at]! ^ (1 << (bit % 8))
    let decoded: readonly ModelRecord[] = []
    try {
      decoded = decodeAll(encoded, 0, []).records
    } catch (error) {
      expect(error).toBeInstanceOf(PipelineError)
      expect((error as PipelineError).error).toMatch(/^LOG_(CORRUPT|UNKNOWN_EVENT)$/)
      expect((error as PipelineError).message).toContain(
        `topic "t" partition 0 offset ${model.base}`,
      )
    }
    expect(decoded).toEqual([])
  })
  fc.assert(property, limits)
})

test('whatever the records are, with a right CRC, no place lies outside of their bytes', () => {
  const noise = fc.uint8Array({ minLength: 1, maxLength: 40 })
  const property = fc.property(batch, noise, fc.nat(), (model, noise, at) => {
    const encoded = encodeBatch({ ...model, codec: 'none' })
    const room = Math.max(0, encoded.length - RECORDS_AT - noise.length)
    encoded.set(noise.subarray(0, encoded.length - RECORDS_AT), RECORDS_AT + (at % (room + 1)))
    encoded.writeUInt32BE(crc32c(encoded.subarray(ATTRIBUTES_AT)), CRC_AT)
    const fetched = { topic: 't', partition: 0, offset: 0, bytes: encoded, aborted: null }
    try {
      const set = new FetchedBatches(fetched, new RecordWalk()).next()
      for (let row = 0; row < (set?.count ?? 0); row++) expectWithin(set!, row)
    } catch (error) {
      if (!(error instanceof PipelineError) || error.error !== 'LOG_CORRUPT') throw error
    }
  })
  fc.assert(property, limits)
})

function expectWithin(set: RecordSet, row: number): void {
  const { keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd } = set
  const places = [keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd]
  const [key = 0, keyStop = 0, value = 0, valueStop = 0, start = 0, stop = 0] = places.map(
    (all) => all[row]!,
  )
  if (key >= 0) expect(keyStop).toBeGreaterThanOrEqual(key)
  if (value >= 0) expect(valueStop).toBeGreaterThanOrEqual(value)
  expect(stop).toBeGreaterThanOrEqual(start)
  expect(start).toBeGreaterThan(Math.max(keyStop, valueStop))
  expect(stop).toBeLessThanOrEqual(set.bytes.length)
  expect(Number.isFinite(set.timestamps[row])).toBe(true)
}

test('old message formats and unknown codecs are refused by name', () => {
  const encoded = encodeBatch({ ...PLAIN_BATCH, base: 5, last: 5, records: [] })
  const refusal = (at: number, value: number): string => {
    const bytes = Buffer.from(encoded)
    bytes[at] = value
    bytes.writeInt32BE(1, COUNT_AT)
    bytes.writeUInt32BE(crc32c(bytes.subarray(ATTRIBUTES_AT)), CRC_AT)
    try {
      decodeAll(bytes, 0, [])
      return 'nothing'
    } catch (error) {
      const { error: name, message } = error as PipelineError
      return `${name}: ${message}`
    }
  }
  const place = 'record batch at topic "t" partition 0 offset 5: '
  for (const magic of [0, 1]) {
    const said = `it is in message format v${magic}, which Kafka wrote before 0.11`
    expect(refusal(MAGIC_AT, magic)).toBe(`LOG_UNKNOWN_EVENT: ${place}${said}`)
  }
  const codec = `LOG_UNKNOWN_EVENT: ${place}it has the compression codec 7`
  expect(refusal(ATTRIBUTES_AT + 1, 7)).toBe(codec)
  const empty = `LOG_CORRUPT: ${place}it has records and no bytes`
  for (const known of [1, 2, 3, 4]) expect(refusal(ATTRIBUTES_AT + 1, known)).toBe(empty)
})

test('bytes that a codec did not write are refused, and the codec works on', () => {
  const records = [{ offset: 0, timestamp: 0, key: null, value: Buffer.alloc(70_000), headers: [] }]
  for (const codec of CODECS) {
    const good = encodeBatch({ ...PLAIN_BATCH, codec, base: 0, last: 0, records })
    const bad = Buffer.concat([
      good.subarray(0, RECORDS_AT),
      Buffer.from('this is not what it says'),
    ])
    bad.writeInt32BE(bad.length - 12, LENGTH_AT)
    bad.writeUInt32BE(crc32c(bad.subarray(ATTRIBUTES_AT)), CRC_AT)
    expect(() => decodeAll(bad, 0, []), codec).toThrow(/record batch at topic "t"/)
    expect(decodeAll(good, 0, []).records, codec).toEqual(records)
  }
})
