// `millrace test`: tests that hold pass, tests that do not are told with their place and difference,
// and values go in and out exactly.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCommandLine } from '../../runtime/cli/program.ts'
import { changed, COMPLETE, writeFile } from '../config/pipeline-file.ts'
import { FakeTerminal } from './fake-terminal.ts'
import { FakeWiring } from './fake-wiring.ts'

const TRANSFORM = `transform:
  - from: public.users
    projection: "*, lower(email) AS low"
    filter: "id <> 3"
    mask: { ssn: drop, email: "partial(2,4)" }
route: [{ from: "public.*", into: "lake.$1" }]
`

const COLUMNS = `columns: { id: long not null, email: string, amount: "decimal(20,2)", ssn: string }
    key: [id]`

/** A file with one test; `body` stands behind its table. */
function withTest(body: string): string {
  return `${COMPLETE}${TRANSFORM}tests:
  - name: users
    table: public.users
    ${COLUMNS}
${body.replaceAll(/^/gm, '    ')}
`
}

async function run(file: string, ...more: string[]): Promise<{ code: number; out: string }> {
  const terminal = new FakeTerminal()
  const code = await runCommandLine(['test', file, ...more], terminal, new FakeWiring().wiring)
  return { code, out: (terminal.stdout + terminal.stderr).replaceAll(file, 'FILE') }
}

async function outcome(body: string): Promise<{ code: number; out: string }> {
  return run(writeFile(withTest(body)))
}

test('what the transform makes of rows is what the test expects, patterns and all', async () => {
  const body = `input:
  - { op: c, after: { id: 9223372036854775807, email: Ann@X.io, amount: 1.5, ssn: "9" } }
  - { op: c, after: { id: 3, email: gone, amount: 1 } }
  - { op: u, after: { id: 1, email: Bob@y.io, amount: "123456789012345678.25" } }
  - { op: u, before: { id: 4 }, after: { id: 5, email: C@c.io } }
  - { op: d, before: { id: 6 } }
output:
  lake.users:
    - { op: d, before: { id: 6 } }
    - op: c
      after: { id: "9223372036854775807", email: "/^An[*]+X[.]io$/", low: ann@x.io, amount: "1.50" }
    - { op: u, after: { amount: 123456789012345678.25, low: any, id: 1 } }
    - { op: c, after: { id: 5, amount: null } }
    - { op: d, before: { id: 4 } }`
  // YAML would round both numbers: that is said, not compared.
  const rounded = await outcome(body)
  expect(rounded.code).toBe(5)
  expect(rounded.out).toContain('FILE:25:9 input[0].after.id: YAML rounds a number')
  const exact = body
    .replace('id: 9223372036854775807', 'id: "9223372036854775807"')
    .replace('amount: 123456789012345678.25', 'amount: "123456789012345678.25"')
  expect(await outcome(exact)).toEqual({ code: 0, out: '✔ users\n1 passed, 0 failed\n' })
})

test('an update of a test has what it replaced; what `before` leaves out has stayed', async () => {
  const projection = '"id, before(email) AS was, is_changed(amount) AS moved"'
  const body = `input:
  - { op: c, after: { id: 1, email: a } }
  - { op: u, before: { email: a }, after: { id: 1, email: b, amount: 2 } }
  - { op: u, before: { amount: 2 }, after: { id: 1, email: b, amount: 3 } }
  - { op: u, before: { id: 1 }, after: { id: 2, email: c } }
output:
  - { op: c, after: { id: 1, was: null, moved: null } }
  - { op: u, after: { id: 1, was: a, moved: false } }
  - { op: u, after: { id: 1, was: b, moved: true } }
  - { op: d, before: { id: 1 } }
  - { op: c, after: { id: 2, was: null, moved: null } }`
  const text = withTest(body).replace(/projection: .*/, `projection: ${projection}`)
  const plain = text.replace(/^ +(?:filter|mask): .*\n/gm, '')
  expect(await run(writeFile(plain))).toEqual({ code: 0, out: '✔ users\n1 passed, 0 failed\n' })
  const without = await run(writeFile(plain.replace('before: { email: a }, ', '')))
  expect([without.code, without.out]).toEqual([5, expect.stringContaining('has no such row')])
})

