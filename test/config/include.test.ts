// `include`: what other files say counts as if it stood in the pipeline file, behind what that says
// itself, and what is wrong there is told there.

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { lintFile, loadPipeline } from '../../runtime/job/config/load.ts'
import { formatLintMessage } from '../../runtime/job/config/problems.ts'
import { changed } from './pipeline-file.ts'

/** Writes files by name; @returns the path of the pipeline file */
function written(files: Readonly<Record<string, string>>, pipeline = changed()): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-include-'))
  for (const [name, text] of Object.entries({ 'shop.yaml': pipeline, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return join(folder, 'shop.yaml')
}

function lines(path: string): string[] {
  const folder = `${dirname(path)}/`
  return lintFile(path).map((message) => formatLintMessage(message).replaceAll(folder, ''))
}

const including = (list: string): string => changed(['name: shop', `name: shop\ninclude: ${list}`])

test('entries of the file come first, then those of its includes in order, nested ones last', () => {
  const path = written(
    {
      'a/one.yaml': `version: 1
include: [../b/two.yaml]
transform: [{ from: public.b, filter: "id = 2" }]
route: [{ from: public.b, into: lake.b }]`,
      'b/two.yaml': 'transform: [{ from: public.c, filter: "id = 3" }]',
      'three.yaml': `transform: [{ from: public.d, filter: "id = 4" }]
tests:
  - { name: t, table: public.d, columns: { id: long }, input: [{ op: c, after: { id: 4 } }], output: [] }`,
    },
    `${including('[a/one.yaml, ./three.yaml]')}transform: [{ from: public.a, filter: "id = 1" }]\n`,
  )
  expect(lines(path)).toEqual([])
  const { transforms, routes, tests } = loadPipeline(path)
  expect(transforms.map(({ from }) => from)).toEqual([
    'public.a',
    'public.b',
    'public.c',
    'public.d',
  ])
  expect(routes).toHaveLength(1)
  expect(tests.map(({ place }) => [place.file, place.line, place.column])).toEqual([
    [join(dirname(path), 'three.yaml'), 3, 13],
  ])
})

test('what is wrong in an included file is told with its name, line and column', () => {
  const path = written(
    {
      'logic.yaml': `transform:
  - { from: public.a, filter: "id = " }
  - { form: public.b }
rout: []
sink: {}`,
      'text.yaml': 'just text',
      'broken.yaml': 'transform: [',
    },
    including('[logic.yaml]'),
  )
  expect(lines(path)).toEqual([
    'logic.yaml:3:5 MR-1003 transform[1].from is missing: a pattern such as "shop.orders"',
    'logic.yaml:3:7 MR-1002 unknown key "form" in transform[1] (did you mean "from"?)',
    expect.stringMatching(
      /^logic.yaml:4:1 MR-1002 "rout" has no place .* \(did you mean "route"\?\)$/,
    ),
    expect.stringMatching(/^logic.yaml:5:1 MR-1002 "sink" has no place in an included file/),
  ])
  writeFileSync(path, including('[text.yaml]'))
  expect(lines(path)).toEqual([expect.stringMatching(/^text.yaml:1:1 MR-1003 .* must hold blocks/)])
  writeFileSync(path, including('[broken.yaml]'))
  expect(lines(path)).toEqual([expect.stringMatching(/^broken.yaml:1:\d+ MR-1001 /)])
  writeFileSync(path, including('logic.yaml'))
  expect(lines(path)).toEqual([expect.stringMatching(/^shop.yaml:3:10 MR-1001 include must be/)])
  writeFileSync(path, including('[gone.yaml]'))
  expect(lines(path)).toEqual([expect.stringMatching(/^shop.yaml:3:11 MR-1001 .* cannot be read/)])
})

test('a file that includes itself, or is included twice, is refused where that is said', () => {
  const files = {
    'a.yaml': 'include: [b.yaml]',
    'b.yaml': 'route: []\ninclude:\n  - a.yaml',
    'c.yaml': 'include: [shop.yaml]',
  }
  const path = written(files, including('[a.yaml]'))
  expect(lines(path)).toEqual(['b.yaml:3:5 MR-1001 include: a.yaml includes itself'])
  writeFileSync(path, including('[c.yaml]'))
  expect(lines(path)).toEqual(['c.yaml:1:11 MR-1001 include: shop.yaml includes itself'])
  writeFileSync(path, including('[x.yaml, x.yaml]'))
  writeFileSync(join(dirname(path), 'x.yaml'), 'route: []')
  expect(lines(path)).toEqual(['shop.yaml:3:19 MR-1001 include: x.yaml is included twice'])
})

test('partition_ready is merged by table, and a secret begins at the file that names it', () => {
  const ready = (table: string): string => `partition_ready:
  ${table}:
    partition: "day(at)"
    actions:
      - { type: http, url: "https://example.com/", secret: { from_file: hook.txt } }`
  const spec = 'sink:\n  partition_by: { "public.*": ["day(at)"] }\n'
  const pipeline = including('[a/ready.yaml]').replace('sink:\n', spec)
  const path = written({ 'a/ready.yaml': ready('public.a'), 'a/hook.txt': 'x' }, pipeline)
  expect(lines(path)).toEqual([])
  expect(loadPipeline(path).partitionReady).toHaveLength(1)
  writeFileSync(path, `${pipeline}${ready('public.a')}\n`)
  writeFileSync(join(dirname(path), 'hook.txt'), 'x')
  expect(lines(path)).toEqual([
    'a/ready.yaml:2:3 MR-1003 partition_ready has "public.a" in another file already',
  ])
})
