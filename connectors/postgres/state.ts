// What a checkpoint remembers of the source besides the position: who the server is, the shape of
// every table at that position, and the delivered commits that readers may not see yet.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import type { CatalogColumn } from './catalog.ts'
import type { Lsn } from './lsn.ts'
import type { TableShape } from './shape.ts'
import type { UnseenCommit } from './snapshot.ts'
import type { WireType } from './types.ts'

/** A table as the source knows it; replaced, never changed. */
export interface KnownTable {
  readonly shape: TableShape
  /** Columns whose rows have held null although the catalog says NOT NULL. */
  readonly loosened: ReadonlySet<number>
  /**
   * What the catalog said last, which may be ahead of the shape or, for a moment, behind it: only
   * readings of the catalog are compared with each other.
   */
  readonly reading: TableReading
  /** Its place in the publication's member list (`Membership.since`). */
  readonly memberSince: string
  /** Of a partitioned table: transactions that have emptied it in the log since the reading. */
  readonly truncatedBy: readonly LoggedRows[]
  /** Partitions that have had their first rows in the log since the reading. */
  readonly firstRows: readonly FirstRows[]
  /** Partitions that have never had a row in the log and had none before; `null`: not known yet. */
  readonly unwritten: readonly number[] | null
  /** Its chunks may open once no transaction before this one is running (H4); 0: at once. */
  readonly joinedAt: number
}

/** What a transaction of the log has left in a partitioned table. */
export interface LoggedRows {
  /** Its lower 32 bits. */
  readonly xid: number
  /** Rows of its own that were there at its end; -1: that cannot be told. */
  readonly rows: number
}

export interface FirstRows extends LoggedRows {
  readonly leaf: number
  /** Partitions that can have the rows: those that had none before, or every one. */
  readonly among: 'new' | 'all'
}

/** Traces that a rewrite of rows leaves in the catalog. */
export interface TableReading {
  /** `CatalogTable.files`. */
  readonly files: string
  /** `CatalogTable.readAt`. */
  readonly readAt: number
  readonly columns: readonly ColumnReading[]
}

export interface ColumnReading {
  readonly attnum: number
  readonly name: string
  readonly notNull: boolean
  /** `null`: the lake has none. */
  readonly type: ColumnType | null
  /** Changes with every ALTER of the column. */
  readonly changedBy: string
  /** Older rows lack the column's default. */
  readonly missing: boolean
  /** `CatalogColumn.defaultId`. */
  readonly defaultId: string | null
  /** `CatalogColumn.labels`; `undefined` in the checkpoint of a version that did not look. */
  readonly labels?: CatalogColumn['labels']
}

export interface SavedState {
  readonly system: string
  readonly timeline: number
  readonly database: string
  readonly slot: string
  /** Who the publication is, and how it was altered last. */
  readonly publication: { readonly oid: string; readonly changedBy: string }
  readonly sourceEpoch: number
  /** Largest HIGH that a chunk was given: rows up to there may be in the lake. */
  readonly highest: Lsn
  readonly unseen: readonly UnseenCommit[]
  /** Running maximum of the commit times, us since 2000; versions before `__commit_time__`: none. */
  readonly latest2000Us?: number
  /** Some transaction id of the time of the checkpoint. */
  readonly xid: number
  readonly tables: readonly KnownTable[]
}

const FORMAT = 1

interface TableRecord {
  readonly oid: number
  readonly kind: 'r' | 'p'
  readonly columns: TableShape['columns']
  readonly wires: readonly [number, WireType][]
  readonly source: SourceTable
  readonly key: readonly number[]
  readonly loosened: readonly number[]
  readonly reading: TableReading
  readonly memberSince: string
  /** Bare ids were written by versions that did not count rows. */
  readonly truncatedBy: readonly (LoggedRows | number)[]
  readonly firstRows?: readonly FirstRows[]
  readonly unwritten?: readonly number[] | null
  readonly joinedAt: number
}

/** Text of a table by its object: a checkpoint a second must not print 8,000 unchanged tables. */
const printed = new WeakMap<KnownTable, string>()

function printTable(table: KnownTable): string {
  const known = printed.get(table)
  if (known !== undefined) return known
  const { shape } = table
  // What older rows hold in a column is asked for once, when it is added; its values are no JSON.
  const columns = shape.source.columns.map((column) => ({ ...column, existing: { kind: 'null' } }))
  const record = {
    oid: shape.oid,
    kind: shape.kind,
    columns: shape.columns,
    wires: [...shape.wires],
    source: { ...shape.source, columns },
    key: [...shape.keyColumns],
    loosened: [...table.loosened],
    reading: table.reading,
    memberSince: table.memberSince,
    truncatedBy: table.truncatedBy,
    firstRows: table.firstRows,
    unwritten: table.unwritten,
    joinedAt: table.joinedAt,
  }
  const text = JSON.stringify(record)
  printed.set(table, text)
  return text
}

export function encodeState(state: SavedState): Uint8Array {
  const { tables, ...rest } = state
  const head = JSON.stringify({ format: FORMAT, ...rest })
  const text = `${head.slice(0, -1)},"tables":[${tables.map(printTable).join(',')}]}`
  return new TextEncoder().encode(text)
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function decodeState(bytes: Uint8Array): SavedState {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const record = JSON.parse(text) as Omit<SavedState, 'tables'> & {
      readonly format: number
      readonly tables: readonly TableRecord[]
    }
    if (record.format !== FORMAT) throw new RangeError(`format ${record.format}`)
    return { ...record, tables: record.tables.map(tableOf) }
  } catch (cause) {
    const what = 'the state of the PostgreSQL source in the checkpoint cannot be read'
    throw new PipelineError('CHECKPOINT_CORRUPT', what, { cause })
  }
}

function tableOf(record: TableRecord): KnownTable {
  const { oid, kind, columns, source, reading, memberSince, joinedAt } = record
  return {
    shape: {
      oid,
      kind,
      columns,
      source,
      wires: new Map(record.wires),
      keyColumns: Int32Array.from(record.key),
    },
    loosened: new Set(record.loosened),
    reading,
    memberSince,
    truncatedBy: record.truncatedBy.map((one) =>
      typeof one === 'number' ? { xid: one, rows: -1 } : one,
    ),
    firstRows: record.firstRows ?? [],
    unwritten: record.unwritten ?? null,
    joinedAt,
  }
}
