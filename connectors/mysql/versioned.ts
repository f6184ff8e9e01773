// System-versioned tables of MariaDB. They keep the rows of before beside those of now, and their
// DELETE is in the log as an UPDATE that ends a row. Copied as they stand they would keep every
// deleted row: they are refused.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import type { TableState } from './ddl/state.ts'

/** What statements do not say of a structure; it goes with it through every change. */
interface Versioned extends TableState {
  readonly versioned?: boolean
}

const ADDED = /\b(?:WITH|ADD)\s+SYSTEM\s+VERSIONING\b/i
const DROPPED = /\bDROP\s+SYSTEM\s+VERSIONING\b/i

export function isVersioned(state: Versioned): boolean {
  return state.versioned === true
}

export function asVersioned(state: Versioned, versioned: boolean): TableState {
  if (isVersioned(state) === versioned) return state
  const marked: Versioned = { ...state, versioned }
  return marked
}

/** The structure that a CREATE TABLE or an ALTER TABLE leaves, by the statement's text. */
export function versionedBy(text: string, state: TableState): TableState {
  if (ADDED.test(text)) return asVersioned(state, true)
  return DROPPED.test(text) ? asVersioned(state, false) : state
}

export function versionedError({ database, name }: TableState): PipelineError {
  const table = tableKey({ namespace: database, name })
  const message = `table "${table}" is system-versioned, which cannot be copied`
  const detail = 'Its log shows a deleted row as one that was changed.'
  const hint = 'Leave the table out in `source.tables`.'
  return new PipelineError('TYPE_UNSUPPORTED', message, { detail, hint })
}
