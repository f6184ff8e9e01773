// `cast` and `mask` as the expressions that they stand for. They take the place of a column that
// passes on untouched; other expressions still see its value as the source has it.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { TransformOptions } from './options.ts'

export interface Shorthand {
  /** By column: the expression that takes its place. */
  readonly expressions: ReadonlyMap<string, string>
  readonly dropped: ReadonlySet<string>
  /** Columns whose expression gives another value for another one: they can be part of a key. */
  readonly unique: ReadonlySet<string>
}

type Mask = (column: string, args: readonly string[]) => string

const MASKS: ReadonlyMap<string, Mask> = new Map([
  ['sha256', (column) => `sha256(CAST(${column} AS string))`],
  ['hmac_sha256', (column) => `hmac_sha256(CAST(${column} AS string))`],
  ['email', (column) => `mask_email(${column})`],
  ['digits', (column) => `mask_digits(${column})`],
  ['all', (column) => `mask_all(${column})`],
  ['partial', (column, args) => `mask_partial(${[column, ...args].join(', ')})`],
])

/** Types that hold every value of those that are cast to them. */
const UNIQUE_CASTS = /^(?:string|long|decimal\b.*)$/i

/** @throws PipelineError OPERATOR_REFUSED when a column is there twice, or not at all */
export function shorthandOf(
  { cast, mask }: Pick<TransformOptions, 'cast' | 'mask'>,
  columns: readonly string[],
): Shorthand {
  const expressions = new Map<string, string>()
  const dropped = new Set<string>()
  const unique = new Set<string>()
  for (const [column, type] of Object.entries(cast)) {
    requireColumn('cast', column, columns)
    expressions.set(column, `CAST(${quoted(column)} AS ${type})`)
    if (UNIQUE_CASTS.test(type.trim())) unique.add(column)
  }
  for (const [column, written] of Object.entries(mask)) {
    requireColumn('mask', column, columns)
    if (expressions.has(column)) {
      throw new PipelineError('OPERATOR_REFUSED', `column "${column}" is in \`cast\` and \`mask\``)
    }
    if (written === 'drop') dropped.add(column)
    else expressions.set(column, maskOf(column, written))
    if (written === 'sha256' || written === 'hmac_sha256') unique.add(column)
  }
  return { expressions, dropped, unique }
}

function maskOf(column: string, written: string): string {
  const [, name = '', args = ''] = /^(\w+)(?:\(([\d,\s]*)\))?$/.exec(written.trim()) ?? []
  const mask = MASKS.get(name)
  if (mask === undefined) return written
  return mask(quoted(column), args.trim() === '' ? [] : args.split(',').map((one) => one.trim()))
}

/** A column that is renamed at the source must not come through unmasked under its new name. */
function requireColumn(key: 'cast' | 'mask', column: string, columns: readonly string[]): void {
  if (columns.includes(column)) return
  throw new PipelineError(
    'OPERATOR_REFUSED',
    `\`${key}\` names column "${column}", which is not there`,
    {
      hint: `Its columns are ${columns.join(', ')}.`,
    },
  )
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
