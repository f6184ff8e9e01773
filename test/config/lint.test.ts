// What lint says about files, word for word, with line and column: these lines are what users read.

import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FILE_BYTES_MAX } from '../../runtime/job/config/document.ts'
import { changed, COMPLETE, lint } from './pipeline-file.ts'

test('a complete file has nothing wrong with it', () => {
  expect(lint(COMPLETE)).toEqual([])
})

const SOURCE_URI = '  uri: postgresql://postgres@127.0.0.1:5433/shop\n'
const MODE = '  type: iceberg\n'

const golden: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'an unknown key is shown with the nearest name',
    changed(['  tables:', '  tabels:']),
    [
      '3:1 MR-1003 source.tables is missing: a list of patterns such as ["public.*"]',
      '6:3 MR-1002 unknown key "tabels" in source (did you mean "tables"?)',
    ],
  ],
  [
    'a key in the wrong block is shown with its right place',
    changed(['name: shop\n', 'name: shop\ninterval: 5s\n']),
    [
      '3:1 MR-1002 unknown key "interval" in the file' +
        ' (did you mean "pipeline.checkpoint.interval"?)',
    ],
  ],
  [
    'spellings of other tools are recognised',
    changed(['  tables:', '  tables-exclude: []\n  tables:']),
    ['6:3 MR-1002 info: source.tables-exclude: use tables_exclude'],
  ],
  [
    'a key of the other kind of source is told apart from a slip of the pen',
    changed([SOURCE_URI, `${SOURCE_URI}  server_id: 5\n`]),
    ['6:3 MR-1002 source.server_id is a key of type mysql only'],
  ],
  [
    'a key that stands twice is an error at the second place',
    changed([SOURCE_URI, `${SOURCE_URI}  type: mysql\n`]),
    ['6:3 MR-1002 key "type" stands twice in the same block'],
  ],
  [
    'an alias without its anchor is shown, and not taken for an empty value',
    changed(['{ store:', '{ interval: *fast, store:']),
    ['12:27 MR-1001 the alias *fast has no anchor &fast above it'],
  ],
  [
    'a wrong type names what is wanted',
    changed(['["public.*"]', '{ public: all }']),
    [
      '6:11 MR-1003 source.tables must be a list of patterns such as ["public.*"],' +
        ' not a block of keys',
    ],
  ],
  [
    'a bare number is no duration',
    changed(['{ store:', '{ interval: 10, store:']),
    [
      '12:27 MR-1003 pipeline.checkpoint.interval must be a duration with its unit,' +
        ' such as 10s or 5m, 100ms to 1d, not 10',
    ],
  ],
  [
    'a bare number is no size',
    changed([SOURCE_URI, `${SOURCE_URI}  max_slot_lag: 1000\n`]),
    [
      '6:17 MR-1003 source.max_slot_lag must be a size with its unit, such as 512MiB or 20GB,' +
        ' not 1000',
    ],
  ],
  [
    'a value outside its range names the range',
    changed(['  checkpoint: {', '  parallelism: 0\n  checkpoint: {']),
    ['12:16 MR-1003 pipeline.parallelism must be a whole number of writers, 1 to 128, not 0'],
  ],
  [
    'a misspelled choice is shown with the nearest one',
    changed([MODE, `${MODE}  mode: upsrt\n`]),
    [
      '9:9 MR-1003 sink.mode must be one of upsert, append, changelog, not "upsrt"' +
        ' (did you mean "upsert"?)',
    ],
  ],
  [
    'a missing block is shown at the top',
    changed(['pipeline:\n  checkpoint: { store: file:///lake/state }\n', '']),
    ['1:1 MR-1003 pipeline is missing: a block of keys'],
  ],
  [
    'an unknown kind of source silences what depends on it',
    changed(['type: postgres', 'type: postgrse']),
    [
      '4:9 MR-1003 source.type must be one of postgres, mysql, kafka, not "postgrse"' +
        ' (did you mean "postgres"?)',
    ],
  ],
  [
    'later versions: a source kind',
    changed(['type: postgres', 'type: mongodb']),
    [
      '4:9 MR-1005 source.type: mongodb is not supported: this version takes' +
        ' postgres, mysql (which is MariaDB too) and kafka',
    ],
  ],
  [
    'later versions: MariaDB is written mysql',
    changed(['type: postgres', 'type: mariadb']),
    [
      '4:9 MR-1005 source.type: mariadb is not supported: this version takes postgres, mysql and kafka' +
        ' (did you mean "mysql"?)',
    ],
  ],
  [
    'later versions: blocks at the top',
    `${COMPLETE}alerts: []\ntriggers: []\n`,
    [
      '13:1 MR-1005 alerts is not supported: this version sends no alerts; ' +
        '/metrics has what they need',
      '14:1 MR-1005 triggers is not supported: this version starts no other pipelines',
    ],
  ],
  [
    'later versions: catalogs, buckets and table modes',
    changed(
      ['type: sql', 'type: rest'],
      ['file:///lake/warehouse', 's3://lake/warehouse'],
      [MODE, `${MODE}  profile: v2-posdel\n`],
    ),
    [
      '9:12 MR-1005 sink.profile: v2-posdel is not supported: this version takes v3-dv',
      '10:20 MR-1005 sink.catalog.type: rest is not supported: this version takes sql',
      '11:14 MR-1005 sink.warehouse: s3 is not supported: this version takes a local folder',
    ],
  ],
  [
    'rows that are held back where a table must equal its source',
    changed([MODE, `${MODE}  max_freshness: 1m\n`]),
    [
      '9:18 MR-1005 sink.max_freshness: mode upsert holds no rows back; each checkpoint is' +
        ' visible, so pipeline.checkpoint.interval says how fresh the lake is',
    ],
  ],
  [
    'a file that is not YAML is shown where it breaks',
    changed(['["public.*"]', '["public.*"']),
    [
      '7:1 MR-1001 flow sequence in block collection must be sufficiently indented' +
        ' and end with a ]',
    ],
  ],
  [
    'a variable without quotes inside brackets gets the advice to quote it',
    changed(['["public.*"]', '[${TABLES}]']),
    [
      '6:13 MR-1001 missing , or : between flow sequence items' +
        '; put quotes around text with ${...}',
    ],
  ],
  [
    'after the first place that is no YAML nothing more is said',
    changed(['{ store:', '{ interval: ${X:2}, store:']),
    ['12:28 MR-1001 unexpected flow-map-start at node end; put quotes around text with ${...}'],
  ],
  [
    'a number in quotes is told what is wrong with it',
    changed(['version: 1', 'version: "1"']),
    ['1:10 MR-1003 version must be 1, without quotes: it is a number, not text'],
  ],
  [
    'a key of the top is sent there, not to itself',
    changed(['  tables:', '  version: 1\n  tables:']),
    ['6:3 MR-1002 key "version" stands at the top of the file, not in source'],
  ],
  [
    'a secret has one place',
    changed(['  tables:', '  password: { from_env: A, from_file: b }\n  tables:']),
    ['6:13 MR-1003 source.password takes one of from_env and from_file, not both'],
  ],
  [
    'a misspelled key is not missing as well',
    changed(['  tables:', '  password: { from_evn: A }\n  tables:']),
    ['6:15 MR-1002 unknown key "from_evn" in source.password (did you mean "from_env"?)'],
  ],
  ['an empty file', '# nothing\n', ['1:1 MR-1001 the file is empty']],
  ['a list', '- a\n', ['1:1 MR-1003 the file must be a block of keys, not a list']],
  [
    'two documents',
    `${COMPLETE}---\n${COMPLETE}`,
    ['13:1 MR-1001 the file has several documents, but a pipeline is one'],
  ],
]

