// Dead letters: rows that could not be carried on, in a table of their own, in the same epoch as
// their neighbours. Here is what that table looks like, whoever writes to it, and when there are
// too many: the limits are looked at row by row, so that a flood ends before any is committed.

import type { SourceColumn, SourceTable } from './schema.ts'
import type { ColumnType } from './type.ts'

/** Type of its columns in the source, which has none: no table of a source has it. */
export const LETTER_TYPE = 'dead letter'

const TEXT = { kind: 'string' } as const
const JSON_TEXT = { kind: 'string', json: true } as const

type Columns = readonly (readonly [name: string, type: ColumnType, comment: string | null])[]

const ALWAYS: Columns = [
  ['dlq_id', TEXT, 'of where it stands: the same when it is read again'],
  ['code', TEXT, 'what `millrace explain CODE` explains'],
  ['message', TEXT, null],
]

/** Of a record that could not be decoded. */
const OF_RECORDS: Columns = [
  ['topic', TEXT, null],
  ['partition', { kind: 'int' }, null],
  ['offset', { kind: 'long' }, null],
  ['record_time', { kind: 'timestamptz' }, null],
  ['key', { kind: 'binary' }, null],
  ['value', { kind: 'binary' }, null],
  ['headers', JSON_TEXT, null],
  ['schema_id', TEXT, 'schema that the record names, where it names one'],
  ['byte_offset', { kind: 'int' }, 'where in the value, or the key, decoding failed'],
]

/** Of a row that a transform could not compute. */
const OF_ROWS: Columns = [
  ['source_table', TEXT, null],
  ['column_name', TEXT, 'the column that was to be computed; null: the filter'],
  ['expression', TEXT, 'the part of it that failed'],
  ['op', TEXT, 'c, u, d or r'],
  ['position', TEXT, 'as `__position__` has it'],
  ['row', JSON_TEXT, 'as the source has it; what nobody is to see is ****'],
]

/** @param records  the source has records, which can fail to be decoded */
export function deadLetterTable(namespace: string, name: string, records: boolean): SourceTable {
  const column =
    (nullable: boolean) =>
    ([identity, type, comment]: Columns[number]): SourceColumn => ({
      identity,
      name: identity,
      type,
      nullable,
      comment,
      sourceType: LETTER_TYPE,
      existing: { kind: 'null' },
    })
  const optional = records ? [...OF_RECORDS, ...OF_ROWS] : OF_ROWS
  return {
    namespace,
    name,
    incarnation: '',
    columns: [...ALWAYS.map(column(false)), ...optional.map(column(true))],
    key: ['dlq_id'],
    comment: 'rows that could not be carried on',
  }
}

/** The ratio is one of these many rows. */
const WINDOW = 10_000
/** Places that have left the window are let go of in stretches of at least this many. */
const STRETCH = 1024

export interface DeadLetterMaxima {
  /** Of one epoch; `null`: any number. */
  readonly rowsMax: number | null
  /** Of the last 10,000; `null`: any share. */
  readonly ratioMax: number | null
}

/** Counts rows and those that died, and says when they are too many. */
export class DeadLetterLimits {
  private readonly maxima: DeadLetterMaxima
  private ofEpoch = 0
  private seen = 0
  /** Numbers of the rows that died, ascending; those before `first` have left the window. */
  private died: number[] = []
  private first = 0

  constructor(maxima: DeadLetterMaxima) {
    this.maxima = maxima
  }

  /** Rows were read, dead ones included: those that are added from now on stand behind them. */
  count(rows: number): void {
    this.seen += rows
  }

  /** A checkpoint was taken. */
  endEpoch(): void {
    this.ofEpoch = 0
  }

  /**
   * One has died.
   *
   * @param what  `records`, `rows`
   * @param at  its place among those that will be counted next, from 0; ascending
   * @returns `null`, or what there are too many of
   */
  add(what: string, at: number): string | null {
    const { rowsMax, ratioMax } = this.maxima
    this.ofEpoch++
    if (rowsMax !== null && this.ofEpoch > rowsMax) {
      return `more than ${rowsMax} ${what} since the last checkpoint`
    }
    if (ratioMax === null) return null
    const dead = this.ofWindow(this.seen + at)
    if (dead <= ratioMax * WINDOW) return null
    return `more than ${dead - 1} of the last ${WINDOW} ${what}`
  }

  /** @returns how many of the rows up to this one died that the window has */
  private ofWindow(row: number): number {
    const { died } = this
    died.push(row)
    while ((died[this.first] ?? row) <= row - WINDOW) this.first++
    if (this.first > STRETCH) {
      this.died = died.slice(this.first)
      this.first = 0
    }
    return this.died.length - this.first
  }
}
