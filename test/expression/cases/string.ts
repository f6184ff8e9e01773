// Functions of texts against DuckDB.

import type { OracleCase } from '../oracle.ts'

const THEIR_URL = "(url_encode(a) || '://u@' || u || ':1/' || s || '?' || a || '#' || c1)"
const URL = "concat(url_encode(a), '://u@', u, ':1/', s, '?', a, '#', c1)"
/** RFC 3986, appendix B. */
const URL_PATTERN = '^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\\?([^#]*))?(#(.*))?'

function urlCase(part: string, group: number, marked?: number): OracleCase {
  const theirs = `regexp_extract(${THEIR_URL}, '${URL_PATTERN}', ${group}, 's')`
  if (marked === undefined) return { ours: `url_part(${URL}, '${part}')`, theirs }
  const mark = `regexp_extract(${THEIR_URL}, '${URL_PATTERN}', ${marked}, 's')`
  return {
    ours: `url_part(${URL}, '${part}')`,
    theirs: `CASE WHEN ${THEIR_URL} IS NOT NULL AND ${mark} <> '' THEN ${theirs} END`,
  }
}

const PATTERNS = ['[a-c]+', '\\d', '(a|ab)(c|bcd)?', '^.', 'x*', '\\p{L}+', '(?i)ä', 'a$', '(b)|c']

export const stringCases: readonly OracleCase[] = [
  { ours: 'length(s)' },
  { ours: 'octet_length(s)', theirs: 'strlen(s)' },
  { ours: 'octet_length(bin)' },
  {
    ours: 'upper(s)',
    differs: { name: 'UPPER_ESZETT', where: ({ s }) => String(s).includes('ß') },
  },
  { ours: 'lower(s)' },
  { ours: 'lower(a)' },
  { ours: 'starts_with(s, c1)' },
  { ours: 'ends_with(s, c1)' },
  { ours: 'contains(s, c1)' },
  { ours: 'position(c1, s)', theirs: 'strpos(s, c1)' },
  { ours: 'concat_ws(u, s, c1)' },
  { ours: "concat_ws(', ', i, b, p, id, d, ts, tm, s)" },
  { ours: 'concat(u, s)', theirs: 'u || s' },
  { ours: 'concat(l, m, q, v, c, e)', theirs: 'l || m::TEXT || q || v || c || e' },
  { ours: 'concat(tz)', theirs: 'tz::TEXT' },
  {
    ours: 'reverse(s)',
    theirs: "array_to_string(list_reverse(list_transform(range(length(s)), i -> s[i + 1])), '')",
  },
  { ours: 'trim(s)' },
  { ours: 'ltrim(s)' },
  { ours: 'rtrim(s)' },
  { ours: 'trim(s, u)' },
  { ours: 'ltrim(s, u)' },
  { ours: "rtrim(a, 'abc ')" },
  {
    ours: 'substring(s, n)',
    differs: { name: 'SUBSTRING_BEFORE', where: ({ n }) => Number(n) < 0 },
  },
  { ours: 'substring(s, abs(n), 3)' },
  {
    ours: 'substring(u, abs(n), k)',
    differs: { name: 'SUBSTRING_BEFORE', where: ({ k }) => Number(k) < 0 },
  },
  { ours: 'left(s, n)' },
  { ours: 'right(s, n)' },
  { ours: 'left(s, l)', theirs: 'left(s, greatest(least(l, 1000), -1000))' },
  { ours: 'right(s, l)', theirs: 'right(s, greatest(least(l, 1000), -1000))' },
  {
    ours: 'lpad(s, n, c1)',
    theirs:
      "CASE WHEN c1 = '' THEN left(s, CASE WHEN n < 0 THEN 0 ELSE n END) ELSE lpad(s, n, c1) END",
  },
  {
    ours: 'rpad(s, n, c1)',
    theirs:
      "CASE WHEN c1 = '' THEN left(s, CASE WHEN n < 0 THEN 0 ELSE n END) ELSE rpad(s, n, c1) END",
  },
  { ours: 'lpad(s, n)', theirs: "lpad(s, n, ' ')" },
  { ours: 'rpad(a, 12)', theirs: "rpad(a, 12, ' ')" },
  { ours: 'repeat(s, n)' },
  { ours: 'replace(s, c1, u)' },
  { ours: 'translate(s, u, c1)' },
  {
    ours: 'split(s, left(c1, 1))',
    theirs: 'CASE WHEN c1 IS NOT NULL THEN string_split(s, left(c1, 1)) END',
  },
  { ours: 'split(u, c1)', theirs: 'CASE WHEN c1 IS NOT NULL THEN string_split(u, c1) END' },
  { ours: 'split_part(s, left(c1, 1), n)' },
  { ours: "split_part(a, ' ', n)" },
  ...PATTERNS.flatMap((pattern): OracleCase[] => [
    { ours: `regexp_like(s, '${pattern}')`, theirs: `regexp_matches(s, '${pattern}')` },
    {
      ours: `regexp_extract(s, '${pattern}')`,
      theirs: `CASE WHEN regexp_matches(s, '${pattern}') THEN regexp_extract(s, '${pattern}') END`,
    },
    {
      ours: `regexp_count(s, '${pattern}')`,
      theirs: `len(regexp_extract_all(s, '${pattern}'))`,
    },
    {
      ours: `regexp_replace(s, '${pattern}', '<\\0>')`,
      theirs: `regexp_replace(s, '${pattern}', '<\\0>', 'g')`,
    },
  ]),
  {
    ours: "regexp_extract(s, '[a-c]+')",
    differs: { name: 'NO_MATCH', where: ({ s }) => !/[a-c]/.test(String(s)) },
  },
  {
    ours: "regexp_extract(s, '([a-c])([A-C])', 2)",
    theirs: "nullif(regexp_extract(s, '([a-c])([A-C])', 2), '')",
  },
  {
    ours: "regexp_replace(a, '([a-c])([x-z])', '\\2\\\\\\1')",
    theirs: "regexp_replace(a, '([a-c])([x-z])', '\\2\\\\\\1', 'g')",
  },
  {
    ours: "regexp_replace(a, 'a', '')",
    differs: { name: 'REPLACE_ALL', where: ({ a }) => String(a).split('a').length > 2 },
  },
  { ours: 'regexp_like(s, lower(a))', theirs: 'regexp_matches(s, lower(a))', fails: true },
  { ours: 'chr(n + 100)', theirs: 'chr(n + 100)' },
  {
    ours: 'chr(i)',
    theirs: 'CASE WHEN i BETWEEN 0 AND 55295 OR i BETWEEN 57344 AND 1114111 THEN chr(i) END',
  },
  { ours: 'codepoint(s)', theirs: "CASE WHEN s <> '' THEN unicode(s) END" },
  { ours: 'url_encode(s)' },
  { ours: 'url_decode(s)', fails: true },
  { ours: 'url_decode(url_encode(s))', theirs: 's' },
  {
    ours: "url_decode(concat('%4', a, '%c3%a9', a))",
    theirs: "url_decode('%4' || a || '%c3%a9' || a)",
  },
  urlCase('scheme', 2, 1),
  urlCase('authority', 4, 3),
  urlCase('path', 5),
  urlCase('query', 7, 6),
  urlCase('fragment', 9, 8),
  { ours: 'normalize(s)', theirs: 'nfc_normalize(s)' },
  { ours: "normalize(normalize(s, 'nfd'), 'nfc')", theirs: 'nfc_normalize(s)' },
]
