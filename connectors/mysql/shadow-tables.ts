// The tables beside captured ones that the log has shown to be made under the name of a copy, as
// tools for online changes name theirs. Such a copy is proven by what nobody else does, before the
// first row comes to it:
//   gh-ost   has made its changelog table beside it, with columns of its own;
//   pt-osc   has made triggers of its own name that write to it.
// A proven copy has the rows of its original when it is swapped in. What is not proven may be
// anything, such as a part of the rows that is to be kept: it is a table like any other as soon as
// rows come to it, or it takes another name.

import { tableKey } from '../../runtime/data/schema.ts'
import type { TableState } from './ddl/state.ts'

export interface Shadow {
  readonly state: TableState
  /** Table that it was made LIKE; `null`: it was defined. */
  readonly like: string | null
  /** A tool made it to change its original. Absent in state of before this was asked. */
  readonly proven?: boolean
  /** Why its generated columns have other values than those of the table that it is LIKE. */
  readonly computed?: string | null
}

const CHANGELOG = /_ghc$/
const GHOST = /_gho$/
/** Columns of gh-ost's changelog, beside an id. */
const CHANGELOG_COLUMNS = ['last_update', 'hint', 'value']
const PERCONA_TRIGGER = /\bTRIGGER\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:`[^`]+`\.)?`?pt_osc_/i

export class ShadowTables {
  private readonly shadows = new Map<string, Shadow>()

  constructor(saved: readonly Shadow[]) {
    for (const shadow of saved) this.shadows.set(keyOf(shadow.state), shadow)
  }

  get(table: string): Shadow | null {
    return this.shadows.get(table) ?? null
  }

  /** @param computed  see `Shadow`; what an earlier statement said of it stays */
  put(state: TableState, like: string | null, computed: string | null): void {
    const key = keyOf(state)
    const before = this.shadows.get(key)
    const changelog = this.shadows.get(keyOf(renamed(state, GHOST, '_ghc')))
    const proven =
      before?.proven === true ||
      isChangelog(state) ||
      (GHOST.test(state.name) && changelog?.proven === true)
    this.shadows.set(key, { state, like, proven, computed: before?.computed ?? computed })
    if (isChangelog(state)) this.prove(keyOf(renamed(state, CHANGELOG, '_gho')))
  }

  /** @returns false when there is none */
  drop(table: string): boolean {
    return this.shadows.delete(table)
  }

  /** @returns true when a statement proves tables to be copies */
  learnFrom(text: string): boolean {
    if (!PERCONA_TRIGGER.test(text)) return false
    for (const [key, { state }] of this.shadows) {
      if (text.includes(`\`${state.name}\``)) this.prove(key)
    }
    return true
  }

  all(): readonly Shadow[] {
    return [...this.shadows.values()]
  }

  private prove(table: string): void {
    const shadow = this.shadows.get(table)
    if (shadow !== undefined) this.shadows.set(table, { ...shadow, proven: true })
  }
}

function isChangelog({ name, columns }: TableState): boolean {
  const has = (wanted: string): boolean => columns.some((column) => column.name === wanted)
  return CHANGELOG.test(name) && CHANGELOG_COLUMNS.every(has)
}

function renamed(
  { database, name }: TableState,
  from: RegExp,
  to: string,
): { readonly database: string; readonly name: string } {
  return { database, name: name.replace(from, to) }
}

function keyOf({ database, name }: { database: string; name: string }): string {
  return tableKey({ namespace: database, name })
}
