import { expect, test } from 'vitest'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import { putValue, valueAt } from '../../runtime/data/expression/column-value.ts'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import type { ExpressionColumn } from '../../runtime/data/expression/compile.ts'
import { randomOf } from './inputs.ts'

const columns: readonly ExpressionColumn[] = [
  { name: 's', type: { kind: 'string' }, nullable: true },
  { name: 'p', type: { kind: 'boolean' }, nullable: false },
]

/** Values, nulls and failures of `projection` over these texts, in batches of `size`. */
function evaluate(projection: string, texts: readonly (string | null)[], size: number): unknown[] {
  const compiled = compileExpressions(columns, { projection: `${projection} AS r` })
  const results: unknown[] = []
  for (let start = 0; start < texts.length; start += size) {
    const part = texts.slice(start, start + size)
    const batch = columns.map(({ type }) => columnBuilder(type))
    for (const [row, text] of part.entries()) {
      putValue(batch[0]!, row, text)
      putValue(batch[1]!, row, (start + row) % 3 === 0)
    }
    const views = batch.map((builder) => builder.view(part.length))
    const { columns: outputs, failures } = compiled.evaluate(views, part.length)
    const failed = failures.byRow()
    for (const row of part.keys()) {
      results.push(failed.get(row)?.message ?? valueAt(outputs[0]!, row))
    }
  }
  return results
}

const PROJECTIONS = [
  "s ->> 'a'",
  "s -> 'b'",
  "CASE WHEN p THEN s ->> 'a' ELSE 'no' END",
  "try(s ->> 'a')",
]

test('a costly function gives the same whether values repeat in a batch or not', () => {
  const random = randomOf(3)
  const repeated = ['{"a": "x", "b": [1]}', '{"a": 2}', '{}', 'broken', '', '{"b": {}}', null]
  const unique = Array.from({ length: 300 }, (_, index) => `{"a": ${index}}`)
  for (const share of [1, 0.9, 0.3]) {
    const texts = Array.from({ length: 2000 }, () => {
      const values = random() < share ? repeated : unique
      return values[Math.floor(random() * values.length)]!
    })
    for (const projection of PROJECTIONS) {
      // Batches below 64 rows are not looked at for repeats.
      expect(evaluate(projection, texts, 2000)).toEqual(evaluate(projection, texts, 50))
    }
  }
})
