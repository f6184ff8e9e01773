// The name of a table in checkpoints, messages and on the command line stands for one table.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { namesOf, tableKey } from '../../runtime/data/schema.ts'

const name = fc.string({
  unit: fc.constantFrom('a', '.', '\\', '"', ' ', 'é', '\n'),
  minLength: 1,
  maxLength: 6,
})

test('the key of a table tells its schema and its name, whatever dots they have', () => {
  fc.assert(
    fc.property(name, name, (namespace, table) => {
      expect(namesOf(tableKey({ namespace, name: table }))).toEqual({ namespace, name: table })
    }),
  )
})

test('a schema without a dot stands in the key as it is', () => {
  expect(tableKey({ namespace: 'public', name: 'a.b' })).toBe('public.a.b')
})
