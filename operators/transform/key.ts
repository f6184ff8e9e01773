// The key of what leaves a transform. Rows of one key must stay rows of one key, and rows of two
// must not become one: key columns leave as they are, or as what tells them apart as well.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { TransformOptions } from './options.ts'
import type { Inputs, Leaving } from './plan.ts'
import type { Shorthand } from './shorthand.ts'

/**
 * @returns identities of the key columns of what leaves; `null`: it has no key
 * @throws PipelineError OPERATOR_REFUSED
 */
export function keyOf(
  table: SourceTable,
  { primaryKeys }: TransformOptions,
  leaving: readonly Leaving[],
  inputs: Inputs,
  shorthand: Shorthand,
): readonly string[] | null {
  const bearers = bearersOf(table, leaving, shorthand)
  if (primaryKeys === null) return bearers
  const chosen = primaryKeys.map((name) => chosenColumn(name, leaving, inputs, bearers))
  const lost = bearers?.find((identity) => !chosen.includes(identity))
  if (lost === undefined) return chosen
  const column = leaving.find((one) => one.column.identity === lost)?.column.name
  throw new PipelineError('OPERATOR_REFUSED', `\`primary_keys\` lacks "${column}", a key column`)
}

/** @returns identities of what tells rows apart as the source's key does; `null`: it has no key */
function bearersOf(
  { key, columns }: SourceTable,
  leaving: readonly Leaving[],
  { unique }: Shorthand,
): readonly string[] | null {
  if (key === null) return null
  return key.map((identity) => {
    const name = columns.find((column) => column.identity === identity)?.name ?? ''
    const bearer = leaving.find(({ column, program }) =>
      program === 'shorthand'
        ? column.name === name && unique.has(name)
        : column.identity === identity,
    )
    if (bearer !== undefined) return bearer.column.identity
    throw new PipelineError('OPERATOR_REFUSED', `key column "${name}" does not leave as it is`, {
      hint:
        'Keep it in the projection. It may be masked by sha256, or cast to string, long or ' +
        'decimal: other ways could make one row of several.',
    })
  })
}

function chosenColumn(
  name: string,
  leaving: readonly Leaving[],
  inputs: Inputs,
  bearers: readonly string[] | null,
): string {
  const found = leaving.find(({ column }) => column.name === name)
  if (found === undefined) {
    throw new PipelineError(
      'OPERATOR_REFUSED',
      `\`primary_keys\` names "${name}", which does not leave`,
    )
  }
  const { column, input } = found
  if (column.nullable) {
    throw new PipelineError('OPERATOR_REFUSED', `column "${name}" of \`primary_keys\` can be null`)
  }
  const constant = input !== null && inputs.constantOf(input) !== null
  if (bearers === null || bearers.includes(column.identity) || constant) return column.identity
  // An update could change it, and would leave the row under its former key behind.
  throw new PipelineError(
    'OPERATOR_REFUSED',
    `column "${name}" of \`primary_keys\` is no key column of the source`,
    { hint: "Take columns of the source's key, and what is the same for all rows, as `__db__`." },
  )
}
