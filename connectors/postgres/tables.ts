// The tables that the pipeline follows, as the log has shown them last, and what a new reading of
// the catalog says against that. Log and backfill both ask here.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import { widens } from '../../runtime/data/evolution.ts'
import type { CatalogTable, TypeCatalog } from './catalog.ts'
import { isCaptured, type PostgresOptions } from './options.ts'
import type { Publication } from './publication.ts'
import { shapeOfCatalog, type ShapeSource, type TableShape } from './shape.ts'
import type { ColumnReading, KnownTable } from './state.ts'
import { mapType } from './types.ts'

export class TableRegistry {
  readonly options: PostgresOptions
  readonly types: TypeCatalog
  publication: Publication
  private readonly byOid = new Map<number, KnownTable>()
  private readonly byKey = new Map<string, KnownTable>()

  constructor(options: PostgresOptions, types: TypeCatalog, publication: Publication) {
    this.options = options
    this.types = types
    this.publication = publication
  }

  withOid(oid: number): KnownTable | null {
    return this.byOid.get(oid) ?? null
  }

  named(key: string): KnownTable | null {
    return this.byKey.get(key) ?? null
  }

  all(): KnownTable[] {
    return [...this.byKey.values()]
  }

  /** Remembers a table; one of the same name or oid is forgotten. */
  set(table: KnownTable): void {
    this.forget(this.byOid.get(table.shape.oid))
    this.forget(this.byKey.get(tableKey(table.shape.source)))
    this.byOid.set(table.shape.oid, table)
    this.byKey.set(tableKey(table.shape.source), table)
  }

  forget(table: KnownTable | undefined): void {
    if (table === undefined) return
    this.byOid.delete(table.shape.oid)
    this.byKey.delete(tableKey(table.shape.source))
  }

  captured(namespace: string, name: string): boolean {
    return isCaptured(this.options, namespace, name)
  }

  shapeSource(oid: number): ShapeSource {
    const { generated, members } = this.publication
    const published = members.get(oid)?.columns ?? null
    return { options: this.options, lookup: this.types.lookup, generated, published }
  }

  /** The shape as the catalog has it. @throws PipelineError TYPE_UNSUPPORTED */
  shapeNow(table: CatalogTable, before: KnownTable | null): TableShape {
    return shapeOfCatalog(table, before, this.shapeSource(table.oid))
  }

  /** What is to be remembered of a table after a reading of the catalog. */
  knownOf(
    table: CatalogTable,
    shape: TableShape,
    before: KnownTable | null,
    joinedAt: number,
  ): KnownTable {
    const { files, readAt } = table
    const reading = { files, readAt, columns: this.columnReadings(table) }
    const memberSince = this.publication.members.get(table.oid)?.since ?? ''
    const loosened = before?.loosened ?? new Set()
    const logged = {
      truncatedBy: before?.truncatedBy ?? [],
      firstRows: before?.firstRows ?? [],
      unwritten: before?.unwritten ?? null,
    }
    return { shape, loosened, reading, memberSince, ...logged, joinedAt }
  }

  private columnReadings(table: CatalogTable): readonly ColumnReading[] {
    return table.columns
      .filter(({ dropped }) => !dropped)
      .map(({ attnum, name, notNull, changedBy, missing, defaultId, labels, type, modifier }) => {
        const mapping = mapType(type, modifier, this.types.lookup, false)
        const fill = { missing: missing.length > 0, defaultId }
        return { attnum, name, notNull, changedBy, ...fill, labels, type: mapping.type }
      })
  }
}

/** `memberSince` of a table that is known to have been out of the publication. */
export const NO_MEMBER = 'out'

/**
 * Whether values may have changed since the last reading without a trace in the log.
 *
 * ALTER TYPE ... USING and partition DDL write no rows into the log, but they leave the table with
 * other files. So do VACUUM FULL, CLUSTER and TRUNCATE, which change no value that the log does not
 * tell of; they leave the columns' declarations as they are. So: new files, and a column of the
 * same lake type that was declared anew. VACUUM FULL also declares columns anew whose default was
 * not yet written into every row, but leaves the default itself, which ALTER TYPE makes anew.
 * (Where the column has lost its default the two cannot be told apart: reading again is safe.)
 *
 * A wider type of another column explains the new files. Then only a column that was declared anew
 * without any visible reason is suspicious.
 *
 * What became of single partitions is for `partitionChange`.
 *
 * @param table  the reading of the catalog that `now` was made of
 * @param kept  leaves with other files that have kept rows (`readKept`)
 */
export function silentChange(
  before: KnownTable,
  now: KnownTable,
  table: CatalogTable,
  kept: ReadonlySet<number>,
): PipelineError | null {
  const renamed = renamedLabel(before, now)
  if (renamed !== null || before.reading.files === now.reading.files) return renamed
  const name = tableKey(now.shape.source)
  // Leaves that came or were emptied say nothing of how the others' rows were written.
  if (table.kind === 'p' && !table.leaves.some(({ oid }) => kept.has(oid))) return null
  const pairs = before.reading.columns.flatMap((column) => {
    const after = now.reading.columns.find(({ attnum }) => attnum === column.attnum)
    return after === undefined ? [] : [{ column, after }]
  })
  const explained = pairs.some(({ column, after }) => isWidened(column, after))
  for (const { column, after } of pairs) {
    if (column.changedBy === after.changedBy || isWidened(column, after)) continue
    const redeclared = column.name !== after.name || column.notNull !== after.notNull
    const filled = column.missing && !after.missing
    const kept = filled && after.defaultId !== null && column.defaultId === after.defaultId
    if ((kept && !redeclared) || (explained && (redeclared || filled))) continue
    return new PipelineError('DDL_UNMAPPABLE', `table "${name}" was rewritten`, {
      detail:
        `The server wrote all rows anew after column "${after.name}" had been altered, ` +
        'and the log does not show whether values changed.',
    })
  }
  return null
}

/** ALTER TYPE ... RENAME VALUE changes the text of rows that have the label, and writes none. */
function renamedLabel(before: KnownTable, now: KnownTable): PipelineError | null {
  for (const { attnum, name, labels = [] } of before.reading.columns) {
    const after = now.reading.columns.find((column) => column.attnum === attnum)?.labels ?? []
    const texts = new Map(after)
    const changed = labels.find(([oid, text]) => (texts.get(oid) ?? text) !== text)
    if (changed === undefined || !now.shape.wires.has(attnum)) continue
    const what = `label "${changed[1]}" of column "${name}" of table "${tableKey(now.shape.source)}"`
    return new PipelineError('DDL_UNMAPPABLE', `${what} has another text now`, {
      detail: 'Rows that have it were not written anew, so the log does not show them.',
    })
  }
  return null
}

/**
 * The server writes all rows anew for these, and their values stay. Not so where text becomes JSON,
 * which has one name in the lake: jsonb has a text of its own for a value.
 */
function isWidened(before: ColumnReading, after: ColumnReading): boolean {
  if (before.type === null || after.type === null) return false
  const named = formatType(before.type) !== formatType(after.type)
  return named && widens(before.type, after.type)
}
