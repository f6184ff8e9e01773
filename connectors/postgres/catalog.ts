// Reads tables, columns and types from the server's catalog. The catalog is the one of now, while
// the log may still be in the past: whoever uses a reading must know which of the two it needs.

import { assert } from '../../runtime/base/assert.ts'
import type { Row } from './control.ts'
import { filesOf, LEAVES_SQL, leavesSql, type Leaf } from './leaves.ts'
import { parseLsn, type Lsn } from './lsn.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'
import type { PgType, TypeLookup } from './types.ts'

/** Asks the server one question. */
export type Ask = (
  sql: string,
  values?: readonly unknown[],
  patient?: boolean,
) => Promise<readonly Row[]>

export interface CatalogColumn {
  /** Number of the column; never given twice in the life of a table. */
  readonly attnum: number
  /** Of a dropped column: not its name any more. */
  readonly name: string
  readonly type: number
  readonly modifier: number
  readonly notNull: boolean
  readonly dropped: boolean
  /** '' plain, s stored and v virtual generated columns. */
  readonly generated: string
  /**
   * Texts of the values that rows older than the column have; []: null, or no such rows. Several
   * where partitions disagree.
   */
  readonly missing: readonly string[]
  /** Names the default of the column, and changes with it; `null`: there is none. */
  readonly defaultId: string | null
  /** Of an enum, of what is made of one too: its labels by oid. A label may get another text. */
  readonly labels: readonly EnumLabel[]
  readonly comment: string | null
  /** Transaction that last changed the column's declaration. */
  readonly changedBy: string
}

export type EnumLabel = readonly [oid: number, text: string]

export interface CatalogTable {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  /** r table, p partitioned table. */
  readonly kind: 'r' | 'p'
  /** It is a partition of another table, whose name its rows have in the log. */
  readonly isPartition: boolean
  /** Replica identity: d default, f full, i index, n nothing. */
  readonly identity: string
  /**
   * Names the files of the rows: changes when they are rewritten or truncated. Of a partitioned
   * table: `oid:file` of each leaf.
   */
  readonly files: string
  /** Of a partitioned table. */
  readonly leaves: readonly Leaf[]
  /** Every transaction before this one had ended when the table was read. */
  readonly readAt: number
  /** Policies hide rows of it from us. */
  readonly hidesRows: boolean
  readonly comment: string | null
  /** By attnum, dropped ones included. */
  readonly columns: readonly CatalogColumn[]
  /** Unique indexes over plain columns, attnums in index order; the primary key first. */
  readonly indexes: readonly CatalogIndex[]
}

export interface CatalogIndex {
  readonly primary: boolean
  readonly identity: boolean
  readonly key: readonly number[]
}

export interface CatalogReading {
  readonly tables: readonly CatalogTable[]
  readonly snapshot: Snapshot
}

/** Labels of the enum that a column `a` has, also behind domains and arrays: types of a user's. */
const LABELS = `CASE WHEN a.atttypid >= 16384 THEN (
    WITH RECURSIVE part AS (
      SELECT a.atttypid AS oid
      UNION SELECT p.oid FROM part JOIN pg_type t ON t.oid = part.oid
        CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) AS p (oid) WHERE p.oid <> 0)
    SELECT json_agg(json_build_array(e.oid::int8, e.enumlabel) ORDER BY e.oid)
    FROM part JOIN pg_enum e ON e.enumtypid = part.oid) END`

/** NOT NULL NOT VALID (18) says nothing of the rows that are there. */
const UNPROVEN = `EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid
    AND k.contype = 'n' AND NOT k.convalidated AND k.conkey[1] = a.attnum)`

const TABLE_SQL = `
SELECT c.oid::text AS oid, n.nspname AS namespace, c.relname AS name, c.relkind AS kind,
  row_security_active(c.oid) AS "hidesRows", c.relispartition AS partition,
  c.relreplident AS identity,
  c.relfilenode::text AS file, CASE c.relkind WHEN 'p' THEN ${LEAVES_SQL} END AS leaves,
  obj_description(c.oid, 'pg_class') AS comment,
  (SELECT json_agg(json_build_object('attnum', a.attnum, 'name', a.attname,
      'type', a.atttypid::int8, 'modifier', a.atttypmod, 'notNull', a.attnotnull AND NOT ${UNPROVEN},
      'dropped', a.attisdropped, 'generated', a.attgenerated, 'changedBy', a.xmin::text,
      'defaultId', (SELECT d.oid::text FROM pg_attrdef d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
      'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
      'labels', ${LABELS},
      'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
  (SELECT json_agg(json_build_object('primary', i.indisprimary, 'identity', i.indisreplident,
      'key', i.indkey::text, 'count', i.indnkeyatts) ORDER BY i.indisprimary DESC, i.indexrelid)
    FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate
      AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) AS indexes,
  pg_current_snapshot()::text AS snapshot
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY($1::oid[]) AND c.relkind IN ('r', 'p')`

