// How far DML reaches that stands in the log as text. It changes the tables that it names, and by
// their triggers any other; and a name may be a view, which stands for others again.
//
// Servers and tools write such statements every day: about tables of their own (`mysql.*`, the
// checksums of pt-table-checksum), temporary ones, and those of databases that nobody copies. So a
// name is harmless when it is a base table without triggers. The server is asked, as it is now: a
// view or a trigger that was dropped since then shows in the log a little later. Triggers are seen
// by those only who may make them. Who may not is told what to grant where captured tables lie
// beside; elsewhere a trigger that reaches over into another database is taken for absent, aloud.

import { orderOf, type Order } from '../../../runtime/data/position.ts'
import { SYSTEM_DATABASES, type MysqlOptions } from '../options.ts'
import { fileNumber } from '../position.ts'
import { readLogEnd, textOf, type ServerFacts } from '../server.ts'
import type { ControlConnection } from '../wire/connect.ts'

export interface NamedTable {
  readonly database: string
  readonly name: string
}

/** The server whose log is read. */
export interface StatementServer {
  readonly control: ControlConnection
  readonly facts: ServerFacts
  readonly sourceEpoch: number
}

export interface ReachParts extends StatementServer {
  readonly options: MysqlOptions
  /** True when tables of this database are copied. */
  readonly copied: (database: string) => boolean
}

interface Answer {
  /** Why a statement may reach further; `null`: it does not. */
  readonly reason: string | null
  /** The log's end then: what changed before it, the log will tell. */
  readonly until: Order
}

const CHANGES = new Set(['CREATE', 'ALTER', 'DROP'])
/** Behind one of them; between them may be a definer, an algorithm, and comments. */
const ABOUT_OBJECTS = /\b(?:VIEW|TRIGGER)\b/i

export class StatementReach {
  private readonly parts: ReachParts
  private readonly known = new Map<string, Answer>()
  private readonly temporary = new Set<string>()
  private readonly warned = new Set<string>()
  /** The end of the log when a name was last found harmless. */
  private harmlessUntil: Order = 0n

  constructor(parts: ReachParts) {
    this.parts = parts
  }

  /** CREATE TEMPORARY TABLE: nobody but its session sees it. */
  noteTemporary(table: NamedTable): void {
    this.temporary.add(keyOf(table))
  }

  /**
   * A view or a trigger has changed.
   *
   * @param order  of the place where the log says so
   * @returns why a statement before it may have reached further than was known then
   */
  reconsider(order: Order): string | null {
    this.known.clear()
    if (order >= this.harmlessUntil) return null
    return 'A view or a trigger has changed since a statement in the log changed rows by its text.'
  }

  /**
   * @param order  of the statement
   * @returns why rows of tables may have changed that are not named; `null`: they have not
   */
  async beyond(tables: readonly NamedTable[], order: Order): Promise<string | null> {
    for (const table of tables) {
      if (isSystem(table)) continue
      const { reason, until } = await this.answer(table, order)
      if (reason !== null) return reason
      if (until > this.harmlessUntil) this.harmlessUntil = until
    }
    return null
  }

  private async answer(table: NamedTable, order: Order): Promise<Answer> {
    const key = keyOf(table)
    const known = this.known.get(key)
    if (known !== undefined && order < known.until) return known
    const { control, facts, sourceEpoch } = this.parts
    const reason = await this.ask(table)
    const { file, offset } = await readLogEnd(control, facts)
    const answer = { reason, until: orderOf(sourceEpoch, fileNumber(file), offset) }
    this.known.set(key, answer)
    return answer
  }

  private async ask(table: NamedTable): Promise<string | null> {
    const { control, copied } = this.parts
    const key = keyOf(table)
    const { database, name } = table
    const [found] = await control.query(
      `SELECT table_type AS k FROM information_schema.tables
       WHERE table_schema = ? AND table_name = ?`,
      [database, name],
    )
    if (found === undefined) {
      if (this.temporary.has(key)) return null
      if (copied(database)) return `It names ${key}, and no such table can be seen.`
      return this.harmlessUnseen(key)
    }
    if (String(found['k']) === 'VIEW') return `It names ${key}, which is a view.`
    if (await this.hasTriggers(table)) return `It names ${key}, which has triggers.`
    if (await this.seesTriggers(database)) return null
    if (!copied(database)) return this.harmlessUnseen(key)
    return (
      `It names ${key}, whose triggers the user may not see. ` +
      `This helps: GRANT TRIGGER ON \`${database}\`.* TO the user.`
    )
  }

  private harmlessUnseen(table: string): null {
    if (!this.warned.has(table)) {
      this.warned.add(table)
      const message = 'a statement changes a table of which triggers or views cannot be seen'
      this.parts.options.log.warn(message, { table })
    }
    return null
  }

  private async hasTriggers({ database, name }: NamedTable): Promise<boolean> {
    const rows = await this.parts.control.query(
      `SELECT COUNT(*) AS n FROM information_schema.triggers
       WHERE event_object_schema = ? AND event_object_table = ?`,
      [database, name],
    )
    return textOf(rows, 'n') !== '0'
  }

  /** Privileges that a role brings are not found: too little is better than too much. */
  private async seesTriggers(database: string): Promise<boolean> {
    const user = `CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')`
    const rows = await this.parts.control.query(
      `SELECT (SELECT COUNT(*) FROM information_schema.user_privileges
               WHERE privilege_type = 'TRIGGER' AND grantee = ${user})
            + (SELECT COUNT(*) FROM information_schema.schema_privileges
               WHERE privilege_type = 'TRIGGER' AND grantee = ${user} AND ? LIKE table_schema) AS n`,
      [database],
    )
    return textOf(rows, 'n') !== '0'
  }
}

/** True for a statement that makes, changes or drops a view or a trigger. */
export function changesObjects(
  { what }: { readonly what: string },
  { text }: { readonly text: string },
): boolean {
  return CHANGES.has(what) && ABOUT_OBJECTS.test(text)
}

/** No trigger can be made on tables of the system, and they are nobody's view. */
export function isSystem({ database }: NamedTable): boolean {
  return SYSTEM_DATABASES.includes(database.toLowerCase())
}

function keyOf({ database, name }: NamedTable): string {
  return `${database}.${name}`
}
