// Functions for which DuckDB has no counterpart: held by properties and by other implementations.

import { createHash } from 'node:crypto'
import { BlockList } from 'node:net'
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

test('sha512 and the wrong texts of hexadecimal digits and base64', () => {
  const texts = ['', 'abc', 'ä', 'zz', 'abcd', 'YQ==', 'YQ', '====', 'Y===']
  const digests = texts.map((text) => createHash('sha512').update(text).digest('hex'))
  expect(overTexts('sha512(s)', texts)).toEqual(digests)
  const given = (values: ColumnValue[]): boolean[] => values.map((value) => value !== null)
  const [yes, no] = [true, false]
  expect(given(overTexts('from_hex(s)', texts))).toEqual([yes, no, no, no, yes, no, no, no, no])
  expect(given(overTexts('from_base64(s)', texts))).toEqual([yes, no, no, no, yes, yes, no, no, no])
})

test('an address lies in its prefix, and no bit behind the prefix is set', () => {
  const addresses = ['10.1.2.255', '255.255.255.255', '2001:db8::ff:1', '::1', '::ffff:1.2.3.4']
  for (const bits of [0, 1, 9, 24, 31, 32]) {
    for (const [row, prefix] of overTexts(`ip_prefix(s, ${bits})`, addresses).entries()) {
      const [network = '', length] = String(prefix).split('/')
      const family = network.includes(':') ? 'ipv6' : 'ipv4'
      const list = new BlockList()
      list.addSubnet(network, Number(length), family)
      expect(list.check(addresses[row]!, family), `${addresses[row]} in ${prefix}`).toBe(true)
      expect(overTexts(`ip_prefix(s, ${bits})`, [network])).toEqual([prefix])
    }
  }
  const broken = ['', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', ':::', '256.1.1.1']
  expect(overTexts('ip_prefix(s, 8)', broken)).toEqual(broken.map(() => null))
  expect(overTexts('ip_prefix(s, 48)', ['2001:db8:0:1:2::'])).toEqual(['2001:db8::/48'])
  expect(overTexts('ip_prefix(s, 128)', ['1:0:0:2:0:0:0:3'])).toEqual(['1:0:0:2::3/128'])
})

test('buckets are those of the examples of the specification of Iceberg', () => {
  // Appendix B: the hash of 'iceberg' is 1210000089; of 34 as int and long 2017239379.
  expect(overTexts('iceberg_bucket(1000, s)', ['iceberg'])).toEqual([89n])
  for (const number of ['34', 'CAST(34 AS long)', 'length(s) + 27']) {
    expect(overTexts(`iceberg_bucket(1000, ${number})`, ['iceberg'])).toEqual([379n])
  }
})
