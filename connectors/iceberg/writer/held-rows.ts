// Partial rows whose base has not come yet: updates that left values out, for keys that the
// backfill has not delivered, and rows whose key changed while it runs. Keyed state of the table,
// kept in the checkpoint until the backfill row comes.

import { assert, present } from '../../../runtime/base/assert.ts'
import { appendRows } from '../../../runtime/data/column/append.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import { segmentOf, type HashWords } from '../../../runtime/data/key-hash.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import { EntryTable, TOMBSTONE } from '../index/entry-table.ts'
import { rawOf, rawOfLiteral, restoreValue, setRaw, storeValue } from './raw-values.ts'
import type { StoredValue } from './raw-values.ts'

/** `null` in a stored row's place of a value: the log left it out. */
type StoredCell = { readonly v: StoredValue } | null

/** JSON form, for the checkpoint. */
export interface StoredHeldRows {
  readonly table: string
  readonly words: HashWords
  /** Of the columns, in their order; without defaults, which may be what JSON cannot say. */
  readonly fields: readonly Field[]
  readonly rows: readonly {
    readonly hash: readonly number[]
    readonly cells: readonly StoredCell[]
    /** `movedAt` in digits; not there: never. */
    readonly moved?: string
  }[]
}

/** Below every order. */
export const NEVER_MOVED: Order = -1n

/** Rows are rebuilt without the dead ones when there are more of these than of the live. */
const COMPACT_ROWS_MIN = 256

/** `file` of an entry that points to a held row. */
const HELD = 1

export class HeldRows {
  readonly words: HashWords
  fields: readonly Field[]
  /** Rows that wait. */
  count = 0
  private keys: EntryTable
  private hashes: Int32Array
  private builders: ColumnBuilder[]
  private views: (Column | null)[]
  private moves: Order[] = []
  private rows = 0

  constructor(words: HashWords, fields: readonly Field[]) {
    this.words = words
    this.fields = fields
    this.keys = new EntryTable(words)
    this.hashes = new Int32Array(64)
    this.builders = fields.map(({ type }) => columnBuilder(type))
    this.views = fields.map(() => null)
  }

  /** @returns the row that waits for the key at hashes[at]; -1: none */
  find(hashes: Int32Array, at: number): number {
    const { entries } = this.keys
    const slot = this.keys.find(hashes, at)
    return entries[slot + this.words] === HELD ? (entries[slot + this.words + 1] as number) : -1
  }

  /**
   * Keeps a row.
   *
   * @param columns  of the table's fields, unchanged marks included
   * @param movedAt  see there
   * @returns true when it takes the place of an earlier row of its key
   */
  put(
    hashes: Int32Array,
    at: number,
    columns: readonly Column[],
    row: number,
    movedAt: Order,
  ): boolean {
    const replaced = this.remove(hashes, at)
    const selection = Int32Array.of(row)
    for (const [index, column] of columns.entries()) {
      const builder = present(this.builders[index], 'a held row has a column for each field')
      appendRows(builder, this.rows, column, 1, selection)
    }
    this.addKey(hashes, at, movedAt)
    if (this.rows > COMPACT_ROWS_MIN && this.rows > 2 * this.count) this.compact()
    return replaced
  }

  private addKey(hashes: Int32Array, at: number, movedAt: Order): void {
    const { words } = this
    if ((this.rows + 1) * words > this.hashes.length) {
      const larger = new Int32Array(this.hashes.length * 2)
      larger.set(this.hashes)
      this.hashes = larger
    }
    this.hashes.set(hashes.subarray(at, at + words), this.rows * words)
    this.keys.put(hashes, at, HELD, this.rows)
    this.moves[this.rows] = movedAt
    this.rows++
    this.count++
    this.views.fill(null)
  }

  /** @returns true when a row waited for the key at hashes[at]; it is forgotten */
  remove(hashes: Int32Array, at: number): boolean {
    if (this.find(hashes, at) < 0) return false
    this.keys.put(hashes, at, TOMBSTONE, 0)
    this.count--
    return true
  }

