// What we write for brokers: record batches as two decoders read them back, and partitions as Java's
// client and kafkajs choose them.

import { createRequire } from 'node:module'
import { Reader, readRecordsBatches } from '@platformatic/kafka'
import fc from 'fast-check'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import { CODECS, type Codec } from '../../connectors/kafka/decode/decompress.ts'
import { murmur2, partitionOf } from '../../connectors/kafka/encode/murmur2.ts'
import {
  type Bytes,
  encodeHeaders,
  nextSequence,
  NULL_BYTES,
  RecordBatchBuilder,
} from '../../connectors/kafka/encode/record-batch.ts'
import '../servers/kafka-client.ts'
import { decodeAll } from './decoded.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 3000 }

const require = createRequire(import.meta.url)
const kafkajsMurmur2 = require('kafkajs/src/producer/partitioners/default/murmur2') as (
  key: Buffer,
) => number

const bytes = fc
  .oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ minLength: 30, maxLength: 70 }),
    fc.integer({ min: 100, max: 9000 }).map((length) => new Uint8Array(length).fill(length)),
  )
  .map((array) => Buffer.from(array))
const perhaps = fc.option(bytes)

/** Somewhere inside of a larger array, as encoders have it. */
function placed(value: Buffer | null): Bytes {
  if (value === null) return NULL_BYTES
  const around = Buffer.concat([Buffer.from('xyz'), value, Buffer.from('!')])
  return { bytes: around, start: 3, end: 3 + value.length }
}

test('batches are read back by two decoders, with every codec', () => {
  const record = fc.record({
    key: perhaps,
    value: perhaps,
    headers: fc.array(fc.record({ name: fc.string(), value: fc.string() }), { maxLength: 3 }),
  })
  const property = fc.property(
    fc.array(record, { minLength: 1, maxLength: 200 }),
    fc.constantFrom<Codec>(...CODECS),
    fc.boolean(),
    fc.integer({ min: 0, max: 0x7fff_ffff }),
    (records, codec, transactional, sequence) => {
      const builder = new RecordBatchBuilder()
      for (let round = 0; round < 2; round++) {
        for (const { key, value, headers } of records) {
          builder.append(placed(key), placed(value), encodeHeaders(headers))
        }
        expect(builder.count).toBe(records.length)
        const producer = { id: 9_007_199_254_740_993n, epoch: 7, sequence, transactional }
        const batch = builder.seal(codec, 1_764_000_000_123, producer)
        // Ours checks the sum, too.
        expect(decodeAll(batch, 0, null).records).toEqual(
          records.map(({ key, value, headers }, offset) => ({
            offset,
            timestamp: 1_764_000_000_123,
            key,
            value,
            headers: headers.map((one) => ({ key: one.name, value: Buffer.from(one.value) })),
          })),
        )
        const [theirs] = readRecordsBatches(Reader.from(batch))
        expect(theirs).toMatchObject({
          producerId: producer.id,
          producerEpoch: 7,
          firstSequence: sequence,
        })
        expect(((theirs?.attributes ?? 0) & 16) !== 0).toBe(transactional)
        expect(theirs?.records.map(({ key, value }) => [key, value])).toEqual(
          records.map(({ key, value }) => [key, value]),
        )
      }
    },
  )
  fc.assert(property, limits)
})

test('the hash is that of Java, by its own vectors and by kafkajs', () => {
  // Of org.apache.kafka.common.utils.UtilsTest.
  const vectors: readonly (readonly [string, number])[] = [
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ]
  for (const [text, hash] of vectors) {
    expect(murmur2(Buffer.from(text), 0, text.length)).toBe(hash)
  }
  const java = kafkajs.Partitioners.JavaCompatiblePartitioner()
  const property = fc.property(bytes, fc.integer({ min: 1, max: 64 }), (key, partitions) => {
    expect(murmur2(placed(key).bytes, 3, 3 + key.length)).toBe(kafkajsMurmur2(key) | 0)
    const metadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId }))
    const theirs = java({
      topic: 't',
      partitionMetadata: metadata as Parameters<typeof java>[0]['partitionMetadata'],
      message: { key, value: null },
    })
    expect(partitionOf(key, 0, key.length, partitions)).toBe(theirs)
  })
  fc.assert(property, limits)
})

test('sequences begin anew behind 2^31 - 1', () => {
  expect(nextSequence(0, 5)).toBe(5)
  expect(nextSequence(0x7fff_ffff - 5, 5)).toBe(0x7fff_ffff)
  expect(nextSequence(0x7fff_ffff, 1)).toBe(0)
  expect(nextSequence(0x7fff_fffe, 3)).toBe(1)
})