for (const [claim, text, lines] of golden) {
  test(claim, () => {
    expect(lint(text)).toEqual(lines)
  })
}

test('a pattern is refused where it would silently match nothing', () => {
  const patterns = [
    'orders',
    '*',
    'a.b.c',
    'app_db.\\.*',
    'shop_[0-9].t',
    '/shop',
    '/(/',
    'a.',
    'a\\',
  ]
  const list = patterns.map((pattern) => `\n    - '${pattern}'`).join('')
  expect(lint(changed(['  tables: ["public.*"]', `  tables: ${list}`]))).toEqual([
    '7:7 MR-1003 source.tables[0]: "orders" is not of the form schema.table',
    '8:7 MR-1003 source.tables[1]: "*" is not of the form schema.table (did you mean "*.*"?)',
    '9:7 MR-1003 source.tables[2]: "a.b.c" is not of the form schema.table (did you mean "b.c"?)',
    '10:7 MR-1003 info: source.tables[3]: use "app_db.*"',
    '11:7 MR-1003 source.tables[4]: "shop_[0-9].t" has [,' +
      ' which needs a regular expression between slashes (did you mean "/shop_[0-9]\\.t/"?)',
    '12:7 MR-1003 source.tables[5]: "/shop" begins a regular expression' +
      ' that does not end with a slash',
    '13:7 MR-1003 source.tables[6]: "/(/" is not a regular expression that JavaScript can read',
    '14:7 MR-1003 source.tables[7]: "a." is not of the form schema.table',
    '15:7 MR-1003 source.tables[8]: "a\\" ends with a backslash',
  ])
})

