// The publication: what the server puts into the log for us. It exists before the slot, and a
// table joins it by an ALTER that names the table alone. FOR ALL TABLES is never created: it would
// make updates of other people's tables without a replica identity fail.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask, CatalogTable } from './catalog.ts'
import { keyOf } from './shape.ts'
import { quoteName } from './connect.ts'

export interface Publication {
  /** Differs when it was dropped and created again. */
  readonly oid: string
  /** Transaction that last altered what it publishes; tables that come and go leave it as it is. */
  readonly changedBy: string
  readonly viaRoot: boolean
  readonly publishes: { insert: boolean; update: boolean; delete: boolean; truncate: boolean }
  /** Stored generated columns are carried. */
  readonly generated: boolean
  /** Tables that it carries, by oid. */
  readonly members: ReadonlyMap<number, Membership>
}

export interface Membership {
  /** Columns that are carried; `null`: all. */
  readonly columns: ReadonlySet<number> | null
  readonly rowFilter: boolean
  /**
   * Changes when the table left and came back: the number of its entry, `s` and that of its schema's
   * entry with the transaction that put it into the schema, or '' when all tables are published.
   */
  readonly since: string
}

/** Before the first start there is none, and every column is carried. */
export const NO_PUBLICATION: Publication = {
  oid: '',
  changedBy: '',
  viaRoot: true,
  publishes: { insert: true, update: true, delete: true, truncate: true },
  generated: false,
  members: new Map(),
}

/** @returns the publication; `null` when there is none of this name */
export async function readPublication(
  ask: Ask,
  name: string,
  version: number,
): Promise<Publication | null> {
  const generated = version >= 180_000 ? `pubgencols::text = 's'` : 'false'
  const [row] = await ask(
    `SELECT oid::text AS oid, xmin::text AS "changedBy", pubviaroot AS "viaRoot",
       pubinsert AS insert, pubupdate AS update, pubdelete AS delete,
       pubtruncate AS truncate, ${generated} AS generated
     FROM pg_publication WHERE pubname = $1`,
    [name],
  )
  if (row === undefined) return null
  const detail =
    version >= 150_000
      ? 'r.prattrs::text AS columns, r.prqual IS NOT NULL AS filter'
      : 'NULL AS columns, false AS filter'
  const inSchema =
    version >= 150_000
      ? `EXISTS (SELECT FROM pg_publication_namespace s
           WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)`
      : 'false'
  // ALTER TABLE ... SET SCHEMA writes the dependency anew.
  const schemaSince =
    version >= 150_000
      ? `(SELECT concat('s', s.oid, '.', d.xmin) FROM pg_publication_namespace s
           LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
             AND d.objsubid = 0 AND d.refclassid = 'pg_namespace'::regclass
           WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace LIMIT 1)`
      : 'NULL'
  // The view pg_publication_tables would wait for a lock on each table.
  const members = await ask(
    `SELECT c.oid::text AS oid, ${detail}, coalesce(r.oid::text, ${schemaSince}, '') AS since
     FROM pg_publication p CROSS JOIN pg_class c
       LEFT JOIN pg_publication_rel r ON r.prrelid = c.oid AND r.prpubid = p.oid
     WHERE p.oid = $1::oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
       AND NOT c.relispartition AND (r.oid IS NOT NULL OR p.puballtables OR ${inSchema})`,
    [row['oid']],
  )
  return {
    oid: String(row['oid']),
    changedBy: String(row['changedBy']),
    viaRoot: row['viaRoot'] === true,
    publishes: {
      insert: row['insert'] === true,
      update: row['update'] === true,
      delete: row['delete'] === true,
      truncate: row['truncate'] === true,
    },
    generated: row['generated'] === true,
    members: new Map(
      members.map((member) => [
        Number(member['oid']),
        {
          columns: columnSet(member['columns']),
          rowFilter: member['filter'] === true,
          since: String(member['since']),
        },
      ]),
    ),
  }
}

function columnSet(text: unknown): ReadonlySet<number> | null {
  return typeof text === 'string' && text !== '' ? new Set(text.split(' ').map(Number)) : null
}

/** The statement that creates the publication; also what `check` prints. */
export function createPublicationSql(name: string, tables: readonly QualifiedName[]): string {
  const list = tables.map(only).join(', ')
  const scope = tables.length === 0 ? '' : ` FOR TABLE ${list}`
  return `CREATE PUBLICATION ${quoteName(name)}${scope} WITH (publish_via_partition_root = true)`
}

