// A projection: which columns come out of which expressions. `*` stands for the columns that are not
// hidden; what is passed on untouched is known as such, since only it may hold unchanged values.

import type { Ir } from '../ir.ts'
import type { Ast, ProjectionItem } from '../parse/ast.ts'
import type { Span } from '../place.ts'
import { refuse, type Resolving } from './context.ts'
import { resolveTyped } from './resolve.ts'

export interface Output {
  readonly name: string
  readonly value: Ir
}

/**
 * @param unnamed  true: an expression without AS is `column1`, ...; false: it is an error
 * @throws PipelineError EXPRESSION_INVALID
 */
export function resolveProjection(
  context: Resolving,
  items: readonly ProjectionItem[],
  unnamed: boolean,
): Output[] {
  const outputs: Output[] = []
  const add = (name: string, value: Ir, span: Span): void => {
    if (outputs.some((output) => output.name === name)) {
      const hint = `Write * EXCEPT (${name}), or another name with AS.`
      throw refuse(context, span, `column "${name}" comes out twice`, hint)
    }
    outputs.push({ name, value })
  }
  for (const item of items) {
    if (item.kind === 'star') {
      for (const [name, value] of star(context, item)) add(name, value, item)
      continue
    }
    const value = resolveTyped(context, item.value)
    const name = item.alias ?? impliedName(context, item.value)
    if (name === null && !unnamed) {
      throw refuse(context, item, 'an expression needs a name', 'Write it with AS and a name.')
    }
    add(name ?? `column${outputs.length + 1}`, value, item)
  }
  return outputs
}

function star(
  context: Resolving,
  item: Extract<ProjectionItem, { kind: 'star' }>,
): (readonly [string, Ir])[] {
  const { scope, source, factory } = context
  const except = new Set(
    item.except.map(({ name, ...span }) => {
      const index = scope.find(source, name, span)
      if (index === null) throw scope.missing(source, name, span)
      return index
    }),
  )
  return scope.columns.flatMap((column, index) => {
    if (except.has(index) || column.hidden === true) return []
    return [[column.name, factory.column(index, column.type, column.nullable, item)] as const]
  })
}

/** A column keeps its name, also through a cast. */
function impliedName(context: Resolving, ast: Ast): string | null {
  if (ast.kind === 'cast') return impliedName(context, ast.operand)
  if (ast.kind !== 'name') return null
  const index = context.scope.find(context.source, ast.name, ast)
  return index === null ? null : (context.scope.columns[index]?.name ?? null)
}
