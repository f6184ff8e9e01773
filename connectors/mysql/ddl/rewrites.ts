// Statements that change rows beyond the columns that they name, without row events.

import { isDeepStrictEqual } from 'node:util'
import { makeType, type MysqlType } from '../types.ts'
import { keepsRange } from './conversion.ts'
import type { AlterAction } from './statement.ts'

/**
 * ALTER IGNORE removes what a unique index, a check or a partition refuses, and says so to nobody.
 *
 * @returns true when rows may be missing that the lake has
 */
export function removesRows(actions: readonly AlterAction[]): boolean {
  return actions.some(({ kind }) => kind === 'ignore') && actions.some((action) => refuses(action))
}

function refuses(action: AlterAction): boolean {
  switch (action.kind) {
    case 'add-index':
    // Values may become equal under the new collation.
    case 'convert-charset':
    // Checks and partitions are among them, and are not told from the rest.
    case 'no-effect':
      return true
    case 'add-column':
      return action.column.key !== null
    case 'change-column':
      return action.column.key !== null || isText(action.column.type.base)
    default:
      return false
  }
}

function isText(base: string): boolean {
  return makeType(base, { charset: 'utf8mb4' }).charset !== null
}

/**
 * A generated column is computed anew from columns that changed. Its expression is not tracked, so
 * any of them may be part of it.
 *
 * @returns true when no expression has another value over the column than before
 */
export function keepsExpressions(from: MysqlType, to: MysqlType): boolean {
  // Its collation, which decides comparisons, is not tracked.
  if (from.charset !== null || to.charset !== null) return false
  // ZEROFILL is not told from UNSIGNED, and makes another text.
  if (from.unsigned || to.unsigned) return false
  return keepsRange(from, to) || isDeepStrictEqual(from, to)
}
