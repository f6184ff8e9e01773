// Functions for which DuckDB has no counterpart: held by properties and by other implementations.

import { expect, test } from 'vitest'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { putValue, valueAt, type ColumnValue } from '../../runtime/data/expression/column-value.ts'
import { evaluateOurs } from './oracle.ts'

/** The values of an expression over one column `s` of texts; an error is null. */
function overTexts(expression: string, texts: readonly string[]): ColumnValue[] {
  const type = { kind: 'string' } as const
  const builder = columnBuilder(type)
  for (const [row, text] of texts.entries()) putValue(builder, row, text)
  const columns = [{ name: 's', type, nullable: true }]
  const compiled = compileExpressions(columns, { projection: `${expression} AS result` })
  const [result] = compiled.evaluate([builder.view(texts.length)], texts.length).columns
  return texts.map((_, row) => valueAt(result!, row))
}

test('initcap is upper case at the start of a word and lower case behind', () => {
  const texts = ['ab CD-e1f', "o'NEIL", 'éA ßa', '1ab', '', 'ΟΔΟΣ']
  const expected = ['Ab Cd-E1f', "O'Neil", 'Éa ßa', '1ab', '', 'Οδοσ']
  expect(overTexts('initcap(s)', texts)).toEqual(expected)
})

test('letters that differ in case alone have one collate key', () => {
  const letters: string[] = []
  for (let code = 1; code < 0x1_f000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue
    const letter = String.fromCodePoint(code)
    if (letter.toUpperCase() !== letter || letter.toLowerCase() !== letter) letters.push(letter)
  }
  expect(letters.length).toBeGreaterThan(2500)
  const keys = overTexts("collate_key(s, 'und-ci')", letters)
  for (const change of ['toUpperCase', 'toLowerCase'] as const) {
    const changed = overTexts(
      "collate_key(s, 'und-ci')",
      letters.map((letter) => letter[change]()),
    )
    const apart = letters.filter((_, row) => keys[row] !== changed[row])
    // The dotless i is not the i that it has in common with an upper case I.
    expect(apart).toEqual(change === 'toUpperCase' ? ['ı'] : [])
  }
})

test('collate keys ignore how letters are composed, and nothing else', () => {
  const texts = ['Ä', 'a\u0308', 'ä', 'A', 'straße', 'STRASSE', 'a ', 'Ω\u0301', 'ώ']
  const keys = overTexts("collate_key(s, 'und-ci')", texts)
  expect(keys).toEqual(['ä', 'ä', 'ä', 'a', 'strasse', 'strasse', 'a ', 'ώ', 'ώ'])
})

test('host and port of a URL are those that the WHATWG parser finds', () => {
  const urls = ['http://u:p@example.org:8443/x?y#z', 'http://[2001:db8::1]:99/', 'http://a.b/c:1']
  const parsed = urls.map((url) => new URL(url))
  expect(overTexts("url_part(s, 'host')", urls)).toEqual(parsed.map(({ hostname }) => hostname))
  expect(overTexts("url_part(s, 'port')", urls)).toEqual(parsed.map(({ port }) => port || null))
  expect(overTexts("url_part(s, 'user')", urls)).toEqual(['u:p', null, null])
})

test('texts made by number have an end', () => {
  for (const made of ["repeat('ab', l)", "lpad('a', l)", "rpad('a', l, 'xyz')"]) {
    expect(evaluateOurs(made).failed.size).toBeGreaterThan(0)
  }
})