const SNAPSHOT_SQL = 'SELECT pg_current_snapshot()::text AS snapshot'

const LIST_SQL = `
SELECT c.oid::text AS oid, n.nspname AS namespace, c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 2, 3`

/** Of all leaves: which, in which files, since when. */
const LEAF_TRACES =
  "md5(string_agg(concat_ws(':', l.oid, l.relfilenode, attached), ',' ORDER BY l.oid))"

/** Changes with everything that a reading of tables `c` shows; the server does the work. */
const FINGERPRINT = `
md5(string_agg(concat_ws(' ', c.oid, c.xmin, c.relnamespace, c.relname, c.relfilenode,
  (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace),
  (SELECT string_agg(a.xmin || '', ',' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0),
  (SELECT string_agg(i.xmin || '', ',' ORDER BY i.indexrelid) FROM pg_index i
    WHERE i.indrelid = c.oid),
  (SELECT string_agg(d.xmin || '', ',' ORDER BY d.objsubid) FROM pg_description d
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid),
  CASE c.relkind WHEN 'p' THEN
    ${leavesSql(LEAF_TRACES)} END),
  '|' ORDER BY c.oid))`

const FINGERPRINT_SQL = `
SELECT concat(${FINGERPRINT}, (SELECT md5(string_agg(e.oid || e.enumlabel, ',' ORDER BY e.oid))
  FROM pg_enum e)) AS fingerprint FROM pg_class c WHERE c.oid = ANY($1::oid[])`

/**
 * What can be asked again for each chunk: a tenth of the work of a reading. The end of the log is
 * asked for behind the snapshot, so every commit that the snapshot shows was written before.
 */
const GLANCE_SQL = `
SELECT ${FINGERPRINT} AS fingerprint, bool_or(row_security_active(c.oid)) AS "hidesRows",
  pg_current_snapshot()::text AS snapshot, pg_current_wal_insert_lsn()::text AS inserted,
  (extract(epoch FROM transaction_timestamp()) * 1000000)::int8::text AS us
FROM pg_class c WHERE c.oid = ANY($1::oid[])`

export interface ListedTable {
  readonly oid: number
  readonly namespace: string
  readonly name: string
}

/** Every permanent table that is not itself a partition. */
export async function listTables(ask: Ask): Promise<readonly ListedTable[]> {
  const rows = await ask(LIST_SQL)
  return rows.map((row) => ({
    oid: Number(row['oid']),
    namespace: String(row['namespace']),
    name: String(row['name']),
  }))
}

export async function fingerprint(ask: Ask, oids: readonly number[]): Promise<string> {
  const [row] = await ask(FINGERPRINT_SQL, [oids])
  return String(row?.['fingerprint'])
}

/** One table at the start of a transaction. */
export interface Glance {
  /** Of the table as `fingerprint` tells it; `null`: there is no such table. */
  readonly fingerprint: string | null
  /** Policies hide rows of it from us. */
  readonly hidesRows: boolean
  readonly snapshot: Snapshot
  /** The end of the log, written or not yet, behind the snapshot. */
  readonly inserted: Lsn
  /** Start of the transaction by the server's clock, microseconds since 1970. */
  readonly timeUs: number
}

export async function glanceAt(ask: Ask, oid: number): Promise<Glance> {
  const [row] = await ask(GLANCE_SQL, [[oid]])
  const printed = row?.['fingerprint']
  return {
    fingerprint: typeof printed === 'string' ? printed : null,
    hidesRows: row?.['hidesRows'] === true,
    snapshot: parseSnapshot(String(row?.['snapshot'])),
    inserted: parseLsn(String(row?.['inserted'])),
    timeUs: Number(row?.['us']),
  }
}

/** Reads the tables with these oids, those that exist, in one snapshot. */
export async function readTables(ask: Ask, oids: readonly number[]): Promise<CatalogReading> {
  const rows = await ask(TABLE_SQL, [oids])
  if (rows.length > 0) return readingOf(rows, rows[0])
  // No row brings a snapshot along, and one that is taken later may show what was not seen.
  const [before] = await ask(SNAPSHOT_SQL)
  const again = await ask(TABLE_SQL, [oids])
  return readingOf(again, again[0] ?? before)
}

function readingOf(rows: readonly Row[], taken: Row | undefined): CatalogReading {
  const snapshot = parseSnapshot(String(taken?.['snapshot']))
  return { tables: rows.map((row) => tableOf(row, snapshot)), snapshot }
}

