// Statements that change rows beyond the columns that they name, without row events.

import { makeType } from '../types.ts'
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
