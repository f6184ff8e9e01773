// Formats of records that are JSON.

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
