// What one round of a comparison finds of the keys that it follows: their rows on both sides, as
// hashes, and, where they are few, as texts that say in which columns they differ.

import { present } from '../../base/assert.ts'
import type { Column } from '../../data/column/column.ts'
import type { KeyHashes } from '../../data/key-hash.ts'
import type { ComparedColumns, SideRows } from './comparison.ts'
import { KeyTable } from './key-table.ts'
import { ROW_WORDS } from './row-hash.ts'
import { valueText } from './value-text.ts'

/** Up to so many keys the rows are kept as texts. */
export const TEXTS_MAX = 1000

/**
 * Rounds in which a row must have been missing in the same way before it is blamed: it may have
 * come and gone between any two of them, and no place shows it.
 */
const PLACELESS_STREAK = 3

interface FoundRow {
  readonly hash: string
  readonly place: string
  /** One a column; `null`: the keys are too many. */
  readonly texts: readonly string[] | null
}

export class CandidateRows {
  readonly keys: KeyTable
  private readonly columns: ComparedColumns
  private readonly version: () => string
  private readonly source: FoundRow[][] = []
  private readonly lake: FoundRow[][] = []
  /** Rounds before this one in which the key differed in the same way. */
  private readonly streaks: number[] = []

  /**
   * @param keys  the keys to follow
   * @param version  of the lake table, once its rows have been added
   */
  constructor(keys: KeyTable, columns: ComparedColumns, version: () => string) {
    this.keys = keys
    this.columns = columns
    this.version = version
  }

  /** Examples can be told: the rows are kept as texts. */
  get hasTexts(): boolean {
    return this.keys.count <= TEXTS_MAX
  }

  add(
    side: 'source' | 'lake',
    batch: SideRows,
    { words, hashes }: KeyHashes,
    rows: Int32Array,
  ): void {
    for (let row = 0; row < batch.rows; row++) {
      const entry = this.keys.find(hashes, row * words)
      if (entry < 0) continue
      const hash = rows.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS).join()
      const texts = this.hasTexts ? textsOf(batch.columns, row) : null
      const found = { hash, place: batch.placeOf(row), texts }
      this[side][entry] = [...(this[side][entry] ?? []), found]
    }
  }

  /** @returns what the two sides hold of a key, as a text; `null`: both hold the same */
  differenceOf(entry: number): string | null {
    const source = this.source[entry] ?? []
    const lake = this.lake[entry] ?? []
    const equal = source.length === lake.length && source.length <= 1
    if (equal && source[0]?.hash === lake[0]?.hash) return null
    const places = lake.map(({ hash, place }) => `${hash}@${place}`).sort()
    return `${source.map(({ hash }) => hash).join()}|${places.join(' ')}`
  }

  /** The keys that differ. */
  different(): number[] {
    return Array.from({ length: this.keys.count }, (_, entry) => entry).filter(
      (entry) => this.differenceOf(entry) !== null,
    )
  }

  /**
   * Which keys differ for good, and of which one more round may say that they do.
   *
   * @param before  what the round before found of these keys
   */
  judge(before: CandidateRows): { readonly lasting: number[]; readonly awaiting: number[] } {
    const lasting: number[] = []
    const awaiting: number[] = []
    for (const entry of this.different()) {
      const earlier = before.keys.find(this.keys.keyOf(entry), 0)
      const same = earlier >= 0 && before.differenceOf(earlier) === this.differenceOf(entry)
      const streak = same ? (before.streaks[earlier] ?? 0) + 1 : 0
      this.streaks[entry] = streak
      const placeless = this.lake[entry] === undefined && this.version() !== before.version()
      const wanted = placeless ? PLACELESS_STREAK : 1
      if (streak >= wanted) lasting.push(entry)
      else if (streak > 0) awaiting.push(entry)
    }
    return { lasting, awaiting }
  }

  /** @returns a table of these keys alone */
  keysOf(entries: readonly number[]): KeyTable {
    const keys = new KeyTable(this.keys.keyWords, 0)
    for (const entry of entries) keys.add(this.keys.keyOf(entry), 0)
    return keys
  }

  /** @returns `[7] differs in note, total`; there are texts */
  exampleOf(entry: number): string {
    const source = this.source[entry] ?? []
    const lake = this.lake[entry] ?? []
    const known = present(source[0] ?? lake[0], 'a key that differs has a row on one side')
    const texts = present(known.texts, 'rows of few keys are kept as texts')
    const key = `[${this.columns.key.map((index) => texts[index]).join(', ')}]`
    if (lake.length === 0) return `${key} is missing in the lake`
    if (lake.length > 1) return `${key} stands ${lake.length} times in the lake`
    if (source.length === 0) return `${key} is in the lake only`
    const names = this.columns.names.filter(
      (_, index) => source[0]?.texts?.[index] !== lake[0]?.texts?.[index],
    )
    return `${key} differs in ${names.join(', ')}`
  }
}

function textsOf(columns: readonly Column[], row: number): string[] {
  return columns.map((column) => valueText(column, row))
}
