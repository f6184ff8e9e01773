// `transform` of a pipeline file: what becomes of the rows of a table before they are written. The
// first entry that matches a table is its entry.

import { z } from 'zod'
import { PipelineError } from '../../base/errors.ts'
import { parseExpression, parseProjection } from '../../data/expression/parse/parser.ts'
import { placeOf, type SourceText } from '../../data/expression/place.ts'
import type { ConfigDocument } from './document.ts'
import { checkPattern } from './pattern-check.ts'
import { jsonColumns, type DeclaredColumn } from './schema-json-columns.ts'
import { rowPolicy } from './schema-values.ts'
import { TABLE_SHAPE } from './selector.ts'

export const TRANSFORM_ERRORS = ['stop', 'null', 'dlq'] as const

const ELEMENTS_MAX = 1000
const ELEMENTS = `a whole number from 1 to ${ELEMENTS_MAX}`

const wanted = {
  pattern: 'a pattern such as "shop.orders"',
  projection: 'expressions such as "*, lower(email) AS email_norm"',
  filter: 'a condition such as "deleted_at IS NULL"',
  column: 'the name of a column',
  type: 'a type such as decimal(18,2)',
  mask: 'sha256, hmac_sha256, partial(2,4), email, digits, all, drop, or an expression',
}

function text(what: string): z.ZodString {
  return z.string(what).min(1, what)
}

const DOCUMENTS = 'a block with `column` and `schema`, or a list of such blocks'

const documents = z.strictObject(
  {
    column: text(wanted.column).describe('Column of JSON objects.'),
    schema: jsonColumns.describe('Columns by name, with their types, as those of JSON topics.'),
    rest: text(wanted.column)
      .optional()
      .describe('A json column for the members that are not in `schema`.'),
    on_error: rowPolicy(['stop', 'null'])
      .optional()
      .describe('A document that does not fit. Default: `on_error` of the entry.'),
  },
  DOCUMENTS,
)

const exploded = z
  .strictObject(
    {
      column: text(wanted.column).describe('Column of lists or JSON arrays.'),
      as: text(wanted.column)
        .optional()
        .describe('Column of an element, in place of `column`. Default: its name.'),
      ordinal: text(wanted.column).optional().describe("Column of the element's number, from 1."),
      outer: z
        .boolean('true or false')
        .prefault(false)
        .describe('A row without elements leaves once, with number 0.'),
      max: z
        .int(ELEMENTS)
        .min(1, ELEMENTS)
        .max(ELEMENTS_MAX, ELEMENTS)
        .optional()
        .describe('Elements that a row may have; needed in mode upsert.'),
    },
    'a block with `column`',
  )
  .optional()
  .describe('A row becomes as many as the list or JSON array in `column` has elements.')

const entry = z.strictObject(
  {
    from: text(wanted.pattern).describe('Tables that the entry is for: a glob or /expression/.'),
    projection: text(wanted.projection)
      .optional()
      .describe('Columns of the lake: *, * EXCEPT (a, b), and expressions with AS name.'),
    filter: text(wanted.filter).optional().describe('Rows for which it is not true are left out.'),
    primary_keys: z
      .array(text(wanted.column), 'a list of column names')
      .min(1, 'a list of at least one column name')
      .optional()
      .describe('Key of the lake table; it must hold the columns of the key in the source.'),
    cast: z
      .record(text(wanted.column), text(wanted.type), 'a block of column: type')
      .prefault({})
      .describe('Column: type. A value that does not fit is an error of its row.'),
    mask: z
      .record(text(wanted.column), text(wanted.mask), 'a block of column: mask')
      .prefault({})
      .describe(
        'Column: sha256, hmac_sha256, partial(2,4), email, digits, all, drop, or an expression.',
      ),
    soft_delete: z
      .strictObject(
        { column: text(wanted.column), at: text(wanted.column).optional() },
        'a block with `column`, and `at` if you like',
      )
      .optional()
      .describe('A deleted row stays: `column` becomes true, `at` the time of its deletion.'),
    json: z
      .union([documents, z.array(documents, DOCUMENTS)], DOCUMENTS)
      .optional()
      .describe('Columns of JSON objects that become columns of their own, by path and type.'),
    explode: exploded,
    on_error: rowPolicy(TRANSFORM_ERRORS)
      .prefault('stop')
      .describe(
        'An expression that fails: stop parks the table, null writes null, dlq sets the row aside.',
      ),
    description: text('a text').optional(),
  },
  'a block with `from`',
)

