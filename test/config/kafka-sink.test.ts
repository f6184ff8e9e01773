// What lint says about files that write topics, word for word, with line and column.

import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { COMPLETE, KAFKA, lint, writeFile } from './pipeline-file.ts'

const SINK = `sink:
  type: kafka
  brokers: [127.0.0.1:9093]
`

const VALUES = 'value: { format: avro, registry: { url: "https://sr" } }'

const READY = '{ partition: "hour(ts)", actions: [{ type: exec, command: [x] }] }'

/** The file with a sink into topics, and more keys of the sink on line 10. */
function topics(...keys: readonly string[]): string {
  return topicsOf(COMPLETE, keys)
}

function topicsOf(file: string, keys: readonly string[]): string {
  const lines = keys.map((key) => `  ${key}\n`).join('')
  return file.replace(/sink:\n(?: .*\n)*/, `${SINK}${lines}`)
}

const golden: readonly (readonly [string, string, readonly string[]])[] = [
  ['a smallest sink has nothing wrong with it', topics(), []],
  ['topics into topics neither', topicsOf(KAFKA, []), []],
  [
    'upsert of topics needs a key',
    topicsOf(KAFKA, ['mode: upsert']),
    [
      '4:3 MR-2008 sink.mode upsert needs source.primary_keys, the columns that tell rows apart;' +
        ' append and changelog do not',
    ],
  ],
  [
    'formats of later versions are told from what there is',
    topics('value: { format: csv }'),
    [
      '10:20 MR-1005 sink.value.format: csv is not supported: this version takes avro, protobuf, ' +
        'and json with `sink.envelope` none or debezium',
    ],
  ],
  ['keys have the registry of the values', topics(VALUES, 'key: { format: avro }'), []],
  [
    'values do not have that of the keys',
    topics('key: { format: avro, registry: { url: "https://sr" } }', 'value: { format: avro }'),
    ['11:10 MR-1003 sink.value.registry is needed: schemas of avro are registered'],
  ],
  [
    'an envelope of JSON only',
    topics('envelope: debezium', VALUES),
    ['10:13 MR-1005 sink.envelope: debezium is written as json only, not as avro'],
  ],
  [
    'a pattern that Kafka would not take',
    topics('topic: "{schema}/{table}"'),
    ['10:10 MR-1003 sink.topic: "{schema}/{table}" is no pattern of a topic'],
  ],
  [
    'a key of another sink',
    topics('warehouse: file:///lake'),
    ['10:3 MR-1002 sink.warehouse is a key of type iceberg only'],
  ],
  [
    'transactions that checkpoints outlast',
    topics('transaction_timeout: 20s'),
    [
      '10:24 MR-1003 warning: sink.transaction_timeout is less than 3 intervals of checkpoints: ' +
        'transactions may be aborted, and are written again then',
    ],
  ],
  [
    'several writers',
    topics().replace('pipeline:\n', 'pipeline:\n  parallelism: 2\n'),
    [
      '11:16 MR-1005 pipeline.parallelism is not supported for sink.type kafka: an epoch is one ' +
        'transaction, which one writer has',
    ],
  ],
  [
    'partitions that topics do not have',
    `${topics()}partition_ready:\n  public.a: ${READY}\n`,
    [
      expect.stringContaining(
        'MR-1005 partition_ready is not supported for sink.type kafka: topics have no such partitions',
      ),
      expect.stringContaining('hour(ts) is no field of'),
    ],
  ],
]

test.each(golden)('%s', (_claim, text, expected) => {
  expect(lint(text)).toEqual(expected)
})

test('defaults are those of a log of every change', () => {
  const { sink, parallelism } = loadPipeline(writeFile(topics()), {})
  expect(parallelism).toBe(1)
  expect(sink).toEqual({
    type: 'kafka',
    endpoint: {
      brokers: [{ host: '127.0.0.1', port: 9093 }],
      tls: { mode: 'disabled', ca: null },
      sasl: null,
    },
    mode: 'upsert',
    topic: '{namespace}.{table}',
    envelope: 'none',
    tombstones: true,
    key: { format: 'json' },
    value: { format: 'json' },
    compression: 'lz4',
    transactionalId: 'millrace-shop',
    timeoutMs: 900_000,
    create: { partitions: null, replicationFactor: null, config: {} },
  })
  expect(loadPipeline(writeFile(topicsOf(KAFKA, [])), {}).sink).toMatchObject({ mode: 'append' })
  const own = 'create_topics: { partitions: 6, config: { min.insync.replicas: 2 } }'
  expect(loadPipeline(writeFile(topics(own)), {}).sink).toMatchObject({
    create: { partitions: 6, replicationFactor: null, config: { 'min.insync.replicas': '2' } },
  })
  expect(loadPipeline(writeFile(topics('create_topics: false')), {}).sink).toMatchObject({
    create: null,
  })
})