  /** A column of the rows, by the numbers that `find` gives; valid until the next `put`. */
  column(index: number): Column {
    const known = this.views[index]
    if (known !== null && known !== undefined) return known
    const view = present(this.builders[index], 'the column exists').view(this.rows)
    this.views[index] = view
    return view
  }

  /** @returns true when the log left out the value of column `index` of held row `row` */
  lacks(index: number, row: number): boolean {
    return isUnchanged(this.column(index), row)
  }

  /**
   * Order of the change that gave held row `row` its key: what it lacks is in chunk rows above it
   * only, older ones may be of another row that had the key before. NEVER_MOVED: it always had it.
   */
  movedAt(row: number): Order {
    return present(this.moves[row], 'a held row has an order')
  }

  clear(): void {
    this.take(new HeldRows(this.words, this.fields))
  }

  private take(other: HeldRows): void {
    this.fields = other.fields
    this.keys = other.keys
    this.hashes = other.hashes
    this.builders = other.builders
    this.views = other.views
    this.moves = other.moves
    this.rows = other.rows
    this.count = other.count
  }

  private compact(): void {
    const kept = new HeldRows(this.words, this.fields)
    const columns = this.fields.map((_, index) => this.column(index))
    this.eachLive((row, at) => kept.put(this.hashes, at, columns, row, this.movedAt(row)))
    this.take(kept)
  }

  private eachLive(visit: (row: number, at: number) => void): void {
    for (let row = 0; row < this.rows; row++) {
      const at = row * this.words
      if (this.find(this.hashes, at) === row) visit(row, at)
    }
  }

  /** Carries the rows over to another structure of the table: columns are matched by their ids. */
  evolve({ fields }: TableSchema): void {
    const { fields: before } = this
    if (this.count === 0) {
      this.take(new HeldRows(this.words, fields))
      return
    }
    this.take(HeldRows.restore(this.store('', before), fields, 0, 256))
  }

  /** @returns the JSON form */
  store(table: string, fields: readonly Field[] = this.fields): StoredHeldRows {
    const rows: StoredHeldRows['rows'][number][] = []
    this.eachLive((row, at) => {
      const hash = Array.from(this.hashes.subarray(at, at + this.words))
      const cells = fields.map((_, index): StoredCell => {
        return this.lacks(index, row) ? null : { v: storeValue(rawOf(this.column(index), row)) }
      })
      const movedAt = this.movedAt(row)
      rows.push({ hash, cells, ...(movedAt === NEVER_MOVED ? {} : { moved: movedAt.toString() }) })
    })
    const plain = fields.map((field) => ({ ...field, initialDefault: null }))
    return { table, words: this.words, fields: plain, rows }
  }

  /** @returns the rows whose segment is in [start, end), under the structure `fields` */
  static restore(
    stored: StoredHeldRows,
    fields: readonly Field[],
    start: number,
    end: number,
  ): HeldRows {
    const held = new HeldRows(stored.words, fields)
    held.add(stored, start, end)
    return held
  }

  /** Adds stored rows, of other keys than those that are held. */
  add(stored: StoredHeldRows, start: number, end: number): void {
    assert(stored.words === this.words, 'the key of a table with held rows has not changed')
    const from = this.fields.map((field) => stored.fields.findIndex(({ id }) => id === field.id))
    for (const { hash, cells, moved } of stored.rows) {
      const segment = segmentOf(hash[0] ?? 0)
      if (segment < start || segment >= end) continue
      for (const [index, field] of this.fields.entries()) {
        const builder = present(this.builders[index], 'each field has a builder')
        const source = from[index] ?? -1
        const cell = cells[source]
        if (cell === null) {
          builder.reserveRows(this.rows + 1)
          builder.setUnchanged(this.rows)
        } else
          setRaw(builder, this.rows, cell === undefined ? defaultOf(field) : restoreValue(cell.v))
      }
      this.addKey(Int32Array.from(hash), 0, moved === undefined ? NEVER_MOVED : BigInt(moved))
    }
  }
}

/** What a row from before the column has in it. */
function defaultOf({ initialDefault, type }: Field): ReturnType<typeof rawOfLiteral> | null {
  return initialDefault === null ? null : rawOfLiteral(initialDefault, type)
}
