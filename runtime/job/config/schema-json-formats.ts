// Formats of records that are JSON: by themselves, and as envelopes of the changes of a database.

import { z } from 'zod'
import { jsonColumns } from './schema-json-columns.ts'
import { text } from './schema-values.ts'

const UNKNOWN = 'ignore, evolve, or { rest: COLUMN }'

export const json = z
  .strictObject({
    format: z.literal('json'),
    schema: jsonColumns.prefault({}).describe('Columns by name, with their types.'),
    unknown: z
      .union(
        [
          z.enum(['ignore', 'evolve']).transform((kind) => ({ kind })),
          z
            .strictObject({ rest: text('the name of a column') })
            .transform(({ rest }) => ({ kind: 'rest' as const, column: rest })),
        ],
        UNKNOWN,
      )
      .prefault('ignore')
      .describe(
        'Members that are not in `schema`. evolve: each gets a column, of the type of its first ' +
          'value. rest: an object of them, in a json column.',
      ),
  })
  .superRefine(({ schema, unknown }, context) => {
    // Columns with a fault of their own have not become a list.
    if (!Array.isArray(schema) || schema.length > 0 || unknown.kind !== 'ignore') return
    const message = 'at least one column, or take them as they come by `unknown: evolve`'
    context.addIssue({ code: 'custom', path: ['schema'], message })
  })
  .describe('A record is one JSON object, and becomes one row.')

const columns = jsonColumns
  .optional()
  .describe('Columns by name, with their types; default: as the records say.')

const tables = z
  .array(text('a name such as shop.orders'), 'a list of names such as [shop.orders]')
  .min(1, 'a list of at least one name such as [shop.orders]')
  .optional()
  .describe('Tables whose changes are taken, others are passed over. Default: all must be of one.')

export const debeziumJson = z
  .strictObject({
    format: z.literal('debezium-json'),
    columns,
    unavailable_value: text("the connector's `unavailable.value.placeholder`")
      .prefault('__debezium_unavailable_value')
      .describe('What stands for a value that the database did not log.'),
  })
  .superRefine(({ columns: declared }, context) => {
    if (!Array.isArray(declared)) return
    for (const { name, type, written } of declared) {
      // Digits may be base64 as well: a guess would be wrong without a sign of it.
      if (type.kind !== 'decimal' || written) continue
      const message = "a block with `encoding`: base64, which is Debezium's default, or text"
      context.addIssue({ code: 'custom', path: ['columns', name], message })
    }
  })
  .describe('Changes as Debezium writes them, with or without their schema.')

export const canalJson = z
  .strictObject({ format: z.literal('canal-json'), columns, tables })
  .describe('Flat messages of canal.')

export const maxwellJson = z
  .strictObject({
    format: z.literal('maxwell-json'),
    columns: jsonColumns.describe('Columns by name, with their types.'),
    tables,
  })
  .describe("Records of Maxwell's daemon.")
