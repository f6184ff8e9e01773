// The manual of expressions as a document: docs/expressions.md is this text, and a test holds it to
// that. Functions and differences come from the tables that the program and its tests use.
// tidy: template: the document's own lines.

import { differences } from '../data/expression/differences.ts'
import type { FunctionGroup } from '../data/expression/functions/function.ts'
import { functions, REFUSED } from '../data/expression/functions/registry.ts'
import { REWRITTEN } from '../data/expression/resolve/rewritten.ts'

const HEAD = `# Expressions

Projections and filters of pipeline files. \`millrace explain-expr EXPR --columns LIST\` prints the
types of an expression and the code that computes it. This file is printed by
\`millrace explain-expr --markdown\`.

## Grammar

| | |
|---|---|
| projection | \`*\`, \`* EXCEPT (a, b)\`, \`expression AS name\`, separated by commas |
| operators, strongest first | \`[n]\` \`->\` \`->>\` \`::type\` \`AT TIME ZONE\`; unary \`-\`; \`*\` \`/\` \`%\`; \`+\` \`-\`; \`\\|\\|\`; comparisons, \`IS\`, \`BETWEEN\`, \`IN\`, \`LIKE\`, \`ILIKE\`; \`NOT\`; \`AND\`; \`OR\` |
| literals | \`1\`, \`1.50\` (a decimal), \`1e3\` (a double), \`'text'\`, \`TRUE\`, \`NULL\`, \`DATE '2026-01-31'\`, \`TIME '23:59:59'\`, \`TIMESTAMP '2026-01-31 23:59:59'\`, \`TIMESTAMPTZ '2026-01-31T23:59:59+01:00'\`, \`INTERVAL '5' MINUTE\` |
| casts | \`CAST(x AS type)\`, \`x::type\`, \`TRY_CAST(x AS type)\` (null where the cast fails) |
| conditional | \`CASE\`, \`if(c, a, b)\`, \`coalesce(x...)\`, \`ifnull(a, b)\`, \`nullif(a, b)\`, \`try(x)\` (null for an error) |
| parts of a time | \`EXTRACT(unit FROM t)\`, as \`date_part\` |
| names | as they are, else the one that differs in case only; in double quotes or backticks if they are words of the grammar; only those are reserved |

Types are those of the lake: boolean, int, long, float, double, decimal(p, s), date, time, timestamp,
timestamptz, string, json, uuid, binary, list<type>.

## Rules

- **Numbers.** int and long give long; what leaves it is an error, never a wrap. \`/\` of integers
  truncates. Decimals: \`+\` and \`-\` give (max(p1-s1, p2-s2) + max(s1, s2) + 1, max(s1, s2)), \`*\` gives
  (p1+p2, s1+s2), \`/\` has scale max(6, s1+p2+1); above 38 digits scale is given up down to 6, rounded
  half away from zero. A decimal with a double is a double. float with float is a float.
- **Comparison.** NaN equals NaN and is greater than all numbers; -0 equals 0; texts compare by their
  UTF-8 bytes. Texts are not compared with anything else: write the cast.
- **Null.** SQL's three-valued logic, also in \`IN\`, \`NOT IN\` and \`BETWEEN\`.
- **Errors** are values: \`FALSE AND error\` is FALSE, \`TRUE OR error\` is TRUE, and a branch of \`CASE\`,
  \`if\` or \`coalesce\` that a row does not take is not evaluated. So nothing depends on an order.
- **Time.** A timestamp has no zone, a timestamptz is an instant. A conversion names its zone, else it is
  that of the pipeline (UTC). A local time that does not exist moves forward by the gap; of one that
  exists twice the earlier is meant. An interval of months keeps the day, or takes the last of the month.
- **LIKE.** \`%\` is any text, \`_\` one code point; a backslash, or the character behind \`ESCAPE\`, takes
  the next one as it is.
`

const GROUPS: readonly (readonly [FunctionGroup, string])[] = [
  ['string', 'Texts'],
  ['numeric', 'Numbers'],
  ['time', 'Dates and times'],
  ['json', 'JSON'],
  ['list', 'Lists'],
  ['hash', 'Hashes and masks'],
  ['change', 'Changes'],
]

/** @returns Markdown, with a line feed at its end */
export function expressionManual(): string {
  const chapters = GROUPS.flatMap(([group, title]) => {
    const rewritten = [...REWRITTEN].map(([name, rest]) => ({ name, ...rest }))
    const all = [...functions.values(), ...rewritten]
    const specs = all.filter((spec) => spec.group === group)
    return specs.length === 0 ? [] : [chapter(title, specs)]
  })
  const table = (names: Iterable<readonly [string, string]>): string =>
    [...names].map(([name, instead]) => `| \`${name}\` | ${instead} |\n`).join('')
  const others = Object.values(differences).map(
    ({ subject, reason }) => `| ${cell(subject)} | ${cell(reason)} |\n`,
  )
  return [
    HEAD,
    '## Functions\n\nNull in, null out, unless said otherwise.\n',
    ...chapters,
    `### Refused\n\nThey would give another value at every replay.\n\n| | instead |\n|---|---|\n${table(REFUSED)}`,
    '## Differences from other databases\n\n' +
      'All operators and functions are tested against DuckDB on random inputs. These differences are ' +
      `on purpose:\n\n| | here |\n|---|---|\n${others.join('')}`,
  ].join('\n')
}

interface Described {
  readonly name: string
  readonly usage: string
  readonly summary: string
}

function chapter(title: string, specs: readonly Described[]): string {
  const sorted = [...specs].sort((a, b) => (a.name < b.name ? -1 : 1))
  const rows = sorted.map(({ usage, summary }) => `| \`${cell(usage)}\` | ${cell(summary)} |\n`)
  return `### ${title}\n\n| | |\n|---|---|\n${rows.join('')}`
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}