const ALTERED_SQL = `
SELECT FROM pg_locks WHERE locktype = 'relation' AND relation = $1 AND granted
  AND mode = 'AccessExclusiveLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Whether somebody may be altering a table. A commit is visible before it gives up its locks. */
export async function isBeingAltered(ask: Ask, oid: number): Promise<boolean> {
  return (await ask(ALTERED_SQL, [oid])).length > 0
}

interface IndexRow {
  readonly primary: boolean
  readonly identity: boolean
  readonly key: string
  readonly count: number
}

type ColumnRow = Omit<CatalogColumn, 'missing' | 'labels'> & {
  readonly missing: string | null
  readonly labels: readonly EnumLabel[] | null
}

function tableOf(row: Row, { xmin }: Snapshot): CatalogTable {
  const kind = row['kind']
  assert(kind === 'r' || kind === 'p', 'the query asks for these kinds only')
  const leaves = (row['leaves'] ?? []) as readonly Leaf[]
  return {
    oid: Number(row['oid']),
    namespace: String(row['namespace']),
    name: String(row['name']),
    kind,
    isPartition: row['partition'] === true,
    identity: String(row['identity']),
    hidesRows: row['hidesRows'] === true,
    files: kind === 'p' ? filesOf(leaves) : String(row['file']),
    leaves,
    readAt: xmin,
    comment: typeof row['comment'] === 'string' ? row['comment'] : null,
    columns: ((row['columns'] ?? []) as readonly ColumnRow[]).map((column) => ({
      ...column,
      labels: column.labels ?? [],
      missing: kind === 'p' ? missingOf(column.name, leaves) : missingIn([column.missing]),
    })),
    indexes: ((row['indexes'] ?? []) as readonly IndexRow[]).map(indexOf),
  }
}

/** A root has no rows: what older ones hold stands at its leaves, whose columns have its names. */
function missingOf(column: string, leaves: readonly Leaf[]): readonly string[] {
  return missingIn(leaves.map(({ missing }) => missing[column]))
}

function missingIn(values: readonly (string | null | undefined)[]): readonly string[] {
  return [...new Set(values)].filter((value) => typeof value === 'string')
}

function indexOf({ primary, identity, key, count }: IndexRow): CatalogIndex {
  return { primary, identity, key: key.split(' ').slice(0, count).map(Number) }
}

const TYPE_SQL = `
SELECT t.oid::text AS oid, n.nspname AS namespace, t.typname AS name, t.typtype AS typtype,
  t.typbasetype::text AS base, t.typtypmod AS "baseModifier",
  CASE WHEN t.typinput = 'pg_catalog.array_in'::regproc THEN t.typelem ELSE 0 END::text AS element,
  quote_ident(f.nspname) || '.' || quote_ident(p.proname) AS output
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_proc p ON p.oid = t.typoutput JOIN pg_namespace f ON f.oid = p.pronamespace
WHERE t.oid = ANY($1::oid[])`

/** Types below are the server's own, and keep their names. */
const FIRST_OWN_OID = 16_384

/** Types of the server, read when a table first uses them. Their oids are never given twice. */
export class TypeCatalog {
  private readonly known = new Map<number, PgType | null>()

  readonly lookup: TypeLookup = (oid) => this.known.get(oid) ?? null

  /** Reads these types and all that they are made of. */
  async load(ask: Ask, oids: Iterable<number>): Promise<void> {
    let wanted = this.missing(oids)
    while (wanted.length > 0) {
      for (const oid of wanted) this.known.set(oid, null)
      const rows = await ask(TYPE_SQL, [wanted])
      for (const row of rows) {
        const type = typeOf(row)
        this.known.set(type.oid, type)
      }
      const parts = wanted.flatMap((oid) => {
        const type = this.lookup(oid)
        return type === null ? [] : [type.base, type.element]
      })
      wanted = this.missing(parts)
    }
  }

  /** Types that are known may have another name by now, or stand in another schema. */
  async refresh(ask: Ask): Promise<void> {
    const own = [...this.known.keys()].filter((oid) => oid >= FIRST_OWN_OID)
    const rows = own.length === 0 ? [] : await ask(TYPE_SQL, [own])
    for (const type of rows.map(typeOf)) this.known.set(type.oid, type)
  }

  /** A type that was looked for in vain is asked for again: it may exist by now. */
  private missing(oids: Iterable<number>): number[] {
    return [...new Set(oids)].filter((oid) => oid !== 0 && this.lookup(oid) === null)
  }
}

function typeOf(row: Row): PgType {
  return {
    oid: Number(row['oid']),
    namespace: String(row['namespace']),
    name: String(row['name']),
    typtype: String(row['typtype']),
    base: Number(row['base']),
    baseModifier: Number(row['baseModifier']),
    element: Number(row['element']),
    output: String(row['output']),
  }
}

/** Loads every type that the tables' columns use. */
export async function loadTypes(
  types: TypeCatalog,
  ask: Ask,
  tables: readonly CatalogTable[],
): Promise<void> {
  const oids = new Set<number>()
  for (const table of tables) for (const column of table.columns) oids.add(column.type)
  await types.load(ask, oids)
}
