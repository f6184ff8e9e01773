// gh-ost and pt-online-schema-change copy a table into a shadow, change the shadow, and swap the
// names. The rows are those of the original, so the swap is a change of structure and not a new
// table: without this, every online change would read the whole table again.

import type { Applied } from './ddl/apply.ts'
import { keepsValues } from './ddl/conversion.ts'
import { defaultOf } from './ddl/default.ts'
import type { ColumnState, KeyState, TableState } from './ddl/state.ts'
import { sameName } from './decode/column-plan.ts'
import type { TypeOptions } from './types.ts'

/**
 * Names of shadows; group 1 is the original. `_t_del` and `_t_old` are originals on their way out.
 */
const SHADOW_NAMES = [/^_(.+)_(?:gho|ghc|del)$/, /^_+(.+)_(?:new|old)$/]

/** @returns names of which `name` may be the shadow */
export function originalsOf(name: string): readonly string[] {
  return SHADOW_NAMES.flatMap((pattern) => pattern.exec(name)?.[1] ?? [])
}

/**
 * The structure of the original after the swap.
 *
 * @param copied  the shadow was made by CREATE TABLE ... LIKE the original, so its columns have the
 *                original's identities; otherwise they are matched by name
 */
export function adoptShadow(
  original: TableState,
  shadow: TableState,
  copied: boolean,
  types: TypeOptions,
): Applied {
  let { nextIdentity } = copied ? shadow : original
  const columns: ColumnState[] = []
  let problem: string | null = null
  const identities = new Map<string, string>()
  for (const column of shadow.columns) {
    const before = original.columns.find((candidate) =>
      copied ? candidate.identity === column.identity : sameName(candidate.name, column.name),
    )
    const identity = before?.identity ?? (copied ? column.identity : String(nextIdentity++))
    identities.set(column.identity, identity)
    if (before === undefined) {
      columns.push({ ...column, identity, existing: defaultOf(column, types) })
      continue
    }
    // A definition may bring another expression; expressions are not tracked.
    if (!copied && column.generated !== null) {
      problem ??= `Column "${before.name}" may be computed in another way.`
    }
    // The tool copied with INSERT ... SELECT, which may have run in any mode.
    const reason = keepsValues(before, column, false)
    if (reason !== null) problem ??= `Column "${before.name}": ${reason}.`
    columns.push({ ...column, identity })
  }
  const keys = shadow.keys.map((key) => ({
    ...key,
    columns: key.columns.map((part) => (part === null ? null : (identities.get(part) ?? null))),
  }))
  const unique = keys.find((key) => key.unique && !hasRowsOf(original, key, columns))
  if (unique !== undefined) {
    problem ??= `It has a unique key "${unique.name}" now, and rows that it made equal are gone.`
  }
  const { incarnation } = original
  const state = { ...shadow, columns, keys, incarnation, nextIdentity }
  if (problem !== null) return { kind: 'unmappable', reason: problem, state }
  return { kind: 'changed', state }
}

/**
 * The tools copy with INSERT IGNORE and REPLACE: of rows that are equal under a unique key of the
 * copy, one is left. The original had no such rows when one of its own keys is part of it.
 */
function hasRowsOf(original: TableState, key: KeyState, columns: readonly ColumnState[]): boolean {
  const compares = (identity: string): boolean => {
    const before = original.columns.find((column) => column.identity === identity)
    const after = columns.find((column) => column.identity === identity)
    return before?.type.charset === after?.type.charset && key.columns.includes(identity)
  }
  return original.keys.some(
    (own) => own.unique && own.columns.every((part) => part !== null && compares(part)),
  )
}
