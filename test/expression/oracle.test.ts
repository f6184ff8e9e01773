import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import { expressionManual } from '../../runtime/cli/expression-manual.ts'
import { differences, type DifferenceName } from '../../runtime/data/expression/differences.ts'
import {
  arithmeticCases,
  castCases,
  comparisonCases,
  logicCases,
  textCases,
  timeCases,
} from './cases/operators.ts'
import { hashCases } from './cases/hash.ts'
import { jsonCases } from './cases/json.ts'
import { listCases } from './cases/list.ts'
import { numericCases } from './cases/numeric.ts'
import { stringCases } from './cases/string.ts'
import { timeFunctionCases } from './cases/time.ts'
import { Oracle, type OracleCase } from './oracle.ts'

let oracle: Oracle

beforeAll(async () => {
  oracle = await Oracle.open()
})

// A group of functions has a file in cases/: add its list here.
const cases: readonly OracleCase[] = [
  ...arithmeticCases,
  ...comparisonCases,
  ...logicCases,
  ...textCases,
  ...castCases,
  ...timeCases,
  ...stringCases,
  ...hashCases,
  ...numericCases,
  ...timeFunctionCases,
  ...jsonCases,
  ...listCases,
]

test.each(cases)('$ours is what DuckDB says', async (one) => {
  await oracle.check(one)
})

test('docs/expressions.md is the manual, and each of its differences is one', () => {
  const manual = readFileSync(new URL('../../docs/expressions.md', import.meta.url), 'utf8')
  expect(manual).toBe(expressionManual())
  const declared = new Set(cases.flatMap(({ differs }) => differs?.name ?? []))
  expect(Object.keys(differences).filter((name) => !declared.has(name as DifferenceName))).toEqual(
    [],
  )
})
