// The leaves of a partitioned table: which there are, the files of their rows, and whether one was
// a table of its own before. Read without the locks that PostgreSQL's own functions take.

/** A partition that has rows itself. */
export interface Leaf {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  /** Names the file of its rows. */
  readonly file: string
  /** It, or one above it, was a table of its own once and may have brought rows with it. */
  readonly attached: boolean
  /** Transactions that made it, and those above it, partitions. */
  readonly attachedBy: string
  /** Transaction that created it. */
  readonly createdBy: string
  /** Transaction that last changed its row in pg_class. */
  readonly changedBy: string
  /** By column: text of the value that rows older than the column have. */
  readonly missing: Readonly<Record<string, string>>
}

/**
 * True of a row `h` of pg_inherits when it was written by the CREATE TABLE of the partition.
 *
 * CREATE TABLE ... PARTITION OF writes the columns, and in a later step of the transaction the
 * descent. ATTACH writes every column anew, in one step with the descent. So a column that is
 * older, of the same transaction, shows that the partition never was a table of its own. Steps are
 * told by cmin, which stays in a row unless somebody has tried to change the row (xmax).
 *
 * Where every column was altered meanwhile nothing is left to tell: the rows of the system columns
 * and the descent are two steps apart in both cases, if rows were written before ATTACH.
 */
const CREATED = `(h.xmax = 0 AND EXISTS (
    SELECT FROM pg_attribute s JOIN pg_attribute a ON a.attrelid = s.attrelid
    WHERE s.attrelid = h.inhrelid AND s.attnum = -1 AND s.xmin = h.xmin
      AND a.attnum > 0 AND NOT a.attisdropped AND a.xmin = h.xmin AND a.xmax = 0
      AND a.cmin::text::int8 < h.cmin::text::int8))`

/** Partitions of `c` at every depth. pg_partition_tree() would wait for a lock on each. */
const BELOW = `WITH RECURSIVE below AS (
    SELECT inhrelid AS oid, xmin::text AS attached FROM pg_inherits
    WHERE inhparent = c.oid AND NOT inhdetachpending
    UNION ALL
    SELECT h.inhrelid, below.attached || '.' || h.xmin
    FROM below JOIN pg_inherits h ON h.inhparent = below.oid WHERE NOT h.inhdetachpending)`

/**
 * @returns a subquery: an expression over the leaves `l` of a partitioned table `c`, and `below`,
 *          which knows by which transactions they were attached
 */
export function leavesSql(expression: string): string {
  return `(${BELOW} SELECT ${expression} FROM below JOIN pg_class l ON l.oid = below.oid
    WHERE l.relkind <> 'p')`
}

/** A subquery: the leaves of `c` as a JSON array of `Leaf`. */
export const LEAVES_SQL = `(WITH RECURSIVE below AS (
    SELECT h.inhrelid AS oid, ${CREATED} AS created, h.xmin::text AS attached
    FROM pg_inherits h WHERE h.inhparent = c.oid AND NOT h.inhdetachpending
    UNION ALL
    SELECT h.inhrelid, below.created AND ${CREATED}, below.attached || '.' || h.xmin
    FROM below JOIN pg_inherits h ON h.inhparent = below.oid WHERE NOT h.inhdetachpending)
  SELECT json_agg(json_build_object('oid', l.oid::int8, 'namespace', m.nspname,
      'name', l.relname, 'file', l.relfilenode::text, 'attached', NOT below.created,
      'attachedBy', below.attached,
      'createdBy', (SELECT s.xmin::text FROM pg_attribute s
        WHERE s.attrelid = l.oid AND s.attnum = -1),
      'changedBy', l.xmin::text, 'missing', coalesce((
        SELECT json_object_agg(a.attname, (a.attmissingval::text::text[])[1])
        FROM pg_attribute a WHERE a.attrelid = l.oid AND a.atthasmissing), '{}')) ORDER BY l.oid)
  FROM below JOIN pg_class l ON l.oid = below.oid JOIN pg_namespace m ON m.oid = l.relnamespace
  WHERE l.relkind <> 'p')`

/** @returns `CatalogTable.files` of a partitioned table */
export function filesOf(leaves: readonly Leaf[]): string {
  return leaves.map(({ oid, file, attachedBy }) => `${oid}:${file}:${attachedBy}`).join()
}

/** @returns the file of each leaf by its oid */
export function parseFiles(files: string): Map<number, string> {
  return new Map(parse(files).map(([oid, file = '']) => [Number(oid), file]))
}

/** @returns `attachedBy` of each leaf by its oid, as far as the checkpoint knows it */
export function parseAttachments(files: string): Map<number, string> {
  return new Map(
    parse(files).flatMap(([oid, , attached]) =>
      attached === undefined ? [] : [[Number(oid), attached] as const],
    ),
  )
}

function parse(files: string): string[][] {
  return files === '' ? [] : files.split(',').map((leaf) => leaf.split(':'))
}

/** @returns true when a leaf that was known has other files by now, or is gone */
export function hasOtherFiles(before: string, leaves: readonly Leaf[]): boolean {
  const files = new Map(leaves.map(({ oid, file }) => [oid, file]))
  return [...parseFiles(before)].some(([oid, file]) => files.get(oid) !== file)
}