export const transformSchema = z
  .array(entry, 'a list of blocks')
  .prefault([])
  .describe('What becomes of rows before they are written; the first entry that matches counts.')

export interface TransformConfig {
  /** Pattern of `schema.table`. */
  readonly from: string
  readonly projection: string | null
  readonly filter: string | null
  readonly primaryKeys: readonly string[] | null
  /** Column to type, as written. */
  readonly cast: Readonly<Record<string, string>>
  /** Column to mask, as written. */
  readonly mask: Readonly<Record<string, string>>
  readonly softDelete: { readonly column: string; readonly at: string | null } | null
  readonly json: readonly JsonDocumentsConfig[]
  readonly explode: ExplodeConfig | null
  readonly onError: (typeof TRANSFORM_ERRORS)[number]
}

export interface JsonDocumentsConfig {
  readonly column: string
  readonly columns: readonly DeclaredColumn[]
  readonly rest: string | null
  /** `null`: that of the entry. */
  readonly onError: 'stop' | 'null' | null
}

export interface ExplodeConfig {
  readonly column: string
  readonly as: string
  readonly ordinal: string | null
  readonly outer: boolean
  readonly max: number | null
}

type TransformInput = z.output<typeof transformSchema>

/** Reports what is wrong with the patterns; what the columns are, only the source knows. */
export function resolveTransforms(
  input: TransformInput,
  document: ConfigDocument,
): readonly TransformConfig[] {
  for (const [index, { from }] of input.entries()) {
    checkPattern(from, TABLE_SHAPE, ['transform', index, 'from'], document)
  }
  for (const [index, entry] of input.entries()) checkExpressions(entry, index, document)
  return input.map(({ from, projection, filter, primary_keys, cast, mask, ...rest }) => ({
    from,
    projection: projection ?? null,
    filter: filter ?? null,
    primaryKeys: primary_keys ?? null,
    cast,
    mask,
    softDelete:
      rest.soft_delete === undefined
        ? null
        : { column: rest.soft_delete.column, at: rest.soft_delete.at ?? null },
    json: [rest.json ?? []].flat().map(({ column, schema, rest: others, on_error: onError }) => {
      return { column, columns: schema, rest: others ?? null, onError: onError ?? null }
    }),
    explode: explodeOf(rest.explode),
    onError: rest.on_error,
  }))
}

function explodeOf(input: TransformInput[number]['explode']): ExplodeConfig | null {
  if (input === undefined) return null
  const { column, as = column, ordinal = null, outer, max = null } = input
  return { column, as, ordinal, outer, max }
}

/** What can be seen without the columns: only the source knows those. */
function checkExpressions(
  { projection, filter, cast, mask }: TransformInput[number],
  index: number,
  document: ConfigDocument,
): void {
  const check = (
    path: readonly string[],
    read: (source: SourceText) => unknown,
    text: string,
  ): void => {
    try {
      read({ text, what: path.join('.') })
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      const place = placeOf(error)
      const at = place === null ? '' : `, line ${place.line}, column ${place.column}`
      const message = `transform[${index}].${path.join('.')}${at}: ${error.message}`
      document.report(['transform', index, ...path], { error: error.error, message })
    }
  }
  if (projection !== undefined) check(['projection'], parseProjection, projection)
  if (filter !== undefined) check(['filter'], parseExpression, filter)
  for (const [column, type] of Object.entries(cast)) {
    check(['cast', column], parseExpression, `CAST(x AS ${type})`)
  }
  for (const [column, written] of Object.entries(mask)) {
    check(['mask', column], parseExpression, written)
  }
}
