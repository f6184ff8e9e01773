// What lint says about the record format `protobuf`.

import { expect, test } from 'vitest'
import { changedKafka, lint, writeFile } from './pipeline-file.ts'

function withProtobuf(text: string): string {
  return changedKafka(['{ format: raw }', `{ format: protobuf, ${text} }`])
}

const file = writeFile('syntax = "proto3";', 'play.proto')
const ONE = '7:10 MR-1003 source.value needs one of registry, proto_file and descriptor_file'

const golden: readonly (readonly [string, string, readonly string[]])[] = [
  ['a registry', withProtobuf('registry: { url: https://sr:8081 }, message: acme.Play'), []],
  ['a .proto file and what it imports', withProtobuf(`proto_file: ${file}, import_roots: [.]`), []],
  [
    'a descriptor set behind the framing of a registry',
    withProtobuf(`descriptor_file: ${file}, framing: confluent, other_messages: skip`),
    [],
  ],
  ['no schema', withProtobuf('message: acme.Play'), [ONE]],
  ['two schemas', withProtobuf(`proto_file: ${file}, descriptor_file: ${file}`), [ONE]],
  [
    'a registry without the framing that names schemas',
    withProtobuf('registry: { url: https://sr:8081 }, framing: none'),
    [
      '7:10 MR-1003 source.value has a registry, so its records need the framing that names' +
        ' their schema',
    ],
  ],
]

test.each(golden)('%s', (_, text, expected) => {
  expect(lint(text)).toEqual(expected)
})
