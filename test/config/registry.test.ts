// What lint says about schema registries and the formats that need one.

import { expect, test } from 'vitest'
import { changedKafka, lint, writeFile } from './pipeline-file.ts'

function withValue(text: string): string {
  return changedKafka(['{ format: raw }', text])
}

function withRegistry(text: string): string {
  return withValue(`{ format: avro, registry: { ${text} } }`)
}

const URL_WANTED = 'an address such as https://registry:8081, or a list of them'
const schema = writeFile('"string"', 'a.avsc')

const golden: readonly (readonly [string, string, readonly string[]])[] = [
  ['a registry by its address', withRegistry('url: https://sr:8081'), []],
  [
    'several addresses, a user and certificates',
    withRegistry(
      'url: [https://a/x, https://b/x], timeout: 5s, tls: { ca: /dev/null },' +
        ' auth: { username: u, password: { from_file: /etc/hostname } }',
    ),
    [],
  ],
  ['a schema from a file', withValue(`{ format: avro, schema_file: ${schema} }`), []],
  [
    'neither a registry nor a file',
    withValue('{ format: avro }'),
    ['7:10 MR-1003 source.value needs a registry or a schema_file, and not both'],
  ],
  [
    'both a registry and a file',
    withValue(`{ format: avro, registry: { url: "https://a" }, schema_file: ${schema} }`),
    ['7:10 MR-1003 source.value needs a registry or a schema_file, and not both'],
  ],
  [
    'a file that is not there',
    withValue('{ format: avro, schema_file: /nowhere.avsc }'),
    ['7:39 MR-1003 the file /nowhere.avsc of source.value.schema_file cannot be read'],
  ],
  [
    'an address without a protocol',
    withRegistry('url: sr:8081'),
    [`7:43 MR-1003 source.value.registry.url must be ${URL_WANTED}, not "sr:8081"`],
  ],
  [
    'a password in the address is not repeated',
    withRegistry('url: "https://anna:geheim@sr:8081"'),
    [
      '7:43 MR-1005 source.value.registry.url has a user or password:' +
        ' they belong in auth, beside url',
    ],
  ],
  [
    'a registry on another host without encryption',
    withRegistry('url: "http://sr:8081", auth: { token: { from_file: /etc/hostname } }'),
    [
      '7:43 MR-1009 warning: source.value.registry.url does not prove that sr is the registry it' +
        ' says it is, and shows it the credentials',
    ],
  ],
  ['a registry on this machine needs none', withRegistry('url: "http://127.0.0.1:8081/x"'), []],
  [
    'a certificate without its key',
    withRegistry('url: https://sr, tls: { certificate: /dev/null }'),
    ['7:60 MR-1003 source.value.registry.tls needs certificate and key, or neither'],
  ],
  [
    'a token in the clear',
    withRegistry('url: https://sr, auth: { token: canary }'),
    ['7:70 MR-1007 warning: a password stands in the file in the clear'],
  ],
]

test.each(golden)('%s', (_claim, text, expected) => {
  expect(lint(text)).toEqual(expected)
})