/**
 * Without ONLY the children of a table (INHERITS) would join too, also excluded ones, and the
 * server would refuse the application's own updates of those without a key. Partitions join
 * nevertheless.
 */
function only(table: QualifiedName): string {
  return `ONLY ${qualified(table)}`
}

/** The statement that lets tables join. */
export function addTablesSql(name: string, tables: readonly QualifiedName[]): string {
  return `ALTER PUBLICATION ${quoteName(name)} ADD TABLE ${tables.map(only).join(', ')}`
}

export interface QualifiedName {
  readonly namespace: string
  readonly name: string
}

export function qualified({ namespace, name }: QualifiedName): string {
  return `${quoteName(namespace)}.${quoteName(name)}`
}

/**
 * Why the log could not carry this table; `null`: it can.
 *
 * A table without a replica identity must not be published: the server would refuse the
 * application's own updates and deletes of it from then on.
 */
export function unpublishable(table: CatalogTable, keyed: boolean): PipelineError | null {
  const what = `table "${table.namespace}.${table.name}"`
  if (keyOf(table) !== null) return null
  if (table.identity === 'f') {
    return keyed ? new PipelineError('TABLE_WITHOUT_KEY', `${what} has no primary key`) : null
  }
  if (keyed && !table.indexes.some((index) => index.primary)) {
    return new PipelineError('TABLE_WITHOUT_KEY', `${what} has no primary key`)
  }
  const fix = table.indexes.some((index) => index.primary) ? 'DEFAULT' : 'FULL'
  return new PipelineError('TABLE_REPLICA_IDENTITY', `${what} has no replica identity`, {
    hint: `Run \`ALTER TABLE ${qualified(table)} REPLICA IDENTITY ${fix}\`.`,
  })
}

/** A policy of the table would leave out rows of the backfill. */
export function hiddenRows(table: QualifiedName, user: string): PipelineError {
  const message = `row security hides rows of table "${table.namespace}.${table.name}"`
  return new PipelineError('PRIVILEGE_MISSING', message, {
    hint: `Run \`ALTER ROLE ${quoteName(user)} BYPASSRLS\`.`,
  })
}

/** Why a publication of the user's own cannot be used for this table; `null`: it can. */
export function unusableMembership(
  publication: Publication,
  table: CatalogTable,
): PipelineError | null {
  const membership = publication.members.get(table.oid)
  const what = `the publication carries table "${table.namespace}.${table.name}"`
  if (membership?.rowFilter === true) {
    return new PipelineError('SERVER_UNSUITABLE', `${what} with a row filter`, {
      hint: `Use a publication without a WHERE clause for ${qualified(table)}.`,
    })
  }
  if (table.kind === 'p' && !publication.viaRoot) {
    return new PipelineError('SERVER_UNSUITABLE', `${what} by its partitions`, {
      hint: 'Run `ALTER PUBLICATION ... SET (publish_via_partition_root = true)`.',
    })
  }
  return null
}

/**
 * A publication that was dropped and created again has published nothing in between, and a server
 * of version 18 skips a missing one with no more than a warning in its own log. One that was
 * altered may have left out anything for a while, whatever it publishes now.
 *
 * @throws PipelineError LOG_GAP
 */
export function requireUnchanged(
  now: Publication | null,
  before: { readonly oid: string; readonly changedBy: string },
  name: string,
): asserts now is Publication {
  if (now !== null && now.oid === before.oid && now.changedBy === before.changedBy) return
  const again = now?.oid === before.oid ? 'was altered' : 'was dropped and created again'
  const what = now === null ? 'was dropped' : again
  throw new PipelineError('LOG_GAP', `publication "${name}" ${what}`, {
    detail: 'Changes that were made without it, or that it left out, are not in the log.',
  })
}

/** @throws PipelineError SERVER_UNSUITABLE when changes of a kind are left out of the log */
export function requireWhole(publication: Publication, name: string): void {
  const left = Object.entries(publication.publishes).filter(([, published]) => !published)
  if (left.length === 0) return
  throw new PipelineError(
    'SERVER_UNSUITABLE',
    `publication "${name}" leaves out ${left.map(([kind]) => kind).join(', ')}`,
    {
      hint:
        `Run \`ALTER PUBLICATION ${quoteName(name)} ` +
        "SET (publish = 'insert, update, delete, truncate')`.",
    },
  )
}
