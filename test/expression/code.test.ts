// Generated code has nothing in it that a user wrote, and says which output failed.

import { expect, test } from 'vitest'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { putValue, valueAt } from '../../runtime/data/expression/column-value.ts'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import type { ExpressionColumn } from '../../runtime/data/expression/compile.ts'

const EVIL = "x'); globalThis.hacked = true; //\n`${globalThis.hacked = true}`*/"

const columns: readonly ExpressionColumn[] = [
  { name: EVIL, type: { kind: 'string' }, nullable: true },
  { name: 'n', type: { kind: 'long' }, nullable: true },
]

test('names, texts and numbers of users are indexes and parameters', () => {
  const name = `"${EVIL.replaceAll('"', '""')}"`
  const literal = `'${EVIL.replaceAll("'", "''")}'`
  const projection = [
    `upper(${name}) || ${literal} AS a`,
    `${name} LIKE ${literal} AS b`,
    `CASE WHEN n = 123456789 THEN ${literal} ELSE ${name} END AS c`,
    `n IN (11, 22, 33, 44, 55, 66, 77, 88, 987654321) AS d`,
    `json_text(${name}, ${literal}) AS e`,
    `n * 1234567890123456789 + 1.0625 AS f`,
  ].join(', ')
  const code = compileExpressions(columns, { projection, filter: `${name} <> ${literal}` }).code()
  const text = code.join('\n')
  expect(text).not.toMatch(/hacked|globalThis|x'|987654321|123456789|625/)
  // The only text in it is the directive.
  expect(text.replaceAll("'use strict'", '')).not.toMatch(/['"`]/)
})

test('failures are numbered among all outputs, those passed on included', () => {
  const projection = 'n, n / 0 AS a, n AS b, n % 0 AS c'
  const builder = columnBuilder({ kind: 'long' })
  putValue(builder, 0, 5n)
  const compiled = compileExpressions(columns.slice(1), { projection, filter: 'n > 0' })
  const { failures } = compiled.evaluate([builder.view(1)], 1)
  const outputs = Array.from({ length: failures.count }, (_, at) => failures.describe(at).output)
  expect(outputs).toEqual([1, 3])
})

test('nulls in a column that is declared not null reach what is made of it', () => {
  const builder = columnBuilder({ kind: 'string' })
  for (const [row, value] of ['a', null, 'b'].entries()) putValue(builder, row, value)
  const required: ExpressionColumn[] = [{ name: 's', type: { kind: 'string' }, nullable: false }]
  for (const projection of ['upper(s) AS r', 'upper(upper(s)) AS r', "s || 'x' AS r"]) {
    const compiled = compileExpressions(required, { projection })
    const { columns: outputs } = compiled.evaluate([builder.view(3)], 3)
    expect(valueAt(outputs[0]!, 1), projection).toBe(null)
    expect(valueAt(outputs[0]!, 2), projection).not.toBe(null)
  }
})
