// What lint says about files that read topics, word for word, with line and column.

import { expect, test } from 'vitest'
import { changed, changedKafka, KAFKA, lint } from './pipeline-file.ts'

/** A key of the source, on line 6. */
function withKey(text: string, ...edits: readonly (readonly [string, string])[]): string {
  return changedKafka(['  topics:', `  ${text}\n  topics:`], ...edits)
}

const UPSERT = ['mode: append', 'mode: upsert'] as const
const SASL = 'sasl: { mechanism: PLAIN, username: u, password: { from_file: /dev/null }'

const TYPED = [
  'format: raw',
  'format: json, schema: { id: long, ts: timestamptz, name: string }',
] as const

const golden: readonly (readonly [string, string, readonly string[]])[] = [
  ['a complete file has nothing wrong with it', KAFKA, []],
  ['upsert with a key neither', withKey('primary_keys: [key]', UPSERT), []],
  [
    'upsert without a key is refused',
    changedKafka(UPSERT),
    [
      '4:3 MR-2008 sink.mode upsert needs source.primary_keys, the columns that tell rows apart;' +
        ' append and changelog do not',
    ],
  ],
  [
    'deletes need a key',
    withKey('null_value: delete'),
    ['6:15 MR-1003 source.null_value: delete needs source.primary_keys and a source.key with them'],
  ],
  [
    'a misspelled format is shown with the nearest one',
    changedKafka(['format: raw', 'format: rwa']),
    [expect.stringMatching(/^7:20 MR-1003 source.value.format must be one of .*"raw"\?\)$/)],
  ],
  [
    'formats of later versions',
    changedKafka(['format: raw', 'format: csv, delimiter: ";"']),
    [expect.stringMatching(/^7:20 MR-1005 source.value.format: csv is not supported: /)],
  ],
  [
    'columns of JSON in every form',
    changedKafka([
      'format: raw',
      'format: json, schema: { id: long not null, user.id: "decimal(12,2)", tags: list<string>,' +
        ' at: { type: timestamptz, unit: ms, path: [at] } }, unknown: { rest: others }',
    ]),
    [],
  ],
  [
    'a type that there is not',
    changedKafka(['format: raw', 'format: json, schema: { id: bigint }']),
    [
      expect.stringMatching(
        /^7:40 MR-1003 source.value.schema.id must be a type such as .*"bigint"/,
      ),
    ],
  ],
  [
    'a unit for what is no time',
    changedKafka(['format: raw', 'format: json, schema: { id: { type: long, unit: ms } }']),
    [expect.stringMatching(/^7:\d+ MR-1003 source.value.schema.id.unit must be d for a date/)],
  ],
  [
    'no columns, and none to come',
    changedKafka(['format: raw', 'format: json']),
    [expect.stringMatching(/^7:\d+ MR-1003 source.value.schema is missing: at least one column/)],
  ],
  [
    'changes that say their types say their key',
    changedKafka(UPSERT, ['format: raw', 'format: debezium-json']),
    [],
  ],
  [
    'changes whose columns are declared need the key as well',
    changedKafka(UPSERT, [
      'format: raw',
      'format: debezium-json, columns: { id: long, d: { type: "decimal(4,2)", encoding: text } }',
    ]),
    [expect.stringMatching(/^4:3 MR-2008 sink.mode upsert needs source.primary_keys/)],
  ],
  [
    'changes of two tables',
    changedKafka(['format: raw', 'format: canal-json, tables: [a.b, a.c]']),
    [],
  ],
  [
    'a decimal of Debezium in digits that may be base64',
    changedKafka(['format: raw', 'format: debezium-json, columns: { d: "decimal(4,2)" }']),
    [
      expect.stringMatching(
        /^7:\d+ MR-1003 source.value.columns.d must be a block with `encoding`/,
      ),
    ],
  ],
  [
    'Maxwell without columns',
    changedKafka(['format: raw', 'format: maxwell-json']),
    [expect.stringMatching(/^7:\d+ MR-1003 source.value.columns is missing/)],
  ],
  [
    'changes as a key',
    withKey('key: { format: canal-json }'),
    ['6:18 MR-1003 source.key.format: canal-json is a format of values'],
  ],
  [
    'columns from a sample',
    changedKafka(['format: raw', 'format: json, unknown: evolve, sample: 10000']),
    [
      expect.stringMatching(
        /^7:\d+ MR-1005 source.value.sample is not supported: this version takes/,
      ),
    ],
  ],
  [
    'a key of a mechanism with other secrets',
    withKey(`${SASL}, token: t }`),
    ['6:78 MR-1002 source.sasl.token is a key of mechanism OAUTHBEARER only'],
  ],
  [
    'a misspelled mechanism',
    withKey('sasl: { mechanism: SCRAM-SHA512, username: u }'),
    [
      '6:22 MR-1003 source.sasl.mechanism must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512,' +
        ' OAUTHBEARER, not "SCRAM-SHA512" (did you mean "SCRAM-SHA-512"?)',
    ],
  ],
  [
    'keys of databases',
    withKey('tables: [a.b]'),
    ['6:3 MR-1002 source.tables is a key of type postgres and mysql only'],
  ],
  [
    'keys of topics beside a database',
    changed(['type: postgres', 'type: postgres\n  topics: [a]']),
    ['5:3 MR-1002 source.topics is a key of type kafka only'],
  ],
  [
    'a time without its zone is no place to start at',
    withKey('start: { timestamp: 2026-01-01 }'),
    [
      '6:23 MR-1003 source.start.timestamp must be a time with its zone,' +
        ' such as 2026-01-31T00:00:00Z, not "2026-01-01"',
    ],
  ],
  [
    'a partition has a number',
    withKey('start: { offsets: { clicks: { a: 1 } } }'),
    ['6:33 MR-1003 source.start.offsets of clicks: "a" is no number of a partition'],
  ],
  [
    'two places to start at',
    withKey('start: { group: a, offsets: {} }'),
    ['6:10 MR-1003 source.start takes one of group and offsets, not both'],
  ],
  [
    'one key as a number and as text',
    withKey('start: { offsets: { clicks: { 0: 1, "0": 2 } } }'),
    ['6:39 MR-1002 key "0" stands twice in the same block'],
  ],
  [
    'a misspelled metadata column',
    withKey('metadata: [__ofset__]'),
    [
      '6:14 MR-1003 source.metadata[0] must be one of __topic__, __partition__, __offset__,' +
        ' __timestamp__, __key__, __headers__, not "__ofset__" (did you mean "__offset__"?)',
    ],
  ],
  [
    'dead letters beside rows with keys',
    `${withKey('primary_keys: [key]', UPSERT)}on_error: { decode: dlq }\n`,
    [
      '16:21 MR-1005 on_error.decode: dlq needs sink.mode append or changelog:' +
        ' those of records go nowhere else yet',
    ],
  ],
  [
    'null values as dead letters beside rows with keys',
    withKey('null_value: dlq', UPSERT),
    [
      '4:3 MR-2008 sink.mode upsert needs source.primary_keys, the columns that tell rows apart;' +
        ' append and changelog do not',
      '6:15 MR-1005 source.null_value: dlq needs sink.mode append or changelog:' +
        ' those of records go nowhere else yet',
    ],
  ],
  [
    'dead letters of a database',
    `${changed()}on_error: { decode: dlq }\n`,
    [
      '13:11 MR-1005 on_error is not supported for postgres: a table with such a row is parked; ' +
        '`on_error: dlq` in an entry of `transform` sets rows aside',
    ],
  ],
  [
    'event time by a column, with its bounds, and partitions side by side',
    withKey(
      'event_time: { field: ts, max_out_of_order: 2m, idle_partition: 5m, all_idle: advance }\n' +
        '  watermark_alignment: { max_drift: 5m }',
      TYPED,
    ),
    [],
  ],
  ['event time of whole numbers', withKey('event_time: { field: id, unit: ms }', TYPED), []],
  ['event time of records', withKey('event_time: { field: __timestamp__, future: dlq }'), []],
  [
    'event time by a column that nobody declares',
    withKey('event_time: { field: tz }', TYPED),
    ['6:24 MR-1003 source.event_time.field: no column "tz" is declared (did you mean "ts"?)'],
  ],
  [
    'event time by a column that tells none',
    withKey('event_time: { field: name }', TYPED),
    ['6:24 MR-1003 source.event_time.field: column "name" is string, which tells no time'],
  ],
  [
    'event time by numbers of what is not said',
    withKey('event_time: { field: id }', TYPED),
    ['6:3 MR-1003 source.event_time.unit: column "id" is long and needs one: s, ms or us'],
  ],
  [
    'a unit of times, and of records',
    withKey('event_time: { field: ts, unit: s }', TYPED),
    ['6:34 MR-1003 source.event_time.unit: column "ts" is timestamptz, whose unit is known'],
  ],
  [
    'a unit of records',
    withKey('event_time: { unit: s }'),
    ['6:23 MR-1003 source.event_time.unit is of a `field`; the timestamp of a record has its own'],
  ],
  [
    'idle partitions that follow the clock, and none is idle',
    withKey('event_time: { all_idle: advance }'),
    [
      '6:27 MR-1003 source.event_time.all_idle: advance needs `idle_partition`:' +
        ' nothing is idle else',
    ],
  ],
  [
    'partitions side by side by what time',
    withKey('watermark_alignment: { max_drift: 5m }'),
    [
      '6:3 MR-1003 source.watermark_alignment needs source.event_time: what is ahead is not' +
        ' known else',
    ],
  ],
  [
    'groups of topics to be aligned',
    withKey('event_time: {}\n  watermark_alignment: { max_drift: 5m, group: a }'),
    [
      '7:41 MR-1005 source.watermark_alignment.group is not supported: this version aligns all' +
        ' topics of a pipeline with each other',
    ],
  ],
  [
    'rows of the future as dead letters beside rows with keys',
    withKey('event_time: { future: dlq }\n  primary_keys: [key]', UPSERT),
    [
      '6:25 MR-1005 source.event_time.future: dlq needs sink.mode append or changelog:' +
        ' those of records go nowhere else yet',
    ],
  ],
  [
    'other dead letters',
    `${KAFKA}on_error: { transform: dlq }\n`,
    [
      '15:13 MR-1005 on_error.transform is not supported: this version ' +
        'has `on_error` in each entry of `transform`',
    ],
  ],
  [
    'a connection that anybody between could read',
    withKey('tls: { mode: disabled }', ['127.0.0.1', 'k1']),
    ['6:16 MR-1009 warning: tls mode disabled does not prove that k1 is the server it says it is'],
  ],
  [
    'a mode of TLS that Kafka does not know',
    withKey('tls: { mode: preferred }'),
    [
      '6:16 MR-1003 source.tls.mode must be one of disabled, required, verify-ca, verify-full,' +
        ' not "preferred"',
    ],
  ],
  [
    'a URL is no broker',
    changedKafka(['[127.0.0.1:9092]', '["kafka://h:1"]']),
    ['5:13 MR-1003 source.brokers[0] must be a broker such as kafka1:9092, not "kafka://h:1"'],
  ],
  [
    'a port that no server has',
    changedKafka(['[127.0.0.1:9092]', '["h:99999"]']),
    ['5:13 MR-1003 source.brokers[0] must be a broker such as kafka1:9092, not "h:99999"'],
  ],
  [
    'a regular expression without slashes',
    changedKafka(['[clicks]', '["cl(icks|acks)"]']),
    [
      '6:12 MR-1003 source.topics[0]: "cl(icks|acks)" has (, which needs a regular expression' +
        ' between slashes (did you mean "/cl(icks|acks)/"?)',
    ],
  ],
  [
    'a token in the clear',
    withKey('sasl: { mechanism: OAUTHBEARER, token: canary }'),
    ['6:42 MR-1007 warning: a password stands in the file in the clear'],
  ],
]

test.each(golden)('%s', (_claim, text, expected) => {
  expect(lint(text)).toEqual(expected)
})
