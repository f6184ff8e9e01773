// The tables that the pipeline follows, as the log has shown them last, and what a new reading of
// the catalog says against that. Log and backfill both ask here.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { sameType } from '../../runtime/data/type.ts'
import { widens } from '../../runtime/data/evolution.ts'
import type { CatalogTable, TypeCatalog } from './catalog.ts'
import { isCaptured, type PostgresOptions } from './options.ts'
import type { Publication } from './publication.ts'
import { shapeOfCatalog, type ShapeSource, type TableFacts, type TableShape } from './shape.ts'
import type { ColumnReading, KnownTable, TableReading } from './state.ts'
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
  shapeNow(table: CatalogTable, facts: TableFacts): TableShape {
    return shapeOfCatalog(table, facts, this.shapeSource(table.oid))
  }

  /** What is to be remembered of a table after a reading of the catalog. */
  knownOf(
    table: CatalogTable,
    shape: TableShape,
    loosened: ReadonlySet<number>,
    joinedAt: number,
  ): KnownTable {
    const reading = { files: table.files, columns: this.columnReadings(table) }
    const memberSince = this.publication.members.get(table.oid)?.since ?? ''
    return { shape, loosened, reading, memberSince, joinedAt }
  }

  private columnReadings(table: CatalogTable): readonly ColumnReading[] {
    return table.columns
      .filter(({ dropped }) => !dropped)
      .map(({ attnum, name, notNull, changedBy, missing, type, modifier }) => {
        const mapping = mapType(type, modifier, this.types.lookup, false)
        return { attnum, name, notNull, changedBy, missing: missing !== null, type: mapping.type }
      })
  }
}

/** `memberSince` of a table that is known to have been out of the publication. */
export const NO_MEMBER = 'out'

const NO_FACTS: TableFacts = { loosened: new Set(), files: null }

/** What a new shape has to know of the table before; `null`: it has just been met. */
export function factsOf(before: KnownTable | null): TableFacts {
  return before === null ? NO_FACTS : { loosened: before.loosened, files: before.reading.files }
}

/**
 * Whether values may have changed since the last reading without a trace in the log.
 *
 * ALTER TYPE ... USING and partition DDL write no rows into the log, but they leave the table with
 * other files. So do VACUUM FULL, CLUSTER and TRUNCATE, which change no value that the log does not
 * tell of; they leave the columns' declarations as they are. So: new files, and a column of the
 * same lake type that was declared anew. (VACUUM FULL also declares columns anew whose default was
 * not yet written into every row; the two cannot be told apart, and reading again is safe.)
 *
 * A wider type of another column explains the new files. Then only a column that was declared anew
 * without any visible reason is suspicious.
 */
export function silentChange(before: KnownTable, now: KnownTable): PipelineError | null {
  if (before.reading.files === now.reading.files) return null
  const name = tableKey(now.shape.source)
  if (now.shape.kind === 'p') return partitionChange(before.reading, now.reading, name)
  const pairs = before.reading.columns.flatMap((column) => {
    const after = now.reading.columns.find(({ attnum }) => attnum === column.attnum)
    return after === undefined ? [] : [{ column, after }]
  })
  const explained = pairs.some(({ column, after }) => isWidened(column, after))
  for (const { column, after } of pairs) {
    if (column.changedBy === after.changedBy || isWidened(column, after)) continue
    const redeclared = column.name !== after.name || column.notNull !== after.notNull
    const filled = column.missing && !after.missing
    if (explained && (redeclared || filled)) continue
    return new PipelineError('DDL_UNMAPPABLE', `table "${name}" was rewritten`, {
      detail:
        `The server wrote all rows anew after column "${after.name}" had been altered, ` +
        'and the log does not show whether values changed.',
    })
  }
  return null
}

/** The server writes all rows anew for these, and their values stay. */
function isWidened(before: ColumnReading, after: ColumnReading): boolean {
  if (before.type === null || after.type === null) return false
  return !sameType(before.type, after.type) && widens(before.type, after.type)
}

/** Partitions that came with rows, left with rows, or were emptied: the root's log is silent. */
function partitionChange(
  before: TableReading,
  now: TableReading,
  name: string,
): PipelineError | null {
  const after = leafFiles(now.files)
  for (const [oid, file] of leafFiles(before.files)) {
    const other = after.get(oid)
    if (other === file) continue
    const what = other === undefined ? 'was dropped or detached' : 'was rewritten or truncated'
    return new PipelineError('DDL_UNMAPPABLE', `a partition of table "${name}" ${what}`, {
      detail: 'The log of a partitioned table does not show what became of the rows.',
    })
  }
  for (const [oid, file] of after) {
    if (file.endsWith('a') && !leafFiles(before.files).has(oid)) {
      return new PipelineError('DDL_UNMAPPABLE', `a partition was attached to table "${name}"`, {
        detail: 'The log does not show the rows that the partition may have brought with it.',
      })
    }
  }
  return null
}

function leafFiles(files: string): Map<string, string> {
  const pairs = files === '' ? [] : files.split(',').map((leaf) => leaf.split(':'))
  return new Map(pairs.map(([oid = '', file = '']) => [oid, file]))
}