test('a password in the clear is a warning, wherever it stands, and is never repeated', () => {
  const inKey = lint(changed([SOURCE_URI, `${SOURCE_URI}  password: canary\n`]))
  expect(inKey).toEqual(['6:13 MR-1007 warning: a password stands in the file in the clear'])
  const inUri = lint(changed(['postgres@127', 'postgres:canary@127']))
  expect(inUri).toEqual(['5:8 MR-1007 warning: a password stands in the file in the clear'])
  const broken = lint(changed(['postgres@127.0.0.1:5433', 'postgres:canary@127.0.0.1:port']))
  expect(broken).toHaveLength(1)
  expect(broken.join('')).not.toContain('canary')
})

test('a password from the environment is no password in the file', () => {
  const text = changed(['postgres@127', 'postgres:${PW}@127'])
  expect(lint(text, { PW: 'canary' })).toEqual([])
})

test('lint runs where the secrets are not: they are missed with a warning', () => {
  const env = changed([SOURCE_URI, `${SOURCE_URI}  password: { from_env: NOWHERE_PW }\n`])
  expect(lint(env)).toEqual(['6:25 MR-1004 warning: environment variable NOWHERE_PW is not set'])
  const file = changed([SOURCE_URI, `${SOURCE_URI}  password: { from_file: /nowhere/pw }\n`])
  expect(lint(file)).toEqual(['6:26 MR-1004 warning: secret file /nowhere/pw cannot be read'])
})

test('a password that an empty variable was to give is empty, and no text of another kind', () => {
  const written = changed([SOURCE_URI, `${SOURCE_URI}  password: \${PW}\n`])
  expect(lint(written, { PW: '' })).toEqual([
    '6:13 MR-1003 source.password must be text or { from_env: NAME } or { from_file: PATH }; ' +
      'quote a password of digits, not empty',
  ])
  const named = changed([SOURCE_URI, `${SOURCE_URI}  password: { from_env: PW }\n`])
  expect(lint(named, { PW: '' })).toEqual([
    '6:25 MR-1004 warning: environment variable PW is empty',
  ])
})

test('a variable that is not set is an error at its value', () => {
  expect(lint(changed(['name: shop', 'name: ${NOWHERE}']))).toEqual([
    '2:7 MR-1004 environment variable NOWHERE is not set',
  ])
  expect(lint(changed(['name: shop', 'name: shop${no good}']))).toEqual([
    '2:7 MR-1004 "${no good}" is not of the form ${NAME} or ${NAME:default}',
  ])
})

test('TLS that proves nothing to a host elsewhere is a warning', () => {
  const text = changed([
    SOURCE_URI,
    '  uri: postgresql://u@db.example/shop\n  tls: { mode: required }\n',
  ])
  expect(lint(text)).toEqual([
    '6:16 MR-1009 warning: tls mode required does not prove that db.example is the server' +
      ' it says it is',
  ])
})

test('what a URI says and a key says again is an error', () => {
  expect(lint(changed([SOURCE_URI, `${SOURCE_URI}  port: 5433\n`]))).toEqual([
    '6:3 MR-1003 source.port stands in source.uri too',
  ])
})

test('without a URI the parts are asked for by name', () => {
  expect(lint(changed([SOURCE_URI, '  port: 5433\n'])).map((line) => line.slice(0, 40))).toEqual([
    '3:1 MR-1003 source.hostname is missing: ',
    '3:1 MR-1003 source.username is missing: ',
    '3:1 MR-1003 source.database is missing: ',
  ])
})

/** Lint's message about the places of warehouse, catalog and state. */
function placed(warehouse: string, catalog: string, store: string): string[] {
  const text = changed(
    ['file:///lake/warehouse', warehouse],
    ['sqlite:////lake/catalog.db', `sqlite:///${catalog}`],
    ['file:///lake/state', store],
  )
  return lint(text).map((line) => line.replace(/; what removes .*$/, ''))
}

test('a home folder is not written as a shell reads it', () => {
  const why = '"~" is no folder here; write ${HOME} or the whole path'
  expect(placed('~/lake', '~/catalog.db', 'file://~/state')).toEqual([
    `9:30 MR-1003 sink.catalog.uri: ${why}`,
    `10:14 MR-1003 sink.warehouse: ${why}`,
    `12:24 MR-1003 pipeline.checkpoint.store: ${why}`,
  ])
  expect(placed('./~lake', '/a/~catalog.db', '/a/~state')).toEqual([])
})