test('a row that differs is told with its place, beside the one that is nearest to it', async () => {
  const body = `input:
  - { op: c, after: { id: 1, email: Ann@X.io } }
  - { op: c, after: { id: 2, email: Bob@X.io } }
output:
  - { op: c, after: { id: 1, low: Ann@x.io } }`
  expect(await outcome(body)).toEqual({
    code: 5,
    out: [
      '✗ users  FILE:20:11',
      '    FILE:28:9 output[0]: low is "ann@x.io", not "Ann@x.io"',
      '    FILE:20:11 came too: c { id: 2, email: "Bo**X.io", amount: null, low: "bob@x.io" }',
      '0 passed, 1 failed',
      '',
    ].join('\n'),
  })
})

test('a pattern does not take the one row that a value needs', async () => {
  const body = `input:
  - { op: c, after: { id: 1 } }
  - { op: c, after: { id: 2 } }
output:
  - { op: c, after: { id: any } }
  - { op: c, after: { id: 1 } }`
  expect((await outcome(body)).code).toBe(0)
  expect((await outcome(`${body}\nordered: true`)).code).toBe(5)
})

test.each([
  ['{ op: c, after: { id: 1, emial: x } }', 'there is no column "emial" (did you mean "email"?)'],
  ['{ op: c, after: { email: x } }', 'input[0].after lacks "id", which cannot be null'],
  ['{ op: c, after: { id: 1, email: 7 } }', 'text is wanted: put it in quotes'],
  [
    '{ op: c, after: { id: 1, amount: 1.234 } }',
    'input[0].after.amount: "1.234" is no decimal(20, 2)',
  ],
  ['{ op: d, after: { id: 1 } }', 'a row with op d needs `before`'],
  ['{ op: x, after: { id: 1 } }', 'must be one of c, u, d, r'],
])('the row %s is refused', async (row, message) => {
  const { code, out } = await outcome(`input: [${row}]\noutput: []`)
  expect([2, 5]).toContain(code)
  expect(out).toContain(message)
})

test('tests may stand in a file of their own, and what fails there is told there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tests-'))
  writeFileSync(join(folder, 'shop.yaml'), `${COMPLETE}${TRANSFORM}`)
  const own = withTest('input: [{ op: c, after: { id: 1 } }]\noutput: []')
  const file = join(folder, 'shop.test.yaml')
  writeFileSync(file, own.slice(own.indexOf('tests:')))
  expect((await run(file)).out).toMatch(/^✗ users {2}FILE:2:11\n {4}FILE:2:11 came too: c/)
  const { code, out } = await run(file, '--json')
  expect(code).toBe(5)
  expect(JSON.parse(out)).toMatchObject({ failed: 1, tests: [{ ok: false, line: 2, column: 11 }] })
  expect((await run(join(folder, 'shop.yaml'))).out).toContain('has no tests')
  writeFileSync(file, `sink: {}\n${own.slice(own.indexOf('tests:'))}`)
  expect((await run(file)).out).toContain('MR-1002 FILE:1:1 "sink" has no place')
})

test('a table without columns, not selected, or routed elsewhere is told', async () => {
  const rows = 'input: [{ op: c, after: { id: 1 } }]\noutput: { lake.other: [] }'
  expect((await outcome(rows)).out).toContain('rows go to lake.users, not to lake.other')
  const bare = withTest(rows).replace(COLUMNS, '')
  expect((await run(writeFile(bare))).out).toContain('the columns of public.users are not known')
  const other = withTest(rows).replace('table: public.users', 'table: shop.users')
  expect((await run(writeFile(other))).out).toContain('selects no table "shop.users"')
  expect((await run(writeFile(changed()))).code).toBe(2)
})
