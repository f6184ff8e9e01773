// Columns of JSON as a pipeline file declares them: `id: long not null`, or a block where a value
// has a form of its own.

import { z } from 'zod'
import { parseType, TYPE_NAMES } from '../../data/type-text.ts'
import type { ColumnType } from '../../data/type.ts'
import { text } from './schema-values.ts'

export const TIME_UNITS = ['d', 's', 'ms', 'us', 'ns'] as const

/** How values are written, where the type leaves it open. */
export type ColumnEncoding =
  | { readonly kind: 'text' }
  | { readonly kind: 'number'; readonly unit: (typeof TIME_UNITS)[number] }
  | { readonly kind: 'base64' }

export interface DeclaredColumn {
  readonly name: string
  readonly path: readonly string[]
  readonly type: ColumnType
  readonly nullable: boolean
  readonly encoding: ColumnEncoding
  /** The file says how values are written. */
  readonly written: boolean
}

const TYPE = `a type such as ${TYPE_NAMES.join(', ')}, with "not null" behind it where it holds`
const PATH = 'a path such as user.id, or a list of names such as [user, "first.name"]'

export interface TypeWithNull {
  readonly type: ColumnType
  readonly nullable: boolean
}

const typeText = z.string(TYPE).transform((written, context): TypeWithNull => {
  const [, plain = '', required] = /^(.*?)(\s+not\s+null)?\s*$/is.exec(written) ?? []
  const type = parseType(plain)
  if (type !== null) return { type, nullable: required === undefined }
  context.addIssue({ code: 'custom', message: TYPE })
  return z.NEVER
})

const block = z
  .strictObject({
    type: typeText,
    path: z
      .union([text(PATH), z.array(text(PATH), PATH).min(1, PATH)], PATH)
      .optional()
      .describe('Where the value stands; default: the name, whose dots lead into objects.'),
    unit: z
      .enum(TIME_UNITS)
      .optional()
      .describe('Of a time that is written as a number since 1970, or since midnight.'),
    encoding: z
      .enum(['text', 'base64'])
      .optional()
      .describe('base64: a decimal as Kafka Connect writes it. Default: text.'),
  })
  .superRefine(({ type: { type }, unit, encoding }, context) => {
    const element = type.kind === 'list' ? type.element : type
    const isTime = ['date', 'time', 'timestamp', 'timestamptz'].includes(element.kind)
    if (unit !== undefined && (!isTime || (unit === 'd') !== (element.kind === 'date'))) {
      const message = 'd for a date, and s, ms, us or ns for a time'
      context.addIssue({ code: 'custom', path: ['unit'], message })
    }
    if (encoding === 'base64' && element.kind !== 'decimal') {
      const message = 'left out: only a decimal may be base64, and binary always is'
      context.addIssue({ code: 'custom', path: ['encoding'], message })
    }
  })

const COLUMNS = 'columns such as { id: long not null, "user.name": string, payload: json }'

/** Columns by name. */
export const jsonColumns = z
  .record(z.string(), z.union([typeText, block], TYPE), COLUMNS)
  .transform((columns) => Object.entries(columns).map(([name, of]) => declared(name, of)))

type BlockInput = z.output<typeof block>

function declared(name: string, of: TypeWithNull | BlockInput): DeclaredColumn {
  if (!('nullable' in of)) {
    const { type, path = name, unit, encoding } = of
    return {
      name,
      path: typeof path === 'string' ? path.split('.') : path,
      ...type,
      encoding: unit === undefined ? { kind: encoding ?? 'text' } : { kind: 'number', unit },
      written: unit !== undefined || encoding !== undefined,
    }
  }
  return { name, path: name.split('.'), ...of, encoding: { kind: 'text' }, written: false }
}
