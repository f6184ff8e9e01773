// Functions for which DuckDB has no counterpart: held by properties and by other implementations.

import { createHash, createHmac } from 'node:crypto'
import { BlockList } from 'node:net'
import { expect, test } from 'vitest'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { putValue, valueAt, type ColumnValue } from '../../runtime/data/expression/column-value.ts'
import { evaluateOurs } from './oracle.ts'

const KEY = Buffer.from('a key of sixteen')

/** The values of an expression over one column `s` of texts; an error is null. */
function overTexts(expression: string, texts: readonly string[]): ColumnValue[] {
  const type = { kind: 'string' } as const
  const builder = columnBuilder(type)
  for (const [row, text] of texts.entries()) putValue(builder, row, text)
  const columns = [{ name: 's', type, nullable: true }]
  const compiled = compileExpressions(
    columns,
    { projection: `${expression} AS result` },
    { maskKey: KEY },
  )
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

test('hmac_sha256 is the HMAC of RFC 2104 under the key, and refused without one', () => {
  const texts = ['', 'abc', 'ä', 'x'.repeat(200)]
  const hashes = texts.map((text) => createHmac('sha256', KEY).update(text).digest('hex'))
  expect(overTexts('hmac_sha256(s)', texts)).toEqual(hashes)
  const columns = [{ name: 's', type: { kind: 'string' }, nullable: true } as const]
  const projection = 'hmac_sha256(s) AS h'
  expect(() => compileExpressions(columns, { projection })).toThrow('hmac_sha256 needs a key')
})

test('xxhash64 is XXH64 with seed 0', () => {
  // Of the reference implementation, over inputs of every branch of it: 0, 1, 3, 14, 39 bytes.
  const texts = [
    '',
    'a',
    'abc',
    'message digest',
    'Nobody inspects the spammish repetition',
    'abcdefghijklmnopqrstuvwxyz',
  ]
  const hashes = [
    0xef46db3751d8e999n,
    0xd24ec4f1a98c6e5bn,
    0x44bc2cf5ad770999n,
    0x066ed728fceeb3ben,
    0xfbcea83c8a378bf1n,
    0xcfe1f278fa89835cn,
  ]
  expect(overTexts('xxhash64(s)', texts)).toEqual(hashes.map((hash) => BigInt.asIntN(64, hash)))
  const eight = [String.fromCharCode(1, 2, 3, 4, 5, 6, 7, 8)]
  expect(overTexts('xxhash64(578437695752307201)', eight)).toEqual(overTexts('xxhash64(s)', eight))
})

test('shifts move the 64 bits of a long as BigInt does', () => {
  const longs = evaluateOurs('l').values
  for (const n of [0, 1, 31, 32, 33, 63, 64, 1000]) {
    const [left, right] = ['left', 'right'].map((way) => evaluateOurs(`shift_${way}(l, ${n})`))
    const shifted = (by: bigint) => (value: ColumnValue) =>
      value === null
        ? null
        : BigInt.asIntN(64, by < 0n ? (value as bigint) >> -by : (value as bigint) << by)
    expect(left?.values).toEqual(longs.map(shifted(BigInt(n))))
    expect(right?.values).toEqual(longs.map(shifted(BigInt(-n))))
  }
  expect(evaluateOurs('shift_left(l, -1)').values.every((value) => value === null)).toBe(true)
})

test('a power without a value is an error, and 1 to any power is 1', () => {
  expect(overTexts('power(CAST(s AS double), -1)', ['0', '-2', 'NaN'])).toEqual([null, -0.5, NaN])
  expect(overTexts('power(-8, CAST(s AS double))', ['0.5', '3', '1e400'])).toEqual([
    null,
    -512,
    null,
  ])
  expect(overTexts('power(1, CAST(s AS double))', ['NaN', 'infinity'])).toEqual([1, 1])
})

test('numbers of a document keep their digits through every function of JSON', () => {
  const texts = ['{"n": 9007199254740993, "d": 0.1000, "e": 1E400, "l": [1, 2.50]}']
  expect(overTexts("json_value(s, '$.n')", texts)).toEqual(['9007199254740993'])
  expect(overTexts("json_extract(s, '$.n', 'long')", texts)).toEqual([9_007_199_254_740_993n])
  expect(overTexts("json_query(s, '$.l')", texts)).toEqual(['[1, 2.50]'])
  expect(overTexts("json_value(s, '$.e')", texts)).toEqual(['1E400'])
  expect(overTexts("json_query(s, '$.l[*]')", texts)).toEqual(['[1,2.50]'])
  expect(overTexts('to_json(9223372036854775807)', texts)).toEqual(['9223372036854775807'])
  expect(overTexts("json_extract(s, '$.d', 'decimal(5,4)')", texts)).toEqual([1000n])
})

test('a path or pattern that is none is refused when it is compiled', () => {
  const refused: readonly (readonly [string, string])[] = [
    ["json_value(s, '$..a')", '".." is not supported'],
    ["json_value(s, 'a')", 'it does not begin with $'],
    ["json_value(s, '$[*]')", 'a path with [*] has several values'],
    ["json_query(s, '$.')", 'is no step'],
    ["to_date(s, 'dd.MM')", 'it has no year'],
    ["to_date(s, 'yy-MM-dd')", 'does not say which century'],
    ["to_timestamp(s, 'yyyy hh')", '"h" and "a" go together'],
    ["to_timestamp(s, 'yyyy XXX')", 'a timestamp has no offset'],
    ["to_date(s, 'qqq')", 'is no letter'],
    ["date_trunc('fortnight', DATE '2026-01-01')", 'there is no unit "fortnight"'],
    ["date_trunc('hour', DATE '2026-01-01')", 'there is no unit "hour" of a date'],
    ["from_unix(1, 'h')", 'there is no unit "h"'],
    ['before(s)', 'before has no value of "s"'],
    ['commit_time()', 'commit_time has no value here'],
    ["json_extract(s, '$.a', s)", 'a type is expected'],
    ['mod(1)', 'mod takes 2 arguments'],
  ]
  for (const [expression, message] of refused) {
    expect(() => overTexts(expression, ['']), expression).toThrow(message)
  }
})

test('what does not fit its pattern is an error, and a document that is none as well', () => {
  const texts = ['2026-02-29', '2026-2-01', '2026-02-01 ', 'x', '2024-02-29', '']
  const day = 19_782n
  const dates = [null, null, null, null, day, null]
  expect(overTexts("to_date(s, 'yyyy-MM-dd')", texts)).toEqual(dates)
  expect(overTexts('to_timestamp(s)', ['2026-01-01T00:00:00Z'])).toEqual([null])
  expect(overTexts('json_type(s)', ['{', '[1', '1 2', 'nul'])).toEqual([null, null, null, null])
  expect(overTexts('json_keys(s)', ['{"a":1,"b":2,"a":3}', '[]'])).toEqual([['a', 'b'], null])
  expect(overTexts('json_length(s)', ['{"a":1,"b":2,"a":3}', '[1]', '7'])).toEqual([2n, 1n, null])
})