test('warehouse, catalog and state may not lie in each other', () => {
  expect(lint(changed(['file:///lake/state', 'file:///lake/warehouse/']))).toEqual([
    '12:24 MR-1003 pipeline.checkpoint.store and sink.warehouse must be two places' +
      '; what removes files of the one must not meet the other',
  ])
  // The state of pipeline `shop` is /data/shop, which `drop` removes.
  expect(placed('file:///data/shop/wh', '/cat.db', '/data')).toEqual([
    '12:24 MR-1003 sink.warehouse lies in pipeline.checkpoint.store',
  ])
  expect(placed('/data', '/cat.db', 'file:///data/x/../state')).toEqual([
    '12:24 MR-1003 pipeline.checkpoint.store lies in sink.warehouse',
  ])
  expect(placed('/wh', '/data/shop/cat.db', '/data')).toEqual([
    '9:30 MR-1003 sink.catalog.uri lies in pipeline.checkpoint.store',
  ])
  expect(placed('/wh', '/wh/public/orders', '/data')).toEqual([
    '9:30 MR-1003 sink.catalog.uri lies in sink.warehouse',
  ])
  // Names that only begin alike, and the layout of pyiceberg's manual.
  expect(placed('/data/wh', '/data/wh.db', '/data/wh-state')).toEqual([])
  expect(placed('/data/wh', '/data/wh/cat.db', '/data/state')).toEqual([])
})

test('a link does not hide that one place lies in another', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-places-'))
  mkdirSync(join(folder, 'state'))
  symlinkSync(join(folder, 'state'), join(folder, 'link'))
  expect(placed(join(folder, 'link/wh'), '/cat.db', join(folder, 'state'))).toEqual([
    '12:24 MR-1003 sink.warehouse lies in pipeline.checkpoint.store',
  ])
})

test('a place that readers of the lake cannot spell is refused', () => {
  const why =
    ', which readers of the lake take for a part of a URL; choose a path without #, ? and %'
  expect(placed('/a%b', '/c.db', '/s')).toEqual([
    `10:14 MR-1003 sink.warehouse: /a%b has a %${why}`,
  ])
  expect(placed('file:///a%23b', '/c.db', '/s')).toEqual([
    `10:14 MR-1003 sink.warehouse: /a#b has a #${why}`,
  ])
  expect(placed('"/a?b"', '/c.db', '/s')).toEqual([
    `10:14 MR-1003 sink.warehouse: /a?b has a ?${why}`,
  ])
  expect(placed('/w', '/c%20d.db', '/s')).toEqual([
    `9:30 MR-1003 sink.catalog.uri: /c%20d.db has a %${why}`,
  ])
  // What Node would drop of a URL without a word.
  for (const url of ['file:///a#b', 'file:///a?b']) {
    expect(placed(`"${url}"`, '/c.db', '/s')).toEqual([
      '10:14 MR-1003 sink.warehouse must be a local folder, as file:///var/lib/lake or ./lake',
    ])
  }
  expect(placed('file:///un%20%C3%A9t%C3%A9', '/é t é.db', '/s#1')).toEqual([])
})

test('a file that would eat the memory is refused by its limits', () => {
  const laughs = Array.from({ length: 9 }, (_, level) => {
    const inner = Array.from({ length: 9 }, () => (level === 0 ? 'lol' : `*l${level - 1}`))
    return `l${level}: &l${level} [${inner.join(', ')}]`
  })
  expect(lint(`${laughs.join('\n')}\n`)).toEqual([
    expect.stringMatching(/MR-1001 the file has too many values/),
  ])
  expect(lint('a: &a { b: *a }\n')).toEqual([expect.stringMatching(/MR-1001/)])
  expect(lint(`${COMPLETE}# ${'x'.repeat(FILE_BYTES_MAX)}`)).toEqual([
    '1:1 MR-1001 the file is larger than 1 MiB',
  ])
})

test('tags and the prototype key do nothing', () => {
  expect(lint(`${COMPLETE}__proto__: { polluted: 1 }\n`)).toEqual([
    '13:1 MR-1002 unknown key "__proto__" in the file',
  ])
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  expect(lint(changed(['name: shop', 'name: !!js/function x']))[0]).toMatch(/^2:7 MR-1001 /)
})

test('control characters of a file do not reach the terminal', () => {
  expect(lint(`${COMPLETE}"a\\e[31mb": 1\n`)).toEqual([
    '13:1 MR-1002 unknown key "a?[31mb" in the file',
  ])
})
